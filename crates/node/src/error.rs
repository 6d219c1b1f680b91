//! Why a command ended, in one line with what to do, and its exit code.

use pipeline::PipelineFault;
use std::{net::SocketAddr, path::PathBuf};

/// Why a command ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A shard that the genesis does not have.
    #[error(
        "the genesis has no shard {shard}; name one of its `headway.shards`, or the genesis file of one that was created later: [[shard]] with id and genesis"
    )]
    UnknownShard {
        /// Its number.
        shard: u32,
    },
    /// This node's key is not a collator's.
    #[error(
        "this node's key is not among the collators of shard {shard} in the genesis; take it out of `collator`, or use a collator's key"
    )]
    NotCollator {
        /// Its number.
        shard: u32,
    },
    /// A shard of the genesis, with a genesis of its own beside it.
    #[error("shard {shard} is in the genesis; take it out of [[shard]]")]
    ShardTwice {
        /// Its number.
        shard: u32,
    },
    /// A shard's rules are of a version that this node does not know.
    #[error(
        "shard {shard} has rules of version {version} from relay height {height} on, which this node does not know: install a newer headway and start it again with the same files"
    )]
    Outdated {
        /// The shard.
        shard: u32,
        /// The version.
        version: u32,
        /// From when on.
        height: u64,
    },
    /// A chain with shards, to be begun from a state.
    #[error("a node of a chain with shards needs the whole order: start it without --sync state")]
    ShardsFromState,
    /// There is no ledger for such shards.
    #[error("headway.shards: {0}")]
    ShardRules(#[from] shards::ledger::RulesError),
    /// What the node keeps for shards can't be read or written.
    #[error("{0}")]
    Kept(#[from] shards::agent::CellarFault),
    /// A file could not be read or written.
    #[error("{action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file that must not be overwritten is there already.
    #[error("{path} exists already; choose another directory or remove it")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A config file is not valid.
    #[error("config {path}: {problem}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A genesis file is not valid.
    #[error("genesis {path}: {source}")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: primitives::genesis::GenesisError,
    },
    /// A key file is not valid.
    #[error("key {path}: {problem}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An address is taken.
    #[error("cannot listen on {address}: {source}; stop the other program or choose another port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Another process works in this data directory.
    #[error(
        "data directory {path} is in use by another process; stop it or choose another directory"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A data directory was made with another genesis.
    #[error(
        "data directory {path} belongs to another chain; use the genesis file it was made with or choose another directory"
    )]
    OtherChain {
        /// The directory.
        path: PathBuf,
    },
    /// An option has a value that cannot work.
    #[error("{option}: {problem}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// Nobody could order blocks.
    #[error("the genesis names no validators; add their public keys under headway.validators")]
    NoValidators,
    /// The state could not be opened.
    #[error(transparent)]
    Store(#[from] state::StoreError),
    /// The operating system gave too few threads.
    #[error("{0}; choose fewer: --workers N, or workers = N in the config file")]
    Workers(executor::NoWorkers),
    /// Execution stopped.
    #[error(transparent)]
    Pipeline(PipelineFault),
    /// Consensus stopped.
    #[error(transparent)]
    Consensus(#[from] consensus::EngineFault),
    /// The state could not be taken from peers.
    #[error("the state could not be taken from peers: {0}")]
    Sync(#[from] consensus::sync::SyncFault),
    /// What was taken could not be made the node's own.
    #[error("the state that peers gave could not be stored: {0}")]
    Import(consensus::sync::ImportFault),
    /// A snapshot could not be written or taken.
    #[error(transparent)]
    Snapshot(#[from] crate::snapshot::SnapshotError),
    /// RPC could not be served.
    #[error(transparent)]
    Rpc(#[from] rpc::ServeError),
    /// A load could not be run.
    #[error(transparent)]
    Load(#[from] crate::load::LoadError),
    /// A shard could not be ordered.
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryError),
    /// The operating system gave no threads to look with.
    #[error("cannot start: {0}")]
    Doctor(std::io::Error),
    /// Something would keep a node from running.
    #[error("not fit to run: problems={count}; what to do is said above")]
    Unfit {
        /// How many things fail.
        count: usize,
    },
    /// A node could not be watched.
    #[error(transparent)]
    Top(#[from] crate::top::TopError),
    /// There is no profile.
    #[error(transparent)]
    Profile(#[from] crate::profile::ProfileError),
    /// Blocks could not be replayed, or not with mainnet's results.
    #[error(transparent)]
    Replay(#[from] crate::replay::ReplayError),
    /// Blocks of another chain could not be imported or served.
    #[error(transparent)]
    Imported(#[from] crate::import::ImportError),
    /// A figure could not be measured.
    #[error("cannot measure: {0}")]
    Bench(String),
    /// A simulated network did what none may.
    #[error("the simulation failed: {0}")]
    Simulation(String),
    /// A part of the node ended by panicking.
    #[error("a part of the node failed: part={part} error={error}")]
    Part {
        /// Which.
        part: &'static str,
        /// How.
        error: String,
    },
}

impl From<PipelineFault> for NodeError {
    fn from(fault: PipelineFault) -> Self {
        match fault {
            PipelineFault::Workers(problem) => Self::Workers(problem),
            fault @ (PipelineFault::Store(_)
            | PipelineFault::Chain(_)
            | PipelineFault::Execution { .. }
            | PipelineFault::OutOfOrder { .. }) => Self::Pipeline(fault),
        }
    }
}

impl NodeError {
    /// 2 for a mistake of whoever started it, 1 for a fault while running.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::File { .. }
            | Self::Exists { .. }
            | Self::Config { .. }
            | Self::Genesis { .. }
            | Self::Key { .. }
            | Self::Listen { .. }
            | Self::Locked { .. }
            | Self::OtherChain { .. }
            | Self::Option { .. }
            | Self::Workers(_)
            | Self::UnknownShard { .. }
            | Self::NotCollator { .. }
            | Self::ShardTwice { .. }
            | Self::ShardsFromState
            | Self::ShardRules(_)
            | Self::NoValidators => 2,
            Self::Store(_)
            | Self::Pipeline(_)
            | Self::Consensus(_)
            | Self::Sync(_)
            | Self::Kept(_)
            | Self::Import(_)
            | Self::Snapshot(_)
            | Self::Rpc(_)
            | Self::Bench(_)
            | Self::Simulation(_)
            | Self::Doctor(_)
            | Self::Unfit { .. }
            | Self::Outdated { .. }
            | Self::Part { .. } => 1,
            Self::Load(error) => error.exit_code(),
            Self::Registry(error) => error.exit_code(),
            Self::Top(error) => error.exit_code(),
            Self::Profile(error) => error.exit_code(),
            Self::Replay(error) => error.exit_code(),
            Self::Imported(error) => error.exit_code(),
        }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
