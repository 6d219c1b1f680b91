//! Nodes as they lie in an arena.
//!
//! ```text
//!   branch     kind 1 │ epoch 3 │ hashed 2 │ embedded 2 │ n × child 4 │ n × reference 32
//!   extension  kind 1 │ epoch 3 │ length 1 │ state 1 │ - 2 │ child 4 │ reference 32 │ path
//!   slot       0x80 + length 1 │ key 32 │ value without leading zeros
//!   account    see `leaf`
//! ```
//!
//! A parent holds the references of its children (a hash, or the encoding of a child below 32
//! bytes), so encoding a node reads one block. A child that is known by its hash only has a
//! reference and no place. Leaves hold their whole key: they keep their bytes wherever they move.
//!
//! Invariants: a branch has at least two children; below an extension is a branch; the references of
//! children that are not stale are those of their content.

use super::arena::{Arena, BLOCK_BYTES_MAX, NONE, Ptr};

/// Nibbles of a key.
pub(super) const KEY_NIBBLES: usize = 64;

const BRANCH: u8 = 1;
const EXTENSION: u8 = 2;
pub(super) const ACCOUNT: u8 = 3;
pub(super) const SLOT: u8 = 0x80;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Branch,
    Extension,
    Account,
    Slot,
}

/// What a parent knows of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// It changed since the reference was computed.
    Stale,
    Hash([u8; 32]),
    /// The child's encoding is below 32 bytes, and stands here, zeros behind it.
    Embedded([u8; 32]),
}

/// The first eight bytes of a branch.
#[derive(Clone, Copy)]
pub(super) struct BranchHead {
    /// Children whose reference is a hash, or which are stale.
    pub(super) hashed: u16,
    /// Children whose reference is their encoding, or which are stale.
    pub(super) embedded: u16,
    /// When a write last went through.
    pub(super) epoch: u32,
}

/// An extension without its path.
#[derive(Clone, Copy)]
pub(super) struct Extension {
    pub(super) child: Ptr,
    pub(super) reference: Reference,
}

/// At most sixty-four nibbles.
#[derive(Clone, Copy)]
pub(super) struct Path {
    nibbles: [u8; KEY_NIBBLES],
    length: usize,
}

impl BranchHead {
    pub(super) fn present(self) -> u16 {
        self.hashed | self.embedded
    }

    pub(super) fn stale(self) -> u16 {
        self.hashed & self.embedded
    }

    pub(super) fn has(self, nibble: u8) -> bool {
        self.present() >> nibble & 1 == 1
    }

    pub(super) fn count(self) -> usize {
        self.present().count_ones() as usize
    }

    /// How many children come before this one.
    pub(super) fn rank(self, nibble: u8) -> usize {
        let before = self.present() & ((1 << nibble) - 1);
        before.count_ones() as usize
    }

    pub(super) fn nibbles(self) -> impl Iterator<Item = u8> {
        bits(self.present())
    }

    pub(super) fn set_stale(&mut self, nibble: u8) {
        self.hashed |= 1 << nibble;
        self.embedded |= 1 << nibble;
    }

    fn word(self) -> u64 {
        u64::from(BRANCH)
            | u64::from(self.epoch & EPOCH_MASK) << 8
            | u64::from(self.hashed) << 32
            | u64::from(self.embedded) << 48
    }
}

/// Epochs are kept in three bytes.
pub(super) const EPOCH_MASK: u32 = 0x00ff_ffff;

/// The numbers of the bits that are set.
pub(super) fn bits(mut mask: u16) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        let first = u8::try_from(mask.trailing_zeros()).expect("at most sixteen");
        (mask != 0).then(|| {
            mask &= mask - 1;
            first
        })
    })
}

/// A nibble of a key.
pub(super) fn nibble_at(key: &[u8; 32], depth: usize) -> u8 {
    let byte = key[depth / 2];
    match depth.is_multiple_of(2) {
        true => byte >> 4,
        false => byte & 0x0f,
    }
}

/// How many nibbles two keys share from a depth on.
pub(super) fn shared_nibbles(one: &[u8; 32], other: &[u8; 32], depth: usize) -> usize {
    let shared = (depth..KEY_NIBBLES).take_while(|at| nibble_at(one, *at) == nibble_at(other, *at));
    shared.count()
}

impl Path {
    pub(super) fn new(nibbles: impl IntoIterator<Item = u8>) -> Self {
        let mut path = Self {
            nibbles: [0; KEY_NIBBLES],
            length: 0,
        };
        for nibble in nibbles {
            path.nibbles[path.length] = nibble;
            path.length += 1;
        }
        path
    }

