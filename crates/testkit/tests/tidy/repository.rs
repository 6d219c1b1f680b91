//! Reads the tree: manifests as TOML, sources as syntax, everything else as text.
//!
//! Paths in findings are relative to the root and use `/`. What a `.gitignore` names is not read; of its patterns
//! `name`, `name/`, `/name` and `*.ending` are understood. Nothing is asked of git, so an unpacked archive is
//! checked as well.

use std::fs;
use std::path::Path;

use crate::tidy::finding::Finding;
use crate::tidy::tables::TEXT_BYTES_MAX;

/// What is never ours, whatever the ignore files say.
const SKIPPED: &[&str] = &[".git", "node_modules"];

/// The whole tree, read once.
#[derive(Default)]
pub(crate) struct Repository {
    pub(crate) manifests: Vec<Manifest>,
    pub(crate) sources: Vec<Source>,
    pub(crate) texts: Vec<Text>,
    pub(crate) findings: Vec<Finding>,
}

/// A `Cargo.toml`.
#[derive(Debug)]
pub(crate) struct Manifest {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) table: toml::Table,
}

/// A Rust file.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) syntax: syn::File,
}

/// A file of readable text, manifests and sources included.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Repository {
    pub(crate) fn read(root: &Path) -> Self {
        let mut repository = Self::default();
        repository.walk(root, "", &[]);
        repository
    }

    fn walk(&mut self, folder: &Path, prefix: &str, ignored: &[String]) {
        let mut ignored = ignored.to_vec();
        ignored.extend(ignore_patterns(folder, prefix));
        let entries = fs::read_dir(folder).expect("the folder was listed a moment ago");
        let mut entries: Vec<_> = entries
            .map(|entry| entry.expect("a readable entry"))
            .collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().expect("a file type");
            let path = format!("{prefix}{name}");
            if SKIPPED.contains(&name.as_str())
                || ignored.iter().any(|pattern| matches(pattern, &path))
            {
                continue;
            }
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"), &ignored);
            } else if kind.is_file() {
                self.read_file(&entry.path(), path);
            }
        }
    }

    fn read_file(&mut self, file: &Path, path: String) {
        let size = fs::metadata(file).map_or(0, |metadata| metadata.len());
        if size > TEXT_BYTES_MAX {
            return;
        }
        // Not UTF-8, or removed since it was listed: nothing to check.
        let Ok(text) = fs::read_to_string(file) else {
            return;
        };
        let parsed = match path.rsplit('/').next() {
            Some("Cargo.toml") => {
                Manifest::parse(&path, &text).map(|manifest| self.manifests.push(manifest))
            }
            Some(name) if name.ends_with(".rs") => {
                Source::parse(&path, &text).map(|source| self.sources.push(source))
            }
            _ => Ok(()),
        };
        self.findings.extend(parsed.err());
        self.texts.push(Text { path, text });
    }
}

impl Manifest {
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, Finding> {
        let table = text.parse().map_err(|error: toml::de::Error| {
            Finding::new(path, 1, format!("is not TOML: {}", error.message()))
        })?;
        Ok(Self {
            path: path.to_owned(),
            text: text.to_owned(),
            table,
        })
    }

    /// The folder of the manifest, with a `/` at its end unless it is the root.
    pub(crate) fn folder(&self) -> &str {
        self.path
            .strip_suffix("Cargo.toml")
            .expect("every manifest has this name")
    }

    /// The name of the crate under `crates/`, if this manifest is one.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        crate_name(&self.path)
    }
}

impl Source {
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, Finding> {
        let syntax = syn::parse_file(text).map_err(|error| {
            let line = error.span().start().line;
            Finding::new(path, line, format!("does not parse as Rust: {error}"))
        })?;
        Ok(Self {
            path: path.to_owned(),
            text: text.to_owned(),
            syntax,
        })
    }

    /// The name of the crate under `crates/` that the file belongs to.
    pub(crate) fn crate_name(&self) -> Option<&str> {
        crate_name(&self.path)
    }

    /// Whether the file holds nothing but tests: in a `tests` folder, or named `tests.rs` or `…_tests.rs`.
    pub(crate) fn is_tests(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
    }
}

/// The patterns of the folder's ignore file; those that name a place are made relative to the root.
fn ignore_patterns(folder: &Path, prefix: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(".gitignore")).unwrap_or_default();
    let lines = text.lines().map(|line| line.trim().trim_end_matches('/'));
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| match line.strip_prefix('/') {
            Some(place) => format!("/{prefix}{place}"),
            None => line.to_owned(),
        })
        .collect()
}

fn matches(pattern: &str, path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    if let Some(place) = pattern.strip_prefix('/') {
        return path == place;
    }
    pattern
        .strip_prefix('*')
        .is_some_and(|ending| name.ends_with(ending))
        || name == pattern
}

fn crate_name(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?
        .split_once('/')
        .map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::{Manifest, Repository, Source, crate_name, matches};
    use crate::tidy::finding::reports;
    use std::path::Path;

    #[test]
    fn a_broken_file_is_reported() {
        let source = Source::parse("crates/state/src/store.rs", "fn ok() {}\nfn broken( {}\n");
        assert!(reports(
            &[source.err().unwrap()],
            &["store.rs:2: does not parse"]
        ));
        let manifest = Manifest::parse("Cargo.toml", "[package\n");
        assert!(reports(&[manifest.err().unwrap()], &["is not TOML"]));
    }

    #[test]
    fn this_very_file_is_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let repository = Repository::read(&root);
        let ours = "crates/testkit/tests/tidy/repository.rs";
        assert!(repository.sources.iter().any(|source| source.path == ours));
        assert!(
            repository
                .manifests
                .iter()
                .any(|manifest| manifest.path == "Cargo.toml")
        );
        assert!(
            repository
                .texts
                .iter()
                .any(|text| text.path == "clippy.toml")
        );
        assert!(
            !repository
                .texts
                .iter()
                .any(|text| text.path.starts_with("target/"))
        );
    }

    #[test]
    fn ignored_files_are_skipped_and_no_others() {
        for (pattern, path) in [
            ("build", "clients/build"),
            ("*.log", "clients/run.log"),
            ("/target", "target"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("build", "clients/rebuild"),
            ("*.log", "logs"),
            ("/target", "crates/target"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn paths_name_their_crate() {
        assert_eq!(crate_name("crates/state/src/store.rs"), Some("state"));
        assert_eq!(crate_name("fuzz/src/main.rs"), None);
        let tests = Source::parse("crates/state/src/store/tests.rs", "").unwrap();
        let source = Source::parse("crates/state/src/store.rs", "").unwrap();
        assert!(tests.is_tests() && !source.is_tests());
    }
}
