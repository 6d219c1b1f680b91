//! The pool: every sender's lane, and what they add up to.
//!
//! ```text
//! admit ───────▶┐                          ┌─▶ lookups by hash and sender, counts
//! on_executed ─▶│ lanes, by hash, tails ───┼─▶ lanes for a selection
//! expire ──────▶┘                          └─▶ events
//! ```
//! Pure: accounts and the clock are arguments, what happened comes out of
//! [`Pool::take_events`]. Invariants: a transaction is in its lane and in the hash index or in
//! neither; counts and bytes are exact; every lane's tail is ranked; no lane is empty; a
//! transaction leaves only by execution or by a [`DropReason`].

mod admit;
#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use crate::{
    config::Config,
    entry::Entry,
    event::{DropReason, Event},
    eviction::{Lanes, Tails},
    lane::Lane,
    nonces::ExecutedNonces,
    short_id::{Found, ShortId, first_hash},
};
use alloy_primitives::{Address, B256, map::B256HashSet};
use primitives::{RecoveredTransaction, affordability::AccountView};
use std::{collections::BTreeMap, sync::Arc};

/// Transactions waiting for a block.
#[derive(Debug)]
pub struct Pool {
    config: Config,
    /// Of the next block: what prices are compared at.
    base_fee: u64,
    lanes: Lanes,
    tails: Tails,
    by_hash: BTreeMap<B256, (Address, u64)>,
    executed_nonces: ExecutedNonces,
    counts: Counts,
    arrivals: u64,
    max_fee_bound: u128,
    events: Vec<Event>,
}

/// How much is in the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Executable now.
    pub pending: usize,
    /// Behind a nonce gap.
    pub queued: usize,
    /// Encoded bytes of both.
    pub bytes: usize,
}

impl Counts {
    /// Transactions in all.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.pending + self.queued
    }
}

/// What the execution of one block changed.
#[derive(Clone, Copy, Debug)]
pub struct Executed<'a> {
    /// The block's transactions.
    pub transactions: &'a [RecoveredTransaction],
    /// Accounts after the block: at least every sender's, and every other whose nonce changed.
    pub accounts: &'a [(Address, AccountView)],
    /// Base fee of the next block, in wei.
    pub base_fee_next: u64,
}

/// A transaction in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PooledTransaction {
    /// The transaction.
    pub transaction: RecoveredTransaction,
    /// Executable now; otherwise queued.
    pub pending: bool,
}

/// What one sender has in the pool, by nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderContent {
    /// The sender.
    pub sender: Address,
    /// Executable now.
    pub pending: Vec<RecoveredTransaction>,
    /// Behind a nonce gap.
    pub queued: Vec<RecoveredTransaction>,
}

impl From<&Lane> for SenderContent {
    fn from(lane: &Lane) -> Self {
        let entries = lane.entries().values();
        let (pending, queued): (Vec<_>, _) =
            entries.partition(|entry| lane.is_pending(entry.nonce));
        let transactions = |entries: Vec<&Arc<Entry>>| {
            let transactions = entries.into_iter().map(|entry| entry.transaction.clone());
            transactions.collect()
        };
        Self {
            sender: lane.sender(),
            pending: transactions(pending),
            queued: transactions(queued),
        }
    }
}

impl Pool {
    /// An empty pool before a block with this base fee.
    #[must_use]
    pub fn new(config: Config, base_fee: u64) -> Self {
        Self {
            config,
            base_fee,
            lanes: Lanes::default(),
            tails: Tails::default(),
            by_hash: BTreeMap::new(),
            executed_nonces: ExecutedNonces::default(),
            counts: Counts::default(),
            arrivals: 0,
            max_fee_bound: 0,
            events: Vec::new(),
        }
    }

    /// Follows an executed block: nonces advance, what they passed leaves, closed gaps promote.
    pub fn on_executed(&mut self, executed: &Executed<'_>) {
        let hashes = executed.transactions.iter().map(|tx| tx.hash());
        let hashes: B256HashSet = hashes.collect();
        for (sender, account) in executed.accounts {
            self.executed_nonces.insert(*sender, account.nonce);
            self.follow_account(*sender, *account, &hashes);
        }
        for transaction in executed.transactions {
            self.drop_by_hash(&transaction.hash(), DropReason::Faulted);
        }
        if self.base_fee != executed.base_fee_next {
            self.base_fee = executed.base_fee_next;
            self.tails.rebuild(&self.lanes, self.base_fee);
        }
    }

    fn follow_account(&mut self, sender: Address, account: AccountView, executed: &B256HashSet) {
        let changed = self.change_lane(sender, |lane| {
            let passed = lane.set_account(account);
            (passed, lane.remove_unaffordable())
        });
        let Some((passed, unaffordable)) = changed else {
            return;
        };
        for entry in passed {
            let in_block = executed.contains(&entry.hash());
            self.forget(&entry, (!in_block).then_some(DropReason::NonceTooLow));
        }
        for entry in unaffordable {
            self.forget(&entry, Some(DropReason::Unaffordable));
        }
    }

    /// Drops what waited for its whole lifetime, from the end of each lane: a sender who goes on
    /// building on a transaction keeps it.
    pub fn expire(&mut self, now_ms: u64) {
        let lifetime_ms = self.config.lifetime_ms;
        let is_old = |entry: &Entry| now_ms.saturating_sub(entry.arrived_ms) >= lifetime_ms;
        let expired: Vec<_> = self
            .lanes
            .values()
            .flat_map(|lane| {
                let tails = lane.entries().values().rev();
                tails.take_while(|entry| is_old(entry)).cloned()
            })
            .collect();
        for entry in expired {
            self.drop_entry(entry.sender(), entry.nonce, DropReason::Expired);
        }
    }

