//! What a process does around its nodes: data directories, ports, the runtime, RPC, signals.

use crate::{error::NodeError, run::Node, sharding::ShardChain};
use commonware_runtime::{Clock as _, Metrics as _, Spawner as _, Supervisor as _, tokio::Context};
use mempool::Mempool;
use pipeline::Chain;
use primitives::{Genesis, recovery::SenderCache};
use rand::{SeedableRng as _, rngs::StdRng};
use rpc::{Backend, BackendParts, Dev, RpcConfig, RpcServer, ShardPlace};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use shards::feed::LedgerFeed;
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, TryLockError},
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

/// Permissions of a data directory.
const OWNER_ONLY: u32 = 0o700;

/// How long a stopping node may take to flush.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Files that are enough for the largest network and all its connections.
const FILES_WANTED: u64 = 65_536;

/// Has the kernel give this process pages of the ordinary size only. The allocator asks for huge ones, the kernel clears
/// each of them as a whole, and of many only a part is used: under transactions that come in, a node takes half as long
/// again with them.
pub(crate) fn keep_pages_small() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "the kernel may give this process huge pages");
    }
}

/// Lets this process open as many files as it may: shells and services begin with 1,024, and a node that cannot
/// open one of its own stops.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(FILES_WANTED, |maximum| maximum.min(FILES_WANTED));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        // What it had it keeps; `headway doctor` says whether that is enough.
        setrlimit(Resource::Nofile, raised).ok();
    }
}

/// A data directory that no other process works in while this value lives.
#[derive(Debug)]
pub struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Creates the directory if missing and locks it.
    ///
    /// # Errors
    /// When it cannot be created or another process holds it.
    pub fn open(path: &Path) -> Result<Self, NodeError> {
        DirBuilder::new()
            .recursive(true)
            .mode(OWNER_ONLY)
            .create(path)
            .map_err(NodeError::file("cannot create", path))?;
        let lock_path = path.join("lock");
        let lock =
            File::create(&lock_path).map_err(NodeError::file("cannot create", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(NodeError::Locked {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(NodeError::File {
                action: "cannot lock",
                path: lock_path,
                source,
            }),
        }
    }

    /// Notes which chain the directory is for, or checks that it is the one noted.
    ///
    /// The stores know their chain too, but not every rule of it, and not all of them say so in words.
    ///
    /// # Errors
    /// When it is for another chain, or the note cannot be read or written.
    pub fn require_chain(&self, genesis: &Genesis) -> Result<(), NodeError> {
        let (_, block) = pipeline::genesis(genesis);
        let chain = pipeline::genesis_digest(&block).to_string();
        let (path, draft) = (self.path.join("chain"), self.path.join("chain.new"));
        match fs::read_to_string(&path) {
            Ok(noted) if noted == chain => return Ok(()),
            Ok(_) => {
                return Err(NodeError::OtherChain {
                    path: self.path.clone(),
                });
            }
            Err(source) if source.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(NodeError::file("cannot read", path)(source)),
        }
        // Renamed into place, so that a crash leaves no half of a note.
        fs::write(&draft, chain)
            .and_then(|()| File::open(&draft)?.sync_all())
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(NodeError::file("cannot write", path))
    }

    /// Where consensus stores.
    #[must_use]
    pub fn consensus(&self) -> PathBuf {
        Self::consensus_in(&self.path)
    }

    pub(crate) fn consensus_in(path: &Path) -> PathBuf {
        path.join("consensus")
    }

    /// Where one node's state is stored.
    #[must_use]
    pub fn state(&self, node: &str) -> PathBuf {
        self.path.join(format!("state-{node}"))
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A data directory that is removed with this value.
#[derive(Debug)]
pub struct TemporaryDirectory {
    path: PathBuf,
}

impl TemporaryDirectory {
    /// A new directory that nobody had before.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create() -> Result<Self, NodeError> {
        Self::create_in(&std::env::temp_dir())
    }

    /// The same in a directory that exists.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create_in(parent: &Path) -> Result<Self, NodeError> {
        let name = format!("headway-{:016x}", rand::random::<u64>());
        let path = parent.join(name);
        DirBuilder::new()
            .mode(OWNER_ONLY)
            .create(&path)
            .map_err(NodeError::file("cannot create", &path))?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // Nothing depends on its removal: the system clears temporary files too.
        fs::remove_dir_all(&self.path).ok();
    }
}

/// Checks that nobody listens on an address, before anything is started.
///
/// # Errors
/// When the address cannot be bound.
pub fn require_free(address: SocketAddr) -> Result<SocketAddr, NodeError> {
    TcpListener::bind(address)
        .and_then(|listener| listener.local_addr())
        .map_err(|source| NodeError::Listen { address, source })
}

/// How RPC of a node is served.
#[derive(Debug)]
pub struct RpcParts {
    /// Where.
    pub listen: SocketAddr,
    /// Limits and origins.
    pub config: RpcConfig,
    /// Keys and block production of a development chain.
    pub dev: Option<Dev>,
    /// Peers this node is connected to at most; a node knows its peers by name.
    pub peers: usize,
}

/// What of a node RPC reads.
#[derive(Clone, Debug)]
pub struct Readable {
    /// Blocks, states, progress.
    pub chain: Chain,
    /// Waiting transactions.
    pub mempool: Mempool,
    /// Senders recovered so far.
    pub senders: SenderCache,
    /// What the relay chain says of shards, on a chain that has any.
    pub shards: Option<LedgerFeed>,
    /// Which shard the chain is, if it is one's.
    pub shard: Option<ShardPlace>,
}

/// The chains that a node collates, by the numbers of their shards.
#[must_use]
pub fn shard_chains(node: &Node) -> BTreeMap<u32, Readable> {
    let shards = node.shards.iter();
    let chains = shards.flat_map(|shards| shards.chains.iter().map(|chain| (chain, &shards.feed)));
    chains
        .map(|(chain, feed)| (chain.shard.0, shard_chain(chain, feed.clone())))
        .collect()
}

fn shard_chain(chain: &ShardChain, feed: LedgerFeed) -> Readable {
    Readable {
        chain: chain.chain.clone(),
        mempool: chain.mempool.clone(),
        senders: chain.senders.clone(),
        shards: None,
        shard: Some(ShardPlace::new(chain.shard, feed)),
    }
}

impl From<&Node> for Readable {
    fn from(node: &Node) -> Self {
        Self {
            chain: node.chain.clone(),
            mempool: node.mempool.clone(),
            senders: node.senders.clone(),
            shards: node.shards.as_ref().map(|shards| shards.feed.clone()),
            shard: None,
        }
    }
}

/// Serves a node's RPC.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    runtime: &Context,
    node: impl Into<Readable>,
    parts: RpcParts,
) -> Result<RpcServer, NodeError> {
    let listen = parts.listen;
    let backend = backend(runtime, node, parts);
    Ok(rpc::serve(backend, listen).await?)
}

/// Serves a node's RPC, and that of the shards it collates.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_node(
    runtime: &Context,
    node: &Node,
    parts: RpcParts,
) -> Result<RpcServer, NodeError> {
    let (listen, peers) = (parts.listen, parts.peers);
    let shards = shard_chains(node).into_iter().map(|(shard, readable)| {
        let parts = RpcParts {
            listen,
            config: parts.config.clone(),
            // Blocks of a shard come when its collator makes them, whoever asks.
            dev: None,
            peers,
        };
        let runtime = runtime.child("shard").with_attribute("id", shard);
        (shard, backend(&runtime, readable, parts))
    });
    let shards = shards.collect();
    let backend = backend(runtime, node, parts);
    Ok(rpc::serve_with_shards(backend, shards, listen).await?)
}

