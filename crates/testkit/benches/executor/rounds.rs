//! Rounds over one block: every way once in each, another one first each time, because whoever is
//! first finds the caches cold.

use crate::subject::{Subject, Way};
use std::{hint::black_box, time::Duration};

/// What the rounds say about one way.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    pub(crate) way: Way,
    times: Vec<Duration>,
    /// In the last round.
    pub(crate) reexecutions: usize,
}

impl Samples {
    /// Measures all ways. The subject has been through a warm-up already.
    pub(crate) fn take(subject: &Subject, ways: &[Way], rounds: usize) -> Vec<Self> {
        let mut all: Vec<_> = ways.iter().copied().map(Self::new).collect();
        for round in 0..rounds {
            let first = round % all.len();
            let (before, from_first) = all.split_at_mut(first);
            for samples in from_first.iter_mut().chain(before) {
                samples.add(subject);
            }
        }
        for samples in &mut all {
            samples.times.sort_unstable();
        }
        all
    }

    /// The middle one, or the mean of the middle two.
    pub(crate) fn median_ms(&self) -> f64 {
        let count = self.times.len();
        let middle = [count.saturating_sub(1) / 2, count / 2];
        let middle = middle.map(|place| self.times.get(place).copied().unwrap_or_default());
        ms(middle.into_iter().sum::<Duration>() / 2)
    }

    /// The shortest one.
    pub(crate) fn min_ms(&self) -> f64 {
        ms(self.times.first().copied().unwrap_or_default())
    }

    const fn new(way: Way) -> Self {
        Self {
            way,
            times: Vec::new(),
            reexecutions: 0,
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "wall time is what a bench measures, outside any runtime"
    )]
    fn add(&mut self, subject: &Subject) {
        let start = std::time::Instant::now();
        let outcome = black_box(subject.execute(self.way));
        self.reexecutions = outcome.reexecutions();
        drop(outcome);
        self.times.push(start.elapsed());
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
