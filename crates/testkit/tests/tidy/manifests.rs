//! Who may depend on whom, read from every `Cargo.toml`.
//!
//! ```text
//! [dependencies], [dev-…], [build-…], [target.….…] ─▶ Dependency ─▶ internal arrow? foreign home? inherited?
//! [workspace.dependencies] ─▶ used at all? within the budget?
//! ```

use std::collections::BTreeSet;

use crate::tidy::finding::Finding;
use crate::tidy::repository::Manifest;
use crate::tidy::tables::{ANY, ARROWS, FEATURES, FOREIGN, FOREIGN_MAX};

/// One entry of a dependency table.
struct Dependency {
    name: String,
    in_tests: bool,
    inherits: bool,
    line: usize,
}

/// Arrows, homes, features, lints and the budget.
pub(crate) fn check(manifests: &[Manifest]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for manifest in manifests {
        let Some(name) = manifest.crate_name() else {
            continue;
        };
        let dependencies = dependencies(manifest);
        findings.extend(check_crate(manifest, name, &dependencies));
        used.extend(dependencies.into_iter().map(|dependency| dependency.name));
    }
    if let Some(root) = manifests
        .iter()
        .find(|manifest| manifest.path == "Cargo.toml")
    {
        findings.extend(check_root(root, &used));
    }
    findings
}

fn check_crate(manifest: &Manifest, name: &str, dependencies: &[Dependency]) -> Vec<Finding> {
    let path = &manifest.path;
    let mut findings = Vec::new();
    let Some((_, arrows)) = ARROWS.iter().find(|(row, _)| *row == name) else {
        let message =
            format!("{name} is not in ARROWS; give it a floor there and in ARCHITECTURE.md");
        return vec![Finding::new(path, 1, message)];
    };
    if string(manifest, "package", "name") != Some(name) {
        let message = format!("the crate's name differs from its folder; call it {name}");
        findings.push(Finding::new(path, line_of(&manifest.text, "name"), message));
    }
    if !inherits(manifest.table.get("lints")) {
        let message = "the workspace's lints do not apply; add `workspace = true` under [lints]";
        findings.push(Finding::new(path, 1, message));
    }
    findings.extend(check_features(manifest));
    for dependency in dependencies {
        let wrong = if ARROWS.iter().any(|(row, _)| *row == dependency.name) {
            check_arrow(name, arrows, dependency)
        } else {
            check_home(name, dependency)
        };
        findings.extend(wrong.map(|message| Finding::new(path, dependency.line, message)));
        if !dependency.inherits {
            let message = format!(
                "{} names its own source; write `workspace = true` and the version in the root",
                dependency.name
            );
            findings.push(Finding::new(path, dependency.line, message));
        }
    }
    findings
}

fn check_arrow(name: &str, arrows: &[&str], dependency: &Dependency) -> Option<String> {
    (!arrows.contains(&dependency.name.as_str())).then(|| {
        format!(
            "{name} must not depend on {}; arrows point strictly down (ARCHITECTURE.md)",
            dependency.name
        )
    })
}

fn check_home(name: &str, dependency: &Dependency) -> Option<String> {
    let foreign = &dependency.name;
    let Some((_, homes, test_homes)) = FOREIGN.iter().find(|(row, _, _)| row == foreign) else {
        return Some(format!(
            "{foreign} is not in FOREIGN; do without it or give it a home in tidy/tables.rs"
        ));
    };
    let is_home = |homes: &[&str]| homes == ANY || homes.contains(&name);
    if is_home(homes) || (dependency.in_tests && is_home(test_homes)) {
        return None;
    }
    Some(format!(
        "{foreign} has no home in {name} (homes: {homes:?}, in tests: {test_homes:?}); ask the crate that owns it"
    ))
}

