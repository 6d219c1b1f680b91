//! One trie, whole in one arena or split by the first two nibbles into 256.
//!
//! ```text
//!                  root                     computed from the references of the parts,
//!              ╱    │    ╲                  not stored
//!            0x    1x  …  fx
//!          ╱ │ ╲
//!        00  01 …        ff                 parts: an arena and a root each, written in parallel
//! ```
//!
//! Where a part is the only one below its first nibble or in the whole trie, its root moves up:
//! `Top` knows the three shapes. Invariant: the root of a part is resolved.

use super::arena::{Arena, NONE, Ptr};
use super::encode::extension_encoding;
use super::leaf::{Write, put_header};
use super::node::{Kind, Reference};
use super::rehash::{Rehash, RootJob};
use alloy_primitives::{B256, keccak256};
use alloy_rlp::EMPTY_STRING_CODE;
use alloy_trie::EMPTY_ROOT_HASH;

/// Parts of a split trie.
pub(super) const PARTS: usize = 256;

/// A part of a trie.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) arena: Arena,
    pub(super) root: Ptr,
    /// Of the root, as its parent holds it; meaningless when there is no root.
    pub(super) reference: Reference,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            arena: Arena::default(),
            root: NONE,
            reference: Reference::Stale,
        }
    }
}

impl AsRef<Arena> for Part {
    fn as_ref(&self) -> &Arena {
        &self.arena
    }
}

impl AsMut<Arena> for Part {
    fn as_mut(&mut self) -> &mut Arena {
        &mut self.arena
    }
}

/// A trie in one part or in 256.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) parts: Vec<Part>,
    top: Top,
}

/// The nodes above the parts.
#[derive(Debug, Default)]
struct Top {
    /// By first nibble; empty when the trie is whole.
    children: Vec<Child>,
    root: B256,
}

/// What is below a first nibble.
#[derive(Clone, Copy, Debug)]
pub(super) enum Child {
    Empty,
    /// One part, by its second nibble.
    Lone(u8),
    /// Several, below a branch with this reference.
    Branch(Reference),
}

impl Split {
    /// An empty trie in one part.
    pub(super) fn whole() -> Self {
        Self::of(1)
    }

    /// An empty trie in 256 parts.
    pub(super) fn wide() -> Self {
        Self::of(PARTS)
    }

    pub(super) fn root(&self) -> B256 {
        self.top.root
    }

    pub(super) fn is_whole(&self) -> bool {
        self.parts.len() == 1
    }

    /// Nibbles of the keys above a part's root.
    pub(super) fn depth(&self) -> usize {
        if self.is_whole() { 0 } else { 2 }
    }

    /// The part that holds a key.
    pub(super) fn part_of(&self, key: &[u8; 32]) -> usize {
        if self.is_whole() {
            0
        } else {
            usize::from(key[0])
        }
    }

    pub(super) fn child(&self, nibble: u8) -> Child {
        self.top.children[usize::from(nibble)]
    }

    /// Computes the nodes above the parts.
    pub(super) fn finish(&mut self) {
        if self.is_whole() {
            self.top.root = match (self.parts[0].root, self.parts[0].reference) {
                (NONE, _) => EMPTY_ROOT_HASH,
                (_, Reference::Hash(hash)) => hash.into(),
                (root, _) => keccak256(self.parts[0].arena.encoding(root, 0)),
            };
            return;
        }
        self.top.children = (0..16).map(|first| self.compute_child(first)).collect();
        self.top.root = match self.root_encoding() {
            Some(encoding) => keccak256(encoding),
            None => EMPTY_ROOT_HASH,
        };
    }

    /// The encoding of the root of a split trie; `None` when it is empty.
    pub(super) fn root_encoding(&self) -> Option<Vec<u8>> {
        let mut present = (0u8..).zip(&self.top.children);
        let mut present = present
            .by_ref()
            .filter(|(_, child)| !matches!(child, Child::Empty));
        let (first, only) = present.next()?;
        if present.next().is_some() {
            let references = (0..16).map(|first| self.child_reference(first));
            return Some(branch_encoding(references));
        }
        Some(match only {
            Child::Lone(second) => self.part_encoding(&[first, *second], 0),
            Child::Branch(reference) => extension_encoding(&[first], reference),
            Child::Empty => unreachable!("it is present"),
        })
    }

    /// The encoding of the node below a first nibble.
    pub(super) fn child_encoding(&self, first: u8) -> Vec<u8> {
        match self.child(first) {
            Child::Empty => Vec::new(),
            Child::Lone(second) => self.part_encoding(&[first, second], 1),
            Child::Branch(_) => self.lower_encoding(first),
        }
    }

    /// What the root holds of the node below a first nibble.
    pub(super) fn child_reference(&self, first: u8) -> Option<Reference> {
        match self.child(first) {
            Child::Empty => None,
            Child::Lone(_) => Some(refer(&self.child_encoding(first))),
            Child::Branch(reference) => Some(reference),
        }
    }

    fn of(parts: usize) -> Self {
        let mut split = Self {
            parts: (0..parts).map(|_| Part::default()).collect(),
            top: Top::default(),
        };
        split.finish();
        split
    }

