//! Which storage slots a call will touch, learned from the calls before it.
//!
//! ```text
//! executed call ─┬─ touched slots ─────────┐
//!                └─ hashed pairs of words ─┴▶ learn ──▶ Methods: (code, selector) ─▶ Method
//!                                                                                      │ templates
//! next call ──── caller, recipient, words of input ──▶ predict ◀───────────────────────┘
//!                                                         └─▶ slots, with whether they are written
//! ```
//! A template is an [`Expression`](expression::Expression): where a slot lies, said in terms of the
//! call. It is used once two calls have touched what it says, and as long as enough of them do.
//! Learning does not hash: whatever a call reached through a mapping it has hashed itself. Predicting
//! hashes once for each mapping that is wanted.
//!
//! Invariant: all of this affects how long a block takes and nothing else. A wrong prediction is
//! never more than wasted work, and how much of it there is does not depend on what the calls hold:
//! methods, templates, and the words, slots and hashes that are looked at all have limits.

mod call;
mod expression;
mod hashes;
mod method;
mod methods;
#[cfg(test)]
mod tests;

use crate::report::PredictionScore;
use alloy_primitives::{Address, B256, U256};
use call::Call;
use hashes::Preimages;
use method::Method;
use methods::{MethodKey, Methods};
use primitives::RecoveredTransaction;

/// Touched slots of one transaction that are looked at.
pub(crate) const TOUCHED_MAX: usize = 64;

/// What has been learned of the calls so far.
#[derive(Debug, Default)]
pub(crate) struct Predictor {
    methods: Methods,
}

/// What a transaction that was executed did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation<'o> {
    pub(crate) transaction: &'o RecoveredTransaction,
    /// Of the code that the transaction calls.
    pub(crate) code_hash: B256,
    /// Slots, each once, with whether they were written.
    pub(crate) touched: &'o [(Address, U256, bool)],
    /// Words that were hashed in pairs, with the hash.
    pub(crate) preimages: &'o [(B256, [U256; 2])],
}

/// Which slots a caller wants to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All, to read them in advance.
    All,
    /// Those that transactions have lately been executed again for.
    Conflicting,
}

/// A slot that a call is expected to touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PredictedSlot {
    pub(crate) address: Address,
    pub(crate) slot: U256,
    pub(crate) writes: bool,
    /// Place of what it was predicted by, for [`Predictor::confirm`].
    pub(crate) template: usize,
}

impl Predictor {
    /// Learns from a transaction that is committed. Does nothing for calls of which enough is known,
    /// so whoever does not ask [`Self::wants_to_learn`] first loses little.
    pub(crate) fn learn(&mut self, observation: &Observation<'_>) {
        if let Some((call, method)) = self.method(observation) {
            let touched = observation.touched;
            let touched = touched.get(..TOUCHED_MAX).unwrap_or(touched);
            method.learn(&call, touched, Preimages::new(observation.preimages));
        }
    }

    /// Appends the slots that a transaction is expected to touch, each once.
    pub(crate) fn predict(
        &self,
        transaction: &RecoveredTransaction,
        code_hash: B256,
        wanted: Wanted,
        out: &mut Vec<PredictedSlot>,
    ) {
        let key = MethodKey::new(code_hash, selector(transaction));
        let method = self.methods.get(&key);
        // Most calls have nothing to tell, and are not even decoded.
        let Some(method) = method.filter(|method| method.has_any(wanted)) else {
            return;
        };
        if let Some(call) = Call::new(transaction) {
            method.predict(&call, wanted, &mut method.hasher(), out);
        }
    }

    /// It was right to make a transaction wait for a slot, which is predicted as long as that happens
    /// now and then.
    pub(crate) fn confirm(
        &self,
        transaction: &RecoveredTransaction,
        code_hash: B256,
        predicted: &PredictedSlot,
    ) {
        let key = MethodKey::new(code_hash, selector(transaction));
        if let Some(method) = self.methods.get(&key) {
            method.confirm(predicted.template);
        }
    }

    /// A transaction was executed again because of this slot. Touched slots are not looked at;
    /// without preimages it is hashed instead.
    pub(crate) fn conflicted(
        &mut self,
        observation: &Observation<'_>,
        address: Address,
        slot: U256,
    ) {
        if let Some((call, method)) = self.method(observation) {
            let preimages = Preimages::new(observation.preimages);
            method.conflicted(&call, (address, slot), preimages);
        }
    }

    /// Whether to note what the next call does: at first always, later now and then.
    pub(crate) fn wants_to_learn(&self, code_hash: B256, selector: [u8; 4]) -> bool {
        let method = self.methods.get(&MethodKey::new(code_hash, selector));
        method.is_none_or(Method::wants_to_learn)
    }

    /// What calls of this kind have used lately, on average.
    pub(crate) fn gas(&self, code_hash: B256, selector: [u8; 4]) -> Option<u64> {
        self.methods.get(&MethodKey::new(code_hash, selector))?.gas
    }

    /// A call has used so much.
    pub(crate) fn learn_gas(&mut self, code_hash: B256, selector: [u8; 4], gas: u64) {
        let key = MethodKey::new(code_hash, selector);
        self.methods.get_or_default(key).learn_gas(gas);
    }

    /// How good predictions were.
    pub(crate) fn score(
        predicted: &[PredictedSlot],
        touched: &[(Address, U256, bool)],
    ) -> PredictionScore {
        let is_hit = |(address, slot, _): &&(Address, U256, bool)| {
            let mut predicted = predicted.iter();
            predicted.any(|predicted| predicted.slot == *slot && predicted.address == *address)
        };
        let count = |length| u64::try_from(length).unwrap_or(u64::MAX);
        PredictionScore {
            predicted: count(predicted.len()),
            touched: count(touched.len()),
            hits: count(touched.iter().filter(is_hit).count()),
        }
    }

    fn method<'o>(&mut self, observation: &Observation<'o>) -> Option<(Call<'o>, &mut Method)> {
        let call = Call::new(observation.transaction)?;
        let key = MethodKey::new(observation.code_hash, call.selector);
        Some((call, self.methods.get_or_default(key)))
    }
}

/// What a call of this transaction is known by, beside the code; zero where there is none.
pub(crate) fn selector(transaction: &RecoveredTransaction) -> [u8; 4] {
    call::selector(transaction)
}
