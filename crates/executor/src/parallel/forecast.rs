//! Which earlier transaction of the block a transaction will probably have to wait for.
//!
//! Only slots that have made transactions execute again are predicted, so that a block without
//! conflicts pays nothing. What is learned from one conflict serves the rest of the same block.

use crate::{
    predict::{Observation, PredictedSlot, Predictor, Wanted, selector},
    transfer::Transfer,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256, map::HashMap};
use primitives::RecoveredTransaction;
use std::sync::{PoisonError, RwLock};

/// Predicted slots of one block whose writers are remembered.
const WRITERS_MAX: usize = 65_536;

/// What is known of a call before it is executed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownCall {
    /// Of the code of the called account.
    pub(crate) code_hash: B256,
    /// Whether what it does is to be noted.
    pub(crate) learns: bool,
    /// What calls of this kind have used lately, on average.
    pub(crate) gas: Option<u64>,
}

/// Predictions for the transactions of one block, made in order.
#[derive(Debug)]
pub(crate) struct Forecast<'p> {
    predictor: &'p RwLock<Predictor>,
    calls: &'p [Option<KnownCall>],
    transactions: &'p [RecoveredTransaction],
    /// The last transaction so far that is expected to write a slot.
    writers: HashMap<(Address, U256), usize>,
    predicted: Vec<PredictedSlot>,
    /// Says something false about every transaction instead: for tests.
    lies: Option<u64>,
}

impl<'p> Forecast<'p> {
    pub(crate) fn new(
        predictor: &'p RwLock<Predictor>,
        calls: &'p [Option<KnownCall>],
        transactions: &'p [RecoveredTransaction],
    ) -> Self {
        Self {
            predictor,
            calls,
            transactions,
            writers: HashMap::default(),
            predicted: Vec::new(),
            lies: None,
        }
    }

    /// The same, but what it says follows from a seed alone.
    pub(crate) const fn lying(mut self, seed: Option<u64>) -> Self {
        self.lies = seed;
        self
    }

    /// The last earlier transaction that is expected to write what this one touches. Asked once for
    /// each transaction, in order.
    pub(crate) fn earlier_writer(&mut self, index: usize) -> Option<usize> {
        if let Some(seed) = self.lies {
            return lie(seed, index);
        }
        let call = self.calls.get(index).copied().flatten()?;
        let transaction = self.transactions.get(index)?;
        self.predicted.clear();
        self.predictor
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .predict(
                transaction,
                call.code_hash,
                Wanted::Conflicting,
                &mut self.predicted,
            );
        let mut latest = None;
        for slot in &self.predicted {
            let place = (slot.address, slot.slot);
            latest = latest.max(self.writers.get(&place).copied());
            if slot.writes && self.writers.len() < WRITERS_MAX {
                self.writers.insert(place, index);
            }
        }
        latest
    }
}

/// Any earlier transaction, or none.
fn lie(seed: u64, index: usize) -> Option<usize> {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let place = u64::try_from(index).ok()?;
    let mixed = (seed ^ place).wrapping_mul(MULTIPLIER);
    let earlier = (mixed >> 32).checked_rem(place)?;
    (mixed & 3 != 0).then_some(usize::try_from(earlier).ok()?)
}

/// Tells the predictor that a transaction was executed again because of a slot, and who wrote it.
pub(crate) fn learn_conflict(
    predictor: &RwLock<Predictor>,
    calls: &[Option<KnownCall>],
    transactions: &[RecoveredTransaction],
    (address, slot): (Address, U256),
    indexes: [Option<usize>; 2],
) {
    let mut predictor = predictor.write().unwrap_or_else(PoisonError::into_inner);
    for index in indexes.into_iter().flatten() {
        let call = calls.get(index).copied().flatten();
        if let (Some(call), Some(transaction)) = (call, transactions.get(index)) {
            let observation = Observation {
                transaction,
                code_hash: call.code_hash,
                touched: &[],
                preimages: &[],
            };
            predictor.conflicted(&observation, address, slot);
        }
    }
}

/// What is known of the calls of a block; `code_hash_of` tells the code of an account.
pub(crate) fn known_calls(
    predictor: &RwLock<Predictor>,
    transactions: &[RecoveredTransaction],
    transfers: &[Option<Transfer>],
    mut code_hash_of: impl FnMut(&Address) -> Option<B256>,
) -> Vec<Option<KnownCall>> {
    let predictor = predictor.read().unwrap_or_else(PoisonError::into_inner);
    let mut hashes: HashMap<Address, Option<B256>> = HashMap::default();
    transactions
        .iter()
        .zip(transfers)
        .map(|(transaction, transfer)| {
            if transfer.is_some() {
                return None;
            }
            let address = transaction.to()?;
            let entry = hashes.entry(address);
            let code_hash = (*entry.or_insert_with(|| code_hash_of(&address)))?;
            let selector = selector(transaction);
            Some(KnownCall {
                code_hash,
                learns: predictor.wants_to_learn(code_hash, selector),
                gas: predictor.gas(code_hash, selector),
            })
        })
        .collect()
}
