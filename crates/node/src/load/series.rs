//! Rates over the time of a run.

use super::fates::Record;
use serde::Serialize;

/// Most points of a series.
const POINTS_MAX: u64 = 240;
/// Shortest time that a point stands for, in microseconds.
const STEP_LEAST_US: u64 = 100_000;

/// How many transactions were due, accepted and included in each stretch of time, per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// Seconds that each point stands for.
    pub step_seconds: f64,
    /// Transactions that were due; without a rate, those that were sent.
    pub offered: Vec<f64>,
    /// Transactions the node said it took.
    pub accepted: Vec<f64>,
    /// Transactions in blocks.
    pub included: Vec<f64>,
}

impl Series {
    pub(super) fn of(records: &[Record]) -> Self {
        let times = |record: &Record| [record.due_us(), record.accepted_us(), record.included_us()];
        let last_us = records.iter().flat_map(times).flatten().max();
        let Some(last_us) = last_us else {
            return Self::default();
        };
        let step_us = step(last_us);
        let points = usize::try_from(last_us / step_us).unwrap_or_default() + 1;
        let mut counts = [const { Vec::new() }; 3];
        for series in &mut counts {
            series.resize(points, 0_u32);
        }
        for record in records {
            for (series, time_us) in counts.iter_mut().zip(times(record)) {
                count(series, time_us.map(|time_us| time_us / step_us));
            }
        }
        let step_seconds = step_us as f64 / 1e6;
        let [offered, accepted, included] = counts.map(|series| {
            let rates = series
                .into_iter()
                .map(|count| f64::from(count) / step_seconds);
            rates.collect()
        });
        Self {
            step_seconds,
            offered,
            accepted,
            included,
        }
    }
}

fn count(series: &mut [u32], point: Option<u64>) {
    let point = point.and_then(|point| usize::try_from(point).ok());
    if let Some(count) = point.and_then(|point| series.get_mut(point)) {
        *count += 1;
    }
}

/// A round step that has no more points than there may be.
fn step(last_us: u64) -> u64 {
    let least = (last_us / POINTS_MAX + 1).max(STEP_LEAST_US);
    let mut unit = STEP_LEAST_US;
    loop {
        for factor in [1, 2, 5] {
            if unit * factor >= least {
                return unit * factor;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_round_and_the_points_are_few() {
        for last_us in [
            0,
            1,
            99_999,
            23_999_999,
            24_000_000,
            60_000_000,
            7_200_000_000,
        ] {
            let step = step(last_us);
            assert!(last_us / step < POINTS_MAX, "{last_us}");
            assert!(step == STEP_LEAST_US || step / 3 < last_us / POINTS_MAX + 1);
            let digits = step.to_string();
            assert!(digits[1..].bytes().all(|digit| digit == b'0'), "{digits}");
        }
    }
}
