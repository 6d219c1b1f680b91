//! No file grows beyond what one reads in one sitting.
//!
//! A source file is measured without its inline `#[cfg(test)]` modules; a file of tests as it is.

use syn::Item;
use syn::spanned::Spanned;

use crate::tidy::finding::Finding;
use crate::tidy::repository::Source;
use crate::tidy::tables::{SOURCE_LINES_MAX, TEST_LINES_MAX};

/// Files over their limit.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let (lines, lines_max, what) = if source.is_tests() {
        (source.text.lines().count(), TEST_LINES_MAX, "test lines")
    } else {
        let lines = source.text.lines().count() - inline_test_lines(source);
        (lines, SOURCE_LINES_MAX, "lines before its tests")
    };
    if lines <= lines_max {
        return Vec::new();
    }
    let message = format!("has {lines} {what}, at most {lines_max}; split it by its nouns");
    vec![Finding::new(&source.path, lines_max + 1, message)]
}

fn inline_test_lines(source: &Source) -> usize {
    let modules = source.syntax.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_some() => Some(module),
        _ => None,
    });
    modules
        .filter(|module| module.attrs.iter().any(is_cfg_test))
        .map(|module| module.span().end().line - module.span().start().line + 1)
        .sum()
}

/// `#[cfg(test)]` or `#[cfg(all(test, …))]`.
fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    let syn::Meta::List(list) = &attribute.meta else {
        return false;
    };
    let condition = list.tokens.to_string().replace(' ', "");
    list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::finding::reports;
    use crate::tidy::repository::Source;

    fn check_lines(path: &str, lines: usize, rest: &str) -> Vec<crate::tidy::finding::Finding> {
        let text = format!(
            "//! A file.\n{}{rest}",
            "const _: () = ();\n".repeat(lines - 1)
        );
        check(&Source::parse(path, &text).unwrap())
    }

    #[test]
    fn a_long_source_is_reported() {
        assert!(check_lines("crates/state/src/store.rs", 500, "").is_empty());
        let findings = check_lines("crates/state/src/store.rs", 501, "");
        assert!(reports(
            &findings,
            &["store.rs:501: has 501 lines before its tests"]
        ));
    }

    #[test]
    fn inline_tests_do_not_count_but_code_after_them_does() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(100));
        assert!(check_lines("crates/state/src/store.rs", 500, &tests).is_empty());
        let code_after = format!("{tests}const A: u8 = 1;\n");
        let findings = check_lines("crates/state/src/store.rs", 500, &code_after);
        assert!(reports(&findings, &["has 501 lines"]));
        let not_tests = tests.replace("cfg(test)", "cfg(not(test))");
        assert_eq!(
            check_lines("crates/state/src/store.rs", 500, &not_tests).len(),
            1
        );
    }

    #[test]
    fn a_long_test_file_is_reported() {
        assert!(check_lines("crates/state/src/store/tests.rs", 800, "").is_empty());
        let findings = check_lines("crates/state/src/store/tests.rs", 801, "");
        assert!(reports(&findings, &["has 801 test lines"]));
        assert_eq!(
            check_lines("crates/testkit/tests/simulation/crash.rs", 801, "").len(),
            1
        );
    }
}