/// What RPC reads and writes of a node.
pub fn backend(runtime: &Context, node: impl Into<Readable>, parts: RpcParts) -> Arc<Backend> {
    let node: Readable = node.into();
    let clock = Arc::new(runtime.child("rpc"));
    let sleeper = Arc::clone(&clock);
    let metrics = runtime.child("metrics");
    Backend::new(BackendParts {
        random: StdRng::from_rng(&mut runtime.child("random")),
        chain: node.chain,
        mempool: node.mempool,
        senders: node.senders,
        dev: parts.dev,
        clock: rpc::Clock {
            now_ms: Arc::new(move || {
                let elapsed = clock
                    .current()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
            }),
            sleep: Arc::new(move |duration| Box::pin(sleeper.sleep(duration))),
        },
        metrics: Arc::new(move || metrics.encode()),
        peers: Arc::new(move || parts.peers),
        config: parts.config,
        shards: node.shards,
        shard: node.shard,
    })
}

/// Runs nodes until a signal asks to stop, then lets them flush.
///
/// # Errors
/// When one of them cannot go on.
pub async fn until_signal(runtime: Context, nodes: Vec<Node>) -> Result<(), NodeError> {
    let failures = nodes.into_iter().map(|node| Box::pin(node.failed()));
    let failed = futures::future::select_all(failures);
    tokio::select! {
        biased;
        () = signalled() => {}
        (error, _, _) = failed => return Err(error),
    }
    // What is not flushed in time is executed again at the next start.
    runtime
        .stop(0, Some(STOP_TIMEOUT))
        .await
        .unwrap_or_default();
    Ok(())
}

/// Resolves at the first interrupt or termination signal.
pub(crate) async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return tokio::signal::ctrl_c().await.unwrap_or_default();
    };
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => result.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn genesis(chain_id: u64) -> Genesis {
        let text = format!(
            r#"{{"config": {{"chainId": {chain_id}}}, "gasLimit": "0x1c9c380", "difficulty": "0x0", "alloc": {{}}}}"#
        );
        Genesis::from_json(&text).unwrap()
    }

    #[test]
    fn a_data_directory_is_for_one_chain() {
        let temporary = TemporaryDirectory::create().unwrap();
        let directory = DataDirectory::open(temporary.path()).unwrap();
        for _ in 0..2 {
            directory.require_chain(&genesis(1)).unwrap();
        }
        let refused = directory.require_chain(&genesis(2)).unwrap_err();
        assert!(matches!(refused, NodeError::OtherChain { .. }));
        assert_eq!(refused.exit_code(), 2);
        let again = DataDirectory::open(temporary.path()).unwrap_err();
        assert!(matches!(again, NodeError::Locked { .. }));
    }
}
