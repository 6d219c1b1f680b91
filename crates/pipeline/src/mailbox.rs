//! What consensus tells the pipeline.
//!
//! Finalized blocks are queued, everything else takes effect at once. Whoever delivers blocks waits
//! for [`Pipeline::room`] before each, so the queue cannot overflow.

use crate::{
    Chain, ChainError, ChainEvent, ExecutedRecord,
    chain::{StateProgress, lock},
};
use commonware_utils::{Acknowledgement as _, acknowledgement::Exact};
use primitives::{
    ExecutionCertificate, ExecutionResult, FinalizedBlock, RecoveredBlock, crypto::BlockDigest,
};
use state::UnknownHeight;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A finalized block on its way to execution.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) block: FinalizedBlock,
    /// None for a block that is replayed after a restart.
    pub(crate) acknowledgement: Option<Exact>,
}

/// Write handle of one node's pipeline. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pipeline {
    chain: Chain,
    jobs: mpsc::Sender<Job>,
}

impl Pipeline {
    pub(crate) const fn new(chain: Chain, jobs: mpsc::Sender<Job>) -> Self {
        Self { chain, jobs }
    }

    /// The read handle.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// A proposal was made or seen.
    pub fn proposed(&self, digest: BlockDigest, height: u64, now_ms: u64) {
        self.chain
            .apply(|ledger| ledger.proposed(digest, height, now_ms));
    }

    /// A notarization was seen.
    pub fn notarized(&self, digest: &BlockDigest, now_ms: u64) {
        self.chain.apply(|ledger| ledger.notarized(digest, now_ms));
    }

    /// Resolves when the queue takes another block.
    pub async fn room(&self) {
        // An error means that execution has ended, which the next block finds out.
        drop(self.jobs.reserve().await);
    }

    /// The next block in order is finalized: execute it, then acknowledge.
    ///
    /// A block that was executed before a restart is acknowledged at once.
    pub fn finalized(&self, block: FinalizedBlock, acknowledgement: Exact, now_ms: u64) {
        if block.header().height <= self.chain.shared.store.flushed_height() {
            acknowledgement.acknowledge();
            return;
        }
        self.queue(block, Some(acknowledgement), now_ms);
    }

    /// A block that was finalized and acknowledged before a restart, and whose state was not
    /// durable yet: execute it again.
    pub fn replayed(&self, block: FinalizedBlock, now_ms: u64) {
        self.queue(block, None, now_ms);
    }

    fn queue(&self, block: FinalizedBlock, acknowledgement: Option<Exact>, now_ms: u64) {
        self.chain.apply(|ledger| ledger.finalized(&block, now_ms));
        self.send(block, acknowledgement);
    }

    fn send(&self, block: FinalizedBlock, acknowledgement: Option<Exact>) {
        let job = Job {
            block,
            acknowledgement,
        };
        if let Err(error) = self.jobs.try_send(job) {
            // Dropping the acknowledgement stops delivery, which is what has to happen here.
            tracing::error!(%error, "pipeline queue refused a finalized block");
        }
    }

    /// The next block of a shard's chain, whose collator executes it before it is final; what the relay chain
    /// makes of it is told by [`Self::settled`].
    pub fn collated(&self, block: RecoveredBlock, now_ms: u64) {
        let block = FinalizedBlock::delivered(block);
        self.chain.apply(|ledger| ledger.collated(&block, now_ms));
        self.send(block, None);
    }

    /// Takes back every block above a height, in a shard's chain, for whoever gives it its blocks and while none is
    /// being executed; the blocks, lowest first. What is verified can't be taken back, nor what is durable.
    ///
    /// # Errors
    /// When the height is out of that range, or the store fails.
    pub fn take_back(&self, height: u64) -> Result<Vec<Arc<ExecutedRecord>>, ChainError> {
        let chain = &self.chain;
        let heads = chain.heads();
        let lowest = chain.durable_height().max(heads.verified_height);
        let unknown = UnknownHeight {
            asked: height,
            oldest: lowest,
            newest: heads.executed_height,
        };
        let result = chain.own_record(height)?.map(|record| ExecutionResult {
            height,
            block_hash: record.hash,
        });
        let Some(result) = result.filter(|_| height >= lowest) else {
            return Err(ChainError::State(unknown));
        };
        let mut taken = Vec::new();
        for above in height.saturating_add(1)..=heads.executed_height {
            taken.extend(chain.own_record(above)?);
        }
        // Readers look at the heads first, so these fall first.
        chain.apply(|ledger| {
            ledger.taken_back(result);
            Vec::new()
        });
        drop(lock(&chain.shared.recent).split_off(&height.saturating_add(1)));
        chain.shared.store.take_back(height)?;
        Ok(taken)
    }

    /// The relay chain made a shard's block final: what is executed up to it is verified.
    pub fn settled(&self, result: ExecutionResult, now_ms: u64) {
        self.chain.apply(|ledger| ledger.settled(result, now_ms));
    }

    /// 2f+1 validators signed a result; the signatures have been checked.
    pub fn certified(&self, certificate: ExecutionCertificate) {
        self.chain.apply(|ledger| ledger.certified(certificate));
    }

    /// The height consensus knows to be finalized at start; until it is executed again, the node
    /// answers as syncing.
    pub fn sync_target(&self, height: u64) {
        self.chain.set_sync_target(height);
    }
}

impl Pipeline {
    /// How much of the state at a height is here; until it is, nothing is executed.
    pub fn state_sync(&self, height: u64, progress: StateProgress) {
        *lock(&self.chain.shared.state_progress) = Some(progress);
        self.chain.set_sync_target(height.max(1));
    }
}

/// Announces an executed block to readers.
pub(crate) fn announce(chain: &Chain, record: &Arc<ExecutedRecord>) {
    chain.send(ChainEvent::Executed(Arc::clone(record)));
}
