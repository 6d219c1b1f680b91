//! Blooms of logs, with the hashes of what occurs again and again kept.
//!
//! A bloom takes a keccak of a log's address and of each topic. Half of them, in a block of token
//! transfers, are the token's address and the event's signature.

use alloy_primitives::{B256, Bloom, BloomInput, Log, keccak256};

const ENTRIES: usize = 256;
const WORD_BYTES: usize = 32;

/// The hashes of some of the inputs seen last.
#[derive(Debug)]
pub(crate) struct BloomHasher {
    entries: Box<[Entry]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The input, padded with zeros at its end.
    input: [u8; WORD_BYTES],
    /// Of the input; zero for an unused entry.
    length: usize,
    hash: B256,
}

impl Default for BloomHasher {
    fn default() -> Self {
        Self {
            entries: vec![Entry::default(); ENTRIES].into(),
        }
    }
}

impl BloomHasher {
    /// The bloom of a transaction's logs.
    pub(crate) fn bloom(&mut self, logs: &[Log]) -> Bloom {
        let mut bloom = Bloom::ZERO;
        for log in logs {
            bloom.accrue(BloomInput::Hash(self.hash(log.address.as_slice())));
            for topic in log.topics() {
                bloom.accrue(BloomInput::Hash(self.hash(topic.as_slice())));
            }
        }
        bloom
    }

    /// The keccak of an address or a topic.
    fn hash(&mut self, bytes: &[u8]) -> B256 {
        let mut input = [0; WORD_BYTES];
        for (to, from) in input.iter_mut().zip(bytes) {
            *to = *from;
        }
        let [first, .., last] = input;
        let [.., low, _, _, _, _, _, _, _, _, _, _, _, _] = input;
        // Addresses end in their twentieth byte, topics that hold one in their last.
        let place = first ^ last.rotate_left(3) ^ low.rotate_left(5);
        let Some(entry) = self.entries.get_mut(usize::from(place)) else {
            return keccak256(bytes);
        };
        if entry.length != bytes.len() || entry.input != input {
            *entry = Entry {
                input,
                length: bytes.len(),
                hash: keccak256(bytes),
            };
        }
        entry.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, logs_bloom};

    #[test]
    fn a_bloom_is_that_of_the_library() {
        let mut hasher = BloomHasher::default();
        let log = |seed: u8| {
            let topics = (0..seed % 5).map(|topic| B256::with_last_byte(topic ^ seed));
            // An address and a topic whose padded bytes are the same are still two inputs.
            let padded = Address::repeat_byte(seed % 3).into_word();
            let topics = topics
                .take(3)
                .chain([padded, B256::from(padded_right(seed % 3))]);
            let topics = topics.take(4).collect();
            Log::new_unchecked(Address::repeat_byte(seed % 3), topics, Default::default())
        };
        for seed in 0..200 {
            let logs = [log(seed), log(seed.wrapping_mul(7))];
            assert_eq!(hasher.bloom(&logs), logs_bloom(&logs));
        }
    }

    fn padded_right(byte: u8) -> [u8; 32] {
        let mut word = [0; 32];
        word[..20].fill(byte);
        word
    }
}
