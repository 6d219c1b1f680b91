//! Nodes: their three kinds, their encoding and the walk along a key.

use super::Value;
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::Nibbles;
use alloy_trie::nodes::{RlpNode, encode_path_leaf};
use std::sync::{Arc, OnceLock};

/// A shared node.
pub(super) type Link<V> = Arc<Node<V>>;

/// A node and, once asked for, its reference.
pub(super) struct Node<V> {
    kind: Kind<V>,
    /// The encoding itself below 32 bytes, else its hash.
    reference: OnceLock<RlpNode>,
}

/// The three kinds; the empty trie is no node.
pub(super) enum Kind<V> {
    /// The rest of a key, and its value.
    Leaf { path: Nibbles, value: V },
    /// Nibbles that all keys below share, before a branch.
    Extension { path: Nibbles, child: Link<V> },
    /// Keys that differ in the next nibble. Boxed, since most nodes are leaves.
    Branch(Box<Branch<V>>),
}

/// At least two of: sixteen children and the value of the key that ends here.
#[derive(Clone)]
pub(super) struct Branch<V> {
    pub(super) children: [Option<Link<V>>; 16],
    pub(super) value: Option<V>,
}

impl<V> Default for Branch<V> {
    fn default() -> Self {
        Self {
            children: Default::default(),
            value: None,
        }
    }
}

/// Where a search for a key gets to from one node.
pub(super) enum Step<'a, V> {
    /// The key ends here.
    Found(&'a V),
    /// The search goes on in this child, at this depth of the key.
    Child(&'a Link<V>, usize),
    /// No such key.
    Absent,
}

impl<V: Value> Node<V> {
    pub(super) fn leaf(path: Nibbles, value: V) -> Link<V> {
        Self::link(Kind::Leaf { path, value })
    }

    pub(super) fn branch(branch: Box<Branch<V>>) -> Link<V> {
        Self::link(Kind::Branch(branch))
    }

    /// This node below some more nibbles.
    pub(super) fn below(self: &Link<V>, prefix: &Nibbles) -> Link<V> {
        if prefix.is_empty() {
            return Arc::clone(self);
        }
        match &self.kind {
            Kind::Leaf { path, value } => Self::leaf(prefix.join(path), value.clone()),
            Kind::Extension { path, child } => Self::link(Kind::Extension {
                path: prefix.join(path),
                child: Arc::clone(child),
            }),
            Kind::Branch(_) => Self::link(Kind::Extension {
                path: *prefix,
                child: Arc::clone(self),
            }),
        }
    }

    pub(super) fn kind(&self) -> &Kind<V> {
        &self.kind
    }

    /// What the parent holds of this node.
    pub(super) fn reference(&self) -> &RlpNode {
        self.reference
            .get_or_init(|| RlpNode::from_rlp(&self.encode()))
    }

    /// The encoding, which is what proofs consist of.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut payload = Vec::with_capacity(128);
        match &self.kind {
            Kind::Leaf { path, value } => {
                encode_path_leaf(path, true)[..].encode(&mut payload);
                value.encode()[..].encode(&mut payload);
            }
            Kind::Extension { path, child } => {
                encode_path_leaf(path, false)[..].encode(&mut payload);
                payload.extend_from_slice(child.reference());
            }
            Kind::Branch(branch) => branch.encode(&mut payload),
        }
        let header = Header {
            list: true,
            payload_length: payload.len(),
        };
        let mut encoding = Vec::with_capacity(payload.len() + header.length());
        header.encode(&mut encoding);
        encoding.extend_from_slice(&payload);
        encoding
    }

    pub(super) fn get(&self, key: &Nibbles) -> Option<&V> {
        let (mut node, mut depth) = (self, 0);
        loop {
            match node.step(key, depth) {
                Step::Found(value) => return Some(value),
                Step::Child(child, below) => (node, depth) = (child, below),
                Step::Absent => return None,
            }
        }
    }

    /// One step of the search for `key`, of which `depth` nibbles are behind us.
    pub(super) fn step(&self, key: &Nibbles, depth: usize) -> Step<'_, V> {
        match &self.kind {
            Kind::Leaf { path, value } if key.slice(depth..) == *path => Step::Found(value),
            Kind::Extension { path, child } if key.slice(depth..).starts_with(path) => {
                Step::Child(child, depth + path.len())
            }
            Kind::Leaf { .. } | Kind::Extension { .. } => Step::Absent,
            Kind::Branch(branch) => match key.get(depth) {
                Some(nibble) => match &branch.children[usize::from(nibble)] {
                    Some(child) => Step::Child(child, depth + 1),
                    None => Step::Absent,
                },
                None => branch.value.as_ref().map_or(Step::Absent, Step::Found),
            },
        }
    }

    fn link(kind: Kind<V>) -> Link<V> {
        Arc::new(Self {
            kind,
            reference: OnceLock::new(),
        })
    }
}

impl<V: Value> Branch<V> {
    fn encode(&self, payload: &mut Vec<u8>) {
        payload.reserve(17 * 33);
        for child in &self.children {
            match child {
                Some(child) => payload.extend_from_slice(child.reference()),
                None => payload.push(EMPTY_STRING_CODE),
            }
        }
        match &self.value {
            Some(value) => value.encode()[..].encode(payload),
            None => payload.push(EMPTY_STRING_CODE),
        }
    }
}
