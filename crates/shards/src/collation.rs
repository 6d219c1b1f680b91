//! A shard block with all that checking it takes, so that whoever checks it needs no state of the shard.
//!
//! ```text
//!                        ┌ ancestors   Ethereum headers below the parent, as far as BLOCKHASH asks
//!   Collation ─ encode ──┤ parent      Ethereum header (root, hash) and ordering header (fee, time)
//!       │                ├ block       ordering header and transactions
//!       │                └ witness     of the state after the parent: what the block reads and writes
//!       └─ describe ─▶ Descriptor { hash, length, head, root, gas … }
//! ```
//! The collator alone makes one, from a block that it has executed and not committed yet; it is judged by
//! [`check`](crate::check()). Nothing in it is believed: the parent is named by the descriptor, the rest hangs
//! on the parent's hash and root.
//!
//! Limits: [`COLLATION_BYTES_MAX`] in all, [`ANCESTORS_MAX`] headers of at most [`HEADER_BYTES_MAX`] each, a
//! body of what the chain's rules allow.

mod build;
mod codec;

pub use build::{AskedHashes, BuildError, Placement, seal};
pub use codec::{CollationError, Part};

use alloy_consensus::Header as EthereumHeader;
use alloy_primitives::{B256, Bytes};
use commonware_cryptography::Hasher as _;
use primitives::{Block, Header, crypto::BlockHasher};

/// The longest collation that is made or decoded.
pub const COLLATION_BYTES_MAX: usize = 8 << 20;

/// Most headers below the parent. `BLOCKHASH` reaches 256 blocks back: two hashes are in the parent and its
/// name, and each header gives one more.
pub const ANCESTORS_MAX: usize = 254;

/// The longest encoded Ethereum header. One of ours takes 600 bytes; a genesis may carry extra data.
pub(crate) const HEADER_BYTES_MAX: usize = 4_096;

/// The block that another is built on, by both its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its Ethereum header: the hash that names it, and the root of the state after it.
    pub header: EthereumHeader,
    /// Its ordering header, which the Ethereum header names in `extraData`.
    pub ordering: Header,
}

/// A shard block with all that checking it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collation {
    /// What the block is built on.
    pub parent: Parent,
    /// The block.
    pub block: Block,
    /// Ethereum headers below the parent's, newest first, each named by the one before.
    pub ancestors: Vec<EthereumHeader>,
    /// The part of the state after the parent that the block reads and writes.
    pub witness: Bytes,
}

/// What a descriptor names an encoded collation by.
pub(crate) fn hash_of(encoded: &[u8]) -> B256 {
    B256::from_slice(BlockHasher::hash(&[encoded]).as_ref())
}
