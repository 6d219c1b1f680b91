//! Where the blocks of a run are: for each a key to find it by, its place and its checksum.
//!
//! The key is one that is after all keys of the block before and not after those of the block
//! itself; the shortest one, where keys are ordered as bytes. In memory a block costs some 20
//! bytes and this key.

use super::block::shared_len;
use super::codec::{Unread, put_key, short, wide};
use super::rows::Order;
use std::ops::Range;

/// The blocks of a run, in order; they fill the file from its beginning without gaps.
#[derive(Debug, Default)]
pub(super) struct Index {
    keys: Vec<u8>,
    key_ends: Vec<usize>,
    /// Where each block ends in the file.
    ends: Vec<u64>,
    checksums: Vec<u64>,
}

impl Index {
    /// Adds the block that comes next.
    pub(super) fn push(&mut self, key: &[u8], bytes: u32, checksum: u64) {
        self.keys.extend_from_slice(key);
        self.key_ends.push(self.keys.len());
        self.ends.push(self.end() + u64::from(bytes));
        self.checksums.push(checksum);
    }

    /// Number of blocks.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where the last block ends.
    pub(super) fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Where a block is in the file.
    pub(super) fn place(&self, block: usize) -> Range<u64> {
        let start = block.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[block]
    }

    pub(super) fn checksum(&self, block: usize) -> u64 {
        self.checksums[block]
    }

    fn key(&self, block: usize) -> &[u8] {
        let start = block
            .checked_sub(1)
            .map_or(0, |before| self.key_ends[before]);
        &self.keys[start..self.key_ends[block]]
    }

    /// The only block that may have the key, or the first if it is before all.
    pub(super) fn find(&self, order: Order, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if order.compare(self.key(middle), key).is_le() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.saturating_sub(1)
    }

    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(short(self.len()).to_le_bytes());
        for block in 0..self.len() {
            let place = self.place(block);
            let len = u32::try_from(place.end - place.start).expect("pushed as such");
            bytes.extend(len.to_le_bytes());
            bytes.extend(self.checksum(block).to_le_bytes());
            put_key(bytes, self.key(block));
        }
    }

    pub(super) fn decode(unread: &mut Unread<'_>) -> Option<Self> {
        let mut index = Self::default();
        for _ in 0..unread.u32()? {
            let (bytes, checksum) = (unread.u32()?, unread.u64()?);
            index.push(unread.key()?, bytes, checksum);
        }
        index.keys.shrink_to_fit();
        index.key_ends.shrink_to_fit();
        index.ends.shrink_to_fit();
        index.checksums.shrink_to_fit();
        (index.len() > 0).then_some(index)
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> u64 {
        wide(self.keys.len() + self.len() * 24)
    }
}

/// The key to find a block by, between the last key before it and its first one.
pub(super) fn separator<'a>(order: Order, before: &[u8], first: &'a [u8]) -> &'a [u8] {
    match order {
        Order::Bytes => &first[..first.len().min(shared_len(before, first) + 1)],
        Order::KeyThenHeight => first,
    }
}

#[cfg(test)]
mod tests {
    use super::{Index, Order, Unread, separator};

    #[test]
    fn a_separator_is_short_and_between() {
        let between = |before: &[u8], first| separator(Order::Bytes, before, first);
        assert_eq!(between(b"abcd", b"abefgh"), b"abe");
        assert_eq!(between(b"ab", b"abcd"), b"abc");
        assert_eq!(between(b"", b"b"), b"b");
        assert_eq!(between(b"", b""), b"");
    }

    #[test]
    fn it_finds_the_block_that_may_have_a_key() {
        let mut index = Index::default();
        for (key, bytes) in [("b", 10), ("d", 20), ("f", 30)] {
            index.push(key.as_bytes(), bytes, 7);
        }
        for (key, block) in [("a", 0), ("b", 0), ("c", 0), ("d", 1), ("e", 1), ("z", 2)] {
            assert_eq!(index.find(Order::Bytes, key.as_bytes()), block, "{key}");
        }
        assert_eq!(index.place(0), 0..10);
        assert_eq!(index.place(2), 30..60);
        let mut bytes = Vec::new();
        index.encode(&mut bytes);
        let decoded = Index::decode(&mut Unread(&bytes)).expect("whole");
        assert_eq!(format!("{decoded:?}"), format!("{index:?}"));
        for len in 0..bytes.len() {
            assert!(Index::decode(&mut Unread(&bytes[..len])).is_none());
        }
    }
}
