//! What an update of many random keys costs, here and in tries of others, in one run on one machine.
//!
//! ```text
//!   one batch of writes per round ─▶ headway, three ways ─▶ ethrex-trie ─▶ nomt ─▶ medians over rounds
//!                                        same root, or it stops ◀─┘
//! ```
//!
//! All tries of one size hold the same keys and get the same writes, one trie after the other in every
//! round, so that whatever else the machine does meets them all. Writes are sorted and encoded before the
//! clock starts. One round before the first is not counted.
//!
//! Limit: processor time is that of threads which are still there, from Linux's scheduler.

mod clock;
mod report;
mod tries;
mod writes;

use clap::Parser;
use clock::Cost;
use mimalloc::MiMalloc;
use report::{Report, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tries::{Ethrex, Headway, Nomt, Peer};
use writes::{Write, Writes};

/// The allocator of the node's binary, which tries of many small allocations profit from.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Writes of one batch while building.
const BUILD_BATCH: u64 = 1_000_000;

/// What to measure.
#[derive(Debug, Parser)]
#[command(about = "Times updates of random keys in several tries, side by side")]
struct Options {
    /// Keys of ethrex-trie, and of headway beside it; 0 leaves both out
    #[arg(long, default_value_t = 1_000_000)]
    ethrex_keys: u64,
    /// Keys of nomt, and of headway beside it; 0 leaves both out
    #[arg(long, default_value_t = 10_000_000)]
    nomt_keys: u64,
    /// Where nomt makes a folder for its files, which is removed at the end; without it nomt is left out
    #[arg(long)]
    nomt_dir: Option<PathBuf>,
    /// Memory for each of nomt's two caches
    #[arg(long, default_value_t = 4096)]
    nomt_cache_mib: usize,
    /// Updates of a batch
    #[arg(long, default_value_t = 200_000)]
    updates: usize,
    /// Rounds that count
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Threads of the way that has several, and of nomt
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Print a JSON object, and the table to standard error
    #[arg(long)]
    json: bool,
}

/// A trie and what was measured of it.
struct Subject {
    peer: Box<dyn Peer>,
    keys: u64,
    /// By what the peer names, in its order.
    costs: Vec<Vec<Cost>>,
    build: Cost,
}

fn main() {
    let options = Options::parse();
    let load_before = report::load();
    let mut subjects = subjects(&options);
    let mut writes = BTreeMap::new();
    for keys in sizes(&options) {
        writes.insert(keys, Writes::new(keys));
    }
    for round in 0..=options.rounds {
        let batches: BTreeMap<u64, Vec<Write>> = writes
            .iter_mut()
            .map(|(keys, writes)| (*keys, writes.updates(options.updates)))
            .collect();
        measure_round(&mut subjects, &batches, round > 0);
    }
    let report = Report {
        machine: report::machine(),
        load_before,
        load_after: report::load(),
        updates: options.updates,
        rounds: options.rounds,
        rows: subjects.iter().flat_map(Subject::rows).collect(),
    };
    report.print(options.json);
}

fn sizes(options: &Options) -> BTreeSet<u64> {
    let sizes = [options.ethrex_keys, options.nomt_keys];
    sizes.into_iter().filter(|keys| *keys > 0).collect()
}

/// All tries, with their keys in them.
fn subjects(options: &Options) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for keys in sizes(options) {
        for peer in Headway::ways(options.threads) {
            subjects.push(Subject::build(Box::new(peer), keys));
        }
        if keys == options.ethrex_keys {
            subjects.push(Subject::build(Box::new(Ethrex::new()), keys));
        }
        if keys == options.nomt_keys {
            subjects.extend(nomt(options));
        }
    }
    subjects
}

fn nomt(options: &Options) -> Option<Subject> {
    let Some(folder) = &options.nomt_dir else {
        eprintln!("SKIPPED SKIPPED SKIPPED: nomt: no --nomt-dir to put its files in");
        return None;
    };
    let keys = options.nomt_keys;
    let nomt = Nomt::create(folder, keys, options.nomt_cache_mib, options.threads);
    Some(Subject::build(Box::new(nomt), keys))
}

/// One batch of each size to every trie of that size; tries that compute Ethereum's root must agree.
fn measure_round(subjects: &mut [Subject], batches: &BTreeMap<u64, Vec<Write>>, counts: bool) {
    let mut roots = BTreeMap::new();
    for subject in subjects {
        let (costs, root) = subject.peer.apply(&batches[&subject.keys]);
        if let Some(root) = root {
            let first = *roots.entry(subject.keys).or_insert(root);
            assert_eq!(root, first, "keys={}", subject.keys);
        }
        if counts {
            for (all, cost) in subject.costs.iter_mut().zip(costs) {
                all.push(cost);
            }
        }
    }
}

impl Subject {
    fn build(mut peer: Box<dyn Peer>, keys: u64) -> Self {
        let (mut build, mut writes) = (Cost::default(), Writes::new(keys));
        let mut next = 0;
        while next < keys {
            let end = keys.min(next + BUILD_BATCH);
            let (costs, _) = peer.apply(&writes.of_keys(next..end));
            build += *costs.last().expect("a peer measures something");
            next = end;
        }
        let names = peer.names();
        eprintln!("built {} keys={keys}: wall_s={:.1}", names[0], build.wall_s);
        Self {
            costs: vec![Vec::new(); names.len()],
            peer,
            keys,
            build,
        }
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        let named = self.peer.names().into_iter().zip(&self.costs);
        named.map(|(name, costs)| Row {
            trie: name,
            keys: self.keys,
            cpu_s: clock::median(costs.iter().map(|cost| cost.cpu_s)),
            wall_s: clock::median(costs.iter().map(|cost| cost.wall_s)),
            rounds: costs.clone(),
            build: self.build,
        })
    }
}
