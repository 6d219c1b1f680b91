//! `headway node`: one node of a network, from its config file.
//!
//! A node whose key the genesis names as a validator votes; any other follows the chain and serves
//! RPC.

use crate::{
    cli,
    config::{NodeConfig, Peers, RpcSection, StateFrom},
    error::NodeError,
    file, init, keys,
    network::{self, NetworkParts},
    process::{self, DataDirectory, RpcParts},
    run::{self, Node, NodeParts},
    sharding::Collated,
    sync::{self, StateSync},
};
use commonware_cryptography::Signer as _;
use commonware_runtime::{Handle, Runner as _, Supervisor as _, tokio};
use consensus::sync::ServerConfig;
use pipeline::PipelineConfig;
use primitives::{Genesis, crypto::PrivateKey, genesis::GenesisError, shard::ShardId};
use rpc::{Cors, RpcConfig};
use state::Location;
use std::{collections::BTreeMap, path::Path};

/// The name of the node in its data directory.
pub(crate) const PARTITION: &str = "node";

/// What was read and checked before anything starts.
pub(crate) struct Prepared {
    pub(crate) config: NodeConfig,
    pub(crate) peers: Peers,
    pub(crate) genesis: Genesis,
    /// Those of shards that were created later.
    shards: BTreeMap<u32, Genesis>,
    pub(crate) key: PrivateKey,
    pub(crate) directory: DataDirectory,
    never_voted: bool,
}

/// What the command line says besides the config file.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemberOptions {
    /// Keep the state of every block.
    pub archive: bool,
    /// Where the state comes from, if not from where the file says.
    pub sync: Option<StateFrom>,
    /// The operator says that the node's key has never voted.
    pub never_voted: bool,
}

/// Runs the node of a config file until a signal.
///
/// # Errors
/// When a file is wrong, an address is taken, or the node cannot go on.
pub fn run(path: &Path, options: MemberOptions) -> Result<(), NodeError> {
    let mut prepared = prepare(path)?;
    prepared.config.state.archive |= options.archive;
    prepared.config.sync = options.sync.unwrap_or(prepared.config.sync);
    prepared.never_voted = options.never_voted;
    let runtime = tokio::Config::new().with_storage_directory(prepared.directory.consensus());
    tokio::Runner::new(runtime).start(|runtime| start(runtime, prepared))
}

pub(crate) fn prepare(path: &Path) -> Result<Prepared, NodeError> {
    let config = NodeConfig::read(path)?;
    let peers = config.peers(path)?;
    let genesis = read_genesis(&config.genesis, parse_genesis)?;
    let shards = config.shard.iter().map(|shard| {
        let genesis = read_genesis(&shard.genesis, Genesis::from_json)?;
        Ok((shard.id, genesis))
    });
    let shards = shards.collect::<Result<_, NodeError>>()?;
    let key = keys::read(&config.key)?;
    process::require_free(config.network.listen)?;
    process::require_free(config.rpc.listen)?;
    let directory = DataDirectory::open(&config.data_dir)?;
    directory.require_chain(&genesis)?;
    Ok(Prepared {
        config,
        peers,
        genesis,
        shards,
        key,
        directory,
        never_voted: false,
    })
}

pub(crate) fn read_genesis(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<Genesis, GenesisError>,
) -> Result<Genesis, NodeError> {
    let text = file::read_text(path, file::GENESIS_BYTES_MAX)?;
    parse(&text).map_err(|source| NodeError::Genesis {
        path: path.to_owned(),
        source,
    })
}

/// A genesis without validators is one that others execute from, but no network can start from.
fn parse_genesis(text: &str) -> Result<Genesis, GenesisError> {
    let genesis = Genesis::from_json(text)?;
    if genesis.validators.is_empty() {
        return Err(GenesisError::OutOfRange {
            field: "headway.validators",
            problem: "name at least one validator".to_owned(),
        });
    }
    Ok(genesis)
}

