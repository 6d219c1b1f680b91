//! Whether a key may be in a run: a Bloom filter, in lines of 64 bytes.
//!
//! A key sets six bits of one line, so a question costs one cache miss. With ten bits a key, about
//! one question in sixty about an absent key is answered with "may be".

use super::codec::{Unread, short, wide};

const BITS_PER_KEY: u64 = 10;
const PROBES: u32 = 6;
const LINE_BITS: u64 = 512;
const LINE_WORDS: usize = 8;

/// A set of hashes that may have more in it than were put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    lines: Vec<[u64; LINE_WORDS]>,
}

impl Filter {
    /// A filter with room for so many keys.
    pub(super) fn new(keys: u64) -> Self {
        Self {
            lines: vec![[0; LINE_WORDS]; lines_for(keys)],
        }
    }

    /// Halves the filter as long as it has room for so many keys: it was made for more.
    pub(super) fn fit(&mut self, keys: u64) {
        let enough = lines_for(keys);
        while self.lines.len().is_multiple_of(2) && self.lines.len() / 2 >= enough {
            let pairs = self.lines.as_chunks::<2>().0.iter();
            self.lines = pairs
                .map(|[a, b]| std::array::from_fn(|word| a[word] | b[word]))
                .collect();
        }
    }

    /// Puts a key's hash in.
    pub(super) fn insert(&mut self, hash: u64) {
        let line = self.line(hash);
        let line = &mut self.lines[line];
        for (word, bit) in probes(hash) {
            line[word] |= bit;
        }
    }

    /// False only if the hash was not put in.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let line = &self.lines[self.line(hash)];
        probes(hash).all(|(word, bit)| line[word] & bit != 0)
    }

    /// The upper half of the hash as a fraction of the lines, which folding halves.
    fn line(&self, hash: u64) -> usize {
        let lines = u64::from(short(self.lines.len()));
        usize::try_from(((hash >> 32) * lines) >> 32).expect("less than the lines")
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(short(self.lines.len()).to_le_bytes());
        for word in self.lines.as_flattened() {
            bytes.extend(word.to_le_bytes());
        }
    }

    pub(super) fn decode(unread: &mut Unread<'_>) -> Option<Self> {
        let lines = usize::try_from(unread.u32()?).ok()?;
        let bytes = unread.take(lines.checked_mul(LINE_WORDS * 8)?)?;
        let line = |line: &[u8; LINE_WORDS * 8]| {
            let (words, _) = line.as_chunks();
            std::array::from_fn(|word| u64::from_le_bytes(words[word]))
        };
        let lines: Vec<_> = bytes.as_chunks().0.iter().map(line).collect();
        (!lines.is_empty()).then_some(Self { lines })
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> u64 {
        wide(self.lines.len() * LINE_WORDS * 8)
    }
}

/// Lines for so many keys: a small number times a power of two, which can be halved often.
fn lines_for(keys: u64) -> usize {
    let lines = (keys * BITS_PER_KEY).div_ceil(LINE_BITS).max(1);
    let unit = 1 << lines.ilog2().saturating_sub(6);
    usize::try_from(lines.next_multiple_of(unit)).expect("a filter is in memory")
}

/// The words and bits of a key in its line, from the lower half of the hash.
fn probes(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    let spread = (hash & 0xffff_ffff).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (1..=PROBES).map(move |probe| {
        let place = (spread >> (64 - 9 * probe)) % LINE_BITS;
        let word = usize::try_from(place / 64).expect("less than the words");
        (word, 1 << (place % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::super::hash::hash;
    use super::{Filter, Unread};

    fn filter(room: u64, keys: u64) -> Filter {
        let mut filter = Filter::new(room);
        for key in 0..keys {
            filter.insert(hash(&key.to_le_bytes()));
        }
        filter
    }

    fn false_answers(filter: &Filter) -> usize {
        let absent = (1_000_000..1_100_000_u64).map(|key| hash(&key.to_le_bytes()));
        absent.filter(|hash| filter.may_have(*hash)).count()
    }

    #[test]
    fn it_has_what_was_put_in_and_little_else() {
        for (room, keys) in [(1, 1), (100, 100), (20_000, 20_000), (50_000, 20_000)] {
            let mut filter = filter(room, keys);
            for fitted in [false, true] {
                let has = |key: u64| filter.may_have(hash(&key.to_le_bytes()));
                assert!((0..keys).all(has), "{room} {fitted}");
                assert!(false_answers(&filter) < 2_500, "{room} {fitted}");
                filter.fit(keys);
            }
        }
    }

    #[test]
    fn folding_saves_the_room_that_was_not_needed() {
        let mut filter = filter(80_000, 10_000);
        filter.fit(10_000);
        assert!(filter.bytes() < 10_000 * 5 / 2, "{}", filter.bytes());
    }

    #[test]
    fn it_is_the_same_from_its_bytes() {
        let filter = filter(500, 500);
        let mut bytes = Vec::new();
        filter.encode(&mut bytes);
        let mut unread = Unread(&bytes);
        assert_eq!(Filter::decode(&mut unread), Some(filter));
        assert!(unread.0.is_empty());
        for len in 0..bytes.len() {
            assert_eq!(Filter::decode(&mut Unread(&bytes[..len])), None);
        }
        assert_eq!(Filter::decode(&mut Unread(&[0; 4])), None);
    }
}
