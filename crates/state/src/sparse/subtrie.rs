//! References of subtries from their leaves, and of the nodes above them: for whoever checks parts of a
//! state that is not in memory.
//!
//! ```text
//!   sorted leaves ─▶ one subtrie per unit ─▶ hash_many over all of them ─▶ a reference each
//!   references of children ─▶ branch, extension ─▶ reference of the parent
//! ```

use super::arena::{Arena, NONE};
use super::encode::extension_encoding;
use super::keccak::Lanes;
use super::leaf::{AccountWrite, SlotWrite, Write};
use super::node::{self, Path};
use super::rehash::{Rehash, RootJob};
use super::residency::AccountRow;
use super::split::{branch_encoding, refer};
use alloy_primitives::{B256, keccak256};
use std::ops::Range;

pub(crate) use super::node::Reference;

/// Nibbles of a key.
pub(crate) const KEY_NIBBLES: usize = node::KEY_NIBBLES;

/// Some leaves, by number, and how many nibbles of their keys are above the root of their subtrie.
pub(crate) type Unit = (Range<usize>, usize);

/// Computes subtries; keeps its memory from one call to the next.
#[derive(Debug)]
pub(crate) struct Subtries {
    arena: Arena,
    rehash: Rehash,
    roots: Vec<RootJob>,
}

impl Subtries {
    /// One that hashes with these lanes.
    pub(crate) fn new(lanes: Lanes) -> Self {
        Self {
            arena: Arena::default(),
            rehash: Rehash::new(lanes),
            roots: Vec::new(),
        }
    }

    /// The references of subtries of slots. The leaves of each unit ascend, share the nibbles above it, are
    /// at least one, and none has the value zero.
    pub(crate) fn slots(
        &mut self,
        slots: &[SlotWrite],
        units: impl Iterator<Item = Unit>,
    ) -> Vec<Reference> {
        self.references(slots, units)
    }

    /// The roots of storage tries, one for each range of slots.
    pub(crate) fn storage_roots(
        &mut self,
        slots: &[SlotWrite],
        tries: impl Iterator<Item = Range<usize>>,
    ) -> Vec<B256> {
        let references = self.references(slots, tries.map(|range| (range, 0)));
        let roots = references.iter().zip(&self.roots);
        let roots = roots.map(|(reference, root)| match reference {
            Reference::Hash(hash) => B256::from(*hash),
            _ => keccak256(self.arena.encoding(root.node, 0)),
        });
        roots.collect()
    }

    /// The references of subtries of accounts, under the same conditions.
    pub(crate) fn accounts(
        &mut self,
        rows: &[AccountRow],
        units: impl Iterator<Item = Unit>,
    ) -> Vec<Reference> {
        let writes: Vec<AccountWrite> = rows.iter().map(AccountRow::write).collect();
        self.references(&writes, units)
    }

    fn references<W: Write>(
        &mut self,
        writes: &[W],
        units: impl Iterator<Item = Unit>,
    ) -> Vec<Reference> {
        self.arena.clear();
        self.roots.clear();
        for (range, depth) in units {
            let node = self.arena.build(&writes[range], depth, NONE);
            assert!(node != NONE, "a unit has leaves");
            self.roots.push(RootJob {
                arena: 0,
                node,
                depth: u8::try_from(depth).expect("a key has 64 nibbles"),
            });
        }
        let arenas = std::slice::from_mut(&mut self.arena);
        self.rehash.run(arenas, self.roots.iter()).to_vec()
    }
}

/// What a parent holds of a branch with these children, of which there are at least two.
pub(crate) fn branch(children: &[Option<Reference>; 16]) -> Reference {
    refer(&branch_encoding(children.iter().copied()))
}

/// What a parent holds of an extension by these nibbles.
pub(crate) fn extension(path: &[u8], child: &Reference) -> Reference {
    refer(&extension_encoding(path, child))
}

/// A nibble of a key.
pub(crate) fn nibble(key: &B256, depth: usize) -> u8 {
    node::nibble_at(&key.0, depth)
}

/// How many nibbles two keys share.
pub(crate) fn shared(one: &B256, other: &B256) -> usize {
    node::shared_nibbles(&one.0, &other.0, 0)
}

/// The nibbles of a key in a range.
pub(crate) fn nibbles(key: &B256, range: Range<usize>) -> Vec<u8> {
    Path::of_key(&key.0, range.start, range.end)
        .nibbles()
        .to_vec()
}
