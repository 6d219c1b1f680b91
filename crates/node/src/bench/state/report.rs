//! What was measured of the state: the object that `--json` prints, and the lines for people.

use super::{COMMIT_UPDATES, StateBench};
use crate::bench::Usage;
use serde::Serialize;
use std::{fmt::Write as _, time::Duration};

/// What was measured. Medians where there are several rounds.
#[derive(Debug, Default, Serialize)]
pub struct StateReport {
    /// Accounts and slots in the state.
    pub keys: u64,
    /// Updates of one timed commit.
    pub updates: usize,
    /// Threads of a commit.
    pub workers: usize,
    /// Timed commits.
    pub rounds: usize,
    /// CPU of such a commit, all threads.
    pub commit_cpu_s: f64,
    /// Its time on the clock.
    pub commit_wall_s: f64,
    /// Whether four of five streamed updates went to a fifth of the keys.
    pub skewed: bool,
    /// Updates offered a second in the stream.
    pub offered_updates_per_s: u64,
    /// How long they were offered.
    pub seconds: u64,
    /// Of them, how many had their root a second.
    pub sustained_updates_per_s: f64,
    /// From when a block was due to when it had its root: median and worst.
    pub root_lag_s: Lag,
    /// From when a block was due to when it was on disk: median and worst.
    pub flush_lag_s: Lag,
    /// Bytes given to the disk for an update of the stream.
    pub bytes_per_update: f64,
    /// CPU of an update of the stream, making it up included.
    pub stream_cpu_us_per_update: f64,
    /// Memory at the end of the stream.
    pub rss_mb: u64,
    /// A proof of an account and a slot: median.
    pub proof_p50_us: f64,
    /// The same, the slowest of a hundred.
    pub proof_p99_us: f64,
    /// Putting the keys in.
    pub load_s: f64,
    /// CPU of that.
    pub load_cpu_s: f64,
    /// Opening the store again: all keys read, the trie built.
    pub open_s: f64,
    /// Memory after that.
    pub rss_mb_opened: u64,
    /// Height at the end.
    pub height: u64,
    /// The stream, twice a second.
    pub samples: Vec<Sample>,
    #[serde(skip)]
    walls: Vec<f64>,
    #[serde(skip)]
    cpus: Vec<f64>,
}

/// A median and a worst case, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Lag {
    /// Half of the samples were below.
    pub p50: f64,
    /// The worst.
    pub max: f64,
}

/// A moment of the stream.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Since its start.
    pub t_s: f64,
    /// Updates offered so far.
    pub offered: u64,
    /// Updates that have their root.
    pub rooted: u64,
    /// Of the newest block with a root.
    pub root_lag_s: f64,
    /// Of the oldest block that is not on disk.
    pub flush_lag_s: f64,
    /// Blocks that are not on disk.
    pub unflushed_blocks: u64,
    /// Given to the disk so far.
    pub written_mb: u64,
    /// Memory.
    pub rss_mb: u64,
}

impl StateReport {
    pub(super) fn new(bench: &StateBench) -> Self {
        Self {
            keys: bench.keys,
            updates: COMMIT_UPDATES,
            workers: bench.workers.get(),
            rounds: bench.rounds,
            skewed: bench.skewed,
            offered_updates_per_s: bench.rate,
            seconds: bench.seconds,
            ..Self::default()
        }
    }

    pub(super) fn commit(&mut self, wall_s: f64, cpu_s: f64) {
        self.walls.push(wall_s);
        self.cpus.push(cpu_s);
        self.commit_wall_s = quantile(self.walls.iter().copied(), 0.5);
        self.commit_cpu_s = quantile(self.cpus.iter().copied(), 0.5);
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn streamed(
        &mut self,
        samples: Vec<Sample>,
        rooted: u64,
        (before, after): (&Usage, &Usage),
    ) {
        let elapsed = samples.last().map_or(1.0, |last| last.t_s).max(0.001);
        let updates = (rooted as f64).max(1.0);
        let lag = |pick: fn(&Sample) -> f64| Lag {
            p50: quantile(samples.iter().map(pick), 0.5),
            max: quantile(samples.iter().map(pick), 1.0),
        };
        self.sustained_updates_per_s = updates / elapsed;
        self.root_lag_s = lag(|sample| sample.root_lag_s);
        self.flush_lag_s = lag(|sample| sample.flush_lag_s);
        self.bytes_per_update = (after.written_bytes - before.written_bytes) as f64 / updates;
        self.stream_cpu_us_per_update = (after.cpu_s - before.cpu_s) * 1e6 / updates;
        self.rss_mb = after.rss_bytes >> 20;
        self.samples = samples;
    }

    pub(super) fn proofs(&mut self, times: &[Duration]) {
        let micros = || times.iter().map(|time| time.as_secs_f64() * 1e6);
        self.proof_p50_us = quantile(micros(), 0.5);
        self.proof_p99_us = quantile(micros(), 0.99);
    }

    /// The figures, a line each.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let skew = if self.skewed { "80/20" } else { "uniform" };
        let lines = [
            format!("keys                 {}", self.keys),
            format!(
                "load                 {:.1} s, {:.1} CPU-s",
                self.load_s, self.load_cpu_s
            ),
            format!(
                "commit of {} updates, {} workers   {:.3} s, {:.3} CPU-s",
                self.updates, self.workers, self.commit_wall_s, self.commit_cpu_s
            ),
            format!(
                "stream               {:.0} updates/s kept of {} offered ({skew}, {} s)",
                self.sustained_updates_per_s, self.offered_updates_per_s, self.seconds
            ),
            format!(
                "  root lag           {:.2} s, at most {:.2} s",
                self.root_lag_s.p50, self.root_lag_s.max
            ),
            format!(
                "  on disk after      {:.2} s, at most {:.2} s",
                self.flush_lag_s.p50, self.flush_lag_s.max
            ),
            format!(
                "  per update         {:.0} bytes written, {:.2} us of CPU",
                self.bytes_per_update, self.stream_cpu_us_per_update
            ),
            format!("  memory             {} MB", self.rss_mb),
            format!(
                "proof                {:.0} us, p99 {:.0} us",
                self.proof_p50_us, self.proof_p99_us
            ),
            format!(
                "open again           {:.1} s, {} MB",
                self.open_s, self.rss_mb_opened
            ),
        ];
        for line in lines {
            // Writing to a string does not fail.
            writeln!(text, "{line}").ok();
        }
        text
    }
}

/// The value below which this share of the others is; 0 without any.
fn quantile(values: impl Iterator<Item = f64>, share: f64) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index below a count of samples"
    )]
    let index = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::quantile;

    #[test]
    fn quantiles_of_few_samples() {
        assert!(quantile(std::iter::empty(), 0.5).abs() < f64::EPSILON);
        let values = || [3.0, 1.0, 2.0].into_iter();
        assert!((quantile(values(), 0.5) - 2.0).abs() < f64::EPSILON);
        assert!((quantile(values(), 1.0) - 3.0).abs() < f64::EPSILON);
    }
}
