//! What a proposer sees of the pool: the best transaction, again and again.
//!
//! ```text
//! lane A   5 ─ 6 ─ 7        ┐ heads in a heap, best effective tip first,
//! lane B       3 ─ 4        │ then the earlier arrival; taking a head
//! lane C   0                ┘ puts its successor in the heap
//! ```
//! A [`Best`] works on the lanes as they were when it was made and holds no lock. Every sender's
//! transactions come in nonce order without gaps, from the sender's next nonce **on the chain
//! that is built on**: what is ordered there and not executed yet is not offered again.

use crate::{admission::CheckedTransaction, config::Config, entry::Entry, lane::Lane};
use alloy_primitives::{Address, U256};
use primitives::{
    RecoveredTransaction,
    affordability::{AccountView, CodeKind},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

/// A sender's next nonce on the chain that is built on; none when the sender has nothing in flight
/// there, so that its nonce is the executed one.
pub type NextNonce<'a> = &'a dyn Fn(&Address) -> Option<u64>;

/// Where a proposer gets transactions from.
pub trait TransactionSource {
    /// The transactions that pay `base_fee`, best first. The proposer checks that each can pay and
    /// fits, and skips its sender otherwise.
    fn best(&self, base_fee: u64, next_nonce: NextNonce<'_>) -> Best;
}

/// Transactions by price, each sender's in nonce order.
#[derive(Debug)]
pub struct Best {
    base_fee: u64,
    /// By sender.
    lanes: Vec<Arc<Lane>>,
    skipped: Vec<bool>,
    offers: BinaryHeap<Offer>,
    /// The lane of the last one given out and the nonce that follows it.
    last: Option<(usize, u64)>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offer {
    effective_tip: u128,
    arrival: Reverse<u64>,
    lane: usize,
    nonce: u64,
}

impl Best {
    /// Over lanes in the order of their senders.
    pub(crate) fn new(lanes: Vec<Arc<Lane>>, base_fee: u64, next_nonce: NextNonce<'_>) -> Self {
        let heads = lanes.iter().enumerate().filter_map(|(index, lane)| {
            let nonce = next_nonce(&lane.sender()).unwrap_or(lane.account().nonce);
            offer(lane, index, nonce, base_fee)
        });
        let offers = heads.collect();
        Self {
            base_fee,
            skipped: vec![false; lanes.len()],
            offers,
            lanes,
            last: None,
        }
    }

    /// Gives out no further transaction of a sender, for example because the last one did not fit.
    pub fn skip_sender(&mut self, sender: &Address) {
        if let Ok(lane) = self
            .lanes
            .binary_search_by_key(sender, |lane| lane.sender())
        {
            self.skipped[lane] = true;
        }
    }
}

impl Iterator for Best {
    type Item = RecoveredTransaction;

    fn next(&mut self) -> Option<RecoveredTransaction> {
        if let Some((lane, nonce)) = self.last.take().filter(|(lane, _)| !self.skipped[*lane]) {
            let successor = offer(&self.lanes[lane], lane, nonce, self.base_fee);
            self.offers.extend(successor);
        }
        loop {
            let Offer { lane, nonce, .. } = self.offers.pop()?;
            if !self.skipped[lane] {
                self.last = Some((lane, nonce.saturating_add(1)));
                let entry = &self.lanes[lane].entries()[&nonce];
                return Some(entry.transaction.clone());
            }
        }
    }
}

fn offer(lane: &Lane, index: usize, nonce: u64, base_fee: u64) -> Option<Offer> {
    let entry = lane.entries().get(&nonce)?;
    Some(Offer {
        effective_tip: entry.fees.effective_tip(base_fee)?,
        arrival: Reverse(entry.arrival),
        lane: index,
        nonce,
    })
}

/// A source that always offers the same transactions: for tests and simulations without a pool.
#[derive(Clone, Debug)]
pub struct FixedTransactions {
    lanes: Vec<Arc<Lane>>,
}

impl FixedTransactions {
    /// Takes what the rules of the chain allow; each sender starts at the lowest nonce given.
    #[must_use]
    pub fn new(transactions: Vec<RecoveredTransaction>, config: &Config) -> Self {
        let mut senders: BTreeMap<Address, Vec<Entry>> = BTreeMap::new();
        for (arrival, transaction) in (0..).zip(transactions) {
            let Ok(checked) = CheckedTransaction::check(transaction, config) else {
                continue;
            };
            let entry = Entry::new(checked, arrival, 0);
            senders.entry(entry.sender()).or_default().push(entry);
        }
        let lanes = senders.into_iter().map(|(sender, entries)| {
            let nonce = entries.iter().map(|entry| entry.nonce).min();
            let account = AccountView {
                nonce: nonce.unwrap_or_default(),
                balance: U256::MAX,
                code: CodeKind::None,
            };
            let mut lane = Lane::new(sender, account);
            for entry in entries {
                lane.insert(Arc::new(entry));
            }
            Arc::new(lane)
        });
        Self {
            lanes: lanes.collect(),
        }
    }
}

impl TransactionSource for FixedTransactions {
    fn best(&self, base_fee: u64, next_nonce: NextNonce<'_>) -> Best {
        Best::new(self.lanes.clone(), base_fee, next_nonce)
    }
}
