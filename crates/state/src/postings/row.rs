//! How postings lie in rows: keys that order newest first, and differences in few bytes.

use super::PostingKey;
use crate::record::TransactionLocation;

/// Bytes of a row's key.
pub(super) const ROW_KEY_BYTES: usize = 1 + 16 + 8;
/// The kind of an account's key, of an emitter's, and of the first topic's.
const ACCOUNT: u8 = 0;
const EMITTER: u8 = 1;
const TOPIC: u8 = 2;
/// In a byte of a number: another one follows.
const MORE: u8 = 0x80;

/// A key as rows have it. Equal keys of outside are equal here; different ones nearly always differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowKey {
    kind: u8,
    fold: u128,
}

impl RowKey {
    pub(super) fn of(key: &PostingKey) -> Self {
        let (kind, word) = match key {
            PostingKey::Account(address) => (ACCOUNT, address.into_word()),
            PostingKey::Emitter(address) => (EMITTER, address.into_word()),
            PostingKey::Topic(position, topic) => (TOPIC.saturating_add(*position), *topic),
        };
        let half = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |number, byte| (number << 8) | u128::from(*byte))
        };
        let (high, low) = word.split_at(16);
        // Turned, so that a value in both halves does not cancel itself out.
        let fold = half(high).rotate_left(64) ^ half(low);
        Self { kind, fold }
    }

    /// The key of the row whose last height is this one.
    pub(super) fn with_last(self, last: u64) -> [u8; ROW_KEY_BYTES] {
        let mut bytes = [0; ROW_KEY_BYTES];
        bytes[0] = self.kind;
        bytes[1..17].copy_from_slice(&self.fold.to_be_bytes());
        bytes[17..].copy_from_slice(&(!last).to_be_bytes());
        bytes
    }

    /// A key after all rows of this one, but for that of height 0, which has no transactions.
    pub(super) fn end(self) -> [u8; ROW_KEY_BYTES] {
        self.with_last(0)
    }
}

/// Adds the transactions of one height, in rising order.
pub(super) fn put_group(
    value: &mut Vec<u8>,
    height_step: u64,
    transactions: impl ExactSizeIterator<Item = u32>,
) {
    put(value, height_step);
    put(value, transactions.len() as u64);
    let mut before = 0;
    for transaction in transactions {
        put(value, u64::from(transaction.saturating_sub(before)));
        before = transaction;
    }
}

/// Reads all of a row's value; false if it is none.
pub(super) fn take_groups(mut value: &[u8], into: &mut Vec<TransactionLocation>) -> bool {
    let mut height = 0_u64;
    while !value.is_empty() {
        if take_group(&mut value, &mut height, into).is_none() {
            return false;
        }
    }
    true
}

fn take_group(
    value: &mut &[u8],
    height: &mut u64,
    into: &mut Vec<TransactionLocation>,
) -> Option<()> {
    *height = height.checked_add(take(value)?)?;
    let count = take(value)?;
    let mut transaction = 0_u32;
    for _ in 0..count {
        transaction = transaction.checked_add(u32::try_from(take(value)?).ok()?)?;
        into.push((*height, transaction));
    }
    Some(())
}

fn put(value: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(MORE) {
        value.push(number.to_le_bytes()[0] | MORE);
        number >>= 7;
    }
    value.push(number.to_le_bytes()[0]);
}

fn take(value: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for place in 0..10 {
        let (byte, rest) = value.split_first()?;
        *value = rest;
        number |= u64::from(byte & !MORE).checked_shl(7 * place)?;
        if byte & MORE == 0 {
            return Some(number);
        }
    }
    None
}
