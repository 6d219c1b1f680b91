//! Opening: from files, or nothing, to a state in memory that is known to be right.
//!
//! ```text
//!   files ─lock─▶ checksums ─▶ genesis matches ─▶ rows ─▶ trie ─▶ root equals the stored one
//!     └─ empty: write the genesis first
//! ```
//!
//! A damaged file is an error, never a panic and never a wrong answer. Cost: one pass over the rows of
//! the state, with the values read on one thread and the trie built on another.

use super::Location;
use super::batch;
use super::chain::{Batch, Written};
use super::error::{Corruption, StoreError};
use super::files::{bad_row, decode_account};
use super::marker::Marker;
use super::rows::{ACCOUNTS, SLOTS, StateKey, decode_slot};
use crate::disk::Disk;
use crate::genesis::{GenesisState, genesis_root};
use crate::runs::{Config, Family, Merge, Runs, RunsError, View};
use crate::sparse::{AccountChange, Changes, Lanes, SlotWrite, SparseTrie};
use crate::versions::Versions;
use alloy_primitives::{B256, U256};
use std::io::ErrorKind;
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// The folder of a store in its directory.
const FOLDER_NAME: &str = "state";
/// What earlier builds kept the state in.
const EARLIER_FILE_NAME: &str = "state.redb";
/// Accounts and slots that are put into the trie at once.
const BATCH_LEAVES: usize = 1 << 16;
/// Such batches that may wait for the trie.
const BATCHES_WAITING: usize = 4;

/// The open files, and the state at their height.
pub(super) struct Opened {
    pub(super) runs: Runs,
    pub(super) view: View,
    pub(super) marker: Marker,
    pub(super) versions: Versions,
    pub(super) trie: SparseTrie,
}

/// Opens the files, after making them if there are none.
pub(super) fn open(
    location: Location,
    genesis: &GenesisState,
    trie_bytes_max: Option<usize>,
) -> Result<Opened, StoreError> {
    let (runs, view) = runs(location)?;
    let (view, marker) = match view.marker() {
        [] => {
            let marker = write_genesis(&runs, genesis)?;
            (runs.view(), marker)
        }
        stored => {
            let marker = Marker::decode(stored)?;
            (view, marker)
        }
    };
    marker.require(genesis.hash)?;
    if marker.is_importing {
        return Err(StoreError::Importing);
    }
    let (versions, trie) = build(&view, marker.height, trie_bytes_max)?;
    let root = trie.root();
    if *root != marker.root {
        return Err(StoreError::Corrupt(Corruption::Root {
            height: marker.height,
            stored: marker.root,
            computed: *root,
        }));
    }
    Ok(Opened {
        runs,
        view,
        marker,
        versions,
        trie,
    })
}

/// Opens the files themselves, whatever is in them.
pub(super) fn runs(location: Location) -> Result<(Runs, View), StoreError> {
    let (disk, config) = disk(location)?;
    Ok(Runs::open(disk, config)?)
}

/// Opens the files as if there were none.
pub(super) fn erase(location: Location) -> Result<(Runs, View), StoreError> {
    let (disk, config) = disk(location)?;
    Ok(Runs::erase(disk, config)?)
}

pub(super) fn disk(location: Location) -> Result<(Disk, Config), StoreError> {
    let (disk, merge) = match location {
        Location::Directory(directory) => {
            let earlier = directory.join(EARLIER_FILE_NAME);
            if earlier.try_exists()? {
                return Err(StoreError::EarlierFormat { file: earlier });
            }
            let disk = Disk::directory(&directory.join(FOLDER_NAME));
            (disk, Merge::Background)
        }
        Location::Memory(disk) => (Disk::memory(&disk), Merge::Inline),
    };
    let disk = disk.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => StoreError::Locked,
        _ => StoreError::Directory(error),
    })?;
    Ok((disk, Config::new(merge)))
}

fn write_genesis(runs: &Runs, genesis: &GenesisState) -> Result<Marker, StoreError> {
    let (diff, root) = (genesis.diff(), genesis_root(&genesis.alloc));
    let trie = SparseTrie::of(&Changes::of(&diff, Lanes::Widest));
    let storage_roots = super::storage_roots(&trie, diff.accounts.keys());
    let batch = Batch {
        blocks: vec![Written {
            diff: Arc::new(diff),
            storage_roots: Arc::new(storage_roots),
            root,
            record: Arc::new(genesis.record()),
        }],
    };
    let marker = Marker::new(0, root, genesis.hash, genesis.hash);
    let rows = batch::rows(&batch, &marker, &Versions::new(), None).map_err(RunsError::from)?;
    runs.commit(&rows)?;
    Ok(marker)
}

