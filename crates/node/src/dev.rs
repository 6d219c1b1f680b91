//! `headway dev`: a chain in this process, with funded accounts.
//!
//! With one validator and no data directory to keep, the chain can go back (see `timeline`).
//! With `--validators N` it runs N real validators, each with its own store, over authenticated
//! connections on the loopback interface; RPC is served by the first.

mod kept;
#[cfg(test)]
mod tests;

use crate::{
    error::NodeError,
    init::{GenesisOptions, ShardOptions, genesis_file, now_seconds},
    network::{self, NetworkParts},
    process::{self, DataDirectory, RpcParts, TemporaryDirectory},
    run::{self, Node, NodeParts},
    sharding::Collated,
    timeline::{First, Origin},
};
use alloy_primitives::{Address, U256};
use alloy_signer_local::{MnemonicBuilder, PrivateKeySigner, coins_bip39::English};
use commonware_cryptography::Signer as _;
use commonware_runtime::{Runner as _, Supervisor as _, tokio};
use consensus::sync::ServerConfig;
use pipeline::{DevControl, PipelineConfig};
use primitives::{Genesis, chain::Protocol, crypto::PrivateKey};
use rpc::{Dev, RpcConfig, Timelines};
use state::{Location, StoreConfig};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

/// The usual test mnemonic; its keys are public, so it is only ever used here.
pub const MNEMONIC: &str = "test test test test test test test test test test test junk";
/// Accounts derived from it.
pub const ACCOUNTS: u32 = 10;
/// Most accounts: deriving one takes a millisecond or more.
pub const ACCOUNTS_MAX: u32 = 1_000;
/// What each of them has, in coins.
pub const BALANCE: u64 = 10_000;
/// One coin, in wei.
const COIN_WEI: u64 = 1_000_000_000_000_000_000;
/// Where a chain in memory is kept.
const MEMORY_DIRECTORY: &str = "/dev/shm";
/// Default chain id, as Hardhat's and anvil's.
pub const CHAIN_ID: u64 = 31_337;
/// Default gas limit of a block.
pub const GAS_LIMIT: u64 = 1_000_000_000;

/// What to run.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// Where RPC listens.
    pub host: IpAddr,
    /// RPC port; 0 takes a free one.
    pub port: u16,
    /// EIP-155 chain identifier.
    pub chain_id: u64,
    /// How many validators.
    pub validators: u16,
    /// How many shards, which the first validator collates; with none there can't be any later.
    pub shards: Option<u16>,
    /// Cores of all shards together, which go where the load is; without it each shard keeps one.
    pub cores: Option<u16>,
    /// Time between blocks, whether or not a transaction waits; none = a block when one does.
    pub block_time: Option<Duration>,
    /// Block gas limit.
    pub gas_limit: u64,
    /// Where to store; none = a temporary directory.
    pub data_dir: Option<PathBuf>,
    /// Whether the temporary directory is in memory.
    pub in_memory: bool,
    /// The words that the funded accounts are derived from.
    pub mnemonic: String,
    /// How many there are.
    pub accounts: u32,
    /// What each of them has, in coins.
    pub balance: u64,
    /// How many blocks below the newest have their state kept; none = all.
    pub history_blocks: Option<u64>,
    /// Threads that execute one block.
    pub workers: NonZeroUsize,
    /// Whether to keep which worker executed which transaction when.
    pub spans: bool,
    /// Added to the execution of every non-empty block.
    pub execution_delay: Duration,
}

/// The funded accounts, unless somebody asks for others.
#[must_use]
pub fn accounts() -> Vec<PrivateKeySigner> {
    derive(MNEMONIC, ACCOUNTS).expect("the constant mnemonic is valid")
}