fn check_features(manifest: &Manifest) -> Vec<Finding> {
    let Some(features) = manifest
        .table
        .get("features")
        .and_then(toml::Value::as_table)
    else {
        return Vec::new();
    };
    features
        .keys()
        .filter(|feature| !FEATURES.contains(&feature.as_str()))
        .map(|feature| {
            let message =
                format!("feature {feature} makes two programs of one; use a value in the config");
            Finding::new(&manifest.path, line_of(&manifest.text, feature), message)
        })
        .collect()
}

fn check_root(root: &Manifest, used: &BTreeSet<String>) -> Vec<Finding> {
    let Some(declared) = root
        .table
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(toml::Value::as_table)
    else {
        return vec![Finding::new(
            &root.path,
            1,
            "has no [workspace.dependencies]; put every version there",
        )];
    };
    let foreign: Vec<_> = declared
        .iter()
        .filter(|(_, value)| value.get("path").is_none())
        .collect();
    let mut findings = Vec::new();
    for (name, value) in &foreign {
        if !used.contains(package_name(name, value)) {
            let message = format!("no crate depends on {name}; remove it");
            findings.push(Finding::new(&root.path, line_of(&root.text, name), message));
        }
    }
    if foreign.len() > FOREIGN_MAX {
        let message = format!(
            "{} foreign crates, at most {FOREIGN_MAX}; drop one, or raise the budget and say why",
            foreign.len()
        );
        findings.push(Finding::new(
            &root.path,
            line_of(&root.text, "[workspace.dependencies]"),
            message,
        ));
    }
    findings
}

/// Every dependency of the manifest, those for one platform included.
fn dependencies(manifest: &Manifest) -> Vec<Dependency> {
    let platforms = manifest.table.get("target").and_then(toml::Value::as_table);
    let platforms = platforms.into_iter().flat_map(toml::Table::values);
    let tables = platforms
        .filter_map(toml::Value::as_table)
        .chain([&manifest.table]);
    let mut dependencies = Vec::new();
    for table in tables {
        for (kind, in_tests) in [
            ("dependencies", false),
            ("build-dependencies", false),
            ("dev-dependencies", true),
        ] {
            let entries = table.get(kind).and_then(toml::Value::as_table);
            dependencies.extend(
                entries
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| Dependency {
                        name: package_name(name, value).to_owned(),
                        in_tests,
                        inherits: inherits(Some(value)),
                        line: line_of(&manifest.text, name),
                    }),
            );
        }
    }
    dependencies
}

/// The crate behind an entry, whatever the entry calls it.
fn package_name<'a>(name: &'a str, value: &'a toml::Value) -> &'a str {
    value
        .get("package")
        .and_then(toml::Value::as_str)
        .unwrap_or(name)
}

fn inherits(value: Option<&toml::Value>) -> bool {
    value
        .and_then(|value| value.get("workspace"))
        .and_then(toml::Value::as_bool)
        .unwrap_or(false)
}

fn string<'a>(manifest: &'a Manifest, section: &str, key: &str) -> Option<&'a str> {
    manifest.table.get(section)?.get(key)?.as_str()
}

