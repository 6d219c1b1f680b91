//! Brings the nodes that writes will visit into the cache.
//!
//! A walk down a trie waits for memory at each node. Walks of several keys, one step of each in turn,
//! wait together: the processor looks ahead to the next walk while one waits.

use super::arena::{Arena, NONE, Ptr};
use super::node::{Kind, nibble_at};
use super::split::Keyed;
use std::hint::black_box;

/// Walks at a time: more than the processor keeps loads in flight.
const WALKS: usize = 16;
const LINE_BYTES: usize = 64;

impl Arena {
    /// Visits the nodes on the paths of these keys.
    pub(super) fn warm<W: Keyed>(&self, root: Ptr, depth: usize, writes: &[W]) {
        if root == NONE {
            return;
        }
        for writes in writes.chunks(WALKS) {
            let mut walks = [NONE; WALKS];
            walks[..writes.len()].fill(root);
            let mut depth = depth;
            while walks.iter().any(|walk| *walk != NONE) {
                let pairs = walks.iter_mut().zip(writes);
                pairs.for_each(|(walk, write)| *walk = self.step(*walk, depth, write.key()));
                depth += 1;
            }
        }
    }

    /// The next node below a branch; extensions, which are few, end the walk.
    fn step(&self, node: Ptr, depth: usize, key: &[u8; 32]) -> Ptr {
        if node == NONE {
            return NONE;
        }
        let at = self.at(node);
        if self.kind(node) != Kind::Branch {
            black_box(self.bytes().get(at + LINE_BYTES));
            return NONE;
        }
        let head = self.branch(node);
        let nibble = nibble_at(key, depth);
        if !head.has(nibble) {
            return NONE;
        }
        let end = at + 8 + 36 * head.count();
        for line in (at + LINE_BYTES..end).step_by(LINE_BYTES) {
            black_box(self.bytes()[line]);
        }
        self.child(node, head, nibble)
    }
}
