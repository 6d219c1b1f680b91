//! The Merkle-Patricia trie, in memory and persistent.
//!
//! Every version is a root pointer. Applying a batch of writes copies the nodes on the written
//! paths and shares all others, so the versions of many heights live side by side and none ever
//! changes. A node computes its reference (the bytes its parent holds of it) when first asked and
//! keeps it: hashing costs the copied paths only.
//!
//! ```text
//!   root 7 ──▶ ◆───────────┐        root 8 = root 7 after writing k
//!             ╱ ╲           ╲
//!   root 8 ─▶◆───────▶ ◆     ◆      ◆ branch / extension / leaf
//!             ╲         shared, with their cached references
//!              ◆' ─▶ k'
//! ```
//!
//! Two levels, as in Ethereum: a leaf of the account trie holds the account and the root pointer
//! of its storage trie, both keyed by keccak. Invariant: the shape depends on the content alone
//! (no extension over an extension or a leaf, no branch with fewer than two entries), so equal
//! contents have equal roots whatever the history. Limit: keys of at most 32 bytes.

mod accounts;
mod node;
mod proof;
mod update;

pub(crate) use accounts::StateTrie;

use alloy_primitives::{B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use node::Link;
use std::collections::BTreeMap;
use std::fmt::{Debug, Formatter};
use update::Write;

/// What a leaf can hold.
pub(crate) trait Value: Clone {
    /// The bytes that are hashed.
    fn encode(&self) -> Vec<u8>;
}

impl Value for U256 {
    fn encode(&self) -> Vec<u8> {
        alloy_rlp::encode(self)
    }
}

impl Value for Vec<u8> {
    fn encode(&self) -> Vec<u8> {
        self.clone()
    }
}

/// One version of a trie. A clone is a pointer copy.
#[derive(Clone)]
pub(crate) struct Trie<V> {
    root: Option<Link<V>>,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V: Value> Debug for Trie<V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trie({})", self.root_hash())
    }
}

impl<V: Value> Trie<V> {
    /// The value of a key.
    pub(crate) fn get(&self, key: &Nibbles) -> Option<&V> {
        self.root.as_ref().and_then(|root| root.get(key))
    }

    /// The version after these writes, which are of distinct keys, in any order.
    pub(crate) fn apply(&self, mut writes: Vec<Write<V>>) -> Self {
        writes.sort_unstable_by_key(|write| write.key);
        let distinct = writes.windows(2).all(|pair| pair[0].key != pair[1].key);
        assert!(distinct, "a batch writes each key once");
        Self {
            root: update::apply(self.root.as_ref(), 0, &mut writes),
        }
    }

    /// The trie of these entries.
    #[cfg(test)]
    pub(crate) fn of(entries: impl Iterator<Item = (Nibbles, V)>) -> Self {
        let writes = entries.map(|(key, value)| Write {
            key,
            value: Some(value),
        });
        Self::default().apply(writes.collect())
    }

    /// The root hash.
    pub(crate) fn root_hash(&self) -> B256 {
        let Some(root) = &self.root else {
            return EMPTY_ROOT_HASH;
        };
        let hash = root.reference().as_hash();
        hash.unwrap_or_else(|| keccak256(root.encode()))
    }

    /// The encoded nodes from the root towards a key: they prove its value, or its absence.
    pub(crate) fn proof(&self, key: &Nibbles) -> Vec<Bytes> {
        proof::nodes(self.root.as_ref(), key)
    }
}

/// The root of the trie with these plain (not hashed) keys; empty values are absent.
///
/// # Panics
///
/// When a key is longer than 32 bytes.
pub(crate) fn root_of(entries: &BTreeMap<Vec<u8>, Vec<u8>>) -> B256 {
    let present = entries.iter().filter(|(_, value)| !value.is_empty());
    let writes = present.map(|(key, value)| Write {
        key: Nibbles::unpack(key),
        value: Some(value.clone()),
    });
    Trie::default().apply(writes.collect()).root_hash()
}

#[cfg(test)]
pub(crate) mod tests;
