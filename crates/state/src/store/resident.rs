//! The trie of the newest state, of which cold parts may be in the files only.
//!
//! ```text
//!   commit ─▶ parts it needs ─▶ leaves from the files ─▶ resolved ─▶ applied ─▶ shrunk to the limit
//! ```
//!
//! Only what was not written since the flushed height is dropped, so that the leaves in the files are those
//! that were dropped; a part brought back must have the hash it left. Writes keep a part in memory, reads do
//! not.

use super::error::{Corruption, StoreError};
use super::files;
use crate::root::StateRoot;
use crate::runs::View;
use crate::sparse::{Changes, LimitTooLow, Missing, SparseTrie};
use rayon::ThreadPool;
use std::collections::VecDeque;

/// Heights that share an epoch of the trie.
const EPOCH_BLOCKS: u64 = if cfg!(test) { 1 } else { 16 };

/// Epochs that nodes of the trie can tell apart.
const EPOCHS_MAX: u32 = (1 << 24) - 1;

/// The trie, and whose state it is.
pub(crate) struct TrieAt {
    pub(super) height: u64,
    pub(super) trie: SparseTrie,
    /// Epochs of writes after the flushed height, with the last height of each.
    epochs: VecDeque<(u32, u64)>,
    bytes_max: Option<usize>,
}

impl TrieAt {
    /// The state as it was opened; the files have all of it.
    pub(super) fn new(height: u64, trie: SparseTrie, bytes_max: Option<usize>) -> Self {
        Self {
            height,
            trie,
            epochs: VecDeque::new(),
            bytes_max,
        }
    }

    /// Applies what the next height wrote.
    pub(super) fn apply(
        &mut self,
        height: u64,
        changes: &Changes,
        view: &View,
        pool: Option<&ThreadPool>,
    ) -> Result<StateRoot, StoreError> {
        if self.bytes_max.is_some() {
            self.advance(height);
        }
        let root = loop {
            match self.trie.apply(changes, pool) {
                Ok(root) => break root,
                Err(_) => self.resolve(&self.trie.missing(changes), view)?,
            }
        };
        self.height = height;
        Ok(root)
    }

    /// Runs `read` until it has all parts of the trie that it needs.
    pub(super) fn read<T>(
        &mut self,
        view: &View,
        read: impl Fn(&SparseTrie) -> Result<T, Missing>,
    ) -> Result<T, StoreError> {
        loop {
            match read(&self.trie) {
                Ok(found) => return Ok(found),
                Err(missing) => self.resolve(&[missing], view)?,
            }
        }
    }

    /// Drops what can be dropped and is too much.
    pub(super) fn shrink(&mut self, flushed: u64) -> Result<(), LimitTooLow> {
        let Some(bytes_max) = self.bytes_max.filter(|most| self.trie.bytes() > *most) else {
            return Ok(());
        };
        if self
            .epochs
            .back()
            .is_some_and(|(epoch, _)| *epoch >= EPOCHS_MAX)
        {
            // Old and new could not be told apart any more; all stays until the next start.
            return Ok(());
        }
        while self
            .epochs
            .front()
            .is_some_and(|(_, last)| *last <= flushed)
        {
            self.epochs.pop_front();
        }
        let first_unflushed = self.epochs.front().map_or(u32::MAX, |(epoch, _)| *epoch);
        // To less than the limit, so that not every block pays for it.
        self.trie
            .shrink(bytes_max - bytes_max / 8, first_unflushed.saturating_sub(1))?;
        Ok(())
    }

    fn advance(&mut self, height: u64) {
        match self.epochs.back_mut() {
            Some((_, last)) if !height.is_multiple_of(EPOCH_BLOCKS) => *last = height,
            Some(_) | None => {
                let epoch = self.trie.advance_epoch();
                self.epochs.push_back((epoch, height));
            }
        }
    }

    pub(super) fn resolve(&mut self, missing: &[Missing], view: &View) -> Result<(), StoreError> {
        for part in missing {
            let leaves = files::leaves(view, part)?;
            let resolved = self.trie.resolve(part, &leaves);
            resolved.map_err(|_| Corruption::Part(part.clone()))?;
        }
        Ok(())
    }
}
