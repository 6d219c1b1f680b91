//! How full the pool is, and which stripe has the transaction that it wants least.
//!
//! ```text
//! stripe 0 ─ worst tail ┐            ┌─▶ is there room for this newcomer?
//! stripe 1 ─ worst tail ├─▶ ledger ──┤
//! …                     ┘            └─▶ if not: the worst tail of all
//! ```
//! One small lock, held for a few steps and always last. The limits hold for the pool as a whole,
//! whatever the stripes have of it. A newcomer's room is taken here before it enters its lane, and
//! given back after the leaving ones have left theirs, so the limits hold at every moment.

use crate::{entry::Rank, lanes::LaneId};
use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Transactions and their encoded bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) transactions: usize,
    pub(crate) bytes: usize,
}

impl Room {
    pub(crate) const fn one(bytes: usize) -> Self {
        let transactions = 1;
        Self {
            transactions,
            bytes,
        }
    }

    pub(crate) const fn is_none(self) -> bool {
        self.transactions == 0 && self.bytes == 0
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            transactions: self.transactions + other.transactions,
            bytes: self.bytes + other.bytes,
        }
    }

    /// What is left, at least nothing.
    pub(crate) const fn less(self, other: Self) -> Self {
        Self {
            transactions: self.transactions.saturating_sub(other.transactions),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// A tail that may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tail {
    pub(crate) rank: Rank,
    pub(crate) stripe: usize,
    pub(crate) lane: LaneId,
    pub(crate) nonce: u64,
    pub(crate) bytes: usize,
}

impl Tail {
    pub(crate) const fn room(&self) -> Room {
        Room::one(self.bytes)
    }
}

/// What changed in a stripe since it was told last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settlement {
    pub(crate) freed: Room,
    /// The worst tail as it was told.
    pub(crate) old: Option<Tail>,
    pub(crate) new: Option<Tail>,
}

/// What the whole pool holds and may hold.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: Room,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    used: Room,
    /// The worst tail of each stripe that has one.
    worst: BTreeSet<Tail>,
}

impl Ledger {
    pub(crate) fn new(limits: Room) -> Self {
        Self {
            limits,
            state: Mutex::default(),
        }
    }

    /// Takes room, of which `leaving` will be given back at once; otherwise how much is missing.
    pub(crate) fn take(&self, wanted: Room, leaving: Room) -> Result<(), Room> {
        let mut state = self.lock();
        let used = state.used.plus(wanted);
        let missing = used.less(leaving).less(self.limits);
        if !missing.is_none() {
            return Err(missing);
        }
        state.used = used;
        Ok(())
    }

    /// Follows what a stripe gave back and which tail of it is the worst now.
    pub(crate) fn settle(&self, settlement: &Settlement) {
        let Settlement { freed, old, new } = settlement;
        if freed.is_none() && old == new {
            return;
        }
        let mut state = self.lock();
        state.used = state.used.less(*freed);
        if old != new {
            if let Some(old) = old {
                state.worst.remove(old);
            }
            state.worst.extend(new);
        }
    }

    /// The worst tail in any other stripe.
    pub(crate) fn worst_beside(&self, stripe: usize) -> Option<Tail> {
        let state = self.lock();
        let mut others = state.worst.iter().filter(|tail| tail.stripe != stripe);
        others.next().copied()
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> Room {
        self.lock().used
    }

    #[cfg(test)]
    pub(crate) fn worst(&self) -> Vec<Tail> {
        self.lock().worst.iter().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