    fn compute_child(&self, first: u8) -> Child {
        let mut present = (0..16).filter(|second| self.part(first, *second).root != NONE);
        match (present.next(), present.next()) {
            (None, _) => Child::Empty,
            (Some(second), None) => Child::Lone(second),
            _ => Child::Branch(refer(&self.lower_encoding(first))),
        }
    }

    fn lower_encoding(&self, first: u8) -> Vec<u8> {
        branch_encoding((0..16).map(|second| {
            let part = self.part(first, second);
            (part.root != NONE).then_some(part.reference)
        }))
    }

    /// The encoding of a part's root, as it stands at a lesser depth.
    fn part_encoding(&self, prefix: &[u8; 2], depth: usize) -> Vec<u8> {
        let part = self.part(prefix[0], prefix[1]);
        let arena = &part.arena;
        match arena.kind(part.root) {
            Kind::Account | Kind::Slot => arena.encoding(part.root, depth),
            Kind::Branch => extension_encoding(&prefix[depth..], &part.reference),
            Kind::Extension => {
                let path = arena.extension_path(part.root);
                let path = [&prefix[depth..], path.nibbles()].concat();
                extension_encoding(&path, &arena.extension(part.root).reference)
            }
        }
    }

    fn part(&self, first: u8, second: u8) -> &Part {
        &self.parts[usize::from(first << 4 | second)]
    }
}

/// What a parent holds of a node with this encoding.
pub(super) fn refer(encoding: &[u8]) -> Reference {
    Reference::embed(encoding).unwrap_or_else(|| Reference::Hash(keccak256(encoding).0))
}

pub(super) fn branch_encoding(references: impl Iterator<Item = Option<Reference>>) -> Vec<u8> {
    let mut payload = Vec::with_capacity(16 * 33 + 1);
    for reference in references {
        match reference {
            Some(reference) => reference.put(&mut payload),
            None => payload.push(EMPTY_STRING_CODE),
        }
    }
    payload.push(EMPTY_STRING_CODE);
    let mut header = [0; 3];
    let length = put_header(&mut header, 0xc0, payload.len());
    [&header[..length], &payload].concat()
}

/// Neighbouring parts and the writes to them: what one thread does at a time.
pub(super) struct Task<'a, W> {
    pub(super) parts: &'a mut [Part],
    /// The number of the first part.
    pub(super) first: usize,
    pub(super) depth: usize,
    pub(super) writes: &'a [W],
}

impl<'a, W: Keyed> Task<'a, W> {
    /// Divides a trie so that each task has some `size` writes. Parts without writes are in none.
    pub(super) fn divide(split: &'a mut Split, mut writes: &'a [W], size: usize) -> Vec<Self> {
        let depth = split.depth();
        let mut tasks = Vec::new();
        let mut parts = &mut split.parts[..];
        let mut first = 0;
        while let [write, ..] = writes {
            let start = if depth == 0 {
                0
            } else {
                usize::from(write.key()[0])
            };
            let least = &writes[size.min(writes.len()) - 1];
            let end = if depth == 0 {
                0
            } else {
                usize::from(least.key()[0])
            };
            let count =
                writes.partition_point(|write| depth == 0 || usize::from(write.key()[0]) <= end);
            let (mine, rest) = writes.split_at(count);
            let (_, from) = parts.split_at_mut(start - first);
            let (these, beyond) = from.split_at_mut(end + 1 - start);
            tasks.push(Self {
                parts: these,
                first: start,
                depth,
                writes: mine,
            });
            (parts, writes, first) = (beyond, rest, end + 1);
        }
        tasks
    }

    /// Each part that has writes: its number within the task and its writes.
    pub(super) fn by_part(&self) -> Vec<(usize, &'a [W])> {
        let mut rest = self.writes;
        let mut parts = Vec::with_capacity(self.parts.len());
        while let [write, ..] = rest {
            let number = usize::from(write.key()[0]);
            let count = rest
                .partition_point(|write| self.depth == 0 || usize::from(write.key()[0]) == number);
            let (mine, after) = rest.split_at(count);
            let number = if self.depth == 0 {
                0
            } else {
                number - self.first
            };
            parts.push((number, mine));
            rest = after;
        }
        parts
    }
}

/// Whatever is sorted by key.
pub(super) trait Keyed {
    fn key(&self) -> &[u8; 32];
}

impl<W: Write> Keyed for W {
    fn key(&self) -> &[u8; 32] {
        Write::key(self)
    }
}

/// Computes the references of these parts' roots, and below.
pub(super) fn rehash_parts(
    parts: &mut [Part],
    changed: &[usize],
    depth: usize,
    rehash: &mut Rehash,
) {
    let roots = changed.iter().filter(|number| parts[**number].root != NONE);
    let roots: Vec<RootJob> = roots
        .map(|number| RootJob {
            arena: *number,
            node: parts[*number].root,
            depth: u8::try_from(depth).expect("at most two"),
        })
        .collect();
    let references = rehash.run(parts, roots.iter());
    for (root, reference) in roots.iter().zip(references) {
        parts[root.arena].reference = *reference;
    }
}
