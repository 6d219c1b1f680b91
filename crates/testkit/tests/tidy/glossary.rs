//! One word per idea: the words of GLOSSARY.md's "do not say" table may not occur in a name we declare.
//!
//! ```text
//! declared name ─split at _ and capitals─▶ words ─▶ BANNED phrase in a row? ─▶ ALLOWED here? ─▶ finding
//! ```
//!
//! Names that a foreign trait dictates (everything declared in `impl Trait for …`) are not ours. Local
//! variables are not looked at.

use std::iter;

use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Ident, ImplItem};

use crate::tidy::finding::Finding;
use crate::tidy::repository::Source;

/// A phrase that must not occur as whole words, and what to say instead.
const BANNED: &[(&[&str], &str)] = &[
    (
        &["committed"],
        "finalized (the order) or executed (the result)",
    ),
    (
        &["confirmed"],
        "finalized (the order) or executed (the result)",
    ),
    (
        &["safe", "head"],
        "the stage: finalized, executed or verified",
    ),
    (
        &["tip"],
        "the stage: finalized_height, executed_height, verified_height",
    ),
    (&["validate"], "check"),
    (&["erasure", "shard"], "chunk"),
    (&["data", "shard"], "chunk"),
    (&["parity", "shard"], "chunk"),
    (&["qc"], "notarization"),
    (&["pov"], "witness"),
    (&["slot"], "view, or storage_slot if it is one"),
    (&["manager"], "the thing's own name"),
    (&["handler"], "the thing's own name"),
    (&["helper"], "the thing's own name"),
    (&["util"], "the thing's own name"),
    (&["context"], "the thing's own name"),
    (&["data"], "the thing's own name"),
    (&["info"], "the thing's own name"),
];

/// Where a banned word is the right one after all.
enum Allowed {
    /// In these crates.
    Crates(&'static [&'static str]),
    /// Beside one of these words in the same name.
    Beside(&'static [&'static str]),
    /// As one of these whole names.
    Names(&'static [&'static str]),
}

/// A banned word, where it may stand, and why.
const ALLOWED: &[(&str, Allowed, &str)] = &[
    (
        "slot",
        Allowed::Crates(&["state", "executor", "rpc", "testkit"]),
        "a storage slot is Ethereum's word; these crates know no consensus slot",
    ),
    (
        "slot",
        Allowed::Beside(&["storage"]),
        "a storage slot is Ethereum's word",
    ),
    (
        "data",
        Allowed::Beside(&["dir", "directory", "Directory"]),
        "the field's name for where a node stores: `--data-dir`",
    ),
    (
        "context",
        Allowed::Names(&["context", "Context", "ProposalContext", "genesis_context"]),
        "the runtime's context, and commonware's consensus context (round, leader, parent) in a header",
    ),
    (
        "tip",
        Allowed::Beside(&["fee", "gas", "effective", "priority", "segment", "shard"]),
        "the priority fee of a transaction; the last candidate of a shard's segment",
    ),
    (
        "tip",
        Allowed::Crates(&["executor"]),
        "what a transaction gives the fee receiver is its tip; the executor knows no chain",
    ),
    (
        "tip",
        Allowed::Crates(&["shards"]),
        "rule R1: the last candidate of a shard's unincluded segment",
    ),
    (
        "committed",
        Allowed::Crates(&["executor"]),
        "Block-STM: the longest validated prefix of a block is committed",
    ),
    (
        "validate",
        Allowed::Crates(&["executor"]),
        "Block-STM: re-checking an incarnation's read set is validation",
    ),
    (
        "data",
        Allowed::Crates(&["rpc"]),
        "Ethereum JSON-RPC names the call input and the payload of a log `data`",
    ),
    (
        "data",
        Allowed::Beside(&["typed", "call", "log"]),
        "EIP-712 typed data, call data and log data are Ethereum's words",
    ),
];

/// Declared names that contain a banned word.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut walk = Walk {
        source,
        findings: Vec::new(),
    };
    let stem = source
        .path
        .rsplit('/')
        .next()
        .and_then(|name| name.strip_suffix(".rs"));
    walk.see_name(stem.unwrap_or_default(), 1);
    walk.visit_file(&source.syntax);
    walk.findings
}

struct Walk<'a> {
    source: &'a Source,
    findings: Vec<Finding>,
}

