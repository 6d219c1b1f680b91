//! Limits of dissemination.

use primitives::{BlockLimits, limits::BLOCK_TRANSACTIONS_MAX};
use std::time::Duration;

/// Blocks kept for each peer.
pub(crate) const BLOCKS_PER_PEER_MAX: usize = 16;
/// A body up to this size is sent whole: it fits into one packet, and needs no second trip.
pub(crate) const SMALL_BODY_BYTES_MAX: u32 = 1_024;
/// Unfinished rebuilds of one peer's compact blocks.
pub(crate) const REBUILDS_PER_PEER_MAX: usize = 4;
/// Unfinished rebuilds in all.
pub(crate) const REBUILDS_MAX: usize = 128;
/// How long a peer has to answer before it is asked for the whole block, or another peer is asked.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// What looking a name up counts, in bytes hashed: it takes about as long.
pub(crate) const LOOKUP_BYTES: usize = 64;
/// Bytes a second that are looked up and hashed on behalf of one peer.
pub(crate) const REBUILT_BYTES_PER_SECOND: usize = 64 * 1024 * 1024;
/// Bytes a second that one peer is answered.
pub(crate) const ANSWERED_BYTES_PER_SECOND: usize = 16 * 1024 * 1024;
/// Bytes a second that are read of one peer's messages.
pub(crate) const RECEIVED_BYTES_PER_SECOND: usize = 64 * 1024 * 1024;
/// Answers that nobody asked for, for which a peer is not banned: this node may have asked before it was restarted.
pub(crate) const UNASKED_MAX: u32 = 16;
/// Calls of marshal that wait for the actor beside its mailbox; the oldest are dropped.
pub(crate) const OVERFLOW_MAX: usize = 4_096;

/// The largest message with a block that is sent whole without being asked for.
#[must_use]
pub(crate) fn unasked_bytes_max(limits: &BlockLimits) -> usize {
    use commonware_consensus::BoundedBlock as _;
    let small = BlockLimits {
        body_bytes_max: SMALL_BODY_BYTES_MAX,
        ..*limits
    };
    primitives::Block::max_encode_size(&small).saturating_add(super::message::FIXED_BYTES)
}

/// The largest message, for a chain with these limits: an index or a name for each transaction beside a block.
#[must_use]
pub fn message_bytes_max(limits: &BlockLimits) -> usize {
    use commonware_consensus::BoundedBlock as _;
    let names = BLOCK_TRANSACTIONS_MAX.saturating_mul(super::message::NAME_BYTES + 2);
    primitives::Block::max_encode_size(limits)
        .saturating_add(names)
        .saturating_add(super::message::FIXED_BYTES)
}
