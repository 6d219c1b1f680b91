//! One validator: what outlives a crash, and its life if it has one.

use super::{
    Violations, lock,
    lying::Subject,
    network::Simulated,
    shard_liar::ShardLiar,
    shards::{self, Seen, Sharded},
};
use alloy_primitives::Address;
use commonware_cryptography::Signer as _;
use commonware_runtime::{Handle, Spawner as _, Supervisor as _, deterministic::Context};
use consensus::{Order, network::Wires, sync::ServerConfig};
use futures::channel::oneshot;
use mempool::Mempool;
use node::{
    error::NodeError,
    run::{self, NodeParts},
    sharding::Collated,
};
use pipeline::{Chain, PipelineConfig};
use primitives::{Genesis, Heads, crypto::PrivateKey, shard::ShardId};
use state::{Location, MemoryDisk, StoreConfig};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// Bytes of a chunk of a state: small, so that small states have many.
const CHUNK_BYTES: usize = 512;

/// One validator of a network.
pub(crate) struct Validator {
    pub(crate) index: usize,
    pub(crate) key: PrivateKey,
    pub(crate) disk: MemoryDisk,
    /// The disks of the shards that it collates.
    shard_disks: BTreeMap<ShardId, MemoryDisk>,
    pub(crate) running: Option<Running>,
    /// What it says that is wrong.
    pub(crate) lie: Option<Subject>,
    /// What it does wrong about shards.
    pub(crate) liar: Arc<ShardLiar>,
    starting: Option<Starting>,
    served_blocks: u64,
    execution_delay: Duration,
    lives: u32,
}

/// What a started node lets others read.
type Started = Result<(Chain, Mempool, Order, Option<Sharded>), NodeError>;

/// A life that begins.
struct Starting {
    task: Handle<()>,
    started: oneshot::Receiver<Started>,
}

/// One life.
pub(crate) struct Running {
    pub(crate) chain: Chain,
    pub(crate) mempool: Mempool,
    pub(crate) order: Order,
    /// Its work for shards, on a chain that has any.
    pub(crate) shards: Option<Sharded>,
    task: Handle<()>,
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = self.running.as_ref().map(|running| running.chain.heads());
        write!(
            f,
            "validator {}: lives={} {heads:?}",
            self.index, self.lives
        )
    }
}

impl Validator {
    pub(crate) fn new(
        index: usize,
        key: PrivateKey,
        genesis: &Genesis,
        execution_delay: Duration,
        served_blocks: u64,
    ) -> Self {
        Self {
            liar: Arc::new(ShardLiar::new(genesis, key.clone())),
            index,
            key,
            disk: MemoryDisk::new(),
            shard_disks: BTreeMap::new(),
            running: None,
            lie: None,
            starting: None,
            served_blocks,
            execution_delay,
            lives: 0,
        }
    }

    pub(crate) fn parts(&mut self, genesis: &Genesis) -> NodeParts {
        let collated = self.collated(genesis);
        let fee_recipient = 0xfee0_0000_u64 + self.index as u64;
        NodeParts {
            genesis: genesis.clone(),
            key: self.key.clone(),
            fee_recipient: Address::left_padding_from(&fee_recipient.to_be_bytes()),
            location: Location::Memory(self.disk.clone()),
            store: StoreConfig {
                served_blocks: self.served_blocks,
                ..StoreConfig::default()
            },
            partition: format!("validator{}", self.index),
            pipeline: PipelineConfig {
                execution_delay: self.execution_delay,
                ..PipelineConfig::default()
            },
            control: None,
            anchor: None,
            sync: None,
            serving: ServerConfig {
                chunk_bytes_max: CHUNK_BYTES,
                ..ServerConfig::default()
            },
            has_history: false,
            never_voted: false,
            collated,
            bias: Some(self.liar.bias()),
        }
    }

