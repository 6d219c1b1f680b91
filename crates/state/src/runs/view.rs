//! Reading: the runs of one moment as one table per family.
//!
//! A view never changes and holds its files open, whatever is merged or dropped meanwhile. A look-up
//! asks the runs from newest to oldest and costs one read, plus one for about every sixtieth run
//! that does not have the key.

use super::error::RunsError;
use super::hash::hash;
use super::manifest::Lists;
use super::merged::{Merged, READ_BYTES_MAX};
use super::rows::{Family, HEIGHT_BYTES, split_height, with_height};
use super::run::{Found, Run};
use std::sync::Arc;

/// The store at one moment; a clone is the same moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    lists: Arc<Lists>,
}

impl View {
    pub(super) fn new(lists: Arc<Lists>) -> Self {
        Self { lists }
    }

    /// The last batch's marker; empty for a new store.
    pub(crate) fn marker(&self) -> &[u8] {
        &self.lists.marker
    }

    /// The height that the history begins after: it is complete for those above, up to the last
    /// that a batch had a history for. `None` if none had.
    pub(crate) fn oldest_history(&self) -> Option<u64> {
        let history = &self.lists.history;
        history.begun.then_some(history.heights.low)
    }

    /// The value of a key. Rows of the history are found by [`View::history`].
    pub(crate) fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, RunsError> {
        let runs = self.lists.of(family);
        let runs = if family.overrides() {
            runs
        } else {
            only(runs, family, key)
        };
        let hash = hash(family.order().subject(key));
        for run in runs.iter().rev().filter(|run| run.may_have(hash)) {
            match run.get(key)? {
                Found::Nothing => {}
                Found::Deleted => return Ok(None),
                Found::Value(value) => return Ok(Some(value)),
            }
        }
        Ok(None)
    }

    /// The rows from a key on up to another, without that one: by key, without deleted ones.
    pub(crate) fn range(&self, family: Family, from: &[u8], to: Option<&[u8]>) -> Range {
        let order = family.order();
        let runs = self.lists.of(family).iter();
        let runs = runs.filter(|run| {
            let begins_before = to.is_none_or(|to| order.compare(run.first(), to).is_lt());
            begins_before && order.compare(run.last(), from).is_ge()
        });
        Range {
            family,
            rows: Merged::new(order, runs, from, 0),
            to: to.map(<[u8]>::to_vec),
        }
    }

    /// The value that a key had before the first height after `after` that changed it; `None` if
    /// none did. Empty if the key had no value then.
    ///
    /// Fails where the history does not reach back to `after`.
    pub(crate) fn history(&self, key: &[u8], after: u64) -> Result<Option<Vec<u8>>, RunsError> {
        self.check_history(after)?;
        let from = with_height(key, after.saturating_add(1));
        let hash = hash(key);
        for run in self.history_runs(after).filter(|run| run.may_have(hash)) {
            if let Some(before) = run.next(&from)? {
                return Ok(Some(before));
            }
        }
        Ok(None)
    }

    /// All rows of the history after a height: by key, and of a key by height.
    ///
    /// Fails where the history does not reach back to `after`.
    pub(crate) fn history_rows(&self, after: u64) -> Result<HistoryRows, RunsError> {
        self.check_history(after)?;
        let family = Family::History;
        let runs = self.history_runs(after);
        Ok(HistoryRows {
            rows: Merged::new(family.order(), runs, &[], READ_BYTES_MAX),
            after,
            left: usize::MAX,
        })
    }

    /// From oldest to newest, those with heights after one.
    fn history_runs(&self, after: u64) -> impl Iterator<Item = &Arc<Run>> {
        let runs = self.lists.of(Family::History).iter();
        runs.filter(move |run| run.entry.heights.high > after)
    }

    fn check_history(&self, after: u64) -> Result<(), RunsError> {
        let oldest = self.oldest_history();
        if oldest.is_none_or(|oldest| after < oldest) {
            return Err(RunsError::NoHistory {
                asked: after,
                oldest,
            });
        }
        Ok(())
    }

    /// Number of runs in a family.
    pub(crate) fn runs(&self, family: Family) -> usize {
        self.lists.of(family).len()
    }

    /// Bytes of all files.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let runs = self.lists.runs.iter().flatten();
        runs.map(|run| run.entry.bytes).sum()
    }

    /// Bytes in memory of all filters and indexes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let runs = self.lists.runs.iter().flatten();
        runs.map(|run| run.memory_bytes()).sum()
    }
}

/// Of runs that do not overlap, the only one that may have a key.
fn only<'a>(runs: &'a [Arc<Run>], family: Family, key: &[u8]) -> &'a [Arc<Run>] {
    if family == Family::History {
        return runs;
    }
    let at = runs.partition_point(|run| run.last() < key);
    runs.get(at..=at).unwrap_or_default()
}

/// Rows in order, as of a view. After an error there are no more.
#[derive(Debug)]
pub(crate) struct Range {
    family: Family,
    rows: Merged,
    to: Option<Vec<u8>>,
}

/// A key and its value.
pub(crate) type PresentRow<'a> = (&'a [u8], &'a [u8]);

impl Range {
    /// The next row, in place.
    pub(crate) fn next_row(&mut self) -> Result<Option<PresentRow<'_>>, RunsError> {
        self.rows.pass_deleted()?;
        let Some((key, Some(value))) = self.rows.row() else {
            return Ok(None);
        };
        let order = self.family.order();
        let within = |to: &Vec<u8>| order.compare(key, to).is_lt();
        Ok(self.to.as_ref().is_none_or(within).then_some((key, value)))
    }
}

impl Iterator for Range {
    type Item = Result<(Vec<u8>, Vec<u8>), RunsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next_row().transpose()?;
        Some(row.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }
}

/// Rows of the history in order, as of a view. After an error there are no more.
#[derive(Debug)]
pub(crate) struct HistoryRows {
    rows: Merged,
    after: u64,
    /// How many more may be read, those of other heights among them.
    left: usize,
}

/// A row of the history: the key, the height that changed it, and the value before.
pub(crate) type HistoryRow<'a> = (&'a [u8], u64, &'a [u8]);

impl HistoryRows {
    /// Ends after so many rows, those of earlier heights among them, which are passed over.
    pub(crate) fn at_most(mut self, rows: usize) -> Self {
        self.left = rows;
        self
    }

    /// Whether it ended for that reason.
    pub(crate) fn is_cut(&self) -> bool {
        self.left == 0
    }

    /// The next row, in place.
    pub(crate) fn next_row(&mut self) -> Result<Option<HistoryRow<'_>>, RunsError> {
        loop {
            self.rows.pass_deleted()?;
            let Some((row_key, _)) = self.rows.row() else {
                return Ok(None);
            };
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                return Ok(None);
            }
            if height_of(row_key) > self.after {
                break;
            }
        }
        let row = self.rows.row();
        Ok(row.and_then(|(row_key, before)| {
            let (key, _) = split_height(row_key);
            Some((key, height_of(row_key), before?))
        }))
    }
}

impl Iterator for HistoryRows {
    type Item = Result<(Vec<u8>, u64, Vec<u8>), RunsError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next_row().transpose()?;
        Some(row.map(|(key, height, before)| (key.to_vec(), height, before.to_vec())))
    }
}

/// The height in a history row's key.
pub(super) fn height_of(row_key: &[u8]) -> u64 {
    let height = row_key.last_chunk::<HEIGHT_BYTES>();
    height.map_or(0, |height| u64::from_be_bytes(*height))
}
