//! Every Rust file of a package is compiled: a crate root leads to it through `mod` declarations.
//!
//! ```text
//! Cargo.toml ─▶ roots (lib, main, [[bin]], [[test]], benches, examples, build.rs)
//!            ─▶ mod a; ─▶ a.rs ─▶ mod b; ─▶ a/b.rs …     files never visited are dead
//! ```

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, ItemMod};

use crate::tidy::finding::Finding;
use crate::tidy::repository::{Manifest, Source};

/// Files of packages that no crate root reaches.
pub(crate) fn check(manifests: &[Manifest], sources: &[Source]) -> Vec<Finding> {
    let by_path: BTreeMap<&str, &Source> = sources
        .iter()
        .map(|source| (source.path.as_str(), source))
        .collect();
    let packages: Vec<_> = manifests
        .iter()
        .filter(|manifest| manifest.table.contains_key("package"))
        .collect();
    let mut reached = BTreeSet::new();
    for manifest in &packages {
        for root in roots(manifest, &by_path) {
            follow(root, &by_path, &mut reached);
        }
    }
    sources
        .iter()
        .filter(|source| {
            packages
                .iter()
                .any(|manifest| source.path.starts_with(manifest.folder()))
        })
        .filter(|source| !reached.contains(&source.path))
        .map(|source| {
            Finding::new(
                &source.path,
                1,
                "no crate root leads here; declare it with `mod` or delete it",
            )
        })
        .collect()
}

/// The crate roots of a package: those the manifest names and those cargo finds by itself.
fn roots(manifest: &Manifest, by_path: &BTreeMap<&str, &Source>) -> Vec<String> {
    let folder = manifest.folder();
    let package = manifest.table.get("package");
    let finds = |key| {
        package
            .and_then(|package| package.get(key)?.as_bool())
            .unwrap_or(true)
    };
    let mut roots: Vec<String> = ["src/lib.rs", "src/main.rs", "build.rs"]
        .map(|file| format!("{folder}{file}"))
        .into();
    for key in ["lib", "bin", "test", "bench", "example"] {
        let targets = match manifest.table.get(key) {
            Some(toml::Value::Array(targets)) => targets.as_slice(),
            Some(target) => std::slice::from_ref(target),
            None => &[],
        };
        let paths = targets
            .iter()
            .filter_map(|target| target.get("path")?.as_str());
        roots.extend(paths.map(|path| format!("{folder}{path}")));
    }
    for (key, place) in [
        ("autobins", "src/bin/"),
        ("autotests", "tests/"),
        ("autobenches", "benches/"),
        ("autoexamples", "examples/"),
    ] {
        let place = format!("{folder}{place}");
        let files = by_path
            .keys()
            .filter_map(|path| Some((*path, path.strip_prefix(&place)?)));
        let found = files
            .filter(|(_, rest)| is_target(rest))
            .map(|(path, _)| path.to_owned());
        roots.extend(found.filter(|_| finds(key)));
    }
    roots
}

/// `name.rs` or `name/main.rs`, relative to the folder of the targets.
fn is_target(rest: &str) -> bool {
    match rest.split_once('/') {
        None => true,
        Some((_, inner)) => inner == "main.rs",
    }
}

fn follow(root: String, by_path: &BTreeMap<&str, &Source>, reached: &mut BTreeSet<String>) {
    let mut waiting = vec![(root, true)];
    // The children of a crate root, and of a file with a path of its own, stand beside it.
    while let Some((path, is_root)) = waiting.pop() {
        let Some(source) = by_path.get(path.as_str()) else {
            continue;
        };
        if !reached.insert(path.clone()) {
            continue;
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let children = if is_root || name == "mod.rs" {
            folder.to_owned()
        } else {
            path.trim_end_matches(".rs").to_owned()
        };
        declared(&source.syntax.items, folder, &children, &mut waiting);
    }
}

/// Adds the files that the items' `mod` declarations may mean.
fn declared(items: &[Item], folder: &str, children: &str, waiting: &mut Vec<(String, bool)>) {
    let modules = items.iter().filter_map(|item| match item {
        Item::Mod(module) => Some(module),
        _ => None,
    });
    for module in modules {
        let name = syn::ext::IdentExt::unraw(&module.ident).to_string();
        match (&module.content, path_attribute(module)) {
            (Some((_, inner)), _) => {
                declared(inner, folder, &format!("{children}/{name}"), waiting);
            }
            (None, Some(path)) => waiting.push((normal(&format!("{folder}/{path}")), true)),
            (None, None) => {
                waiting.push((format!("{children}/{name}.rs"), false));
                waiting.push((format!("{children}/{name}/mod.rs"), false));
            }
        }
    }
}

fn path_attribute(module: &ItemMod) -> Option<String> {
    let attribute = module
        .attrs
        .iter()
        .find(|attribute| attribute.path().is_ident("path"))?;
    match &attribute.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(path),
            ..
        }) => Some(path.value()),
        _ => None,
    }
}

/// The path without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::finding::{Finding, reports};
    use crate::tidy::repository::{Manifest, Source};

    fn check_files(manifest: &str, files: &[(&str, &str)]) -> Vec<Finding> {
        let text = format!("[package]\nname = \"state\"\n{manifest}");
        let manifest = Manifest::parse("crates/state/Cargo.toml", &text).unwrap();
        let sources: Vec<_> = files
            .iter()
            .map(|(path, text)| Source::parse(&format!("crates/state/{path}"), text).unwrap())
            .collect();
        check(&[manifest], &sources)
    }

    #[test]
    fn an_undeclared_file_is_reported() {
        let findings = check_files(
            "",
            &[
                ("src/lib.rs", "mod store;"),
                ("src/store.rs", ""),
                ("src/dead.rs", ""),
            ],
        );
        assert!(reports(
            &findings,
            &["crates/state/src/dead.rs:1: no crate root leads here"]
        ));
    }

    #[test]
    fn a_child_in_the_wrong_folder_is_reported() {
        let findings = check_files(
            "",
            &[
                ("src/lib.rs", "mod store;"),
                ("src/store.rs", "mod page;"),
                ("src/page.rs", ""),
            ],
        );
        assert!(reports(&findings, &["src/page.rs"]));
    }

    #[test]
    fn declared_files_are_reached() {
        let files = [
            (
                "src/lib.rs",
                "mod store; mod outer { mod inner; } #[path = \"odd/place.rs\"] mod odd;",
            ),
            ("src/store.rs", "#[cfg(test)] mod tests;"),
            ("src/store/tests.rs", ""),
            ("src/outer/inner.rs", ""),
            ("src/odd/place.rs", "mod beside;"),
            ("src/odd/beside.rs", ""),
            ("src/bin/tool.rs", ""),
            ("benches/read.rs", ""),
            ("build.rs", ""),
        ];
        assert!(check_files("", &files).is_empty());
    }

    #[test]
    fn a_test_file_beside_the_one_test_binary_is_reported() {
        let manifest = "autotests = false\n[[test]]\nname = \"state\"\npath = \"tests/main.rs\"\n";
        let files = [
            ("src/lib.rs", ""),
            ("tests/main.rs", "mod crash;"),
            ("tests/crash.rs", ""),
            ("tests/lost.rs", ""),
        ];
        assert!(reports(&check_files(manifest, &files), &["tests/lost.rs"]));
        assert!(check_files("", &files).is_empty());
    }
}
