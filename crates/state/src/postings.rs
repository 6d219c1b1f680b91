//! Which transactions an address or a log's topic is in: an inverted index over executed blocks.
//!
//! ```text
//!   block ─▶ (key, height, transaction) … ─sort─▶ rows of a batch ─▶ runs
//!
//!   row     key (17 bytes) ‖ !last height      newest first
//!   value   (height, how many, transactions …) …    differences, as variable-length numbers
//! ```
//!
//! It is derived from the blocks and can be made anew from them: files that can't be used are erased, and so
//! are those of another chain. It has every height from [`Postings::first_height`] on,
//! below [`Postings::next_height`], whole batches of them; above that, whoever asks looks into the blocks.
//!
//! A key is folded to 16 bytes, so a posting says "look there", not "it is there": two keys may share one
//! row. Whoever asks compares what is found.
//!
//! Limits: a batch spans [`SPAN_MAX`] heights and is in memory; an answer is as long as its caller allows.

mod row;
#[cfg(test)]
mod tests;

use crate::disk::Disk;
use crate::record::TransactionLocation;
use crate::runs::{self, Config, Family, Merge, Runs, RunsError, View};
use crate::store::Location;
use alloy_primitives::{Address, B256};
use row::{ROW_KEY_BYTES, RowKey, put_group, take_groups};
use std::ops::RangeInclusive;
use std::sync::{PoisonError, RwLock};

/// Most heights of one batch.
pub const SPAN_MAX: u64 = 1_024;
/// The folder of the index in its directory.
const FOLDER_NAME: &str = "postings";
/// The form of the files; another one is made anew.
const FORMAT: u32 = 1;
const MARKER_BYTES: usize = 4 + 32 + 8 + 8;

/// What can be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PostingKey {
    /// A transaction's sender, recipient or created contract.
    Account(Address),
    /// The contract that a log is of.
    Emitter(Address),
    /// A log's topic at a position, 0 to 3.
    Topic(u8, B256),
}

/// A height, an index in its block, and something that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Posting {
    key: RowKey,
    height: u64,
    transaction: u32,
}

/// What the next heights add.
#[derive(Clone, Debug, Default)]
pub struct PostingsBatch {
    postings: Vec<Posting>,
}

impl PostingsBatch {
    /// Says that a transaction of a block has to do with something.
    pub fn add(&mut self, key: PostingKey, (height, transaction): TransactionLocation) {
        self.postings.push(Posting {
            key: RowKey::of(&key),
            height,
            transaction,
        });
    }

    /// How many postings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.postings.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.postings.is_empty()
    }
}

/// Why the index can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PostingsError {
    /// Another process has the files open.
    #[error("the index is in use by another process")]
    Locked,
    /// The disk reported an error, or the files are damaged.
    #[error(
        "cannot read or write the index: {0}; remove the folder `postings`, and the node builds it again"
    )]
    Files(String),
    /// More postings than the caller wants to read.
    #[error("too many postings")]
    TooMany,
    /// Heights are added in order, at most [`SPAN_MAX`] at a time.
    #[error("unexpected heights for the index: first={first} last={last} expected={expected}")]
    Heights {
        /// The first that was given.
        first: u64,
        /// The last that was given.
        last: u64,
        /// The height that comes next.
        expected: u64,
    },
}

impl From<RunsError> for PostingsError {
    fn from(error: RunsError) -> Self {
        match error {
            RunsError::Locked => Self::Locked,
            other => Self::Files(other.to_string()),
        }
    }
}

/// The index. One thread appends, everybody reads.
#[derive(Debug)]
pub struct Postings {
    runs: Runs,
    marker: RwLock<Marker>,
}

/// Which heights of which chain the files have: from `first` on, below `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Marker {
    genesis: B256,
    first: u64,
    next: u64,
}

impl Marker {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MARKER_BYTES);
        bytes.extend(FORMAT.to_be_bytes());
        bytes.extend(self.genesis);
        bytes.extend(self.first.to_be_bytes());
        bytes.extend(self.next.to_be_bytes());
        bytes
    }

    /// `None` for what another version wrote.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let (format, rest) = bytes.split_first_chunk()?;
        let (genesis, rest) = rest.split_first_chunk::<32>()?;
        let (first, rest) = rest.split_first_chunk()?;
        let (next, rest) = rest.split_first_chunk()?;
        let is_ours = u32::from_be_bytes(*format) == FORMAT && rest.is_empty();
        is_ours.then(|| Self {
            genesis: (*genesis).into(),
            first: u64::from_be_bytes(*first),
            next: u64::from_be_bytes(*next),
        })
    }
}

impl Postings {
    /// Opens the index of a chain that begins at a height, or makes an empty one, also in place of files that
    /// can't be used or are of another chain.
    ///
    /// # Errors
    /// When another process has it, and when the disk fails.
    pub fn open(location: &Location, genesis: B256, first: u64) -> Result<Self, PostingsError> {
        let empty = Marker {
            genesis,
            first,
            next: first,
        };
        let usable = |view: &View| {
            Marker::decode(view.marker())
                .filter(|marker| marker.genesis == genesis && marker.first == first)
        };
        match Runs::open(disk(location)?, config(location)) {
            Ok((runs, view)) => {
                if let Some(marker) =
                    usable(&view).or_else(|| view.marker().is_empty().then_some(empty))
                {
                    return Ok(Self::new(runs, marker));
                }
            }
            Err(error @ (RunsError::Locked | RunsError::Full | RunsError::Disk(_))) => {
                return Err(error.into());
            }
            Err(_) => {}
        }
        let (runs, _) = Runs::erase(disk(location)?, config(location))?;
        Ok(Self::new(runs, empty))
    }

