//! `headway load`: its options, and what it prints.

use super::bar::Bar;
use crate::{
    error::NodeError,
    file::require_writable,
    load::{self, LoadError, LoadOptions, LoadReport, Progress, Workload},
};
use clap::Args;
use std::{
    io::{self, Write as _},
    path::PathBuf,
    time::Duration,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway load transfers                                        20,000 to a node on this machine
  headway load mixed --senders 200 --svg load.svg               a bit of everything, drawn
  headway load erc20 --conflicts 50                             every second one to the same account
  headway load dex --rate 500 --ramp 5 --duration 30            steadily for half a minute
  headway load transfers --url http://10.0.0.7:8545 --json      a node elsewhere, for a script
  headway load transfers --url http://10.0.0.7:8545 --url http://10.0.0.8:8545 --senders 1000

The first account of the mnemonic needs money: it deploys what the workload calls and pays the others.
With --rate, latencies count from when a transaction was due, not from when this client got to send it.
Ctrl-C stops sending and prints what was found so far.

Exit status: 0 every transaction succeeded and the chain holds what they did, 1 one did not, 2 an option is
not usable.")]
pub(super) struct LoadArgs {
    /// What the transactions do
    workload: Workload,
    /// JSON-RPC of the node, of any kind; several times for several nodes of one network
    #[arg(long = "url", default_value = "http://127.0.0.1:8545")]
    urls: Vec<String>,
    /// How many transactions
    #[arg(long, default_value_t = 20_000, conflicts_with = "duration")]
    transactions: usize,
    /// Accounts that send; the first one funds those that lack money
    #[arg(long, default_value_t = 20)]
    senders: usize,
    /// Accounts that transfers go to; without it each goes to one of its own
    #[arg(long)]
    recipients: Option<usize>,
    /// Percent of the transactions that touch the hot place; without it 100 for nft and governance, else 0
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    conflicts: Option<u8>,
    /// Most transactions in one request
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Connections that send at the same time
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Transactions due per second in all; without it as fast as the node takes them
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Seconds in which the rate rises from nothing
    #[arg(long, value_name = "SECONDS", value_parser = super::parse_seconds, requires = "rate")]
    ramp: Option<Duration>,
    /// Seconds for which transactions are due, instead of how many
    #[arg(long, value_name = "SECONDS", value_parser = super::parse_seconds, requires = "rate")]
    duration: Option<Duration>,
    /// Seconds after the last is due within which all must be mined
    #[arg(long, value_parser = super::parse_seconds, default_value = "120")]
    timeout: Duration,
    /// Mnemonic of the senders
    #[arg(long, default_value = crate::dev::MNEMONIC)]
    mnemonic: String,
    /// Send binary bundles with the senders' keys, which only Headway takes
    #[arg(long)]
    bulk: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Draw rates over time and latencies by percentile
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Runs a load and prints its report; an error if not every transaction succeeded.
pub(super) fn run(args: LoadArgs) -> Result<(), NodeError> {
    let (json, svg) = (args.json, args.svg.clone());
    if let Some(path) = &svg {
        require_writable(path)?;
    }
    let bar = Bar::new();
    let draw = |Progress { step, done, total }| bar.draw(step, done as u64, total as u64);
    let outcome = load::run(&args.into(), &draw);
    bar.clear();
    let report = outcome?;
    let text = match serde_json::to_string(&report) {
        Ok(text) if json => text + "\n",
        _ => report.text(),
    };
    // Whoever reads only the first lines of it may.
    io::stdout().write_all(text.as_bytes()).ok();
    if let Some(path) = svg {
        load::write_svg(&report, &path)?;
    }
    Ok(judge(&report)?)
}

impl From<LoadArgs> for LoadOptions {
    fn from(args: LoadArgs) -> Self {
        Self {
            workload: args.workload,
            urls: args.urls,
            transactions: args.transactions,
            senders: args.senders,
            recipients: args.recipients,
            conflicts: args.conflicts,
            batch: args.batch,
            connections: args.connections,
            rate: args.rate,
            ramp: args.ramp.unwrap_or_default(),
            duration: args.duration,
            timeout: args.timeout,
            mnemonic: args.mnemonic,
            bulk: args.bulk,
        }
    }
}

fn judge(report: &LoadReport) -> Result<(), LoadError> {
    if report.succeeded() < report.transactions {
        let lost = report
            .endpoints
            .iter()
            .find_map(|endpoint| endpoint.lost.clone());
        return Err(LoadError::Incomplete {
            transactions: report.transactions,
            succeeded: report.succeeded(),
            reason: lost
                .or_else(|| report.first_refusal.clone())
                .unwrap_or_default(),
        });
    }
    match report.checks.iter().find(|check| !check.holds()) {
        Some(check) => Err(LoadError::Check {
            name: check.name.to_owned(),
            expected: check.expected,
            found: check.found,
        }),
        None => Ok(()),
    }
}
