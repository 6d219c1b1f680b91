//! The heights in memory: pure bookkeeping, no I/O, no hashing.
//!
//! Contiguous from the oldest to the newest; never empty. An entry above the flushed height also
//! holds what the files lack.

use super::error::StoreError;
use crate::diff::StateDiff;
use crate::record::{BlockRecord, TransactionLocation};
use crate::root::StateRoot;
use crate::runs::View;
use crate::snapshot::StateAt;
use alloy_primitives::map::B256Map;
use alloy_primitives::{Address, B256, Bytes};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The heights from the oldest to the newest.
pub(super) struct Chain {
    entries: VecDeque<Entry>,
    flushed: u64,
    /// The files, at the flushed height.
    view: View,
    poisoned: bool,
}

/// One height.
pub(super) struct Entry {
    pub(super) state: Arc<StateAt>,
    /// What it wrote; empty for the one that was opened.
    pub(super) diff: Arc<StateDiff>,
    /// How many accounts and slots are in `diff`.
    writes: usize,
    /// Of the accounts in `diff` that have storage.
    storage_roots: Arc<StorageRoots>,
    /// Hash of the header, once sealed.
    pub(super) hash: Option<B256>,
    unflushed: Option<Unflushed>,
}

/// What the files do not have yet.
pub(super) struct Unflushed {
    sealed: Option<Arc<Sealed>>,
}

/// A block with an index of its transactions.
pub(super) struct Sealed {
    pub(super) record: Arc<BlockRecord>,
    indices: B256Map<u32>,
}

/// Roots of storage tries, by account.
pub(super) type StorageRoots = BTreeMap<Address, B256>;

/// What a block leaves behind.
pub(super) struct Written {
    pub(super) diff: Arc<StateDiff>,
    pub(super) storage_roots: Arc<StorageRoots>,
    pub(super) root: StateRoot,
    pub(super) record: Arc<BlockRecord>,
}

/// What one flush writes: one block or more, oldest first.
pub(super) struct Batch {
    pub(super) blocks: Vec<Written>,
}

/// What has been written since a height.
pub(super) struct Since {
    /// The height: the one asked for, or the flushed one if that is not in memory any more.
    pub(super) from: Arc<StateAt>,
    pub(super) newest: u64,
    /// Oldest first.
    pub(super) diffs: Vec<Arc<StateDiff>>,
    /// The files, at `from` if the height asked for is older.
    pub(super) view: View,
}

impl Sealed {
    pub(super) fn new(record: BlockRecord) -> Self {
        let hashes = record.transaction_hashes.iter();
        Self {
            indices: hashes
                .zip(0..)
                .map(|(hash, index)| (*hash, index))
                .collect(),
            record: Arc::new(record),
        }
    }
}

impl Chain {
    /// Starts from what the files hold.
    pub(super) fn new(state: StateAt, hash: B256, view: View) -> Self {
        Self {
            flushed: state.height,
            view,
            entries: VecDeque::from([Entry {
                state: Arc::new(state),
                diff: Arc::default(),
                writes: 0,
                storage_roots: Arc::default(),
                hash: Some(hash),
                unflushed: None,
            }]),
            poisoned: false,
        }
    }

