//! `headway profile`: its options, and what it prints.

use crate::{
    error::NodeError,
    file::require_writable,
    profile::{self, Profiled, Style},
    workers,
};
use clap::Args;
use serde_json::json;
use std::{
    io::{self, IsTerminal as _, Write as _},
    num::NonZeroUsize,
    path::PathBuf,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway profile                                    the newest block of the node on this machine
  headway profile --block 1234 --url http://10.0.0.7:8545
  headway profile --block 0x89…c1 --svg block.svg    the same with a drawing: who executed what, and hot places
  headway profile --json | jq -r '.advice[]'         for a script
  headway profile --tx-file signed.txt               transactions that no chain has: one in hex on each line

A transaction waits for the one before it that wrote a storage slot it writes too. The longest chain of
those is what no number of workers makes faster; the places where it hangs together are what a contract's
author can change. docs/operations.md shows one.

--tx-file executes the file as one block over a new chain of `headway dev`, whose accounts can pay.

Exit status: 0 there is a profile, 1 the node can't be asked or lacks the block, 2 an option or the file is
not usable.")]
pub(super) struct ProfileArgs {
    /// Number, hash, or latest, finalized, earliest
    #[arg(long, default_value = "latest", conflicts_with = "tx_file")]
    block: String,
    /// JSON-RPC of the node
    #[arg(
        long,
        default_value = "http://127.0.0.1:8545",
        conflicts_with = "tx_file"
    )]
    url: String,
    /// Raw signed transactions, one in hex on each line, instead of a node's block
    #[arg(long, value_name = "FILE")]
    tx_file: Option<PathBuf>,
    /// Threads that execute the file; without it as many as there are cores
    #[arg(long, value_parser = workers::parse, requires = "tx_file")]
    workers: Option<NonZeroUsize>,
    /// Draw who executed what, and where the hot places are touched
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Print one JSON object, as headway_getBlockProfile answers
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: ProfileArgs) -> Result<(), NodeError> {
    if let Some(path) = &args.svg {
        require_writable(path)?;
    }
    let profiled = match &args.tx_file {
        Some(path) => {
            let workers = args.workers.unwrap_or_else(workers::default_workers);
            profile::of_file(path, workers)
        }
        None => profile::of_block(&args.url, &args.block),
    }?;
    // Whoever reads only the first lines of it may.
    io::stdout()
        .write_all(printed(&profiled, args.json).as_bytes())
        .ok();
    if let Some(path) = &args.svg {
        profile::write_svg(&profiled, path)?;
    }
    Ok(())
}

fn printed(profiled: &Profiled, is_json: bool) -> String {
    if is_json {
        return json!(profiled.profile).to_string() + "\n";
    }
    let is_terminal = io::stdout().is_terminal();
    let size = is_terminal.then(ratatui::crossterm::terminal::size);
    let default = Style::default();
    profiled.text(Style {
        color: is_terminal,
        width: match size {
            Some(Ok((width, _))) if width > 0 => width.into(),
            _ => default.width,
        },
    })
}
