//! The manifest: the top of a state's trie, and so its chunks.
//!
//! ```text
//!   manifest  version 1 │ node
//!   node      0: reference                          a unit of the chunk before
//!             1: chunk length 4 │ reference         a unit that begins a chunk
//!             2: children 2, one bit each │ node …
//!             3: nibbles 1 │ path │ node            (a branch)
//!             4: account │ node of its storage?     (see `leaf`)
//!             5:                                    the empty trie
//!   reference 32 │ hash, or length 1 │ encoding     (of a node below 32 bytes, in its parent)
//! ```
//!
//! A subtrie is one unit when its leaves fit into a chunk, and stands open in the top when they do not.
//! A chunk takes neighbouring units as long as they fit, up to the next account that stands open.

use super::leaf::{self, AccountHead, AccountLeaf};
use crate::sparse::subtrie::Reference;
use alloy_primitives::{B256, Bytes, keccak256};
use std::ops::Range;

pub(super) const VERSION: u8 = 1;
pub(super) const UNIT: u8 = 0;
pub(super) const UNIT_FIRST: u8 = 1;
pub(super) const BRANCH: u8 = 2;
pub(super) const EXTENSION: u8 = 3;
pub(super) const ACCOUNT: u8 = 4;
pub(super) const EMPTY: u8 = 5;

/// The top of the state with a trusted root.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub(super) bytes: Bytes,
    pub(super) digest: B256,
    pub(super) root: B256,
    pub(super) accounts: Vec<AccountLeaf>,
    pub(super) units: Vec<Unit>,
    pub(super) chunks: Vec<Chunk>,
    pub(super) chunk_bytes: u64,
}

/// A run of leaves that is asked for at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The open account whose slots these are, by its place among [`Manifest::accounts`]; `None` for
    /// accounts.
    pub account: Option<usize>,
    /// Length in bytes.
    pub bytes: usize,
    pub(super) units: Range<usize>,
}

/// A subtrie below the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// The lowest key that may be in it.
    pub(super) first: B256,
    /// Nibbles that all its keys share.
    pub(super) depth: u8,
    pub(super) reference: Reference,
}

impl Manifest {
    /// Its encoding, as it goes to peers.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Keccak of the encoding: what peers with equal states agree on.
    pub fn digest(&self) -> B256 {
        self.digest
    }

    /// The root of the state.
    pub fn root(&self) -> B256 {
        self.root
    }

    /// The accounts whose storage has chunks of its own, by key. They are in no chunk.
    pub fn accounts(&self) -> &[AccountLeaf] {
        &self.accounts
    }

    /// The chunks, by number.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Bytes of all chunks.
    pub fn chunk_bytes(&self) -> u64 {
        self.chunk_bytes
    }

    pub(super) fn units(&self, chunk: &Chunk) -> &[Unit] {
        &self.units[chunk.units.clone()]
    }

    pub(super) fn new(bytes: Bytes, root: B256) -> Self {
        Self {
            digest: keccak256(&bytes),
            bytes,
            root,
            accounts: Vec::new(),
            units: Vec::new(),
            chunks: Vec::new(),
            chunk_bytes: 0,
        }
    }
}

impl Unit {
    /// The highest key that may be in it.
    pub(super) fn last(&self) -> B256 {
        let mut last = self.first;
        let depth = usize::from(self.depth);
        if !depth.is_multiple_of(2) {
            last[depth / 2] |= 0x0f;
        }
        last[depth.div_ceil(2)..].fill(0xff);
        last
    }

    pub(super) fn contains(&self, key: &B256) -> bool {
        self.first <= *key && *key <= self.last()
    }
}

/// A node of the top while it is made.
#[derive(Debug)]
pub(super) enum Node {
    Unit {
        reference: Reference,
        /// The number of the chunk that begins with it.
        begins: Option<usize>,
    },
    /// Children by nibble.
    Branch(Vec<(u8, Self)>),
    Extension(Vec<u8>, Box<Self>),
    Account(Box<(AccountLeaf, Self)>),
}

/// The encoding of a top, given the lengths of its chunks.
pub(super) fn encode(top: Option<&Node>, lengths: &[u32]) -> Vec<u8> {
    let mut out = vec![VERSION];
    match top {
        Some(node) => put_node(&mut out, node, lengths),
        None => out.push(EMPTY),
    }
    out
}

fn put_node(out: &mut Vec<u8>, node: &Node, lengths: &[u32]) {
    match node {
        Node::Unit { reference, begins } => {
            match begins {
                Some(chunk) => {
                    out.push(UNIT_FIRST);
                    out.extend_from_slice(&lengths[*chunk].to_le_bytes());
                }
                None => out.push(UNIT),
            }
            put_reference(out, reference);
        }
        Node::Branch(children) => {
            let bits = children
                .iter()
                .fold(0u16, |bits, (nibble, _)| bits | 1 << nibble);
            out.push(BRANCH);
            out.extend_from_slice(&bits.to_le_bytes());
            for (_, child) in children {
                put_node(out, child, lengths);
            }
        }
        Node::Extension(path, child) => {
            out.push(EXTENSION);
            out.push(u8::try_from(path.len()).expect("shorter than a key"));
            for pair in path.chunks(2) {
                out.push(pair[0] << 4 | pair.get(1).unwrap_or(&0));
            }
            put_node(out, child, lengths);
        }
        Node::Account(open) => {
            let (leaf, storage) = &**open;
            out.push(ACCOUNT);
            let head = AccountHead {
                address: leaf.address,
                account: leaf.account,
                has_storage: true,
            };
            leaf::put_account(out, &head);
            put_node(out, storage, lengths);
        }
    }
}

fn put_reference(out: &mut Vec<u8>, reference: &Reference) {
    match reference {
        Reference::Hash(hash) => {
            out.push(32);
            out.extend_from_slice(hash);
        }
        Reference::Embedded(_) => {
            let mut encoding = Vec::with_capacity(32);
            reference.put(&mut encoding);
            out.push(u8::try_from(encoding.len()).expect("below 32"));
            out.extend_from_slice(&encoding);
        }
        Reference::Stale => unreachable!("units were computed"),
    }
}
