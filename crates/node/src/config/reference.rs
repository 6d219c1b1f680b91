//! `docs/config.md` is made of what the types say of themselves, and compared with them.
//!
//! ```text
//! source of the types ─ lines of `///`, `#[serde(default…)]`, `pub field: Type` ─▶ tables ═ docs/config.md
//! ```
//! It reads the source as text: the types have no other way to tell their comments. So a field is one line, as
//! rustfmt leaves it.

use std::{fs, path::Path};

const CONFIG: &str = include_str!("../config.rs");
const CHAIN: &str = include_str!("../../../primitives/src/chain.rs");

const HEAD: &str = "\
# Configuration

A node reads one file, `headway.toml`, and nothing else: no environment variable, no hidden default. `headway init`
writes it whole. Unknown fields are refused, and paths are relative to the file. What all nodes of a chain must agree
on is not here but in the `headway` section of `genesis.json`, at the end of this page.

This page is made from the types that read the files: the test `config::reference` of the crate `node` compares them,
and writes the page anew when they differ. `headway doctor --config FILE` says what is wrong with a file, and with
what it names.

";

/// A section of a file and the type that reads it.
struct Section {
    title: &'static str,
    source: &'static str,
    name: &'static str,
    /// Whether names are written in camel case.
    camel: bool,
    /// Whether every field may be left out.
    optional: bool,
}

const SECTIONS: [Section; 7] = [
    Section::toml("The file", "NodeConfig"),
    Section::toml("`[state]`: the state that is kept", "StateSection"),
    Section::toml("`[network]`: connections to peers", "NetworkSection"),
    Section::toml(
        "`[[network.validators]]` and `[[network.followers]]`: one peer each",
        "PeerSection",
    ),
    Section::toml("`[rpc]`: JSON-RPC", "RpcSection"),
    Section::toml(
        "`[[shard]]`: a shard that was created after the genesis",
        "ShardFile",
    ),
    Section {
        title: "`headway.protocol` in genesis.json: the same on all nodes, for ever",
        source: CHAIN,
        name: "Protocol",
        camel: true,
        optional: true,
    },
];

impl Section {
    const fn toml(title: &'static str, name: &'static str) -> Self {
        Self {
            title,
            source: CONFIG,
            name,
            camel: false,
            optional: false,
        }
    }

    /// A field's name as it stands in the file.
    fn written(&self, name: &str) -> String {
        match self.camel {
            true => camel(name),
            false => name.to_owned(),
        }
    }

    fn table(&self) -> String {
        let mut text = format!(
            "## {}\n\n| field | type | needed | what it is |\n|---|---|---|---|\n",
            self.title
        );
        let start = format!("pub struct {} {{\n", self.name);
        let (_, rest) = self
            .source
            .split_once(&start)
            .expect("the type is in its file");
        let (body, _) = rest.split_once("\n}").expect("a type ends");
        let (mut words, mut has_default) = (Vec::new(), self.optional);
        for line in body.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("/// ") {
                words.push(comment);
            } else if line.starts_with("#[serde(") {
                has_default |= line.contains("default");
            } else if let Some(field) = line.strip_prefix("pub ") {
                let (name, kind) = field
                    .trim_end_matches(',')
                    .split_once(": ")
                    .expect("a field");
                let name = self.written(name);
                let needed = ["yes", "no"][usize::from(has_default)];
                text.push_str(&format!(
                    "| `{name}` | {} | {needed} | {} |\n",
                    said(kind),
                    words.join(" ")
                ));
                (words, has_default) = (Vec::new(), self.optional);
            }
        }
        text + "\n"
    }
}

/// A type as somebody writes it who knows no Rust.
fn said(kind: &str) -> &str {
    match kind {
        "PathBuf" => "path",
        "Address" => "address, as in \"0x…\"",
        "NonZeroUsize" => "number, 1 to 1,024",
        "u16" | "u32" | "u64" | "usize" | "Option<usize>" => "number",
        "U256" => "number in hex, as in \"0x8ac7230489e80000\"",
        "bool" => "true or false",
        "String" => "text",
        "SocketAddr" => "address and port, as in \"127.0.0.1:8545\"",
        "Vec<String>" => "list of texts",
        "Vec<u32>" => "list of numbers",
        "StateFrom" => "\"genesis\" or \"state\"",
        "Vec<PeerSection>" | "Vec<ShardFile>" => "list, see below",
        "StateSection" | "NetworkSection" | "RpcSection" => "section, see below",
        other => panic!("say what a {other} looks like in a config file"),
    }
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, word| {
        let mut letters = word.chars();
        let initial = letters.next().map(|letter| letter.to_ascii_uppercase());
        text + &initial.into_iter().chain(letters).collect::<String>()
    })
}

#[test]
fn every_field_is_in_the_document() {
    let tables: String = SECTIONS.iter().map(Section::table).collect();
    let document = (HEAD.to_owned() + tables.trim_end()) + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/config.md");
    if fs::read_to_string(&path).unwrap_or_default() != document {
        fs::write(&path, document).unwrap();
        panic!(
            "docs/config.md did not say what the types say; it is written anew: read it and keep it"
        );
    }
}
