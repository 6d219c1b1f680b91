//! `headway load`: its options, its progress bar and what it prints.

use crate::{
    error::NodeError,
    load::{self, LoadError, LoadOptions, LoadReport, Progress, Workload},
};
use clap::Args;
use std::{
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

/// Characters of a full progress bar.
const BAR_WIDTH: usize = 30;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  headway load transfers                                        20,000 to a node on this machine
  headway load transfers --url http://10.0.0.7:8545 --json      a node elsewhere, for a script
  headway load transfers --transactions 3000 --rate 100         steadily for half a minute")]
pub(super) struct LoadArgs {
    /// What the transactions do
    workload: Workload,
    /// JSON-RPC of the node, of any kind
    #[arg(long, default_value = "http://127.0.0.1:8545")]
    url: String,
    /// How many transactions
    #[arg(long, default_value_t = 20_000)]
    transactions: usize,
    /// Accounts that send; the first one funds those that lack money
    #[arg(long, default_value_t = 20)]
    senders: usize,
    /// Transactions in one request
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Connections that send at the same time
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Transactions per second in all; without it as fast as the node takes them
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Seconds from the first send within which all must be mined
    #[arg(long, value_parser = super::parse_seconds, default_value = "120")]
    timeout: Duration,
    /// Mnemonic of the senders
    #[arg(long, default_value = crate::dev::MNEMONIC)]
    mnemonic: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs a load and prints its report; an error if not every transaction succeeded.
pub(super) fn run(args: LoadArgs) -> Result<(), NodeError> {
    let json = args.json;
    let options = LoadOptions {
        workload: args.workload,
        url: args.url,
        transactions: args.transactions,
        senders: args.senders,
        batch: args.batch,
        connections: args.connections,
        rate: args.rate,
        timeout: args.timeout,
        mnemonic: args.mnemonic,
    };
    let is_terminal = std::io::stderr().is_terminal();
    let outcome = match is_terminal {
        true => load::run(&options, &draw),
        false => load::run(&options, &|_| {}),
    };
    if is_terminal {
        eprint!("\r\x1b[K");
    }
    let report = outcome?;
    match serde_json::to_string(&report) {
        Ok(text) if json => println!("{text}"),
        _ => print(&report),
    }
    let succeeded = report.mined - report.failed;
    if succeeded < options.transactions {
        let transactions = options.transactions;
        return Err(LoadError::Incomplete {
            transactions,
            succeeded,
        }
        .into());
    }
    Ok(())
}

fn print(report: &LoadReport) {
    println!(
        "sent     {} in {:.3} s, {:.0} a second",
        report.sent, report.submission_seconds, report.submissions_per_second
    );
    println!("refused  {}", report.refused);
    if let Some(refusal) = &report.first_refusal {
        println!("         the first: {refusal}");
    }
    println!(
        "mined    {} in {:.3} s, {:.0} a second, {} blocks",
        report.mined, report.seconds, report.transactions_per_second, report.blocks
    );
    println!("failed   {}", report.failed);
}

fn draw(progress: Progress) {
    let Progress { step, done, total } = progress;
    let filled = (BAR_WIDTH * done) / total.max(1);
    let bar = "#".repeat(filled.min(BAR_WIDTH));
    eprint!("\r{step:8} [{bar:BAR_WIDTH$}] {done}/{total}\x1b[K");
    // A bar that can't be drawn is no reason to stop.
    std::io::stderr().flush().ok();
}
