//! `headway sim`: its options, its progress bar and what it prints.

use super::bench::{print, with_bar};
use crate::{
    error::NodeError,
    replay,
    sim::{
        self, BLOCKS_MAX, BackingSim, ExecutionSim, Model, RECORDED, SHARDS_MAX, ScalingSim,
        SeedsSim, VALIDATORS_MAX,
    },
};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = "Examples:
  headway sim --seeds 100                 a hundred networks in which something goes wrong; stops at one that fails
  headway sim --seeds 1 --first-seed 42   the one with seed 42
  headway sim backing                     shards under asynchronous and synchronous backing
  headway sim execution                   blocks executed after they are ordered, and before the vote
  headway sim scaling --svg scaling.svg   what shards carry together, by shards and validators

Time is virtual and what work takes is in a table, so one seed gives one report on every machine. What is real in it
and what is modelled is in docs/shards-scaling.md."
)]
pub(super) struct SimArgs {
    #[command(subcommand)]
    part: Option<Part>,
    /// Networks with faults to run, each with its own seed: final blocks must not fork and nothing may be lost
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first of those seeds
    #[arg(long, default_value_t = 1, requires = "seeds")]
    first_seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Shards: asynchronous backing and synchronous backing, on the same network
    Backing(BackingArgs),
    /// The relay chain: execution after ordering, and before the vote
    Execution(ExecutionArgs),
    /// Shards: what they carry together, with more of them and more validators
    Scaling(ScalingArgs),
    /// What the charged work takes on this machine, beside the table that simulations charge by
    Costs(CostsArgs),
}

#[derive(Debug, Args)]
struct ModelArgs {
    /// Milliseconds from one relay block to the next
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(20..=60_000))]
    block_ms: u64,
    /// Milliseconds of a message from one node to another
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    hop_ms: u64,
    /// Milliseconds that it may take longer
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    jitter_ms: u64,
    /// Megabits a second that a node sends and receives at most
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    bandwidth_mbit: u64,
    /// Processor cores of a node
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(2..=1_024))]
    node_cores: u16,
    /// Validators drawn to check each candidate; without it all check it
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    checkers: Option<u16>,
    /// Collators of each shard
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=8))]
    collators: u16,
    /// Decides everything that is random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway sim backing                                   16 validators, two shards; under a minute
  headway sim backing --validators 4 --hop-ms 5         a small network in one place
  headway sim backing --window 3                        longer and fewer synchronous blocks
  headway sim backing --json | jq '{latency_ratio, blockspace_ratio, final_latency_blocks_p50, missed_slots}'")]
struct BackingArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Validators
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=i64::from(VALIDATORS_MAX)))]
    validators: u16,
    /// Shards
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=i64::from(SHARDS_MAX)))]
    shards: u16,
    /// Relay blocks that synchronous backing may take for a block; without it as few as possible
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    window: Option<u64>,
    /// Asynchronous blocks that a burst fills
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    burst: u64,
    /// Relay blocks that are looked at
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(8..=BLOCKS_MAX))]
    blocks: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway sim execution
  headway sim execution --hop-ms 100 --json | jq '{block_rate_async, block_rate_interleaved, execution_budget_share}'")]
struct ExecutionArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Validators
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=i64::from(VALIDATORS_MAX)))]
    validators: u16,
    /// Blocks of each run
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(8..=BLOCKS_MAX))]
    blocks: u64,
    /// Draw the block rates
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway sim scaling --svg docs/images/shards-scaling.svg   the study of docs/shards-scaling.md; minutes
  headway sim scaling --validators 8,16 --shards 1,4 --blocks 20
  headway sim scaling --json | jq '.rows[] | {validators, shards, keeps_up}'")]
struct ScalingArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Numbers of validators, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "8,16,32,64", value_parser = clap::value_parser!(u16).range(1..=i64::from(VALIDATORS_MAX)))]
    validators: Vec<u16>,
    /// Numbers of shards, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "1,2,4,8,16", value_parser = clap::value_parser!(u16).range(1..=i64::from(SHARDS_MAX)))]
    shards: Vec<u16>,
    /// Relay blocks that are looked at in each network
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(8..=BLOCKS_MAX))]
    blocks: u64,
    /// Draw throughput, processors and wires
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  headway sim costs

