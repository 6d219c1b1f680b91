//! One transaction in the pool, with everything that is asked of it often worked out once.

use crate::admission::CheckedTransaction;
use alloy_primitives::{Address, B256, U256};
use primitives::RecoveredTransaction;
use std::cmp::Reverse;

/// What a transaction offers per gas, in wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    pub(crate) max_fee: u128,
    pub(crate) priority_fee: u128,
}

impl Fees {
    /// What the proposer gets per gas; none while the base fee is above the maximum.
    pub(crate) fn effective_tip(&self, base_fee: u64) -> Option<u128> {
        let above = self.max_fee.checked_sub(u128::from(base_fee))?;
        Some(above.min(self.priority_fee))
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
}

/// A transaction in a lane.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) transaction: RecoveredTransaction,
    pub(crate) nonce: u64,
    pub(crate) fees: Fees,
    /// Most wei it may take from its sender.
    pub(crate) cost: U256,
    /// Order of arrival.
    pub(crate) arrival: u64,
    pub(crate) arrived_ms: u64,
}

impl Entry {
    pub(crate) fn new(transaction: CheckedTransaction, arrival: u64, now_ms: u64) -> Self {
        Self {
            nonce: transaction.nonce,
            fees: transaction.fees,
            cost: transaction.cost,
            transaction: transaction.transaction,
            arrival,
            arrived_ms: now_ms,
        }
    }

    pub(crate) fn hash(&self) -> B256 {
        self.transaction.hash()
    }

    pub(crate) fn sender(&self) -> Address {
        self.transaction.sender()
    }

    pub(crate) fn size(&self) -> usize {
        self.transaction.raw().len()
    }

    pub(crate) fn rank(&self, pending: bool, base_fee: u64) -> Rank {
        Rank {
            pending,
            effective_tip: self.fees.effective_tip(base_fee),
            max_fee: self.fees.max_fee,
            arrival: Reverse(self.arrival),
            sender: self.sender(),
            nonce: self.nonce,
        }
    }
}

/// How much a full pool wants to keep a transaction; the smallest goes first.
///
/// Pending ones stay before queued ones, then price at the base fee, then the earlier arrival.
/// Arrivals are unique; sender and nonce only say where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) pending: bool,
    effective_tip: Option<u128>,
    max_fee: u128,
    arrival: Reverse<u64>,
    pub(crate) sender: Address,
    pub(crate) nonce: u64,
}
