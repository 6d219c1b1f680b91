//! What one node may choose about its consensus; the chain's rules are in `ChainConfig`.

use crate::sync::ServerConfig;
use primitives::chain::Protocol;
use std::{num::NonZeroUsize, time::Duration};

/// Bytes of one cached storage page.
pub(crate) const PAGE_BYTES: u16 = 4_096;
/// Storage pages kept in memory.
pub(crate) const PAGES_MAX: usize = 2_048;
/// Bytes buffered before a journal writes, and read at once when it replays.
pub(crate) const JOURNAL_BUFFER_BYTES: usize = 1024 * 1024;
/// Messages that wait for an actor.
pub(crate) const MAILBOX_MESSAGES_MAX: usize = 1_024;
/// Views for which votes and blocks are kept behind the finalized one.
pub(crate) const VIEWS_RETAINED: u64 = 64;
/// Missing heights fetched at a time.
pub(crate) const REPAIR_BLOCKS_MAX: usize = 32;
/// Archive entries in one file.
pub(crate) const ARCHIVE_SECTION_ITEMS: u64 = 4_096;
/// Slack for clocks, scheduling and one network trip on top of a deliberate wait.
const LEADER_SLACK: Duration = Duration::from_secs(2);

/// Timeouts and sizes of one node's consensus.
#[derive(Clone, Debug)]
pub struct ConsensusConfig {
    /// Prefix of everything it stores.
    pub partition: String,
    /// How long a leader may take; above the heartbeat, because a leader waits for transactions.
    pub leader_timeout: Duration,
    /// How long a view may take until its block is certified; far above execution's p99.
    pub certification_timeout: Duration,
    /// How long until a nullify vote is sent again.
    pub timeout_retry: Duration,
    /// A leader silent for this long is skipped at once.
    pub skip_timeout: Duration,
    /// How long a peer has to answer a fetch.
    pub fetch_timeout: Duration,
    /// Finalized blocks that may wait for execution and flush.
    pub pending_acks_max: NonZeroUsize,
    /// How often results that have no certificate yet are sent again.
    pub result_retry: Duration,
    /// How often transactions that are not in a block yet are sent again.
    pub transaction_retry: Duration,
    /// How states are given to nodes that have none.
    pub sync: ServerConfig,
    /// The operator says that this node's key has never voted.
    pub never_voted: bool,
}

/// How long a leader may take on a chain with these rules.
pub(crate) fn leader_timeout(protocol: &Protocol) -> Duration {
    let longest_ms = protocol.heartbeat_ms.max(protocol.block_time_ms);
    Duration::from_millis(longest_ms).saturating_add(LEADER_SLACK)
}

impl ConsensusConfig {
    /// Timeouts that fit a chain's heartbeat and block time.
    #[must_use]
    pub fn new(partition: String, protocol: &Protocol, pending_acks_max: NonZeroUsize) -> Self {
        let leader_timeout = leader_timeout(protocol);
        let certification_timeout = leader_timeout.saturating_add(LEADER_SLACK);
        let timeout_retry = Duration::from_secs(1);
        Self {
            partition,
            leader_timeout,
            certification_timeout,
            timeout_retry,
            skip_timeout: certification_timeout
                .saturating_add(timeout_retry)
                .saturating_add(timeout_retry),
            fetch_timeout: Duration::from_secs(2),
            pending_acks_max,
            result_retry: Duration::from_millis(500),
            transaction_retry: Duration::from_secs(2),
            sync: ServerConfig::default(),
            never_voted: false,
        }
    }
}
