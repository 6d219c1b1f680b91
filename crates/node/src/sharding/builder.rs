//! Blocks of the shards that this node collates.

use super::{
    archive::RelayArchive,
    chain::ShardChain,
    checker::Rules,
    room::{Plan, Shares},
    weigh::Scale,
};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_consensus::types::{Epoch, Round, View};
use consensus::propose::Foundation;
use pipeline::ExecutedRecord;
use primitives::{
    ExecutedRef, ExecutionResult, RecoveredBlock, RecoveredTransaction,
    crypto::ProposalContext,
    shard::{Charter, Descriptor, ShardId},
    transaction::Impersonation,
};
use shards::{
    Collation, CollationError, Placement,
    agent::{BuildOrder, Builder, Built, Checker as _, Finding},
    arrears::{Arrears, FinalCandidate, RelayGap},
    feed::LedgerFeed,
    ledger::{Ledger, Segment},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicBool},
};
use tokio::sync::broadcast::error::RecvError;

/// Of a shard's block time, the part that a block may be begun early.
const EARLY_SHARE: u64 = 4;

/// How often a block that is too large is built again at most, each time with less.
const TRIES: usize = 4;

/// The chains of the shards that this node collates. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Collators {
    chains: Arc<BTreeMap<ShardId, ShardChain>>,
    rules: Arc<Rules>,
    feed: LedgerFeed,
    archive: RelayArchive,
}

impl Collators {
    pub(crate) fn new(chains: &[ShardChain], rules: Arc<Rules>, feed: LedgerFeed) -> Self {
        let chains = chains.iter().map(|chain| (chain.shard, chain.clone()));
        Self {
            chains: Arc::new(chains.collect()),
            rules,
            feed,
            archive: RelayArchive::new(),
        }
    }

    /// Where relay blocks can be read, once they can.
    pub(crate) const fn archive(&self) -> &RelayArchive {
        &self.archive
    }

    /// Lets a chain go on under the rules of an anchor; their digest, if they are known here.
    fn adopt(&self, chain: &ShardChain, anchor_height: u64) -> Option<B256> {
        let newest = self.feed.newest();
        let rules = newest.ledger.shard(chain.shard)?.rules_at(anchor_height);
        let charter = self.rules.charter(chain.shard, &rules)?;
        if charter.chain.chain_id != chain.chain.config().chain_id {
            return None;
        }
        chain.chain.adopt(&charter.chain);
        Some(rules)
    }

    pub(crate) fn chains(&self) -> impl Iterator<Item = &ShardChain> {
        self.chains.values()
    }

