//! `headway load`: sends signed transactions to any Ethereum RPC and says what became of each.
//!
//! ```text
//! mnemonic ─▶ senders ─▶ prepare ─▶ sign all ─▶ clock starts ─┬▶ connection 0: what is due, batch by batch
//!             (deploy, pay, mint)                             ├▶ connection 1: …
//!                                                             └▶ watch each node: ours in a block?
//!                                  clock stops ─▶ receipts of ours ─▶ balances, supplies, counters ─▶ report
//! ```
//! A sender belongs to one connection and one node, so its nonces arrive in order. A transaction counts when a
//! block that the node has executed holds it, not when the node took it, and only if the node has its receipt
//! afterwards; `fates` counts each once. The load generator is a client: it lives outside the simulation. It
//! prepares and signs on all cores, and sends on one thread, so that it takes little from a node on the same
//! machine.

mod check;
pub(crate) mod client;
mod error;
mod fates;
mod latency;
mod parallel;
mod plan;
mod prepare;
mod refusal;
mod report;
mod scene;
mod schedule;
mod send;
mod sender;
mod series;
mod sign;
mod stages;
mod submit;
mod summary;
mod svg;
#[cfg(test)]
mod tests;
mod watch;

pub use check::Check;
pub use error::LoadError;
pub use latency::Latency;
pub use refusal::Refusal;
pub use report::{EndpointReport, Latencies, LoadReport, Preparation};
pub use series::Series;

use crate::dev;
use client::Client;
use fates::{Fate, Fates, Lanes};
use futures::future::{Either, join_all, select};
use plan::Plan;
use prepare::Prepared;
use primitives::signature::SenderKey;
use schedule::Schedule;
use send::{Endpoint, Lateness, Run};
use serde::Serialize;
use sign::Signed;
use stages::Stages;
use std::{
    cell::RefCell,
    path::Path,
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::{Instant, sleep};
use watch::Watch;

/// Most transactions of one run: they are all in memory, 300 to 500 bytes each.
pub const TRANSACTIONS_MAX: usize = 40_000_000;
/// Most senders of one run.
pub const SENDERS_MAX: usize = 100_000;
/// Most accounts that spread transfers go to.
pub const RECIPIENTS_MAX: usize = 40_000_000;
/// Most transactions of one batch request, as nodes commonly limit it.
pub const BATCH_MAX: usize = 1_000;
/// Most transactions of one bundle.
pub const BULK_BATCH_MAX: usize = 20_000;
/// Most connections that send.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Most nodes that are sent to.
pub const ENDPOINTS_MAX: usize = 64;
/// How long other nodes may take to get to where the first one was prepared.
const FOLLOW_WAIT: Duration = Duration::from_secs(60);
/// Between two looks whether they have.
const FOLLOW_POLL: Duration = Duration::from_millis(50);

/// What the transactions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// One wei each, to an account of its own; hot: to one account
    Transfers,
    /// One unit of a token each, to an account of its own; hot: to one account
    Erc20,
    /// Swaps through a router over 16 pairs; hot: over one pair
    Dex,
    /// Mints that take the next number of a collection, which all wait for; not hot: of 16 collections
    Nft,
    /// Votes on a proposal that all others vote on as well; not hot: each on a proposal of its own
    Governance,
    /// Items that pass through five stages and the hands of custodians; hot: one custodian for all
    SupplyChain,
    /// 40 % transfers, 25 % erc20, 15 % dex, 10 % supply-chain, 5 % nft, 5 % governance
    Mixed,
}

/// What to send, and how.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// What the transactions do.
    pub workload: Workload,
    /// Where the nodes' JSON-RPC is; senders are spread over them.
    pub urls: Vec<String>,
    /// How many transactions.
    pub transactions: usize,
    /// Accounts that send them: the first of the mnemonic.
    pub senders: usize,
    /// Accounts that spread transfers go to; none = each to one of its own.
    pub recipients: Option<usize>,
    /// How many of a hundred touch the hot place; none = what is usual for the workload.
    pub conflicts: Option<u8>,
    /// Most transactions in one request.
    pub batch: usize,
    /// Connections that send at the same time.
    pub connections: usize,
    /// Transactions due per second in all; none = as fast as the node takes them.
    pub rate: Option<u32>,
    /// How long the rate takes to get there.
    pub ramp: Duration,
    /// For how long transactions are due, instead of how many; needs a rate.
    pub duration: Option<Duration>,
    /// How long to wait for the last one to be mined, from when it was due.
    pub timeout: Duration,
    /// Where the senders' keys come from; its first account pays for the others.
    pub mnemonic: String,
    /// Send bundles with the senders' keys, as Headway takes them.
    pub bulk: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            workload: Workload::Transfers,
            urls: vec!["http://127.0.0.1:8545".to_owned()],
            transactions: 20_000,
            senders: 20,
            recipients: None,
            conflicts: None,
            batch: 500,
            connections: 4,
            rate: None,
            ramp: Duration::ZERO,
            duration: None,
            timeout: Duration::from_secs(120),
            mnemonic: dev::MNEMONIC.to_owned(),
            bulk: false,
        }
    }
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

