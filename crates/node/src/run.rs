//! The wiring of one node, in pipeline order, over any runtime and any network.
//!
//! ```text
//! genesis, store ─▶ pipeline ─▶ mempool ─▶ ordering ─▶ consensus engine
//! ```

use crate::{
    error::NodeError,
    sharding::{self, Bias, Collated, Shards, ShardsParts, shard_parts},
    sync::{self, StateSync},
};
use alloy_primitives::{Address, B256};
use commonware_cryptography::Signer as _;
use commonware_runtime::Handle;
use commonware_utils::ordered::Set;
use consensus::{
    ConsensusConfig, Engine, EngineParts, Order, Ordering, OrderingParts, Runtime, ShardParts,
    join, mempool_observer,
    network::{Network, Wires},
    sync::ServerConfig,
};
use mempool::Mempool;
use pipeline::{
    Actor, Chain, DevControl, Foundation, PipelineConfig, PipelineFault, genesis, genesis_digest,
    genesis_record,
};
use primitives::{
    Anchor, Block, BlockLimits, ChainConfig, Genesis,
    anchor::Trust,
    base_fee::next_base_fee,
    certificate::{consensus_namespace, result_scheme},
    crypto::{PrivateKey, PublicKey, Scheme},
    recovery::SenderCache,
};
use state::{Location, Store, StoreConfig};
use std::num::NonZeroUsize;

/// Finalized blocks that may wait for execution in memory; more wait in the archive.
const PENDING_ACKS_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("a named limit is not zero");

/// What one node is made of.
#[derive(Debug)]
pub struct NodeParts {
    /// The chain.
    pub genesis: Genesis,
    /// This node's identity; it votes if the genesis names it as a validator.
    pub key: PrivateKey,
    /// Who receives the fees of its blocks.
    pub fee_recipient: Address,
    /// Where its state lives.
    pub location: Location,
    /// How much of its state is kept, and where.
    pub store: StoreConfig,
    /// Prefix of what its consensus stores.
    pub partition: String,
    /// How it executes.
    pub pipeline: PipelineConfig,
    /// Requests of a development chain.
    pub control: Option<DevControl>,
    /// Where it begins, if its state did not come from its own execution.
    pub anchor: Option<Anchor>,
    /// Take the state from peers if there is none.
    pub sync: Option<StateSync>,
    /// How it gives its own to others.
    pub serving: ServerConfig,
    /// Whether the store has the blocks below the anchor as well, being a copy of one that had them.
    pub has_history: bool,
    /// The operator says that the key has never voted.
    pub never_voted: bool,
    /// The shards whose blocks it builds.
    pub collated: Vec<Collated>,
    /// What it says of shards' candidates other than it finds; nothing on a real network.
    pub bias: Option<Bias>,
}

/// What signs and identifies on one chain.
#[derive(Debug)]
pub struct Identity {
    /// Separates this chain's connections from every other chain's.
    pub namespace: Vec<u8>,
    /// Bounds of its blocks.
    pub limits: BlockLimits,
    /// Votes.
    pub scheme: Scheme,
    /// Who this node is.
    pub public_key: PublicKey,
    /// What follows from the genesis alone.
    pub trust: Trust,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    /// What everybody may read.
    pub chain: Chain,
    /// Waiting transactions.
    pub mempool: Mempool,
    /// Senders recovered so far.
    pub senders: SenderCache,
    /// What it does for shards, on a chain that has any.
    pub shards: Option<Shards>,
    executor: ExecutorHandle,
    engine: Engine,
}

struct ExecutorHandle(Handle<Result<(), PipelineFault>>);

impl std::fmt::Debug for ExecutorHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExecutorHandle")
    }
}

