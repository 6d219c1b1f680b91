//! Every bound on what comes from outside, in one place.
//!
//! A limit that is part of the chain's rules lives in [`crate::ChainConfig`]; these are the ones
//! that hold for every chain.

/// Largest encoded transaction, in bytes (geth's pool limit of four 32 KiB slots).
pub const TRANSACTION_BYTES_MAX: usize = 128 * 1024;

/// No transaction has a lower gas limit: the intrinsic gas of the cheapest one.
pub const TRANSACTION_GAS_MIN: u64 = 21_000;

/// Largest gas limit of one transaction (EIP-7825).
pub const TRANSACTION_GAS_MAX: u64 = 1 << 24;

/// Most transactions in one block, whatever their gas.
pub const BLOCK_TRANSACTIONS_MAX: usize = 65_536;

/// Most bytes of raw transactions that travel together.
pub const BUNDLE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most transactions that travel together.
pub const BUNDLE_TRANSACTIONS_MAX: usize = 65_536;

/// Most keys of senders that travel with them.
pub const BUNDLE_KEYS_MAX: usize = 32_768;

/// Largest encoded block a chain may configure, in bytes (EIP-7934 allows 8 MiB after its margin).
pub const BLOCK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most authorizations in one EIP-7702 transaction.
pub const AUTHORIZATIONS_MAX: usize = 128;

/// Most dev directives in one block.
pub const DIRECTIVES_MAX: usize = 1_024;

/// Most encoded bytes of all dev directives that wait for a block; they fit into the smallest body
/// a chain may configure.
pub const DIRECTIVES_BYTES_MAX: usize = 64 * 1024;

/// Most validators of one chain.
pub const VALIDATORS_MAX: u32 = 256;

/// Most shards of one relay chain.
pub const SHARDS_MAX: usize = 256;

/// Largest gas limit of a shard's blocks: what one core checks in the time that a candidate has for its approval,
/// 20 s, if what is slowest runs at 50 Mgas a second.
pub const SHARD_GAS_MAX: u64 = 1_000_000_000;

/// Most cores of one relay chain.
pub const CORES_MAX: usize = 64;

/// Fewest validators of a chain on which a few of them may check candidates: with fewer, it takes too many.
pub const SAMPLED_VALIDATORS_MIN: usize = 40;

/// Fewest checkers of a candidate where not everybody checks: of the fewest validators that allow it, one more than
/// may be corrupt.
pub const CHECKERS_MIN: usize = 14;

/// Most collators of one shard.
pub const COLLATORS_MAX: usize = 64;

/// Orders about shards that one relay block carries: more than the registry takes in one.
pub const ORDERS_CARRIED_MAX: usize = 16;

/// Longest order about a shard, in bytes: a creation that names all collators that a shard may have.
pub const ORDER_BYTES_MAX: usize = 4_096;

/// Longest charter of a shard, in bytes.
pub const CHARTER_BYTES_MAX: usize = 1_024;

/// Senders remembered by the recovery cache.
pub const RECOVERED_SENDERS_MAX: usize = 262_144;

/// Keys of senders remembered, to be sent along with their transactions.
pub const SENDER_KEYS_MAX: usize = 65_536;

/// Blocks between a block and the header that carries its result, beyond which a voter refuses.
///
/// It bounds what has to be kept in memory for the affordability rule; back-pressure empties
/// blocks long before.
pub const IN_FLIGHT_BLOCKS_MAX: u64 = 4_096;