/// Hears of progress, many times a second, from several threads.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Sync);

impl Workload {
    /// As it is written on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transfers => "transfers",
            Self::Erc20 => "erc20",
            Self::Dex => "dex",
            Self::Nft => "nft",
            Self::Governance => "governance",
            Self::SupplyChain => "supply-chain",
            Self::Mixed => "mixed",
        }
    }
}

impl Progress {
    const fn of(step: &'static str, done: usize, total: usize) -> Self {
        Self { step, done, total }
    }
}

/// Runs a load to its end. Transactions that are not mined in time are not an error here: the report
/// says what became of them.
///
/// # Errors
/// When an option can't work, a node can't be reached or answers nonsense before the clock starts, or money is
/// missing.
pub fn run(options: &LoadOptions, progress: OnProgress<'_>) -> Result<LoadReport, LoadError> {
    let (plan, schedule) = planned(options)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LoadError::Runtime)?
        .block_on(load(options, plan, schedule, progress))
}

/// Writes the report as a drawing.
///
/// # Errors
/// When the file can't be written.
pub fn write_svg(report: &LoadReport, path: &Path) -> Result<(), LoadError> {
    std::fs::write(path, svg::draw(report)).map_err(|problem| LoadError::File {
        path: path.display().to_string(),
        problem,
    })
}

fn planned(options: &LoadOptions) -> Result<(Plan, Schedule), LoadError> {
    let schedule = Schedule::new(options.rate, options.ramp);
    let transactions = match options.duration {
        None => options.transactions,
        Some(duration) => schedule.before(duration).ok_or(LoadError::Options(
            "--duration needs a --rate; without one, say --transactions",
        ))?,
    };
    let batch_max = if options.bulk {
        BULK_BATCH_MAX
    } else {
        BATCH_MAX
    };
    let recipients = options.recipients.unwrap_or(1);
    let bounds = [
        ("--transactions", transactions, TRANSACTIONS_MAX),
        ("--senders", options.senders, SENDERS_MAX),
        ("--recipients", recipients, RECIPIENTS_MAX),
        ("--batch", options.batch, batch_max),
        ("--connections", options.connections, CONNECTIONS_MAX),
        ("--url", options.urls.len(), ENDPOINTS_MAX),
    ];
    for (option, value, max) in bounds {
        if value == 0 || value > max {
            return Err(LoadError::Option { option, max });
        }
    }
    let plan = Plan {
        workload: options.workload,
        transactions,
        senders: options.senders,
        conflicts: options.conflicts,
        recipients: options.recipients,
    };
    Ok((plan, schedule))
}

/// A run that is ready to send.
struct Ready {
    prepared: Prepared,
    preparation: Preparation,
    signed: Vec<Vec<Signed>>,
    keys: Option<Vec<SenderKey>>,
    endpoints: Vec<Endpoint>,
    watches: Vec<Watch>,
}

async fn load(
    options: &LoadOptions,
    plan: Plan,
    schedule: Schedule,
    progress: OnProgress<'_>,
) -> Result<LoadReport, LoadError> {
    let mut ready = ready(options, &plan, progress).await?;
    let lanes = Lanes::new(plan, options.connections, options.urls.len());
    let hashes = (0..plan.transactions).filter_map(|index| {
        let signed = ready.signed.get(plan.sender_of(index))?;
        Some(signed.get(plan.nth_of(index))?.hash)
    });
    let fates = RefCell::new(Fates::new(lanes, hashes));
    let (start, lateness) = (Instant::now(), Lateness::default());
    let last_due = schedule.due(plan.transactions - 1);
    let run = Run {
        fates: &fates,
        signed: &ready.signed,
        keys: ready.keys.as_deref(),
        schedule,
        batch: options.batch,
        start,
        deadline: start + last_due.saturating_add(options.timeout),
        lateness: &lateness,
    };
    for watch in &mut ready.watches {
        watch.start(unix_ms());
    }
    let interrupted = send_and_watch(&run, &ready.endpoints, &mut ready.watches, progress).await;
    or_stopped(read_receipts(&run, &ready, progress)).await?;
    let fates = fates.into_inner();
    let mut report = summary::report(options, &fates, &ready, &lateness);
    report.interrupted = interrupted;
    report.checks = or_stopped(check(&fates, &ready, progress)).await?;
    Ok(report)
}