    /// The files, at the flushed height.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    pub(super) fn flushed_height(&self) -> u64 {
        self.flushed
    }

    pub(super) fn newest_height(&self) -> u64 {
        self.newest().state.height
    }

    /// The oldest height in memory.
    fn first_height(&self) -> u64 {
        let first = self.entries.front().expect("the chain is never empty");
        first.state.height
    }

    /// The oldest height whose state can be read, from memory or from the files.
    pub(super) fn oldest_height(&self) -> u64 {
        let first = self.first_height();
        self.view
            .oldest_history()
            .map_or(first, |oldest| oldest.min(first))
    }

    pub(super) fn get(&self, height: u64) -> Option<&Entry> {
        let index = height.checked_sub(self.first_height())?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// Whether `height` is the next one, and may be added.
    pub(super) fn check_next(&self, height: u64) -> Result<(), StoreError> {
        self.check_writable()?;
        let newest = self.newest();
        let expected = self.newest_height() + 1;
        if height != expected {
            return Err(StoreError::UnexpectedHeight {
                given: height,
                expected,
            });
        }
        if newest.hash.is_none() {
            return Err(StoreError::Unsealed {
                height: newest.state.height,
            });
        }
        Ok(())
    }

    /// Adds the next height.
    pub(super) fn push(&mut self, state: StateAt, diff: StateDiff, storage_roots: StorageRoots) {
        self.entries.push_back(Entry {
            state: Arc::new(state),
            writes: diff.len(),
            diff: Arc::new(diff),
            storage_roots: Arc::new(storage_roots),
            hash: None,
            unflushed: Some(Unflushed { sealed: None }),
        });
    }

    /// Drops every height above this one: each with what it wrote, the newest first. None of them is in the files.
    pub(super) fn take_back(&mut self, height: u64) -> Vec<(u64, Arc<StateDiff>)> {
        let mut taken = Vec::new();
        while self.newest_height() > height.max(self.flushed)
            && let Some(entry) = self.entries.pop_back()
        {
            taken.push((entry.state.height, entry.diff));
        }
        taken
    }

    pub(super) fn seal(&mut self, sealed: Sealed) -> Result<(), StoreError> {
        self.check_writable()?;
        let (given, expected) = (sealed.record.height, self.newest_height());
        if given != expected {
            return Err(StoreError::UnexpectedHeight { given, expected });
        }
        let newest = self.entries.back_mut().expect("the chain is never empty");
        let Some(unflushed) = newest.unflushed.as_mut().filter(|_| newest.hash.is_none()) else {
            return Err(StoreError::AlreadySealed { height: expected });
        };
        newest.hash = Some(sealed.record.hash);
        unflushed.sealed = Some(Arc::new(sealed));
        Ok(())
    }

    /// What a flush up to `height` writes; `None` when the files have it already.
    pub(super) fn batch(&self, height: u64) -> Result<Option<Batch>, StoreError> {
        self.check_writable()?;
        if height <= self.flushed {
            return Ok(None);
        }
        if height > self.newest_height() {
            return Err(StoreError::UnexpectedHeight {
                given: height,
                expected: self.newest_height(),
            });
        }
        let mut blocks = Vec::new();
        for entry in self
            .unflushed()
            .filter(|(entry, _)| entry.state.height <= height)
        {
            let (entry, unflushed) = entry;
            let Some(sealed) = &unflushed.sealed else {
                return Err(StoreError::Unsealed {
                    height: entry.state.height,
                });
            };
            blocks.push(Written {
                diff: Arc::clone(&entry.diff),
                storage_roots: Arc::clone(&entry.storage_roots),
                root: entry.state.root,
                record: Arc::clone(&sealed.record),
            });
        }
        Ok(Some(Batch { blocks }))
    }

    /// Notes that the files are at `height` now.
    pub(super) fn flushed(&mut self, height: u64, view: View) -> Vec<Unflushed> {
        self.flushed = height;
        self.view = view;
        let written = self.entries.iter_mut();
        let written = written.take_while(|entry| entry.state.height <= height);
        written.filter_map(|entry| entry.unflushed.take()).collect()
    }

    /// Accounts and slots written up to a height that are not in the files.
    pub(super) fn unflushed_writes(&self, height: u64) -> usize {
        let unflushed = self.unflushed().map(|(entry, _)| entry);
        let unflushed = unflushed.filter(|entry| entry.state.height <= height);
        unflushed.map(|entry| entry.writes).sum()
    }

    pub(super) fn poison(&mut self) {
        self.poisoned = true;
    }

    pub(super) fn record(&self, height: u64) -> Option<Arc<BlockRecord>> {
        let unflushed = self.get(height)?.unflushed.as_ref()?;
        let sealed = unflushed.sealed.as_ref()?;
        Some(Arc::clone(&sealed.record))
    }

    pub(super) fn height_of_block(&self, hash: &B256) -> Option<u64> {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.hash == Some(*hash))?;
        Some(entry.state.height)
    }

    /// The last one, should a hash have occurred twice, as in the files.
    pub(super) fn transaction_location(&self, hash: &B256) -> Option<TransactionLocation> {
        self.unflushed().rev().find_map(|(entry, unflushed)| {
            let index = unflushed.sealed.as_ref()?.indices.get(hash)?;
            Some((entry.state.height, *index))
        })
    }

    pub(super) fn code(&self, code_hash: &B256) -> Option<Bytes> {
        self.unflushed()
            .find_map(|(entry, _)| entry.diff.code.get(code_hash).cloned())
    }

    fn newest(&self) -> &Entry {
        self.entries.back().expect("the chain is never empty")
    }

    /// The entries above the flushed height, oldest first.
    fn unflushed(&self) -> impl DoubleEndedIterator<Item = (&Entry, &Unflushed)> {
        let entries = self.entries.iter();
        entries.filter_map(|entry| Some((entry, entry.unflushed.as_ref()?)))
    }

    fn check_writable(&self) -> Result<(), StoreError> {
        match self.poisoned {
            true => Err(StoreError::Poisoned),
            false => Ok(()),
        }
    }

    /// What has been written since a height.
    pub(super) fn since(&self, height: u64) -> Since {
        let from = self.get(height).or_else(|| self.get(self.flushed));
        let from = from.expect("the flushed height is in memory");
        let later = self.entries.iter();
        let later = later.filter(|entry| entry.state.height > from.state.height);
        Since {
            from: Arc::clone(&from.state),
            newest: self.newest_height(),
            diffs: later.map(|entry| Arc::clone(&entry.diff)).collect(),
            view: self.view.clone(),
        }
    }

    /// Drops the oldest height if it is older than the history reaches and nobody reads it; the one
    /// that is the oldest then, and what it wrote.
    pub(super) fn trim(&mut self, memory_blocks: u64) -> Option<(u64, Arc<StateDiff>)> {
        let keep_from = self.newest_height().saturating_sub(memory_blocks);
        let keep_from = keep_from.min(self.flushed);
        let oldest = self.entries.front()?;
        let is_read = Arc::strong_count(&oldest.state) > 1;
        if oldest.state.height >= keep_from || is_read {
            return None;
        }
        self.entries.pop_front();
        let oldest = self.entries.front()?;
        Some((oldest.state.height, Arc::clone(&oldest.diff)))
    }
}
