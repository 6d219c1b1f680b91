//! Keccak-256 of many messages at once.
//!
//! Messages of equal length lie end to end; each goes to one lane of the widest vector unit that the
//! processor is found to have at run time (AVX-512: eight lanes, AVX2: four), which costs a quarter
//! of hashing them in turn. [`Lanes::One`] hashes them in turn: the second way to every digest, and
//! what the cost without vector units is measured with.

use alloy_primitives::keccak256;
use p3_keccak::Keccak256Hash;
use p3_symmetric::CryptographicHasher;

/// How many messages are hashed at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lanes {
    /// As many as the processor can.
    #[default]
    Widest,
    /// One.
    One,
}

impl Lanes {
    /// The digests of as many messages of equal length as there are places for digests.
    ///
    /// # Panics
    ///
    /// When the messages' bytes do not divide by their number.
    pub fn hash_many(self, messages: &[u8], digests: &mut [[u8; 32]]) {
        if digests.is_empty() {
            return;
        }
        let length = messages.len() / digests.len();
        assert_eq!(
            length * digests.len(),
            messages.len(),
            "messages of equal length"
        );
        // A lane left idle costs what a busy one does.
        if self == Self::Widest && digests.len() > 1 {
            Keccak256Hash.hash_many(messages, digests);
            return;
        }
        for (index, digest) in digests.iter_mut().enumerate() {
            *digest = keccak256(&messages[index * length..][..length]).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lanes;
    use alloy_primitives::keccak256;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lanes_agree(length in 0usize..600, count in 0usize..40, seed: u64) {
            let byte = |at: usize| keccak256((seed ^ at as u64).to_be_bytes())[0];
            let messages: Vec<u8> = (0..length * count).map(byte).collect();
            let (mut wide, mut one) = (vec![[0; 32]; count], vec![[1; 32]; count]);
            Lanes::Widest.hash_many(&messages, &mut wide);
            Lanes::One.hash_many(&messages, &mut one);
            prop_assert_eq!(wide, one);
        }
    }

    #[test]
    #[should_panic(expected = "equal length")]
    fn refuses_messages_of_unequal_length() {
        Lanes::Widest.hash_many(&[0; 5], &mut [[0; 32]; 2]);
    }
}
