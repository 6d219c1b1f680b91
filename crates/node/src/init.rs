//! `headway init`: keys, genesis and one config file for each node of a network.
//!
//! ```text
//! DIR/genesis.json
//! DIR/node0/{headway.toml, node.key}   … one folder for each validator
//! DIR/systemd/headway@.service         what runs one of them on a machine
//! DIR/compose.yaml                     what runs all of them on this one
//! ```

mod units;

use crate::{
    config::{NetworkSection, NodeConfig, PeerSection, RpcSection, StateFrom, StateSection},
    error::NodeError,
    keys, registry,
    workers::default_workers,
};
use alloy_primitives::{Address, U256, address, bytes};
use commonware_cryptography::Signer as _;
use primitives::{
    Genesis,
    chain::Protocol,
    crypto::{PrivateKey, PublicKey},
    genesis::{HeadwaySection, ShardEntry},
    shard::{ShardId, registry::REGISTRY},
};
use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// EIP-2935's contract and code, called at the start of every block.
const HISTORY_ADDRESS: Address = address!("0000F90827F1C53a10cb7A02335B175320002935");
const HISTORY_CODE: alloy_primitives::Bytes = bytes!(
    "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
);
/// What `init` gives each funded account, in wei: a million coins.
pub const FUNDS_WEI: U256 = U256::from_limbs([0x1bce_cced_a100_0000, 0xd3c2, 0, 0]);

/// Nodes that collate one shard, so that it goes on without one of them.
const COLLATORS: u16 = 2;

/// What to make.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// Where.
    pub directory: PathBuf,
    /// How many validators.
    pub validators: u16,
    /// EIP-155 chain identifier.
    pub chain_id: u64,
    /// Block gas limit.
    pub gas_limit: u64,
    /// Address of all nodes: the loopback one for a local network.
    pub host: IpAddr,
    /// Port of node 0 for peers; node i takes this + i.
    pub p2p_port: u16,
    /// Port of node 0 for RPC; node i takes this + i.
    pub rpc_port: u16,
    /// Accounts to fund.
    pub funded: Vec<Address>,
    /// Protocol parameters.
    pub protocol: Protocol,
    /// Shards; two of the nodes collate each. With none at all there can't be any later either.
    pub shards: Option<u16>,
    /// Cores of all shards together, which go where the load is; without it each shard keeps one.
    pub cores: Option<u16>,
}

/// What a genesis file says besides its accounts.
#[derive(Clone, Debug)]
pub struct GenesisOptions {
    /// EIP-155 chain identifier.
    pub chain_id: u64,
    /// Block gas limit.
    pub gas_limit: u64,
    /// Time of height 0, in seconds since the Unix epoch.
    pub timestamp: u64,
    /// Accounts to fund and with how much, on each shard as well.
    pub funded: BTreeMap<Address, U256>,
    /// Shards of the chain; none if there can't be any.
    pub shards: Option<Vec<ShardOptions>>,
    /// Who owns these shards, and allows new versions of charters; nobody if none.
    pub governor: Option<Address>,
    /// Cores of all shards together, if they go where the load is.
    pub cores: Option<u16>,
}

/// One shard: a chain with the same accounts, and an id of its own.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// Its number; its chain's id is so much above the relay chain's.
    pub id: u16,
    /// Who builds its blocks.
    pub collators: Vec<PublicKey>,
}

impl ShardOptions {
    /// So many shards that the same nodes collate.
    pub(crate) fn all_by(collators: &[PublicKey], shards: u16) -> Vec<Self> {
        let shard = |id| Self {
            id,
            collators: collators.to_vec(),
        };
        (1..=shards).map(shard).collect()
    }
}

