//! The handle through which everybody uses the pool.
//!
//! ```text
//! rpc, consensus ─ admit_many ─▶ check, read accounts │ stripe by stripe: admit  │ tell listeners
//! pipeline ─────── on_executed ─▶ read accounts       │ stripe by stripe: follow │ tell listeners
//! proposer ─────── best ─▶ nothing yet                │ a few heads at a time, as they are wanted
//! ```
//! There is no actor. Senders are spread over [`STRIPES`] stripes with a lock each; a call holds one
//! for a bounded number of transactions and never while it decodes, recovers a sender, reads
//! state, frees memory or tells a listener. Only a large newcomer to a full pool holds them all.
//!
//! Locks are taken in one order, so nobody waits in a circle: a stripe (all of them: in rising
//! order; otherwise never two), then one of the small ones that are held for a few steps: index,
//! ledger, untold events.
//!
//! Whoever needs one sender's transactions sees them as after one change or another, never in
//! between; two senders' may be seen before and after the same block.

mod admit;
#[cfg(test)]
mod cases;
pub(crate) mod follow;
mod listeners;
#[cfg(test)]
mod model;
#[cfg(test)]
mod spam;
#[cfg(test)]
mod tests;

use crate::{
    config::{Config, STRIPES, VISITS_PER_LOCK},
    entry::Entry,
    index::{Index, Location, Locations},
    pool::{Counts, Pool, PooledTransaction, SenderContent},
    room::{Ledger, Room},
    selection::{Best, NextNonces, TransactionSource},
    short_id::{Found, ShortId, short_id},
    stripe_key::StripeKey,
};
pub use admit::Admissions;
use alloy_primitives::{Address, B256};
pub use listeners::Listener;
use listeners::Listeners;
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A shared pool. Cheap to clone.
#[derive(Clone)]
pub struct Mempool {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<Config>,
    stripes: Vec<Mutex<Pool>>,
    stripe_key: StripeKey,
    index: Arc<Index>,
    ledger: Ledger,
    listeners: Listeners,
    arrivals: AtomicU64,
    base_fee: AtomicU64,
}

impl Mempool {
    /// An empty pool before a block with this base fee.
    #[must_use]
    pub fn new(config: Config, base_fee: u64) -> Self {
        let config = Arc::new(config);
        let stripe_key = StripeKey::new(config.stripe_seed);
        let index = Arc::new(Index::new(stripe_key));
        let stripe = |stripe| {
            let (config, index) = (Arc::clone(&config), Arc::clone(&index));
            Mutex::new(Pool::new(config, stripe, base_fee, index))
        };
        Self {
            shared: Arc::new(Shared {
                stripes: (0..STRIPES).map(stripe).collect(),
                stripe_key,
                ledger: Ledger::new(Room {
                    transactions: config.transactions_max,
                    bytes: config.pool_bytes_max,
                }),
                listeners: Listeners::default(),
                arrivals: AtomicU64::new(0),
                base_fee: AtomicU64::new(base_fee),
                index,
                config,
            }),
        }
    }

    /// Registers a listener for as long as the pool lives.
    ///
    /// # Panics
    /// Above [`LISTENERS_MAX`](crate::config::LISTENERS_MAX): who listens is decided where the node
    /// is wired.
    pub fn listen(&self, listener: Listener) {
        self.shared.listeners.add(listener);
    }

    /// A transaction by its hash.
    #[must_use]
    pub fn get(&self, hash: &B256) -> Option<PooledTransaction> {
        let locations = self.shared.index.locations(short_id(hash));
        locations.as_slice().iter().find_map(|location| {
            let pooled = self.lock(location.stripe.into()).pooled_at(*location)?;
            (pooled.transaction.hash() == *hash).then_some(pooled)
        })
    }

