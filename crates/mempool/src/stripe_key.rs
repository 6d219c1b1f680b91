//! Which stripe of the pool a sender is in.
//!
//! Keyed: whoever makes up senders, or transactions with chosen short ids, cannot choose that all of them share one
//! stripe with somebody else. The sum of words times secret factors, of which the highest bits count: two senders
//! are in one stripe with a chance of one in as many as there are, whatever they are.

use crate::{config::STRIPES, short_id::ShortId};
use alloy_primitives::Address;

/// Bytes of a word.
const WORD_BYTES: usize = 4;
/// Words of an address.
const WORDS: usize = Address::len_bytes() / WORD_BYTES;
/// Bits that say the stripe.
const STRIPE_BITS: u32 = STRIPES.trailing_zeros();

/// A secret of one process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StripeKey {
    first: u64,
    factors: [u64; WORDS],
}

impl StripeKey {
    /// From a seed that nobody else knows.
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed;
        let mut next = || {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        Self {
            first: next(),
            factors: [(); WORDS].map(|()| next()),
        }
    }

    /// The stripe of a sender.
    pub(crate) fn of_sender(&self, sender: &Address) -> usize {
        self.stripe(sender.as_slice())
    }

    /// The stripe of a short id, in the index.
    pub(crate) fn of_short_id(&self, id: ShortId) -> usize {
        self.stripe(id.as_slice())
    }

    fn stripe(&self, bytes: &[u8]) -> usize {
        let words = bytes.chunks(WORD_BYTES).map(|word| {
            let word = word
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
            // Never nothing, so that every factor counts.
            word + 1
        });
        let sum = words
            .zip(self.factors)
            .fold(self.first, |sum, (word, factor)| {
                sum.wrapping_add(word.wrapping_mul(factor))
            });
        usize::try_from(sum >> (u64::BITS - STRIPE_BITS)).expect("there are few stripes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn senders() -> impl Iterator<Item = Address> {
        (0..64_000_u64).map(|number| Address::left_padding_from(&number.to_be_bytes()))
    }

    #[test]
    fn senders_are_spread_evenly_by_every_key() {
        for seed in 0..8 {
            let key = StripeKey::new(seed);
            let mut stripes = [0_usize; STRIPES];
            senders().for_each(|sender| stripes[key.of_sender(&sender)] += 1);
            assert!(
                stripes.iter().all(|count| (500..1_500).contains(count)),
                "{stripes:?}"
            );
        }
    }

    #[test]
    fn who_knows_one_key_cannot_choose_the_stripes_of_another() {
        let (known, secret) = (StripeKey::new(1), StripeKey::new(2));
        let chosen = senders().filter(|sender| known.of_sender(sender) == 0);
        let mut stripes = [0_usize; STRIPES];
        chosen.for_each(|sender| stripes[secret.of_sender(&sender)] += 1);
        let most = stripes.iter().max().unwrap();
        assert!(*most < 100, "of a thousand: {stripes:?}");
        let ids = (0..=u8::MAX).map(ShortId::with_last_byte);
        let moved = ids.filter(|id| known.of_short_id(*id) != secret.of_short_id(*id));
        assert!(moved.count() > 200);
    }
}
