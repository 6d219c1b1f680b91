//! `headway doctor`: its options, and what it prints.

use crate::{
    doctor::{self, DoctorOptions, Status},
    error::NodeError,
};
use clap::Args;
use serde_json::json;
use std::{
    io::{self, Write as _},
    path::PathBuf,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway doctor                                       this machine alone
  headway doctor --config net/node0/headway.toml       before a node starts, or while it runs
  headway doctor --url http://10.0.0.7:8545            a node elsewhere
  headway doctor --config … --json | jq '.[] | select(.status != \"ok\")'

Nothing is changed. A line begins with ok, warn or FAIL; below it is what to do.

Exit status: 0 nothing fails, 1 something does, 2 an option is not usable.")]
pub(super) struct DoctorArgs {
    /// A node's config file: its files, key, disk, ports and peers, and the node if it runs
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// JSON-RPC of a running node: its state, version, and the age of its newest block
    #[arg(long)]
    url: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: DoctorArgs) -> Result<(), NodeError> {
    let options = DoctorOptions {
        config: args.config,
        url: args.url,
    };
    let findings = doctor::examine(&options).map_err(NodeError::Doctor)?;
    let text = match args.json {
        true => json!(findings).to_string() + "\n",
        false => doctor::text(&findings),
    };
    // Whoever reads only the first lines of it may.
    io::stdout().write_all(text.as_bytes()).ok();
    let failed = findings
        .iter()
        .filter(|finding| finding.status == Status::Fail);
    match failed.count() {
        0 => Ok(()),
        count => Err(NodeError::Unfit { count }),
    }
}
