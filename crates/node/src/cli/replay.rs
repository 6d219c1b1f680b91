//! `headway replay`: its options, its progress bar and what it prints.

use super::bar::Bar;
use crate::{
    error::NodeError,
    replay::{self, Progress, ReplayError, ReplayOptions, ReplayReport},
};
use clap::Args;
use std::{
    io::{self, Write as _},
    num::NonZeroUsize,
    path::PathBuf,
    thread,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway replay mainnet                           all blocks of the folder mainnet/blocks
  headway replay mainnet --html report.html        the same, with charts
  headway replay mainnet --min-gas 10000000        only blocks of 10 million gas or more
  headway replay mainnet/blocks/46147.json --runs 9 --workers 4
  headway replay mainnet --json | jq .speedup      for a script

A block is a file NUMBER.json with the state it touches, the code that it runs is in codes.json beside
the blocks' folder; docs/replay.md shows both. A packed set is unpacked first:
  mkdir mainnet && tar -xf mainnet-blocks.tar.xz -C mainnet

Exit status: 0 all results are mainnet's, 1 one is not, 2 the input or an option is not usable.")]
pub(super) struct ReplayArgs {
    /// Folders with blocks, or files of single blocks
    #[arg(required = true, value_name = "DIR|FILE")]
    paths: Vec<PathBuf>,
    /// The file of codes; without it codes.json beside the blocks' folder
    #[arg(long, value_name = "FILE")]
    codes: Option<PathBuf>,
    /// Threads that execute one block; without it as many as there are cores
    #[arg(long)]
    workers: Option<NonZeroUsize>,
    /// Timed runs of each way, of which the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Leave out blocks that used less gas
    #[arg(long, default_value_t = 0, value_name = "GAS")]
    min_gas: u64,
    /// Write a page with charts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Replays blocks and prints the report; an error if any result is not mainnet's.
pub(super) fn run(args: ReplayArgs) -> Result<(), NodeError> {
    let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let options = ReplayOptions {
        paths: args.paths,
        codes: args.codes,
        workers: args.workers.unwrap_or_else(cores),
        runs: args.runs,
        min_gas: args.min_gas,
    };
    let clock = replay::wall_clock();
    let bar = Bar::new();
    let draw = |Progress { step, done, total }| bar.draw(step, done as u64, total as u64);
    let outcome = replay::run(&options, &clock, &draw);
    bar.clear();
    let report = outcome?;
    print(&report, args.json);
    if let Some(path) = &args.html {
        replay::write_page(&report, path)?;
    }
    check(&report)
}

fn print(report: &ReplayReport, json: bool) {
    let text = match serde_json::to_string(report) {
        Ok(text) if json => text + "\n",
        _ => report.table(),
    };
    // Whoever reads only the first lines of it may.
    io::stdout().write_all(text.as_bytes()).ok();
}

fn check(report: &ReplayReport) -> Result<(), NodeError> {
    let mut mismatches = report.mismatches();
    let Some(first) = mismatches.next() else {
        return Ok(());
    };
    let mut count = 1;
    for mismatch in mismatches {
        eprintln!("{mismatch}");
        count += 1;
    }
    let first = first.clone();
    Err(ReplayError::Mismatch { first, count }.into())
}
