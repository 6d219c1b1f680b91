//! One sender's transactions.
//!
//! ```text
//! nonce    5   6   7       9  10
//!          └pending┘       queued
//!          ▲       ▲
//!   account.nonce  pending_end
//! ```
//! Invariants: nothing is below the account's nonce; everything in `account.nonce .. pending_end` is
//! there and `pending_end` is not; `pending_cost` is the sum over that run. The run is a deque
//! that a nonce indexes; what is queued is sorted, and of no more than a sender's limit.

use crate::entry::{Entry, Price};
use alloy_primitives::{Address, U256};
use primitives::affordability::AccountView;
use std::collections::VecDeque;

/// A full run grows by as many as it has, up to this many at a time.
const DOUBLED_MAX: usize = 4;
/// A long one grows by one part in this many, so that little memory is spare.
const GROWTH_DIVISOR: usize = 4;

#[derive(Debug)]
pub(crate) struct Lane {
    sender: Address,
    account: AccountView,
    pending: VecDeque<Entry>,
    /// Boxed, because sorting moves them.
    queued: VecDeque<Box<Entry>>,
    /// A sum of 128-bit costs, which cannot overflow.
    pending_cost: U256,
    /// No entry costs more; it may be higher than the highest.
    cost_bound: u128,
    /// Where the lane stands in the order of tails: never above its tail.
    pub(crate) standing: Option<Standing>,
}

/// A place in the order of tails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) pending: bool,
    pub(crate) price: Price,
}

impl Standing {
    /// Whether this is no better than `tail` at every base fee.
    pub(crate) const fn is_below(&self, tail: &Self) -> bool {
        (!self.pending || tail.pending) && tail.price.covers(&self.price)
    }
}

impl Lane {
    pub(crate) const fn new(sender: Address, account: AccountView) -> Self {
        Self {
            sender,
            account,
            pending: VecDeque::new(),
            queued: VecDeque::new(),
            pending_cost: U256::ZERO,
            cost_bound: 0,
            standing: None,
        }
    }

    pub(crate) const fn sender(&self) -> Address {
        self.sender
    }

