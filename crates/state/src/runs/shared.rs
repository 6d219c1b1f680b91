//! What the writer and the merger share: the newest lists of runs, and the right to change them.
//!
//! The lock over the writing of manifests is held while one is written, never while runs are
//! written or merged. Views are taken without it.
//!
//! ```text
//!   merge of the base ──────┐               ┌───────┐               ┌───── …
//!   small merges            └ a tier of 8 ──┘       └ a tier of 8 ──┘
//! ```
//!
//! One thread merges. A long merge makes way for much smaller ones of later runs, so that the runs
//! stay few however large the base is.

use super::error::{RowsError, RunsError};
use super::manifest::{self, Lists, MARKER_BYTES_MAX};
use super::merge::{self, Job, Outcome};
use super::policy::Choice;
use super::rows::{Batch, Family, Heights, Rows};
use super::run::{Run, RunEntry};
use super::view::{View, height_of};
use super::{Config, Merge};
use crate::disk::Disk;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

/// A merge inside of another one has at most such a part of its bytes.
const INNER_PART: u64 = 4;

#[derive(Debug)]
pub(super) struct Shared {
    disk: Disk,
    config: Config,
    newest: RwLock<Arc<Lists>>,
    writer: Mutex<Writer>,
    /// Notified when the writer, the newest lists or the end of the store has changed.
    changed: Condvar,
    closing: AtomicBool,
}

/// Held by whoever writes a manifest.
#[derive(Debug)]
struct Writer {
    /// No run ever had it.
    next_id: u64,
    health: Health,
    /// The families whose runs are being merged: at most one large merge, and a small one inside.
    merging: Vec<Family>,
}

#[derive(Debug)]
enum Health {
    Sound,
    /// A write failed, and whoever commits next is to know.
    Failed(RunsError),
    Poisoned,
}

impl Shared {
    pub(super) fn open(disk: Disk, config: Config) -> Result<Self, RunsError> {
        let (lists, next_id) = manifest::load(&disk)?;
        Ok(Self {
            disk,
            config,
            newest: RwLock::new(Arc::new(lists)),
            writer: Mutex::new(Writer {
                next_id,
                health: Health::Sound,
                merging: Vec::new(),
            }),
            changed: Condvar::new(),
            closing: AtomicBool::new(false),
        })
    }

    pub(super) fn view(&self) -> View {
        View::new(self.newest())
    }

    fn newest(&self) -> Arc<Lists> {
        let newest = self.newest.read();
        Arc::clone(&newest.expect("nothing panics while it swaps the lists"))
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        let writer = self.writer.lock();
        writer.expect("nothing panics while it writes a manifest")
    }

