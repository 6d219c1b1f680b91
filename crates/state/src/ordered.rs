//! The root of a list: what a header says of its transactions and receipts.
//!
//! ```text
//! items ─encode─▶ leaves ─┬─ as many of one length as fill the lanes ─▶ hash_many ─▶ a reference each
//! RLP(index) is the path  └─▶ branches, the deepest first ────────────▶ hash_many ─▶ … ─▶ root
//! ```
//! The Merkle-Patricia trie of the yellow paper (appendix D) over the paths `RLP(0)`, `RLP(1)`, …. No path is the
//! beginning of another, so no branch has a value. It is built anew for each list, so nodes are kept only until
//! their parents are hashed; leaves are never kept.

#[cfg(test)]
mod tests;

use crate::sparse::Lanes;
use alloy_primitives::B256;
use alloy_rlp::{BufMut, EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::EMPTY_ROOT_HASH;
use std::collections::BTreeMap;

/// Messages of one length that are hashed at once: several times the lanes, so that little is left over.
const BATCH: usize = 64;
/// Children of a branch.
const CHILDREN: usize = 16;
/// Nibbles of the longest path: of an index of 64 bits.
const NIBBLES_MAX: usize = 18;
/// A node as its parent names it: a hash with its RLP header, or the node itself if that is shorter.
const REFERENCE_BYTES_MAX: usize = 33;

/// The root of a list, given what writes one of its items.
#[must_use]
pub fn ordered_root<T>(items: &[T], encode: impl Fn(&T, &mut Vec<u8>)) -> B256 {
    let count = items.len();
    if count == 0 {
        return EMPTY_ROOT_HASH;
    }
    let mut trie = Ordered {
        count,
        encode: |index: usize, out: &mut Vec<u8>| encode(&items[index], out),
        item: Vec::new(),
        references: Vec::new(),
        inner: Vec::new(),
        queues: Queues::default(),
    };
    let root = trie.build(0..count, 0);
    trie.flush();
    trie.hash_inner(root)
}

type Reference = ([u8; REFERENCE_BYTES_MAX], u8);

/// A node that is not a leaf, and how deep it lies, in nibbles.
struct Inner {
    id: usize,
    depth: usize,
    kind: Kind,
}

enum Kind {
    /// The children's ids by nibble.
    Branch(Box<[Option<usize>; CHILDREN]>),
    /// Nibbles that all paths below share, from the depth on.
    Extension { path: Path, child: usize },
}

struct Ordered<F> {
    count: usize,
    encode: F,
    /// The item that is being encoded.
    item: Vec<u8>,
    /// What is known of each node, by its id.
    references: Vec<Reference>,
    inner: Vec<Inner>,
    queues: Queues,
}

impl<F: Fn(usize, &mut Vec<u8>)> Ordered<F> {
    /// Makes the node over the paths at some places of their ascending order, which agree up to a depth.
    fn build(&mut self, places: std::ops::Range<usize>, depth: usize) -> usize {
        let id = self.references.len();
        self.references.push(([0; REFERENCE_BYTES_MAX], 0));
        let (first, last) = (self.path(places.start), self.path(places.end - 1));
        if places.len() == 1 {
            self.leaf(id, places.start, first.from(depth));
            return id;
        }
        let shared = first.shared(&last);
        if shared > depth {
            let child = self.build(places, shared);
            let path = first.from(depth).first(shared - depth);
            let kind = Kind::Extension { path, child };
            self.inner.push(Inner { id, depth, kind });
            return id;
        }
        let mut children = Box::new([None; CHILDREN]);
        let mut start = places.start;
        while start < places.end {
            let nibble = self.path(start).nibble(depth);
            let end = self.end_of(nibble, start..places.end, depth);
            children[usize::from(nibble)] = Some(self.build(start..end, depth + 1));
            start = end;
        }
        let kind = Kind::Branch(children);
        self.inner.push(Inner { id, depth, kind });
        id
    }

    /// The first of some places whose path has another nibble there.
    fn end_of(&self, nibble: u8, places: std::ops::Range<usize>, depth: usize) -> usize {
        let (mut same, mut other) = (places.start, places.end);
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if self.path(middle).nibble(depth) == nibble {
                same = middle;
            } else {
                other = middle;
            }
        }
        other
    }

    fn path(&self, place: usize) -> Path {
        Path::of(index_at(place, self.count))
    }

    fn leaf(&mut self, id: usize, place: usize, path: Path) {
        self.item.clear();
        (self.encode)(index_at(place, self.count), &mut self.item);
        let (compact, length) = path.compact(true);
        let compact = &compact[..length];
        let item = self.item.as_slice();
        let header = Header {
            list: true,
            payload_length: compact.length() + item.length(),
        };
        let length = header.length() + header.payload_length;
        let is_root = self.count == 1;
        let full = self.queues.push(id, length, is_root, |out| {
            header.encode(out);
            compact.encode(out);
            item.encode(out);
        });
        if let Some(length) = full {
            self.queues.hash(length, &mut self.references);
        }
    }

    fn flush(&mut self) {
        self.queues.hash_all(&mut self.references);
    }

    /// Hashes branches and extensions from the bottom up.
    fn hash_inner(mut self, root: usize) -> B256 {
        let mut inner = std::mem::take(&mut self.inner);
        inner.sort_by_key(|node| std::cmp::Reverse(node.depth));
        let mut rest = inner.as_slice();
        while let Some(deepest) = rest.first() {
            // An extension lies above a branch, though never at the same depth as one that it leads to.
            let end = rest.partition_point(|node| node.depth == deepest.depth);
            let (level, above) = rest.split_at(end);
            for node in level {
                self.queue_inner(node, root);
            }
            self.flush();
            rest = above;
        }
        let (bytes, _) = self.references[root];
        B256::from_slice(&bytes[1..])
    }

    fn queue_inner(&mut self, node: &Inner, root: usize) {
        let mut parts: Vec<u8> = Vec::with_capacity(CHILDREN * REFERENCE_BYTES_MAX + 1);
        let reference = |id: usize| {
            let (bytes, length) = &self.references[id];
            &bytes[..usize::from(*length)]
        };
        match &node.kind {
            Kind::Branch(children) => {
                for child in children.iter() {
                    match child {
                        Some(child) => parts.put_slice(reference(*child)),
                        None => parts.put_u8(EMPTY_STRING_CODE),
                    }
                }
                parts.put_u8(EMPTY_STRING_CODE);
            }
            Kind::Extension { path, child } => {
                let (compact, length) = path.compact(false);
                compact[..length].encode(&mut parts);
                parts.put_slice(reference(*child));
            }
        }
        let header = Header {
            list: true,
            payload_length: parts.len(),
        };
        let length = header.length() + parts.len();
        let full = self.queues.push(node.id, length, node.id == root, |out| {
            header.encode(out);
            out.put_slice(&parts);
        });
        if let Some(length) = full {
            self.queues.hash(length, &mut self.references);
        }
    }
}

