//! What kept the transactions of a block from running at once.
//!
//! ```text
//! { height, hash, transactionCount, gasUsed, waitingCount, waitingGas, placeCount,
//!   criticalPath: { gas, gasPermille, transactionCount, transactionCountMax, transactions: [index] },
//!   speedups: [{ workers, boundPermille }],
//!   hotPlaces: [{ kind, address, slot, holder, waitingCount, waitingGas, waitingPermille,
//!                 criticalCount, criticalPermille, writes, step, reexecutionCount,
//!                 functions: [{ to, selector, name, transactionCount }], transactions: [index], spread: [count] }],
//!   nonceChains: [{ sender, transactionCount, gas }],
//!   execution: { way, workers, executions, reexecutions, executeUs, busyPermille },
//!   schedule: { workers, gas, spanCount, spans: [{ worker, transaction, transactionCount, startGas, endGas }] },
//!   advice: [sentence] }
//! ```
//! The same on every node but for `execution` and `reexecutionCount`, which are null where this node does not
//! remember how it executed the block. `waitingPermille` is the share of the block's gas that waits there,
//! `criticalPermille` that of the critical path's gas; `boundPermille` says how many times faster than one
//! worker so many can be at best, times 1,000. `kind` is one of `counter`, `sum`, `tokenBalance`,
//! `poolReserves`, `variable`, `entry`, `code`; `slot` is null for code, `holder` is known of balances only;
//! `writes` is `step` (each adds `step`), `rising`, `falling` or `mixed`.
//! `spread` counts the transactions that touch it in equal parts of the block, first to last. `busyPermille` says how much of the
//! execution workers were busy; null without spans. There is a `schedule` only if a number of workers is given
//! as second argument: who would execute which transactions if each took as long as its gas is much.
//!
//! What waiting is, and what is not seen, is in [`executor::Profile`], with the limits of the lists; besides,
//! [`SCHEDULE_WORKERS_MAX`] workers and [`SCHEDULE_SPANS_MAX`] spans.

use super::{access_list, executed_height, execution};
use crate::{args::Args, backend::Backend, error::RpcError};
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use executor::{AccessList, Function, HotPlace, NonceChain, PlaceKind, Profile, Writes};
use pipeline::BlockExecution;
use serde::{Deserialize, Serialize};
use std::{num::NonZeroUsize, time::Duration};

/// Workers of a schedule that may be asked for.
const SCHEDULE_WORKERS_MAX: usize = 64;
/// Spans of a schedule that are told.
const SCHEDULE_SPANS_MAX: usize = 4_096;

/// The profile of a block, as `headway_getBlockProfile` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcProfile {
    /// Its height.
    pub height: U64,
    /// Its hash.
    pub hash: B256,
    /// Its transactions.
    pub transaction_count: usize,
    /// Their gas.
    pub gas_used: u64,
    /// Transactions that wait for an earlier one.
    pub waiting_count: usize,
    /// Their gas.
    pub waiting_gas: u64,
    /// Places at which somebody waits.
    pub place_count: usize,
    /// What no number of workers makes faster.
    pub critical_path: RpcCriticalPath,
    /// What workers could bring at best.
    pub speedups: Vec<RpcSpeedup>,
    /// The places with most gas waiting.
    pub hot_places: Vec<RpcHotPlace>,
    /// Senders with many transactions.
    pub nonce_chains: Vec<RpcNonceChain>,
    /// How this node executed it, if it remembers.
    pub execution: Option<RpcRun>,
    /// Who would execute what, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<RpcSchedule>,
    /// All this in sentences.
    pub advice: Vec<String>,
}

/// The longest chain of transactions of which each waits for the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcCriticalPath {
    /// Gas of the chain with most gas.
    pub gas: u64,
    /// The same as a share of the block's, in thousandths.
    pub gas_permille: u64,
    /// Transactions of that chain.
    pub transaction_count: usize,
    /// Transactions of the chain with most transactions.
    pub transaction_count_max: usize,
    /// The first of the chain with most gas, by their places in the block.
    pub transactions: Vec<usize>,
}

/// What a number of workers could bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcSpeedup {
    /// How many.
    pub workers: usize,
    /// At best so many times faster than one, in thousandths.
    pub bound_permille: u64,
}