/// Accounts of a mnemonic, by the path that wallets use.
fn derive(mnemonic: &str, accounts: u32) -> Result<Vec<PrivateKeySigner>, NodeError> {
    if accounts == 0 || accounts > ACCOUNTS_MAX {
        return Err(NodeError::Option {
            option: "--accounts",
            problem: format!("choose 1 to {ACCOUNTS_MAX}"),
        });
    }
    let derive = |index| {
        let builder = MnemonicBuilder::<English>::default().phrase(mnemonic);
        builder.index(index).and_then(|builder| builder.build())
    };
    let signers = (0..accounts).map(derive).collect::<Result<_, _>>();
    signers.map_err(|error| NodeError::Option {
        option: "--mnemonic",
        problem: error.to_string(),
    })
}

fn protocol(options: &DevOptions) -> Protocol {
    let block_time_ms = options.block_time.map_or(0, |time| {
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    });
    Protocol {
        gas_charge_floor_permille: 0,
        heartbeat_ms: if block_time_ms == 0 {
            1_000
        } else {
            block_time_ms
        },
        block_time_ms,
        dev: true,
        ..Protocol::default()
    }
}

fn genesis(
    options: &DevOptions,
    signers: &[PrivateKeySigner],
    keys: &[PrivateKey],
) -> Result<Genesis, NodeError> {
    let file = options
        .data_dir
        .as_ref()
        .map(|directory| directory.join("genesis.json"));
    let path = file
        .clone()
        .unwrap_or_else(|| PathBuf::from("genesis of dev"));
    let refuse = |source| NodeError::Genesis {
        path: path.clone(),
        source,
    };
    if let Some(file) = file.as_ref().filter(|file| file.exists()) {
        let text = crate::file::read_text(file, crate::file::GENESIS_BYTES_MAX)?;
        let genesis = Genesis::from_json(&text).map_err(refuse)?;
        kept::require_same(&genesis, options)?;
        return kept::require_funded(&genesis, options, signers).map(|()| genesis);
    }
    let funds_wei = funds_wei(options);
    let collators: Vec<_> = keys.iter().take(1).map(PrivateKey::public_key).collect();
    let shards = options.shards;
    let genesis_options = GenesisOptions {
        chain_id: options.chain_id,
        gas_limit: options.gas_limit,
        // The first heartbeat is due a second after genesis, which validators take to connect: a proposal
        // made before costs a leader's whole timeout.
        timestamp: now_seconds().saturating_add(u64::from(options.validators > 1)),
        funded: signers
            .iter()
            .map(|signer| (signer.address(), funds_wei))
            .collect(),
        shards: shards.map(|shards| ShardOptions::all_by(&collators, shards)),
        governor: signers.first().map(PrivateKeySigner::address),
        cores: options.cores,
    };
    let text = genesis_file(&genesis_options, keys, protocol(options)).map_err(refuse)?;
    let parsed = Genesis::from_json(&text).map_err(refuse)?;
    if let Some(file) = file {
        std::fs::write(&file, text).map_err(NodeError::file("cannot write", &file))?;
    }
    Ok(parsed)
}

/// The genesis of `headway dev` without options, but for its time, which is 0.
///
/// # Errors
/// Never, as long as the defaults are in range.
pub fn default_genesis() -> Result<Genesis, primitives::genesis::GenesisError> {
    let balance_wei = U256::from(BALANCE).saturating_mul(U256::from(COIN_WEI));
    let options = GenesisOptions {
        chain_id: CHAIN_ID,
        gas_limit: GAS_LIMIT,
        timestamp: 0,
        funded: accounts()
            .iter()
            .map(|signer| (signer.address(), balance_wei))
            .collect(),
        shards: None,
        governor: None,
        cores: None,
    };
    let protocol = Protocol {
        gas_charge_floor_permille: 0,
        dev: true,
        ..Protocol::default()
    };
    Genesis::from_json(&genesis_file(
        &options,
        &[PrivateKey::from_seed(0)],
        protocol,
    )?)
}

/// What each account has; no number of coins overflows.
fn funds_wei(options: &DevOptions) -> U256 {
    U256::from(options.balance) * U256::from(COIN_WEI)
}

