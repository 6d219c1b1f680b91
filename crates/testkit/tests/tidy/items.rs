//! What an item may look like: few type parameters, no macros of our own, `unsafe` only at its one address.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::tidy::finding::Finding;
use crate::tidy::repository::Source;
use crate::tidy::tables::{TYPE_PARAMETERS_MAX, UNSAFE_HOMES};

/// Items with too many type parameters, `macro_rules!`, and `unsafe` outside the listed modules.
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
        findings: Vec::new(),
    };
    walk.visit_file(&source.syntax);
    walk.findings
}

struct Walk<'a> {
    path: &'a str,
    may_be_unsafe: bool,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn report(&mut self, span: Span, message: impl Into<String>) {
        self.findings.push(Finding::new(self.path, span.start().line, message));
    }

    fn see_unsafe(&mut self, span: Option<Span>) {
        if let Some(span) = span.filter(|_| !self.may_be_unsafe) {
            let message = "`unsafe` outside the crate's reviewed module; use a safe form or list it in UNSAFE_HOMES";
            self.report(span, message);
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
            let message = format!("{count} type parameters, at most {TYPE_PARAMETERS_MAX}; make some of them concrete");
            self.report(generics.span(), message);
        }
        visit::visit_generics(self, generics);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        if item.mac.path.is_ident("macro_rules") {
            self.report(item.mac.path.span(), "a macro of our own; write a function or repeat yourself");
        }
        visit::visit_item_macro(self, item);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        self.see_tokens(invocation.tokens.clone());
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
        assert!(reports(&findings, &["store.rs:2: 4 type parameters, at most 3"]));
        assert_eq!(check_text("fn read<A, B, C, D>() {}").len(), 1);
        assert_eq!(check_text("impl<A, B, C, D> Store<A, B, C, D> {}").len(), 1);
        assert_eq!(check_text("impl Store { fn read<A, B, C, D>() {} }").len(), 1);
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
}