/// The first line that declares `key`, or the first line of the file.
fn line_of(text: &str, key: &str) -> usize {
    let declares = |line: &str| {
        let rest = line.trim_start().strip_prefix(key);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '=', '.']))
            || line.trim_end().ends_with(&format!(".{key}]"))
    };
    text.lines().position(declares).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tidy::finding::{Finding, reports};
    use crate::tidy::repository::Manifest;

    fn check_crate(name: &str, rest: &str) -> Vec<Finding> {
        let text = format!("[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n{rest}");
        let path = format!("crates/{name}/Cargo.toml");
        check(&[Manifest::parse(&path, &text).unwrap()])
    }

    fn check_root(text: &str) -> Vec<Finding> {
        check(&[Manifest::parse("Cargo.toml", text).unwrap()])
    }

    #[test]
    fn an_arrow_upwards_or_sideways_is_reported() {
        let sideways = check_crate("executor", "[dependencies]\nmempool.workspace = true\n");
        assert!(reports(
            &sideways,
            &["crates/executor/Cargo.toml:6: executor must not depend on mempool"]
        ));
        let upwards = check_crate("consensus", "[dependencies]\nexecutor.workspace = true\n");
        assert!(reports(
            &upwards,
            &["consensus must not depend on executor"]
        ));
        let in_tests = check_crate("primitives", "[dev-dependencies]\nstate.workspace = true\n");
        assert!(reports(&in_tests, &["primitives must not depend on state"]));
        assert!(check_crate("executor", "[dependencies]\nstate.workspace = true\n").is_empty());
    }

    #[test]
    fn a_foreign_crate_away_from_home_is_reported() {
        let revm = check_crate(
            "rpc",
            "[dependencies]\nrevm = { workspace = true, features = [\"std\"] }\n",
        );
        assert!(reports(&revm, &["revm has no home in rpc"]));
        let platform = check_crate(
            "state",
            "[target.'cfg(unix)'.dependencies]\nclap.workspace = true\n",
        );
        assert!(reports(&platform, &["clap has no home in state"]));
        let tests_only = check_crate("state", "[dependencies]\nproptest.workspace = true\n");
        assert!(reports(&tests_only, &["proptest has no home in state"]));
        assert!(check_crate("state", "[dev-dependencies]\nproptest.workspace = true\n").is_empty());
        let p2p = check_crate(
            "primitives",
            "[dependencies]\ncommonware-p2p.workspace = true\n",
        );
        assert!(reports(&p2p, &["commonware-p2p has no home in primitives"]));
    }

    #[test]
    fn an_unlisted_foreign_crate_is_reported_under_any_name() {
        let unlisted = check_crate("state", "[dependencies]\nleftpad.workspace = true\n");
        assert!(reports(&unlisted, &["leftpad is not in FOREIGN"]));
        let text = "[dependencies]\nserde = { workspace = true, package = \"leftpad\" }\n";
        assert!(reports(
            &check_crate("state", text),
            &["leftpad is not in FOREIGN"]
        ));
    }

    #[test]
    fn a_version_outside_the_root_is_reported() {
        let findings = check_crate("state", "[dependencies]\nthiserror = \"2\"\n");
        assert!(reports(&findings, &["thiserror names its own source"]));
    }

    #[test]
    fn a_stray_crate_name_lint_table_or_feature_is_reported() {
        let stray =
            Manifest::parse("crates/stray/Cargo.toml", "[package]\nname = \"stray\"\n").unwrap();
        assert!(reports(&check(&[stray]), &["stray is not in ARROWS"]));
        let renamed =
            Manifest::parse("crates/state/Cargo.toml", "[package]\nname = \"store\"\n").unwrap();
        assert!(reports(
            &check(&[renamed]),
            &["call it state", "lints do not apply"]
        ));
        let feature = check_crate("state", "[features]\narbitrary = []\nfast = []\n");
        assert!(reports(
            &feature,
            &["crates/state/Cargo.toml:7: feature fast"]
        ));
    }

    #[test]
    fn an_unused_or_excessive_foreign_crate_is_reported() {
        let unused = check_root(
            "[workspace.dependencies]\nstate = { path = \"crates/state\" }\nhex = \"0.4\"\n",
        );
        assert!(reports(&unused, &["Cargo.toml:3: no crate depends on hex"]));
        let many: String = (0..=super::FOREIGN_MAX)
            .map(|n| format!("crate{n} = \"1\"\n"))
            .collect();
        let findings = check_root(&format!("[workspace.dependencies]\n{many}"));
        let excess = format!("Cargo.toml:1: {} foreign crates", super::FOREIGN_MAX + 1);
        let is_excess = |finding: &Finding| finding.to_string().contains(&excess);
        assert!(findings.iter().any(is_excess));
        assert!(reports(
            &check_root("[workspace]\n"),
            &["has no [workspace.dependencies]"]
        ));
    }
}
