//! The p2p channels of the base chain and the sizes of what travels on them.

use commonware_consensus::{
    marshal::{self, standard::Standard},
    simplex,
};
use commonware_runtime::Quota;
use primitives::{Block, BlockLimits, crypto::BlockDigest, crypto::Scheme};
use std::num::NonZeroU32;

/// Votes of simplex.
pub const VOTES: u64 = 0;
/// Certificates of simplex.
pub const CERTIFICATES: u64 = 1;
/// Certificates asked for by simplex.
pub const RESOLVER: u64 = 2;
/// Blocks asked for by marshal.
pub const BACKFILL: u64 = 3;
/// Blocks pushed by their leader.
pub const BLOCKS: u64 = 4;
/// Signed results.
pub const RESULTS: u64 = 5;
/// Transactions on their way to the leaders.
pub const TRANSACTIONS: u64 = 6;
/// All of them, in the order of [`crate::Channels`].
pub const ALL: [u64; 7] = [VOTES, CERTIFICATES, RESOLVER, BACKFILL, BLOCKS, RESULTS, TRANSACTIONS];

/// Messages a second that one peer may send on one channel.
const MESSAGES_PER_SECOND: NonZeroU32 = NonZeroU32::new(1_024).expect("1024 is not zero");
/// Most bytes of transactions in one gossip message.
pub const TRANSACTIONS_BYTES_MAX: usize = 256 * 1024;
/// Most signed results in one gossip message.
pub const RESULTS_MAX: usize = 64;

/// The rate limit of every channel.
#[must_use]
pub const fn quota() -> Quota {
    Quota::per_second(MESSAGES_PER_SECOND)
}

/// The largest message any component sends, for a chain with these limits.
#[must_use]
pub fn message_bytes_max(limits: &BlockLimits) -> u32 {
    let votes = simplex::max_payload_size::<Scheme, BlockDigest>(limits.validators);
    let blocks = marshal::max_payload_size::<Standard<Block>, Scheme>(limits.validators, limits);
    let gossip = TRANSACTIONS_BYTES_MAX + primitives::limits::TRANSACTION_BYTES_MAX;
    commonware_p2p::max_message_size(&[votes, blocks, gossip])
}