    /// Drops one transaction on request.
    pub fn remove(&mut self, hash: &B256) -> Option<RecoveredTransaction> {
        let entry = self.drop_by_hash(hash, DropReason::Removed)?;
        Some(entry.transaction.clone())
    }

    /// Drops a sender's transactions on request.
    pub fn remove_sender(&mut self, sender: &Address) {
        while let Some(nonce) = self.tail_nonce(sender) {
            self.drop_entry(*sender, nonce, DropReason::Removed);
        }
    }

    /// Drops everything on request.
    pub fn clear(&mut self) {
        let senders: Vec<_> = self.lanes.keys().copied().collect();
        for sender in &senders {
            self.remove_sender(sender);
        }
    }

    /// A transaction by its hash.
    #[must_use]
    pub fn get(&self, hash: &B256) -> Option<PooledTransaction> {
        let (sender, nonce) = self.by_hash.get(hash)?;
        let lane = self.lanes.get(sender)?;
        let entry = lane.entries().get(nonce)?;
        Some(PooledTransaction {
            transaction: entry.transaction.clone(),
            pending: lane.is_pending(*nonce),
        })
    }

    /// What the pool has with this short id.
    #[must_use]
    pub fn find(&self, id: ShortId) -> Found {
        let mut alike = self
            .by_hash
            .range(first_hash(id)..)
            .take_while(|(hash, _)| hash.starts_with(id.as_slice()));
        match (alike.next(), alike.next()) {
            (None, _) => Found::Missing,
            (Some(_), Some(_)) => Found::Several,
            (Some((hash, _)), None) => self
                .get(hash)
                .map_or(Found::Missing, |pooled| Found::One(pooled.transaction)),
        }
    }

    /// Whether it is in the pool.
    #[must_use]
    pub fn contains(&self, hash: &B256) -> bool {
        self.by_hash.contains_key(hash)
    }

    /// The nonce after a sender's pending transactions; none for a sender without any in the pool.
    #[must_use]
    pub fn pending_nonce(&self, sender: &Address) -> Option<u64> {
        self.lanes.get(sender).map(|lane| lane.pending_end())
    }

    /// What one sender has in the pool.
    #[must_use]
    pub fn content_of(&self, sender: &Address) -> Option<SenderContent> {
        self.lanes.get(sender).map(|lane| lane.as_ref().into())
    }

    /// How much is in the pool.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// No pending transaction's maximum fee is above this; zero when none is pending.
    #[must_use]
    pub const fn max_fee_bound(&self) -> u128 {
        self.max_fee_bound
    }

    /// What happened since the last call. Whoever changes the pool calls this after, or the events
    /// pile up.
    #[must_use]
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// The lanes as they are now, in the order of their senders: later changes of the pool copy
    /// the lane that they change.
    pub(crate) fn lanes(&self) -> Vec<Arc<Lane>> {
        self.lanes.values().cloned().collect()
    }

    fn tail_nonce(&self, sender: &Address) -> Option<u64> {
        let tail = self.lanes.get(sender)?.tail()?;
        Some(tail.nonce)
    }

    fn drop_by_hash(&mut self, hash: &B256, reason: DropReason) -> Option<Arc<Entry>> {
        let (sender, nonce) = *self.by_hash.get(hash)?;
        self.drop_entry(sender, nonce, reason)
    }

    fn drop_entry(
        &mut self,
        sender: Address,
        nonce: u64,
        reason: DropReason,
    ) -> Option<Arc<Entry>> {
        let entry = self.change_lane(sender, |lane| lane.remove(nonce))??;
        self.forget(&entry, Some(reason));
        Some(entry)
    }

    /// Accounts for an entry that left its lane; without a reason it was executed.
    fn forget(&mut self, entry: &Entry, reason: Option<DropReason>) {
        let hash = entry.hash();
        self.by_hash.remove(&hash);
        self.counts.bytes -= entry.size();
        self.events
            .extend(reason.map(|reason| Event::Dropped { hash, reason }));
    }

    /// The only way to change a lane: keeps counts, tails and the fee bound, and tells who became
    /// pending.
    fn change_lane<R>(
        &mut self,
        sender: Address,
        change: impl FnOnce(&mut Lane) -> R,
    ) -> Option<R> {
        let lane = Arc::make_mut(self.lanes.get_mut(&sender)?);
        self.tails.remove(lane.tail_rank(self.base_fee));
        self.counts.pending -= lane.pending_len();
        self.counts.queued -= lane.entries().len() - lane.pending_len();
        let pending_end = lane.pending_end();
        let result = change(lane);
        self.counts.pending += lane.pending_len();
        self.counts.queued += lane.entries().len() - lane.pending_len();
        self.tails.insert(lane.tail_rank(self.base_fee));
        let first = pending_end.max(lane.account().nonce);
        let promoted = first.min(lane.pending_end())..lane.pending_end();
        for (_, entry) in lane.entries().range(promoted) {
            self.max_fee_bound = self.max_fee_bound.max(entry.fees.max_fee);
            self.events.push(Event::Pending(entry.transaction.clone()));
        }
        if self.counts.pending == 0 {
            self.max_fee_bound = 0;
        }
        if lane.entries().is_empty() {
            self.lanes.remove(&sender);
        }
        Some(result)
    }
}
