//! Merging some neighbouring runs into one.

use super::Config;
use super::codec::wide;
use super::error::RunsError;
use super::merged::{Merged, READ_BYTES_MAX};
use super::policy::heights;
use super::rows::{Family, Rows};
use super::run::{Run, RunEntry, file_name};
use super::writer::RunWriter;
use crate::disk::Disk;
use std::sync::Arc;

/// Bytes of rows between two questions whether to go on: some milliseconds.
const BYTES_AT_ONCE: usize = 1 << 20;

/// Runs to merge, decided and not begun.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) family: Family,
    /// Neighbours, from oldest to newest.
    pub(super) inputs: Vec<Arc<Run>>,
    /// The output's.
    pub(super) id: u64,
    /// The output's.
    pub(super) tier: u8,
    /// Whether nothing is older, so that deletions have nothing more to hide.
    pub(super) bottom: bool,
}

/// How a merge ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// With a run.
    Run(Box<Run>),
    /// With no rows at all.
    Nothing,
    /// Before it was done.
    Stopped,
}

impl Job {
    /// Writes the output, and makes its bytes durable. Without a run, there is no file either. Now
    /// and then it asks whether to go on, which may take a while.
    pub(super) fn run(
        &self,
        disk: &Disk,
        config: &Config,
        mut go_on: impl FnMut() -> Result<bool, RunsError>,
    ) -> Result<Outcome, RunsError> {
        let mut writer = create(disk, config, (self.id, self.family), self.rows_max())?;
        let order = self.family.order();
        let mut rows = Merged::new(order, &self.inputs, &[], READ_BYTES_MAX);
        let mut passed_bytes = 0;
        rows.pass()?;
        while let Some((key, value)) = rows.row() {
            if value.is_some() || !self.bottom {
                writer.push(key, value)?;
            }
            passed_bytes += key.len() + value.map_or(0, <[u8]>::len);
            rows.pass()?;
            if passed_bytes < BYTES_AT_ONCE {
                continue;
            }
            passed_bytes = 0;
            if !go_on()? {
                disk.delete(&file_name(self.id))?;
                return Ok(Outcome::Stopped);
            }
        }
        if writer.rows() == 0 {
            disk.delete(&file_name(self.id))?;
            return Ok(Outcome::Nothing);
        }
        let entries: Vec<RunEntry> = self.inputs.iter().map(|run| run.entry).collect();
        let run = writer.finish(self.tier, heights(&entries))?;
        Ok(Outcome::Run(Box::new(run)))
    }

    /// Of all inputs.
    pub(super) fn bytes(&self) -> u64 {
        self.inputs.iter().map(|run| run.entry.bytes).sum()
    }

    fn rows_max(&self) -> u64 {
        self.inputs.iter().map(|run| run.entry.rows).sum()
    }

    /// Puts the output in the place of the inputs; false if these are no longer all there.
    pub(super) fn replace(&self, runs: &mut Vec<Arc<Run>>, output: Option<Run>) -> bool {
        let first = |run: &Arc<Run>| run.entry.id == self.inputs[0].entry.id;
        let Some(start) = runs.iter().position(first) else {
            return false;
        };
        let range = start..start + self.inputs.len();
        let there = runs.get(range.clone());
        let ids = |runs: &[Arc<Run>]| runs.iter().map(|run| run.entry.id).collect::<Vec<_>>();
        if there.map(ids) != Some(ids(&self.inputs)) {
            return false;
        }
        runs.splice(range, output.map(Arc::new));
        true
    }
}

/// The writer of a new run.
pub(super) fn create(
    disk: &Disk,
    config: &Config,
    (id, family): (u64, Family),
    rows_max: u64,
) -> Result<RunWriter, RunsError> {
    let block_bytes = match family {
        Family::Blocks => config.large_block_bytes,
        Family::State | Family::Index | Family::History => config.block_bytes,
    };
    Ok(RunWriter::create(
        disk,
        id,
        family,
        (block_bytes, rows_max),
    )?)
}

/// Writes the rows of a batch as a run.
pub(super) fn write(
    disk: &Disk,
    config: &Config,
    id: u64,
    rows: &Rows,
) -> Result<RunWriter, RunsError> {
    let family = rows.family();
    let mut writer = create(disk, config, (id, family), wide(rows.len()))?;
    for (key, value) in rows.iter() {
        writer.push(key, value)?;
    }
    Ok(writer)
}
