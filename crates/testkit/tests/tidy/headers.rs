//! Every file says at its top what it is for, and no module hides in a `mod.rs`.

use crate::tidy::finding::Finding;
use crate::tidy::repository::Source;

/// Files without a `//!` header, and files named `mod.rs`.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !has_header(source) {
        let message = "has no `//!` header; say what the module does, its invariant and its limits";
        findings.push(Finding::new(&source.path, 1, message));
    }
    if let Some(folder) = source.path.strip_suffix("/mod.rs") {
        let message =
            format!("is a mod.rs; name it {folder}.rs and keep the folder for its children");
        findings.push(Finding::new(&source.path, 1, message));
    }
    findings
}

/// A `//!` line with words in it; in `lib.rs`, `#![doc = include_str!(…)]` as well.
fn has_header(source: &Source) -> bool {
    let is_lib = source.path.ends_with("/lib.rs");
    source
        .syntax
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("doc"))
        .filter_map(|attribute| attribute.meta.require_name_value().ok())
        .any(|doc| match &doc.value {
            syn::Expr::Lit(literal) => match &literal.lit {
                syn::Lit::Str(words) => words.value().contains(char::is_alphabetic),
                _ => false,
            },
            syn::Expr::Macro(include) => is_lib && include.mac.path.is_ident("include_str"),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::finding::reports;
    use crate::tidy::repository::Source;

    fn check_text(path: &str, text: &str) -> Vec<crate::tidy::finding::Finding> {
        check(&Source::parse(path, text).unwrap())
    }

    #[test]
    fn a_missing_header_is_reported() {
        let bare = check_text("crates/state/src/store.rs", "fn store() {}\n");
        assert!(reports(&bare, &["store.rs:1: has no `//!` header"]));
        let empty = check_text("crates/state/src/store.rs", "//!\nfn store() {}\n");
        assert!(reports(&empty, &["has no `//!` header"]));
        let outer = check_text(
            "crates/state/src/store.rs",
            "/// The store.\nfn store() {}\n",
        );
        assert!(reports(&outer, &["has no `//!` header"]));
        let included = check_text(
            "crates/state/src/store.rs",
            "#![doc = include_str!(\"store.md\")]\n",
        );
        assert!(reports(&included, &["has no `//!` header"]));
    }

    #[test]
    fn a_header_is_enough() {
        assert!(
            check_text(
                "crates/state/src/store.rs",
                "//! The store.\nfn store() {}\n"
            )
            .is_empty()
        );
        assert!(
            check_text(
                "crates/state/src/lib.rs",
                "#![doc = include_str!(\"../README.md\")]\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn a_mod_file_is_reported() {
        let findings = check_text("crates/state/src/store/mod.rs", "//! The store.\n");
        assert!(reports(&findings, &["name it crates/state/src/store.rs"]));
    }
}
