//! Who an agent is, and the numbers it works with.

use primitives::{crypto::PrivateKey, shard::ShardId};
use std::collections::BTreeSet;

/// Offers of one shard that wait for their parent, their check or their time: so many from their own collators, and as
/// many that others pass on.
pub(crate) const OFFERS_MAX: usize = 64;
/// How long an offer may wait, in milliseconds.
pub(crate) const OFFER_KEEP_MS: u64 = 10_000;
/// Candidates of one collator that are remembered for one number of a shard, and those that one peer is the first to
/// name.
pub(crate) const FORKS_MAX: usize = 4;
/// Candidates for one number of a shard that are remembered though no relay block names them.
pub(crate) const CLAIMS_MAX: usize = 64;
/// Numbers above a shard's newest that are listened to.
pub(crate) const NUMBERS_AHEAD: u64 = 64;
/// Relay heights above the own one of which statements are listened to.
pub(crate) const HEIGHTS_AHEAD: u64 = 64;
/// Relay heights above the own one that an offer, its anchor or that of a statement may name. Who is farther behind hears
/// of a candidate when it is put forward again, or in a relay block.
pub(crate) const SCHEDULES_AHEAD: u64 = 8;
/// Final candidates of a shard that are kept in memory, and whose chunks are kept on disk.
pub(crate) const RECENT_NUMBERS: u64 = 256;
/// Final candidates of a shard that a collator lacks and remembers, in memory and on disk.
pub(crate) const ARREARS_MAX: u64 = 65_536;
/// After how long the relay chain may be searched again for the names of blocks that a collator lacks, in milliseconds.
pub(crate) const SEARCH_RETRY_MS: u64 = 60_000;
/// The same after relay blocks were not there: they hardly come to be, and whatever is above them is read again.
pub(crate) const GAP_RETRY_MS: u64 = 3_600_000;
/// For how long a collator waits for a block that only others' disks have before it says that it waits, in milliseconds.
pub(crate) const STARVED_MS: u64 = 60_000;
/// Final collations of a shard that a collator keeps on disk for those that were away.
pub(crate) const COLLATIONS_MAX: u64 = 65_536;
/// Numbers above the newest block of a collator's files whose collations it gets.
pub(crate) const BODIES_AHEAD: u64 = 64;
/// Relay blocks after which a collator notes on disk that a block is final that its files still lack: fewer than it
/// goes through again after a restart.
pub(crate) const FINAL_BLOCKS: u64 = 32;
/// Records that are written at a time.
pub(crate) const WRITES_MAX: usize = 256;
/// Records that are read at a time.
pub(crate) const READS_MAX: usize = 64;
/// Of those, the ones that are read for others, and for one of them.
pub(crate) const READS_OTHERS_MAX: usize = 48;
pub(crate) const READS_EACH_MAX: usize = 8;
/// Updates of the ledger that are taken in at a time.
pub(crate) const UPDATES_AT_ONCE: usize = 1_024;
/// Statements of one validator for one place: two candidates prove an offence, and there are two of each at
/// most, for other cores.
pub(crate) const STATEMENTS_MAX: usize = 4;
/// Statements of one validator that wait until the height of their schedule is known here.
pub(crate) const EARLY_STATEMENTS_MAX: usize = 64;
/// Relay blocks for which statements are kept beyond those in which they may enter.
pub(crate) const STATEMENT_BLOCKS: u64 = 16;
/// Chunks kept from one peer for candidates that are not pending yet.
pub(crate) const EARLY_CHUNKS_MAX: usize = 64;
/// How many of a group send each chunk, so that it comes though one of them is silent.
pub(crate) const CHUNK_SENDERS: usize = 2;
/// Collations asked for at a time of what is not pending and has been in a relay block, or has enough backers. For what
/// is pending there is always room.
pub(crate) const FETCHES_MAX: usize = 256;
/// Collations of one shard asked for at a time because a peer says that there is such a candidate.
pub(crate) const CLAIMED_FETCHES_MAX: usize = 64;
/// Messages that are heard before everything is looked at, and about how many bytes of them.
pub(crate) const MESSAGES_AT_ONCE: usize = 64;
pub(crate) const MESSAGE_BYTES_AT_ONCE: usize = 1024 * 1024;
/// All peers together are answered so many times as much in a second as one of them.
pub(crate) const SERVED_PEERS: usize = 4;
/// Peers whose consumption is remembered.
pub(crate) const PEERS_MAX: usize = 1_024;
/// Blocks that are followed at a time in one shard.
pub(crate) const FOLLOWS_MAX: usize = 16;
/// After how long a check that could not be made is tried again, in milliseconds.
pub(crate) const UNDECIDED_MS: u64 = 500;
/// After how long somebody who had nothing to build looks again, in milliseconds.
pub(crate) const BUILD_RETRY_MS: u64 = 20;
/// How often an agent looks at the clock, in milliseconds.
pub(crate) const TICK_MS: u64 = 20;

/// Who an agent is, and what it may use.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Its key. Whoever is not among the validators backs, holds and approves nothing.
    pub key: PrivateKey,
    /// The shards whose blocks it builds and follows.
    pub collates: BTreeSet<ShardId>,
    /// After how long the turn to build passes to the next collator, in milliseconds, where no charter says it.
    pub patience_ms: u64,
    /// Least time between two votes at one relay height, in milliseconds.
    pub vote_ms: u64,
    /// How long an answer may take before somebody else is asked, in milliseconds.
    pub answer_ms: u64,
    /// Candidates that are checked at a time.
    pub workers: usize,
    /// Bytes of collations, with all their chunks, that are held for what is not pending; and as many again of the
    /// own chunks of it. An eighth more may have come since it was last counted.
    pub held_bytes_max: usize,
    /// Bytes of a collation from which it is got in chunks.
    pub large_bytes: u32,
    /// Bytes of collations that are on their way here at a time: what the wire carries in a moment. The rest waits,
    /// what has been pending longest comes first, and so each comes soon instead of all of them late.
    pub on_the_way_bytes_max: u64,
    /// Bytes that one peer is answered in a second. All together are answered four times as much, and each validator
    /// once more.
    pub served_bytes_max: usize,
    /// Prefix of what it keeps on disk.
    pub partition: String,
    /// Bytes of that, but for what others rely on.
    pub kept_bytes_max: u64,
}

impl AgentConfig {
    /// A validator of shards, or only a follower of their ledger if the key is not among the validators'.
    #[must_use]
    pub const fn new(key: PrivateKey, partition: String) -> Self {
        Self {
            key,
            collates: BTreeSet::new(),
            patience_ms: 1_000,
            vote_ms: 50,
            answer_ms: 250,
            workers: 4,
            held_bytes_max: 256 * 1024 * 1024,
            large_bytes: 64 * 1024,
            on_the_way_bytes_max: 32 * 1024 * 1024,
            served_bytes_max: 64 * 1024 * 1024,
            partition,
            kept_bytes_max: 1024 * 1024 * 1024,
        }
    }
}