    /// The shards that it collates, on disks of its own.
    fn collated(&mut self, genesis: &Genesis) -> Vec<Collated> {
        let own = shards::collated(genesis, &self.key.public_key());
        let disks = &mut self.shard_disks;
        let on_disk = |shard| Collated {
            shard,
            location: Location::Memory(disks.entry(shard).or_default().clone()),
            postings: None,
            genesis: None,
        };
        own.map(on_disk).collect()
    }

    /// Begins a life, on what the last one left behind.
    pub(crate) fn begin(
        &mut self,
        runtime: &Context,
        parts: NodeParts,
        wires: Wires<Simulated>,
        (violations, seen): (Violations, Seen),
    ) {
        let index = self.index;
        assert!(self.running.is_none(), "validator {index} runs already");
        let runtime = runtime
            .child("validator")
            .with_attribute("index", index)
            .with_attribute("life", self.lives);
        self.lives += 1;
        let (started, waiting) = oneshot::channel();
        let task = runtime.spawn(move |runtime| async move {
            let node = match Box::pin(run::assemble(&runtime, parts, wires)).await {
                Ok(node) => node,
                Err(error) => return drop(started.send(Err(error))),
            };
            let (chain, watched) = (node.chain.clone(), Arc::clone(&violations));
            let _ends_with_its_parent = runtime
                .child("watch")
                .spawn(move |_| watch_heads(index, chain, watched));
            let shards = node.shards.as_ref().map(|shards| Sharded {
                feed: shards.feed.clone(),
                chains: shards.chains.clone(),
            });
            if let Some(shards) = &shards {
                let (feed, watched) = (shards.feed.clone(), Arc::clone(&violations));
                let _ends_with_its_parent = runtime
                    .child("watch_ledger")
                    .spawn(move |_| shards::watch_ledger(index, feed, seen, watched));
            }
            let parts = (
                node.chain.clone(),
                node.mempool.clone(),
                node.order().clone(),
                shards,
            );
            drop(started.send(Ok(parts)));
            let error = node.failed().await;
            lock(&violations).push(format!("validator {index} failed: {error}"));
        });
        self.starting = Some(Starting {
            task,
            started: waiting,
        });
    }

    /// Resolves once a life that was begun has started, or why it could not.
    pub(crate) async fn begun(&mut self) -> Result<(), NodeError> {
        let starting = self.starting.as_mut();
        let starting = starting.expect("a scenario waits for what it has begun");
        let started = (&mut starting.started).await;
        let started = started.expect("a starting validator reports");
        let starting = self.starting.take().expect("it was there just now");
        let (chain, mempool, order, shards) = started?;
        self.running = Some(Running {
            chain,
            mempool,
            order,
            shards,
            task: starting.task,
        });
        Ok(())
    }

    /// Ends a life where it is. Resolves when its main task is gone.
    pub(crate) fn crash(
        &mut self,
        keeps: &mut dyn FnMut() -> bool,
    ) -> impl Future<Output = ()> + use<> {
        let running = self.running.take().map(|running| running.task);
        let starting = || self.starting.take().map(|starting| starting.task);
        let task = running.or_else(starting);
        let task = task.expect("a scenario crashes validators that run");
        task.abort();
        self.disk.crash_keeping(|_| keeps());
        for disk in self.shard_disks.values() {
            disk.crash_keeping(|_| keeps());
        }
        async move { drop(task.await) }
    }
}

/// Looks at the heads of one life whenever they move: `verified <= executed <= finalized`, and none
/// ever falls.
async fn watch_heads(index: usize, chain: Chain, violations: Violations) {
    let mut progress = chain.progress();
    let mut before = Heads::default();
    loop {
        let heads = progress.look().heads;
        let ordered = heads.verified_height <= heads.executed_height
            && heads.executed_height <= heads.finalized_height;
        let falls = heads.verified_height < before.verified_height
            || heads.executed_height < before.executed_height
            || heads.finalized_height < before.finalized_height;
        if !ordered || falls {
            lock(&violations).push(format!(
                "validator {index}: heads {before:?} then {heads:?}"
            ));
        }
        before = heads;
        progress.changed().await;
    }
}