/// The namespaces and schemes of a node on a chain.
#[must_use]
pub fn identity(genesis: &Genesis, key: &PrivateKey) -> Identity {
    let (_, block) = pipeline::genesis(genesis);
    let namespace = consensus_namespace(&genesis_digest(&block));
    let validators: Set<PublicKey> = genesis.validators.clone();
    let limits = BlockLimits {
        body_bytes_max: genesis.chain.protocol.block_bytes_max,
        validators: u32::try_from(validators.len()).unwrap_or(u32::MAX),
        section: sharding::limits(genesis),
    };
    let trust = Trust::new(
        block.header().executed.block_hash,
        &genesis_digest(&block),
        validators.clone(),
    );
    let scheme = Scheme::signer(&namespace, validators.clone(), key.clone())
        .unwrap_or_else(|| Scheme::verifier(&namespace, validators));
    Identity {
        trust,
        namespace,
        limits,
        scheme,
        public_key: key.public_key(),
    }
}

/// An empty pool; who is in which part of it, nobody else can know.
pub(crate) fn new_mempool<E: Runtime>(runtime: &E, chain: ChainConfig, base_fee: u64) -> Mempool {
    let config = mempool::Config {
        stripe_seed: runtime.child("pool").next_u64(),
        ..mempool::Config::new(chain)
    };
    Mempool::new(config, base_fee)
}

/// Builds and starts one node.
///
/// # Errors
/// When its state cannot be opened or read.
pub async fn assemble<E: Runtime, N: Network>(
    runtime: &E,
    mut parts: NodeParts,
    mut wires: Wires<N>,
) -> Result<Node, NodeError> {
    if parts.genesis.validators.is_empty() {
        return Err(NodeError::NoValidators);
    }
    let identity = identity(&parts.genesis, &parts.key);
    let (state, block) = genesis(&parts.genesis);
    let chain_config = parts.genesis.chain.clone();
    let consensus_config = consensus_config(&parts);
    let ours = (&consensus_config, &identity);
    let anchor = begin_at(runtime, &mut parts, ours, &mut wires).await?;
    let pipeline_config = pipeline_config(&parts);
    let (ledger, shards) = start_shards(runtime, &parts, (&block, &pipeline_config), &mut wires)?;
    require_order(ledger.as_ref(), anchor.as_ref())?;
    let store = Store::open(parts.location, &state, parts.store)?;
    let base_fee = next_base_fee(block.header(), &chain_config);
    let mempool = new_mempool(runtime, chain_config.clone(), base_fee);
    let observer = mempool_observer(mempool.clone(), store.clone(), chain_config.clone());
    let foundation = Foundation {
        chain: chain_config,
        limits: identity.limits,
        validators: parts.genesis.validators.iter().cloned().collect(),
        ethereum: None,
        genesis: genesis_record(&state, &block),
        first_height: first_height(anchor.as_ref().filter(|_| !parts.has_history)),
        store,
    };
    let (actor, pipeline) = Actor::new(
        runtime.child("pipeline"),
        foundation,
        pipeline_config,
        vec![observer],
    )?;
    let chain = pipeline.chain().clone();
    let executor = ExecutorHandle(actor.start());
    let senders = SenderCache::default();
    let digest = genesis_digest(&block);
    let ordering = Ordering::new(OrderingParts {
        pipeline,
        mempool: mempool.clone(),
        senders: senders.clone(),
        proposer: parts.fee_recipient,
        results: result_scheme(&digest, parts.genesis.validators, Some(parts.key)),
        control: parts.control,
        shards: ledger,
    });
    let engine = Engine::start(
        runtime.child("consensus"),
        EngineParts {
            public_key: identity.public_key,
            scheme: identity.scheme,
            genesis: block,
            anchor,
            limits: identity.limits,
            ordering,
            config: consensus_config,
        },
        wires,
    )
    .await?;
    sharding::open_archive(shards.as_ref(), engine.order());
    Ok(Node {
        chain,
        mempool,
        senders,
        shards,
        executor,
        engine,
    })
}

/// A ledger follows from the whole order, which a node that begins with a state does not have.
const fn require_order(
    ledger: Option<&ShardParts>,
    anchor: Option<&Anchor>,
) -> Result<(), NodeError> {
    match (ledger, anchor) {
        (Some(_), Some(_)) => Err(NodeError::ShardsFromState),
        (None, _) | (_, None) => Ok(()),
    }
}

