//! What a relay block did to shards.

use super::order::{OrderKind, Refusal};
use alloy_primitives::B256;
use primitives::shard::{CandidateId, ShardId};

/// A block of a shard that the ledger knows by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardHead {
    /// Position in the shard's chain.
    pub number: u64,
    /// Hash of its Ethereum header.
    pub hash: B256,
    /// Root of the state after it.
    pub state_root: B256,
    /// Its time, in milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
    /// Height of the relay block it was built against.
    pub anchor_height: u64,
}

/// A candidate in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its shard.
    pub shard: ShardId,
    /// Its position in the shard's chain.
    pub number: u64,
    /// Its identity.
    pub candidate: CandidateId,
    /// The number that the ledger gave it, and never gives again.
    pub sequence: u64,
}

/// Why a candidate left the ledger without being final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// 2f+1 chunks were not held in time.
    Unavailable,
    /// 2f+1 approvals did not come in time.
    Undecided,
    /// f+1 validators found it invalid.
    Invalid,
    /// A candidate before it was discarded.
    Descendant,
    /// The validators changed before it was included.
    Epoch,
    /// Its shard was retired.
    Retired,
}

/// Why everybody has to check a candidate for which a few were to be enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escalation {
    /// Somebody found it invalid.
    Objection,
    /// Those who were asked were not there, nor were those who replaced them.
    NoShows,
}

/// What a validator signed and should not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffenceKind {
    /// It backed two candidates for one place.
    Equivocation,
    /// It backed a candidate that is invalid.
    BackedInvalid,
    /// It approved a candidate that is invalid.
    ApprovedInvalid,
    /// It called one candidate valid and invalid.
    Contradiction,
    /// It called a valid candidate invalid, and so made everybody check it.
    FalseObjection,
}

/// An offence, with what proves it in the relay chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offence {
    /// The epoch whose validators the index counts.
    pub epoch: u64,
    /// Index of the validator.
    pub validator: u16,
    /// What it did.
    pub kind: OffenceKind,
    /// About which candidate.
    pub candidate: CandidateId,
    /// The relay height at which it was noted.
    pub height: u64,
}

/// What happened to a candidate or its validators in one relay block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerEvent {
    /// It entered the pipeline.
    Backed(Named),
    /// 2f+1 validators hold its chunks, and its predecessor is included.
    Included(Named),
    /// A few were to check it, and now everybody has to.
    Escalated(Named, Escalation),
    /// Those who had to check it approved it, and its predecessor is final. It never leaves the shard's chain.
    Final(Named, ShardHead),
    /// It left the pipeline; it may be put forward again unless it was invalid.
    Discarded(Named, Discard),
    /// A validator can be punished.
    Offended(Offence),
    /// A shard's life took a turn.
    Ordered(ShardId, OrderKind),
    /// An order could not be carried out, and changed nothing.
    Refused(ShardId, OrderKind, Refusal),
    /// A core went where the load is.
    Moved {
        /// The core.
        core: u16,
        /// Whose it was.
        from: Option<ShardId>,
        /// Whose it is, for schedules from this relay block on.
        to: Option<ShardId>,
    },
}
