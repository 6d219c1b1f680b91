//! One shard's chain on a node that collates it: store, pipeline and mempool, as of any chain.
//!
//! `latest` is what is executed here; `safe` is included; `finalized` is final on the relay chain.

use super::room::Room;
use crate::{error::NodeError, run::new_mempool};
use alloy_primitives::Address;
use commonware_runtime::Handle;
use consensus::{Runtime, mempool_observer};
use mempool::Mempool;
use pipeline::{
    Actor, Chain, ChainError, Collating, Foundation, Pipeline, PipelineConfig, PipelineFault,
    genesis, genesis_record,
};
use primitives::{
    BlockLimits, ExecutionResult, Genesis, RecoveredBlock,
    base_fee::next_base_fee,
    crypto::{BlockDigest, PublicKey},
    recovery::SenderCache,
    shard::{SectionLimits, ShardId},
};
use shards::{BuildError, Collation, Parent};
use state::{Location, Store, StoreConfig};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Collations whose head is not known yet: those of blocks that are being executed.
const CAPTURED_MAX: usize = 64;

/// What a shard's chain is made of.
#[derive(Debug)]
pub(crate) struct ShardChainParts<'a> {
    /// The shard.
    pub(crate) shard: ShardId,
    /// Its genesis.
    pub(crate) genesis: &'a Genesis,
    /// Where its state lives.
    pub(crate) location: Location,
    /// How much of its state is kept, and where.
    pub(crate) store: StoreConfig,
    /// How it executes.
    pub(crate) pipeline: PipelineConfig,
    /// Who builds its blocks, as far as its genesis says.
    pub(crate) collators: Vec<PublicKey>,
    /// Who does so on this node.
    pub(crate) collator: PublicKey,
    /// Who receives the fees of its blocks.
    pub(crate) fee_recipient: Address,
}

type Captured = Arc<Mutex<BTreeMap<BlockDigest, Result<Collation, BuildError>>>>;

/// One shard's chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ShardChain {
    /// The shard.
    pub shard: ShardId,
    /// Blocks, states, progress.
    pub chain: Chain,
    /// Waiting transactions.
    pub mempool: Mempool,
    /// Senders recovered so far.
    pub senders: SenderCache,
    pub(crate) pipeline: Pipeline,
    pub(crate) collator: PublicKey,
    pub(crate) fee_recipient: Address,
    captured: Captured,
    pub(super) room: Arc<Room>,
}

/// Ends when the shard's chain can't go on.
pub(crate) type ShardHandle = Handle<Result<(), PipelineFault>>;

impl ShardChain {
    /// Opens the shard's store and starts its pipeline.
    pub(crate) fn start<E: Runtime>(
        runtime: &E,
        parts: ShardChainParts<'_>,
    ) -> Result<(Self, ShardHandle), NodeError> {
        let (state, block) = genesis(parts.genesis);
        let config = parts.genesis.chain.clone();
        let store = Store::open(parts.location, &state, parts.store)?;
        let base_fee = next_base_fee(block.header(), &config);
        let mempool = new_mempool(runtime, config.clone(), base_fee);
        let observer = mempool_observer(mempool.clone(), store.clone(), config.clone());
        let foundation = Foundation {
            limits: BlockLimits {
                body_bytes_max: config.protocol.block_bytes_max,
                validators: 0,
                section: SectionLimits::NONE,
            },
            chain: config,
            genesis: genesis_record(&state, &block),
            first_height: 1,
            ethereum: None,
            validators: parts.collators,
            store,
        };
        let captured = Captured::default();
        let (actor, pipeline) = Actor::new(
            runtime.child("pipeline"),
            foundation,
            PipelineConfig {
                // What is final is durable soon: it may be kept by nobody else for long.
                flush_blocks: 1,
                ..parts.pipeline
            },
            vec![observer],
        )?;
        let chain = pipeline.chain().clone();
        let collating = capture(chain.clone(), Arc::clone(&captured));
        let handle = actor.with_collating(collating).start();
        let shard_chain = Self {
            shard: parts.shard,
            chain,
            mempool,
            senders: SenderCache::default(),
            pipeline,
            collator: parts.collator,
            fee_recipient: parts.fee_recipient,
            captured,
            room: Arc::default(),
        };
        Ok((shard_chain, handle))
    }

    /// Executes the next block and waits for it; none if the chain has stopped.
    pub(crate) async fn execute(
        &self,
        block: RecoveredBlock,
        now_ms: u64,
    ) -> Option<Arc<pipeline::ExecutedRecord>> {
        let height = block.header().height;
        self.pipeline.room().await;
        self.pipeline.collated(block, now_ms);
        let mut progress = self.chain.progress();
        let reached = progress
            .wait_for(|progress| progress.stopped || progress.heads.executed_height >= height)
            .await;
        if reached.stopped {
            return None;
        }
        self.chain.record(height).ok().flatten()
    }

    /// What was gathered of a block while it was executed, once.
    pub(crate) fn take_collation(&self, block: &BlockDigest) -> Option<Collation> {
        let mut captured = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        match captured.remove(block)? {
            Ok(collation) => Some(collation),
            Err(error) => {
                tracing::error!(shard = %self.shard, %error, "a block could not be collated");
                None
            }
        }
    }

    /// Takes every block above a number back; what was in them waits again.
    pub(crate) fn take_back(&self, number: u64) -> Result<(), ChainError> {
        let taken = self.pipeline.take_back(number)?;
        let snapshot = self.chain.snapshot(number)?;
        let parent = self.chain.latest()?;
        let base_fee = next_base_fee(parent.block.header(), &self.chain.rules());
        let transactions = taken.iter().flat_map(|record| record.transactions.iter());
        let transactions: Vec<_> = transactions.cloned().collect();
        let senders = transactions.iter().flat_map(|transaction| {
            let authorities = transaction.authorities().iter().flatten().copied();
            std::iter::once(transaction.sender()).chain(authorities)
        });
        let senders: Vec<_> = senders.collect();
        self.mempool
            .on_executed(&[], &senders, base_fee, &snapshot)?;
        let newest = taken
            .last()
            .map_or(0, |one| one.block.header().timestamp_ms);
        let count = transactions.len();
        let admitted = self.mempool.admit_many(transactions, &snapshot, newest)?;
        let lost = admitted.iter().filter(|one| one.is_err()).count();
        if lost > 0 {
            tracing::warn!(shard = %self.shard, count, lost, "the pool has no room for all transactions of blocks that were taken back");
        }
        Ok(())
    }

    /// The relay chain made a block final.
    pub(crate) fn settled(&self, result: ExecutionResult, now_ms: u64) {
        self.pipeline.settled(result, now_ms);
    }
}

/// Gathers what others need to check a block, before its writes reach the state.
fn capture(chain: Chain, captured: Captured) -> Collating {
    Box::new(move |block, executed, oldest_hash, store| {
        let Some(parent) = parent_of(&chain, block) else {
            return;
        };
        let collation =
            Collation::build(parent, block.block().clone(), executed, oldest_hash, store);
        let mut captured = captured.lock().unwrap_or_else(PoisonError::into_inner);
        while captured.len() >= CAPTURED_MAX {
            captured.pop_first();
        }
        captured.insert(block.block().digest(), collation);
    })
}

fn parent_of(chain: &Chain, block: &RecoveredBlock) -> Option<Parent> {
    let height = block.header().height.checked_sub(1)?;
    let record = chain.record(height).ok().flatten()?;
    Some(Parent {
        header: record.header.clone(),
        ordering: record.block.header().clone(),
    })
}
