//! What leaves the pool other than for a newcomer: by a block, by age, on request.
//!
//! ```text
//! block ─▶ accounts of its senders ─▶ by stripe ─▶ nonces advance, what they passed leaves
//!      └─▶ base fee ─▶ in every stripe, the prices between the old and the new change sides
//! ```
//! Each stripe is held for a bounded number of transactions at a time; one sender's change is never
//! seen in part.

use super::{Mempool, Pool};
use crate::{
    config::{CROSSINGS_PER_LOCK, STRIPES, UNTOLD_EVENTS_MAX, VISITS_PER_LOCK},
    event::DropReason,
    short_id::short_id,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{
    Address, B256,
    map::{AddressMap, B256HashSet, hash_map},
};
use primitives::{RecoveredTransaction, affordability::AccountView};
use state::{ReadFault, StateReader, account_view};
use std::sync::atomic::Ordering;

/// What the execution of one block changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executed<'a> {
    /// The block's transactions.
    pub(crate) transactions: &'a [RecoveredTransaction],
    /// Accounts after the block, each once: at least every sender's, and every other whose nonce
    /// changed.
    pub(crate) accounts: &'a [(Address, AccountView)],
    /// Their nonces.
    pub(crate) nonces: &'a AddressMap<u64>,
    /// Base fee of the next block, in wei.
    pub(crate) base_fee_next: u64,
}

impl Mempool {
    /// Follows an executed block. `state` is the state after it, `touched` are accounts that it
    /// changed in another way than by transactions.
    ///
    /// # Errors
    /// Our own storage failed; the pool did not follow.
    pub fn on_executed(
        &self,
        transactions: &[RecoveredTransaction],
        touched: &[Address],
        base_fee_next: u64,
        state: &impl StateReader,
    ) -> Result<(), ReadFault> {
        let mut nonces = AddressMap::default();
        nonces.reserve(transactions.len());
        let mut accounts = Vec::with_capacity(transactions.len());
        let senders = transactions.iter().flat_map(|transaction| {
            let authorities = transaction.authorities().iter().flatten().copied();
            std::iter::once(transaction.sender()).chain(authorities)
        });
        for address in senders.chain(touched.iter().copied()) {
            if let hash_map::Entry::Vacant(new) = nonces.entry(address) {
                let account = account_view(state, &address)?;
                new.insert(account.nonce);
                accounts.push((address, account));
            }
        }
        self.follow(&Executed {
            transactions,
            accounts: &accounts,
            nonces: &nonces,
            base_fee_next,
        });
        Ok(())
    }

    /// Follows a block whose accounts were read: nonces advance, what they passed leaves, closed
    /// gaps promote.
    pub(crate) fn follow(&self, executed: &Executed<'_>) {
        let hashes = executed.transactions.iter().map(|tx| tx.hash());
        let hashes: B256HashSet = hashes.collect();
        let mut stripes: Vec<Vec<(Address, AccountView)>> = vec![Vec::new(); STRIPES];
        for (sender, account) in executed.accounts {
            stripes[self.stripe_of(sender)].push((*sender, *account));
        }
        for (stripe, accounts) in stripes.iter().enumerate() {
            self.follow_accounts(stripe, accounts, &hashes);
            self.tell_many();
        }
        self.drop_faulted(executed);
        self.follow_base_fee(executed.base_fee_next);
        self.tell();
    }

    fn follow_accounts(
        &self,
        stripe: usize,
        accounts: &[(Address, AccountView)],
        hashes: &B256HashSet,
    ) {
        let mut accounts = accounts.iter().peekable();
        while accounts.peek().is_some() {
            self.hold(stripe, |pool| follow_some(pool, &mut accounts, hashes));
        }
    }

    /// A transaction that was executed without moving its sender's nonce would be offered for ever.
    fn drop_faulted(&self, executed: &Executed<'_>) {
        for transaction in executed.transactions {
            let (sender, nonce) = (transaction.sender(), transaction.nonce());
            if executed
                .nonces
                .get(&sender)
                .is_some_and(|next| nonce < *next)
            {
                continue;
            }
            self.hold(self.stripe_of(&sender), |pool| {
                let location = pool.locate(&sender, nonce)?;
                pool.drop_hash(location, &transaction.hash(), DropReason::Faulted)
            });
        }
    }

    fn follow_base_fee(&self, base_fee: u64) {
        if self.shared.base_fee.swap(base_fee, Ordering::AcqRel) == base_fee {
            return;
        }
        let follow = |pool: &mut Pool| pool.follow_base_fee(base_fee, CROSSINGS_PER_LOCK);
        // In turns: whoever waits for a stripe gets it while the others have theirs.
        let mut behind: Vec<usize> = (0..STRIPES).collect();
        while !behind.is_empty() {
            behind.retain(|stripe| !self.hold(*stripe, follow));
        }
    }

    /// Drops what waited for its whole lifetime. For a slow timer: it visits every sender.
    pub fn expire(&self, now_ms: u64) {
        for stripe in 0..STRIPES {
            let mut place = Some(0);
            while let Some(from) = place {
                place = self.hold(stripe, |pool| pool.expire(now_ms, from, VISITS_PER_LOCK));
            }
            self.tell_many();
        }
        self.tell();
    }

    /// Drops one transaction on request.
    #[must_use]
    pub fn remove(&self, hash: &B256) -> Option<RecoveredTransaction> {
        let locations = self.shared.index.locations(short_id(hash));
        let mut locations = locations.as_slice().iter();
        let removed = locations.find_map(|location| {
            self.hold(location.stripe.into(), |pool| {
                pool.drop_hash(*location, hash, DropReason::Removed)
            })
        });
        self.tell();
        removed
    }

    /// Drops a sender's transactions on request.
    pub fn remove_sender(&self, sender: &Address) {
        self.hold(self.stripe_of(sender), |pool| {
            pool.drop_sender(sender, DropReason::Removed);
        });
        self.tell();
    }

    /// Drops everything on request.
    pub fn clear(&self) {
        for stripe in 0..STRIPES {
            let mut place = Some(0);
            while let Some(from) = place {
                place = self.hold(stripe, |pool| pool.drop_some(from, VISITS_PER_LOCK));
            }
            self.tell_many();
        }
        self.tell();
    }

    /// In the middle of a long change: tells once much is untold.
    pub(super) fn tell_many(&self) {
        if self.shared.listeners.untold() >= UNTOLD_EVENTS_MAX {
            self.tell();
        }
    }
}

fn follow_some<'a>(
    pool: &mut Pool,
    accounts: &mut impl Iterator<Item = &'a (Address, AccountView)>,
    hashes: &B256HashSet,
) {
    let mut visits = 0;
    while visits < VISITS_PER_LOCK
        && let Some((sender, account)) = accounts.next()
    {
        visits += 1 + pool.follow_account(*sender, *account, hashes);
    }
}
