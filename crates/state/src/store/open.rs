//! Opening: from a file, or nothing, to a state in memory that is known to be right.
//!
//! ```text
//!   file ─lock─▶ checksums ─▶ genesis matches ─▶ rows ─▶ trie ─▶ root equals the stored one
//!     └─ empty: write the genesis first
//! ```
//!
//! A damaged file is an error, never a panic and never a wrong answer. Cost: one pass over the
//! file, and hashing every account and slot.

use super::error::{Corruption, StoreError};
use super::tables::{self, FORMAT, Head};
use super::{Location, chain::Batch};
use crate::disk::MemoryDisk;
use crate::genesis::{GenesisState, genesis_root};
use crate::snapshot::StateAt;
use crate::trie::StateTrie;
use alloy_primitives::{Address, B256, U256};
use redb::{Builder, Database, DatabaseError};
use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

/// The file of a store in its directory.
const FILE_NAME: &str = "state.redb";

/// The file, and the state and block hash at its height.
pub(super) fn open(
    location: Location,
    genesis: &GenesisState,
    cache_bytes: usize,
) -> Result<(Database, (StateAt, B256)), StoreError> {
    // The key-value store checks what it reads, but not against every kind of damage. Nothing
    // survives such a panic: the half-open file is dropped with the closure.
    let attempt = AssertUnwindSafe(|| {
        let database = match location {
            Location::Directory(directory) => open_directory(&directory, cache_bytes)?,
            Location::Memory(disk) => open_memory(&disk, cache_bytes)?,
        };
        let tip = load(&database, genesis)?;
        Ok((database, tip))
    });
    catch_unwind(attempt).unwrap_or(Err(StoreError::Corrupt(Corruption::Structure)))
}

fn open_directory(directory: &Path, cache_bytes: usize) -> Result<Database, StoreError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(directory)?;
    let database = builder_with(cache_bytes).create(directory.join(FILE_NAME));
    let database = database.map_err(explain)?;
    // The file's name must survive a power failure as well as its content.
    File::open(directory)?.sync_all()?;
    Ok(database)
}

fn open_memory(disk: &MemoryDisk, cache_bytes: usize) -> Result<Database, StoreError> {
    let backend = disk.attach().ok_or(StoreError::Locked)?;
    builder_with(cache_bytes)
        .create_with_backend(backend)
        .map_err(explain)
}

fn builder_with(cache_bytes: usize) -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(cache_bytes)
        .set_check_integrity_on_open(true);
    builder
}

/// Checks the file against the genesis and its own root.
fn load(database: &Database, genesis: &GenesisState) -> Result<(StateAt, B256), StoreError> {
    let head = match tables::head(database).map_err(corrupt)? {
        Some(head) => head,
        None => write_genesis(database, genesis)?,
    };
    if head.format != FORMAT {
        return Err(StoreError::WrongFormat {
            stored: head.format,
            supported: FORMAT,
        });
    }
    let stored = tables::block_hash(database, 0).map_err(corrupt)?;
    let stored = stored.ok_or(Corruption::NoGenesis)?;
    if stored != genesis.hash {
        return Err(StoreError::WrongGenesis {
            stored,
            given: genesis.hash,
        });
    }
    let trie = build(database)?;
    let root = trie.root();
    if *root != head.root {
        return Err(StoreError::Corrupt(Corruption::Root {
            height: head.height,
            stored: head.root,
            computed: *root,
        }));
    }
    let height = head.height;
    Ok((StateAt { height, trie, root }, head.hash))
}

fn write_genesis(database: &Database, genesis: &GenesisState) -> Result<Head, StoreError> {
    let batch = Batch {
        height: 0,
        root: genesis_root(&genesis.alloc),
        blocks: vec![(Arc::new(genesis.diff()), Arc::new(genesis.record()))],
    };
    tables::write(database, &batch).map_err(Box::new)?;
    Ok(Head {
        format: FORMAT,
        height: 0,
        root: *batch.root,
        hash: genesis.hash,
    })
}

/// The trie over all rows.
fn build(database: &Database) -> Result<StateTrie, StoreError> {
    let rows = tables::Rows::open(database).map_err(corrupt)?;
    let mut slots = rows.storage().map_err(corrupt)?.peekable();
    let mut fault = None;
    let accounts = rows.accounts().map_err(corrupt)?.map_while(|row| {
        let row = row.map_err(corrupt).and_then(|(address, account)| {
            let slots = slots_of(address, &mut slots)?;
            Ok((address, account, slots))
        });
        row.map_err(|error| fault = Some(error)).ok()
    });
    let trie = StateTrie::build(accounts);
    match (fault, slots.next()) {
        (Some(error), _) => Err(error),
        (None, Some(row)) => {
            let (address, ..) = row.map_err(corrupt)?;
            Err(Corruption::OrphanStorage { address }.into())
        }
        (None, None) => Ok(trie),
    }
}

type SlotRow = Result<(Address, U256, U256), redb::Error>;

/// Takes the slots of one account off the sorted rows.
fn slots_of(
    address: Address,
    rows: &mut std::iter::Peekable<impl Iterator<Item = SlotRow>>,
) -> Result<Vec<(U256, U256)>, StoreError> {
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
