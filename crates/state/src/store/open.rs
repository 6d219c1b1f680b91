//! Opening: from a file, or nothing, to a state in memory that is known to be right.
//!
//! ```text
//!   file ─lock─▶ checksums ─▶ genesis matches ─▶ rows ─▶ trie ─▶ root equals the stored one
//!     └─ empty: write the genesis first
//! ```
//!
//! A damaged file is an error, never a panic and never a wrong answer. Cost: one pass over the
//! file, and hashing every account and slot.

use super::WHOLE;
use super::error::{Corruption, StoreError};
use super::tables::{self, FORMAT, Flushed};
use super::{Location, chain::Batch};
use crate::diff::{AccountDiff, StateDiff};
use crate::genesis::{GenesisState, genesis_root};
use crate::sparse::{Changes, Lanes, SparseTrie};
use crate::versions::Versions;
use alloy_primitives::{Address, B256, U256};
use redb::{Builder, Database, DatabaseError};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// The file of a store in its directory.
const FILE_NAME: &str = "state.redb";
/// Its name until the genesis is in it.
const DRAFT_NAME: &str = "state.redb.new";

/// Accounts that are put into the trie at once.
const BATCH_ACCOUNTS: usize = 1 << 16;

/// The open file, and the state at its height.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) height: u64,
    /// Of the block at the height.
    pub(super) hash: B256,
    pub(super) versions: Versions,
    pub(super) trie: SparseTrie,
}

/// Opens the file, after making it if there is none.
pub(super) fn open(
    location: Location,
    genesis: &GenesisState,
    cache_bytes: usize,
) -> Result<Opened, StoreError> {
    match location {
        Location::Directory(directory) => open_directory(&directory, genesis, cache_bytes),
        Location::Memory(disk) => {
            let backend = disk.attach().ok_or(StoreError::Locked)?;
            let builder = builder_with(cache_bytes);
            checked(|| builder.create_with_backend(backend), genesis)
        }
    }
}

fn open_directory(
    directory: &Path,
    genesis: &GenesisState,
    cache_bytes: usize,
) -> Result<Opened, StoreError> {
    let mut maker = DirBuilder::new();
    maker.recursive(true).mode(0o700).create(directory)?;
    let (path, draft) = (directory.join(FILE_NAME), directory.join(DRAFT_NAME));
    let builder = builder_with(cache_bytes);
    if path.try_exists()? {
        return checked(|| builder.open(&path), genesis);
    }
    // Only a whole file gets the real name; what a death in between left behind is of no value.
    let opened = match checked(|| builder.create(&draft), genesis) {
        Err(StoreError::Corrupt(_) | StoreError::WrongGenesis { .. }) => {
            std::fs::remove_file(&draft)?;
            checked(|| builder.create(&draft), genesis)?
        }
        opened => opened?,
    };
    // The draft is ours, so its name is; but another process may just have been here.
    if path.try_exists()? {
        return Err(StoreError::Locked);
    }
    std::fs::rename(&draft, &path)?;
    File::open(directory)?.sync_all()?;
    Ok(opened)
}

/// Opens a file and loads it. The key-value store checks what it reads, but perhaps not against
/// every kind of damage, so that a panic in there counts as damage; nothing survives it.
fn checked(
    open: impl FnOnce() -> Result<Database, DatabaseError>,
    genesis: &GenesisState,
) -> Result<Opened, StoreError> {
    let attempt = AssertUnwindSafe(|| {
        let database = open().map_err(explain)?;
        load(database, genesis)
    });
    catch_unwind(attempt).unwrap_or(Err(StoreError::Corrupt(Corruption::Structure)))
}

fn builder_with(cache_bytes: usize) -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(cache_bytes)
        .set_check_integrity_on_open(true);
    builder
}