One thread works. Simulations charge by the recorded table, not by this one, so that they are the same everywhere.")]
struct CostsArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ModelArgs {
    fn model(&self, validators: u16, shards: u16) -> Model {
        Model {
            validators,
            shards,
            collators: self.collators,
            block_ms: self.block_ms,
            hop_ms: self.hop_ms,
            jitter_ms: self.jitter_ms,
            bandwidth_mbit: self.bandwidth_mbit,
            synchronous_window_blocks: None,
            checkers: self.checkers,
            node_cores: self.node_cores,
            costs: RECORDED,
        }
    }
}

pub(super) fn run(args: SimArgs) -> Result<(), NodeError> {
    match (args.part, args.seeds) {
        (Some(Part::Backing(args)), _) => backing(&args),
        (Some(Part::Execution(args)), _) => execution(args),
        (Some(Part::Scaling(args)), _) => scaling(args),
        (Some(Part::Costs(args)), _) => costs(&args),
        (None, seeds) => {
            let sim = SeedsSim {
                first: args.first_seed,
                seeds: seeds.unwrap_or(1),
            };
            let report = with_bar(|progress| sim.run(progress)).map_err(fault)?;
            print(&report, args.json, report.table());
            Ok(())
        }
    }
}

fn fault(fault: impl ToString) -> NodeError {
    NodeError::Simulation(fault.to_string())
}

fn backing(args: &BackingArgs) -> Result<(), NodeError> {
    let sim = BackingSim {
        model: Model {
            synchronous_window_blocks: args.window,
            ..args.model.model(args.validators, args.shards)
        },
        burst_blocks: args.burst,
        blocks: args.blocks,
        seed: args.model.seed,
    };
    let report = with_bar(|progress| sim.run(progress)).map_err(fault)?;
    print(&report, args.model.json, report.table());
    Ok(())
}

fn execution(args: ExecutionArgs) -> Result<(), NodeError> {
    let sim = ExecutionSim {
        model: args.model.model(args.validators, 1),
        blocks: args.blocks,
        seed: args.model.seed,
    };
    let report = with_bar(|progress| sim.run(progress));
    print(&report, args.model.json, report.table());
    draw(args.svg, || sim::draw_execution(&report))
}

fn scaling(args: ScalingArgs) -> Result<(), NodeError> {
    let sim = ScalingSim {
        model: args.model.model(0, 0),
        validators: args.validators,
        shards: args.shards,
        blocks: args.blocks,
        seed: args.model.seed,
    };
    let report = with_bar(|progress| sim.run(progress)).map_err(fault)?;
    print(&report, args.model.json, report.table());
    draw(args.svg, || sim::draw_scaling(&report))
}

fn costs(args: &CostsArgs) -> Result<(), NodeError> {
    let clock = replay::wall_clock();
    let costs = with_bar(|progress| sim::measure(&clock, progress))?;
    let table = format!(
        "measured on this machine\n{}\nrecorded, what simulations charge\n{}",
        costs.table(),
        RECORDED.table()
    );
    print(&costs, args.json, table);
    Ok(())
}

fn draw(file: Option<PathBuf>, drawing: impl FnOnce() -> String) -> Result<(), NodeError> {
    match file {
        Some(path) => {
            let written = std::fs::write(&path, drawing());
            written.map_err(NodeError::file("cannot write", path))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::ScalingArgs;
    use clap::{Args as _, Command, FromArgMatches as _};

    #[test]
    fn the_numbers_that_help_shows_are_those_that_are_taken() {
        let mut command = ScalingArgs::augment_args(Command::new("scaling"));
        let help = command.render_help().to_string();
        for shown in ["[default: 8,16,32,64]", "[default: 1,2,4,8,16]"] {
            assert!(help.contains(shown), "{help}");
        }
        let matches = command.try_get_matches_from(["scaling"]).unwrap();
        let args = ScalingArgs::from_arg_matches(&matches).unwrap();
        assert_eq!(args.validators, [8, 16, 32, 64]);
        assert_eq!(args.shards, [1, 2, 4, 8, 16]);
    }
}
