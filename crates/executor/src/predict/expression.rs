//! Where a slot lies, said in terms of a call.
//!
//! ```text
//! allowances[from][caller]   contract  recipient of the transaction
//!                            base      1                          ─┐
//!                            step      keccak(word 0 ‖ ·) + 0      │ each goes on
//!                            step      keccak(caller ‖ ·) + 0     ─┘ where the last one ends
//! ```
//! What follows from constants alone is a constant, so the first step depends on the call.

use super::{
    call::Call,
    hashes::{Pair, Preimages},
};
use alloy_primitives::{Address, U256};

/// Mappings within mappings that are followed.
const STEPS_MAX: usize = 3;
const ADDRESS_BITS: usize = 160;

/// A contract and a slot of it.
pub(super) type Location = (Address, U256);

/// The slot of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expression {
    contract: Contract,
    base: U256,
    steps: Box<[Step]>,
}

/// Whose slot it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contract {
    /// The called contract's own.
    Recipient,
    /// Of the contract that a word of the input names.
    Word(u8),
    /// Of this one.
    Constant(Address),
}

/// One lookup in a mapping, and the member of the struct that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    key: Key,
    offset: u8,
}

/// What is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The transaction's sender.
    Caller,
    /// The contract that it calls.
    Recipient,
    /// A word of its input.
    Word(u8),
    /// Always the same.
    Constant(U256),
}

impl Expression {
    /// Says where a location lies, from what the call has hashed to find it.
    pub(super) fn describe(
        call: &Call<'_>,
        preimages: Preimages<'_>,
        (address, slot): Location,
    ) -> Self {
        let mut base = slot;
        let mut steps = Vec::new();
        while steps.len() < STEPS_MAX
            && let Some(([key, inner], offset)) = preimages.explain(base)
        {
            let key = call.express(key);
            steps.push((Step { key, offset }, base));
            base = inner;
        }
        let is_constant = |(step, _): &mut (Step, U256)| matches!(step.key, Key::Constant(_));
        while let Some((_, end)) = steps.pop_if(is_constant) {
            base = end;
        }
        Self {
            contract: Contract::describe(call, address),
            base,
            steps: steps.into_iter().rev().map(|(step, _)| step).collect(),
        }
    }

    /// Whether finding the slot takes no hash.
    pub(super) fn is_plain(&self) -> bool {
        self.steps.is_empty()
    }

    /// The location that a call leads to; nothing if its input is too short, or `hash` has no
    /// answer.
    pub(super) fn evaluate(
        &self,
        call: &Call<'_>,
        mut hash: impl FnMut(Pair) -> Option<U256>,
    ) -> Option<Location> {
        let address = self.contract.evaluate(call)?;
        let mut slot = self.base;
        for step in &self.steps {
            let hash = hash([step.key.evaluate(call)?, slot])?;
            slot = hash.wrapping_add(U256::from(step.offset));
        }
        Some((address, slot))
    }
}

impl Contract {
    fn describe(call: &Call<'_>, address: Address) -> Self {
        let word: U256 = address.into_word().into();
        if word == call.recipient {
            Self::Recipient
        } else {
            call.find(word).map_or(Self::Constant(address), Self::Word)
        }
    }

    fn evaluate(&self, call: &Call<'_>) -> Option<Address> {
        let word = match self {
            Self::Constant(address) => return Some(*address),
            Self::Recipient => call.recipient,
            Self::Word(place) => call.word(*place)?,
        };
        let is_address = word.bit_len() <= ADDRESS_BITS;
        is_address.then(|| Address::from_word(word.into()))
    }
}

impl Key {
    fn evaluate(&self, call: &Call<'_>) -> Option<U256> {
        match self {
            Self::Caller => Some(call.caller),
            Self::Recipient => Some(call.recipient),
            Self::Word(place) => call.word(*place),
            Self::Constant(value) => Some(*value),
        }
    }
}
