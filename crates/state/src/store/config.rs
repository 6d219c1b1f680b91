//! Where a store is, how much it keeps, and what it takes.

use crate::disk::MemoryDisk;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Where the store keeps its files.
#[derive(Clone, Debug)]
pub enum Location {
    /// In `state` in this directory, which is created if missing, for this user only.
    Directory(PathBuf),
    /// A disk in memory.
    Memory(MemoryDisk),
}

/// The store's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// How many heights below the newest can be read from memory.
    pub memory_blocks: u64,
    /// How many heights below the flushed one can be read from the files; `None` for all.
    pub history_blocks: Option<u64>,
    /// The state at multiples of so many heights is offered to nodes that join; 0 for none.
    pub served_blocks: u64,
    /// Threads that commit one block; with one, the caller's own.
    pub commit_workers: NonZeroUsize,
    /// Bytes of the trie in memory at most, but for what was written since the last flush; `None` for all.
    pub trie_bytes_max: Option<usize>,
}

impl StoreConfig {
    /// Heights below the flushed one that can be read from the files unless told otherwise.
    pub const HISTORY_BLOCKS: u64 = 10_000;
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            memory_blocks: 256,
            history_blocks: Some(Self::HISTORY_BLOCKS),
            served_blocks: 0,
            commit_workers: NonZeroUsize::MIN,
            trie_bytes_max: None,
        }
    }
}

/// What a store's files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreUsage {
    /// Bytes of disk.
    pub disk_bytes: u64,
    /// Bytes of memory, for finding rows in them.
    pub index_bytes: u64,
    /// How many files there are.
    pub files: usize,
}
