//! One transaction in the pool, with everything that is asked of it often worked out once.
//!
//! Prices are kept in 64 bits and costs in 128, because a million of them are in memory: what is
//! higher counts as the highest there is. That is 18 ether per gas, and more ether than exists.

use crate::admission::CheckedTransaction;
use alloy_consensus::Transaction as _;
use alloy_primitives::B256;
use primitives::RecoveredTransaction;

/// What a transaction offers per gas, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    pub(crate) max_fee: u128,
    pub(crate) priority_fee: u128,
}

impl Fees {
    pub(crate) fn of(transaction: &RecoveredTransaction) -> Self {
        Self {
            max_fee: transaction.max_fee_per_gas(),
            priority_fee: transaction.priority_fee_or_price(),
        }
    }

    /// Whether these replace `other`: both strictly higher and by at least `percent`.
    pub(crate) fn bump(&self, other: &Self, percent: u8) -> bool {
        let least = |old: u128| {
            // Divided first, so that it cannot overflow; the remainder is added back.
            let percent = u128::from(percent);
            let bump = (old / 100).saturating_mul(percent) + (old % 100) * percent / 100;
            old.saturating_add(bump)
        };
        self.max_fee > other.max_fee
            && self.priority_fee > other.priority_fee
            && self.max_fee >= least(other.max_fee)
            && self.priority_fee >= least(other.priority_fee)
    }

    pub(crate) fn price(&self) -> Price {
        let narrow = |fee: u128| u64::try_from(fee).unwrap_or(u64::MAX);
        Price {
            max_fee: narrow(self.max_fee),
            priority_fee: narrow(self.priority_fee),
        }
    }
}

/// What transactions are ordered by: fees per gas in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Price {
    pub(crate) max_fee: u64,
    pub(crate) priority_fee: u64,
}

impl Price {
    /// What the proposer gets per gas; none while the base fee is above the maximum.
    pub(crate) fn effective_tip(&self, base_fee: u64) -> Option<u64> {
        let above = self.max_fee.checked_sub(base_fee)?;
        Some(above.min(self.priority_fee))
    }

    /// Whether this is no worse than `other` at every base fee.
    pub(crate) const fn covers(&self, other: &Self) -> bool {
        self.max_fee >= other.max_fee && self.priority_fee >= other.priority_fee
    }

    /// The highest base fee that leaves the whole priority fee.
    pub(crate) const fn turning_fee(&self) -> u64 {
        self.max_fee.saturating_sub(self.priority_fee)
    }
}

/// A transaction in a lane.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) transaction: RecoveredTransaction,
    pub(crate) nonce: u64,
    pub(crate) price: Price,
    /// Most wei it may take from its sender.
    pub(crate) cost: u128,
    /// Order of arrival.
    pub(crate) arrival: u64,
    pub(crate) arrived_ms: u64,
}

impl Entry {
    pub(crate) fn new(transaction: &CheckedTransaction, arrival: u64, now_ms: u64) -> Self {
        Self {
            nonce: transaction.nonce,
            price: transaction.fees.price(),
            cost: transaction.cost.saturating_to(),
            transaction: transaction.transaction.clone(),
            arrival,
            arrived_ms: now_ms,
        }
    }

    pub(crate) fn hash(&self) -> B256 {
        self.transaction.hash()
    }

    pub(crate) fn size(&self) -> usize {
        self.transaction.raw().len()
    }
}

/// How much a full pool wants to keep a transaction; the smallest goes first.
///
/// Pending ones stay before queued ones, then by price at the base fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) pending: bool,
    effective_tip: Option<u64>,
    max_fee: u64,
}

impl Rank {
    pub(crate) fn new(pending: bool, price: Price, base_fee: u64) -> Self {
        Self {
            pending,
            effective_tip: price.effective_tip(base_fee),
            max_fee: price.max_fee,
        }
    }
}
