//! The config file of one node: TOML, every field written out by `headway init`. Two may be left out:
//! without `workers` there are as many as the machine has cores, without `state` it is as `init` writes it.
//!
//! Paths are relative to the file. Unknown fields are refused.

#[cfg(test)]
mod reference;

use crate::{
    error::NodeError,
    file, keys,
    network::Peer,
    workers::{self, default_workers},
};
use alloy_primitives::Address;
use serde::{Deserialize, Serialize};
use state::StoreConfig;
use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// One node's choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The genesis file of the chain.
    pub genesis: PathBuf,
    /// The key file of this node.
    pub key: PathBuf,
    /// Where it stores everything.
    pub data_dir: PathBuf,
    /// Who receives the fees of its blocks.
    pub fee_recipient: Address,
    /// Threads that execute one block; without it as many as there are cores.
    #[serde(default = "default_workers")]
    pub workers: NonZeroUsize,
    /// The shards whose blocks this node builds, by their numbers; the genesis, or who created them, names its key
    /// as one of their collators.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collator: Vec<u32>,
    /// Whether to keep which worker executed which transaction when, for `headway profile`, `headway top` and
    /// the explorer: some bytes and some tenths of a microsecond for each transaction.
    #[serde(default)]
    pub spans: bool,
    /// Where the state of a node without one comes from.
    #[serde(default)]
    pub sync: StateFrom,
    /// The state that is kept.
    #[serde(default)]
    pub state: StateSection,
    /// Connections to peers.
    pub network: NetworkSection,
    /// JSON-RPC.
    pub rpc: RpcSection,
    /// Shards that it builds blocks of and that were created after the genesis.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shard: Vec<ShardFile>,
}

/// A shard that was created after the genesis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardFile {
    /// Its number, which is in `collator` as well.
    pub id: u32,
    /// Its genesis file, as it was given to `headway shard create`.
    pub genesis: PathBuf,
}

/// Where the state of a node without one comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StateFrom {
    /// From executing every block since genesis.
    #[default]
    Genesis,
    /// From peers, at a recent height, checked against what 2f+1 validators signed.
    State,
}

/// The state that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSection {
    /// How many blocks back accounts and storage can be read.
    #[serde(default = "default_history_blocks")]
    pub history_blocks: u64,
    /// Whether to keep the state of every block instead.
    #[serde(default)]
    pub archive: bool,
    /// The state at multiples of so many blocks is offered to nodes that join; 0 for none. The same on all
    /// nodes of a network: a state is taken from those that offer the same one.
    #[serde(default = "default_served_blocks")]
    pub served_blocks: u64,
    /// Whether to keep which blocks addresses and topics are in: searching logs without it reads blocks.
    #[serde(default = "default_index")]
    pub index: bool,
    /// MiB of the state's trie in memory at most; without it all of it, which reads nothing from disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trie_mib: Option<usize>,
}

/// Not more often than a joining node needs to take a large state, nor so rarely that it has to execute much
/// then.
const SERVED_BLOCKS: u64 = 4_096;

fn default_served_blocks() -> u64 {
    SERVED_BLOCKS
}

fn default_index() -> bool {
    true
}

fn default_history_blocks() -> u64 {
    StoreConfig::HISTORY_BLOCKS
}

impl Default for StateSection {
    fn default() -> Self {
        Self {
            history_blocks: default_history_blocks(),
            archive: false,
            served_blocks: default_served_blocks(),
            index: default_index(),
            trie_mib: None,
        }
    }
}

impl StateSection {
    /// What the store is told.
    #[must_use]
    pub fn store_config(&self, workers: NonZeroUsize) -> StoreConfig {
        StoreConfig {
            commit_workers: workers,
            served_blocks: self.served_blocks,
            history_blocks: (!self.archive).then_some(self.history_blocks),
            trie_bytes_max: self.trie_mib.map(|mib| mib.saturating_mul(1 << 20)),
            ..StoreConfig::default()
        }
    }
}

/// Connections to peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSection {
    /// Where this node listens.
    pub listen: SocketAddr,
    /// All validators, this node included if it is one.
    pub validators: Vec<PeerSection>,
    /// Nodes that follow the chain.
    pub followers: Vec<PeerSection>,
}