    /// Lets the merger end.
    pub(super) fn close(&self) {
        // The store may end because of a panic, and this is no place for another one.
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.closing.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Takes no more writes; an error that nobody knows yet is for the next commit.
    fn poison(&self, health: Health) {
        let mut writer = self.writer();
        // Whoever poisons it tells its caller why; a merge that failed meanwhile has nothing to add.
        if matches!(writer.health, Health::Sound) || matches!(health, Health::Poisoned) {
            writer.health = health;
        }
        self.changed.notify_all();
    }

    // Committing.

    pub(super) fn commit(&self, batch: &Batch) -> Result<(), RunsError> {
        self.check(batch)?;
        self.admit()?;
        let committed = self.write(batch);
        let gone = committed.inspect_err(|_| self.poison(Health::Poisoned))?;
        // The batch counts by now.
        if let Err(error) = self.delete(&gone) {
            self.poison(Health::Failed(error));
        }
        Ok(())
    }

    /// Waits until there are few enough runs, if they are being merged.
    fn admit(&self) -> Result<(), RunsError> {
        let mut writer = self.writer();
        loop {
            match std::mem::replace(&mut writer.health, Health::Poisoned) {
                Health::Sound => writer.health = Health::Sound,
                Health::Failed(error) => return Err(error),
                Health::Poisoned => return Err(RunsError::Poisoned),
            }
            if self.config.merge == Merge::Inline || !self.must_wait(&writer) {
                return Ok(());
            }
            let changed = self.changed.wait(writer);
            writer = changed.expect("nothing panics while it writes a manifest");
        }
    }

    fn must_wait(&self, writer: &Writer) -> bool {
        let lists = self.newest();
        let many = |family: &Family| lists.of(*family).len() > self.config.runs_max;
        // Pieces of blocks stay as they are, however many there are.
        let mut merged = Family::ALL
            .into_iter()
            .filter(|family| *family != Family::Blocks);
        merged.by_ref().filter(many).any(|family| {
            writer.merging.contains(&family) || self.choose(&lists, family, None).is_some()
        })
    }

    /// Whether the batch's rows fit in.
    fn check(&self, batch: &Batch) -> Result<(), RowsError> {
        let bytes = batch.marker.len();
        if bytes > MARKER_BYTES_MAX {
            return Err(RowsError::MarkerLength { bytes });
        }
        let lists = self.newest();
        let blocks = &batch.rows[Family::Blocks as usize];
        let last = lists.of(Family::Blocks).last();
        if let (Some(first), Some(last)) = (blocks.first_key(), last)
            && first <= last.last()
        {
            return Err(RowsError::Order { row: 0 });
        }
        let history = &batch.rows[Family::History as usize];
        let Heights { low, high } = batch.heights.unwrap_or_default();
        let newest = match lists.history.begun {
            true => lists.history.heights.high,
            false => 0,
        };
        let rises = batch.heights.is_none() || low >= newest && low <= high;
        let mut heights = history.iter().map(|(row_key, _)| height_of(row_key));
        if !rises || heights.any(|height| height <= low || height > high) {
            return Err(RowsError::Heights { low, high, newest });
        }
        Ok(())
    }

    /// Makes a batch count. Returns the runs that do not any more.
    fn write(&self, batch: &Batch) -> Result<Vec<Arc<Run>>, RunsError> {
        let mut added = Vec::new();
        for rows in batch.written() {
            added.push((rows.family(), Arc::new(self.write_run(rows, batch)?)));
        }
        let gone = self.install(|lists| {
            lists.marker.clone_from(&batch.marker);
            for (family, run) in added {
                lists.of_mut(family).push(run);
            }
            Some(lists.go_on(batch.heights, batch.drop_below))
        })?;
        Ok(gone.unwrap_or_default())
    }

    fn write_run(&self, rows: &Rows, batch: &Batch) -> Result<Run, RunsError> {
        let id = take_id(&mut self.writer());
        let heights = batch.heights.filter(|_| rows.family() == Family::History);
        let writer = merge::write(&self.disk, &self.config, id, rows)?;
        writer.finish(0, heights.unwrap_or_default())
    }

    /// Changes the lists, durably, unless the change says no. What it returns is handed on.
    fn install<T>(
        &self,
        change: impl FnOnce(&mut Lists) -> Option<T>,
    ) -> Result<Option<T>, RunsError> {
        let writer = self.writer();
        if !matches!(writer.health, Health::Sound) {
            return Err(RunsError::Poisoned);
        }
        let mut lists = (*self.newest()).clone();
        let answer = change(&mut lists);
        if answer.is_some() {
            manifest::store(&self.disk, &lists, writer.next_id)?;
            let newest = self.newest.write();
            *newest.expect("nothing panics while it swaps the lists") = Arc::new(lists);
            self.changed.notify_all();
        }
        Ok(answer)
    }

    /// Makes an empty disk a copy of the newest moment. Runs never change, so both may have the same files.
    pub(super) fn copy_to(&self, disk: &Disk) -> Result<(), RunsError> {
        // Runs lose their names only after a manifest without them, and none is written meanwhile.
        let writer = self.writer();
        let lists = self.newest();
        for run in lists.runs.iter().flatten() {
            disk.adopt(&self.disk, run.name())?;
        }
        manifest::store(disk, &lists, writer.next_id)
    }

    fn delete(&self, runs: &[Arc<Run>]) -> Result<(), RunsError> {
        for run in runs {
            self.disk.delete(run.name())?;
        }
        Ok(())
    }

    // Merging.

    /// Merges what is to be merged; then either waits for more until the store closes, or returns.
    pub(super) fn merge_all(&self, wait: bool) {
        while let Some(job) = self.next_job(wait, None) {
            let merged = self.merge(&job, None);
            if let Err(error) = merged {
                self.poison(Health::Failed(error));
            }
        }
    }

    /// The next job; inside of another one, only a much smaller one of other runs.
    fn next_job(&self, wait: bool, outer: Option<&Job>) -> Option<Job> {
        let mut writer = self.writer();
        loop {
            let sound = matches!(writer.health, Health::Sound);
            if !sound || self.is_closing() {
                return None;
            }
            let lists = self.newest();
            let job = |family| self.job(&lists, family, outer);
            if let Some(mut job) = Family::ALL.into_iter().find_map(job) {
                job.id = take_id(&mut writer);
                writer.merging.push(job.family);
                return Some(job);
            }
            if !wait {
                return None;
            }
            let changed = self.changed.wait(writer);
            writer = changed.expect("nothing panics while it writes a manifest");
        }
    }

    /// The next job of a family, still without an id.
    fn job(&self, lists: &Lists, family: Family, outer: Option<&Job>) -> Option<Job> {
        let Choice { range, tier } = self.choose(lists, family, outer)?;
        let job = Job {
            family,
            inputs: lists.of(family)[range.clone()].to_vec(),
            id: 0,
            tier,
            bottom: range.start == 0,
        };
        let small = outer.is_none_or(|outer| job.bytes() <= outer.bytes() / INNER_PART);
        small.then_some(job)
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    fn choose(&self, lists: &Lists, family: Family, outer: Option<&Job>) -> Option<Choice> {
        let runs: Vec<RunEntry> = lists.of(family).iter().map(|run| run.entry).collect();
        let history = &lists.history;
        let kept = history.drop_below.map(|low| Heights {
            low: low.max(history.heights.low),
            high: history.heights.high,
        });
        // All runs up to the last one of the other job: what is older is not merged meanwhile.
        let outer = outer.filter(|outer| outer.family == family);
        let busy = outer.map_or(0, |outer| {
            let is_busy =
                |run: &RunEntry| outer.inputs.iter().any(|input| input.entry.id == run.id);
            runs.iter().rposition(is_busy).map_or(0, |last| last + 1)
        });
        self.config.policy.choose(family, (&runs, busy), kept)
    }

    fn merge(&self, job: &Job, outer: Option<&Job>) -> Result<(), RunsError> {
        let merged = self.merge_inside(job, outer);
        // A commit may be waiting for the end of this merge, and for nothing else.
        self.writer().merging.pop();
        self.changed.notify_all();
        merged
    }

    fn merge_inside(&self, job: &Job, outer: Option<&Job>) -> Result<(), RunsError> {
        let makes_way = outer.is_none() && self.config.merge == Merge::Background;
        let outcome = job.run(&self.disk, &self.config, || {
            let inner = makes_way.then(|| self.next_job(false, Some(job))).flatten();
            if let Some(inner) = inner {
                self.merge(&inner, Some(job))?;
            }
            Ok(!self.is_closing())
        })?;
        let output = match outcome {
            Outcome::Run(run) => Some(*run),
            Outcome::Nothing => None,
            Outcome::Stopped => return Ok(()),
        };
        let name = output.as_ref().map(|run| run.name().to_owned());
        let replaced = self.install(|lists| {
            let runs = lists.of_mut(job.family);
            job.replace(runs, output).then_some(())
        })?;
        match (replaced, name) {
            (Some(()), _) => self.delete(&job.inputs),
            // The history was dropped meanwhile.
            (None, Some(name)) => Ok(self.disk.delete(&name)?),
            (None, None) => Ok(()),
        }
    }
}

fn take_id(writer: &mut Writer) -> u64 {
    let id = writer.next_id;
    writer.next_id += 1;
    id
}

impl Lists {
    /// Lets the history go on, and drops the runs of it that are not needed any more.
    fn go_on(&mut self, heights: Option<Heights>, drop_below: Option<u64>) -> Vec<Arc<Run>> {
        let history = &mut self.history;
        history.drop_below = drop_below.or(history.drop_below);
        let mut gone_up_to = history.drop_below;
        if let Some(heights) = heights {
            let joins = history.begun && history.heights.high == heights.low;
            if !joins {
                // What is before a gap is of no use: the values before the gap are not known.
                history.heights.low = heights.low;
                gone_up_to = gone_up_to.max(Some(heights.low));
            }
            history.heights.high = heights.high;
            history.begun = true;
        }
        let runs = &mut self.runs[Family::History as usize];
        let is_gone = |run: &Arc<Run>| Some(run.entry.heights.high) <= gone_up_to;
        let gone = runs.iter().take_while(|run| is_gone(run)).count();
        let gone: Vec<_> = runs.drain(..gone).collect();
        if let Some(last) = gone.last() {
            let low = &mut self.history.heights.low;
            *low = last.entry.heights.high.max(*low);
        }
        gone
    }
}

#[cfg(test)]
mod tests;