    /// Tells the chains what became final on the relay chain, for ever.
    pub(crate) async fn follow_finality(self, now_ms: impl Fn() -> u64) {
        let mut updates = self.feed.subscribe();
        let mut told = BTreeSet::new();
        loop {
            let update = self.feed.newest();
            for chain in self.chains() {
                settle(chain, &update.ledger, now_ms());
                say_other_chain_id(chain, &update.ledger, &mut told);
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
        let placement = Placement {
            shard: order.shard,
            anchor: order.anchor,
            rules,
        };
        let bytes_max = self.feed.newest().ledger.rules().collation_bytes_max;
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let number = order.parent.number.saturating_add(1);
        let mut plan = chain.room.plan(number, bytes_max);
        for tried in 1..=TRIES {
            let block = propose(chain, &parent, &order, &mut plan);
            drop_impossible(chain, number, &plan.take_impossible());
            let block = block?;
            let digest = block.block().digest();
            let record = chain.execute(block, order.now_ms).await?;
            settle(chain, &self.feed.newest().ledger, order.now_ms);
            let described = chain
                .take_collation(&digest)?
                .describe(&record.header, &placement);
            let bytes = match described {
                Ok((descriptor, collation)) if collation.0.len() <= bytes_max => {
                    let hashes = record.transactions.iter().map(|one| one.hash());
                    let bytes = (collation.0.len(), bytes_max);
                    chain.room.fits(number, hashes, bytes);
                    return Some(Built {
                        descriptor,
                        collation: collation.0,
                    });
                }
                Ok((_, collation)) => collation.0.len(),
                Err(CollationError::TooLong { bytes, .. }) => bytes,
                Err(error) => {
                    // No fault of its transactions: all of them wait again.
                    tracing::error!(shard = %order.shard, %error, "a block could not be collated");
                    undo(chain, number)?;
                    return None;
                }
            };
            tracing::debug!(shard = %order.shard, number, bytes, "a block is too large to be offered, and built again");
            let scale = Scale::new(chain, &parent, &record, bytes);
            let alone = scale.as_ref().map(Scale::alone).unwrap_or_default();
            undo(chain, number)?;
            let impossible = chain.room.exceeded(number, &alone, bytes_max);
            drop_impossible(chain, number, &impossible);
            let scale = scale?;
            let hashes = if tried < TRIES.saturating_sub(1) {
                scale.fitting(Shares::new(number, bytes_max))
            } else {
                // What was left out made others touch more, again and again: these can't, and half is to spare.
                scale.first(bytes_max / 2)
            };
            plan = plan.only(hashes);
        }
        tracing::error!(shard = %order.shard, number, "no block is small enough to be offered");
        None
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
        let found = self
            .rules
            .check(&descriptor, &collation, &AtomicBool::new(false));
        if found != Finding::Valid {
            return found;
        }
        if let Some(charter) = self.rules.charter(descriptor.shard, &descriptor.rules) {
            chain.chain.adopt(&charter.chain);
        }
        let followed = follow(chain, &descriptor, collation).await;
        settle(chain, &self.feed.newest().ledger, descriptor.timestamp_ms);
        finding_of(followed, &descriptor)
    }

    async fn name(&self, arrears: Arrears) -> Result<Vec<FinalCandidate>, RelayGap> {
        self.archive.name(&arrears).await
    }
}

/// What following a block that was found valid says of it. If it came to something else here, that is the fault of this
/// node's store: others must not hear that the block is invalid.
fn finding_of(followed: Option<bool>, descriptor: &Descriptor) -> Finding {
    match followed {
        Some(true) => Finding::Valid,
        Some(false) => {
            let (shard, number) = (descriptor.shard, descriptor.number);
            tracing::error!(%shard, number, "this node's store does not lead to a block that is valid");
            Finding::Undecided
        }
        None => Finding::Undecided,
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

/// Says once where a shard's chain here has another chain id than the shard, which its genesis block does not name.
fn say_other_chain_id(chain: &ShardChain, ledger: &Ledger, told: &mut BTreeSet<ShardId>) {
    let terms = ledger.shard(chain.shard).map(Segment::terms);
    let charter = terms.and_then(|terms| Charter::read(&terms.charter).ok());
    let given = chain.chain.config().chain_id;
    let agreed = charter.map_or(given, |charter| charter.chain.chain_id);
    if agreed != given && told.insert(chain.shard) {
        tracing::error!(
            shard = %chain.shard, agreed, given,
            "the genesis file of a shard names another chain id than the shard has, and none of its blocks is built: name \
             the file that it was created with in [[shard]]"
        );
    }
}

/// The next block; none while there is nothing to put into it and its heartbeat is not due.
fn propose(
    chain: &ShardChain,
    parent: &ExecutedRecord,
    order: &BuildOrder,
    plan: &mut Plan,
) -> Option<RecoveredBlock> {
    let config = chain.chain.rules();
    let header = parent.block.header();
    let protocol = &config.protocol;
    let elapsed_ms = order.now_ms.saturating_sub(header.timestamp_ms);
    if elapsed_ms < least_ms(protocol.block_time_ms) {
        return None;
    }
    let number = header.height.saturating_add(1);
    let heads = chain.chain.heads();
    let height = heads.verified_height;
    let settled = chain.chain.own_result(height);
    let settled = settled.map(|block_hash| ExecutionResult { height, block_hash });
    let executed = executed_ref(&header.executed, settled);
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
    let mut choose = |transaction: &RecoveredTransaction| plan.choose(&transaction.hash());
    let block = foundation.fill_with(&mut choose, &chain.mempool, Vec::new(), &state);
    let block = block.ok()?;
    if block.is_empty() && elapsed_ms < protocol.heartbeat_ms {
        return None;
    }
    block
        .recover(&chain.senders, Impersonation::from(protocol.dev))
        .ok()
}

/// After how long a block may follow the one before, in milliseconds. Sooner than the shard's block time by a part: if
/// one is begun late, the next could not be in time for its relay block otherwise, nor any after it.
fn least_ms(block_time_ms: u64) -> u64 {
    let early_ms = block_time_ms.checked_div(EARLY_SHARE).unwrap_or_default();
    block_time_ms.saturating_sub(early_ms).max(1)
}

/// The newest final block that a block refers to, whose parent refers to another. The parent's collator may have named
/// any hash, and for its height there can be no other in what follows.
fn executed_ref(parent: &ExecutedRef, settled: Option<ExecutionResult>) -> ExecutedRef {
    match settled {
        Some(settled) if settled.height > parent.height => ExecutedRef {
            height: settled.height,
            block_hash: settled.block_hash,
            certificate: None,
        },
        Some(_) | None => parent.clone(),
    }
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

/// Takes a block back that can't be offered.
fn undo(chain: &ShardChain, number: u64) -> Option<()> {
    let undone = chain.take_back(number.saturating_sub(1));
    undone
        .inspect_err(|error| {
            let shard = chain.shard;
            tracing::error!(%shard, number, %error, "a block that can't be offered is here for good");
        })
        .ok()
}

/// What can be in no block at all leaves the pool.
fn drop_impossible(chain: &ShardChain, number: u64, impossible: &[B256]) {
    for hash in impossible {
        tracing::info!(shard = %chain.shard, number, transaction = %hash, "a transaction touches more than a collation holds, and is dropped");
        drop(chain.mempool.remove(hash));
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

#[cfg(test)]
mod tests {
    use super::{executed_ref, finding_of, least_ms};
    use alloy_primitives::B256;
    use commonware_cryptography::Signer as _;
    use primitives::{
        ExecutedRef, ExecutionResult,
        crypto::PrivateKey,
        shard::{Descriptor, RelayAnchor, ShardId},
    };
    use shards::agent::Finding;

    fn result(height: u64, byte: u8) -> ExecutionResult {
        ExecutionResult {
            height,
            block_hash: B256::repeat_byte(byte),
        }
    }

    fn reference(of: ExecutionResult) -> ExecutedRef {
        ExecutedRef {
            height: of.height,
            block_hash: of.block_hash,
            certificate: None,
        }
    }

    #[test]
    fn a_false_hash_that_the_parent_names_does_not_make_the_next_block_invalid() {
        let parent = reference(result(7, 0xbb));
        // The rule is that one height has one hash; what the parent said can only be said again.
        assert_eq!(executed_ref(&parent, Some(result(7, 0xaa))), parent);
        assert_eq!(executed_ref(&parent, Some(result(6, 0xaa))), parent);
        assert_eq!(executed_ref(&parent, None), parent);
        let next = result(8, 0xaa);
        assert_eq!(executed_ref(&parent, Some(next)), reference(next));
    }

    #[test]
    fn a_block_after_a_late_one_may_be_early() {
        assert_eq!(least_ms(400), 300);
        // Two blocks of one time are not possible.
        assert_eq!([least_ms(0), least_ms(1)], [1, 1]);
    }

    #[test]
    fn a_fault_of_the_own_store_accuses_nobody() {
        let word = B256::ZERO;
        let descriptor = Descriptor {
            shard: ShardId(1),
            number: 1,
            parent: word,
            head: word,
            state_root: word,
            anchor: RelayAnchor {
                height: 1,
                digest: word,
            },
            rules: word,
            collation_hash: word,
            collation_bytes: 1,
            gas_used: 0,
            timestamp_ms: 1,
            collator: PrivateKey::from_seed(1).public_key(),
        };
        assert_eq!(finding_of(Some(true), &descriptor), Finding::Valid);
        assert_eq!(finding_of(Some(false), &descriptor), Finding::Undecided);
        assert_eq!(finding_of(None, &descriptor), Finding::Undecided);
    }
}
