//! Blocks of the shards that this node collates.

use super::{chain::ShardChain, checker::Rules};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_consensus::types::{Epoch, Round, View};
use consensus::propose::Foundation;
use pipeline::ExecutedRecord;
use primitives::{
    ExecutedRef, ExecutionResult, RecoveredBlock,
    crypto::ProposalContext,
    shard::{Descriptor, ShardId},
    transaction::Impersonation,
};
use shards::{
    Collation, Placement,
    agent::{BuildOrder, Builder, Built, Checker as _, Finding},
    feed::LedgerFeed,
    ledger::Ledger,
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::broadcast::error::RecvError;

/// The chains of the shards that this node collates. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Collators {
    chains: Arc<BTreeMap<ShardId, ShardChain>>,
    rules: Arc<Rules>,
    feed: LedgerFeed,
}

impl Collators {
    pub(crate) fn new(chains: &[ShardChain], rules: Arc<Rules>, feed: LedgerFeed) -> Self {
        let chains = chains.iter().map(|chain| (chain.shard, chain.clone()));
        Self {
            chains: Arc::new(chains.collect()),
            rules,
            feed,
        }
    }

    /// Lets a chain go on under the rules of an anchor; their digest, if they are known here.
    fn adopt(&self, chain: &ShardChain, anchor_height: u64) -> Option<B256> {
        let newest = self.feed.newest();
        let rules = newest.ledger.shard(chain.shard)?.rules_at(anchor_height);
        let charter = self.rules.charter(chain.shard, &rules)?;
        chain.chain.adopt(&charter.chain);
        Some(rules)
    }

    pub(crate) fn chains(&self) -> impl Iterator<Item = &ShardChain> {
        self.chains.values()
    }