/// What consensus needs of shards, and the node's own work for them; nothing on a chain without.
type StartedShards = (Option<ShardParts>, Option<Shards>);

fn start_shards<E: Runtime, N: Network>(
    runtime: &E,
    parts: &NodeParts,
    (block, pipeline): (&Block, &PipelineConfig),
    wires: &mut Wires<N>,
) -> Result<StartedShards, NodeError> {
    let block_digest = B256::from_slice(block.digest().as_ref());
    let ledger = shard_parts(&parts.genesis, &genesis_digest(block), block_digest)?;
    let work = ShardsParts {
        genesis: &parts.genesis,
        key: &parts.key,
        fee_recipient: parts.fee_recipient,
        store: parts.store,
        partition: &parts.partition,
        pipeline,
        collated: &parts.collated,
        bias: parts.bias.clone(),
    };
    let shards = sharding::start(runtime, work, ledger.as_ref(), wires)?;
    Ok((ledger, shards))
}

fn pipeline_config(parts: &NodeParts) -> PipelineConfig {
    PipelineConfig {
        queue_blocks_max: PENDING_ACKS_MAX.get().saturating_add(1),
        ..parts.pipeline.clone()
    }
}

fn consensus_config(parts: &NodeParts) -> ConsensusConfig {
    ConsensusConfig {
        sync: parts.serving,
        ..consensus_config_of(&parts.genesis, &parts.partition, parts.never_voted)
    }
}

/// What a node's consensus stores, and where.
pub(crate) fn consensus_config_of(
    genesis: &Genesis,
    partition: &str,
    never_voted: bool,
) -> ConsensusConfig {
    let protocol = &genesis.chain.protocol;
    ConsensusConfig {
        never_voted,
        ..ConsensusConfig::new(partition.to_owned(), protocol, PENDING_ACKS_MAX)
    }
}

/// The lowest height whose block the node has, where it has none up to an anchor.
fn first_height(anchor: Option<&Anchor>) -> u64 {
    anchor.map_or(0, Anchor::height).saturating_add(1)
}

/// Where the node begins: at the anchor it was given, at the one it began at before, or at genesis. A node that
/// has no state and is to take one from peers does so first.
async fn begin_at<E: Runtime, N: Network>(
    runtime: &E,
    parts: &mut NodeParts,
    (consensus, identity): (&ConsensusConfig, &Identity),
    wires: &mut Wires<N>,
) -> Result<Option<Anchor>, NodeError> {
    sync::take(runtime, parts, (consensus, identity), wires).await?;
    let (storage, limits) = (runtime.child("anchor"), identity.limits);
    let partition = &consensus.partition;
    match parts.anchor.take() {
        Some(anchor) => {
            join::remember(storage, partition, limits, &anchor).await?;
            Ok(Some(anchor))
        }
        None => Ok(join::recall(storage, partition, limits, &identity.trust).await?),
    }
}

/// Why a pipeline ended.
pub(crate) async fn executed(
    handle: Handle<Result<(), PipelineFault>>,
    part: &'static str,
) -> NodeError {
    let error = match handle.await {
        Ok(Err(fault)) => return fault.into(),
        Ok(Ok(())) => "it ended".to_owned(),
        Err(error) => error.to_string(),
    };
    NodeError::Part { part, error }
}

impl Node {
    /// Reads what is finalized.
    #[must_use]
    pub const fn order(&self) -> &Order {
        self.engine.order()
    }

    /// Resolves when the node cannot go on, with the reason.
    pub async fn failed(self) -> NodeError {
        let engine = self.engine.failed();
        let executor = executed(self.executor.0, "executor");
        let shards = sharding::failed(self.shards);
        tokio::select! {
            biased;
            fault = engine => fault.into(),
            error = executor => error,
            error = shards => error,
        }
    }
}
