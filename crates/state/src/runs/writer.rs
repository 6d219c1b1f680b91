//! Writing a run, row by row, from front to back.

use super::block::BlockBuilder;
use super::codec::{short, wide};
use super::error::RunsError;
use super::filter::Filter;
use super::hash::hash;
use super::index::{Index, separator};
use super::rows::{Family, Heights, Order};
use super::run::{Footer, Run, RunEntry, file_name};
use crate::disk::{Disk, File};
use std::io;

/// Bytes collected before they are appended.
const BUFFER_BYTES: usize = 1 << 20;
/// Bytes appended before they are synced: a sync at the end of a long merge would hold up commits.
const UNSYNCED_BYTES_MAX: usize = 32 << 20;

/// A run in the making.
#[derive(Debug)]
pub(super) struct RunWriter {
    file: File,
    id: u64,
    family: Family,
    block_bytes: usize,
    block: BlockBuilder,
    /// Finished blocks that are not appended yet.
    buffer: Vec<u8>,
    unsynced_bytes: usize,
    index: Index,
    /// The key to find the block in the making by.
    block_key: Vec<u8>,
    first: Vec<u8>,
    filter: Option<Filter>,
    rows: u64,
}

impl RunWriter {
    /// Creates the file of a run with at most so many rows.
    pub(super) fn create(
        disk: &Disk,
        id: u64,
        family: Family,
        (block_bytes, rows_max): (usize, u64),
    ) -> io::Result<Self> {
        Ok(Self {
            file: disk.create(&file_name(id))?,
            id,
            family,
            block_bytes,
            block: BlockBuilder::default(),
            buffer: Vec::new(),
            unsynced_bytes: 0,
            index: Index::default(),
            block_key: Vec::new(),
            first: Vec::new(),
            filter: family.has_filter().then(|| Filter::new(rows_max)),
            rows: 0,
        })
    }

    /// Adds the row that comes next.
    pub(super) fn push(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        if !self.block.is_empty() && self.block.bytes_with(key, value) > self.block_bytes {
            self.finish_block();
            if self.buffer.len() >= BUFFER_BYTES {
                self.append()?;
            }
        }
        let order = self.order();
        if self.block.is_empty() {
            self.block_key.clear();
            let key = separator(order, self.block.last_key(), key);
            self.block_key.extend_from_slice(key);
        }
        if self.rows == 0 {
            self.first.extend_from_slice(key);
        }
        if let Some(filter) = &mut self.filter {
            filter.insert(hash(order.subject(key)));
        }
        self.block.push(key, value);
        self.rows += 1;
        Ok(())
    }

    /// Number of rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the rest and makes the bytes durable, not the name.
    pub(super) fn finish(mut self, tier: u8, heights: Heights) -> Result<Run, RunsError> {
        if !self.block.is_empty() {
            self.finish_block();
        }
        if let Some(filter) = &mut self.filter {
            filter.fit(self.rows);
        }
        let footer = Footer {
            index: self.index,
            first: self.first,
            last: self.block.last_key().to_vec(),
            filter: self.filter,
        };
        let footer_bytes = footer.encode();
        let entry = RunEntry {
            id: self.id,
            tier,
            rows: self.rows,
            bytes: footer.index.end() + wide(footer_bytes.len()),
            footer_offset: footer.index.end(),
            footer_checksum: hash(&footer_bytes),
            heights,
        };
        self.buffer.extend_from_slice(&footer_bytes);
        self.file.append(&self.buffer)?;
        self.file.sync()?;
        let file = (file_name(self.id), self.file);
        Ok(Run::new(self.family, entry, file, footer))
    }

    fn order(&self) -> Order {
        self.family.order()
    }

    fn finish_block(&mut self) {
        let start = self.buffer.len();
        self.block.finish(&mut self.buffer);
        let block = &self.buffer[start..];
        self.index
            .push(&self.block_key, short(block.len()), hash(block));
    }

    fn append(&mut self) -> io::Result<()> {
        self.file.append(&self.buffer)?;
        self.unsynced_bytes += self.buffer.len();
        self.buffer.clear();
        if self.unsynced_bytes >= UNSYNCED_BYTES_MAX {
            self.file.sync()?;
            self.unsynced_bytes = 0;
        }
        Ok(())
    }
}
