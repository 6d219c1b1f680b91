//! What more cores than this machine has would bring: measured times, scheduled in virtual time.

use crate::subject::Subject;
use executor::{SimulatedMachine, simulate};
use serde::Serialize;
use std::num::NonZeroUsize;

/// Cores that are imagined.
const WORKERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Asking the schedule under its lock, and waking a thread, on an ordinary server.
const ASK_NS: u64 = 150;
const WAKE_NS: u64 = 20_000;

/// How one block would speed up.
#[derive(Debug, Serialize)]
pub(crate) struct Scaling {
    workload: String,
    points: Vec<Point>,
}

/// The same on so many workers.
#[derive(Debug, Serialize)]
struct Point {
    workers: usize,
    /// Over executing and committing everything on one core.
    speedup: f64,
    /// What no schedule can beat: the longest chain of transactions that write the same slots, the
    /// commits one after the other, each worker's equal share.
    bound: f64,
    reexecutions: usize,
}

impl Scaling {
    /// Executes the block with a clock until its conflicts are known, then schedules what it took.
    pub(crate) fn measure(workload: &str, subject: &Subject) -> Self {
        let transactions = subject.execute_with_clock().measured();
        let points = WORKERS.into_iter().filter_map(NonZeroUsize::new);
        let points = points.map(|workers| {
            let machine = SimulatedMachine {
                workers,
                ask_ns: ASK_NS,
                wake_ns: WAKE_NS,
            };
            let timeline = simulate(&transactions, &machine);
            let bound_ns = timeline.bound_ns.max(timeline.in_order_bound_ns);
            Point {
                workers: workers.get(),
                speedup: ratio(timeline.total_ns, timeline.makespan_ns),
                bound: ratio(timeline.total_ns, bound_ns),
                reexecutions: timeline.reexecutions,
            }
        });
        Self {
            workload: workload.to_owned(),
            points: points.collect(),
        }
    }

    /// A line of the table.
    pub(crate) fn line(&self) -> String {
        let cells = self.points.iter().map(|point| {
            let (workers, speedup, bound) = (point.workers, point.speedup, point.bound);
            format!("{workers}: {speedup:.2}×/{bound:.2}×")
        });
        cells.collect::<Vec<_>>().join("  ")
    }
}

/// To the third decimal.
fn ratio(of: u64, to: u64) -> f64 {
    let permille = of.saturating_mul(1_000).checked_div(to).unwrap_or(1_000);
    f64::from(u32::try_from(permille).unwrap_or(u32::MAX)) / 1_000.0
}
