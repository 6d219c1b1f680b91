//! The handle through which everybody uses the pool.
//!
//! ```text
//! rpc, consensus ─ admit_many ─▶ check, read accounts │ lock: admit │ tell listeners
//! pipeline ─────── on_executed ─▶ read accounts       │ lock: follow │ tell listeners
//! proposer ─────── best ─▶                            │ lock: lanes  │ build the heap
//! ```
//! There is no actor: a call holds the lock for microseconds and never while it decodes, recovers
//! a sender, reads state or tells a listener. Listeners run on the caller's thread and must not
//! block: one that feeds a queue drops or coalesces when it is full.

#[cfg(test)]
mod tests;

use crate::{
    admission::{AdmissionError, Admitted, CheckedTransaction},
    config::{ADMISSIONS_PER_LOCK, Config, LISTENERS_MAX},
    event::Event,
    pool::{Counts, Executed, Pool, PooledTransaction, SenderContent},
    selection::{Best, NextNonce, TransactionSource},
    short_id::{Found, ShortId},
};
use alloy_primitives::{Address, B256, map::AddressMap};
use primitives::{RecoveredTransaction, affordability::AccountView};
use state::{ReadFault, StateReader, account_view};
use std::{
    collections::{BTreeSet, hash_map},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

/// Hears what happens in the pool, in the order of each caller's changes. Must not block.
pub type Listener = Box<dyn Fn(&[Event]) + Send + Sync>;

/// One answer for each transaction of a batch, in its order.
pub type Admissions = Vec<Result<Admitted, AdmissionError>>;

/// A shared pool. Cheap to clone.
#[derive(Clone)]
pub struct Mempool {
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    pool: Mutex<Pool>,
    listeners: RwLock<Vec<Listener>>,
    pending: AtomicUsize,
    max_fee_bound: AtomicU64,
}

impl Mempool {
    /// An empty pool before a block with this base fee.
    #[must_use]
    pub fn new(config: Config, base_fee: u64) -> Self {
        let pool = Mutex::new(Pool::new(config.clone(), base_fee));
        Self {
            shared: Arc::new(Shared {
                config,
                pool,
                listeners: RwLock::default(),
                pending: AtomicUsize::new(0),
                max_fee_bound: AtomicU64::new(0),
            }),
        }
    }

    /// Registers a listener for as long as the pool lives.
    ///
    /// # Panics
    /// Above [`LISTENERS_MAX`]: who listens is decided where the node is wired.
    pub fn listen(&self, listener: Listener) {
        let listeners = &self.shared.listeners;
        let mut listeners = listeners.write().unwrap_or_else(PoisonError::into_inner);
        assert!(
            listeners.len() < LISTENERS_MAX,
            "too many listeners: max={LISTENERS_MAX}"
        );
        listeners.push(listener);
    }

    /// Takes recovered transactions in, given the newest executed state.
    ///
    /// # Errors
    /// Our own storage failed; nothing was taken in.
    pub fn admit_many(
        &self,
        transactions: Vec<RecoveredTransaction>,
        state: &impl StateReader,
        now_ms: u64,
    ) -> Result<Admissions, ReadFault> {
        let mut accounts = Accounts::default();
        let mut ready = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let sender = transaction.sender();
            let checked = CheckedTransaction::check(transaction, &self.shared.config);
            ready.push(match checked {
                Ok(checked) => Ok((checked, accounts.read(state, sender)?)),
                Err(error) => Err(error),
            });
        }
        let mut admissions = Vec::with_capacity(ready.len());
        let mut ready = ready.into_iter();
        while ready.len() > 0 {
            let batch = ready.by_ref().take(ADMISSIONS_PER_LOCK);
            let batch = self.change(|pool| admit_batch(pool, batch, now_ms));
            admissions.extend(batch);
        }
        Ok(admissions)
    }

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
        let mut addresses: BTreeSet<_> = touched.iter().copied().collect();
        for transaction in transactions {
            addresses.insert(transaction.sender());
            addresses.extend(transaction.authorities().iter().flatten());
        }
        let accounts = addresses
            .into_iter()
            .map(|address| Ok((address, account_view(state, &address)?)))
            .collect::<Result<Vec<_>, ReadFault>>()?;
        let executed = Executed {
            transactions,
            accounts: &accounts,
            base_fee_next,
        };
        self.change(|pool| pool.on_executed(&executed));
        Ok(())
    }

    /// Drops what waited for its whole lifetime. For a slow timer: it visits every lane.
    pub fn expire(&self, now_ms: u64) {
        self.change(|pool| pool.expire(now_ms));
    }

    /// Drops one transaction on request.
    #[must_use]
    pub fn remove(&self, hash: &B256) -> Option<RecoveredTransaction> {
        self.change(|pool| pool.remove(hash))
    }

    /// Drops a sender's transactions on request.
    pub fn remove_sender(&self, sender: &Address) {
        self.change(|pool| pool.remove_sender(sender));
    }

    /// Drops everything on request.
    pub fn clear(&self) {
        self.change(Pool::clear);
    }

    /// Whether a transaction may be pending that pays `base_fee`, without waiting for anybody.
    ///
    /// It may say yes when there is none, because it knows only a bound on what the pending ones
    /// pay; it never says no when there is one.
    #[must_use]
    pub fn has_pending(&self, base_fee: u64) -> bool {
        self.shared.pending.load(Ordering::Acquire) > 0
            && self.shared.max_fee_bound.load(Ordering::Acquire) >= base_fee
    }

    /// A transaction by its hash.
    #[must_use]
    pub fn get(&self, hash: &B256) -> Option<PooledTransaction> {
        self.lock().get(hash)
    }

    /// What the pool has with each of these short ids, in their order.
    #[must_use]
    pub fn find(&self, ids: &[ShortId]) -> Vec<Found> {
        let pool = self.lock();
        ids.iter().map(|id| pool.find(*id)).collect()
    }

    /// Those of the hashes that are not in the pool, in their order.
    #[must_use]
    pub fn missing(&self, hashes: &[B256]) -> Vec<B256> {
        let pool = self.lock();
        let missing = hashes.iter().filter(|hash| !pool.contains(hash));
        missing.copied().collect()
    }

    /// The nonce after a sender's pending transactions; none for a sender without any in the pool.
    #[must_use]
    pub fn pending_nonce(&self, sender: &Address) -> Option<u64> {
        self.lock().pending_nonce(sender)
    }

    /// How much is in the pool.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts()
    }

    /// Everything in the pool, by sender.
    #[must_use]
    pub fn content(&self) -> Vec<SenderContent> {
        let lanes = self.lock().lanes();
        lanes.iter().map(|lane| lane.as_ref().into()).collect()
    }

    /// What one sender has in the pool.
    #[must_use]
    pub fn content_of(&self, sender: &Address) -> Option<SenderContent> {
        self.lock().content_of(sender)
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        let pool = &self.shared.pool;
        pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the pool under its lock, then tells the listeners.
    fn change<R>(&self, change: impl FnOnce(&mut Pool) -> R) -> R {
        let mut pool = self.lock();
        let result = change(&mut pool);
        let bound = u64::try_from(pool.max_fee_bound()).unwrap_or(u64::MAX);
        let shared = &self.shared;
        shared.max_fee_bound.store(bound, Ordering::Release);
        shared
            .pending
            .store(pool.counts().pending, Ordering::Release);
        let events = pool.take_events();
        drop(pool);
        if !events.is_empty() {
            let listeners = &self.shared.listeners;
            let listeners = listeners.read().unwrap_or_else(PoisonError::into_inner);
            for listener in listeners.iter() {
                listener(&events);
            }
        }
        result
    }
}

