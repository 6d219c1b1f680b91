//! Batch writes by path copying.
//!
//! The sorted writes go down the trie together and part where their keys do, so each node on a
//! written path is copied once per batch. On the way up a branch that lost its entries is replaced
//! by what is left of it.

use super::Value;
use super::node::{Branch, Kind, Link, Node};
use alloy_trie::Nibbles;
use std::sync::Arc;

/// A key and its new value; `None` deletes.
pub(crate) struct Write<V> {
    pub(crate) key: Nibbles,
    pub(crate) value: Option<V>,
}

/// The subtrie at `depth` after these writes: sorted, distinct, equal in their first `depth`
/// nibbles. Takes the values out of the writes.
pub(super) fn apply<V: Value>(
    node: Option<&Link<V>>,
    depth: usize,
    writes: &mut [Write<V>],
) -> Option<Link<V>> {
    let ([first, ..], [.., last]) = (&*writes, &*writes) else {
        return node.cloned();
    };
    let (first, last) = (first.key.slice(depth..), last.key.slice(depth..));
    let shared = first.common_prefix_length(&last);
    match node {
        None => insert(depth, first.slice(..shared), writes),
        Some(node) => change(node, depth, first.slice(..shared), writes),
    }
}

/// Writes that share `path` into an empty subtrie.
fn insert<V: Value>(depth: usize, path: Nibbles, writes: &mut [Write<V>]) -> Option<Link<V>> {
    if let [only] = writes {
        return only.value.take().map(|value| Node::leaf(path, value));
    }
    let branch = fill(Box::default(), depth + path.len(), writes)?;
    Some(branch.below(&path))
}

/// Writes that share `path` into an existing subtrie.
fn change<V: Value>(
    node: &Link<V>,
    depth: usize,
    path: Nibbles,
    writes: &mut [Write<V>],
) -> Option<Link<V>> {
    let own_path = match node.kind() {
        Kind::Leaf { path, .. } | Kind::Extension { path, .. } => *path,
        Kind::Branch(_) => Nibbles::new(),
    };
    let shared = own_path.common_prefix_length(&path);
    let depth = depth + shared;
    match node.kind() {
        Kind::Leaf { .. } if own_path == path && writes.len() == 1 => {
            let value = writes[0].value.take()?;
            Some(Node::leaf(path, value))
        }
        Kind::Extension { child, .. } if shared == own_path.len() => {
            Some(apply(Some(child), depth, writes)?.below(&own_path))
        }
        Kind::Leaf { .. } | Kind::Extension { .. } | Kind::Branch(_) => {
            let branch = fill(split(node, shared), depth, writes)?;
            Some(branch.below(&own_path.slice(..shared)))
        }
    }
}

/// The node as a branch `shared` nibbles into its path; it may have a single entry for now.
fn split<V: Value>(node: &Link<V>, shared: usize) -> Box<Branch<V>> {
    let mut branch = Box::<Branch<V>>::default();
    match node.kind() {
        Kind::Branch(branch) => return branch.clone(),
        Kind::Leaf { path, value } => match path.get(shared) {
            Some(nibble) => {
                let rest = Node::leaf(path.slice(shared + 1..), value.clone());
                branch.children[usize::from(nibble)] = Some(rest);
            }
            None => branch.value = Some(value.clone()),
        },
        Kind::Extension { path, child } => {
            let rest = child.below(&path.slice(shared + 1..));
            branch.children[usize::from(path.get_unchecked(shared))] = Some(rest);
        }
    }
    branch
}

/// Applies writes to a branch at `depth` and brings the result into its one legal shape.
fn fill<V: Value>(
    mut branch: Box<Branch<V>>,
    depth: usize,
    mut writes: &mut [Write<V>],
) -> Option<Link<V>> {
    if let [first, ..] = writes
        && first.key.len() == depth
    {
        branch.value = first.value.take();
        writes = &mut writes[1..];
    }
    while let [first, ..] = writes {
        let nibble = first.key.get_unchecked(depth);
        let count = writes.partition_point(|write| write.key.get_unchecked(depth) == nibble);
        let (group, rest) = writes.split_at_mut(count);
        let child = &mut branch.children[usize::from(nibble)];
        *child = apply(child.as_ref(), depth + 1, group);
        writes = rest;
    }
    normal(branch)
}

/// A branch with fewer than two entries is no branch.
fn normal<V: Value>(mut branch: Box<Branch<V>>) -> Option<Link<V>> {
    let mut present = (0u8..)
        .zip(&branch.children)
        .filter(|(_, child)| child.is_some());
    match (present.next(), present.next()) {
        (None, _) => {
            let value = branch.value.take()?;
            Some(Node::leaf(Nibbles::new(), value))
        }
        (Some((nibble, Some(child))), None) if branch.value.is_none() => {
            Some(Arc::clone(child).below(&Nibbles::from_nibbles([nibble])))
        }
        _ => Some(Node::branch(branch)),
    }
}
