//! `headway snapshot`: its options, its progress bar and what it prints.

use super::bar::Bar;
use crate::{
    error::NodeError,
    snapshot::{self, Summary},
};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct SnapshotArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write the newest durable state of a node, which must not be running, to a file
    #[command(after_help = "Example:
  headway snapshot export --config net/node0/headway.toml state.snapshot

The file holds the state, and what shows that it is the chain's: a certificate of its result, the headers
that lead to it, and a finalized block. The node is started for as long as that takes, with its peers.")]
    Export(ExportArgs),
    /// Begin a node, which must have no state, with the state in a file
    #[command(after_help = "Example:
  headway snapshot import --config net/node4/headway.toml state.snapshot && headway node --config net/node4/headway.toml

Everything in the file is checked: its evidence against the genesis, every chunk against the state root that
the evidence shows. So it does not matter where the file comes from.")]
    Import(ImportArgs),
}

#[derive(Debug, Args)]
struct ExportArgs {
    /// The node's config file
    #[arg(long)]
    config: PathBuf,
    /// The file to write
    file: PathBuf,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// The node's config file
    #[arg(long)]
    config: PathBuf,
    /// This node's key is a validator's, has never voted, and may begin with a state from elsewhere
    #[arg(long)]
    never_voted: bool,
    /// The file to read
    file: PathBuf,
}

pub(super) fn run(args: SnapshotArgs) -> Result<(), NodeError> {
    let (done, summary) = match args.action {
        Action::Export(args) => ("exported", snapshot::export(&args.config, &args.file)?),
        Action::Import(args) => ("imported", import(&args)?),
    };
    let Summary {
        height,
        root,
        bytes,
    } = summary;
    println!("{done} the state of block {height}, root {root}, {bytes} bytes");
    Ok(())
}

fn import(args: &ImportArgs) -> Result<Summary, NodeError> {
    let bar = Bar::new();
    let mut draw = |done: usize, all: usize| bar.draw("import", done as u64, all as u64);
    let imported = snapshot::import(&args.config, &args.file, args.never_voted, &mut draw);
    bar.clear();
    imported
}
