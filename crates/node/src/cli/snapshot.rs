//! `headway snapshot`: its options, its progress bar and what it prints.

use crate::{
    error::NodeError,
    snapshot::{self, Summary},
};
use clap::{Args, Subcommand};
use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
};

/// Characters of a full progress bar.
const BAR_WIDTH: usize = 30;

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
    let is_terminal = io::stderr().is_terminal();
    let mut draw = |done: usize, all: usize| {
        if is_terminal {
            let filled = (BAR_WIDTH * done) / all.max(1);
            let bar = "#".repeat(filled.min(BAR_WIDTH));
            eprint!("\rimport [{bar:BAR_WIDTH$}] {done}/{all}\x1b[K");
            // A bar that can't be drawn is no reason to stop.
            io::stderr().flush().ok();
        }
    };
    let imported = snapshot::import(&args.config, &args.file, args.never_voted, &mut draw);
    if is_terminal {
        eprint!("\r\x1b[K");
    }
    imported
}
