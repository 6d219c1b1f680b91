//! One broken rule at one place: `file:line: what is wrong, what to do`.

use std::fmt;

/// A rule broken at a place. Ordered by file and line, so that a sorted list reads like a compiler's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// True if exactly the given parts occur, one finding each, in order. For the checks' own tests.
pub(crate) fn reports(findings: &[Finding], parts: &[&str]) -> bool {
    findings.len() == parts.len()
        && findings
            .iter()
            .zip(parts)
            .all(|(finding, part)| finding.to_string().contains(part))
}

#[test]
fn a_finding_prints_like_a_compiler_message() {
    let finding = Finding::new("crates/state/src/store.rs", 7, "too long; split it");
    assert_eq!(
        finding.to_string(),
        "crates/state/src/store.rs:7: too long; split it"
    );
    assert!(reports(std::slice::from_ref(&finding), &["store.rs:7"]));
    assert!(!reports(&[finding], &[]));
}
