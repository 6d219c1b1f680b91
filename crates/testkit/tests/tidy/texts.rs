//! What must not stand in any text file: the paths of somebody's machine, and private package hosts.
//!
//! The patterns are put together from parts here, so that this file does not report itself.

use crate::tidy::finding::Finding;
use crate::tidy::repository::Text;

/// First folders of absolute paths that exist on one person's or one build's machine only.
const MACHINE_ROOTS: &[&str] = &[
    "root",
    "home",
    "Users",
    "work",
    "workspace",
    "workspaces",
    "builds",
    "mnt",
];

/// Where packages may come from.
const PACKAGE_HOSTS: &[&str] = &[
    "github.com",
    "registry.npmjs.org",
    "pypi.org",
    "files.pythonhosted.org",
];

/// How a lock file's line says where a package comes from. Other lines name home pages and sponsors.
const FETCHES: &[&str] = &["resolved", "source =", "registry", "url ="];

/// Absolute machine paths, and lock files that point elsewhere than to the public package hosts.
pub(crate) fn check(text: &Text) -> Vec<Finding> {
    let is_lock = is_lock_file(&text.path);
    let mut findings = Vec::new();
    for (index, line) in text.text.lines().enumerate() {
        if let Some(path) = machine_path(line) {
            let message = format!("{path}… is a path of one machine; make it relative");
            findings.push(Finding::new(&text.path, index + 1, message));
        }
        if let Some(host) = package_host(line).filter(|_| is_lock) {
            let message = format!("packages from {host}; resolve them from the public host");
            findings.push(Finding::new(&text.path, index + 1, message));
        }
    }
    findings
}

fn is_lock_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".lock")
        || name.ends_with("-lock.json")
        || name.ends_with("-lock.yaml")
        || name == ".npmrc"
}

/// The start of an absolute path below one of the machine roots.
fn machine_path(line: &str) -> Option<String> {
    MACHINE_ROOTS.iter().find_map(|root| {
        let windows = format!(":\\{root}\\");
        let unix = format!("/{root}/");
        let found = line.match_indices(&unix).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + unix.len()..].chars().next();
            before.is_none_or(starts_a_path)
                && after.is_some_and(|after| after.is_alphanumeric() || after == '.')
        });
        (found || line.contains(&windows)).then_some(unix)
    })
}

/// Whether a path can begin after this character. After a letter, a dot or a brace it is the rest of a longer one.
fn starts_a_path(before: char) -> bool {
    !(before.is_alphanumeric() || "._-/~})]*$@".contains(before))
}

/// The host a lock file's line fetches from, if it is not a public one.
fn package_host(line: &str) -> Option<&str> {
    let fetches = FETCHES.iter().any(|key| line.contains(key));
    let (_, rest) = line.split_once("://")?;
    let host = rest.split(['/', '"', '\'', '?', '#']).next()?;
    let foreign = fetches && !PACKAGE_HOSTS.contains(&host);
    foreign.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::{MACHINE_ROOTS, check};
    use crate::tidy::finding::{Finding, reports};
    use crate::tidy::repository::Text;

    fn check_line(path: &str, line: &str) -> Vec<Finding> {
        check(&Text {
            path: path.to_owned(),
            text: format!("first\n{line}\n"),
        })
    }

    #[test]
    fn a_machine_path_is_reported() {
        for root in MACHINE_ROOTS {
            for line in [
                format!("see /{root}/someone/file"),
                format!("\"/{root}/x\""),
                format!("file:///{root}/x").replace("///", "=/"),
                format!("C:\\{root}\\x"),
            ] {
                assert!(
                    reports(&check_line("README.md", &line), &["README.md:2: /"]),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn other_paths_are_not() {
        for line in [
            "https://example.org/home/page",
            "src/work/item",
            "./root/x",
            "GET /health",
            "/home/",
            "/tmp/x",
        ] {
            assert!(check_line("README.md", line).is_empty(), "{line}");
        }
    }

    #[test]
    fn a_private_package_host_is_reported() {
        let private = "\"resolved\": \"https://packages.example.org/viem.tgz\"";
        let findings = check_line("clients/package-lock.json", private);
        assert!(reports(&findings, &["packages from packages.example.org"]));
        assert!(check_line("clients/package.json", private).is_empty());
        let public = "\"resolved\": \"https://registry.npmjs.org/viem.tgz\"";
        assert!(check_line("clients/package-lock.json", public).is_empty());
        let sponsor = "\"url\": \"https://sponsors.example.org\"";
        assert!(check_line("clients/package-lock.json", sponsor).is_empty());
        let cargo = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        assert!(check_line("Cargo.lock", cargo).is_empty());
    }
}
