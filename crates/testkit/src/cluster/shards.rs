//! The shards of a network: who collates them, what every life of every node saw become final, and the chains that
//! collators keep.
//!
//! ```text
//! every life ── feed ──▶ watch ──▶ SeenLedgers: digest by relay height, final head by shard and number
//!                                    └ a second, different one of either is a violation
//! ```

use super::{Cluster, ClusterConfig, Violations, lock};
use alloy_primitives::B256;
use commonware_cryptography::Signer as _;
use mempool::Mempool;
use node::{init::ShardOptions, sharding::ShardChain};
use pipeline::Chain;
use primitives::{
    Genesis,
    crypto::{PrivateKey, PublicKey},
    shard::{CandidateId, ShardId},
};
use shards::{
    feed::{LedgerFeed, RelayUpdate},
    ledger::{Ledger, LedgerEvent},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// One node's work for shards, as far as others may read it.
#[derive(Clone, Debug)]
pub(crate) struct Sharded {
    pub(crate) feed: LedgerFeed,
    pub(crate) chains: Vec<ShardChain>,
}

/// By shard and number: who said so first, and the hash.
type Finals = BTreeMap<(ShardId, u64), (usize, B256)>;

/// What nodes said of the ledger, in all their lives.
#[derive(Debug, Default)]
pub(crate) struct SeenLedgers {
    digests: BTreeMap<u64, (usize, B256)>,
    finals: Finals,
    events: BTreeMap<u64, Vec<LedgerEvent>>,
    /// The blocks that pending candidates lead to, and who built them.
    candidates: BTreeMap<CandidateId, (B256, PublicKey)>,
}

pub(crate) type Seen = Arc<Mutex<SeenLedgers>>;

/// The shards of a genesis: the n-th has the number n + 1.
pub(super) fn options(config: &ClusterConfig, keys: &[PrivateKey]) -> Vec<ShardOptions> {
    let shards = (1..).zip(&config.shards);
    let shards = shards.map(|(id, collators)| ShardOptions {
        id,
        collators: collators
            .iter()
            .map(|index| keys[*index].public_key())
            .collect(),
    });
    shards.collect()
}

/// The shards whose blocks a node builds.
pub(super) fn collated<'a>(
    genesis: &'a Genesis,
    collator: &PublicKey,
) -> impl Iterator<Item = ShardId> + use<'a> {
    let collator = collator.clone();
    let shards = genesis.shards.iter();
    let own = shards.filter(move |shard| shard.collators.contains(&collator));
    own.map(|shard| shard.shard)
}

/// Writes down what one life of a node sees, and whatever contradicts what was seen before.
pub(super) async fn watch_ledger(
    index: usize,
    feed: LedgerFeed,
    seen: Seen,
    violations: Violations,
) {
    let mut updates = feed.subscribe();
    let mut update = feed.newest();
    let mut height = 0;
    loop {
        if update.height < height {
            let fall = format!("validator {index}: ledger {height} then {}", update.height);
            lock(&violations).push(fall);
        }
        height = update.height;
        lock(&violations).extend(lock(&seen).note(index, &update));
        update = match updates.recv().await {
            Ok(update) => update,
            // It has fallen behind; or the feed is closed, and nothing is newer.
            Err(_) if feed.newest().height > height => feed.newest(),
            Err(_) => return,
        };
    }
}

impl SeenLedgers {
    fn note(&mut self, index: usize, update: &RelayUpdate) -> Vec<String> {
        let mut violations = Vec::new();
        let digest = update.ledger.digest();
        let (other, known) = *self.digests.entry(update.height).or_insert((index, digest));
        if known != digest {
            violations.push(format!(
                "ledgers at height={} differ: validators {other} and {index}",
                update.height
            ));
        }
        for pending in update.ledger.pending() {
            let descriptor = &pending.envelope.descriptor;
            let block = || (descriptor.head, descriptor.collator.clone());
            self.candidates
                .entry(pending.candidate)
                .or_insert_with(block);
        }
        if !update.events.is_empty() {
            let events = || update.events.clone();
            self.events.entry(update.height).or_insert_with(events);
        }
        for event in &update.events {
            let LedgerEvent::Final(named, head) = event else {
                continue;
            };
            let place = (named.shard, head.number);
            let (other, known) = *self.finals.entry(place).or_insert((index, head.hash));
            if known != head.hash {
                violations.push(format!(
                    "shard={} number={} has two final blocks: validators {other} and {index}",
                    named.shard, head.number
                ));
            }
        }
        violations
    }
}