impl Walk<'_> {
    fn see(&mut self, name: &Ident) {
        self.see_name(&name.unraw().to_string(), name.span().start().line);
    }

    fn see_name(&mut self, name: &str, line: usize) {
        let words = words(name);
        for (phrase, say) in BANNED {
            let said = words.windows(phrase.len()).any(|said| same(said, phrase));
            if said && !is_allowed(self.source.crate_name(), name, &words, phrase) {
                let phrase = phrase.join(" ");
                let message = format!("`{name}` says \"{phrase}\"; say {say} (GLOSSARY.md)");
                self.findings
                    .push(Finding::new(&self.source.path, line, message));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if item.trait_.is_none() {
            return visit::visit_item_impl(self, item);
        }
        // The trait chose the names of the items; what their bodies declare is ours again.
        for member in &item.items {
            if let ImplItem::Fn(function) = member {
                self.visit_block(&function.block);
            }
        }
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.see(&signature.ident);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.see(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.see(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.see(&item.ident);
        visit::visit_item_union(self, item);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.see(&variant.ident);
        visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.see(name);
        }
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.see(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_trait_item_type(&mut self, item: &'ast syn::TraitItemType) {
        self.see(&item.ident);
    }

    fn visit_trait_item_const(&mut self, item: &'ast syn::TraitItemConst) {
        self.see(&item.ident);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.see(&item.ident);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.see(&item.ident);
    }

    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.see(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.see(&item.ident);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // A module in a file of its own is seen there, by its file's name.
        if item.content.is_some() {
            self.see(&item.ident);
        }
        visit::visit_item_mod(self, item);
    }

    fn visit_use_rename(&mut self, rename: &'ast syn::UseRename) {
        self.see(&rename.rename);
    }
}

/// `StateRoot`, `state_root` and `STATE_ROOT` are `state`, `root`; `QCVote` is `qc`, `vote`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = None;
    let next = name.chars().skip(1).map(Some).chain(iter::once(None));
    for (c, after) in name.chars().zip(next) {
        let was_lower =
            before.is_some_and(|before: char| before.is_lowercase() || before.is_ascii_digit());
        let ends_capitals =
            before.is_some_and(char::is_uppercase) && after.is_some_and(char::is_lowercase);
        if c == '_' || (c.is_uppercase() && (was_lower || ends_capitals)) {
            words.push(String::new());
        }
        if c != '_' {
            words
                .last_mut()
                .expect("it starts with one")
                .extend(c.to_lowercase());
        }
        before = Some(c);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Word by word, a plural counting as its singular.
fn same(said: &[String], phrase: &[&str]) -> bool {
    let mut pairs = said.iter().zip(phrase);
    pairs.all(|(said, word)| said == word || said.strip_suffix('s') == Some(word))
}

fn is_allowed(crate_name: Option<&str>, name: &str, words: &[String], phrase: &[&str]) -> bool {
    let of_phrase = ALLOWED.iter().filter(|(word, ..)| phrase == [*word]);
    of_phrase
        .map(|(_, allowed, _)| allowed)
        .any(|allowed| match allowed {
            Allowed::Crates(crates) => crate_name.is_some_and(|name| crates.contains(&name)),
            Allowed::Beside(beside) => words.iter().any(|word| beside.contains(&word.as_str())),
            Allowed::Names(names) => names.contains(&name),
        })
}

#[cfg(test)]
mod tests {
    use super::{ALLOWED, BANNED, check, words};
    use crate::tidy::finding::{Finding, reports};
    use crate::tidy::repository::Source;

    fn check_text(path: &str, text: &str) -> Vec<Finding> {
        check(&Source::parse(path, text).unwrap())
    }

    #[test]
    fn names_split_into_words() {
        for (name, expected) in [
            ("state_root", "state root"),
            ("StateRoot", "state root"),
            ("STATE_ROOT", "state root"),
            ("QCVote", "qc vote"),
            ("eip7702Slot", "eip7702 slot"),
            ("metadata", "metadata"),
        ] {
            assert_eq!(words(name).join(" "), expected);
        }
    }

    #[test]
    fn a_banned_word_in_any_declared_name_is_reported() {
        for text in [
            "fn read_data() {}",
            "struct BlockManager;",
            "enum Stage { Committed }",
            "struct Block { qc: u8 }",
            "trait Handler {}",
            "trait Read { type Info; }",
            "trait Read { fn read_pov(&self); }",
            "const SLOT_COUNT: u8 = 1;",
            "impl Block { const TIP: u8 = 1; }",
            "static DATA: u8 = 1;",
            "type ExecutionContext = u8;",
            "mod helpers {}",
            "use crate::read as util;",
            "fn outer() { fn validate() {} }",
            "impl Read for Block { fn read() { struct Info; } }",
            "fn erasure_shards() {}",
        ] {
            assert_eq!(
                check_text("crates/consensus/src/propose.rs", text).len(),
                1,
                "{text}"
            );
        }
        let findings = check_text("crates/consensus/src/propose.rs", "\nfn commit_data() {}");
        assert!(reports(
            &findings,
            &["propose.rs:2: `commit_data` says \"data\"; say the thing's own name"]
        ));
    }

    #[test]
    fn a_file_name_is_a_name() {
        let findings = check_text("crates/rpc/src/helpers.rs", "");
        assert!(reports(
            &findings,
            &["helpers.rs:1: `helpers` says \"helper\""]
        ));
    }

    #[test]
    fn only_whole_words_and_only_our_names_count() {
        for text in [
            "struct Metadata;",
            "fn validation() {}",
            "impl Handler for Block { type Data = u8; fn handler() {} }",
            "use foreign::data;",
            "fn read() { let data = 1; }",
            "fn read(data: u8) {}",
        ] {
            assert!(
                check_text("crates/consensus/src/propose.rs", text).is_empty(),
                "{text}"
            );
        }
    }

    #[test]
    fn allowed_words_are_allowed_only_there() {
        let storage = "struct Account { slot: u8 }";
        assert!(check_text("crates/state/src/store.rs", storage).is_empty());
        assert_eq!(check_text("crates/mempool/src/pool.rs", storage).len(), 1);
        assert!(check_text("crates/mempool/src/pool.rs", "fn storage_slot() {}").is_empty());
        assert!(
            check_text(
                "crates/consensus/src/engine.rs",
                "struct Actor { context: u8 }"
            )
            .is_empty()
        );
        assert_eq!(
            check_text("crates/consensus/src/engine.rs", "fn vote_context() {}").len(),
            1
        );
        assert!(check_text("crates/mempool/src/pool.rs", "fn effective_tip() {}").is_empty());
    }

    #[test]
    fn every_exception_has_a_rule_and_a_reason() {
        for (word, _, reason) in ALLOWED {
            assert!(
                BANNED.iter().any(|(phrase, _)| phrase == &[*word]),
                "{word} is not banned"
            );
            assert!(reason.split(' ').count() > 3, "{word}: say why");
        }
    }
}