    pub(crate) const fn account(&self) -> &AccountView {
        &self.account
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len() + self.queued.len()
    }

    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }

    pub(crate) fn pending_end(&self) -> u64 {
        let pending = u64::try_from(self.pending.len()).expect("a length fits");
        self.account.nonce.saturating_add(pending)
    }

    pub(crate) const fn pending_cost(&self) -> U256 {
        self.pending_cost
    }

    pub(crate) fn is_pending(&self, nonce: u64) -> bool {
        (self.account.nonce..self.pending_end()).contains(&nonce)
    }

    pub(crate) fn pending(&self) -> impl Iterator<Item = &Entry> {
        self.pending.iter()
    }

    pub(crate) fn queued(&self) -> impl Iterator<Item = &Entry> {
        self.queued.iter().map(Box::as_ref)
    }

    /// From the highest nonce down.
    pub(crate) fn backwards(&self) -> impl Iterator<Item = &Entry> {
        let queued = self.queued.iter().rev().map(Box::as_ref);
        queued.chain(self.pending.iter().rev())
    }

    pub(crate) fn get(&self, nonce: u64) -> Option<&Entry> {
        let above = usize::try_from(nonce.checked_sub(self.account.nonce)?).ok()?;
        if let Some(entry) = self.pending.get(above) {
            return Some(entry);
        }
        let index = self.queued_index(nonce).ok()?;
        self.queued.get(index).map(Box::as_ref)
    }

    /// The entry with the highest nonce below this one.
    pub(crate) fn below(&self, nonce: u64) -> Option<&Entry> {
        let queued = self.queued_index(nonce).unwrap_or_else(|index| index);
        if let Some(index) = queued.checked_sub(1) {
            return self.queued.get(index).map(Box::as_ref);
        }
        let pending = nonce.checked_sub(self.account.nonce)?;
        let pending = usize::try_from(pending).unwrap_or(usize::MAX);
        self.pending
            .get(pending.min(self.pending.len()).checked_sub(1)?)
    }

    /// The entry that is executable next.
    pub(crate) fn head(&self) -> Option<&Entry> {
        self.pending.front()
    }

    /// The entry with the highest nonce.
    pub(crate) fn tail(&self) -> Option<&Entry> {
        match self.queued.back() {
            Some(entry) => Some(entry),
            None => self.pending.back(),
        }
    }

    /// Where the tail would stand.
    pub(crate) fn tail_standing(&self) -> Option<Standing> {
        let tail = self.tail()?;
        Some(Standing {
            pending: self.queued.is_empty(),
            price: tail.price,
        })
    }

    /// Adds an entry; gives back the one that had its nonce.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.cost_bound = self.cost_bound.max(entry.cost);
        let nonce = entry.nonce;
        if self.is_pending(nonce) {
            return self.replace_pending(entry);
        }
        if nonce == self.pending_end() {
            self.push_pending(entry);
            self.extend_pending();
            return None;
        }
        match self.queued_index(nonce) {
            Ok(index) => {
                let old = self.queued.get_mut(index)?;
                Some(*std::mem::replace(old, Box::new(entry)))
            }
            Err(index) => {
                self.queued.insert(index, Box::new(entry));
                None
            }
        }
    }

    /// Takes an entry out; the ones above it are queued from then on.
    pub(crate) fn remove(&mut self, nonce: u64) -> Option<Entry> {
        if self.is_pending(nonce) {
            self.cut_pending(nonce.saturating_add(1));
            let entry = self.pending.pop_back()?;
            self.pending_cost -= U256::from(entry.cost);
            return Some(entry);
        }
        let index = self.queued_index(nonce).ok()?;
        self.queued.remove(index).map(|entry| *entry)
    }

    /// Takes everything out.
    pub(crate) fn take_all(&mut self) -> Vec<Entry> {
        self.cut_pending(self.account.nonce);
        let all = std::mem::take(&mut self.queued);
        all.into_iter().map(|entry| *entry).collect()
    }

    /// Moves to a newer account; gives back the entries below its nonce.
    pub(crate) fn set_account(&mut self, account: AccountView) -> Vec<Entry> {
        let mut passed = Vec::new();
        if account.nonce < self.account.nonce {
            // Only a development chain takes a nonce back; a gap is before everything then.
            self.cut_pending(self.account.nonce);
        }
        while let Some(entry) = self
            .pending
            .pop_front_if(|entry| entry.nonce < account.nonce)
        {
            self.pending_cost -= U256::from(entry.cost);
            passed.push(entry);
        }
        while let Some(entry) = self
            .queued
            .pop_front_if(|entry| entry.nonce < account.nonce)
        {
            passed.push(*entry);
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

    /// Takes out every entry that the balance does not cover even alone. Looks at the entries only
    /// if one may cost more than the balance.
    pub(crate) fn remove_unaffordable(&mut self) -> Vec<Entry> {
        let balance: u128 = self.account.balance.saturating_to();
        if self.cost_bound <= balance {
            return Vec::new();
        }
        if let Some(first) = self.pending.iter().position(|entry| entry.cost > balance) {
            let above = u64::try_from(first).expect("an index fits");
            self.cut_pending(self.account.nonce.saturating_add(above));
        }
        let (removed, kept): (VecDeque<_>, _) = std::mem::take(&mut self.queued)
            .into_iter()
            .partition(|entry| entry.cost > balance);
        self.queued = kept;
        let costs = self.pending().chain(self.queued()).map(|entry| entry.cost);
        self.cost_bound = costs.max().unwrap_or_default();
        removed.into_iter().map(|entry| *entry).collect()
    }

    fn queued_index(&self, nonce: u64) -> Result<usize, usize> {
        self.queued
            .binary_search_by_key(&nonce, |entry| entry.nonce)
    }

    fn replace_pending(&mut self, entry: Entry) -> Option<Entry> {
        let above = entry.nonce.checked_sub(self.account.nonce)?;
        let old = self.pending.get_mut(usize::try_from(above).ok()?)?;
        self.pending_cost -= U256::from(old.cost);
        self.pending_cost += U256::from(entry.cost);
        Some(std::mem::replace(old, entry))
    }

    fn push_pending(&mut self, entry: Entry) {
        let len = self.pending.len();
        if len == self.pending.capacity() {
            let more = len.min(DOUBLED_MAX).max(len / GROWTH_DIVISOR).max(1);
            self.pending.reserve_exact(more);
        }
        self.pending_cost += U256::from(entry.cost);
        self.pending.push_back(entry);
    }

    fn extend_pending(&mut self) {
        let mut end = self.pending_end();
        while let Some(entry) = self.queued.pop_front_if(|entry| entry.nonce == end) {
            self.push_pending(*entry);
            end = end.saturating_add(1);
        }
    }

    /// Ends the pending run below `nonce`.
    fn cut_pending(&mut self, nonce: u64) {
        while let Some(entry) = self.pending.pop_back_if(|entry| entry.nonce >= nonce) {
            self.pending_cost -= U256::from(entry.cost);
            self.queued.push_front(Box::new(entry));
        }
    }
}