    /// Tells the chains what became final on the relay chain, for ever.
    pub(crate) async fn follow_finality(self, now_ms: impl Fn() -> u64) {
        let mut updates = self.feed.subscribe();
        loop {
            let update = self.feed.newest();
            for chain in self.chains() {
                settle(chain, &update.ledger, now_ms());
            }
            match updates.recv().await {
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }
}

impl Builder for Collators {
    async fn build(&self, order: BuildOrder) -> Option<Built> {
        let chain = self.chains.get(&order.shard)?;
        let parent = chain.chain.record(order.parent.number).ok().flatten()?;
        if parent.hash != order.parent.hash {
            let number = order.parent.number;
            tracing::debug!(shard = %order.shard, number, "another block than the parent is here");
            return None;
        }
        if chain.chain.heads().executed_height > order.parent.number {
            // What was executed above it is in no line any more: nobody backs it.
            take_back(chain, order.parent.number.saturating_add(1))?;
        }
        let rules = self.adopt(chain, order.anchor.height)?;
        let block = propose(chain, &parent, &order)?;
        let digest = block.block().digest();
        let record = chain.execute(block, order.now_ms).await?;
        settle(chain, &self.feed.newest().ledger, order.now_ms);
        let placement = Placement {
            shard: order.shard,
            anchor: order.anchor,
            rules,
        };
        let collation = chain.take_collation(&digest)?;
        match collation.describe(&record.header, &placement) {
            Ok((descriptor, collation)) => Some(Built {
                descriptor,
                collation: collation.0,
            }),
            Err(error) => {
                tracing::error!(shard = %order.shard, %error, "a block is too large to be offered");
                None
            }
        }
    }

    fn newest(&self, shard: ShardId) -> Option<(u64, B256)> {
        let chain = &self.chains.get(&shard)?.chain;
        let record = chain.latest().ok()?;
        Some((record.height(), record.hash))
    }

    fn durable(&self, shard: ShardId) -> u64 {
        let chain = self.chains.get(&shard);
        chain.map_or(0, |chain| chain.chain.durable_height())
    }

    async fn follow(&self, descriptor: Descriptor, collation: Bytes) -> Finding {
        let Some(chain) = self.chains.get(&descriptor.shard) else {
            return Finding::Undecided;
        };
        // What is executed stays, so nothing is that is not right.
        let found = self.rules.check(&descriptor, &collation);
        if found != Finding::Valid {
            return found;
        }
        if let Some(charter) = self.rules.charter(descriptor.shard, &descriptor.rules) {
            chain.chain.adopt(&charter.chain);
        }
        let followed = follow(chain, &descriptor, collation).await;
        settle(chain, &self.feed.newest().ledger, descriptor.timestamp_ms);
        match followed {
            Some(true) => Finding::Valid,
            Some(false) => Finding::Invalid,
            None => Finding::Undecided,
        }
    }
}

/// What is final on the relay chain is verified in a shard's chain, if it is there: not while the chain is behind,
/// and not while it has another block that is about to be taken back.
fn settle(chain: &ShardChain, ledger: &Ledger, now_ms: u64) {
    let Some(segment) = ledger.shard(chain.shard) else {
        return;
    };
    let finalized = segment.finalized();
    let own = chain.chain.record(finalized.number).ok().flatten();
    if own.is_some_and(|record| record.hash == finalized.hash) {
        let result = ExecutionResult {
            height: finalized.number,
            block_hash: finalized.hash,
        };
        chain.settled(result, now_ms);
    }
}

/// The next block; none while there is nothing to put into it and its heartbeat is not due.
fn propose(
    chain: &ShardChain,
    parent: &ExecutedRecord,
    order: &BuildOrder,
) -> Option<RecoveredBlock> {
    let config = chain.chain.rules();
    let header = parent.block.header();
    let protocol = &config.protocol;
    let elapsed_ms = order.now_ms.saturating_sub(header.timestamp_ms);
    if elapsed_ms < protocol.block_time_ms.max(1) {
        return None;
    }
    let number = header.height.saturating_add(1);
    let heads = chain.chain.heads();
    let settled = chain.chain.own_result(heads.verified_height);
    let executed = match settled {
        Some(hash) if heads.verified_height >= header.executed.height => ExecutedRef {
            height: heads.verified_height,
            block_hash: hash,
            certificate: None,
        },
        Some(_) | None => header.executed.clone(),
    };
    let foundation = Foundation {
        chain: &config,
        context: ProposalContext {
            round: Round::new(Epoch::zero(), View::new(number)),
            leader: chain.collator.clone(),
            parent: (View::new(header.height), parent.block.digest()),
        },
        parent: header,
        in_flight: &[],
        executed,
        proposer: chain.fee_recipient,
        timestamp_ms: order.now_ms,
        base_fee: None,
        shards: None,
    };
    let state = chain.chain.snapshot(header.height).ok()?;
    let block = foundation.fill(&chain.mempool, Vec::new(), &state).ok()?;
    if block.is_empty() && elapsed_ms < protocol.heartbeat_ms {
        return None;
    }
    block
        .recover(&chain.senders, Impersonation::from(protocol.dev))
        .ok()
}

/// Takes the block of a number and all above it back: the shard goes on with another one.
fn take_back(chain: &ShardChain, number: u64) -> Option<()> {
    let newest = chain.chain.heads().executed_height;
    match chain.take_back(number.saturating_sub(1)) {
        Ok(()) => {
            tracing::warn!(shard = %chain.shard, number, newest, "took blocks back that the shard goes on without");
            Some(())
        }
        Err(error) => {
            tracing::error!(shard = %chain.shard, number, %error, "another block than the one kept here is backed");
            None
        }
    }
}

/// Executes a block of another collator; whether it is what its descriptor says, if that can be said.
async fn follow(chain: &ShardChain, descriptor: &Descriptor, encoded: Bytes) -> Option<bool> {
    let (number, newest) = (descriptor.number, chain.chain.heads().executed_height);
    if number <= newest {
        let own = chain.chain.record(number).ok().flatten()?;
        if own.hash == descriptor.head {
            return Some(true);
        }
        take_back(chain, number)?;
    }
    let newest = chain.chain.heads().executed_height;
    if number != newest.saturating_add(1) {
        return None;
    }
    let parent = chain.chain.record(newest).ok().flatten()?;
    if parent.hash != descriptor.parent {
        return None;
    }
    let collation = Collation::decode(&encoded.into(), &chain.chain.rules()).ok()?;
    let impersonation = Impersonation::from(chain.chain.config().protocol.dev);
    let block = collation
        .block
        .recover(&chain.senders, impersonation)
        .ok()?;
    let parent_digest = B256::from_slice(parent.block.digest().as_ref());
    let named = B256::from_slice(block.header().context.parent.1.as_ref());
    if block.header().height != number || named != parent_digest {
        return Some(false);
    }
    let now_ms = descriptor.timestamp_ms;
    let record = chain.execute(block, now_ms).await?;
    // It was gathered as for an own block, and nobody needs it again.
    drop(chain.take_collation(&record.block.digest()));
    Some(record.hash == descriptor.head)
}
