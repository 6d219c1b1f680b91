//! What can go wrong in the store: all of it our fault or our disk's, none a peer's.

use crate::runs::RunsError;
use crate::sparse::{LimitTooLow, Missing};
use alloy_primitives::B256;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// The store can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another store in this one, has the files open.
    #[error("the state is in use by another process")]
    Locked,
    /// The files belong to a chain with another genesis.
    #[error("the state is of another chain: stored={stored} given={given}")]
    WrongGenesis {
        /// Genesis hash in the files.
        stored: B256,
        /// Genesis hash asked for.
        given: B256,
    },
    /// An earlier version of this program wrote the state as one file.
    #[error(
        "the state is in the format of an earlier version: remove {} and the node builds it again from its blocks", file.display()
    )]
    EarlierFormat {
        /// The file.
        file: PathBuf,
    },
    /// Another version of this program wrote the files.
    #[error("the state is of another format: stored={stored} supported={supported}")]
    WrongFormat {
        /// Format of the files.
        stored: u32,
        /// The only one this version reads.
        supported: u32,
    },
    /// The files are damaged.
    #[error(
        "the state is damaged: {0}; remove the folder `state` that holds it, and the node builds it again from its blocks, or takes it from peers with --sync state"
    )]
    Corrupt(#[from] Corruption),
    /// The files are being filled with a state, and not all of it is there.
    #[error("the state is not all there yet: go on with what was begun, or remove the folder")]
    Importing,
    /// The directory can't be made or read.
    #[error("cannot open the state directory: {0}")]
    Directory(#[from] std::io::Error),
    /// There is no room left.
    #[error("the disk is full: free some space and start again; nothing that was flushed is lost")]
    Full,
    /// The disk reported an error.
    #[error("cannot read or write the state: {0}")]
    Disk(std::io::Error),
    /// Rows that the files can't hold: a bug of ours.
    #[error("cannot write the state: {0}")]
    Rows(String),
    /// The operating system gave too few threads.
    #[error("cannot start {workers} threads for commits: {problem}")]
    Workers {
        /// How many were asked for.
        workers: NonZeroUsize,
        /// What it said.
        problem: String,
    },
    /// The trie does not fit into the memory it may have.
    #[error("{0}; allow more memory for it")]
    TrieLimit(#[from] LimitTooLow),
    /// The state at that height is not kept, or not known yet.
    #[error(transparent)]
    UnknownHeight(#[from] UnknownHeight),
    /// An earlier write failed, so no further ones are taken.
    #[error("the state store takes no writes since one failed")]
    Poisoned,
    /// Heights are committed, sealed and flushed in order.
    #[error("unexpected height: given={given} expected={expected}")]
    UnexpectedHeight {
        /// Height given.
        given: u64,
        /// Height that comes next.
        expected: u64,
    },
    /// The newest height has no block yet.
    #[error("the newest height has no block yet: height={height}")]
    Unsealed {
        /// The newest height.
        height: u64,
    },
    /// The newest height has its block already.
    #[error("the height has a block already: height={height}")]
    AlreadySealed {
        /// The newest height.
        height: u64,
    },
}

impl From<RunsError> for StoreError {
    fn from(error: RunsError) -> Self {
        match error {
            RunsError::Locked => Self::Locked,
            RunsError::Full => Self::Full,
            RunsError::Poisoned => Self::Poisoned,
            RunsError::WrongVersion { stored, supported } => {
                Self::WrongFormat { stored, supported }
            }
            RunsError::Corrupt { file, offset, what } => {
                Self::Corrupt(Corruption::File { file, offset, what })
            }
            RunsError::Disk(error) => Self::Disk(error),
            // It was dropped since whoever asks looked.
            RunsError::NoHistory { asked, oldest } => Self::UnknownHeight(UnknownHeight {
                asked,
                oldest: oldest.unwrap_or(asked.saturating_add(1)),
                newest: u64::MAX,
            }),
            RunsError::Rows(_) => Self::Rows(error.to_string()),
        }
    }
}

/// How files are damaged.
#[derive(Debug, thiserror::Error)]
pub enum Corruption {
    /// A file is not what was written.
    #[error("file={file} offset={offset}: {what}")]
    File {
        /// Its name.
        file: String,
        /// Where the damaged part begins, in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A row reads back, but makes no sense.
    #[error("bad row: {kind}")]
    Row {
        /// What it should be.
        kind: &'static str,
    },
    /// The rows do not add up to the root stored with them.
    #[error("wrong state root height={height} stored={stored} computed={computed}")]
    Root {
        /// The flushed height.
        height: u64,
        /// The root in the files.
        stored: B256,
        /// The root of the rows.
        computed: B256,
    },
    /// The leaves of a part of the trie are not those that were written.
    #[error("wrong leaves: {0}")]
    Part(Missing),
    /// A slot belongs to no account.
    #[error("storage without an account key={account}")]
    OrphanStorage {
        /// Keccak of the account's address.
        account: B256,
    },
}

/// The state at that height is not kept, or not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no state at height={asked} oldest={oldest} newest={newest}")]
pub struct UnknownHeight {
    /// Height asked for.
    pub asked: u64,
    /// Lowest height kept.
    pub oldest: u64,
    /// Highest height known.
    pub newest: u64,
}