impl Cluster {
    /// The chain of a shard on one of its collators.
    ///
    /// # Panics
    /// If the node does not run or does not collate the shard.
    #[must_use]
    pub fn shard_chain(&self, index: usize, shard: ShardId) -> &Chain {
        &self.collating(index, shard).chain
    }

    /// The pool of a shard on one of its collators.
    ///
    /// # Panics
    /// If the node does not run or does not collate the shard.
    #[must_use]
    pub fn shard_mempool(&self, index: usize, shard: ShardId) -> &Mempool {
        &self.collating(index, shard).mempool
    }

    fn collating(&self, index: usize, shard: ShardId) -> &ShardChain {
        let mut chains = self
            .running(index)
            .shards
            .iter()
            .flat_map(|one| &one.chains);
        let chain = chains.find(|chain| chain.shard == shard);
        chain.expect("a scenario asks for shards that the validator collates")
    }

    /// The collators of a shard that run.
    pub fn collators(&self, shard: ShardId) -> impl Iterator<Item = usize> + use<'_> {
        let running = self.validators.iter();
        let running = running.filter(|validator| validator.running.is_some());
        let collating = running.filter(move |validator| {
            collated(&self.genesis, &validator.key.public_key()).any(|one| one == shard)
        });
        collating.map(|validator| validator.index)
    }

    /// The ledger after the newest relay block that a running node knows to be final.
    ///
    /// # Panics
    /// If the node does not run, or the chain has no shards.
    #[must_use]
    pub fn shard_ledger(&self, index: usize) -> Arc<Ledger> {
        let shards = self.running(index).shards.as_ref();
        let shards = shards.expect("a scenario asks of chains that have shards");
        Arc::clone(&shards.feed.newest().ledger)
    }

    /// The number of a shard's newest final block, as a running node knows it.
    ///
    /// # Panics
    /// If the node does not run, or there is no such shard.
    #[must_use]
    pub fn final_number(&self, index: usize, shard: ShardId) -> u64 {
        let ledger = self.shard_ledger(index);
        let segment = ledger.shard(shard).expect("a scenario asks for its shards");
        segment.finalized().number
    }

    /// The digest of the ledger at a relay height, if any node has been there.
    #[must_use]
    pub fn ledger_digest(&self, height: u64) -> Option<B256> {
        let seen = lock(&self.seen);
        seen.digests.get(&height).map(|(_, digest)| *digest)
    }

    /// By which index ledgers name a node as a validator: they count the genesis' keys in their order.
    #[must_use]
    pub fn validator_index(&self, node: usize) -> Option<usize> {
        let own = self.public_key(node);
        self.genesis.validators.iter().position(|key| *key == own)
    }

    /// What the ledger did at all heights that any node has been at, in order.
    #[must_use]
    pub fn ledger_events(&self) -> Vec<LedgerEvent> {
        let seen = lock(&self.seen);
        seen.events.values().flatten().copied().collect()
    }

    /// The block that a candidate leads to, which has been pending on some node, and who of the nodes built it.
    #[must_use]
    pub fn candidate(&self, candidate: CandidateId) -> Option<(B256, usize)> {
        let (head, collator) = lock(&self.seen).candidates.get(&candidate)?.clone();
        let mut nodes = self.indices();
        Some((
            head,
            nodes.find(|index| self.public_key(*index) == collator)?,
        ))
    }

    /// Every final block of every shard that any node has seen.
    #[must_use]
    pub fn final_heads(&self) -> BTreeMap<(ShardId, u64), B256> {
        let seen = lock(&self.seen);
        let heads = seen.finals.iter();
        heads.map(|(place, (_, hash))| (*place, *hash)).collect()
    }
}
