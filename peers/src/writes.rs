//! Keys and values, the same in every run.

use alloy_primitives::{B256, U256};
use std::collections::HashSet;
use std::ops::Range;

/// A key and its new value, which is not zero.
pub(crate) type Write = (B256, U256);

/// The writes to tries of one size.
pub(crate) struct Writes {
    keys: u64,
    numbers: Numbers,
}

/// Numbers that look random (splitmix64).
struct Numbers(u64);

impl Writes {
    pub(crate) fn new(keys: u64) -> Self {
        Self {
            keys,
            numbers: Numbers(keys),
        }
    }

    /// The first writes of these keys, by key.
    pub(crate) fn of_keys(&mut self, keys: Range<u64>) -> Vec<Write> {
        self.writes(keys)
    }

    /// New values for so many of the keys, each at most once, by key.
    pub(crate) fn updates(&mut self, count: usize) -> Vec<Write> {
        assert!(count as u64 <= self.keys / 2, "updates={count}");
        let mut chosen = HashSet::with_capacity(count);
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            let number = self.numbers.next() % self.keys;
            if chosen.insert(number) {
                numbers.push(number);
            }
        }
        self.writes(numbers.into_iter())
    }

    fn writes(&mut self, numbers: impl Iterator<Item = u64>) -> Vec<Write> {
        let writes = numbers.map(|number| (key(number), self.numbers.word()));
        let mut writes: Vec<Write> = writes
            .map(|(key, value)| (key, U256::from_be_bytes(value.0)))
            .collect();
        writes.sort_unstable_by_key(|(key, _)| *key);
        writes
    }
}

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    fn word(&mut self) -> B256 {
        let mut word = B256::ZERO;
        for chunk in word.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        word
    }
}

/// Uniform, as the hashed keys of a state are.
fn key(number: u64) -> B256 {
    Numbers(number.wrapping_mul(0xd134_2543_de82_ef95)).word()
}
