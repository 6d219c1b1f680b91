//! A run: an immutable file of rows in order, and what is in memory of it.
//!
//! ```text
//!   block block … block │ index: place and checksum of each │ first and last key │ filter
//!   0                   footer_offset                                                  bytes
//! ```
//!
//! The manifest vouches for the length and the footer, the footer for the blocks: no byte of the
//! file is read without a checksum over it. A file that is open can be read although its name is
//! gone, so whoever holds a run may go on after it was merged away.

use super::block::{Malformed, Place};
use super::codec::{Unread, narrow, put_key};
use super::error::{RunsError, corrupt, unreadable};
use super::filter::Filter;
use super::hash::hash;
use super::index::Index;
use super::rows::{Family, Heights, Order};
use crate::disk::{Disk, File};
use std::ops::Range;

/// What the manifest says of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RunEntry {
    /// What the file is named after; no other ever had it.
    pub(super) id: u64,
    /// How often its rows were merged.
    pub(super) tier: u8,
    pub(super) rows: u64,
    /// Length of the file.
    pub(super) bytes: u64,
    pub(super) footer_offset: u64,
    pub(super) footer_checksum: u64,
    /// The heights of a history run; of other families, nothing.
    pub(super) heights: Heights,
}

/// A file of rows, open for reading.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) entry: RunEntry,
    order: Order,
    name: String,
    file: File,
    footer: Footer,
}

/// What a run has in memory.
#[derive(Debug)]
pub(super) struct Footer {
    pub(super) index: Index,
    pub(super) first: Vec<u8>,
    pub(super) last: Vec<u8>,
    pub(super) filter: Option<Filter>,
}

/// What a run knows of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Deleted,
    Value(Vec<u8>),
}

/// The name of a run's file.
pub(super) fn file_name(id: u64) -> String {
    format!("{id:016x}.run")
}

/// Whether a file has the name of a run.
pub(super) fn is_run(name: &str) -> bool {
    name.strip_suffix(".run")
        .is_some_and(|id| id.len() == 16 && u64::from_str_radix(id, 16).is_ok())
}

impl Run {
    /// Opens the file that the manifest tells of.
    pub(super) fn open(disk: &Disk, family: Family, entry: RunEntry) -> Result<Self, RunsError> {
        let name = file_name(entry.id);
        let file = disk
            .open(&name)
            .map_err(|error| unreadable(&name, 0, error))?;
        let bytes = file.len()?;
        if bytes != entry.bytes {
            return Err(corrupt(
                &name,
                bytes.min(entry.bytes),
                "the file has another length",
            ));
        }
        let at = entry.footer_offset;
        let broken = |what| corrupt(&name, at, what);
        let len = bytes.checked_sub(at);
        let len = len.ok_or_else(|| broken("the footer is past the end"))?;
        let mut footer = vec![0; narrow(len)];
        file.read_at(at, &mut footer)
            .map_err(|error| unreadable(&name, at, error))?;
        if hash(&footer) != entry.footer_checksum {
            return Err(broken("wrong checksum of the footer"));
        }
        let footer = Footer::decode(&footer, family);
        let footer = footer.filter(|footer| footer.index.end() == at);
        let footer = footer.ok_or_else(|| broken("the footer makes no sense"))?;
        Ok(Self::new(family, entry, (name, file), footer))
    }

    /// A run whose file is written and whose footer is known.
    pub(super) fn new(
        family: Family,
        entry: RunEntry,
        (name, file): (String, File),
        footer: Footer,
    ) -> Self {
        Self {
            entry,
            order: family.order(),
            name,
            file,
            footer,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    pub(super) fn first(&self) -> &[u8] {
        &self.footer.first
    }

    pub(super) fn last(&self) -> &[u8] {
        &self.footer.last
    }

    pub(super) fn index(&self) -> &Index {
        &self.footer.index
    }

    /// Bytes in memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.footer.bytes()
    }

    /// False only if no row is about what has this hash.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        self.footer
            .filter
            .as_ref()
            .is_none_or(|filter| filter.may_have(hash))
    }

    /// The row of a key.
    pub(super) fn get(&self, key: &[u8]) -> Result<Found, RunsError> {
        if self.order.compare(key, self.first()).is_lt()
            || self.order.compare(key, self.last()).is_gt()
        {
            return Ok(Found::Nothing);
        }
        let number = self.index().find(self.order, key);
        let block = self.block(number)?;
        let mut place = Place::default();
        let found = place.seek(&block, self.order, key);
        let found = found.map_err(|Malformed| self.malformed(number))?;
        Ok(match place.value {
            _ if !found || place.key != key => Found::Nothing,
            None => Found::Deleted,
            Some(range) => Found::Value(cut(block, range)),
        })
    }

    /// The value of the first row at or after this one with the same subject: of the history, the
    /// value of a key before the next height.
    pub(super) fn next(&self, row_key: &[u8]) -> Result<Option<Vec<u8>>, RunsError> {
        let subject = self.order.subject(row_key);
        let first = self.index().find(self.order, row_key);
        let mut place = Place::default();
        // If none of this block's rows is after, the next block's first one is.
        for number in (first..self.index().len()).take(2) {
            let block = self.block(number)?;
            let found = place.seek(&block, self.order, row_key);
            if found.map_err(|Malformed| self.malformed(number))? {
                let same = self.order.subject(&place.key) == subject;
                let value = place.value.filter(|_| same);
                return Ok(value.map(|range| cut(block, range)));
            }
        }
        Ok(None)
    }

    /// A block, checked.
    fn block(&self, number: usize) -> Result<Vec<u8>, RunsError> {
        let place = self.index().place(number);
        let mut block = vec![0; narrow(place.end - place.start)];
        self.read(place.start, &mut block)?;
        self.check(number, &block)?;
        Ok(block)
    }

    /// Reads blocks, which are still to be checked.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), RunsError> {
        let read = self.file.read_at(offset, buffer);
        read.map_err(|error| unreadable(&self.name, offset, error))
    }

    /// Checks what was read of a block.
    pub(super) fn check(&self, number: usize, block: &[u8]) -> Result<(), RunsError> {
        if hash(block) == self.index().checksum(number) {
            return Ok(());
        }
        let at = self.index().place(number).start;
        Err(corrupt(&self.name, at, "wrong checksum of a block"))
    }

    pub(super) fn malformed(&self, number: usize) -> RunsError {
        let at = self.index().place(number).start;
        corrupt(&self.name, at, "a block makes no sense")
    }
}

impl Footer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.index.encode(&mut bytes);
        put_key(&mut bytes, &self.first);
        put_key(&mut bytes, &self.last);
        if let Some(filter) = &self.filter {
            filter.encode(&mut bytes);
        }
        bytes
    }

    fn decode(bytes: &[u8], family: Family) -> Option<Self> {
        let mut unread = Unread(bytes);
        let index = Index::decode(&mut unread)?;
        let (first, last) = (unread.key()?.to_vec(), unread.key()?.to_vec());
        let filter = if family.has_filter() {
            Some(Filter::decode(&mut unread)?)
        } else {
            None
        };
        unread.0.is_empty().then_some(Self {
            index,
            first,
            last,
            filter,
        })
    }

    fn bytes(&self) -> u64 {
        self.index.bytes() + self.filter.as_ref().map_or(0, Filter::bytes)
    }
}

/// A part of the block, in its place.
fn cut(mut block: Vec<u8>, range: Range<usize>) -> Vec<u8> {
    block.truncate(range.end);
    block.drain(..range.start);
    block
}
