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
use std::{
    ops::Range,
    sync::{PoisonError, RwLock},
};

/// Transactions of which is decided at once whether to execute them in order.
const STRETCH: usize = 64;
/// The same when predictions are false: as many decisions in a small block.
const STRETCH_OF_LIES: usize = 3;
/// Most stretches that are taken for part of a chain without being looked at. Whoever is in the middle of
/// one need not pay for a forecast that says so again.
const TRUST_MAX: usize = 16;
/// Work that has to wait for other work, in percent of all, from which on several workers gain less
/// than it costs to share it.
const CHAIN_PERCENT: u64 = 75;
/// Transactions from one to a later one that would probably have seen too old a value.
const NEAR: usize = 16;
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
    /// What was said of each transaction so far.
    answers: Vec<Option<usize>>,
    /// Stretches behind the next one that are taken for part of the same chain, if that one is part of
    /// the one before.
    trust: usize,
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
            answers: Vec::with_capacity(transactions.len()),
            trust: 0,
            lies: None,
        }
    }

    /// The same, but what it says follows from a seed alone.
    pub(crate) const fn lying(mut self, seed: Option<u64>) -> Self {
        self.lies = seed;
        self
    }

    /// The last earlier transaction that is expected to write what this one touches.
    pub(crate) fn earlier_writer(&mut self, index: usize) -> Option<usize> {
        while self.answers.len() <= index {
            let answer = self.foresee(self.answers.len());
            self.answers.push(answer);
        }
        self.answers.get(index).copied().flatten()
    }

    /// The transactions from `start` on that are better executed in order, because most of them wait
    /// for each other; `gas` is what each is expected to use.
    pub(crate) fn next_chain(&mut self, start: usize, gas: &[u64]) -> Option<Range<usize>> {
        let length = self.lies.map_or(STRETCH, |_| STRETCH_OF_LIES);
        let count = self.transactions.len();
        let end = start.saturating_add(length).min(count);
        if start >= end {
            return None;
        }
        // Nobody waits for what was executed in order.
        let known = self.answers.len().max(start);
        self.answers.resize(known, None);
        let is_chain = match self.lies {
            Some(seed) => mix(seed, start) & 1 == 0,
            None => self.is_chain(start..end, gas),
        };
        let mut writers = (start..end).filter_map(|index| self.earlier_writer(index));
        let goes_on = writers.any(|earlier| earlier < start);
        self.trust = match (goes_on, self.trust) {
            (false, _) => 0,
            (true, trust) => trust.saturating_mul(2).clamp(1, TRUST_MAX),
        };
        let trusted = self.trust.saturating_mul(length);
        is_chain.then_some(start..end.saturating_add(trusted).min(count))
    }

    fn is_chain(&mut self, range: Range<usize>, gas: &[u64]) -> bool {
        let mut ends: Vec<u64> = Vec::with_capacity(range.len());
        let (mut longest, mut sum, mut waiting) = (0_u64, 0_u64, 0_u64);
        for index in range.clone() {
            let earlier = self.earlier_writer(index);
            let place = earlier.and_then(|earlier| earlier.checked_sub(range.start));
            let start = place.and_then(|place| ends.get(place)).copied();
            let gas = gas.get(index).copied().unwrap_or_default();
            if earlier.is_some() {
                waiting = waiting.saturating_add(gas);
            }
            let end = start.unwrap_or_default().saturating_add(gas);
            ends.push(end);
            sum = sum.saturating_add(gas);
            longest = longest.max(end);
        }
        // A single transaction that takes long is no chain.
        let least = sum.saturating_mul(CHAIN_PERCENT);
        longest.min(waiting).saturating_mul(100) > least
    }

    /// Asked once for each transaction, in order.
    fn foresee(&mut self, index: usize) -> Option<usize> {
        if let Some(seed) = self.lies {
            return lie(seed, index);
        }
        let call = self.calls.get(index).copied().flatten()?;
        let transaction = self.transactions.get(index)?;
        self.predicted.clear();
        let predictor = self.predictor.read();
        let predictor = predictor.unwrap_or_else(PoisonError::into_inner);
        predictor.predict(
            transaction,
            call.code_hash,
            Wanted::Conflicting,
            &mut self.predicted,
        );
        let mut latest = None;
        for slot in &self.predicted {
            let place = (slot.address, slot.slot);
            let earlier = self.writers.get(&place).copied();
            latest = latest.max(earlier);
            if earlier.is_some_and(|earlier| index.saturating_sub(earlier) <= NEAR) {
                predictor.confirm(transaction, call.code_hash, slot);
            }
            if slot.writes && self.writers.len() < WRITERS_MAX {
                self.writers.insert(place, index);
            }
        }
        latest
    }
}