/// Encoded nodes that wait to be hashed, by their length.
#[derive(Default)]
struct Queues {
    by_length: BTreeMap<usize, Queue>,
    /// Nodes that are their own reference.
    short: Vec<(usize, Vec<u8>)>,
}

#[derive(Default)]
struct Queue {
    messages: Vec<u8>,
    ids: Vec<usize>,
}

impl Queues {
    /// Adds an encoded node; its length if so many of that length wait that they should be hashed.
    fn push(
        &mut self,
        id: usize,
        length: usize,
        is_root: bool,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Option<usize> {
        if length < B256::len_bytes() && !is_root {
            let mut node = Vec::with_capacity(length);
            write(&mut node);
            self.short.push((id, node));
            return None;
        }
        let queue = self.by_length.entry(length).or_default();
        write(&mut queue.messages);
        queue.ids.push(id);
        (queue.ids.len() >= BATCH).then_some(length)
    }

    fn hash(&mut self, length: usize, references: &mut [Reference]) {
        let Some(queue) = self.by_length.get_mut(&length) else {
            return;
        };
        queue.hash(references);
    }

    fn hash_all(&mut self, references: &mut [Reference]) {
        for (id, node) in self.short.drain(..) {
            let (bytes, length) = &mut references[id];
            bytes[..node.len()].copy_from_slice(&node);
            *length = u8::try_from(node.len()).expect("shorter than a hash");
        }
        for queue in self.by_length.values_mut() {
            queue.hash(references);
        }
    }
}

impl Queue {
    fn hash(&mut self, references: &mut [Reference]) {
        let mut digests = [[0; 32]; BATCH];
        let digests = &mut digests[..self.ids.len()];
        Lanes::Widest.hash_many(&self.messages, digests);
        for (id, digest) in self.ids.drain(..).zip(digests) {
            let (bytes, length) = &mut references[id];
            bytes[0] = EMPTY_STRING_CODE + 32;
            bytes[1..].copy_from_slice(digest);
            *length = 33;
        }
        self.messages.clear();
    }
}

/// The index whose path is at a place of the ascending order: `RLP(0)` is `0x80`, above `RLP(127)`.
const fn index_at(place: usize, count: usize) -> usize {
    if place > 0x7f {
        place
    } else if place == 0x7f || place + 1 == count {
        0
    } else {
        place + 1
    }
}

/// Nibbles of a path.
#[derive(Clone, Copy)]
struct Path {
    nibbles: [u8; NIBBLES_MAX],
    start: usize,
    end: usize,
}

impl Path {
    /// Of an item: the nibbles of its index's RLP.
    fn of(index: usize) -> Self {
        let mut bytes = [0; NIBBLES_MAX / 2];
        let mut out = bytes.as_mut_slice();
        (index as u64).encode(&mut out);
        let left = out.len();
        let length = bytes.len() - left;
        let mut nibbles = [0; NIBBLES_MAX];
        for (pair, byte) in nibbles.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[byte >> 4, byte & 0xf]);
        }
        Self {
            nibbles,
            start: 0,
            end: length * 2,
        }
    }

    fn nibble(&self, depth: usize) -> u8 {
        self.nibbles[depth]
    }

    /// How many nibbles two whole paths begin with alike.
    fn shared(&self, other: &Self) -> usize {
        let pairs = self.nibbles[..self.end]
            .iter()
            .zip(&other.nibbles[..other.end]);
        pairs.take_while(|(own, other)| own == other).count()
    }

    fn from(self, depth: usize) -> Self {
        Self {
            start: depth,
            ..self
        }
    }

    fn first(self, length: usize) -> Self {
        Self {
            end: self.start + length,
            ..self
        }
    }

    /// Hex-prefix encoding (yellow paper, appendix C), and its length.
    fn compact(&self, is_leaf: bool) -> ([u8; NIBBLES_MAX / 2 + 1], usize) {
        let nibbles = &self.nibbles[self.start..self.end];
        let mut bytes = [0; NIBBLES_MAX / 2 + 1];
        let (odd, even) = nibbles.split_at(nibbles.len() % 2);
        bytes[0] = (u8::from(is_leaf) << 5) | odd.first().map_or(0, |nibble| 0x10 | nibble);
        for (byte, pair) in bytes[1..].iter_mut().zip(even.chunks_exact(2)) {
            *byte = (pair[0] << 4) | pair[1];
        }
        (bytes, even.len() / 2 + 1)
    }
}