/// A genesis file for these validators.
///
/// # Errors
/// When a parameter is out of range.
pub fn genesis_file(
    options: &GenesisOptions,
    validators: &[PrivateKey],
    protocol: Protocol,
) -> Result<String, primitives::genesis::GenesisError> {
    let shards = options.shards.iter().flatten().map(|shard| {
        let section = HeadwaySection {
            protocol: Protocol {
                // Relay blocks pace it, and with several cores it has several blocks for each of them.
                block_time_ms: 0,
                ..protocol.clone()
            },
            ..HeadwaySection::default()
        };
        let chain_id = options.chain_id.saturating_add(shard.id.into());
        let genesis = Genesis::to_json(&accounts_file(options, chain_id), &section)?;
        Ok(ShardEntry {
            id: shard.id.into(),
            // With fewer cores than shards, they take turns.
            cores: u16::from(options.cores.is_none_or(|cores| shard.id <= cores)),
            cores_max: None,
            collators: shard.collators.iter().map(keys::public_hex).collect(),
            genesis: serde_json::from_str(&genesis)?,
        })
    });
    let shards = shards.collect::<Result<Vec<_>, primitives::genesis::GenesisError>>()?;
    let mut file = accounts_file(options, options.chain_id);
    if let Some(shards) = &options.shards {
        let shards = shards.iter().map(|one| ShardId(one.id.into()));
        let shards: Vec<ShardId> = shards.collect();
        let account = registry::account(options.governor, &shards);
        file.alloc.insert(REGISTRY, account);
    }
    let validators = validators
        .iter()
        .map(|key| keys::public_hex(&key.public_key()))
        .collect();
    Genesis::to_json(
        &file,
        &HeadwaySection {
            validators,
            protocol,
            shards: options.shards.is_some().then_some(shards),
            cores: options.cores,
            ..HeadwaySection::default()
        },
    )
}

/// The part of a genesis file that any Ethereum node understands.
fn accounts_file(options: &GenesisOptions, chain_id: u64) -> alloy_genesis::Genesis {
    let mut file = alloy_genesis::Genesis::default();
    file.config.chain_id = chain_id;
    file.gas_limit = options.gas_limit;
    file.timestamp = options.timestamp;
    file.base_fee_per_gas = Some(u128::from(primitives::genesis::BASE_FEE_INITIAL));
    for (address, balance) in &options.funded {
        let account = alloy_genesis::GenesisAccount {
            balance: *balance,
            ..Default::default()
        };
        file.alloc.insert(*address, account);
    }
    let history = alloy_genesis::GenesisAccount {
        nonce: Some(1),
        code: Some(HISTORY_CODE),
        ..Default::default()
    };
    file.alloc.insert(HISTORY_ADDRESS, history);
    file
}

/// Seconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "a new chain starts at the time of its making"
)]
#[must_use]
pub fn now_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// Writes the files of a new network.
///
/// # Errors
/// When the directory holds a network already or cannot be written.
pub fn init(options: &InitOptions) -> Result<(), NodeError> {
    if options.validators == 0 || u32::from(options.validators) > primitives::limits::VALIDATORS_MAX
    {
        return Err(NodeError::Option {
            option: "--validators",
            problem: "choose 1 to 256".to_owned(),
        });
    }
    // Checked before anything is written, so that a second try finds an empty directory.
    let last = options.validators.saturating_sub(1);
    port("--p2p-port", options.p2p_port, last)?;
    port("--rpc-port", options.rpc_port, last)?;
    let genesis_path = options.directory.join("genesis.json");
    if genesis_path.exists() {
        return Err(NodeError::Exists { path: genesis_path });
    }
    let mut rng = rand::rng();
    let keys: Vec<PrivateKey> = (0..options.validators)
        .map(|_| keys::generate(&mut rng))
        .collect();
    let genesis_options = GenesisOptions {
        chain_id: options.chain_id,
        gas_limit: options.gas_limit,
        timestamp: now_seconds(),
        funded: options
            .funded
            .iter()
            .map(|address| (*address, FUNDS_WEI))
            .collect(),
        shards: shard_options(options, &keys),
        governor: options.funded.first().copied(),
        cores: options.cores,
    };
    let refuse = |source| NodeError::Genesis {
        path: genesis_path.clone(),
        source,
    };
    let genesis =
        genesis_file(&genesis_options, &keys, options.protocol.clone()).map_err(refuse)?;
    Genesis::from_json(&genesis).map_err(refuse)?;
    create(&options.directory)?;
    let peers = keys.iter().zip(0..).map(|(key, index)| {
        Ok(PeerSection {
            public_key: keys::public_hex(&key.public_key()),
            address: SocketAddr::new(options.host, port("--p2p-port", options.p2p_port, index)?),
        })
    });
    let peers = peers.collect::<Result<Vec<_>, NodeError>>()?;
    for (index, key) in (0..).zip(&keys) {
        write_node(options, &peers, index, key)?;
    }
    write_units(options)?;
    // Last, because its presence says that the network is complete.
    fs::write(&genesis_path, genesis).map_err(NodeError::file("cannot write", &genesis_path))
}