/// Any earlier transaction, or none.
fn lie(seed: u64, index: usize) -> Option<usize> {
    let place = u64::try_from(index).ok()?;
    let mixed = mix(seed, index);
    let earlier = (mixed >> 32).checked_rem(place)?;
    (mixed & 3 != 0).then_some(usize::try_from(earlier).ok()?)
}

/// A number that follows from a seed and a place, and looks like chance: a step of splitmix64.
fn mix(seed: u64, index: usize) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let place = u64::try_from(index).unwrap_or(u64::MAX);
    let mut mixed = place.wrapping_add(1).wrapping_mul(STEP) ^ seed.rotate_left(32);
    for (shift, multiplier) in [(30, 0xbf58_476d_1ce4_e5b9), (27, 0x94d0_49bb_1331_11eb)] {
        mixed = (mixed ^ (mixed >> shift)).wrapping_mul(multiplier);
    }
    mixed ^ (mixed >> 31)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::world::{sent_by, transaction};
    use alloy_primitives::{Bytes, TxKind};

    const COUNT: usize = 4 * STRETCH;

    /// The chain that a block begins with, for these answers and costs.
    fn chain_of(answers: Vec<Option<usize>>, gas: &[u64]) -> Option<Range<usize>> {
        let to = TxKind::Call(Address::repeat_byte(1));
        let one = || sent_by(Address::repeat_byte(2), transaction(to, 0, Bytes::new()));
        let transactions: Vec<_> = (0..COUNT).map(|_| one()).collect();
        let predictor = RwLock::default();
        let mut forecast = Forecast::new(&predictor, &[], &transactions);
        forecast.answers = answers;
        forecast.next_chain(0, gas)
    }

    #[test]
    fn who_waits_for_the_one_before_is_in_a_chain() {
        let each: Vec<_> = (0..COUNT)
            .map(|index: usize| index.checked_sub(1))
            .collect();
        assert_eq!(chain_of(each.clone(), &[100; COUNT]), Some(0..STRETCH));
        // The first one weighs most, and nobody waits for long.
        let heavy = [&[1_000_000][..], &[100; COUNT - 1]].concat();
        assert_eq!(chain_of(each, &heavy), None);
        assert_eq!(chain_of(vec![None; COUNT], &[100; COUNT]), None);
        assert_eq!(chain_of(vec![None; COUNT], &heavy), None);
        let half = (0..COUNT).map(|index| index.checked_sub(1).filter(|_| index % 2 == 0));
        assert_eq!(chain_of(half.collect(), &[100; COUNT]), None);
    }

    #[test]
    fn trust_grows_along_a_chain_and_not_from_one_to_the_next() {
        let to = TxKind::Call(Address::repeat_byte(1));
        let one = || sent_by(Address::repeat_byte(2), transaction(to, 0, Bytes::new()));
        let transactions: Vec<_> = (0..40 * STRETCH).map(|_| one()).collect();
        let predictor = RwLock::default();
        let gas = vec![100; transactions.len()];
        let lengths = |answer: fn(usize) -> Option<usize>| {
            let mut forecast = Forecast::new(&predictor, &[], &transactions);
            forecast.answers = (0..transactions.len()).map(answer).collect();
            let mut start = 0;
            let chains = std::iter::from_fn(|| {
                let chain = forecast.next_chain(start, &gas)?;
                start = chain.end;
                Some(chain.len() / STRETCH)
            });
            chains.collect::<Vec<_>>()
        };
        assert_eq!(
            lengths(|index| index.checked_sub(1)),
            [1, 2, 3, 5, 9, 17, 3]
        );
        let apart = lengths(|index| index.checked_sub(1).filter(|_| index % STRETCH != 0));
        assert_eq!(apart, [1; 40]);
    }

    #[test]
    fn lies_begin_and_end_chains() {
        let begins = |seed, start| mix(seed, start) & 1 == 0;
        let ends = (0..100).filter(|seed| begins(*seed, 0) && !begins(*seed, STRETCH_OF_LIES));
        assert!(ends.count() > 10);
    }
}