/// Runs until a signal.
///
/// # Errors
/// When an option cannot work or the node cannot go on.
pub fn run(options: &DevOptions) -> Result<(), NodeError> {
    if options.validators == 0 || u32::from(options.validators) > primitives::limits::VALIDATORS_MAX
    {
        return Err(NodeError::Option {
            option: "--validators",
            problem: "choose 1 to 256".to_owned(),
        });
    }
    let listen = SocketAddr::new(options.host, options.port);
    if options.port != 0 {
        process::require_free(listen)?;
    }
    let temporary = match options.data_dir {
        Some(_) => None,
        None if options.in_memory => {
            let memory = Path::new(MEMORY_DIRECTORY);
            Some(TemporaryDirectory::create_in(memory)?)
        }
        None => Some(TemporaryDirectory::create()?),
    };
    let path = match (&temporary, &options.data_dir) {
        (Some(temporary), _) => temporary.path().to_owned(),
        (None, Some(path)) => path.clone(),
        (None, None) => return Ok(()),
    };
    let directory = DataDirectory::open(&path)?;
    // Keys of development validators are as public as the mnemonic.
    let keys: Vec<PrivateKey> = (0..options.validators)
        .map(|index| PrivateKey::from_seed(u64::from(index)))
        .collect();
    let signers = derive(&options.mnemonic, options.accounts)?;
    let genesis = genesis(options, &signers, &keys)?;
    directory.require_chain(&genesis)?;
    let runtime = tokio::Config::new().with_storage_directory(directory.consensus());
    let travel = temporary.is_some();
    let outcome = tokio::Runner::new(runtime).start(|runtime| async move {
        // A chain with shards can't go back: what its shards have seen of it stays.
        if let ([key], None) = (&keys[..], options.shards) {
            let origin = origin(&runtime, options, genesis, (key.clone(), &directory));
            return Box::pin(serve_one(
                &runtime,
                origin,
                (signers, listen),
                (options, travel),
            ))
            .await;
        }
        let nodes = Box::pin(start_nodes(&runtime, options, &genesis, &keys, &directory)).await?;
        serve(&runtime, nodes, (signers, &options.mnemonic), listen).await
    });
    drop(temporary);
    outcome
}

/// What the timelines of a chain with one validator have in common.
fn origin(
    runtime: &tokio::Context,
    options: &DevOptions,
    genesis: Genesis,
    (key, directory): (PrivateKey, &DataDirectory),
) -> Origin {
    Origin {
        runtime: runtime.child("chain"),
        identity: run::identity(&genesis, &key),
        genesis,
        key,
        store: store_config(options),
        pipeline: pipeline_config(options, directory),
        path: directory.path().to_owned(),
        begun: 0,
    }
}

/// Serves a chain that can go back, unless somebody wants to keep it.
async fn serve_one(
    runtime: &tokio::Context,
    origin: Origin,
    (signers, listen): (Vec<PrivateKeySigner>, SocketAddr),
    (options, can_travel): (&DevOptions, bool),
) -> Result<(), NodeError> {
    let first = First::begin(origin).await?;
    let chain = first.readable().chain;
    let (timelines, requests) = Timelines::new();
    let mut dev = Dev::new(signers.clone(), first.control());
    if can_travel {
        dev = dev.with_timelines(timelines.clone());
    }
    let parts = rpc_parts(listen, dev, 0);
    let backend = process::backend(runtime, first.readable(), parts);
    let supervisor = first.supervised(backend);
    let server = rpc::serve(supervisor.switch(), listen).await?;
    crate::cli::announce_dev(&signers, (&chain, 1), server.address(), &options.mnemonic);
    drop(chain);
    let outcome = supervisor.run(runtime, requests).await;
    drop(timelines);
    outcome
}

fn store_config(options: &DevOptions) -> StoreConfig {
    StoreConfig {
        history_blocks: options.history_blocks,
        commit_workers: options.workers,
        ..StoreConfig::default()
    }
}

