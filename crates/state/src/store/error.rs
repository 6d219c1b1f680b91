//! What can go wrong in the store: all of it our fault or our disk's, none a peer's.

use alloy_primitives::{Address, B256};

/// The store can't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another store in this one, has the file open.
    #[error("the state file is in use by another process")]
    Locked,
    /// The file belongs to a chain with another genesis.
    #[error("the state file is of another chain: stored={stored} given={given}")]
    WrongGenesis {
        /// Genesis hash in the file.
        stored: B256,
        /// Genesis hash asked for.
        given: B256,
    },
    /// Another version of this program wrote the file.
    #[error("the state file is of another format: stored={stored} supported={supported}")]
    WrongFormat {
        /// Format of the file.
        stored: u32,
        /// The only one this version reads.
        supported: u32,
    },
    /// The file is damaged.
    #[error(
        "the state file is damaged: {0}; remove it and the node builds it again from its blocks"
    )]
    Corrupt(#[from] Corruption),
    /// The directory can't be made or read.
    #[error("cannot open the state directory: {0}")]
    Directory(#[from] std::io::Error),
    /// The key-value store reported an error.
    #[error("cannot read or write the state file: {0}")]
    Disk(#[from] Box<redb::Error>),
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

/// How a file is damaged.
#[derive(Debug, thiserror::Error)]
pub enum Corruption {
    /// The key-value store says so.
    #[error("{0}")]
    File(Box<redb::Error>),
    /// The key-value store panicked over it.
    #[error("its structure is inconsistent")]
    Structure,
    /// The rows do not add up to the root stored with them.
    #[error("wrong state root height={height} stored={stored} computed={computed}")]
    Root {
        /// The flushed height.
        height: u64,
        /// The root in the file.
        stored: B256,
        /// The root of the rows.
        computed: B256,
    },
    /// A slot belongs to no account.
    #[error("storage without an account address={address}")]
    OrphanStorage {
        /// The address in the slot's key.
        address: Address,
    },
    /// The genesis block is missing.
    #[error("no genesis block")]
    NoGenesis,
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