async fn start(runtime: tokio::Context, prepared: Prepared) -> Result<(), NodeError> {
    let (peers, rpc) = (prepared.peers.clone(), prepared.config.rpc.clone());
    let public_key = prepared.key.public_key();
    let all = peers.validators.len().saturating_add(peers.followers.len());
    let parts = || RpcParts {
        listen: rpc.listen,
        config: rpc_config(rpc.clone()),
        dev: None,
        peers: all.saturating_sub(1),
    };
    let (mut sync, mut waiting) = (None, None);
    if prepared.config.sync == StateFrom::State && lacks_state(&prepared)? {
        let (taking, readable) = sync::waiting(&runtime, &prepared.genesis, cli::sync::report())?;
        waiting = Some(process::serve(&runtime, readable, parts()).await?);
        sync = Some(taking);
    }
    let Assembled {
        node,
        network: _network,
        directory: _directory,
    } = assemble(&runtime, prepared, sync).await?;
    if let Some(server) = waiting {
        server.stop();
        server.stopped().await;
    }
    let server = process::serve_node(&runtime, &node, parts()).await?;
    cli::announce_node(&public_key, server.address());
    process::until_signal(runtime, vec![node]).await
}

fn lacks_state(prepared: &Prepared) -> Result<bool, NodeError> {
    let trust = run::identity(&prepared.genesis, &prepared.key).trust;
    sync::is_needed(&location(&prepared.directory), &trust)
}

fn location(directory: &DataDirectory) -> Location {
    Location::Directory(directory.state(PARTITION))
}

/// The shards that the config names.
fn collated(
    config: &NodeConfig,
    directory: &DataDirectory,
    mut shards: BTreeMap<u32, Genesis>,
) -> Vec<Collated> {
    let collated = config.collator.iter().map(|shard| {
        let location = Location::Directory(directory.state(&format!("shard-{shard}")));
        Collated {
            shard: ShardId(*shard),
            postings: config.state.index.then(|| location.clone()),
            location,
            genesis: shards.remove(shard),
        }
    });
    collated.collect()
}

/// A node that runs, with what it needs for as long as it does.
pub(crate) struct Assembled {
    pub(crate) node: Node,
    pub(crate) network: Handle<()>,
    /// Nobody else works in it.
    pub(crate) directory: DataDirectory,
}

/// Connects to the peers and starts the node, which takes no requests of users yet; with a state from peers
/// if it has none and is told how to take one.
pub(crate) async fn assemble(
    runtime: &tokio::Context,
    prepared: Prepared,
    sync: Option<StateSync>,
) -> Result<Assembled, NodeError> {
    let Prepared {
        config,
        peers,
        genesis,
        shards,
        key,
        directory,
        never_voted,
    } = prepared;
    let identity = run::identity(&genesis, &key);
    // All of it below one name, as in a process of several nodes: metrics are called the same in both.
    let runtime = runtime.child("node");
    let (wires, network) = network::connect(
        &runtime,
        NetworkParts {
            key: key.clone(),
            namespace: identity.namespace,
            listen: config.network.listen,
            validators: peers.validators,
            followers: peers.followers,
            limits: identity.limits,
        },
    );
    let parts = NodeParts {
        genesis,
        key,
        fee_recipient: config.fee_recipient,
        location: location(&directory),
        store: config.state.store_config(config.workers),
        partition: PARTITION.to_owned(),
        pipeline: PipelineConfig {
            workers: config.workers,
            spans: config.spans,
            postings: config.state.index.then(|| location(&directory)),
            report_directory: Some(directory.path().to_owned()),
            ..PipelineConfig::default()
        },
        control: None,
        anchor: None,
        sync,
        serving: ServerConfig::default(),
        has_history: false,
        bias: None,
        never_voted,
        collated: collated(&config, &directory, shards),
    };
    let node = Box::pin(run::assemble(&runtime, parts, wires)).await?;
    Ok(Assembled {
        node,
        network,
        directory,
    })
}

fn rpc_config(section: RpcSection) -> RpcConfig {
    let cors = if section.origins.is_empty() {
        Cors::Refused
    } else {
        Cors::Origins(section.origins)
    };
    RpcConfig {
        cors,
        hosts: section.hosts,
        filter_seed: init::now_seconds(),
        ..RpcConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::parse_genesis;

    #[test]
    fn a_network_has_validators() {
        let text = r#"{"config": {"chainId": 1}, "gasLimit": "0x1c9c380", "difficulty": "0x0", "alloc": {}}"#;
        let refused = parse_genesis(text).unwrap_err().to_string();
        assert!(refused.contains("headway.validators"), "{refused}");
    }
}
