//! `headway top`: its options.

use crate::{
    error::NodeError,
    top::{self, FRAME_SIZE, TopOptions},
};
use clap::Args;
use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway top                                  the node on this machine
  headway top --url http://10.0.0.7:8545
  headway top --once                           one frame as text, for a script or a report
  watch -n 5 headway top --once                where keys and colours are not wanted

Keys: q quit, p pause, tab the other page, ? help. A node that goes away is asked again until it is back.

Exit status: 0 somebody quit, 1 the node gave no answer (--once), 2 an option or the terminal is not usable.")]
pub(super) struct TopArgs {
    /// JSON-RPC of the node
    #[arg(long, default_value = "http://127.0.0.1:8545")]
    url: String,
    /// Seconds between two looks, decimals allowed
    #[arg(long, value_name = "SECONDS", value_parser = super::parse_seconds, default_value = "1")]
    interval: Duration,
    /// Print one frame as text and end
    #[arg(long)]
    once: bool,
}

pub(super) fn run(args: TopArgs) -> Result<(), NodeError> {
    let options = TopOptions {
        url: args.url,
        interval: args.interval,
    };
    if !args.once {
        return Ok(top::watch(&options)?);
    }
    let is_terminal = io::stdout().is_terminal();
    let size = is_terminal.then(ratatui::crossterm::terminal::size);
    let size = match size {
        Some(Ok((width, height))) if width > 0 && height > 0 => (width, height.saturating_sub(1)),
        _ => FRAME_SIZE,
    };
    let frame = top::once(&options, size)?;
    // Whoever reads only the first lines of it may.
    io::stdout().write_all(frame.as_bytes()).ok();
    Ok(())
}
