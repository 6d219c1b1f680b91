//! The p2p channels of the base chain and the sizes of what travels on them.

use crate::{relay, sync};
use commonware_consensus::{
    marshal::{self, standard::Standard},
    simplex,
};
use commonware_p2p::{Blocker, Provider, Receiver, Sender};
use commonware_runtime::Quota;
use primitives::{
    Block, BlockLimits, crypto::BlockDigest, crypto::PublicKey, crypto::Scheme,
    shard::SectionLimits,
};
use shards::ledger::rules::COLLATION_BYTES_MAX;
use std::num::NonZeroU32;

/// A kind of network: authenticated connections in a node, simulated links in a simulation.
pub trait Network: 'static {
    /// Sends on one channel.
    type Sender: Sender<PublicKey = PublicKey>;
    /// Receives on one channel.
    type Receiver: Receiver<PublicKey = PublicKey>;
    /// Bans peers.
    type Blocker: Blocker<PublicKey = PublicKey>;
    /// Knows the peers.
    type Peers: Provider<PublicKey = PublicKey>;
}

/// Both ends of one channel.
pub type Link<N> = (<N as Network>::Sender, <N as Network>::Receiver);

/// Everything consensus needs of the network: one link for each channel of [`ALL`].
pub struct Wires<N: Network> {
    /// See [`VOTES`].
    pub votes: Link<N>,
    /// See [`CERTIFICATES`].
    pub certificates: Link<N>,
    /// See [`RESOLVER`].
    pub resolver: Link<N>,
    /// See [`BACKFILL`].
    pub backfill: Link<N>,
    /// See [`BLOCKS`].
    pub blocks: Link<N>,
    /// See [`RESULTS`].
    pub results: Link<N>,
    /// See [`TRANSACTIONS`].
    pub transactions: Link<N>,
    /// See [`SYNC`].
    pub sync: Link<N>,
    /// See [`SHARD_STATEMENTS`]; taken by whoever does the shards' work.
    pub shard_statements: Option<Link<N>>,
    /// See [`SHARD_COLLATIONS`]; taken by whoever does the shards' work.
    pub shard_collations: Option<Link<N>>,
    /// Bans peers.
    pub blocker: N::Blocker,
    /// Knows the peers.
    pub peers: N::Peers,
}

impl<N: Network> std::fmt::Debug for Wires<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wires").finish_non_exhaustive()
    }
}

/// Votes of simplex.
pub const VOTES: u64 = 0;
/// Certificates of simplex.
pub const CERTIFICATES: u64 = 1;
/// Certificates asked for by simplex.
pub const RESOLVER: u64 = 2;
/// Blocks asked for by marshal.
pub const BACKFILL: u64 = 3;
/// Blocks, from their leader and from whoever holds them.
pub const BLOCKS: u64 = 4;
/// Signed results.
pub const RESULTS: u64 = 5;
/// Transactions on their way to the leaders.
pub const TRANSACTIONS: u64 = 6;
/// States, for nodes that have none.
pub const SYNC: u64 = 7;
/// Statements and votes about shards' candidates.
pub const SHARD_STATEMENTS: u64 = 8;
/// Shards' collations and their chunks.
pub const SHARD_COLLATIONS: u64 = 9;
/// All of them.
pub const ALL: [u64; 10] = [
    VOTES,
    CERTIFICATES,
    RESOLVER,
    BACKFILL,
    BLOCKS,
    RESULTS,
    TRANSACTIONS,
    SYNC,
    SHARD_STATEMENTS,
    SHARD_COLLATIONS,
];

/// Messages a second that one peer may send on one channel.
const MESSAGES_PER_SECOND: NonZeroU32 = NonZeroU32::new(1_024).expect("1024 is not zero");
/// Most bytes of transactions in one gossip message.
pub const TRANSACTIONS_BYTES_MAX: usize = 256 * 1024;
/// More than a message holds beside a collation.
const COLLATION_MARGIN_BYTES: usize = 64 * 1024;
/// Most signed results in one gossip message.
pub const RESULTS_MAX: usize = 64;

/// The rate limit of every channel.
#[must_use]
pub const fn quota() -> Quota {
    Quota::per_second(MESSAGES_PER_SECOND)
}

/// The largest message about shards on a chain with these limits.
fn collations(limits: &BlockLimits) -> usize {
    if limits.section == SectionLimits::NONE {
        return 0;
    }
    usize::try_from(COLLATION_BYTES_MAX)
        .unwrap_or(usize::MAX)
        .saturating_add(COLLATION_MARGIN_BYTES)
}

/// The largest message any component sends, for a chain with these limits.
#[must_use]
pub fn message_bytes_max(limits: &BlockLimits) -> u32 {
    let votes = simplex::max_payload_size::<Scheme, BlockDigest>(limits.validators);
    let blocks = marshal::max_payload_size::<Standard<Block>, Scheme>(limits.validators, limits);
    let gossip = TRANSACTIONS_BYTES_MAX + primitives::limits::TRANSACTION_BYTES_MAX;
    let relayed = relay::config::message_bytes_max(limits);
    let sync = sync::message_bytes_max(limits);
    commonware_p2p::max_message_size(&[votes, blocks, relayed, gossip, sync, collations(limits)])
}
