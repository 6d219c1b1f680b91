//! What an item may look like: few type parameters, no macros of our own, `unsafe` only at its one address, and
//! nothing of tokio that would escape the deterministic runtime.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::tidy::finding::Finding;
use crate::tidy::repository::Source;
use crate::tidy::tables::{SOCKET_HOMES, TYPE_PARAMETERS_MAX, UNSAFE_HOMES};

/// Items with too many type parameters, `macro_rules!`, `unsafe` outside the listed modules, and tokio's own
/// tasks, timers and sockets outside the crates that may have them.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    check_with(source, UNSAFE_HOMES)
}

fn check_with(source: &Source, unsafe_homes: &[(&str, &str)]) -> Vec<Finding> {
    let home = source
        .crate_name()
        .and_then(|name| unsafe_homes.iter().find(|(row, _)| *row == name));
    let mut walk = Walk {
        path: &source.path,
        may_be_unsafe: home.is_some_and(|(_, path)| *path == source.path),
        may_open_sockets: source
            .crate_name()
            .is_some_and(|name| SOCKET_HOMES.contains(&name)),
        findings: Vec::new(),
    };
    walk.visit_file(&source.syntax);
    walk.findings
}

struct Walk<'a> {
    path: &'a str,
    may_be_unsafe: bool,
    may_open_sockets: bool,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn report(&mut self, span: Span, message: impl Into<String>) {
        self.findings
            .push(Finding::new(self.path, span.start().line, message));
    }

    fn see_unsafe(&mut self, span: Option<Span>) {
        if let Some(span) = span.filter(|_| !self.may_be_unsafe) {
            let message = "`unsafe` outside the crate's reviewed module; use a safe form or list it in UNSAFE_HOMES";
            self.report(span, message);
        }
    }

    /// A path of two words, wherever it occurs.
    fn see_path(&mut self, first: &syn::Ident, second: &syn::Ident) {
        if first == "tokio" && second != "sync" && !self.may_open_sockets {
            let message = format!(
                "tokio::{second} escapes the simulation; take it from the runtime's context"
            );
            self.report(first.span(), message);
        }
    }

    /// `tokio::select!` needs no runtime of tokio's, but draws an order of its own unless told not to.
    fn see_select(&mut self, invocation: &syn::Macro) {
        let first = invocation.tokens.clone().into_iter().next();
        let is_biased = matches!(first, Some(TokenTree::Ident(word)) if word == "biased");
        if !is_biased && !self.may_open_sockets {
            let message = "tokio::select polls in random order; begin with `biased;`";
            self.report(invocation.path.span(), message);
        }
    }

    /// `unsafe` in the arguments of a macro, which syn does not parse.
    fn see_tokens(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.see_tokens(group.stream()),
                TokenTree::Ident(word) if word == "unsafe" => self.see_unsafe(Some(word.span())),
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_generics(&mut self, generics: &'ast syn::Generics) {
        let count = generics.type_params().count();
        if count > TYPE_PARAMETERS_MAX {
            let message = format!(
                "{count} type parameters, at most {TYPE_PARAMETERS_MAX}; make some of them concrete"
            );
            self.report(generics.span(), message);
        }
        visit::visit_generics(self, generics);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if item.mac.path.is_ident("macro_rules") {
            self.report(
                item.mac.path.span(),
                "a macro of our own; write a function or repeat yourself",
            );
        }
        visit::visit_item_macro(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let [first, second, ..] = &path.segments.iter().collect::<Vec<_>>()[..] {
            self.see_path(&first.ident, &second.ident);
        }
        visit::visit_path(self, path);
    }

    fn visit_use_path(&mut self, path: &'ast syn::UsePath) {
        for second in first_words(&path.tree) {
            self.see_path(&path.ident, second);
        }
        visit::visit_use_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        self.see_tokens(invocation.tokens.clone());
        if is_path(&invocation.path, &["tokio", "select"]) {
            return self.see_select(invocation);
        }
        if is_path(&invocation.path, &["futures", "select"]) {
            let message = "futures::select polls in random order; write futures::select_biased";
            self.report(invocation.path.span(), message);
        }
        visit::visit_macro(self, invocation);
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.see_unsafe(Some(block.unsafe_token.span));
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.see_unsafe(signature.unsafety.map(|token| token.span));
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.see_unsafe(item.unsafety.map(|token| token.span));
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.see_unsafe(item.unsafety.map(|token| token.span));
        visit::visit_item_trait(self, item);
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast syn::ItemForeignMod) {
        self.see_unsafe(Some(item.span()));
        visit::visit_item_foreign_mod(self, item);
    }
}

fn is_path(path: &syn::Path, words: &[&str]) -> bool {
    path.segments.len() == words.len()
        && path
            .segments
            .iter()
            .zip(words)
            .all(|(segment, word)| segment.ident == word)
}

/// The words that a `use` tree can begin with.
fn first_words(tree: &syn::UseTree) -> Vec<&syn::Ident> {
    match tree {
        syn::UseTree::Path(path) => vec![&path.ident],
        syn::UseTree::Name(name) => vec![&name.ident],
        syn::UseTree::Rename(rename) => vec![&rename.ident],
        syn::UseTree::Group(group) => group.items.iter().flat_map(first_words).collect(),
        syn::UseTree::Glob(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{check, check_with};
    use crate::tidy::finding::{Finding, reports};
    use crate::tidy::repository::Source;

    fn check_text(text: &str) -> Vec<Finding> {
        check(&Source::parse("crates/state/src/store.rs", text).unwrap())
    }

    #[test]
    fn a_fourth_type_parameter_is_reported() {
        assert!(check_text("struct Store<'a, A, B, C, const N: usize>(A);").is_empty());
        let findings = check_text("\nstruct Store<A, B, C, D>(A);");
        assert!(reports(
            &findings,
            &["store.rs:2: 4 type parameters, at most 3"]
        ));
        assert_eq!(check_text("fn read<A, B, C, D>() {}").len(), 1);
        assert_eq!(check_text("impl<A, B, C, D> Store<A, B, C, D> {}").len(), 1);
        assert_eq!(
            check_text("impl Store { fn read<A, B, C, D>() {} }").len(),
            1
        );
        assert_eq!(check_text("trait Read { type Out<A, B, C, D>; }").len(), 1);
    }

    #[test]
    fn a_macro_of_our_own_is_reported() {
        let findings = check_text("macro_rules! twice { () => {} }");
        assert!(reports(&findings, &["a macro of our own"]));
        assert!(check_text("thread_local! { static A: u8 = 1; }").is_empty());
    }

    #[test]
    fn unsafe_in_any_position_is_reported() {
        for text in [
            "fn read() { unsafe { go() } }",
            "unsafe fn read() {}",
            "unsafe impl Send for Store {}",
            "unsafe trait Raw {}",
            "unsafe extern \"C\" { fn read(); }",
            "fn read() { vec![unsafe { go() }]; }",
        ] {
            assert!(reports(&check_text(text), &["`unsafe` outside"]), "{text}");
        }
    }

    #[test]
    fn unsafe_is_allowed_at_its_one_address() {
        let homes = [("state", "crates/state/src/page.rs")];
        let text = "fn read() { unsafe { go() } }";
        let page = Source::parse("crates/state/src/page.rs", text).unwrap();
        let store = Source::parse("crates/state/src/store.rs", text).unwrap();
        assert!(check_with(&page, &homes).is_empty());
        assert_eq!(check_with(&store, &homes).len(), 1);
    }

    #[test]
    fn tokio_beyond_its_channels_is_reported_in_the_simulation() {
        for text in [
            "use tokio::time::sleep;",
            "use tokio::{sync::Notify, net};",
            "fn read() { tokio::task::spawn_blocking(go); }",
            "#[tokio::test] fn read() {}",
        ] {
            assert!(
                reports(&check_text(text), &["escapes the simulation"]),
                "{text}"
            );
            let rpc = Source::parse("crates/rpc/src/server.rs", text).unwrap();
            assert!(check(&rpc).is_empty(), "{text}");
        }
        assert!(check_text("use tokio::sync::{Notify, mpsc};").is_empty());
    }

    #[test]
    fn a_select_in_random_order_is_reported() {
        let unbiased = check_text("fn read() { tokio::select! { _ = a => {} } }");
        assert!(reports(&unbiased, &["begin with `biased;`"]));
        let futures = check_text("fn read() { futures::select! { _ = a => {} } }");
        assert!(reports(&futures, &["write futures::select_biased"]));
        assert!(check_text("fn read() { tokio::select! { biased; _ = a => {} } }").is_empty());
    }
}
