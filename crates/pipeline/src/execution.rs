//! How blocks were executed on this node: for those who wonder what held one up.
//!
//! ```text
//! Actor ─ report, times of stages ─▶ Executions, the newest few ─▶ Chain::execution
//! ```
//! Nothing of it is stored, and no two nodes need to agree on it. Limits: as many blocks as there are
//! recent records, [`CONFLICTS_MAX`] locations of a block, [`CONFLICT_TRANSACTIONS_MAX`] transactions of a
//! location, [`SPANS_MAX`] spans; what is beyond is counted where it can be, and left out.

use crate::{Chain, ChainError};
use alloy_primitives::{Address, Bytes, U256};
use executor::{BlockReport, Conflict, PredictionScore, Span, Way};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Locations that made transactions of one block execute again.
pub const CONFLICTS_MAX: usize = 64;
/// Transactions named with one location.
pub const CONFLICT_TRANSACTIONS_MAX: usize = 256;
/// Executions of transactions of one block whose times are kept.
pub const SPANS_MAX: usize = 4_096;

/// The encoding of an access list of nothing: genesis executes nothing.
const NOTHING_LISTED: [u8; 3] = [0xc2, 0xc0, 0xc0];

/// How one block was executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockExecution {
    /// Which way.
    pub way: Way,
    /// Workers that took part.
    pub workers: usize,
    /// Times a transaction was executed; plain transfers are not counted.
    pub executions: usize,
    /// Times a transaction was executed again.
    pub reexecutions: usize,
    /// Locations that made transactions execute again.
    pub conflict_count: usize,
    /// The first of them, most often first.
    pub conflicts: Vec<BlockConflict>,
    /// Who executed what, and when, from the start of the block's execution on; empty unless asked for.
    pub spans: Vec<Span>,
    /// How good the predictions of touched slots were.
    pub predictions: PredictionScore,
    /// What each stage took.
    pub times: StageTimes,
}

/// A location that made transactions execute again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockConflict {
    /// The account.
    pub address: Address,
    /// The slot; nothing when it was the account's own balance, nonce or code.
    pub storage_slot: Option<U256>,
    /// How many transactions.
    pub transaction_count: usize,
    /// Places of the first of them in the block.
    pub transactions: Vec<usize>,
}

/// What each stage of one block took. The last three are side by side where there are workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Executing the transactions.
    pub execute: Duration,
    /// Committing the writes, with the state root.
    pub commit: Duration,
    /// The roots of transactions and receipts.
    pub roots: Duration,
    /// Building and encoding the access list.
    pub access_list: Duration,
}

impl BlockExecution {
    /// What is kept of a report whose times count from `start` on.
    #[must_use]
    pub fn new(report: BlockReport, start: Duration, times: StageTimes) -> Self {
        let from_start = |span: Span| Span {
            start: span.start.saturating_sub(start),
            end: span.end.saturating_sub(start),
            ..span
        };
        let spans = report.spans.into_iter().take(SPANS_MAX);
        let conflict_count = report.conflicts.len();
        let conflicts = report.conflicts.into_iter().take(CONFLICTS_MAX);
        Self {
            way: report.way,
            workers: report.workers.max(1),
            executions: report.executions,
            reexecutions: report.reexecutions,
            conflict_count,
            conflicts: conflicts.map(BlockConflict::from).collect(),
            spans: spans.map(from_start).collect(),
            predictions: report.predictions,
            times,
        }
    }
}

impl From<Conflict> for BlockConflict {
    fn from(conflict: Conflict) -> Self {
        let mut transactions = conflict.transactions;
        let transaction_count = transactions.len();
        transactions.sort_unstable();
        transactions.truncate(CONFLICT_TRANSACTIONS_MAX);
        transactions.shrink_to_fit();
        Self {
            address: conflict.address,
            storage_slot: conflict.slot,
            transaction_count,
            transactions,
        }
    }
}

