//! A call, as far as predictions look at it: who calls whom, with which words.

use alloy_consensus::Transaction as _;
use alloy_primitives::U256;
use primitives::RecoveredTransaction;

use super::expression::Key;

/// Words of a call's input that are looked at.
const WORDS_MAX: usize = 16;
const SELECTOR_BYTES: usize = 4;
const WORD_BYTES: usize = 32;

/// One call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'t> {
    pub(super) selector: [u8; 4],
    pub(super) caller: U256,
    pub(super) recipient: U256,
    words: &'t [[u8; WORD_BYTES]],
}

impl<'t> Call<'t> {
    /// The call that a transaction makes, unless it creates a contract.
    pub(super) fn new(transaction: &'t RecoveredTransaction) -> Option<Self> {
        let recipient = transaction.to()?;
        let arguments = transaction.input().get(SELECTOR_BYTES..);
        let (words, _) = arguments.unwrap_or_default().as_chunks();
        Some(Self {
            selector: selector(transaction),
            caller: transaction.sender().into_word().into(),
            recipient: recipient.into_word().into(),
            words: words.get(..WORDS_MAX).unwrap_or(words),
        })
    }

    /// The word at a place, if the input is that long.
    pub(super) fn word(&self, place: u8) -> Option<U256> {
        let word = self.words.get(usize::from(place))?;
        Some(U256::from_be_bytes(*word))
    }

    /// The first place where a word stands.
    pub(super) fn find(&self, value: U256) -> Option<u8> {
        let value = value.to_be_bytes();
        let place = self.words.iter().position(|word| *word == value)?;
        u8::try_from(place).ok()
    }

    /// A word, said in terms of the call. If there are several ways, one that turns out wrong is
    /// replaced by the next call's.
    pub(super) fn express(&self, value: U256) -> Key {
        if value == self.caller {
            Key::Caller
        } else if value == self.recipient {
            Key::Recipient
        } else {
            self.find(value).map_or(Key::Constant(value), Key::Word)
        }
    }
}

/// The first four bytes of the input, or zero where there are fewer.
pub(super) fn selector(transaction: &RecoveredTransaction) -> [u8; 4] {
    let selector = transaction.input().first_chunk();
    selector.copied().unwrap_or_default()
}
