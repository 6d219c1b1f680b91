//! Rows on disk: sorted, immutable files, and a manifest that says which of them count.
//!
//! ```text
//!   batch ─▶ one run per family ─sync─▶ manifest, renamed into place ─▶ view of the new moment
//!                                           ▲
//!   neighbouring runs ─ merge, in background ┘ (the old files go; whoever reads them goes on)
//! ```
//!
//! One writes, many read. There is no journal: a batch that was not committed is made again from
//! the blocks of the chain.
//!
//! Invariants:
//! - After a crash at any point the store is as before a batch or as after it, whole; after
//!   [`Runs::commit`] has returned, as after it. What does not count is deleted when it is opened.
//! - Every byte that is read has a checksum that the manifest vouches for, step by step. Damage is an
//!   error with a file and an offset: never a panic, never another value.
//! - A view never changes.
//! - A failed write poisons the store for further writes; reads go on.
//!
//! Limits: keys of 247 bytes, values of 256 MiB, a batch in memory. About two bytes a key are in
//! memory, for filters and indexes. Each run is an open file. A commit waits while there are more
//! than [`Config::runs_max`] runs in a family and they can be merged.

mod block;
mod codec;
mod error;
mod filter;
mod hash;
mod index;
mod manifest;
mod merge;
mod merged;
mod policy;
mod rows;
mod run;
mod shared;
mod view;
mod writer;

pub(crate) use error::{RowsError, RunsError};
pub(crate) use policy::Policy;
pub(crate) use rows::{Batch, Family, Heights, Rows};
pub(crate) use view::View;

use crate::disk::Disk;
use shared::Shared;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

/// The only writer of a store, and where views come from.
#[derive(Debug)]
pub(crate) struct Runs {
    shared: Arc<Shared>,
    /// Held by whoever commits.
    committing: Mutex<()>,
    merger: Option<JoinHandle<()>>,
}

/// Who merges runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// A thread of the store's own.
    Background,
    /// Whoever commits, before the commit returns: no threads, the same order each time.
    Inline,
}

/// The store's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Who merges.
    pub(crate) merge: Merge,
    /// When.
    pub(crate) policy: Policy,
    /// Runs of a family beyond which commits wait for a merge.
    pub(crate) runs_max: usize,
    /// Bytes of a block of rows.
    pub(crate) block_bytes: usize,
    /// Bytes of a block in the family of blocks, whose rows are larger and never overridden.
    pub(crate) large_block_bytes: usize,
}

impl Config {
    /// The limits of a node.
    pub(crate) fn new(merge: Merge) -> Self {
        Self {
            merge,
            policy: Policy {
                fan_in: 8,
                piece_bytes_max: 256 << 20,
            },
            runs_max: 64,
            block_bytes: 4 << 10,
            large_block_bytes: 32 << 10,
        }
    }

    /// Limits that a few rows reach.
    #[cfg(test)]
    pub(crate) fn small(merge: Merge) -> Self {
        Self {
            merge,
            policy: Policy {
                fan_in: 2,
                piece_bytes_max: 4 << 10,
            },
            runs_max: 4,
            block_bytes: 200,
            large_block_bytes: 400,
        }
    }
}

impl Runs {
    /// Opens the store on a disk, or makes an empty one with an empty marker.
    pub(crate) fn open(disk: Disk, config: Config) -> Result<(Self, View), RunsError> {
        let shared = Arc::new(Shared::open(disk, config)?);
        let merger = match config.merge {
            Merge::Inline => None,
            Merge::Background => {
                let (thread, shared) = (thread::Builder::new(), Arc::clone(&shared));
                let thread = thread.name("runs-merger".to_owned());
                Some(thread.spawn(move || shared.merge_all(true))?)
            }
        };
        let view = shared.view();
        let runs = Self {
            shared,
            committing: Mutex::new(()),
            merger,
        };
        Ok((runs, view))
    }

    /// Opens the store on a disk as an empty one, whatever was in it.
    pub(crate) fn erase(disk: Disk, config: Config) -> Result<(Self, View), RunsError> {
        manifest::forget(&disk)?;
        Self::open(disk, config)
    }

    /// Writes a batch, durably, all or nothing.
    ///
    /// After an error of the disk, here or in a merge, no more batches are taken. A batch whose
    /// rows can't be taken changes nothing.
    pub(crate) fn commit(&self, batch: &Batch) -> Result<(), RunsError> {
        let turn = self.committing.lock();
        let _turn = turn.expect("nothing panics while it commits");
        self.shared.commit(batch)?;
        if self.merger.is_none() {
            self.shared.merge_all(false);
        }
        Ok(())
    }

    /// Makes an empty disk a copy of the last batch's moment.
    pub(crate) fn copy_to(&self, disk: &Disk) -> Result<(), RunsError> {
        self.shared.copy_to(disk)
    }

    /// The last batch's moment.
    pub(crate) fn view(&self) -> View {
        self.shared.view()
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        self.shared.close();
        // A merge that panicked has no more to do, and this is no place to panic again.
        drop(self.merger.take().map(JoinHandle::join));
    }
}

#[cfg(test)]
mod tests;
