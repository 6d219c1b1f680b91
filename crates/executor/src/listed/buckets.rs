//! Finding a key among sorted ones by its first bits.
//!
//! There are about as many buckets as keys, so that the keys of one are few where keys are spread
//! evenly, as addresses and the slots of mappings are; where somebody has chosen them, a search
//! within a bucket takes as many steps as a search among all would.

use std::ops::Range;

/// More buckets than this cost more memory than they save steps.
const BITS_MAX: u32 = 20;

/// Where the keys of each bucket lie.
#[derive(Debug)]
pub(super) struct Buckets {
    shift: u32,
    starts: Vec<u32>,
}

impl Buckets {
    /// The buckets of so many keys in ascending order, of which these are the first bits.
    pub(super) fn new(length: usize, prefixes: impl Iterator<Item = u64>) -> Self {
        let bits = length.next_power_of_two().ilog2().min(BITS_MAX);
        let count = 1_usize.checked_shl(bits).unwrap_or(1);
        let mut buckets = Self {
            shift: u64::BITS.saturating_sub(bits),
            starts: Vec::with_capacity(count.saturating_add(1)),
        };
        for (place, prefix) in prefixes.enumerate() {
            let bucket = buckets.bucket(prefix);
            buckets.fill(bucket, place);
        }
        buckets.fill(count, length);
        buckets
    }

    /// Where keys with these first bits lie.
    pub(super) fn range(&self, prefix: u64) -> Range<usize> {
        let bucket = self.bucket(prefix);
        let start = |bucket: usize| {
            let start = self.starts.get(bucket).copied().unwrap_or_default();
            usize::try_from(start).unwrap_or(usize::MAX)
        };
        start(bucket)..start(bucket.saturating_add(1))
    }

    fn bucket(&self, prefix: u64) -> usize {
        let bucket = prefix.checked_shr(self.shift).unwrap_or_default();
        usize::try_from(bucket).unwrap_or_default()
    }

    /// No bucket up to this one has keys before `place` that were not said.
    fn fill(&mut self, bucket: usize, place: usize) {
        let place = u32::try_from(place).unwrap_or(u32::MAX);
        if self.starts.len() <= bucket {
            self.starts.resize(bucket.saturating_add(1), place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Buckets;

    #[test]
    fn every_key_lies_in_its_bucket() {
        let spread = |place: u64| place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut keys: Vec<u64> = (0..1_000).map(spread).collect();
        // Chosen ones, all in one bucket.
        keys.extend(0..500);
        keys.sort_unstable();
        for length in [0, 1, 2, 3, 100, 1_500] {
            let keys = &keys[..length];
            let buckets = Buckets::new(length, keys.iter().copied());
            for (place, key) in keys.iter().enumerate() {
                assert!(buckets.range(*key).contains(&place), "{length} {place}");
            }
            let range = buckets.range(u64::MAX);
            // A single bucket holds everything.
            let are_last = keys[range].iter().all(|key| *key > 1 << 52);
            assert!(length < 2 || are_last, "{length}");
        }
    }
}
