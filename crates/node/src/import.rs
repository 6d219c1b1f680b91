//! `headway import`: executes the blocks of another chain and keeps them; `headway serve`: answers about them.
//!
//! ```text
//! genesis.json ─▶ state at height 0 ─┐
//! chain.rlp ─ one block at a time ─▶ execute ─ every root as its header says? ─▶ store ─▶ serve: JSON-RPC
//!                                    └ no: which block, at which byte; what came before is kept
//! ```
//! For chains whose forks are all active from the first block (see `geth`). Nothing is ordered here and nothing is
//! voted on: the store holds foreign headers, and whoever serves them takes no transactions. A second import goes
//! on where the first one ended; blocks that are there already are passed over.
//!
//! Limits: one block in memory, [`BLOCK_BYTES_MAX`]; the store is flushed every 256.

mod block;
mod error;
mod file;
mod geth;
mod serve;
#[cfg(test)]
mod tests;

pub use error::{BlockProblem, FileProblem, ImportError};
pub use file::BLOCK_BYTES_MAX;
pub use geth::GenesisProblem;
pub use serve::{ServeOptions, serve};

use crate::{
    error::NodeError,
    file::{GENESIS_BYTES_MAX, read_text},
    process::DataDirectory,
};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::Bytes;
use alloy_rlp::Decodable as _;
use block::{NotTaken, ordered};
use file::{Blocks, FileBlock};
use geth::ImportGenesis;
use pipeline::ExecutedRecord;
use state::{GenesisState, Location, Store, StoreConfig};
use std::{
    fs::{self, File},
    io::BufReader,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Blocks that are made durable together.
const FLUSH_BLOCKS: u64 = 256;
/// Where the genesis that a directory was made with is kept in it.
const GENESIS_FILE: &str = "genesis.json";
/// The name of the store in the directory.
const STORE: &str = "imported";

/// What to import, and where to.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// geth's genesis file.
    pub genesis: PathBuf,
    /// Concatenated RLP blocks.
    pub chain: PathBuf,
    /// Where the chain is kept.
    pub data_dir: PathBuf,
    /// Threads that compute a state root.
    pub workers: NonZeroUsize,
}

/// How far an import has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes of the file that were read.
    pub bytes_done: u64,
    /// All of them.
    pub bytes: u64,
    /// The newest block.
    pub height: u64,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Blocks that were executed.
    pub blocks: u64,
    /// Blocks that were there before.
    pub known: u64,
    /// Transactions of the executed ones.
    pub transactions: u64,
    /// The newest block that is kept.
    pub height: u64,
}

/// A store with the chain that it begins with.
pub(crate) struct ImportStore {
    genesis: ImportGenesis,
    /// The block at height 0.
    first: ExecutedRecord,
    store: Store,
}

/// Imports a file to its end.
///
/// # Errors
/// Names the block, and where it begins in the file; what came before it is kept.
pub fn import(
    options: &ImportOptions,
    progress: &dyn Fn(ImportProgress),
) -> Result<Imported, NodeError> {
    let text = read_text(&options.genesis, GENESIS_BYTES_MAX)?;
    let chain = File::open(&options.chain);
    let chain = chain.map_err(NodeError::file("cannot read", &options.chain))?;
    let bytes = chain.metadata().map_or(0, |metadata| metadata.len());
    let directory = DataDirectory::open(&options.data_dir)?;
    let opened = ImportStore::open(&directory, (&options.genesis, &text), options.workers)?;
    keep_genesis(&directory, &text)?;
    let mut importing = Importing::new(&opened, options)?;
    let mut blocks = Blocks::new(BufReader::new(chain));
    let outcome = loop {
        let done = importing.done;
        progress(ImportProgress {
            bytes_done: blocks.offset(),
            bytes,
            height: done.height,
        });
        match importing.step(&mut blocks) {
            Ok(true) => {}
            Ok(false) => break Ok(done),
            Err(error) => break Err(error),
        }
    };
    opened.store.flush(importing.parent.number)?;
    outcome
}

impl ImportStore {
    /// Opens the store of a directory, or begins it.
    pub(crate) fn open(
        directory: &DataDirectory,
        (path, text): (&Path, &str),
        workers: NonZeroUsize,
    ) -> Result<Self, NodeError> {
        let genesis = ImportGenesis::parse(text).map_err(|problem| ImportError::Genesis {
            path: path.to_owned(),
            problem,
        })?;
        let first = ExecutedRecord {
            hash: genesis.header.hash_slow(),
            header: genesis.header.clone(),
            block: ordered(&genesis.header, Vec::new()),
            transactions: Arc::default(),
            receipts: Vec::new(),
            withdrawals: Withdrawals::default(),
        };
        let stored = first.to_stored(Bytes::new());
        let state = GenesisState {
            hash: first.hash,
            alloc: genesis.alloc.clone(),
            header: stored.header,
            body: stored.body,
        };
        let config = StoreConfig {
            commit_workers: workers,
            history_blocks: None,
            ..StoreConfig::default()
        };
        let store = Store::open(location(directory), &state, config)?;
        Ok(Self {
            genesis,
            first,
            store,
        })
    }

