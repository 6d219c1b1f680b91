//! Senders that were recovered before, so that no node recovers one twice.
//!
//! ```text
//! transactions ─▶ known? ─▶ recovered in lanes, or by hints ─▶ one in 4,096 again in the C library ─▶ senders
//!                                                               └ a difference: the library, from now on
//! ```
//! A transaction is recovered when it enters the pool, looked up here when a proposal holds it,
//! and again when the block executes. Beside the senders are the keys of those whose transactions entered
//! here, which gossip attaches for nodes that check signatures faster with them. Bounded: each memory has two
//! generations, the older is dropped when the newer is full.
//!
//! The lanes and the hinted way are this node's own code, so a sample of what they say is compared with the
//! C library as long as the node runs. A single difference is an error in the log, and whoever holds this
//! memory recovers with the library alone from then on, the batch with the difference included.

use crate::{
    RecoveredTransaction, Transaction, TransactionError, limits,
    signature::{
        self, Hinted, HintedRecovery, RecoverFault, Recovery, Request, SenderKey,
        recover_in_library, recover_with_keys,
    },
    transaction::Impersonation,
};
use alloy_primitives::{
    Address, B256,
    map::{AddressMap, B256HashMap},
};
use rand_core::CryptoRng;
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash},
    num::NonZeroU64,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

/// Of so many signatures about one is recovered a second time with the C library.
const CHECKED_EVERY: NonZeroU64 = NonZeroU64::new(4_096).expect("4096 is not zero");

/// Shared memory of recovered senders by transaction hash. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SenderCache {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    senders: Mutex<Generations<B256HashMap<Address>>>,
    keys: Mutex<Generations<AddressMap<SenderKey>>>,
    checks: Checks,
}

/// How many recoveries were compared with the C library.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckCounts {
    /// Recoveries that were compared and equal.
    pub equal: u64,
    /// Batches in which a comparison failed: this node's own fault.
    pub different: u64,
}

/// Transactions that were recovered by hints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HintedSenders {
    /// The transactions with their senders, or why they have none; as without hints.
    pub recovered: Vec<Result<RecoveredTransaction, TransactionError>>,
    /// Whether a hint was not the key of its transaction's sender: no honest node sends one.
    pub has_false_hint: bool,
}

/// What becomes of the keys of recovered senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// They are remembered: this node sends the transactions on.
    Remembered,
    /// They are not: others do.
    Dropped,
}

impl SenderCache {
    /// Remembers a sender.
    pub fn insert(&self, transaction: &RecoveredTransaction) {
        self.renew(std::slice::from_ref(transaction));
    }

    /// Remembers senders anew, so that those of transactions that waited long are there when a block
    /// holds them.
    pub fn renew(&self, transactions: &[RecoveredTransaction]) {
        let max = limits::RECOVERED_SENDERS_MAX;
        let mut senders = lock(&self.shared.senders);
        for transaction in transactions {
            senders.insert(transaction.hash(), transaction.sender(), max);
        }
    }

    /// The sender of a transaction seen before.
    #[must_use]
    pub fn get(&self, hash: &B256) -> Option<Address> {
        lock(&self.shared.senders).get(hash).copied()
    }

    /// The key of an account, one of whose transactions was [`recovered`](Self::recover) here.
    #[must_use]
    pub fn key(&self, sender: &Address) -> Option<SenderKey> {
        lock(&self.shared.keys).get(sender).copied()
    }

    /// How many recoveries were compared with the C library so far.
    #[must_use]
    pub fn checks(&self) -> CheckCounts {
        self.shared.checks.counts()
    }

    /// Recovers a transaction, or looks its sender up, and remembers the sender's key.
    ///
    /// # Errors
    /// [`TransactionError::InvalidSignature`].
    pub fn recover(
        &self,
        transaction: Transaction,
        impersonation: Impersonation,
    ) -> Result<RecoveredTransaction, TransactionError> {
        let known = || self.get(&transaction.hash());
        if let Some(sender) = transaction.impersonated_by(impersonation).or_else(known) {
            return Ok(RecoveredTransaction::trusted(transaction, sender));
        }
        let recovered = transaction
            .recovery()
            .and_then(|request| request.recover_with_key().ok())
            .ok_or(TransactionError::InvalidSignature)?;
        let transaction = RecoveredTransaction::trusted(transaction, recovered.address);
        self.insert(&transaction);
        self.insert_key(recovered.address, recovered.key);
        Ok(transaction)
    }

