//! One sender's transactions by nonce.
//!
//! ```text
//! account.nonce        pending_end
//!      │    pending        │   gap    queued
//!      5    6    7    8    9    ─     11   12
//! ```
//! Invariants: no nonce below the account's; every nonce of `account.nonce .. pending_end` is
//! there and `pending_end` is not; `pending_cost` is the sum over that run.

use crate::entry::{Entry, Rank};
use alloy_primitives::{Address, U256, U512};
use primitives::affordability::AccountView;
use std::{collections::BTreeMap, sync::Arc};

#[derive(Clone, Debug)]
pub(crate) struct Lane {
    sender: Address,
    account: AccountView,
    entries: BTreeMap<u64, Arc<Entry>>,
    pending_end: u64,
    /// In twice the width of a balance, so that no sum of costs can overflow.
    pending_cost: U512,
    /// No entry costs more; it may be higher than the highest.
    cost_bound: U256,
}

impl Lane {
    pub(crate) const fn new(sender: Address, account: AccountView) -> Self {
        Self {
            sender,
            pending_end: account.nonce,
            account,
            entries: BTreeMap::new(),
            pending_cost: U512::ZERO,
            cost_bound: U256::ZERO,
        }
    }

    pub(crate) const fn sender(&self) -> Address {
        self.sender
    }

    pub(crate) const fn account(&self) -> &AccountView {
        &self.account
    }

    pub(crate) const fn entries(&self) -> &BTreeMap<u64, Arc<Entry>> {
        &self.entries
    }

    pub(crate) const fn pending_end(&self) -> u64 {
        self.pending_end
    }

    pub(crate) const fn pending_cost(&self) -> U512 {
        self.pending_cost
    }

    pub(crate) fn pending_len(&self) -> usize {
        let pending = self.pending_end.saturating_sub(self.account.nonce);
        usize::try_from(pending).expect("they are all in memory")
    }

    pub(crate) fn is_pending(&self, nonce: u64) -> bool {
        (self.account.nonce..self.pending_end).contains(&nonce)
    }

    /// The entry with the highest nonce.
    pub(crate) fn tail(&self) -> Option<&Arc<Entry>> {
        self.entries.last_key_value().map(|(_, entry)| entry)
    }

    /// What a full pool would take from this lane first.
    pub(crate) fn tail_rank(&self, base_fee: u64) -> Option<Rank> {
        self.tail().map(|entry| self.rank(entry, base_fee))
    }

    pub(crate) fn rank(&self, entry: &Entry, base_fee: u64) -> Rank {
        entry.rank(self.is_pending(entry.nonce), base_fee)
    }

    /// Adds an entry; gives back the one that had its nonce.
    pub(crate) fn insert(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let nonce = entry.nonce;
        let cost = U512::from(entry.cost);
        self.cost_bound = self.cost_bound.max(entry.cost);
        let replaced = self.entries.insert(nonce, entry);
        if let Some(replaced) = replaced.as_ref().filter(|_| self.is_pending(nonce)) {
            self.pending_cost = self.pending_cost - U512::from(replaced.cost) + cost;
        }
        self.extend_pending();
        replaced
    }

    /// Takes an entry out; the ones above it are queued from then on.
    pub(crate) fn remove(&mut self, nonce: u64) -> Option<Arc<Entry>> {
        if self.is_pending(nonce) {
            self.cut_pending(nonce);
        }
        self.entries.remove(&nonce)
    }

    /// Moves to a newer account; gives back the entries below its nonce.
    pub(crate) fn set_account(&mut self, account: AccountView) -> Vec<Arc<Entry>> {
        let kept = self.entries.split_off(&account.nonce);
        let passed: Vec<_> = std::mem::replace(&mut self.entries, kept)
            .into_values()
            .collect();
        let grew = self.account.nonce <= account.nonce && account.nonce <= self.pending_end;
        if grew {
            let cost = passed.iter().map(|entry| U512::from(entry.cost));
            self.pending_cost -= cost.fold(U512::ZERO, |sum, cost| sum + cost);
        } else {
            self.pending_end = account.nonce;
            self.pending_cost = U512::ZERO;
        }
        self.account = account;
        self.extend_pending();
        passed
    }

    /// Takes the newer balance of an account whose nonce did not move.
    pub(crate) fn refresh_account(&mut self, account: AccountView) {
        if account.nonce == self.account.nonce {
            self.account = account;
        }
    }

    /// Takes out every entry that the balance does not cover even alone.
    pub(crate) fn remove_unaffordable(&mut self) -> Vec<Arc<Entry>> {
        let balance = self.account.balance;
        if self.cost_bound <= balance {
            return Vec::new();
        }
        let nonces: Vec<_> = self
            .entries
            .values()
            .filter(|entry| entry.cost > balance)
            .map(|entry| entry.nonce)
            .collect();
        // From the end, so that each removal in the pending run cuts as little as possible.
        let removed = nonces.iter().rev().filter_map(|nonce| self.remove(*nonce));
        let removed = removed.collect();
        self.cost_bound = balance;
        removed
    }

    fn extend_pending(&mut self) {
        let above = self.entries.range(self.pending_end..);
        for (nonce, entry) in above {
            if *nonce != self.pending_end {
                break;
            }
            self.pending_cost += U512::from(entry.cost);
            self.pending_end = self.pending_end.saturating_add(1);
        }
    }

    /// Ends the pending run below `nonce`.
    fn cut_pending(&mut self, nonce: u64) {
        let queued = self.entries.range(nonce..self.pending_end);
        for (_, entry) in queued {
            self.pending_cost -= U512::from(entry.cost);
        }
        self.pending_end = nonce;
    }
}