/// A place that transactions wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcHotPlace {
    /// What it is: `counter`, `sum`, `tokenBalance`, `poolReserves`, `variable`, `entry`, `code`.
    pub kind: String,
    /// The account.
    pub address: Address,
    /// The storage slot; none for code.
    pub slot: Option<B256>,
    /// Whose balance it is, of a token's.
    pub holder: Option<Address>,
    /// Transactions that wait for an earlier one here.
    pub waiting_count: usize,
    /// Their gas.
    pub waiting_gas: u64,
    /// The same as a share of the block's, in thousandths.
    pub waiting_permille: u64,
    /// Transactions of the critical path that wait here.
    pub critical_count: usize,
    /// Their share of the critical path's gas, in thousandths.
    pub critical_permille: u64,
    /// What was written: `step`, `rising`, `falling`, `mixed`.
    pub writes: String,
    /// What each write added, if always the same.
    pub step: Option<U256>,
    /// Transactions that this node executed again because of it.
    pub reexecution_count: Option<usize>,
    /// The functions whose calls touch it.
    pub functions: Vec<RpcFunction>,
    /// The first transactions that do, by their places in the block.
    pub transactions: Vec<usize>,
    /// How many do in each of at most 48 equal parts of the block.
    pub spread: Vec<usize>,
}

/// A function as transactions call it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcFunction {
    /// Whom they call; none where they create a contract.
    pub to: Option<Address>,
    /// The first four bytes of their input.
    pub selector: Option<Bytes>,
    /// The selector with its usual name, if it has one.
    pub name: Option<String>,
    /// How many.
    pub transaction_count: usize,
}

/// Many transactions of one sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcNonceChain {
    /// Who.
    pub sender: Address,
    /// How many.
    pub transaction_count: usize,
    /// Their gas.
    pub gas: u64,
}

/// How this node executed the block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcRun {
    /// One by one, on several workers, or by an access list.
    pub way: String,
    /// Workers that took part.
    pub workers: usize,
    /// Times a transaction was executed.
    pub executions: usize,
    /// Times one was executed again.
    pub reexecutions: usize,
    /// Microseconds it took.
    pub execute_us: u64,
    /// How much of that the workers were busy, in thousandths; only with spans.
    pub busy_permille: Option<u64>,
}

/// Who would execute what, if each transaction took as long as its gas is much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcSchedule {
    /// How many workers.
    pub workers: usize,
    /// When the last one is done.
    pub gas: u64,
    /// Spans there are.
    pub span_count: usize,
    /// The first of them.
    pub spans: Vec<RpcScheduled>,
}

/// What one worker would do without pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RpcScheduled {
    /// Who.
    pub worker: usize,
    /// The first transaction.
    pub transaction: usize,
    /// How many, one after the other.
    pub transaction_count: usize,
    /// When it begins.
    pub start_gas: u64,
    /// When it ends.
    pub end_gas: u64,
}

pub(super) fn profile(backend: &Backend, args: &Args) -> Result<Option<RpcProfile>, RpcError> {
    let (block, workers): (BlockId, Option<usize>) = args.two()?;
    let workers = workers.map(schedule_workers).transpose()?;
    match executed_height(backend, block)? {
        Some(height) => of_block(backend, height, workers),
        None => Ok(None),
    }
}

fn schedule_workers(workers: usize) -> Result<NonZeroUsize, RpcError> {
    NonZeroUsize::new(workers)
        .filter(|workers| workers.get() <= SCHEDULE_WORKERS_MAX)
        .ok_or_else(|| RpcError::ArgumentInvalid {
            index: 1,
            problem: format!("a schedule is for 1 to {SCHEDULE_WORKERS_MAX} workers"),
        })
}

/// The profile of the executed block at a height, with a schedule for so many workers.
pub(crate) fn of_block(
    backend: &Backend,
    height: u64,
    workers: Option<NonZeroUsize>,
) -> Result<Option<RpcProfile>, RpcError> {
    let (Some(record), Some(encoded)) = (
        backend.chain.record(height)?,
        access_list::stored(backend, height)?,
    ) else {
        return Ok(None);
    };
    let list = AccessList::decode(&encoded)
        .map_err(|error| RpcError::Internal(format!("stored access list is damaged: {error}")))?;
    let profile = Profile::new(&list, &record.transactions, &record.receipts);
    let kept = backend.chain.execution(height);
    let mut profile = RpcProfile::new(&profile, kept.as_deref(), workers);
    profile.height = U64::from(height);
    profile.hash = record.hash;
    Ok(Some(profile))
}

impl RpcProfile {
    /// The profile of a block that has no name yet, with how it was executed and a schedule for so many
    /// workers, where those are wanted.
    #[must_use]
    pub fn new(
        profile: &Profile,
        kept: Option<&BlockExecution>,
        workers: Option<NonZeroUsize>,
    ) -> Self {
        let path = &profile.critical_path;
        let speedups = profile.speedups.iter().map(|speedup| RpcSpeedup {
            workers: speedup.workers,
            bound_permille: speedup.bound_permille,
        });
        let hot_places = profile.hot_places.iter();
        Self {
            height: U64::ZERO,
            hash: B256::ZERO,
            transaction_count: profile.transaction_count,
            gas_used: profile.gas,
            waiting_count: profile.waiting_count,
            waiting_gas: profile.waiting_gas,
            place_count: profile.place_count,
            critical_path: RpcCriticalPath {
                gas: path.gas,
                gas_permille: profile.permille(path.gas),
                transaction_count: path.transaction_count,
                transaction_count_max: path.count_max,
                transactions: path.transactions.clone(),
            },
            speedups: speedups.collect(),
            hot_places: hot_places
                .map(|place| format_place(place, profile, kept))
                .collect(),
            nonce_chains: profile
                .nonce_chains
                .iter()
                .map(RpcNonceChain::from)
                .collect(),
            execution: kept.map(RpcRun::from),
            schedule: workers.map(|workers| schedule(profile, workers)),
            advice: profile.advice(),
        }
    }
}

