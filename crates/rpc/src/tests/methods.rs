//! The list of methods in the documentation is what is registered.

use super::rig::{Options, run, run_with};
use crate::{
    registry::{Note, Registry},
    server::registry,
};
use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf, sync::Arc};

const BEGIN: &str = "<!-- list: begin -->\n";
const END: &str = "<!-- list: end -->\n";

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/rpc.md")
}

/// The registries of a development chain and of another.
fn registries() -> (Registry, Registry) {
    let (mut dev, mut other) = (None, None);
    run(async |rig| dev = Some(registry(Arc::clone(&rig.backend))));
    let options = Options {
        dev: false,
        ..Options::default()
    };
    run_with(options, async |rig| {
        other = Some(registry(Arc::clone(&rig.backend)));
    });
    (dev.unwrap(), other.unwrap())
}

fn list() -> String {
    let (dev, other) = registries();
    let mut namespaces: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in dev.module.method_names() {
        let namespace = name.split('_').next().unwrap();
        namespaces.entry(namespace).or_default().push(name);
    }
    let mut text = String::new();
    for (namespace, mut names) in namespaces {
        names.sort_unstable();
        writeln!(
            text,
            "\n### {namespace}\n\n| method | status | note |\n|---|---|---|"
        )
        .unwrap();
        for name in names {
            let here = dev.notes.get(name);
            let elsewhere = other.notes.get(name);
            let status = match (here, elsewhere) {
                (Some(Note::Refused(_)), _) => "refused",
                (_, Some(Note::Refused(_))) => "dev only",
                _ => "served",
            };
            let note = match here {
                Some(Note::Refused(why)) => why.replace(&format!("{name} is not supported: "), ""),
                Some(Note::Same(other)) => format!("the same as `{other}`"),
                None => String::new(),
            };
            writeln!(text, "| `{name}` | {status} | {note} |").unwrap();
        }
    }
    text
}

fn with_list(document: &str) -> String {
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    format!("{before}{BEGIN}{}\n{END}{after}", list())
}

#[test]
fn the_list_of_methods_is_what_is_registered() {
    let document = fs::read_to_string(document()).unwrap();
    assert!(
        with_list(&document) == document,
        "docs/rpc.md is out of date; write it anew: cargo test -p rpc --lib -- --ignored rewrite_the_list"
    );
}

#[test]
#[ignore = "it writes docs/rpc.md"]
fn rewrite_the_list() {
    let text = fs::read_to_string(document()).unwrap();
    fs::write(document(), with_list(&text)).unwrap();
}

#[test]
fn every_method_of_ethereums_document_answers_or_says_why_not() {
    // Of https://github.com/ethereum/execution-apis, November 2026.
    let names = include_str!("openrpc.txt");
    let (dev, _) = registries();
    let known: Vec<&str> = dev.module.method_names().collect();
    let absent: Vec<&str> = names.lines().filter(|name| !known.contains(name)).collect();
    assert_eq!(absent, Vec::<&str>::new());
}