impl TransactionSource for Mempool {
    fn best(&self, base_fee: u64, next_nonce: NextNonce<'_>) -> Best {
        let lanes = self.lock().lanes();
        Best::new(lanes, base_fee, next_nonce)
    }
}

impl fmt::Debug for Mempool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mempool")
            .field("pending", &self.shared.pending)
            .finish_non_exhaustive()
    }
}

type Ready = Result<(CheckedTransaction, AccountView), AdmissionError>;

fn admit_batch(pool: &mut Pool, batch: impl Iterator<Item = Ready>, now_ms: u64) -> Admissions {
    let admissions = batch.map(|ready| {
        let (transaction, account) = ready?;
        pool.admit(transaction, account, now_ms)
    });
    admissions.collect()
}

/// Accounts of one batch, each read once.
#[derive(Default)]
struct Accounts {
    read: AddressMap<AccountView>,
}

impl Accounts {
    fn read(
        &mut self,
        state: &impl StateReader,
        sender: Address,
    ) -> Result<AccountView, ReadFault> {
        match self.read.entry(sender) {
            hash_map::Entry::Occupied(known) => Ok(*known.get()),
            hash_map::Entry::Vacant(vacant) => Ok(*vacant.insert(account_view(state, &sender)?)),
        }
    }
}
