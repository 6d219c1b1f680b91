//! Batch writes, in place.
//!
//! Sorted writes go down the trie together and part where their keys do. On the way up whatever lost
//! its children takes its one legal shape. References become stale, and are computed afterwards by
//! `rehash`.
//!
//! Invariant: what a write needs is resolved. `check` finds out before anything is written, so a
//! batch is applied whole or not at all.

use super::arena::{Arena, NONE, Ptr};
use super::leaf::{LEAF_BYTES_MAX, Write};
use super::node::{Kind, Path, Reference, nibble_at, shared_nibbles};
use std::cmp::Ordering;

/// What became of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing below changed.
    Same,
    /// This stands in its place; possibly the same node, or [`NONE`].
    Now(Ptr),
}

impl Outcome {
    pub(super) fn node(self, before: Ptr) -> Ptr {
        match self {
            Self::Same => before,
            Self::Now(node) => node,
        }
    }
}

/// The writes that continue with the same nibble, nibble by nibble.
pub(super) fn groups<W: Write>(mut writes: &[W], depth: usize) -> impl Iterator<Item = (u8, &[W])> {
    std::iter::from_fn(move || {
        let nibble = nibble_at(writes.first()?.key(), depth);
        let same = |write: &W| nibble_at(write.key(), depth) == nibble;
        // Most groups are small: looking at a few is cheaper than halving.
        let count = match writes.len() {
            0..16 => writes.iter().take_while(|write| same(write)).count(),
            _ => writes.partition_point(same),
        };
        let (group, rest) = writes.split_at(count);
        writes = rest;
        Some((nibble, group))
    })
}

impl Arena {
    /// Applies sorted writes of distinct keys, equal in their first `depth` nibbles, to a subtrie.
    pub(super) fn apply<W: Write>(&mut self, node: Ptr, depth: usize, writes: &[W]) -> Outcome {
        if node == NONE {
            return match self.build(writes, depth, NONE) {
                NONE => Outcome::Same,
                built => Outcome::Now(built),
            };
        }
        match self.kind(node) {
            Kind::Branch => self.apply_to_branch(node, depth, writes),
            Kind::Extension => self.apply_to_extension(node, depth, writes),
            Kind::Account | Kind::Slot => self.apply_to_leaf(node, depth, writes),
        }
    }

    fn apply_to_branch<W: Write>(&mut self, node: Ptr, depth: usize, writes: &[W]) -> Outcome {
        let mut head = self.branch(node);
        let (mut removed, mut added) = (0u16, [NONE; 16]);
        let (mut touched, mut reshaped) = (0u16, false);
        for (nibble, group) in groups(writes, depth) {
            if !head.has(nibble) {
                let built = self.build(group, depth + 1, NONE);
                added[usize::from(nibble)] = built;
                reshaped |= built != NONE;
                continue;
            }
            let child = self.child(node, head, nibble);
            assert!(child != NONE, "writes go to resolved children");
            match self.apply(child, depth + 1, group) {
                Outcome::Same => continue,
                Outcome::Now(NONE) => removed |= 1 << nibble,
                Outcome::Now(now) if now == child => {}
                Outcome::Now(now) => self.set_child(node, head, nibble, now),
            }
            touched |= 1 << nibble;
        }
        if touched != 0 {
            head.hashed |= touched;
            head.embedded |= touched;
            head.epoch = self.epoch;
            self.set_branch(node, head);
        }
        match (removed != 0 || reshaped, touched) {
            (true, _) => Outcome::Now(self.normalize(node, removed, &added)),
            (false, 0) => Outcome::Same,
            (false, _) => Outcome::Now(node),
        }
    }

    /// Gives a branch its new children, or puts what is left of it in its place.
    fn normalize(&mut self, node: Ptr, removed: u16, added: &[Ptr; 16]) -> Ptr {
        let head = self.branch(node);
        let kept = head.present() & !removed;
        let mut new = (0u8..).zip(added).filter(|(_, child)| **child != NONE);
        match (kept.count_ones(), new.clone().count()) {
            (0, 0) => {
                self.free_node(node);
                NONE
            }
            (0, 1) => {
                let (nibble, child) = new.next().expect("there is one");
                self.free_node(node);
                self.below(&[nibble], *child, Reference::Stale)
            }
            (1, 0) => {
                let nibble = head.nibbles().find(|nibble| kept >> nibble & 1 == 1);
                let nibble = nibble.expect("there is one");
                let child = self.child(node, head, nibble);
                let reference = self.reference(node, head, nibble);
                self.free_node(node);
                self.below(&[nibble], child, reference)
            }
            _ => self.reshape(node, removed, added),
        }
    }