/// Checks the file against the genesis and its own root.
fn load(database: Database, genesis: &GenesisState) -> Result<Opened, StoreError> {
    let flushed = match tables::flushed(&database).map_err(corrupt)? {
        Some(flushed) => flushed,
        None => write_genesis(&database, genesis)?,
    };
    if flushed.format != FORMAT {
        return Err(StoreError::WrongFormat {
            stored: flushed.format,
            supported: FORMAT,
        });
    }
    let stored = tables::block_hash(&database, 0).map_err(corrupt)?;
    let stored = stored.ok_or(Corruption::NoGenesis)?;
    if stored != genesis.hash {
        return Err(StoreError::WrongGenesis {
            stored,
            given: genesis.hash,
        });
    }
    let (height, hash) = (flushed.height, flushed.hash);
    let (versions, trie) = build(&database, height)?;
    let root = trie.root();
    if *root != flushed.root {
        return Err(StoreError::Corrupt(Corruption::Root {
            height: flushed.height,
            stored: flushed.root,
            computed: *root,
        }));
    }
    Ok(Opened {
        database,
        height,
        hash,
        versions,
        trie,
    })
}

fn write_genesis(database: &Database, genesis: &GenesisState) -> Result<Flushed, StoreError> {
    let batch = Batch {
        height: 0,
        root: genesis_root(&genesis.alloc),
        blocks: vec![(Arc::new(genesis.diff()), Arc::new(genesis.record()))],
    };
    tables::write(database, &batch).map_err(Box::new)?;
    Ok(Flushed {
        format: FORMAT,
        height: 0,
        root: *batch.root,
        hash: genesis.hash,
    })
}

/// The values of all rows, and the trie over them.
fn build(database: &Database, height: u64) -> Result<(Versions, SparseTrie), StoreError> {
    let rows = tables::Rows::open(database).map_err(corrupt)?;
    let mut slots = rows.storage().map_err(corrupt)?.peekable();
    let (versions, mut trie) = (Versions::new(), SparseTrie::new(Lanes::Widest));
    let mut batch = StateDiff::default();
    let mut put = |batch: &mut StateDiff| {
        let batch = std::mem::take(batch);
        versions.insert(height, &batch);
        trie.apply(&Changes::of(&batch, Lanes::Widest), None)
            .expect(WHOLE);
    };
    for row in rows.accounts().map_err(corrupt)? {
        let (address, account) = row.map_err(corrupt)?;
        let storage = slots_of(address, &mut slots)?.into_iter().collect();
        let change = AccountDiff {
            account: Some(account),
            storage_wiped: false,
            storage,
        };
        batch.accounts.insert(address, change);
        if batch.accounts.len() >= BATCH_ACCOUNTS {
            put(&mut batch);
        }
    }
    put(&mut batch);
    match slots.next() {
        Some(row) => {
            let (address, ..) = row.map_err(corrupt)?;
            Err(Corruption::OrphanStorage { address }.into())
        }
        None => Ok((versions, trie)),
    }
}

type SlotRow = Result<tables::SlotOf, redb::Error>;
type Slots = Vec<(U256, U256)>;

/// Takes the slots of one account off the sorted rows.
fn slots_of(
    address: Address,
    rows: &mut std::iter::Peekable<impl Iterator<Item = SlotRow>>,
) -> Result<Slots, StoreError> {
    let mut slots = Vec::new();
    let mine = |row: &SlotRow| row.as_ref().map_or(true, |(owner, ..)| *owner <= address);
    while let Some(row) = rows.next_if(mine) {
        let (owner, slot, value) = row.map_err(corrupt)?;
        if owner != address {
            return Err(Corruption::OrphanStorage { address: owner }.into());
        }
        slots.push((slot, value));
    }
    Ok(slots)
}

fn explain(error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::Locked,
        other => corrupt(other.into()),
    }
}

/// An error met while opening, told apart from a failing disk.
fn corrupt(error: redb::Error) -> StoreError {
    let damaged = match &error {
        redb::Error::Io(io) => matches!(
            io.kind(),
            std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
        ),
        redb::Error::PreviousIo => false,
        _ => true,
    };
    match damaged {
        true => StoreError::Corrupt(Corruption::File(Box::new(error))),
        false => StoreError::Disk(Box::new(error)),
    }
}