/// The newest executions.
#[derive(Debug)]
pub(crate) struct Executions {
    count_max: usize,
    by_height: Mutex<BTreeMap<u64, Arc<BlockExecution>>>,
}

impl Executions {
    pub(crate) fn new(count_max: usize) -> Self {
        Self {
            count_max,
            by_height: Mutex::default(),
        }
    }

    pub(crate) fn remember(&self, height: u64, execution: BlockExecution) {
        let mut by_height = self.lock();
        by_height.insert(height, Arc::new(execution));
        while by_height.len() > self.count_max {
            by_height.pop_first();
        }
    }

    fn get(&self, height: u64) -> Option<Arc<BlockExecution>> {
        self.lock().get(&height).map(Arc::clone)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<BlockExecution>>> {
        self.by_height
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chain {
    /// How the block at a height was executed here; none unless that was recently, in this run.
    #[must_use]
    pub fn execution(&self, height: u64) -> Option<Arc<BlockExecution>> {
        self.shared.executions.get(height)
    }

    /// The encoded access list of the executed block at a height; none above `latest`, and empty for a
    /// block that was stored before access lists were.
    ///
    /// # Errors
    /// When the store fails, and for what this node computed after it diverged.
    pub fn access_list(&self, height: u64) -> Result<Option<Bytes>, ChainError> {
        self.check_not_diverged(height)?;
        self.check_not_pruned(height)?;
        if height > self.heads().executed_height {
            return Ok(None);
        }
        if height == 0 {
            return Ok(Some(Bytes::from_static(&NOTHING_LISTED)));
        }
        Ok(Some(self.shared.store.access_list(height)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use executor::AccessList;

    fn conflict(transactions: usize) -> Conflict {
        Conflict {
            address: Address::repeat_byte(1),
            slot: Some(U256::from(2)),
            transactions: (0..transactions).rev().collect(),
        }
    }

    #[test]
    fn what_is_kept_of_a_report_is_bounded() {
        let span = Span {
            worker: 1,
            transaction: 2,
            start: Duration::from_secs(10),
            end: Duration::from_secs(12),
            again: true,
        };
        let report = BlockReport {
            conflicts: vec![conflict(CONFLICT_TRANSACTIONS_MAX + 3); CONFLICTS_MAX + 2],
            spans: vec![span; SPANS_MAX + 1],
            ..BlockReport::default()
        };
        let start = Duration::from_secs(9);
        let kept = BlockExecution::new(report, start, StageTimes::default());
        assert_eq!(kept.workers, 1);
        assert_eq!(kept.conflict_count, CONFLICTS_MAX + 2);
        assert_eq!(kept.conflicts.len(), CONFLICTS_MAX);
        let first = &kept.conflicts[0];
        assert_eq!(first.transaction_count, CONFLICT_TRANSACTIONS_MAX + 3);
        let expected: Vec<usize> = (0..CONFLICT_TRANSACTIONS_MAX).collect();
        assert_eq!(first.transactions, expected);
        assert_eq!(kept.spans.len(), SPANS_MAX);
        assert_eq!(kept.spans[0].start, Duration::from_secs(1));
        assert_eq!(kept.spans[0].end, Duration::from_secs(3));
    }

    #[test]
    fn only_the_newest_are_remembered() {
        let executions = Executions::new(2);
        for height in 1..=3 {
            let workers = usize::try_from(height).unwrap();
            let execution = BlockExecution {
                workers,
                ..BlockExecution::default()
            };
            executions.remember(height, execution);
        }
        assert!(executions.get(1).is_none());
        assert_eq!(executions.get(3).unwrap().workers, 3);
        assert_eq!(executions.get(2).unwrap().workers, 2);
    }

    #[test]
    fn nothing_is_listed_as_the_executor_lists_it() {
        let list = AccessList::decode(&NOTHING_LISTED).unwrap();
        assert!(list.gas_used().is_empty());
        assert_eq!(list.encode(), NOTHING_LISTED);
    }
}