    pub(super) fn of_key(key: &[u8; 32], from: usize, to: usize) -> Self {
        Self::new((from..to).map(|depth| nibble_at(key, depth)))
    }

    pub(super) fn nibbles(&self) -> &[u8] {
        &self.nibbles[..self.length]
    }

    pub(super) fn join(&self, after: &[u8]) -> Self {
        Self::new(self.nibbles().iter().chain(after).copied())
    }
}

impl Arena {
    pub(super) fn kind(&self, node: Ptr) -> Kind {
        match self.bytes()[self.at(node)] {
            BRANCH => Kind::Branch,
            EXTENSION => Kind::Extension,
            ACCOUNT => Kind::Account,
            slot => {
                assert!(slot & SLOT != 0, "kind={slot}");
                Kind::Slot
            }
        }
    }

    /// Bytes of a node's block.
    pub(super) fn size(&self, node: Ptr) -> usize {
        match self.kind(node) {
            Kind::Branch => branch_size(self.branch(node).count()),
            Kind::Extension => extension_size(self.extension_length(node)),
            Kind::Account | Kind::Slot => self.leaf_size(node),
        }
    }

    pub(super) fn free_node(&mut self, node: Ptr) {
        self.free(node, self.size(node));
    }

    pub(super) fn branch(&self, node: Ptr) -> BranchHead {
        let word = self.u64_at(self.at(node)).to_le_bytes();
        BranchHead {
            hashed: u16::from_le_bytes([word[4], word[5]]),
            embedded: u16::from_le_bytes([word[6], word[7]]),
            epoch: u32::from_le_bytes([word[1], word[2], word[3], 0]),
        }
    }

    pub(super) fn set_branch(&mut self, node: Ptr, head: BranchHead) {
        let at = self.at(node);
        self.bytes_mut()[at..at + 8].copy_from_slice(&head.word().to_le_bytes());
    }

    pub(super) fn child(&self, node: Ptr, head: BranchHead, nibble: u8) -> Ptr {
        self.u32_at(self.at(node) + 8 + 4 * head.rank(nibble))
    }

    pub(super) fn set_child(&mut self, node: Ptr, head: BranchHead, nibble: u8, child: Ptr) {
        self.set_u32_at(self.at(node) + 8 + 4 * head.rank(nibble), child);
    }

    pub(super) fn reference(&self, node: Ptr, head: BranchHead, nibble: u8) -> Reference {
        let bytes = self.reference_bytes(self.references_at(node, head) + 32 * head.rank(nibble));
        match (head.hashed >> nibble & 1, head.embedded >> nibble & 1) {
            (1, 0) => Reference::Hash(bytes),
            (0, 1) => Reference::Embedded(bytes),
            _ => Reference::Stale,
        }
    }

    /// Where the references of a branch begin.
    pub(super) fn references_at(&self, node: Ptr, head: BranchHead) -> usize {
        self.at(node) + 8 + 4 * head.count()
    }

    /// A branch whose children all are stale.
    pub(super) fn new_branch(&mut self, children: &[Ptr; 16]) -> Ptr {
        let mut head = BranchHead {
            hashed: 0,
            embedded: 0,
            epoch: self.epoch,
        };
        for (nibble, child) in (0u8..).zip(children) {
            if *child != NONE {
                head.set_stale(nibble);
            }
        }
        let node = self.allocate(branch_size(head.count()));
        self.set_branch(node, head);
        for nibble in head.nibbles() {
            self.set_child(node, head, nibble, children[usize::from(nibble)]);
        }
        node
    }

    /// A branch of children in memory or not, and what is known of them.
    pub(super) fn new_mixed_branch(&mut self, children: &[Option<(Ptr, Reference)>; 16]) -> Ptr {
        let mut head = BranchHead {
            hashed: 0,
            embedded: 0,
            epoch: self.epoch,
        };
        let present = (0u8..).zip(children);
        let present = present.filter_map(|(nibble, child)| child.map(|child| (nibble, child)));
        for (nibble, (_, reference)) in present.clone() {
            head.hashed |= u16::from(!matches!(reference, Reference::Embedded(_))) << nibble;
            head.embedded |= u16::from(!matches!(reference, Reference::Hash(_))) << nibble;
        }
        let node = self.allocate(branch_size(head.count()));
        self.set_branch(node, head);
        let mut at = self.references_at(node, head);
        for (nibble, (child, reference)) in present {
            self.set_child(node, head, nibble, child);
            let bytes = match reference {
                Reference::Hash(bytes) | Reference::Embedded(bytes) => bytes,
                Reference::Stale => [0; 32],
            };
            self.bytes_mut()[at..at + 32].copy_from_slice(&bytes);
            at += 32;
        }
        node
    }

