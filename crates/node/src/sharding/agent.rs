//! Starting a node's work for shards.

use super::{
    archive::RelayArchive,
    bias::{Bias, Biased},
    builder::Collators,
    chain::{ShardChain, ShardChainParts, ShardHandle},
    checker::Rules,
    observer::observer,
    versions,
};
use crate::{error::NodeError, run::executed};
use alloy_primitives::Address;
use commonware_cryptography::Signer as _;
use commonware_runtime::Handle;
use consensus::{
    Order, Runtime, ShardParts,
    network::{Network, Wires},
};
use pipeline::PipelineConfig;
use primitives::{
    Genesis,
    crypto::{PrivateKey, PublicKey},
    shard::ShardId,
};
use shards::{
    agent::{Agent, AgentConfig, CellarFault, ReedSolomonCutter},
    feed::LedgerFeed,
};
use state::{Location, StoreConfig};
use std::{fmt, sync::Arc, time::UNIX_EPOCH};

/// A shard that this node collates, and where its state lives.
#[derive(Clone, Debug)]
pub struct Collated {
    /// The shard.
    pub shard: ShardId,
    /// Where its state lives.
    pub location: Location,
    /// Where the index of its blocks lives, if it has one.
    pub postings: Option<Location>,
    /// Its genesis, if it is not in the relay chain's.
    pub genesis: Option<Genesis>,
}

/// What a node's work for shards needs of the node.
pub(crate) struct ShardsParts<'a> {
    pub(crate) genesis: &'a Genesis,
    pub(crate) key: &'a PrivateKey,
    pub(crate) fee_recipient: Address,
    pub(crate) store: StoreConfig,
    /// Prefix of what its agent keeps.
    pub(crate) partition: &'a str,
    pub(crate) pipeline: &'a PipelineConfig,
    pub(crate) collated: &'a [Collated],
    pub(crate) bias: Option<Bias>,
}

/// A node's work for shards.
pub struct Shards {
    /// The ledger after every finalized relay block.
    pub feed: LedgerFeed,
    /// The chains that this node collates.
    pub chains: Vec<ShardChain>,
    /// What its collators read relay blocks from; opened with consensus.
    pub(crate) archive: RelayArchive,
    pub(crate) agent: Handle<Result<(), CellarFault>>,
    pub(crate) pipelines: Vec<ShardHandle>,
    /// The shards whose rules it has to know; all if none are named.
    pub(crate) checks: Option<Vec<ShardId>>,
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards")
            .field("chains", &self.chains)
            .finish_non_exhaustive()
    }
}

/// Resolves when a node's work for shards can't go on, with the reason; never if it has none.
pub(crate) async fn failed(shards: Option<Shards>) -> NodeError {
    let Some(shards) = shards else {
        return std::future::pending().await;
    };
    let agent = async {
        let ended = shards.agent.await;
        NodeError::Part {
            part: "agent of shards",
            error: match ended {
                Ok(Err(fault)) => return NodeError::from(fault),
                Ok(Ok(())) => "it ended".to_owned(),
                Err(error) => error.to_string(),
            },
        }
    };
    let pipelines = shards.pipelines.into_iter();
    let pipelines = pipelines.map(|handle| Box::pin(executed(handle, "executor of a shard")));
    let pipelines: Vec<_> = pipelines.collect();
    let outdated = versions::outdated(shards.feed, shards.checks);
    if pipelines.is_empty() {
        return tokio::select! {
            biased;
            error = outdated => error,
            error = agent => error,
        };
    }
    tokio::select! {
        biased;
        error = outdated => error,
        error = agent => error,
        (error, _, _) = futures::future::select_all(pipelines) => error,
    }
}