    /// A node, of which the reference is given, below some more nibbles.
    fn below(&mut self, prefix: &[u8], child: Ptr, reference: Reference) -> Ptr {
        if prefix.is_empty() {
            return child;
        }
        assert!(child != NONE, "what takes a branch's place is resolved");
        match self.kind(child) {
            Kind::Account | Kind::Slot => child,
            Kind::Branch => self.new_extension(prefix, child, reference),
            Kind::Extension => {
                let path =
                    Path::new(prefix.iter().copied()).join(self.extension_path(child).nibbles());
                let under = self.extension(child);
                self.free_node(child);
                self.new_extension(path.nibbles(), under.child, under.reference)
            }
        }
    }

    fn apply_to_extension<W: Write>(&mut self, node: Ptr, depth: usize, writes: &[W]) -> Outcome {
        let path = self.extension_path(node);
        let path = path.nibbles();
        let (start, end) = inside(writes, depth, path);
        let outside = writes[..start].iter().chain(&writes[end..]);
        let shared = outside.filter(|write| !write.is_delete());
        let shared = shared
            .map(|write| shared_with(write.key(), depth, path))
            .min();
        let Some(shared) = shared else {
            return self.apply_below_extension(node, depth, &writes[start..end]);
        };
        let Extended { child, reference } = self.split_extension(node, path, shared);
        let fork = depth + shared;
        let mut children = [NONE; 16];
        let mut kept = (path[shared], child, reference);
        for (nibble, group) in groups(
            &writes[writes_sharing(writes, depth, &path[..shared])],
            fork,
        ) {
            if nibble != kept.0 {
                children[usize::from(nibble)] = self.build(group, fork + 1, NONE);
                continue;
            }
            if let Outcome::Now(now) = self.apply(kept.1, fork + 1, group) {
                kept = (nibble, now, Reference::Stale);
            }
        }
        let branch = self.fork(kept, &children);
        Outcome::Now(self.below(&path[..shared], branch, Reference::Stale))
    }

    /// Only what is below the extension changes.
    fn apply_below_extension<W: Write>(
        &mut self,
        node: Ptr,
        depth: usize,
        writes: &[W],
    ) -> Outcome {
        if writes.is_empty() {
            return Outcome::Same;
        }
        let path = self.extension_path(node);
        let child = self.extension(node).child;
        assert!(child != NONE, "writes go to resolved children");
        let now = match self.apply(child, depth + path.nibbles().len(), writes) {
            Outcome::Same => return Outcome::Same,
            Outcome::Now(now) => now,
        };
        if now != NONE && self.kind(now) == Kind::Branch {
            self.set_extension_child(node, now);
            self.set_extension_reference(node, Reference::Stale);
            return Outcome::Now(node);
        }
        self.free_node(node);
        Outcome::Now(match now {
            NONE => NONE,
            now => self.below(path.nibbles(), now, Reference::Stale),
        })
    }

    /// What is left of an extension below its first `shared + 1` nibbles; the node itself goes.
    fn split_extension(&mut self, node: Ptr, path: &[u8], shared: usize) -> Extended {
        let under = self.extension(node);
        self.free_node(node);
        match &path[shared + 1..] {
            [] => Extended {
                child: under.child,
                reference: under.reference,
            },
            rest => Extended {
                child: self.new_extension(rest, under.child, under.reference),
                reference: Reference::Stale,
            },
        }
    }

    /// A branch of what an extension led to, possibly nothing any more or unresolved, and of new
    /// children; or what stands in its place, when there is one of them only.
    fn fork(&mut self, kept: (u8, Ptr, Reference), children: &[Ptr; 16]) -> Ptr {
        let (nibble, child, reference) = kept;
        if child == NONE && reference == Reference::Stale {
            let mut present = (0u8..).zip(children).filter(|(_, child)| **child != NONE);
            return match (present.next(), present.next()) {
                (Some((nibble, only)), None) => self.below(&[nibble], *only, Reference::Stale),
                _ => self.new_branch(children),
            };
        }
        let mut mixed = [None; 16];
        for (mixed, child) in mixed.iter_mut().zip(children) {
            *mixed = (*child != NONE).then_some((*child, Reference::Stale));
        }
        mixed[usize::from(nibble)] = Some((child, reference));
        self.new_mixed_branch(&mixed)
    }

