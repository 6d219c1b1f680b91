//! `headway load`: sends signed transactions to any Ethereum RPC and counts those that are mined.
//!
//! ```text
//! mnemonic ─▶ senders ─▶ fund ─▶ sign all ─▶ clock starts ─┬▶ connection 0: batch, batch, …
//!                                                          ├▶ connection 1: batch, batch, …
//!                                                          └▶ watch: new block ─▶ ours in it are mined
//!                                              clock stops ─▶ receipts of ours
//! ```
//! A sender belongs to one connection, so its nonces arrive in order. A transaction counts when a block
//! that the node has executed holds it, not when the node took it, and only if the node has its receipt
//! afterwards. The load generator is a client: it lives outside the simulation, on one thread, so that it
//! takes little from a node on the same machine.

mod client;
mod error;
mod sender;
mod sign;
mod submit;
mod watch;

pub use error::LoadError;

use crate::dev;
use client::Client;
use futures::future::{Either, select};
use sender::Fees;
use serde::Serialize;
use sign::Plan;
use std::{pin::pin, time::Duration};
use submit::Tally;
use tokio::time::Instant;
use watch::Watch;

/// Most transactions of one run: they are all in memory, about 400 bytes each.
pub const TRANSACTIONS_MAX: usize = 1_000_000;
/// Most senders of one run.
pub const SENDERS_MAX: usize = 1_000;
/// Most transactions of one batch request, as nodes commonly limit it.
pub const BATCH_MAX: usize = 1_000;
/// Most connections that send.
pub const CONNECTIONS_MAX: usize = 64;

/// What the transactions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// One wei from each sender in turn to one of a thousand accounts
    Transfers,
}

/// What to send, and how.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// What the transactions do.
    pub workload: Workload,
    /// Where the node's JSON-RPC is.
    pub url: String,
    /// How many transactions.
    pub transactions: usize,
    /// Accounts that send them: the first of the mnemonic.
    pub senders: usize,
    /// Transactions in one request.
    pub batch: usize,
    /// Connections that send at the same time.
    pub connections: usize,
    /// Transactions sent per second in all; none = as fast as the node takes them.
    pub rate: Option<u32>,
    /// How long to wait for the last one to be mined, from the first send.
    pub timeout: Duration,
    /// Where the senders' keys come from; its first account pays for the others.
    pub mnemonic: String,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            workload: Workload::Transfers,
            url: "http://127.0.0.1:8545".to_owned(),
            transactions: 20_000,
            senders: 20,
            batch: 500,
            connections: 4,
            rate: None,
            timeout: Duration::from_secs(120),
            mnemonic: dev::MNEMONIC.to_owned(),
        }
    }
}

/// What became of the transactions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadReport {
    /// What they did.
    pub workload: Workload,
    /// Transactions the node was asked to take.
    pub sent: usize,
    /// Those it answered with an error.
    pub refused: usize,
    /// The first such error.
    pub first_refusal: Option<String>,
    /// Those with a receipt, failed ones included.
    pub mined: usize,
    /// Those whose receipt says that they failed.
    pub failed: usize,
    /// Blocks that held any of them.
    pub blocks: usize,
    /// From the first send until the last of them was in an executed block.
    pub seconds: f64,
    /// Mined transactions per second of that time.
    pub transactions_per_second: f64,
    /// From the first send to the answer to the last.
    pub submission_seconds: f64,
    /// Sent transactions per second of that time.
    pub submissions_per_second: f64,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it does now.
    pub step: &'static str,
    /// How much of it is done.
    pub done: usize,
    /// How much there is.
    pub total: usize,
}

/// Hears of progress, many times a second.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Sync);

/// Runs a load to its end. Transactions that are not mined in time are not an error here: the report
/// says how many were mined.
///
/// # Errors
/// When an option can't work, the node can't be reached or answers nonsense, or money is missing.
pub fn run(options: &LoadOptions, progress: OnProgress<'_>) -> Result<LoadReport, LoadError> {
    check(options)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Runtime)?
        .block_on(load(options, progress))
}

fn check(options: &LoadOptions) -> Result<(), LoadError> {
    let bounds = [
        ("--transactions", options.transactions, TRANSACTIONS_MAX),
        ("--senders", options.senders, SENDERS_MAX),
        ("--batch", options.batch, BATCH_MAX),
        ("--connections", options.connections, CONNECTIONS_MAX),
    ];
    for (option, value, max) in bounds {
        if value == 0 || value > max {
            return Err(LoadError::Option { option, max });
        }
    }
    Ok(())
}

async fn load(options: &LoadOptions, progress: OnProgress<'_>) -> Result<LoadReport, LoadError> {
    let client = Client::new(&options.url)?;
    let chain_id = client.chain_id().await?;
    let fees = Fees::read(&client).await?;
    let senders = sender::prepare(&client, options, chain_id, fees).await?;
    let plan = Plan {
        chain_id,
        fees,
        transactions: options.transactions,
        batch: options.batch,
        connections: options.connections,
    };
    let queues = plan.sign(&senders, progress)?;
    let hashes = queues
        .iter()
        .flatten()
        .flat_map(|batch| batch.hashes.iter());
    let mut watch = Watch::new(client.block_number().await?, hashes.copied(), progress);
    let tally = Tally::new(options.transactions);
    let start = Instant::now();
    {
        let pace = submit::Pace::new(options, start);
        let submit = pin!(submit::submit(&client, queues, pace, &tally));
        let follow = pin!(watch.follow(&client, &tally, start + options.timeout));
        match select(follow, submit).await {
            Either::Left((followed, _)) => followed?,
            Either::Right((submitted, follow)) => {
                submitted?;
                follow.await?;
            }
        }
    }
    let counted = watch.check(&client).await?;
    Ok(report(options, &tally, &counted, start))
}

fn report(
    options: &LoadOptions,
    tally: &Tally,
    counted: &watch::Counted,
    start: Instant,
) -> LoadReport {
    let seconds = |end: Option<Instant>| end.map_or(0.0, |end| (end - start).as_secs_f64());
    let rate = |count: usize, seconds: f64| match seconds > 0.0 {
        true => count as f64 / seconds,
        false => 0.0,
    };
    let mined_seconds = seconds(counted.last);
    let submission_seconds = seconds(tally.last.get());
    LoadReport {
        workload: options.workload,
        sent: tally.sent.get(),
        refused: tally.refused.get(),
        first_refusal: tally.first_refusal.borrow().clone(),
        mined: counted.mined,
        failed: counted.failed,
        blocks: counted.blocks,
        seconds: mined_seconds,
        transactions_per_second: rate(counted.mined, mined_seconds),
        submission_seconds,
        submissions_per_second: rate(tally.sent.get(), submission_seconds),
    }
}