    /// The newest header.
    fn newest(&self) -> Result<Header, NodeError> {
        let stored = self.store.header(self.store.newest_height())?;
        let header = stored.and_then(|stored| Header::decode(&mut stored.as_ref()).ok());
        Ok(header.unwrap_or_else(|| self.first.header.clone()))
    }
}

fn location(directory: &DataDirectory) -> Location {
    Location::Directory(directory.state(STORE))
}

/// Keeps the genesis beside the store, for whoever serves it.
fn keep_genesis(directory: &DataDirectory, text: &str) -> Result<(), NodeError> {
    let path = directory.path().join(GENESIS_FILE);
    fs::write(&path, text).map_err(NodeError::file("cannot write", path))
}

/// An import between two blocks.
struct Importing<'a> {
    opened: &'a ImportStore,
    path: &'a Path,
    /// The newest block that is kept.
    parent: Header,
    /// Height of the block that came last out of the file.
    read: u64,
    done: Imported,
}

impl<'a> Importing<'a> {
    fn new(opened: &'a ImportStore, options: &'a ImportOptions) -> Result<Self, NodeError> {
        let parent = opened.newest()?;
        Ok(Self {
            opened,
            path: &options.chain,
            read: 0,
            done: Imported {
                height: parent.number,
                ..Imported::default()
            },
            parent,
        })
    }

    /// Takes the next block; false at the end of the file.
    fn step(&mut self, blocks: &mut Blocks<impl std::io::Read>) -> Result<bool, NodeError> {
        let offset = blocks.offset();
        let block = blocks.next().map_err(|problem| ImportError::File {
            path: self.path.to_owned(),
            height: self.read.saturating_add(1),
            offset,
            problem,
        })?;
        let Some(block) = block else {
            return Ok(false);
        };
        self.read = block.header.number;
        let height = self.read;
        self.take(block).map_err(|error| match error {
            Refusal::Block(problem) => ImportError::Block {
                path: self.path.to_owned(),
                height,
                offset,
                problem,
            }
            .into(),
            Refusal::Node(error) => error,
        })?;
        Ok(true)
    }

    fn take(&mut self, block: FileBlock) -> Result<(), Refusal> {
        let height = block.header.number;
        if height <= self.done.height {
            return self.pass_over(&block.header);
        }
        let store = &self.opened.store;
        let state = store
            .snapshot(self.parent.number)
            .map_err(NodeError::from)?;
        let ran = block::run(&self.opened.genesis, &self.parent, block, &state);
        let mut ran = ran.map_err(|error| match error {
            NotTaken::Problem(problem) => Refusal::Block(problem),
            NotTaken::Fault(source) => {
                Refusal::Node(ImportError::Execution { height, source }.into())
            }
        })?;
        let list = ran.executed.access_list().encode();
        let diff = std::mem::take(&mut ran.executed.diff);
        let root = store.commit(height, diff).map_err(NodeError::from)?;
        let record = ran.into_record(*root).map_err(Refusal::Block)?;
        store
            .seal(record.to_stored(list.into()))
            .map_err(NodeError::from)?;
        self.done.blocks += 1;
        self.done.transactions += record.transactions.len() as u64;
        self.done.height = height;
        self.parent = record.header;
        if height.is_multiple_of(FLUSH_BLOCKS) {
            store.flush(height).map_err(NodeError::from)?;
        }
        Ok(())
    }

    /// A block that was imported before, if it is the same.
    fn pass_over(&mut self, header: &Header) -> Result<(), Refusal> {
        let hash = header.hash_slow();
        let own = match header.number {
            0 => (hash == self.opened.first.hash).then_some(0),
            _ => self
                .opened
                .store
                .height_of_block(&hash)
                .map_err(NodeError::from)?,
        };
        if own != Some(header.number) {
            return Err(Refusal::Block(BlockProblem::Other(hash)));
        }
        self.done.known += 1;
        Ok(())
    }
}

/// Why a block was not taken.
enum Refusal {
    Block(BlockProblem),
    Node(NodeError),
}

impl From<NodeError> for Refusal {
    fn from(error: NodeError) -> Self {
        Self::Node(error)
    }
}