fn format_place(place: &HotPlace, profile: &Profile, kept: Option<&BlockExecution>) -> RpcHotPlace {
    let critical = place.critical_gas.saturating_mul(1_000);
    let (writes, step) = match place.writes {
        Writes::Step(step) => ("step", Some(step)),
        Writes::Rising => ("rising", None),
        Writes::Falling => ("falling", None),
        Writes::Mixed => ("mixed", None),
    };
    RpcHotPlace {
        kind: kind(place.kind).to_owned(),
        address: place.address,
        slot: place.slot.map(B256::from),
        holder: place.holder,
        waiting_count: place.waiting_count,
        waiting_gas: place.waiting_gas,
        waiting_permille: profile.permille(place.waiting_gas),
        critical_count: place.critical_count,
        critical_permille: critical.checked_div(profile.critical_path.gas).unwrap_or(0),
        writes: writes.to_owned(),
        step,
        reexecution_count: kept.map(|kept| reexecutions(kept, place)),
        functions: place.functions.iter().map(RpcFunction::from).collect(),
        transactions: place.transactions.clone(),
        spread: place.spread.clone(),
    }
}

const fn kind(kind: PlaceKind) -> &'static str {
    match kind {
        PlaceKind::Counter => "counter",
        PlaceKind::Sum => "sum",
        PlaceKind::TokenBalance => "tokenBalance",
        PlaceKind::PoolReserves => "poolReserves",
        PlaceKind::Variable => "variable",
        PlaceKind::Entry => "entry",
        PlaceKind::Code => "code",
    }
}

/// How many transactions were executed again here because of a place, as far as that was kept.
fn reexecutions(kept: &BlockExecution, place: &HotPlace) -> usize {
    let mut conflicts = kept.conflicts.iter();
    let own = conflicts
        .find(|conflict| conflict.address == place.address && conflict.storage_slot == place.slot);
    own.map_or(0, |conflict| conflict.transaction_count)
}

fn schedule(profile: &Profile, workers: NonZeroUsize) -> RpcSchedule {
    let timeline = profile.schedule(workers);
    let spans: Vec<RpcScheduled> = timeline
        .spans
        .iter()
        // What is only committed takes no gas.
        .filter(|span| span.start_ns < span.end_ns)
        .map(|span| RpcScheduled {
            worker: span.worker,
            transaction: span.transactions.start,
            transaction_count: span.transactions.len(),
            start_gas: span.start_ns,
            end_gas: span.end_ns,
        })
        .collect();
    RpcSchedule {
        workers: workers.get(),
        gas: timeline.makespan_ns,
        span_count: spans.len(),
        spans: spans.into_iter().take(SCHEDULE_SPANS_MAX).collect(),
    }
}

impl From<&BlockExecution> for RpcRun {
    fn from(execution: &BlockExecution) -> Self {
        let worked = execution.spans.iter();
        let worked: Duration = worked
            .map(|span| span.end.saturating_sub(span.start))
            .fold(Duration::ZERO, Duration::saturating_add);
        let end = execution.spans.iter().map(|span| span.end).max();
        let busy = end.and_then(|end| {
            let workers = u128::try_from(execution.workers).unwrap_or(u128::MAX);
            let whole = end.as_nanos().saturating_mul(workers);
            worked.as_nanos().saturating_mul(1_000).checked_div(whole)
        });
        Self {
            way: execution::way(execution.way).to_owned(),
            workers: execution.workers,
            executions: execution.executions,
            reexecutions: execution.reexecutions,
            execute_us: execution::microseconds(execution.times.execute),
            busy_permille: busy.map(|busy| u64::try_from(busy.min(1_000)).unwrap_or(1_000)),
        }
    }
}

impl From<&Function> for RpcFunction {
    fn from(function: &Function) -> Self {
        Self {
            to: function.to,
            selector: function.selector.map(Bytes::from),
            name: function.name(),
            transaction_count: function.transaction_count,
        }
    }
}

impl From<&NonceChain> for RpcNonceChain {
    fn from(chain: &NonceChain) -> Self {
        Self {
            sender: chain.sender,
            transaction_count: chain.transaction_count,
            gas: chain.gas,
        }
    }
}
