//! The memory of one trie, or of one part of a large one: nodes as bytes in one vector.
//!
//! ```text
//!   Ptr (granule number)
//!    ▼
//!   ┌──────────┬─────────────────┬──────┬────────┬─ ─ ─
//!   │ reserved │ branch          │ leaf │ (free) │ leaf        one vector, granules of 8 bytes
//!   └──────────┴─────────────────┴──────┴────────┴─ ─ ─
//!                                           └──▶ next free block of the same size
//! ```
//!
//! A block keeps its place while its size stays; a freed one is used again for the next node of
//! exactly its size, and what free blocks add up to is taken back by copying the live nodes
//! ([`Arena::compact`]), which also puts nodes that are visited together next to each other.
//! Limit: 2^31 granules (16 GiB).

use super::node::Kind;
use std::fmt::{Debug, Formatter};

/// Where a node is; [`NONE`] is nowhere.
pub(super) type Ptr = u32;

/// No node, or one known by its hash only.
pub(super) const NONE: Ptr = 0;

const GRANULE: usize = 8;
/// The largest block: a branch of sixteen children.
pub(super) const BLOCK_BYTES_MAX: usize = 8 + 16 * 36;
const GRANULES_MAX: usize = BLOCK_BYTES_MAX / GRANULE;
const ARENA_BYTES_MAX: usize = (1 << 31) * GRANULE;
/// The least that an arena grows by.
const GROWTH_BYTES_MIN: usize = 256;
/// Below this, free blocks are not worth a copy.
const COMPACT_BYTES_MIN: usize = 4096;

/// Nodes of one or several tries, by place.
#[derive(Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    /// The first free block of each size, in granules; empty until something is freed.
    free: Vec<Ptr>,
    free_bytes: usize,
    /// Stamped on whatever is touched.
    pub(super) epoch: u32,
    /// Whether any node may be known by its hash only. Never false when one is.
    pub(super) partial: bool,
}

impl Debug for Arena {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Arena({} bytes, {} free)",
            self.bytes.len(),
            self.free_bytes
        )
    }
}

impl AsRef<Self> for Arena {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsMut<Self> for Arena {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl Arena {
    /// An empty one that takes so many bytes before it has to move.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes.min(ARENA_BYTES_MAX)),
            ..Self::default()
        }
    }

    /// A new block, its content unspecified.
    pub(super) fn allocate(&mut self, size: usize) -> Ptr {
        let granules = size.div_ceil(GRANULE);
        if let Some(&first) = self.free.get(granules)
            && first != NONE
        {
            self.free[granules] = self.u32_at(first as usize * GRANULE);
            self.free_bytes -= granules * GRANULE;
            return first;
        }
        if self.bytes.is_empty() {
            self.grow(GRANULE);
        }
        let at = self.bytes.len();
        self.grow(granules * GRANULE);
        u32::try_from(at / GRANULE).expect("an arena is at most 2^31 granules")
    }

    /// Gives back a block of this size.
    pub(super) fn free(&mut self, block: Ptr, size: usize) {
        let granules = size.div_ceil(GRANULE);
        if self.free.is_empty() {
            self.free = vec![NONE; GRANULES_MAX + 1];
        }
        let next = self.free[granules];
        self.set_u32_at(block as usize * GRANULE, next);
        self.free[granules] = block;
        self.free_bytes += granules * GRANULE;
    }

    /// Forgets all nodes and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.free.clear();
        self.free_bytes = 0;
    }

    /// Bytes of live nodes.
    pub(super) fn live_bytes(&self) -> usize {
        self.bytes.len().saturating_sub(GRANULE) - self.free_bytes
    }

    /// Bytes held, for nodes or free.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.free.capacity() * size_of::<Ptr>()
    }

    /// Whether so much is free that copying the rest is worth it.
    pub(super) fn is_wasteful(&self) -> bool {
        self.free_bytes > COMPACT_BYTES_MIN && self.free_bytes > self.bytes.len() / 3
    }

    /// Copies the live nodes below `root` to a new place in the order they are visited, and forgets
    /// all others. Returns the root's new place.
    pub(super) fn compact(&mut self, root: Ptr) -> Ptr {
        let mut packed = Self {
            epoch: self.epoch,
            ..Self::default()
        };
        packed.bytes.reserve_exact(self.live_bytes() + GRANULE);
        let root = packed.copy_from(self, root);
        *self = packed;
        root
    }

    /// Copies a subtree out of another arena, parents before children.
    fn copy_from(&mut self, from: &Self, node: Ptr) -> Ptr {
        if node == NONE {
            return NONE;
        }
        let size = from.size(node);
        let copy = self.allocate(size);
        let (source, target) = (from.at(node), self.at(copy));
        self.bytes[target..target + size].copy_from_slice(&from.bytes[source..source + size]);
        match from.kind(node) {
            Kind::Branch => {
                let head = from.branch(node);
                for nibble in head.nibbles() {
                    let child = from.child(node, head, nibble);
                    self.partial |= child == NONE;
                    let child = self.copy_from(from, child);
                    self.set_child(copy, head, nibble, child);
                }
            }
            Kind::Extension => {
                let child = from.extension(node).child;
                self.partial |= child == NONE;
                let child = self.copy_from(from, child);
                self.set_extension_child(copy, child);
            }
            Kind::Account => {
                let stored = from.stored(node);
                self.partial |= stored.is_unresolved();
                if let Some(root) = stored.small_root() {
                    let root = self.copy_from(from, root);
                    self.set_small_root(copy, root);
                }
            }
            Kind::Slot => {}
        }
        copy
    }

    pub(super) fn at(&self, node: Ptr) -> usize {
        node as usize * GRANULE
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(super) fn u32_at(&self, at: usize) -> u32 {
        let bytes = self.bytes[at..at + 4].try_into();
        u32::from_le_bytes(bytes.expect("four bytes"))
    }

    pub(super) fn set_u32_at(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64_at(&self, at: usize) -> u64 {
        let bytes = self.bytes[at..at + 8].try_into();
        u64::from_le_bytes(bytes.expect("eight bytes"))
    }

    /// Grows by an eighth, since doubling would hold twice what a large trie needs.
    fn grow(&mut self, more: usize) {
        let length = self.bytes.len() + more;
        assert!(length <= ARENA_BYTES_MAX, "arena_bytes={length}");
        if length > self.bytes.capacity() {
            let growth = (length / 8).max(more).max(GROWTH_BYTES_MIN);
            self.bytes.reserve_exact(growth);
        }
        self.bytes.resize(length, 0);
    }
}
