//! Reads, and what writes need: both find out what is unresolved before anything changes.

use super::arena::{Arena, NONE, Ptr};
use super::leaf::Write;
use super::node::{Kind, Reference, nibble_at};
use super::update::{groups, inside, shared_with};
use alloy_trie::Nibbles;

/// Where the search for a key ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Leaf(Ptr),
    Absent,
    /// At a node known by its hash only, after so many nibbles.
    Unresolved(usize),
}

/// Where a node hangs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hook {
    Branch(Ptr, u8),
    Extension(Ptr),
    /// The root of the storage of this account.
    Account(Ptr),
}

/// Paths of nodes that a batch of writes needs.
#[derive(Default)]
pub(super) struct Needs {
    /// Nodes that it reads or replaces, and that are known by their hash only.
    pub(super) unresolved: Vec<Nibbles>,
    /// Nodes that are left alone below a branch, and so take its place.
    pub(super) siblings: Vec<Nibbles>,
}

/// What the writes leave of a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Gone,
}

impl Arena {
    /// Looks for a key below a node.
    pub(super) fn find(&self, mut node: Ptr, mut depth: usize, key: &[u8; 32]) -> Found {
        while node != NONE {
            if self.is_leaf(node) {
                return match self.key(node) == key {
                    true => Found::Leaf(node),
                    false => Found::Absent,
                };
            }
            match self.next(node, depth, key) {
                Some((hook, below)) => (node, depth) = (self.hooked(hook).0, below),
                None => return Found::Absent,
            }
        }
        Found::Unresolved(depth)
    }

    /// Where the path of a key goes on from a node, and the depth there; `None` where it ends.
    pub(super) fn next(&self, node: Ptr, depth: usize, key: &[u8; 32]) -> Option<(Hook, usize)> {
        match self.kind(node) {
            Kind::Branch => {
                let nibble = nibble_at(key, depth);
                let present = self.branch(node).has(nibble);
                present.then_some((Hook::Branch(node, nibble), depth + 1))
            }
            Kind::Extension => {
                let path = self.extension_path(node);
                let path = path.nibbles();
                let shared = shared_with(key, depth, path) == path.len();
                shared.then_some((Hook::Extension(node), depth + path.len()))
            }
            Kind::Account | Kind::Slot => None,
        }
    }

    /// The node at a hook, if it is in memory, and what the parent holds of it.
    pub(super) fn hooked(&self, hook: Hook) -> (Ptr, Reference) {
        match hook {
            Hook::Branch(node, nibble) => {
                let head = self.branch(node);
                let child = self.child(node, head, nibble);
                (child, self.reference(node, head, nibble))
            }
            Hook::Extension(node) => {
                let extension = self.extension(node);
                (extension.child, extension.reference)
            }
            Hook::Account(leaf) => {
                let stored = self.stored(leaf);
                let root = stored.small_root().unwrap_or(NONE);
                (root, Reference::Hash(stored.root.0))
            }
        }
    }

    pub(super) fn is_leaf(&self, node: Ptr) -> bool {
        matches!(self.kind(node), Kind::Account | Kind::Slot)
    }

    /// Notes what these writes need below a resolved root. Whether they leave anything there.
    pub(super) fn check<W: Write>(
        &self,
        root: Ptr,
        depth: usize,
        writes: &[W],
        needs: &mut Needs,
    ) -> bool {
        match root {
            NONE => !writes.iter().all(Write::is_delete),
            root => self.fate(root, depth, writes, needs) == Fate::Kept,
        }
    }

    fn fate<W: Write>(&self, node: Ptr, depth: usize, writes: &[W], needs: &mut Needs) -> Fate {
        match self.kind(node) {
            Kind::Branch => self.fate_of_branch(node, depth, writes, needs),
            Kind::Extension => self.fate_of_extension(node, depth, writes, needs),
            Kind::Account | Kind::Slot => {
                let key = self.key(node);
                let deleted = writes
                    .iter()
                    .any(|write| write.is_delete() && write.key() == key);
                match deleted && writes.iter().all(Write::is_delete) {
                    true => Fate::Gone,
                    false => Fate::Kept,
                }
            }
        }
    }

    fn fate_of_extension<W: Write>(
        &self,
        node: Ptr,
        depth: usize,
        writes: &[W],
        needs: &mut Needs,
    ) -> Fate {
        let path = self.extension_path(node);
        let (start, end) = inside(writes, depth, path.nibbles());
        let mut fate = Fate::Kept;
        if start != end {
            let depth = depth + path.nibbles().len();
            fate = match self.extension(node).child {
                NONE => {
                    needs.unresolved.push(prefix(writes[start].key(), depth));
                    Fate::Kept
                }
                child => self.fate(child, depth, &writes[start..end], needs),
            };
        }
        let mut outside = writes[..start].iter().chain(&writes[end..]);
        match outside.any(|write| !write.is_delete()) {
            true => Fate::Kept,
            false => fate,
        }
    }

    fn fate_of_branch<W: Write>(
        &self,
        node: Ptr,
        depth: usize,
        writes: &[W],
        needs: &mut Needs,
    ) -> Fate {
        let head = self.branch(node);
        let mut left = head.present();
        for (nibble, group) in groups(writes, depth) {
            if !head.has(nibble) {
                left |= u16::from(!group.iter().all(Write::is_delete)) << nibble;
                continue;
            }
            let child = self.child(node, head, nibble);
            if child == NONE {
                needs.unresolved.push(prefix(group[0].key(), depth + 1));
            } else if self.fate(child, depth + 1, group, needs) == Fate::Gone {
                left &= !(1 << nibble);
            }
        }
        if left == 0 {
            return Fate::Gone;
        }
        let only = (0..16).find(|nibble| left == 1 << nibble);
        if let Some(nibble) = only
            && head.has(nibble)
        {
            let mut path = prefix(writes[0].key(), depth);
            path.push(nibble);
            if self.child(node, head, nibble) == NONE && needs.unresolved.last() != Some(&path) {
                needs.unresolved.push(path);
            }
            needs.siblings.push(path);
        }
        Fate::Kept
    }
}

/// The first nibbles of a key.
pub(super) fn prefix(key: &[u8; 32], length: usize) -> Nibbles {
    Nibbles::from_nibbles(
        (0..length)
            .map(|depth| nibble_at(key, depth))
            .collect::<Vec<_>>(),
    )
}
