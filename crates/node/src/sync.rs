//! State sync at the start of a node that has no state.
//!
//! ```text
//! nothing, or a state in part ─▶ take it from peers ─▶ remember where to begin ─▶ make it the node's own
//! ```
//! In this order, so that a node that is killed in between takes the rest, or does the rest, at its next start.

use crate::{
    error::NodeError,
    process::Readable,
    run::{Identity, NodeParts},
};
use commonware_runtime::{Clock, Metrics, Spawner};
use consensus::{
    ConsensusConfig, Runtime, join,
    network::{Network, Wires},
    sync::{Client, ClientConfig, Importer as _, Report, StoreImporter, SyncEvent, SyncParts},
};
use mempool::Mempool;
use pipeline::{Actor, Foundation, PipelineConfig, StateProgress};
use primitives::{
    BlockLimits, Genesis, anchor::Trust, base_fee::next_base_fee, recovery::SenderCache,
    transaction::Impersonation,
};
use state::{Location, MemoryDisk, Store, StoreConfig};
use std::fmt;

/// How a state is taken from peers.
pub struct StateSync {
    /// How.
    pub config: ClientConfig,
    /// Who is told how far it is.
    pub report: Box<Report>,
}

impl fmt::Debug for StateSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateSync").finish_non_exhaustive()
    }
}

/// Whether there is no state at a location yet, or a part of one.
///
/// # Errors
/// When what is there is damaged, in use or of another chain.
pub fn is_needed(location: &Location, trust: &Trust) -> Result<bool, NodeError> {
    let plain = Impersonation::Refused;
    let importer = StoreImporter::open(location.clone(), trust.genesis_hash, plain)?;
    Ok(!importer.is_complete())
}

/// What a node lets others read while it takes a state, which is how far it is and little else, and how it
/// keeps that up to date.
///
/// # Errors
/// When the genesis cannot be opened in memory.
pub fn waiting(
    runtime: &(impl Clock + Spawner + Metrics),
    genesis: &Genesis,
    mut report: Box<Report>,
) -> Result<(StateSync, Readable), NodeError> {
    let (state, block) = pipeline::genesis(genesis);
    let memory = Location::Memory(MemoryDisk::new());
    let chain = genesis.chain.clone();
    let base_fee = next_base_fee(block.header(), &chain);
    let mempool = Mempool::new(mempool::Config::new(chain.clone()), base_fee);
    let foundation = Foundation {
        chain,
        limits: BlockLimits {
            body_bytes_max: genesis.chain.protocol.block_bytes_max,
            validators: 0,
            section: primitives::shard::SectionLimits::NONE,
        },
        validators: genesis.validators.iter().cloned().collect(),
        ethereum: None,
        genesis: pipeline::genesis_record(&state, &block),
        store: Store::open(memory, &state, StoreConfig::default())?,
        first_height: 1,
    };
    let config = PipelineConfig::default();
    let (_never_executes, pipeline) =
        Actor::new(runtime.child("waiting"), foundation, config, Vec::new())?;
    pipeline.state_sync(0, StateProgress::default());
    let readable = Readable {
        chain: pipeline.chain().clone(),
        mempool,
        senders: SenderCache::default(),
        shards: None,
        shard: None,
    };
    let report = Box::new(move |event: SyncEvent| {
        if let SyncEvent::Progress(progress) = &event {
            let (bytes_done, bytes) = progress.bytes;
            pipeline.state_sync(progress.height, StateProgress { bytes_done, bytes });
        }
        report(event);
    });
    let config = ClientConfig::default();
    Ok((StateSync { config, report }, readable))
}

/// Takes a state from peers, unless there is one.
///
/// # Errors
/// When this node may not begin with a state, or it cannot be stored.
pub(crate) async fn take<E: Runtime, N: Network>(
    runtime: &E,
    parts: &mut NodeParts,
    (consensus, identity): (&ConsensusConfig, &Identity),
    wires: &mut Wires<N>,
) -> Result<(), NodeError> {
    let Some(mut sync) = parts.sync.take() else {
        return Ok(());
    };
    let impersonation = Impersonation::from(parts.genesis.chain.protocol.dev);
    let genesis = identity.trust.genesis_hash;
    let mut importer = StoreImporter::open(parts.location.clone(), genesis, impersonation)?;
    if importer.is_complete() {
        return Ok(());
    }
    join::require_votes(runtime, &identity.scheme, consensus).await?;
    let taking = SyncParts {
        wires,
        importer: &mut importer,
        trust: identity.trust.clone(),
        limits: identity.limits,
        config: sync.config,
    };
    let mut client = Client::new(runtime.child("sync"), taking, &mut *sync.report);
    let anchor = client.take().await?;
    drop(client);
    let storage = runtime.child("anchor");
    join::remember(storage, &consensus.partition, identity.limits, &anchor).await?;
    importer.finish(&anchor).map_err(NodeError::Import)
}
