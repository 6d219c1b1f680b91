//! Processor time, as Linux counts it, and wall time.

use serde::Serialize;
use std::fs;
use std::ops::AddAssign;
use std::time::Instant;

/// What something took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Cost {
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.cpu_s += other.cpu_s;
        self.wall_s += other.wall_s;
    }
}

/// Since when something is measured.
pub(crate) struct Clock {
    cpu_s: f64,
    wall: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    pub(crate) fn start() -> Self {
        Self {
            cpu_s: cpu_seconds(),
            wall: Instant::now(),
        }
    }

    pub(crate) fn stop(&self) -> Cost {
        Cost {
            cpu_s: cpu_seconds() - self.cpu_s,
            wall_s: self.wall.elapsed().as_secs_f64(),
        }
    }
}

/// Of this process, its threads included, in nanoseconds from the scheduler.
fn cpu_seconds() -> f64 {
    let threads = fs::read_dir("/proc/self/task").expect("Linux");
    let nanoseconds = threads.map(|thread| {
        let path = thread.expect("a thread").path().join("schedstat");
        // A thread may end while it is looked at.
        let line = fs::read_to_string(path).unwrap_or_default();
        let first = line.split(' ').next().and_then(|word| word.parse().ok());
        first.unwrap_or(0.0)
    });
    nanoseconds.sum::<f64>() / 1e9
}

/// The one in the middle, the greater of two.
pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
