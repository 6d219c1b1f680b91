//! `headway bench`: its options, its progress bar and what it prints.

use super::bar::Bar;
use crate::{
    bench::{
        cores::{self, BLOCKS_MAX, CoresBench},
        e2e::E2eBench,
        signatures::SignatureBench,
        state::{OnProgress, Progress, StateBench},
    },
    error::NodeError,
    file::require_writable,
    load::Workload,
    process::TemporaryDirectory,
    replay, workers,
};
use clap::{Args, Subcommand};
use serde::Serialize;
use shards::sampling::SamplingReport;
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
    /// From end to end: signed transactions in, durable verified state out, and what each step costs
    E2e(E2eArgs),
    /// Signatures: what one costs by the C library, in lanes, by hints, and with Ed25519
    Signatures(SignatureArgs),
    /// Cores for shards: what following the load costs and saves, simulated
    Cores(CoresArgs),
    /// Sampling for shards: how likely it is that a few chosen validators are all corrupt
    Sampling(SamplingArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway bench cores                               load curves, made up; a few seconds
  headway bench cores --recorded DIR --svg cores.svg   with the gas of real blocks, as `headway replay` reads them
  headway bench cores --json | jq '.together[] | {policy, core_hours, wait_p99}'

Nothing is measured: one seed gives one report on every machine. What the columns are is in docs/shards-cores.md.")]
struct CoresArgs {
    /// Relay blocks of every curve
    #[arg(long, default_value_t = 6_400, value_parser = clap::value_parser!(u32).range(160..=i64::from(BLOCKS_MAX)))]
    blocks: u32,
    /// Decides everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A folder of real blocks, NUMBER.json, whose gas makes two more curves
    #[arg(long, value_name = "DIR")]
    recorded: Option<PathBuf>,
    /// Draw demand and cores
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway bench sampling
  headway bench sampling --json | jq '.checkers[] | select(.validators == 100)'

Nothing is measured: the chances are exact. What they are of is in docs/shards-sampling.md.")]
struct SamplingArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway bench e2e                                 transfers in bulk, then replayed, then step by step
  headway bench e2e --rpc --senders 200             the same by standard JSON-RPC batches
  headway bench e2e --json | jq .stage_us           for a script

The validator, the load and the replay share this machine; use one on which nothing else runs.")]
struct E2eArgs {
    /// What the transactions do
    #[arg(long, default_value = "transfers")]
    workload: Workload,
    /// How many
    #[arg(long, default_value_t = 300_000)]
    transactions: usize,
    /// Accounts that send them
    #[arg(long, default_value_t = 1_000)]
    senders: usize,
    /// Accounts that transfers go to; without it each to one of its own
    #[arg(long)]
    recipients: Option<usize>,
    /// Transactions in one request
    #[arg(long, default_value_t = 1_000)]
    batch: usize,
    /// Connections that send at the same time
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Send by standard JSON-RPC, not in bulk
    #[arg(long)]
    rpc: bool,
    /// How often the blocks are replayed; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Threads that execute and commit one block; without it as many as there are cores
    #[arg(long, value_parser = workers::parse)]
    workers: Option<NonZeroUsize>,
    /// Where to make the stores, which are removed at the end; without it in the directory for temporary files
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway bench signatures                        batches of 1 to 16,384, some 20 seconds
  headway bench signatures --batch-max 1024       smaller and sooner
  headway bench signatures --json | jq '.rows[] | {batch, lanes: .us.lanes}'

One core works. What a column is, and why there are several, is in docs/signatures.md.")]
struct SignatureArgs {
    /// Timed rounds, of which the median counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Leave larger batches out
    #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(1..))]
    batch_max: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
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
        Part::E2e(args) => e2e(args),
        Part::Signatures(args) => signatures(&args),
        Part::Cores(args) => cores(args),
        Part::Sampling(args) => {
            let report = SamplingReport::new();
            print(&report, args.json, report.table());
            Ok(())
        }
    }
}

fn cores(args: CoresArgs) -> Result<(), NodeError> {
    if let Some(path) = &args.svg {
        require_writable(path)?;
    }
    let bench = CoresBench {
        blocks: args.blocks,
        seed: args.seed,
        recorded: args.recorded,
    };
    let outcome = with_bar(|progress| bench.run(progress));
    let report = outcome.map_err(|fault| NodeError::Bench(fault.to_string()))?;
    print(&report, args.json, report.table());
    match args.svg {
        Some(path) => {
            cores::write_svg(&report, &path).map_err(NodeError::file("cannot write", path))
        }
        None => Ok(()),
    }
}

fn e2e(args: E2eArgs) -> Result<(), NodeError> {
    let directory = temporary(args.dir)?;
    let bench = E2eBench {
        workload: args.workload,
        transactions: args.transactions,
        senders: args.senders,
        recipients: args.recipients,
        batch: args.batch,
        connections: args.connections,
        bulk: !args.rpc,
        rounds: args.rounds.into(),
        workers: args.workers.unwrap_or_else(workers::default_workers),
        directory: directory.path().to_owned(),
    };
    let clock = replay::wall_clock();
    let report = with_bar(|progress| bench.run(&clock, progress))?;
    print(&report, args.json, report.table());
    Ok(())
}

fn signatures(args: &SignatureArgs) -> Result<(), NodeError> {
    let bench = SignatureBench {
        rounds: args.rounds.into(),
        batch_max: usize::try_from(args.batch_max).unwrap_or(usize::MAX),
    };
    let clock = replay::wall_clock();
    let outcome = with_bar(|progress| bench.run(&clock, progress));
    let report = outcome.map_err(|fault| NodeError::Bench(fault.to_string()))?;
    print(&report, args.json, report.table());
    Ok(())
}

fn temporary(parent: Option<PathBuf>) -> Result<TemporaryDirectory, NodeError> {
    match parent {
        Some(parent) => TemporaryDirectory::create_in(&parent),
        None => TemporaryDirectory::create(),
    }
}

/// Runs with a progress bar where there is a terminal to draw it on.
pub(super) fn with_bar<T>(run: impl FnOnce(OnProgress<'_>) -> T) -> T {
    let bar = Bar::new();
    let outcome = run(&|Progress { step, done, total }| bar.draw(step, done, total));
    bar.clear();
    outcome
}

pub(super) fn print(report: &impl Serialize, json: bool, table: String) {
    let text = match serde_json::to_string(report) {
        Ok(text) if json => text + "\n",
        _ => table,
    };
    // Whoever reads only the first lines of it may.
    io::stdout().write_all(text.as_bytes()).ok();
}

fn state(args: StateArgs) -> Result<(), NodeError> {
    let directory = temporary(args.dir)?;
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
    let report = with_bar(|progress| bench.run(&clock, progress))?;
    print(&report, args.json, report.table());
    Ok(())
}
