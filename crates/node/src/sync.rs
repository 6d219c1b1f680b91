//! State sync at the start of a node that has no state.
//!
//! ```text
//! nothing, or a state in part ─▶ take it from peers ─▶ remember where to begin ─▶ make it the node's own
//! ```
//! In this order, so that a node that is killed in between takes the rest, or does the rest, at its next start.

use crate::{
    error::NodeError,
    run::{Identity, NodeParts},
};
use consensus::{
    ConsensusConfig, Runtime, join,
    network::{Network, Wires},
    sync::{Client, ClientConfig, Importer as _, Report, StoreImporter, SyncParts},
};
use primitives::transaction::Impersonation;
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

/// Takes a state from peers, unless there is one.
///
/// # Errors
/// When this node may not begin with a state, or it cannot be stored.
pub(crate) async fn take<E: Runtime, N: Network>(
    runtime: &E,
    parts: &mut NodeParts,
    consensus: &ConsensusConfig,
    identity: &Identity,
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