fn pipeline_config(options: &DevOptions, directory: &DataDirectory) -> PipelineConfig {
    PipelineConfig {
        workers: options.workers,
        spans: options.spans,
        execution_delay: options.execution_delay,
        report_directory: Some(directory.path().to_owned()),
        ..PipelineConfig::default()
    }
}

fn rpc_parts(listen: SocketAddr, dev: Dev, peers: usize) -> RpcParts {
    RpcParts {
        listen,
        config: RpcConfig {
            filter_seed: now_seconds(),
            ..RpcConfig::dev()
        },
        dev: Some(dev),
        peers,
    }
}

type Started = (Vec<Node>, DevControl);

async fn start_nodes(
    runtime: &tokio::Context,
    options: &DevOptions,
    genesis: &Genesis,
    keys: &[PrivateKey],
    directory: &DataDirectory,
) -> Result<Started, NodeError> {
    let block_time_ms = genesis.chain.protocol.block_time_ms;
    let control = DevControl::new(keys.len()).with_block_time(block_time_ms);
    let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let addresses = keys.iter().map(|_| process::require_free(loopback));
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    let peers: Vec<network::Peer> = keys
        .iter()
        .map(PrivateKey::public_key)
        .zip(addresses.iter().copied())
        .collect();
    let mut nodes = Vec::with_capacity(keys.len());
    for (index, (key, listen)) in keys.iter().zip(addresses).enumerate() {
        let runtime = runtime.child("node").with_attribute("index", index);
        let identity = run::identity(genesis, key);
        let (wires, _network) = network::connect(
            &runtime,
            NetworkParts {
                key: key.clone(),
                namespace: identity.namespace,
                listen,
                validators: peers.clone(),
                followers: Vec::new(),
                limits: identity.limits,
            },
        );
        let name = index.to_string();
        let parts = NodeParts {
            genesis: genesis.clone(),
            key: key.clone(),
            fee_recipient: fee_recipient(index),
            location: Location::Directory(directory.state(&name)),
            store: store_config(options),
            partition: format!("node{name}"),
            pipeline: PipelineConfig {
                // RPC is served by the first.
                postings: (index == 0).then(|| Location::Directory(directory.state(&name))),
                ..pipeline_config(options, directory)
            },
            control: Some(control.clone()),
            anchor: None,
            sync: None,
            serving: ServerConfig::default(),
            has_history: false,
            bias: None,
            never_voted: false,
            collated: match index {
                0 => collated(genesis, directory),
                _ => Vec::new(),
            },
        };
        nodes.push(Box::pin(run::assemble(&runtime, parts, wires)).await?);
    }
    Ok((nodes, control))
}

/// Every shard, on the node that serves RPC.
fn collated(genesis: &Genesis, directory: &DataDirectory) -> Vec<Collated> {
    let collated = |shard: &primitives::genesis::GenesisShard| {
        let location = Location::Directory(directory.state(&format!("shard-{}", shard.shard)));
        Collated {
            shard: shard.shard,
            postings: Some(location.clone()),
            location,
            genesis: None,
        }
    };
    genesis.shards.iter().map(collated).collect()
}

/// An address of nobody, different for each validator: fees stay out of the accounts people watch.
pub(crate) fn fee_recipient(index: usize) -> Address {
    Address::left_padding_from(&(0xfee0_0000_u64 + index as u64).to_be_bytes())
}

async fn serve(
    runtime: &tokio::Context,
    (mut nodes, control): Started,
    (signers, mnemonic): (Vec<PrivateKeySigner>, &str),
    listen: SocketAddr,
) -> Result<(), NodeError> {
    let peers = nodes.len().saturating_sub(1);
    let first = nodes.swap_remove(0);
    let parts = rpc_parts(listen, Dev::new(signers.clone(), control), peers);
    let server = process::serve_node(runtime, &first, parts).await?;
    crate::cli::announce_dev(
        &signers,
        (&first.chain, peers + 1),
        server.address(),
        mnemonic,
    );
    crate::cli::announce_shards(&first, server.address());
    nodes.push(first);
    process::until_signal(runtime.child("stop"), nodes).await
}