    /// Recovers a batch, or looks its senders up, and remembers the senders' keys; one answer for each, in
    /// their order.
    ///
    /// Signatures are recovered together, which takes a fraction of the time that one by one takes.
    #[must_use]
    pub fn recover_many(
        &self,
        transactions: Vec<Transaction>,
        impersonation: Impersonation,
    ) -> Vec<Result<RecoveredTransaction, TransactionError>> {
        self.recover_batch(transactions, impersonation, Keys::Remembered)
    }

    /// As [`recover_many`](Self::recover_many), for what others send on: the keys are not remembered.
    #[must_use]
    pub fn recover_ordered(
        &self,
        transactions: Vec<Transaction>,
        impersonation: Impersonation,
    ) -> Vec<Result<RecoveredTransaction, TransactionError>> {
        self.recover_batch(transactions, impersonation, Keys::Dropped)
    }

    /// Recovers a batch with what a peer says of its senders' keys, or looks the senders up; one answer for
    /// each, in their order, and the same as without hints.
    ///
    /// `rng` must be unpredictable for whoever made the signatures.
    #[must_use]
    pub fn recover_hinted(
        &self,
        transactions: Vec<(Transaction, Option<&SenderKey>)>,
        impersonation: Impersonation,
        keys: Keys,
        rng: &mut impl CryptoRng,
    ) -> HintedSenders {
        let (transactions, hints): (Vec<_>, Vec<_>) = transactions.into_iter().unzip();
        let (senders, requests) = self.look_up(&transactions, impersonation);
        let mut hinted = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter();
        let mut has_false_hint = false;
        for (sender, key) in senders.iter().zip(hints) {
            match sender {
                Sender::Known(sender) => {
                    has_false_hint |= key.is_some_and(|key| key.address() != *sender);
                }
                Sender::Requested => {
                    hinted.extend(requests.next().map(|request| Hinted { request, key }));
                }
                Sender::Invalid => has_false_hint |= key.is_some(),
            }
        }
        let recovery = self.recover_requests_hinted(&hinted, rng);
        has_false_hint |= !recovery.false_hints.is_empty();
        let recovered = self.finish(transactions, senders, recovery.recovered, keys);
        HintedSenders {
            recovered,
            has_false_hint,
        }
    }

    fn recover_batch(
        &self,
        transactions: Vec<Transaction>,
        impersonation: Impersonation,
        keys: Keys,
    ) -> Vec<Result<RecoveredTransaction, TransactionError>> {
        let (senders, requests) = self.look_up(&transactions, impersonation);
        let recovered = self.recover_requests(&requests);
        self.finish(transactions, senders, recovered, keys)
    }

    /// What is known of the senders, and what has to be recovered of them.
    fn look_up(
        &self,
        transactions: &[Transaction],
        impersonation: Impersonation,
    ) -> (Vec<Sender>, Vec<Request>) {
        let mut requests = Vec::new();
        let known: Vec<Option<Address>> = {
            let cache = lock(&self.shared.senders);
            let known = transactions.iter().map(|tx| cache.get(&tx.hash()).copied());
            known.collect()
        };
        let mut find = |(transaction, known): (&Transaction, Option<Address>)| {
            if let Some(sender) = transaction.impersonated_by(impersonation).or(known) {
                return Sender::Known(sender);
            }
            let request = transaction.recovery();
            requests.extend(request);
            request.map_or(Sender::Invalid, |_| Sender::Requested)
        };
        let senders = transactions.iter().zip(known).map(&mut find).collect();
        (senders, requests)
    }