    const fn new(runs: Runs, marker: Marker) -> Self {
        Self {
            runs,
            marker: RwLock::new(marker),
        }
    }

    fn marker(&self) -> Marker {
        *self.marker.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lowest height it has, once it has any.
    #[must_use]
    pub fn first_height(&self) -> u64 {
        self.marker().first
    }

    /// The height that comes next: all from the first up to it, without it, are here.
    #[must_use]
    pub fn next_height(&self) -> u64 {
        self.marker().next
    }

    /// Bytes of the files.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        self.runs.view().disk_bytes()
    }

    /// Adds the next heights, up to `last`, durably and all at once.
    ///
    /// # Errors
    /// When they are not the next ones, and when the disk fails.
    pub fn append(&self, mut batch: PostingsBatch, last: u64) -> Result<(), PostingsError> {
        let marker = self.marker();
        batch.postings.sort_unstable();
        batch.postings.dedup();
        check(&batch, &marker, last)?;
        let marker = Marker {
            next: last.saturating_add(1),
            ..marker
        };
        let mut written = runs::Batch::new(marker.encode());
        let rows = written.rows(Family::Index);
        let mut value = Vec::new();
        for same in batch.postings.chunk_by(|one, next| one.key == next.key) {
            let (Some(first), Some(end)) = (same.first(), same.last()) else {
                continue;
            };
            value.clear();
            let mut before = 0;
            for group in same.chunk_by(|one, next| one.height == next.height) {
                let height = group[0].height;
                let transactions = group.iter().map(|posting| posting.transaction);
                put_group(&mut value, height.saturating_sub(before), transactions);
                before = height;
            }
            let key = first.key.with_last(end.height);
            rows.put(&key, &value).map_err(RunsError::from)?;
        }
        self.runs.commit(&written)?;
        *self.marker.write().unwrap_or_else(PoisonError::into_inner) = marker;
        Ok(())
    }

    /// In which of these heights a key is, oldest first; none of what is not indexed. `budget` is how many
    /// postings may be read, and what is left of it afterwards.
    ///
    /// # Errors
    /// When the budget does not suffice, and when the files can't be read.
    pub fn heights(
        &self,
        key: &PostingKey,
        heights: RangeInclusive<u64>,
        budget: &mut usize,
    ) -> Result<Vec<u64>, PostingsError> {
        let mut found = Vec::new();
        let mut has_budget = true;
        self.newest_first(key, (*heights.end(), u32::MAX), |(height, _)| {
            if height < *heights.start() {
                return false;
            }
            has_budget = *budget > 0;
            if !has_budget {
                return false;
            }
            *budget -= 1;
            if found.last() != Some(&height) {
                found.push(height);
            }
            true
        })?;
        if !has_budget {
            return Err(PostingsError::TooMany);
        }
        found.reverse();
        Ok(found)
    }

    /// The newest places of a key up to and with one, newest first, at most so many.
    ///
    /// # Errors
    /// When the files can't be read.
    pub fn newest(
        &self,
        key: &PostingKey,
        up_to: TransactionLocation,
        count_max: usize,
    ) -> Result<Vec<TransactionLocation>, PostingsError> {
        let mut found = Vec::new();
        self.newest_first(key, up_to, |location| {
            let has_room = found.len() < count_max;
            if has_room {
                found.push(location);
            }
            has_room
        })?;
        Ok(found)
    }

    /// Calls `take` with each place up to one, newest first, until it says no.
    fn newest_first(
        &self,
        key: &PostingKey,
        up_to: TransactionLocation,
        mut take: impl FnMut(TransactionLocation) -> bool,
    ) -> Result<(), PostingsError> {
        let key = RowKey::of(key);
        // A row lies at its last height: one that begins below `up_to` may end a batch above it.
        let from = key.with_last(up_to.0.saturating_add(SPAN_MAX));
        let to = key.end();
        let view = self.runs.view();
        let mut rows = view.range(Family::Index, &from, Some(&to));
        let mut groups = Vec::new();
        while let Some((row_key, value)) = rows.next_row()? {
            if row_key.len() != ROW_KEY_BYTES || !take_groups(value, &mut groups) {
                return Err(PostingsError::Files("a row makes no sense".to_owned()));
            }
            let is_done = groups
                .drain(..)
                .rev()
                .any(|location| location <= up_to && !take(location));
            if is_done {
                break;
            }
        }
        Ok(())
    }
}

fn check(batch: &PostingsBatch, marker: &Marker, last: u64) -> Result<(), PostingsError> {
    let heights = batch.postings.iter().map(|posting| posting.height);
    let lowest = heights.clone().min().unwrap_or(marker.next);
    let highest = heights.max().unwrap_or(last);
    let is_next = (marker.next..marker.next.saturating_add(SPAN_MAX)).contains(&last);
    if is_next && lowest >= marker.next && highest <= last {
        return Ok(());
    }
    Err(PostingsError::Heights {
        first: lowest,
        last: highest.max(last),
        expected: marker.next,
    })
}

fn disk(location: &Location) -> Result<Disk, RunsError> {
    let disk = match location {
        Location::Directory(directory) => Disk::directory(&directory.join(FOLDER_NAME)),
        Location::Memory(disk) => Disk::memory(disk),
    };
    Ok(disk?)
}

fn config(location: &Location) -> Config {
    Config::new(match location {
        Location::Directory(_) => Merge::Background,
        Location::Memory(_) => Merge::Inline,
    })
}
