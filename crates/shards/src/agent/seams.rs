//! What an agent asks of the outside: to check a candidate, to cut and restore collations, to build blocks.

use crate::{
    arrears::{Arrears, FinalCandidate, RelayGap},
    ledger::ShardHead,
};
use alloy_primitives::B256;
use bytes::Bytes;
use primitives::shard::{Coding, Descriptor, RelayAnchor, ShardId};
use std::{sync::atomic::AtomicBool, time::Duration};

/// What was found of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It is what its descriptor says, and so finds everybody.
    Valid,
    /// It is not, and so finds everybody.
    Invalid,
    /// This node can't say now.
    Undecided,
}

/// Checks candidates. May take as long as executing a block; called where blocking is allowed.
pub trait Checker: Send + Sync + 'static {
    /// Whether the collation is what the descriptor says: a function of its arguments alone. Undecided soon after it is
    /// cancelled.
    fn check(&self, descriptor: &Descriptor, collation: &Bytes, cancelled: &AtomicBool) -> Finding;

    /// How much longer the work takes that a worker has just done. Work takes the time that it takes, except where
    /// time is simulated.
    fn remaining(&self) -> Duration {
        Duration::ZERO
    }
}

/// What came of chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// The collation that the root commits to.
    Collation(Bytes),
    /// More chunks are needed.
    TooFew,
    /// The root commits to no code. Everybody finds so.
    WrongCoding,
}

/// Cuts collations into chunks, encoded with their proofs.
pub trait Cutter: Send + Sync + 'static {
    /// A chunk for each validator of an epoch, in their order; none if the collation can't be cut.
    fn cut(&self, collation: &Bytes, validators: u16, epoch: u64) -> Option<(Coding, Vec<Bytes>)>;

    /// Whether the root commits to this chunk at this place. Cheap.
    fn check(&self, coding: &Coding, index: u16, chunk: &Bytes) -> bool;

    /// The collation that chunks belong to, which have been checked.
    fn restore(&self, coding: &Coding, chunks: &[(u16, Bytes)]) -> Restored;
}

/// What a block is to be built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildOrder {
    /// The shard.
    pub shard: ShardId,
    /// The block before it, which was built or followed here.
    pub parent: ShardHead,
    /// The relay block that it names.
    pub anchor: RelayAnchor,
    /// The time, in milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// A block, ready to be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What it is.
    pub descriptor: Descriptor,
    /// The block and what checking it needs.
    pub collation: Bytes,
}

/// Builds a shard's blocks, and follows those that others build. Asked for one thing at a time in each shard.
pub trait Builder: Clone + Send + Sync + 'static {
    /// The next block; none while there is nothing to put into it.
    fn build(&self, order: BuildOrder) -> impl Future<Output = Option<Built>> + Send;

    /// The newest block of a shard that it has, by number and hash. It has all blocks before it and no others.
    fn newest(&self, shard: ShardId) -> Option<(u64, B256)>;

    /// The number of the newest block of a shard that its files have: what it has after a power failure.
    fn durable(&self, shard: ShardId) -> u64;

    /// Executes a block whose parent it has, so that the next can be built on it. What it has above the parent and
    /// is another chain goes, unless that is final.
    fn follow(
        &self,
        descriptor: Descriptor,
        collation: Bytes,
    ) -> impl Future<Output = Finding> + Send;

    /// The final candidates that a shard's builder lacks, by number, as the relay blocks on this node's disk have them.
    /// May take as long as reading all relay blocks since they were backed; asked beside everything else.
    fn name(
        &self,
        arrears: Arrears,
    ) -> impl Future<Output = Result<Vec<FinalCandidate>, RelayGap>> + Send;
}
