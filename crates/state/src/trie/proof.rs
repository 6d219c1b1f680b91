//! Proofs: the encoded nodes on the path of a key.

use super::Value;
use super::node::{Link, Step};
use alloy_primitives::Bytes;
use alloy_trie::Nibbles;

/// The nodes from the root towards `key`. A node below 32 bytes is already inside its parent and
/// left out, except the root. Empty for the empty trie, as other clients answer.
pub(super) fn nodes<V: Value>(root: Option<&Link<V>>, key: &Nibbles) -> Vec<Bytes> {
    let mut nodes = Vec::new();
    let mut next = root.map(|root| (root, 0));
    while let Some((node, depth)) = next {
        if nodes.is_empty() || node.reference().is_hash() {
            nodes.push(node.encode().into());
        }
        next = match node.step(key, depth) {
            Step::Child(child, below) => Some((child, below)),
            Step::Found(_) | Step::Absent => None,
        };
    }
    nodes
}