    /// What the pool has with each of these short ids, in their order.
    #[must_use]
    pub fn find(&self, ids: &[ShortId]) -> Vec<Found> {
        let mut found = vec![Found::Missing; ids.len()];
        let mut wanted: Vec<Vec<(usize, Location)>> = vec![Vec::new(); STRIPES];
        for (index, id) in ids.iter().enumerate() {
            match self.shared.index.locations(*id) {
                Locations::None => {}
                Locations::One(location) => {
                    wanted[usize::from(location.stripe)].push((index, location));
                }
                Locations::Several(_) => found[index] = Found::Several,
            }
        }
        for (stripe, wanted) in wanted.iter().enumerate() {
            for wanted in wanted.chunks(VISITS_PER_LOCK) {
                let pool = self.lock(stripe);
                let read =
                    |(index, at): &(usize, Location)| (*index, pool.found_at(*at, ids[*index]));
                let read = wanted.iter().map(read);
                read.for_each(|(index, one)| found[index] = one);
            }
        }
        found
    }

    /// Those of the hashes that are not in the pool, in their order.
    #[must_use]
    pub fn missing(&self, hashes: &[B256]) -> Vec<B256> {
        let missing = hashes.iter().filter(|hash| self.get(hash).is_none());
        missing.copied().collect()
    }

    /// The nonce after a sender's pending transactions; none for a sender without any in the pool.
    #[must_use]
    pub fn pending_nonce(&self, sender: &Address) -> Option<u64> {
        self.lock(self.stripe_of(sender)).pending_nonce(sender)
    }

    /// How much is in the pool; while it changes, the parts are of different moments.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for stripe in 0..STRIPES {
            let counts = self.lock(stripe).counts();
            sum.pending += counts.pending;
            sum.queued += counts.queued;
            sum.bytes += counts.bytes;
        }
        sum
    }

    /// Everything in the pool, by sender. Senders that come and go meanwhile may be missing.
    #[must_use]
    pub fn content(&self) -> Vec<SenderContent> {
        let mut content = Vec::new();
        for stripe in 0..STRIPES {
            let mut place = Some(0);
            while let Some(from) = place {
                let (part, next) = self.lock(stripe).content(from, VISITS_PER_LOCK);
                content.extend(part);
                place = next;
            }
        }
        content.sort_unstable_by_key(|content| content.sender);
        content
    }

    /// What one sender has in the pool.
    #[must_use]
    pub fn content_of(&self, sender: &Address) -> Option<SenderContent> {
        self.lock(self.stripe_of(sender)).content_of(sender)
    }

    /// The stripe of a sender.
    pub(crate) fn stripe_of(&self, sender: &Address) -> usize {
        self.shared.stripe_key.of_sender(sender)
    }

    pub(crate) fn lock(&self, stripe: usize) -> MutexGuard<'_, Pool> {
        let stripe = &self.shared.stripes[stripe];
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a stripe under its lock; its events wait to be told.
    fn hold<R>(&self, stripe: usize, change: impl FnOnce(&mut Pool) -> R) -> R {
        let mut pool = self.lock(stripe);
        let result = change(&mut pool);
        let gone = self.settle(&mut pool);
        drop(pool);
        drop(gone);
        result
    }

    /// Accounts for a change while the stripe is still held. The memory of what left is in the
    /// answer, to be freed after.
    fn settle(&self, pool: &mut Pool) -> Vec<Entry> {
        self.shared.ledger.settle(&pool.take_settlement());
        let (events, gone) = pool.take_outcome();
        self.shared.listeners.put(events);
        gone
    }

    fn tell(&self) {
        self.shared.listeners.tell();
    }

    fn base_fee(&self) -> u64 {
        self.shared.base_fee.load(Ordering::Acquire)
    }
}

impl TransactionSource for Mempool {
    fn best(&self, base_fee: u64, next_nonces: NextNonces) -> Best {
        Best::new(self.clone(), base_fee, next_nonces)
    }
}

impl fmt::Debug for Mempool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mempool")
            .field("base_fee", &self.base_fee())
            .finish_non_exhaustive()
    }
}
