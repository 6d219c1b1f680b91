//! How a block was executed: for those who measure, and for those who wonder what held it up.
//!
//! Nothing here is part of the result. Times come from a clock that the caller gives; without one
//! there are counts only.

use alloy_primitives::{Address, U256};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A clock for reports; its zero is whatever the caller likes.
pub type ReportClock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Which way a block was executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// One transaction after the other.
    #[default]
    InOrder,
    /// On several workers, committed in order.
    First,
    /// By an access list.
    Listed,
}

/// How one block was executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockReport {
    /// Which way.
    pub way: Way,
    /// Workers that took part.
    pub workers: usize,
    /// Times a transaction was executed; plain transfers are not counted.
    pub executions: usize,
    /// Times a transaction was executed again, because what it had seen ahead of its turn changed.
    pub reexecutions: usize,
    /// What had changed, most often first.
    pub conflicts: Vec<Conflict>,
    /// Who executed what, and when; empty without a clock.
    pub spans: Vec<Span>,
    /// How good the predictions of touched slots were.
    pub predictions: PredictionScore,
    /// Finding the accounts of plain transfers ahead of their turn.
    pub located: Timed,
    /// Checking what transactions saw ahead of their turn and committing them, without what was
    /// executed at the turn.
    pub committed: Timed,
}

/// How often something was done, and how long that took in all; zero without a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timed {
    /// How often.
    pub count: usize,
    /// How long in all.
    pub total: Duration,
}

impl Timed {
    /// How long it took on average, in nanoseconds.
    #[must_use]
    pub fn mean_ns(&self) -> u64 {
        let count = u128::try_from(self.count).unwrap_or(u128::MAX);
        let mean = self.total.as_nanos().checked_div(count).unwrap_or(0);
        u64::try_from(mean).unwrap_or(u64::MAX)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.total = self.total.saturating_add(other.total);
    }
}

/// A location that made transactions execute again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The account.
    pub address: Address,
    /// The slot; nothing when it was the account's own balance, nonce or code.
    pub slot: Option<U256>,
    /// Places of the transactions in the block.
    pub transactions: Vec<usize>,
}

/// One execution of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Who executed it.
    pub worker: usize,
    /// Place of the transaction in the block.
    pub transaction: usize,
    /// By the caller's clock.
    pub start: Duration,
    /// By the caller's clock.
    pub end: Duration,
    /// Whether an execution ahead of the turn had been in vain.
    pub again: bool,
}

/// Predicted against touched slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PredictionScore {
    /// Slots predicted.
    pub predicted: u64,
    /// Slots touched.
    pub touched: u64,
    /// Slots both predicted and touched.
    pub hits: u64,
}

impl PredictionScore {
    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.predicted = self.predicted.saturating_add(other.predicted);
        self.touched = self.touched.saturating_add(other.touched);
        self.hits = self.hits.saturating_add(other.hits);
    }
}

/// Transactions by what made them execute again.
type Conflicts = BTreeMap<(Address, Option<U256>), Vec<usize>>;

/// What workers report to while they execute.
pub(crate) struct Probe<'a> {
    clock: Option<&'a ReportClock>,
    spans: Mutex<Vec<Span>>,
    conflicts: Mutex<Conflicts>,
    tally: Mutex<Tally>,
}

/// What one worker has counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) executions: usize,
    pub(crate) predictions: PredictionScore,
    pub(crate) located: Timed,
    pub(crate) committed: Timed,
}

impl fmt::Debug for Probe<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Probe").finish_non_exhaustive()
    }
}

impl<'a> Probe<'a> {
    pub(crate) fn new(clock: Option<&'a ReportClock>) -> Self {
        Self {
            clock,
            spans: Mutex::default(),
            conflicts: Mutex::default(),
            tally: Mutex::default(),
        }
    }

    /// Whether somebody wants to know more than counts.
    pub(crate) const fn is_detailed(&self) -> bool {
        self.clock.is_some()
    }

    pub(crate) fn add_tally(&self, tally: Tally) {
        let sum = self.tally.lock();
        let mut sum = sum.unwrap_or_else(PoisonError::into_inner);
        sum.executions = sum.executions.saturating_add(tally.executions);
        sum.predictions.add(tally.predictions);
        sum.located.add(tally.located);
        sum.committed.add(tally.committed);
    }

    pub(crate) fn now(&self) -> Option<Duration> {
        self.clock.map(|clock| clock())
    }

    pub(crate) fn add_spans(&self, spans: Vec<Span>) {
        let mut all = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(spans);
    }

    pub(crate) fn add_conflict(&self, transaction: usize, address: Address, slot: Option<U256>) {
        let conflicts = self.conflicts.lock();
        let mut conflicts = conflicts.unwrap_or_else(PoisonError::into_inner);
        let transactions = conflicts.entry((address, slot)).or_default();
        transactions.push(transaction);
    }

    pub(crate) fn into_report(self, way: Way, workers: usize) -> BlockReport {
        let conflicts = self.conflicts.into_inner();
        let mut conflicts: Vec<_> = conflicts
            .unwrap_or_else(PoisonError::into_inner)
            .into_iter()
            .map(|((address, slot), transactions)| Conflict {
                address,
                slot,
                transactions,
            })
            .collect();
        conflicts.sort_by_key(|conflict| std::cmp::Reverse(conflict.transactions.len()));
        let spans = self.spans.into_inner();
        let mut spans = spans.unwrap_or_else(PoisonError::into_inner);
        spans.sort_by_key(|span| (span.start, span.worker));
        let again = conflicts.iter().map(|conflict| conflict.transactions.len());
        let tally = self.tally.into_inner();
        let tally = tally.unwrap_or_else(PoisonError::into_inner);
        BlockReport {
            way,
            workers,
            executions: tally.executions,
            predictions: tally.predictions,
            located: tally.located,
            committed: tally.committed,
            reexecutions: again.fold(0, usize::saturating_add),
            conflicts,
            spans,
        }
    }
}