    /// Replaces the set of a branch's children: those in `removed` go, those in `added` come, stale.
    pub(super) fn reshape(&mut self, node: Ptr, removed: u16, added: &[Ptr; 16]) -> Ptr {
        let old = self.branch(node);
        let mut head = BranchHead {
            hashed: old.hashed & !removed,
            embedded: old.embedded & !removed,
            epoch: self.epoch,
        };
        for (nibble, child) in (0u8..).zip(added) {
            if *child != NONE {
                head.set_stale(nibble);
            }
        }
        let mut block = [0u8; BLOCK_BYTES_MAX];
        let size = branch_size(head.count());
        block[..8].copy_from_slice(&head.word().to_le_bytes());
        let (from, to) = (self.references_at(node, old), 8 + 4 * head.count());
        for (rank, nibble) in head.nibbles().enumerate() {
            let mut child = added[usize::from(nibble)];
            if child == NONE {
                child = self.child(node, old, nibble);
                let source = from + 32 * old.rank(nibble);
                block[to + 32 * rank..][..32].copy_from_slice(&self.bytes()[source..source + 32]);
            }
            block[8 + 4 * rank..][..4].copy_from_slice(&child.to_le_bytes());
        }
        self.free_node(node);
        self.place(&block[..size])
    }

    /// A block with this content.
    pub(super) fn place(&mut self, block: &[u8]) -> Ptr {
        let node = self.allocate(block.len());
        let at = self.at(node);
        self.bytes_mut()[at..at + block.len()].copy_from_slice(block);
        node
    }

    pub(super) fn extension(&self, node: Ptr) -> Extension {
        let at = self.at(node);
        let bytes = self.reference_bytes(at + 12);
        Extension {
            child: self.u32_at(at + 8),
            reference: match self.bytes()[at + 5] {
                1 => Reference::Hash(bytes),
                2 => Reference::Embedded(bytes),
                _ => Reference::Stale,
            },
        }
    }

    pub(super) fn extension_epoch(&self, node: Ptr) -> u32 {
        (self.u32_at(self.at(node)) >> 8) & EPOCH_MASK
    }

    pub(super) fn extension_path(&self, node: Ptr) -> Path {
        let packed = &self.bytes()[self.at(node) + 44..];
        let length = self.extension_length(node);
        Path::new((0..length).map(|index| packed[index / 2] >> (4 * (1 - index % 2)) & 0x0f))
    }

    pub(super) fn new_extension(&mut self, path: &[u8], child: Ptr, reference: Reference) -> Ptr {
        let node = self.allocate(extension_size(path.len()));
        let at = self.at(node);
        let size = extension_size(path.len());
        let epoch = self.epoch & EPOCH_MASK;
        let block = &mut self.bytes_mut()[at..at + size];
        block.fill(0);
        block[..4].copy_from_slice(&(u32::from(EXTENSION) | epoch << 8).to_le_bytes());
        block[4] = u8::try_from(path.len()).expect("a path is shorter than a key");
        for (index, nibble) in path.iter().enumerate() {
            block[44 + index / 2] |= nibble << (4 * (1 - index % 2));
        }
        self.set_extension_child(node, child);
        self.set_extension_reference(node, reference);
        node
    }

    pub(super) fn set_extension_child(&mut self, node: Ptr, child: Ptr) {
        let at = self.at(node);
        self.set_u32_at(at + 8, child);
    }

    pub(super) fn set_extension_reference(&mut self, node: Ptr, reference: Reference) {
        let at = self.at(node);
        let (state, bytes) = match reference {
            Reference::Hash(bytes) => (1, bytes),
            Reference::Embedded(bytes) => (2, bytes),
            Reference::Stale => (3, [0; 32]),
        };
        let epoch = self.epoch;
        let block = &mut self.bytes_mut()[at..];
        if reference == Reference::Stale {
            block[1..4].copy_from_slice(&epoch.to_le_bytes()[..3]);
        }
        block[5] = state;
        block[12..44].copy_from_slice(&bytes);
    }

    fn extension_length(&self, node: Ptr) -> usize {
        usize::from(self.bytes()[self.at(node) + 4])
    }

    fn reference_bytes(&self, at: usize) -> [u8; 32] {
        let bytes = self.bytes()[at..at + 32].try_into();
        bytes.expect("thirty-two bytes")
    }
}

fn branch_size(children: usize) -> usize {
    8 + 36 * children
}

fn extension_size(length: usize) -> usize {
    44 + length.div_ceil(2)
}
