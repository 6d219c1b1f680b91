//! Rounds over all blocks: times, traces, and every result compared.
//!
//! ```text
//! warm-up   block 1: S F L   block 2: S F L   …      S sequential, F first, L list-driven
//! round 1   block 1: F L S   block 2: L S F   …      engines anew, so F never saw the block
//! ```
//! A block goes from one way to the next at once, so that a busy moment of the machine hits all of
//! them; which way begins changes by block and by round, because whoever begins finds the caches
//! cold. The predictor learns from the blocks before, by height, as it would on a node. The warm-up
//! round gives the reference and the access lists and is not timed.

use super::{
    OnProgress, Progress,
    block::{Difference, MainnetBlock},
    error::ReplayError,
    ways::{Clock, Outcome, Trace, Way, Ways},
};
use executor::{AccessList, ExecutedBlock};
use serde::{Serialize, Serializer};
use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

/// One field of one block that one way got wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// How the block was executed.
    pub way: Way,
    /// What is wrong.
    pub difference: Difference,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} way={}", self.difference, self.way)
    }
}

impl Serialize for Mismatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How the rounds are run.
pub(super) struct Rounds<'a> {
    pub(super) workers: NonZeroUsize,
    pub(super) runs: usize,
    pub(super) clock: &'a Clock,
    pub(super) progress: OnProgress<'a>,
}

/// What the rounds say about one block.
#[derive(Default)]
pub(super) struct Measured {
    /// Median times, by way.
    pub(super) times: [Duration; 3],
    /// Of a first execution of its own, because taking it takes time.
    pub(super) trace: Trace,
    pub(super) mismatches: Vec<Mismatch>,
}

/// One block on its way through the rounds.
struct Samples {
    reference: ExecutedBlock,
    list: AccessList,
    times: [Vec<Duration>; 3],
    trace: Trace,
    mismatches: Vec<Mismatch>,
}

impl Rounds<'_> {
    /// Executes all blocks in all ways, again and again.
    pub(super) fn run(&self, blocks: &[MainnetBlock]) -> Result<Vec<Measured>, ReplayError> {
        let mut all = Vec::with_capacity(blocks.len());
        let code_cache = Arc::default();
        let ways = Ways::new(self.workers, self.clock, &code_cache)?;
        for (index, block) in blocks.iter().enumerate() {
            self.report(0, index, blocks.len());
            all.push(Samples::warm_up(&ways, block)?);
        }
        for round in 1..=self.runs {
            let ways = Ways::new(self.workers, self.clock, &code_cache)?;
            for (index, (block, samples)) in blocks.iter().zip(&mut all).enumerate() {
                self.report(round, index, blocks.len());
                samples.take(&ways, block, round + index)?;
            }
        }
        let watched = Ways::new(self.workers, self.clock, &code_cache)?.watched();
        for (index, (block, samples)) in blocks.iter().zip(&mut all).enumerate() {
            self.report(self.runs + 1, index, blocks.len());
            samples.watch(&watched, block)?;
        }
        self.report(self.runs + 1, blocks.len(), blocks.len());
        Ok(all.into_iter().map(Samples::finish).collect())
    }

    fn report(&self, round: usize, done: usize, blocks: usize) {
        (self.progress)(Progress {
            step: match round {
                0 => "warm-up",
                round if round > self.runs => "trace",
                _ => "measure",
            },
            done: round * blocks + done,
            total: (self.runs + 2) * blocks,
        });
    }
}

impl Samples {
    fn warm_up(ways: &Ways, block: &MainnetBlock) -> Result<Self, ReplayError> {
        let reference = ways.execute(Way::Sequential, block, None)?.executed;
        let mut samples = Self {
            list: reference.access_list(),
            times: Default::default(),
            trace: Trace::default(),
            mismatches: Vec::new(),
            reference,
        };
        let reference = block.differences(&samples.reference);
        samples.note(Way::Sequential, reference);
        for way in [Way::First, Way::ListDriven] {
            let outcome = ways.execute(way, block, Some(&samples.list))?;
            samples.compare(way, block, &outcome.executed);
        }
        Ok(samples)
    }

    /// All ways once, beginning with another one each time.
    fn take(&mut self, ways: &Ways, block: &MainnetBlock, turn: usize) -> Result<(), ReplayError> {
        let order = Way::ALL.into_iter().enumerate().cycle();
        for (place, way) in order.skip(turn % Way::ALL.len()).take(Way::ALL.len()) {
            let outcome = ways.execute(way, block, Some(&self.list))?;
            let Outcome { executed, time, .. } = outcome;
            self.compare(way, block, &executed);
            self.times[place].push(time);
        }
        Ok(())
    }

    /// A first execution once more, with a report; its time does not count.
    fn watch(&mut self, ways: &Ways, block: &MainnetBlock) -> Result<(), ReplayError> {
        let outcome = ways.execute(Way::First, block, None)?;
        self.compare(Way::First, block, &outcome.executed);
        self.trace = outcome.trace;
        Ok(())
    }

    fn compare(&mut self, way: Way, block: &MainnetBlock, executed: &ExecutedBlock) {
        let differences = block.differences(executed);
        self.note(way, differences);
        let differences = block.differences_between(&self.reference, executed);
        self.note(way, differences);
    }

    fn note(&mut self, way: Way, differences: Vec<Difference>) {
        for difference in differences {
            let mismatch = Mismatch { way, difference };
            if !self.mismatches.contains(&mismatch) {
                self.mismatches.push(mismatch);
            }
        }
    }

    fn finish(self) -> Measured {
        Measured {
            times: self.times.map(median),
            trace: self.trace,
            mismatches: self.mismatches,
        }
    }
}

/// The middle one, or the mean of the middle two.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let (low, high) = (times.len().saturating_sub(1) / 2, times.len() / 2);
    match (times.get(low), times.get(high)) {
        (Some(low), Some(high)) => (*low + *high) / 2,
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::median;
    use std::time::Duration;

    #[test]
    fn the_median_is_the_middle() {
        let of = |times: &[u64]| median(times.iter().copied().map(Duration::from_millis).collect());
        assert_eq!(of(&[9, 1, 5]), Duration::from_millis(5));
        assert_eq!(of(&[9, 1, 5, 3]), Duration::from_millis(4));
        assert_eq!(of(&[]), Duration::ZERO);
    }
}