    fn apply_to_leaf<W: Write>(&mut self, leaf: Ptr, depth: usize, writes: &[W]) -> Outcome {
        let key = *self.key(leaf);
        let own = writes.binary_search_by(|write| write.key().cmp(&key));
        let mut carried = leaf;
        if let Ok(own) = own {
            let write = &writes[own];
            if writes.len() == 1 && !write.is_delete() {
                return self.overwrite(leaf, write);
            }
            self.free_node(leaf);
            carried = NONE;
        }
        let built = self.build(writes, depth, carried);
        match built == leaf && own.is_err() {
            true => Outcome::Same,
            false => Outcome::Now(built),
        }
    }

    fn overwrite<W: Write>(&mut self, leaf: Ptr, write: &W) -> Outcome {
        let mut block = [0; LEAF_BYTES_MAX];
        let block = write.leaf(&mut block);
        let (at, old) = (self.at(leaf), self.leaf_size(leaf));
        if self.bytes()[at..at + old] == *block {
            return Outcome::Same;
        }
        if old.div_ceil(8) == block.len().div_ceil(8) {
            self.bytes_mut()[at..at + block.len()].copy_from_slice(block);
            return Outcome::Now(leaf);
        }
        self.free(leaf, old);
        Outcome::Now(self.place(block))
    }

    /// The subtrie of these writes and of a leaf whose key is in none of them, if there is one.
    pub(super) fn build<W: Write>(&mut self, writes: &[W], depth: usize, carried: Ptr) -> Ptr {
        let first = writes.iter().position(|write| !write.is_delete());
        let last = writes.iter().rposition(|write| !write.is_delete());
        let (Some(first), Some(last)) = (first, last) else {
            return carried;
        };
        let writes = &writes[first..=last];
        let (mut low, mut high) = (*writes[0].key(), *writes[last - first].key());
        if carried == NONE && first == last {
            let mut block = [0; LEAF_BYTES_MAX];
            return self.place(writes[0].leaf(&mut block));
        }
        let carried_key = (carried != NONE).then(|| *self.key(carried));
        if let Some(key) = carried_key {
            low = low.min(key);
            high = high.max(key);
        }
        let fork = depth + shared_nibbles(&low, &high, depth);
        let mut children = [NONE; 16];
        let own = carried_key.map(|key| usize::from(nibble_at(&key, fork)));
        if let Some(own) = own {
            children[own] = carried;
        }
        for (nibble, group) in groups(writes, fork) {
            let nibble = usize::from(nibble);
            let carried = children[nibble];
            children[nibble] = self.build(group, fork + 1, carried);
        }
        let branch = self.new_branch(&children);
        let path = Path::of_key(&low, depth, fork);
        self.below(path.nibbles(), branch, Reference::Stale)
    }
}

/// What an extension led to.
struct Extended {
    child: Ptr,
    reference: Reference,
}

/// The range of writes whose keys continue with a path.
pub(super) fn inside<W: Write>(writes: &[W], depth: usize, path: &[u8]) -> (usize, usize) {
    let range = writes_sharing(writes, depth, path);
    (range.start, range.end)
}

fn writes_sharing<W: Write>(writes: &[W], depth: usize, path: &[u8]) -> std::ops::Range<usize> {
    let order = |write: &W| {
        let nibbles = (depth..).map(|depth| nibble_at(write.key(), depth));
        nibbles.take(path.len()).cmp(path.iter().copied())
    };
    let start = writes.partition_point(|write| order(write) == Ordering::Less);
    let count = writes[start..].partition_point(|write| order(write) == Ordering::Equal);
    start..start + count
}

/// How many nibbles a key shares with a path.
pub(super) fn shared_with(key: &[u8; 32], depth: usize, path: &[u8]) -> usize {
    let nibbles = (depth..).map(|depth| nibble_at(key, depth));
    let pairs = nibbles
        .zip(path)
        .take_while(|(nibble, path)| nibble == *path);
    pairs.count()
}
