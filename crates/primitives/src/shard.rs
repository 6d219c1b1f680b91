//! Shard identifiers and the digests a base header reserves for shards.
//!
//! Shards are not running yet; a base header already commits to their two sections, so that
//! their arrival changes no encoding. Both digests of a chain without shards are zero.

use alloy_primitives::B256;

/// Digest of an empty shard section, and of the ledger of a chain without shards.
pub const NO_SHARDS: B256 = B256::ZERO;
