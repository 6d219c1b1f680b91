//! `headway serve`: JSON-RPC and the explorer over an imported chain.
//!
//! All its blocks are final and nothing is added; the pipeline that is opened never executes. What is not in the
//! index yet, it makes on the way, as after any other start.

use super::{GENESIS_FILE, ImportError, ImportStore, location};
use crate::{
    error::NodeError,
    init,
    process::{self, DataDirectory, Readable, RpcParts},
    workers,
};
use commonware_runtime::{Runner as _, Supervisor as _, tokio};
use mempool::Mempool;
use pipeline::{Actor, Foundation, PipelineConfig};
use primitives::{BlockLimits, recovery::SenderCache};
use rpc::RpcConfig;
use std::{fs, io::ErrorKind, net::SocketAddr, path::PathBuf};

/// Longest stored body that is read back, in bytes: no imported block is longer.
const BODY_BYTES_MAX: u32 = 32 * 1024 * 1024;

/// What to serve, and where.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where the chain was imported to.
    pub data_dir: PathBuf,
    /// Where JSON-RPC listens.
    pub listen: SocketAddr,
}

/// Serves an imported chain until a signal; says where it listens once it does.
///
/// # Errors
/// When the directory holds no imported chain, or the address is taken.
pub fn serve(
    options: &ServeOptions,
    listens: impl FnOnce(SocketAddr) + Send,
) -> Result<(), NodeError> {
    let path = options.data_dir.join(GENESIS_FILE);
    let text = fs::read_to_string(&path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => NodeError::from(ImportError::Empty {
            path: options.data_dir.clone(),
        }),
        _ => NodeError::file("cannot read", &path)(source),
    })?;
    process::require_free(options.listen)?;
    let directory = DataDirectory::open(&options.data_dir)?;
    let opened = ImportStore::open(&directory, (&path, &text), workers::default_workers())?;
    let config = tokio::Config::new().with_storage_directory(directory.consensus());
    tokio::Runner::new(config).start(async |runtime| {
        let readable = readable(&runtime, opened, &directory)?;
        let parts = RpcParts {
            listen: options.listen,
            config: RpcConfig {
                filter_seed: init::now_seconds(),
                ..RpcConfig::default()
            },
            dev: None,
            peers: 0,
        };
        let server = process::serve(&runtime, readable, parts).await?;
        listens(server.address());
        process::signalled().await;
        Ok(())
    })
}

pub(super) fn readable(
    runtime: &tokio::Context,
    opened: ImportStore,
    directory: &DataDirectory,
) -> Result<Readable, NodeError> {
    let ImportStore {
        genesis,
        first,
        store,
    } = opened;
    let base_fee = genesis.header.base_fee_per_gas.unwrap_or_default();
    let mempool = Mempool::new(mempool::Config::new(genesis.chain.clone()), base_fee);
    let foundation = Foundation {
        chain: genesis.chain,
        limits: BlockLimits {
            body_bytes_max: BODY_BYTES_MAX,
            validators: 0,
            section: primitives::shard::SectionLimits::NONE,
        },
        validators: Vec::new(),
        ethereum: Some(genesis.fork),
        genesis: first,
        store,
        first_height: 1,
    };
    let config = PipelineConfig {
        postings: Some(location(directory)),
        ..PipelineConfig::default()
    };
    let (_never_executes, pipeline) =
        Actor::new(runtime.child("imported"), foundation, config, Vec::new())?;
    Ok(Readable {
        chain: pipeline.chain().clone(),
        mempool,
        senders: SenderCache::default(),
        shards: None,
        shard: None,
    })
}
