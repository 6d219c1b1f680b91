//! The rules of the repository that neither the compiler nor clippy enforces, as a test.
//!
//! ```text
//! Cargo.toml files ─▶ manifests
//! *.rs files ───────▶ sizes, headers, reach, items, glossary, benches ─▶ [Finding] ─▶ one failing test
//! every text file ──▶ texts, scenarios                                             with the whole list
//! ```
//!
//! Every check is a pure function from parsed files to findings, and every check has a test that feeds it a
//! violation: a check that cannot fail is a defect. The rules' numbers and tables are in [`tables`].
//!
//! Limits: a name made by a macro is not seen; files over `TEXT_BYTES_MAX` are not read.

mod benches;
mod finding;
mod glossary;
mod headers;
mod items;
mod manifests;
mod reach;
mod repository;
mod scenarios;
mod sizes;
mod tables;
mod texts;

use std::path::Path;

use finding::Finding;
use repository::{Repository, Source};

/// Every finding of every check over the tree under `root`, in file order.
pub(crate) fn check(root: &Path) -> Vec<Finding> {
    let Repository {
        manifests,
        sources,
        texts,
        mut findings,
    } = Repository::read(root);
    findings.extend(manifests::check(&manifests));
    findings.extend(reach::check(&manifests, &sources));
    findings.extend(texts.iter().flat_map(texts::check));
    findings.extend(scenarios::check(&texts, &sources));
    findings.extend(sources.iter().flat_map(check_source));
    findings.sort();
    findings.dedup();
    findings
}

fn check_source(source: &Source) -> Vec<Finding> {
    let mut findings = sizes::check(source);
    findings.extend(headers::check(source));
    findings.extend(items::check(source));
    findings.extend(glossary::check(source));
    findings.extend(benches::check(source));
    findings
}

#[test]
fn repository_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let findings = check(&root);
    let list: String = findings
        .iter()
        .map(|finding| format!("{finding}\n"))
        .collect();
    assert!(findings.is_empty(), "{} findings\n\n{list}", findings.len());
}
