//! Latencies by percentile.

use hdrhistogram::Histogram;
use serde::Serialize;

/// Digits that a recorded latency keeps.
const DIGITS: u8 = 3;
/// Longest latency that is told apart, in microseconds: two hours.
const LONGEST_US: u64 = 7_200_000_000;
/// Percentiles that a curve is drawn through, and the digits after the point that name them.
const CURVE: [f64; 13] = [
    0.0, 25.0, 50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.95, 99.99, 100.0,
];

/// How long it took from when transactions were due until something happened to them, in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    /// Transactions it happened to.
    pub count: u64,
    /// Half of them were faster.
    pub p50_ms: f64,
    /// Nine of ten were faster.
    pub p90_ms: f64,
    /// All but one of a hundred.
    pub p99_ms: f64,
    /// All but one of a thousand.
    #[serde(rename = "p99_9Ms")]
    pub p99_9_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// The sum over the count.
    pub mean_ms: f64,
    /// Pairs of a percentile and its milliseconds, to draw.
    pub curve: Vec<(f64, f64)>,
}

impl Latency {
    /// Of latencies in microseconds; none of none.
    pub(super) fn of(latencies_us: impl Iterator<Item = u64>) -> Option<Self> {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, LONGEST_US, DIGITS)
            .expect("the bounds are apart and the digits are at most five");
        let mut max_us = 0;
        for latency_us in latencies_us {
            histogram.saturating_record(latency_us);
            max_us = max_us.max(latency_us);
        }
        if histogram.is_empty() {
            return None;
        }
        let ms = |us: u64| us as f64 / 1_000.0;
        // The histogram rounds up to its digits; nothing was slower than the slowest.
        let at = |percentile| ms(histogram.value_at_percentile(percentile).min(max_us));
        Some(Self {
            count: histogram.len(),
            p50_ms: at(50.0),
            p90_ms: at(90.0),
            p99_ms: at(99.0),
            p99_9_ms: at(99.9),
            max_ms: ms(max_us),
            mean_ms: histogram.mean() / 1_000.0,
            curve: CURVE
                .map(|percentile| (percentile, at(percentile)))
                .to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The second way: sorting.
        #[test]
        fn percentiles_are_those_of_the_sorted_list(
            mut latencies in prop::collection::vec(0_u64..100_000_000, 1..400),
        ) {
            let found = Latency::of(latencies.iter().copied()).unwrap();
            latencies.sort_unstable();
            prop_assert_eq!(found.count, latencies.len() as u64);
            prop_assert_eq!(found.max_ms, *latencies.last().unwrap() as f64 / 1_000.0);
            let named = [
                (50.0, found.p50_ms),
                (90.0, found.p90_ms),
                (99.0, found.p99_ms),
                (99.9, found.p99_9_ms),
            ];
            for (percentile, ms) in named.iter().chain(&found.curve) {
                let rank = (percentile / 100.0 * latencies.len() as f64).ceil().max(1.0);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
                let expected = latencies[rank as usize - 1] as f64 / 1_000.0;
                let error = (ms - expected).abs();
                prop_assert!(error <= expected * 0.001 + 0.0011, "{percentile}: {ms} {expected}");
            }
        }
    }

    #[test]
    fn of_none_there_is_none() {
        assert_eq!(Latency::of(std::iter::empty()), None);
    }

    #[test]
    fn one_that_took_days_is_not_lost() {
        let days = Latency::of([u64::MAX / 2].into_iter()).unwrap();
        assert_eq!(days.count, 1);
        assert!(days.max_ms > 7_200_000.0);
    }
}