/// Opens the chains that the node collates and starts its agent; nothing on a chain without shards.
pub(crate) fn start<E: Runtime, N: Network>(
    runtime: &E,
    parts: ShardsParts<'_>,
    shards: Option<&ShardParts>,
    wires: &mut Wires<N>,
) -> Result<Option<Shards>, NodeError> {
    let links = wires
        .shard_statements
        .take()
        .zip(wires.shard_collations.take());
    let Some((shards, (statements, collations))) = shards.zip(links) else {
        return Ok(None);
    };
    let (chains, pipelines) = open(runtime, &parts)?;
    let rules = Arc::new(Rules::new(shards.feed.clone()));
    shards.feed.observe(observer(&chains, now_ms(runtime)));
    let builder = Collators::new(&chains, Arc::clone(&rules), shards.feed.clone());
    let finality = builder.clone().follow_finality(now_ms(runtime));
    let _ends_with_the_feed = runtime.child("finality").spawn(|_| finality);
    let archive = builder.archive().clone();
    let mut config = AgentConfig::new(parts.key.clone(), parts.partition.to_owned());
    config.collates = chains.iter().map(|chain| chain.shard).collect();
    config.workers = parts.pipeline.workers.get();
    let collated = config.collates.iter().copied().collect();
    let is_validator = shards
        .authority
        .validators
        .contains(&parts.key.public_key());
    let agent = Agent {
        runtime: runtime.child("agent"),
        blocker: wires.blocker.clone(),
        builder,
        checker: match parts.bias {
            Some(bias) => Arc::new(Biased {
                honest: rules,
                bias,
            }),
            None => rules,
        },
        cutter: Arc::new(ReedSolomonCutter),
        config,
        feed: shards.feed.clone(),
        inclusion: shards.inclusion.clone(),
    };
    Ok(Some(Shards {
        feed: shards.feed.clone(),
        chains,
        archive,
        agent: agent.start(statements, collations),
        pipelines,
        checks: (!is_validator).then_some(collated),
    }))
}

/// Lets collators read relay blocks from now on.
pub(crate) fn open_archive(shards: Option<&Shards>, order: &Order) {
    if let Some(shards) = shards {
        shards.archive.open(order.clone());
    }
}

fn now_ms<E: Runtime>(runtime: &E) -> impl Fn() -> u64 + Send + Sync + use<E> {
    let clock = runtime.child("clock");
    move || {
        let elapsed = clock.current().duration_since(UNIX_EPOCH);
        u64::try_from(elapsed.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The genesis of a shard that this node collates: in the relay chain's, or in a file of its own. Whether the
/// node is a collator of a shard that was created later is for the ledger to say.
fn genesis_of<'a>(
    parts: &ShardsParts<'a>,
    collated: &'a Collated,
    collator: &PublicKey,
) -> Result<&'a Genesis, NodeError> {
    let id = collated.shard;
    let known = parts.genesis.shards.iter().find(|one| one.shard == id);
    match (known, &collated.genesis) {
        (Some(shard), None) if !shard.collators.contains(collator) => {
            Err(NodeError::NotCollator { shard: id.0 })
        }
        (Some(shard), None) => Ok(&shard.genesis),
        (None, Some(genesis)) => Ok(genesis),
        (Some(_), Some(_)) => Err(NodeError::ShardTwice { shard: id.0 }),
        (None, None) => Err(NodeError::UnknownShard { shard: id.0 }),
    }
}

/// Chains, and what tells that one of them ended.
type Opened = (Vec<ShardChain>, Vec<ShardHandle>);

fn open<E: Runtime>(runtime: &E, parts: &ShardsParts<'_>) -> Result<Opened, NodeError> {
    let mut chains = Vec::new();
    let mut pipelines = Vec::new();
    for collated in parts.collated {
        let id = collated.shard;
        let collator = parts.key.public_key();
        let genesis = genesis_of(parts, collated, &collator)?;
        let known = parts.genesis.shards.iter().find(|one| one.shard == id);
        let collators = known.map_or_else(|| vec![collator.clone()], |one| one.collators.clone());
        let runtime = runtime.child("shard").with_attribute("id", id.0);
        let (chain, handle) = ShardChain::start(
            &runtime,
            ShardChainParts {
                shard: id,
                genesis,
                location: collated.location.clone(),
                store: parts.store,
                pipeline: PipelineConfig {
                    postings: collated.postings.clone(),
                    ..parts.pipeline.clone()
                },
                collators,
                collator,
                fee_recipient: parts.fee_recipient,
            },
        )?;
        chains.push(chain);
        pipelines.push(handle);
    }
    Ok((chains, pipelines))
}
