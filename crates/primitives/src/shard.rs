//! What validators and collators say about shards: candidates, statements, votes, and the section of a relay
//! block that carries them.
//!
//! ```text
//! Descriptor ─hash─▶ CandidateId          what a candidate is, for ever; nothing about scheduling in it
//!     │
//!     └─ Envelope { descriptor, coding, schedule }      can be made again for the same descriptor
//!            │ a group signs (Statement)
//!            └─ BackedEnvelope ─┐
//!                    ShardVote ─┼─▶ ShardSection, in the body of a relay block
//!                 Equivocation ─┘
//! ```
//! Nothing here judges: the rules are the ledger's, in the crate `shards`. Both digests of a chain without
//! shards are those of its genesis.

mod bits;
mod candidate;
pub mod charter;
pub mod registry;
mod section;
mod signed;
#[cfg(test)]
mod tests;
mod vote;

pub use bits::{BITS_MAX, Bits};
pub use candidate::{
    CandidateId, Coding, Descriptor, Envelope, RelayAnchor, Schedule, ShardId, Statement,
};
pub use charter::{CHARTER_VERSION, Charter, CharterError};
pub use section::{
    BackedEnvelope, CarriedOrders, Equivocation, SectionLimits, ShardSection, SignedStatement,
};
pub use signed::Signed;
pub use vote::{ShardVote, VoteFault, Votes};

use alloy_primitives::B256;

/// Digest of an empty shard section.
pub const NO_SHARDS: B256 = B256::ZERO;

/// What separates the signatures about one chain's shards from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardNamespace {
    statement: Vec<u8>,
    vote: Vec<u8>,
    offer: Vec<u8>,
}

impl ShardNamespace {
    /// The namespaces of the relay chain with this genesis.
    #[must_use]
    pub fn new(genesis_digest: &B256) -> Self {
        let of = |name: &[u8]| [name, genesis_digest.as_slice()].concat();
        Self {
            statement: of(b"_HEADWAY_SHARD_STATEMENT"),
            vote: of(b"_HEADWAY_SHARD_VOTE"),
            offer: of(b"_HEADWAY_SHARD_OFFER"),
        }
    }
}