    /// Joins what was known and what was recovered, and remembers the latter.
    fn finish(
        &self,
        transactions: Vec<Transaction>,
        senders: Vec<Sender>,
        recovered: Vec<Recovery>,
        keys: Keys,
    ) -> Vec<Result<RecoveredTransaction, TransactionError>> {
        if keys == Keys::Remembered {
            let mut keys = lock(&self.shared.keys);
            for recovered in recovered.iter().flatten() {
                keys.insert(recovered.address, recovered.key, limits::SENDER_KEYS_MAX);
            }
        }
        let mut recovered = recovered.into_iter();
        let mut new = Vec::with_capacity(recovered.len());
        let mut finish = |(transaction, sender)| {
            let sender = match sender {
                Sender::Known(sender) => {
                    return Ok(RecoveredTransaction::trusted(transaction, sender));
                }
                Sender::Requested => recovered.next().and_then(Result::ok),
                Sender::Invalid => None,
            };
            let sender = sender.ok_or(TransactionError::InvalidSignature)?.address;
            let transaction = RecoveredTransaction::trusted(transaction, sender);
            new.push(transaction.clone());
            Ok(transaction)
        };
        let finished = transactions.into_iter().zip(senders).map(&mut finish);
        let finished = finished.collect();
        self.renew(&new);
        finished
    }

    fn insert_key(&self, sender: Address, key: SenderKey) {
        lock(&self.shared.keys).insert(sender, key, limits::SENDER_KEYS_MAX);
    }

    fn recover_requests(&self, requests: &[Request]) -> Vec<Recovery> {
        let own = self.shared.checks.trust_own();
        let own = own.then(|| recover_with_keys(requests));
        self.trusted(requests, own)
            .unwrap_or_else(|| recover_in_library(requests))
    }

    fn recover_requests_hinted(
        &self,
        hinted: &[Hinted<'_>],
        rng: &mut impl CryptoRng,
    ) -> HintedRecovery {
        let requests: Vec<_> = hinted.iter().map(|hinted| hinted.request).collect();
        let own = self.shared.checks.trust_own();
        let own = own.then(|| signature::recover_hinted(hinted, rng).recovered);
        let recovered = self.trusted(&requests, own);
        let recovered = recovered.unwrap_or_else(|| recover_in_library(&requests));
        HintedRecovery::judge(hinted, recovered)
    }

    /// Own recoveries, unless one that is compared with the library is wrong.
    fn trusted(&self, requests: &[Request], own: Option<Vec<Recovery>>) -> Option<Vec<Recovery>> {
        let is_right = |own: &Vec<Recovery>| {
            let checked = signature::check(requests, own, CHECKED_EVERY);
            self.shared.checks.note(checked)
        };
        own.filter(is_right)
    }
}

/// What is known of a sender before a batch is recovered.
enum Sender {
    Known(Address),
    Requested,
    Invalid,
}

/// Entries in two generations.
#[derive(Debug, Default)]
struct Generations<M> {
    young: M,
    old: M,
}

impl<K: Hash + Eq, V, S: BuildHasher + Default> Generations<HashMap<K, V, S>> {
    /// At most `max` entries are kept, and at least the newest half of that.
    fn insert(&mut self, key: K, value: V, max: usize) {
        self.young.insert(key, value);
        if self.young.len() >= max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }
}

/// Whether this node's own recoveries may be trusted.
#[derive(Debug, Default)]
struct Checks {
    equal: AtomicU64,
    different: AtomicU64,
    is_wrong: AtomicBool,
}

impl Checks {
    fn trust_own(&self) -> bool {
        !self.is_wrong.load(Relaxed)
    }

    fn counts(&self) -> CheckCounts {
        CheckCounts {
            equal: self.equal.load(Relaxed),
            different: self.different.load(Relaxed),
        }
    }

    /// Notes the outcome of a comparison; whether it is good.
    fn note(&self, checked: Result<u64, Box<RecoverFault>>) -> bool {
        match checked {
            Ok(count) => {
                self.equal.fetch_add(count, Relaxed);
                true
            }
            Err(fault) => {
                self.different.fetch_add(1, Relaxed);
                self.is_wrong.store(true, Relaxed);
                tracing::error!(%fault, "own recovery is wrong: the library recovers from now on");
                false
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