/// The values of all rows, and the trie over them, or as much of it as may be in memory.
fn build(
    view: &View,
    height: u64,
    trie_bytes_max: Option<usize>,
) -> Result<(Versions, SparseTrie), StoreError> {
    let versions = Versions::new();
    let (batches, received) = sync_channel::<Vec<AccountChange>>(BATCHES_WAITING);
    std::thread::scope(|scope| {
        let built = scope.spawn(|| build_trie(received, trie_bytes_max));
        let read = read(view, height, &versions, batches);
        let trie = built.join();
        let trie = trie.expect("building a trie from rows does not panic");
        read?;
        trie.map(|trie| (versions, trie))
    })
}

/// The trie over the accounts of these batches, which come in the order of their keys.
fn build_trie(
    batches: Receiver<Vec<AccountChange>>,
    bytes_max: Option<usize>,
) -> Result<SparseTrie, StoreError> {
    let mut trie = SparseTrie::new(Lanes::Widest);
    for batch in batches {
        let epoch = trie.advance_epoch();
        let applied = trie.apply(&Changes::new(batch), None);
        applied.expect("keys come in order, and what the last ones needed stays");
        if let Some(most) = bytes_max.filter(|most| trie.bytes() > *most) {
            // The next keys go below nodes that were written last; too much of those goes in the end.
            trie.shrink(most - most / 8, epoch.saturating_sub(1)).ok();
        }
    }
    if let Some(most) = bytes_max {
        trie.shrink(most, u32::MAX)?;
    }
    Ok(trie)
}

/// Reads every account with its slots into `versions`, and gives them on in batches.
fn read(
    view: &View,
    height: u64,
    versions: &Versions,
    batches: SyncSender<Vec<AccountChange>>,
) -> Result<(), StoreError> {
    let mut slots = rows_of(view, SLOTS).peekable();
    let (mut batch, mut leaves) = (Vec::new(), 0);
    for row in rows_of(view, ACCOUNTS) {
        let (key, value) = row?;
        let Some(StateKey::Account(key)) = StateKey::parse(&key) else {
            return Err(bad_row("account key"));
        };
        let value = decode_account(&value)?;
        let (writes, own) = slots_of(key, &mut slots)?;
        versions.load(height, value.address, value.account, &own);
        leaves += 1 + writes.len();
        batch.push(AccountChange {
            key,
            account: Some(value.account),
            storage_wiped: false,
            slots: writes,
        });
        if leaves >= BATCH_LEAVES {
            leaves = 0;
            // The other end lives until this one is dropped.
            drop(batches.send(std::mem::take(&mut batch)));
        }
    }
    drop(batches.send(batch));
    match slots.next() {
        Some(row) => match StateKey::parse(&row?.0) {
            Some(StateKey::Slot(account, _)) => Err(Corruption::OrphanStorage { account }.into()),
            Some(StateKey::Account(_)) | None => Err(bad_row("slot key")),
        },
        None => Ok(()),
    }
}

type Row = Result<(Vec<u8>, Vec<u8>), RunsError>;
/// Slots for a trie, and for values.
type Slots = (Vec<SlotWrite>, Vec<(U256, U256)>);

fn rows_of(view: &View, (first, end): (&[u8], &[u8])) -> impl Iterator<Item = Row> + use<> {
    view.range(Family::State, first, Some(end))
}

/// Takes the slots of one account off the sorted rows.
fn slots_of(
    owner: B256,
    rows: &mut Peekable<impl Iterator<Item = Row>>,
) -> Result<Slots, StoreError> {
    let (mut writes, mut values) = (Vec::new(), Vec::new());
    let mine = |row: &Row| match row.as_ref().map(|(key, _)| StateKey::parse(key)) {
        Ok(Some(StateKey::Slot(account, _))) => account <= owner,
        Ok(Some(StateKey::Account(_)) | None) | Err(_) => true,
    };
    while let Some(row) = rows.next_if(mine) {
        let (key, value) = row?;
        let Some(StateKey::Slot(account, key)) = StateKey::parse(&key) else {
            return Err(bad_row("slot key"));
        };
        if account != owner {
            return Err(Corruption::OrphanStorage { account }.into());
        }
        let (slot, value) = decode_slot(&value).ok_or_else(|| bad_row("slot"))?;
        writes.push(SlotWrite { key, value });
        values.push((slot, value));
    }
    Ok((writes, values))
}
