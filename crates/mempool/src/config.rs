//! Values and limits of a node's pool.
//!
//! None of them is a rule of the chain: two validators may run with different ones.

use primitives::ChainConfig;

/// Most listeners of one pool. They are registered where the node is wired, not by users.
pub const LISTENERS_MAX: usize = 8;

/// Parts of the pool, each with a lock of its own. A power of two, and as many as keep each part's
/// tables so small that even their growth is shorter than a millisecond.
pub const STRIPES: usize = 64;

/// Transactions admitted under one hold of a lock.
pub const ADMISSIONS_PER_LOCK: usize = 64;

/// Transactions that follow a block, expire, are listed or removed under one hold of a lock; one
/// sender's may be more.
pub const VISITS_PER_LOCK: usize = 512;

/// Prices that change sides under one hold of a lock when the base fee moves.
pub const CROSSINGS_PER_LOCK: usize = 128;

/// Senders that a selection begins with under one hold of a lock.
pub const HEADS_PER_LOCK: usize = 64;

/// Prices that a selection looks at under one hold of a lock; most are of senders in flight.
pub const PRICES_PER_LOCK: usize = 1_024;

/// Senders in flight that a selection looks for under one hold of a lock.
pub const LOOKUPS_PER_LOCK: usize = 256;

/// Tails whose places are put right when the worst one is looked for.
pub const STANDINGS_PER_LOOK: usize = 128;

/// Tails that are looked at, with all locks held, for those that leave for one newcomer.
pub const STANDINGS_PER_WALK: usize = 4_096;

/// Most transactions that leave a full pool for one newcomer.
pub const VICTIMS_MAX: usize = 512;

/// Times that a newcomer makes room and finds it taken by another, before it holds all locks.
pub const ROOM_ATTEMPTS: usize = 4;

/// Events that wait to be told before a long change of the pool stops to tell them.
pub const UNTOLD_EVENTS_MAX: usize = 8_192;

/// Senders whose nonce after their last executed transaction is remembered. It has to cover only
/// the time between reading a state and admitting on it.
pub const EXECUTED_SENDERS_MAX: usize = 131_072;

/// How much the pool holds and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Rules of the chain that transactions are for.
    pub chain: ChainConfig,
    /// Most transactions in all.
    pub transactions_max: usize,
    /// Most encoded bytes in all.
    pub pool_bytes_max: usize,
    /// Most transactions of one sender.
    pub sender_transactions_max: usize,
    /// How far a nonce may lie above the sender's next executable one.
    pub nonce_gap_max: u64,
    /// A replacement pays at least this much more, in percent, in both its fees.
    pub price_bump_percent: u8,
    /// Smallest priority fee per gas taken, in wei.
    pub priority_fee_min: u128,
    /// Decides, with its address, which part of the pool a sender is in: two nodes, or two runs of one, should not
    /// share it.
    pub stripe_seed: u64,
    /// A transaction that waited this long is dropped, once nothing younger builds on it.
    pub lifetime_ms: u64,
}

impl Config {
    /// The values a node runs with unless its operator says otherwise.
    #[must_use]
    pub const fn new(chain: ChainConfig) -> Self {
        Self {
            chain,
            transactions_max: 1_048_576,
            pool_bytes_max: 512 * 1024 * 1024,
            sender_transactions_max: 4_096,
            nonce_gap_max: 4_096,
            price_bump_percent: 10,
            priority_fee_min: 0,
            stripe_seed: 0,
            lifetime_ms: 3 * 60 * 60 * 1_000,
        }
    }
}