/// The nodes that collate a shard: so many, beginning with its own number.
fn collators_of(shard: u16, validators: u16) -> Vec<u16> {
    let first = shard.saturating_sub(1);
    let count = validators.min(COLLATORS);
    (0..count)
        .filter_map(|place| first.saturating_add(place).checked_rem(validators))
        .collect()
}

fn shard_options(options: &InitOptions, keys: &[PrivateKey]) -> Option<Vec<ShardOptions>> {
    let key = |node: u16| keys.get(usize::from(node)).map(PrivateKey::public_key);
    let shards = (1..=options.shards?).map(|id| ShardOptions {
        id,
        collators: collators_of(id, options.validators)
            .into_iter()
            .filter_map(key)
            .collect(),
    });
    Some(shards.collect())
}

fn write_units(options: &InitOptions) -> Result<(), NodeError> {
    let directory = options.directory.join("systemd");
    create(&directory)?;
    let unit = directory.join("headway@.service");
    fs::write(&unit, units::systemd()).map_err(NodeError::file("cannot write", &unit))?;
    let compose = options.directory.join("compose.yaml");
    fs::write(&compose, units::compose(options.validators))
        .map_err(NodeError::file("cannot write", &compose))
}

fn write_node(
    options: &InitOptions,
    peers: &[PeerSection],
    index: u16,
    key: &PrivateKey,
) -> Result<(), NodeError> {
    let directory = options.directory.join(format!("node{index}"));
    create(&directory)?;
    keys::write(&directory.join("node.key"), key)?;
    let config = NodeConfig {
        genesis: PathBuf::from("../genesis.json"),
        key: PathBuf::from("node.key"),
        data_dir: PathBuf::from("data"),
        fee_recipient: options.funded.first().copied().unwrap_or_default(),
        workers: default_workers(),
        collator: (1..=options.shards.unwrap_or(0))
            .filter(|shard| collators_of(*shard, options.validators).contains(&index))
            .map(u32::from)
            .collect(),
        spans: false,
        sync: StateFrom::default(),
        state: StateSection::default(),
        network: NetworkSection {
            listen: SocketAddr::new(options.host, port("--p2p-port", options.p2p_port, index)?),
            validators: peers.to_vec(),
            followers: Vec::new(),
        },
        rpc: RpcSection {
            listen: SocketAddr::new(options.host, port("--rpc-port", options.rpc_port, index)?),
            origins: Vec::new(),
            hosts: Vec::new(),
        },
        shard: Vec::new(),
    };
    let path = directory.join("headway.toml");
    let text = toml::to_string_pretty(&config).map_err(|error| NodeError::Config {
        path: path.clone(),
        problem: error.to_string(),
    })?;
    fs::write(&path, text).map_err(NodeError::file("cannot write", &path))
}

fn port(option: &'static str, first: u16, index: u16) -> Result<u16, NodeError> {
    first.checked_add(index).ok_or_else(|| NodeError::Option {
        option,
        problem: format!("{first} leaves no room for all nodes; choose a smaller port"),
    })
}

fn create(directory: &Path) -> Result<(), NodeError> {
    fs::create_dir_all(directory).map_err(NodeError::file("cannot create", directory))
}