/// The outcome, unless it is stopped by hand before.
async fn or_stopped<T>(future: impl Future<Output = Result<T, LoadError>>) -> Result<T, LoadError> {
    match select(pin!(tokio::signal::ctrl_c()), pin!(future)).await {
        Either::Left(_) => Err(LoadError::Interrupted),
        Either::Right((outcome, _)) => outcome,
    }
}

async fn ready(
    options: &LoadOptions,
    plan: &Plan,
    progress: OnProgress<'_>,
) -> Result<Ready, LoadError> {
    let clients = options
        .urls
        .iter()
        .map(|url| Client::new(url, options.timeout));
    let clients = clients.collect::<Result<Vec<_>, _>>()?;
    let Some(first) = clients.first() else {
        return Err(LoadError::Options("--url: name a node"));
    };
    if options.bulk {
        for client in &clients {
            submit::require_bulk(client).await?;
        }
    }
    let start = Instant::now();
    let prepared = prepare::prepare(first, options, plan, progress).await?;
    let prepared_at = Instant::now();
    let signed = prepared
        .terms
        .sign_all(plan, &prepared.scene, &prepared.senders, progress)?;
    let preparation = Preparation {
        transactions: prepared.transactions,
        seconds: (prepared_at - start).as_secs_f64(),
        signing_seconds: prepared_at.elapsed().as_secs_f64(),
    };
    let keys = options.bulk.then(|| {
        let senders = prepared.senders.iter();
        let keys = senders.map(|sender| SenderKey::new(sender.signer.public_key().0));
        keys.collect()
    });
    let mut watches = Vec::new();
    for (number, client) in clients.iter().enumerate() {
        let height = caught_up(client, prepared.height).await?;
        watches.push(Watch::new(number, height, Stages::of(client).await));
    }
    Ok(Ready {
        prepared,
        preparation,
        signed,
        keys,
        endpoints: clients
            .into_iter()
            .map(|client| Endpoint::new(client, options.timeout))
            .collect(),
        watches,
    })
}

/// The height of a node that has what another one had at a height.
async fn caught_up(client: &Client, height: u64) -> Result<u64, LoadError> {
    let deadline = Instant::now() + FOLLOW_WAIT;
    loop {
        let own = client.block_number().await?;
        if own >= height {
            return Ok(own);
        }
        if Instant::now() > deadline {
            return Err(LoadError::Behind {
                url: client.url().to_owned(),
                height: own,
                needed: height,
            });
        }
        sleep(FOLLOW_POLL).await;
    }
}

/// Everything while the clock runs; whether it was stopped by hand.
async fn send_and_watch(
    run: &Run<'_>,
    endpoints: &[Endpoint],
    watches: &mut [Watch],
    progress: OnProgress<'_>,
) -> bool {
    let lanes = run.fates.borrow().lanes;
    let sends = (0..lanes.connections).filter_map(|number| {
        let endpoint = endpoints.get(lanes.endpoint_of_connection(number))?;
        Some(run.connection(number, endpoint))
    });
    let follows = watches.iter_mut().zip(endpoints);
    let follows = follows.map(|(watch, endpoint)| watch.follow(endpoint, run, progress));
    let all = futures::future::join(join_all(follows), join_all(sends));
    matches!(
        select(pin!(tokio::signal::ctrl_c()), pin!(all)).await,
        Either::Left(_)
    )
}

async fn read_receipts(
    run: &Run<'_>,
    ready: &Ready,
    progress: OnProgress<'_>,
) -> Result<(), LoadError> {
    for (watch, endpoint) in ready.watches.iter().zip(&ready.endpoints) {
        // What a lost node had no receipt of is missing, and the report says that it was lost.
        if !endpoint.is_lost() {
            watch.conclude(&endpoint.client, run, progress).await?;
        }
    }
    Ok(())
}

/// What the chain holds, if no transaction is missing.
async fn check(
    fates: &Fates,
    ready: &Ready,
    progress: OnProgress<'_>,
) -> Result<Vec<Check>, LoadError> {
    let concluded = fates.count(Fate::Succeeded) + fates.count(Fate::Failed);
    let Some(first) = ready.endpoints.first() else {
        return Ok(Vec::new());
    };
    if concluded < fates.records().len() {
        return Ok(Vec::new());
    }
    let highest = fates.records().iter().map(|record| record.height).max();
    caught_up(&first.client, highest.unwrap_or_default()).await?;
    let senders = ready.prepared.senders.iter();
    let senders: Vec<_> = senders.map(|sender| sender.signer.address()).collect();
    let checker = check::Checker {
        client: &first.client,
        scene: &ready.prepared.scene,
        senders: &senders,
        progress,
    };
    checker.run(&fates.lanes.plan, fates).await
}

/// Milliseconds since the Unix epoch, in which Headway nodes note stages.
#[expect(
    clippy::disallowed_methods,
    reason = "a client compares its clock with that of a node, outside of any simulation"
)]
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    send::micros(since.unwrap_or_default()) / 1_000
}
