//! Senders that were recovered before, so that no node recovers one twice.
//!
//! A transaction is recovered when it enters the pool, looked up here when a proposal holds it,
//! and again when the block executes. Bounded: two generations, the older is dropped when the
//! newer is full.

use crate::{
    RecoveredTransaction, Transaction, TransactionError, limits, signature::recover_many,
    transaction::Impersonation,
};
use alloy_primitives::{Address, B256, map::B256HashMap};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
struct Generations {
    young: B256HashMap<Address>,
    old: B256HashMap<Address>,
}

impl Generations {
    fn insert(&mut self, transaction: &RecoveredTransaction) {
        self.young.insert(transaction.hash(), transaction.sender());
        if self.young.len() >= limits::RECOVERED_SENDERS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

/// Shared memory of recovered senders by transaction hash. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct SenderCache {
    generations: Arc<Mutex<Generations>>,
}

impl SenderCache {
    /// Remembers a sender.
    pub fn insert(&self, transaction: &RecoveredTransaction) {
        let mut guard = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        guard.insert(transaction);
    }

    /// Remembers senders anew, so that those of transactions that waited long are there when a block
    /// holds them.
    pub fn renew(&self, transactions: &[RecoveredTransaction]) {
        let mut guard = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for transaction in transactions {
            guard.insert(transaction);
        }
    }

    /// The sender of a transaction seen before.
    #[must_use]
    pub fn get(&self, hash: &B256) -> Option<Address> {
        let guard = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        guard
            .young
            .get(hash)
            .or_else(|| guard.old.get(hash))
            .copied()
    }

    /// Recovers a transaction, or looks its sender up.
    ///
    /// # Errors
    /// [`TransactionError::InvalidSignature`].
    pub fn recover(
        &self,
        transaction: Transaction,
        impersonation: Impersonation,
    ) -> Result<RecoveredTransaction, TransactionError> {
        if let Some(sender) = self.get(&transaction.hash()) {
            return Ok(RecoveredTransaction::trusted(transaction, sender));
        }
        let recovered = transaction.recover(impersonation)?;
        self.insert(&recovered);
        Ok(recovered)
    }

    /// Recovers a batch, or looks its senders up; one answer for each, in their order.
    ///
    /// Signatures are recovered together, which takes a fraction of the time that one by one takes.
    #[must_use]
    pub fn recover_many(
        &self,
        transactions: Vec<Transaction>,
        impersonation: Impersonation,
    ) -> Vec<Result<RecoveredTransaction, TransactionError>> {
        let mut requests = Vec::new();
        let mut find = |transaction: &Transaction| {
            let known = || self.get(&transaction.hash());
            if let Some(sender) = transaction.impersonated_by(impersonation).or_else(known) {
                return Sender::Known(sender);
            }
            let request = transaction.recovery();
            requests.extend(request);
            request.map_or(Sender::Invalid, |_| Sender::Requested)
        };
        let senders: Vec<_> = transactions.iter().map(&mut find).collect();
        let mut recovered = recover_many(&requests).into_iter();
        let finish = |(transaction, sender)| {
            let (sender, is_new) = match sender {
                Sender::Known(sender) => (Some(sender), false),
                Sender::Requested => (recovered.next().and_then(Result::ok), true),
                Sender::Invalid => (None, false),
            };
            let sender = sender.ok_or(TransactionError::InvalidSignature)?;
            let transaction = RecoveredTransaction::trusted(transaction, sender);
            if is_new {
                self.insert(&transaction);
            }
            Ok(transaction)
        };
        transactions.into_iter().zip(senders).map(finish).collect()
    }
}

/// What is known of a sender before a batch is recovered.
enum Sender {
    Known(Address),
    Requested,
    Invalid,
}

#[cfg(test)]
mod tests;
