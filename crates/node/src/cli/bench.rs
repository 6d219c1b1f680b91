//! `headway bench`: its options, its progress bar and what it prints.

use super::bar::Bar;
use crate::{
    bench::state::{Progress, StateBench},
    error::NodeError,
    process::TemporaryDirectory,
    replay, workers,
};
use clap::{Args, Subcommand};
use std::{
    io::{self, Write as _},
    num::NonZeroUsize,
    path::PathBuf,
};

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The state: commits, a stream of updates with the store on disk, proofs, opening
    State(StateArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway bench state                               ten million keys, a minute of 200,000 updates a second
  headway bench state --keys 1000000 --seconds 10   smaller and sooner
  headway bench state --skewed --json | jq .sustained_updates_per_s

It takes some 250 bytes of memory and 100 of disk for a key.")]
struct StateArgs {
    /// Accounts and slots in the state
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(10_000..=1_000_000_000))]
    keys: u64,
    /// Updates offered a second
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(10..=10_000_000))]
    rate: u64,
    /// Seconds for which they are offered
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Give four of five updates to a fifth of the keys
    #[arg(long)]
    skewed: bool,
    /// Single commits that are timed, of which the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Threads of a commit; without it as many as there are cores
    #[arg(long, value_parser = workers::parse)]
    workers: Option<NonZeroUsize>,
    /// MiB of the trie in memory at most; without it all of it
    #[arg(long)]
    trie_mib: Option<usize>,
    /// Where to make the store, which is removed at the end; without it in the directory for temporary files
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: BenchArgs) -> Result<(), NodeError> {
    match args.part {
        Part::State(args) => state(args),
    }
}

fn state(args: StateArgs) -> Result<(), NodeError> {
    let directory = match args.dir {
        Some(parent) => TemporaryDirectory::create_in(&parent)?,
        None => TemporaryDirectory::create()?,
    };
    let bench = StateBench {
        keys: args.keys,
        rate: args.rate,
        seconds: args.seconds,
        skewed: args.skewed,
        rounds: args.rounds.into(),
        workers: args.workers.unwrap_or_else(workers::default_workers),
        directory: directory.path().to_owned(),
        trie_bytes_max: args.trie_mib.map(|mib| mib.saturating_mul(1 << 20)),
    };
    let clock = replay::wall_clock();
    let bar = Bar::new();
    let draw = |Progress { step, done, total }| bar.draw(step, done, total);
    let outcome = bench.run(&clock, &draw);
    bar.clear();
    let report = outcome?;
    let text = match serde_json::to_string(&report) {
        Ok(text) if args.json => text + "\n",
        _ => report.table(),
    };
    // Whoever reads only the first lines of it may.
    io::stdout().write_all(text.as_bytes()).ok();
    Ok(())
}