/// One peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSection {
    /// Its public key, hex.
    pub public_key: String,
    /// Where to reach it.
    pub address: SocketAddr,
}

/// JSON-RPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RpcSection {
    /// Where it is served; keep it on loopback unless a proxy protects it.
    pub listen: SocketAddr,
    /// Origins of web pages that may call, besides its own.
    pub origins: Vec<String>,
    /// Names under which it may be addressed, besides `localhost` and IP addresses.
    pub hosts: Vec<String>,
}

impl NodeConfig {
    /// Reads a config file; its paths come back absolute or relative to where the process runs.
    ///
    /// # Errors
    /// When it cannot be read or a field is wrong.
    pub fn read(path: &Path) -> Result<Self, NodeError> {
        let text = file::read_text(path, file::CONFIG_BYTES_MAX)?;
        let refuse = |problem| NodeError::Config {
            path: path.to_owned(),
            problem,
        };
        let mut config: Self = toml::from_str(&text)
            .map_err(|error| refuse(error.to_string().trim().replace('\n', " ")))?;
        if !workers::in_range(&config.workers) {
            return Err(refuse(format!("workers: {}", workers::OUT_OF_RANGE)));
        }
        let mut shards = config.shard.iter().map(|shard| shard.id);
        if let Some(id) = shards.find(|id| !config.collator.contains(id)) {
            return Err(refuse(format!(
                "[[shard]]: {id} is not in `collator`; write collator = [{id}] above the first line in brackets"
            )));
        }
        let directory = path.parent().unwrap_or(Path::new("."));
        config.genesis = directory.join(config.genesis);
        config.key = directory.join(config.key);
        config.data_dir = directory.join(config.data_dir);
        for shard in &mut config.shard {
            shard.genesis = directory.join(&shard.genesis);
        }
        Ok(config)
    }

    /// The peers, with their keys parsed.
    ///
    /// # Errors
    /// Names the key that is wrong.
    pub fn peers(&self, path: &Path) -> Result<Peers, NodeError> {
        let parse = |peers: &[PeerSection]| peers.iter().map(|peer| peer.parse(path)).collect();
        let validators: Result<Vec<Peer>, NodeError> = parse(&self.network.validators);
        let followers: Result<Vec<Peer>, NodeError> = parse(&self.network.followers);
        Ok(Peers {
            validators: validators?,
            followers: followers?,
        })
    }
}

/// The other nodes, by role.
#[derive(Clone, Debug)]
pub struct Peers {
    /// Validators, this node included if it is one.
    pub validators: Vec<Peer>,
    /// Nodes that follow.
    pub followers: Vec<Peer>,
}

impl PeerSection {
    fn parse(&self, path: &Path) -> Result<Peer, NodeError> {
        let key = keys::parse_public(&self.public_key).map_err(|problem| NodeError::Config {
            path: path.to_owned(),
            problem: format!("public_key {}: {problem}", self.public_key),
        })?;
        Ok((key, self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        init::{InitOptions, init},
        process::TemporaryDirectory,
    };
    use primitives::chain::Protocol;
    use std::{
        fs,
        net::{IpAddr, Ipv4Addr},
    };

    #[test]
    fn workers_are_written_out_and_have_a_default() {
        let temporary = TemporaryDirectory::create().unwrap();
        let directory = temporary.path().join("network");
        let options = InitOptions {
            directory: directory.clone(),
            validators: 1,
            shards: None,
            cores: None,
            chain_id: 1,
            gas_limit: 300_000_000,
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            p2p_port: 30_300,
            rpc_port: 8_545,
            funded: Vec::new(),
            protocol: Protocol::default(),
        };
        init(&options).unwrap();
        let path = directory.join("node0/headway.toml");
        let cores = default_workers();
        let written = fs::read_to_string(&path).unwrap();
        let line = format!("workers = {cores}\n");
        assert!(written.contains(&line), "{written}");
        let read = |workers: &str| {
            fs::write(&path, written.replace(&line, workers)).unwrap();
            NodeConfig::read(&path).map(|config| config.workers.get())
        };
        assert_eq!(read("").unwrap(), cores.get());
        assert_eq!(read("workers = 3\n").unwrap(), 3);
        for wrong in ["workers = 0\n", "workers = 1025\n"] {
            let error = read(wrong).unwrap_err();
            assert!(matches!(error, NodeError::Config { .. }), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
