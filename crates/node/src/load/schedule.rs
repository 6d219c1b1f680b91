//! When each transaction is due, decided before the first is sent.
//!
//! ```text
//! rate ▲        ┌────────────
//!      │      ╱                 ramp: from nothing to the rate, evenly
//!      │    ╱
//!      └──┴──────┴───────────▶ time      arrivals = area below
//! ```
//! A time does not depend on how the node answers: a slow answer makes what comes after it late, and its
//! latency counts from when it was due.

use std::time::Duration;

/// Arrivals at a rate, after a ramp. Without a rate everything is due at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Schedule {
    /// Transactions per second; none = as fast as they are taken.
    rate: Option<f64>,
    ramp: f64,
}

impl Schedule {
    pub(super) fn new(rate: Option<u32>, ramp: Duration) -> Self {
        Self {
            rate: rate.map(f64::from),
            ramp: ramp.as_secs_f64(),
        }
    }

    /// Whether arrivals have times of their own.
    pub(super) const fn is_open(&self) -> bool {
        self.rate.is_some()
    }

    /// When the transaction is due, from the start.
    pub(super) fn due(&self, index: usize) -> Duration {
        let Some(rate) = self.rate else {
            return Duration::ZERO;
        };
        let index = index as f64;
        let in_ramp = rate * self.ramp / 2.0;
        let seconds = match index < in_ramp {
            true => (2.0 * index * self.ramp / rate).sqrt(),
            false => self.ramp + (index - in_ramp) / rate,
        };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// How many are due before a time; none without a rate.
    pub(super) fn before(&self, time: Duration) -> Option<usize> {
        let rate = self.rate?;
        let seconds = time.as_secs_f64();
        let arrivals = match seconds < self.ramp {
            true => rate * seconds * seconds / (2.0 * self.ramp),
            false => rate * (seconds - self.ramp / 2.0),
        };
        // An `as` of a float stops at the ends of the type.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never negative, and a count beyond the limit is refused by whoever asks"
        )]
        let count = arrivals.ceil() as usize;
        Some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedules() -> impl Iterator<Item = Schedule> {
        let rates = [1, 7, 400, 20_000];
        rates.into_iter().flat_map(|rate| {
            [0, 1, 2_500, 60_000].map(|ramp| Schedule::new(Some(rate), Duration::from_millis(ramp)))
        })
    }

    #[test]
    fn arrivals_never_go_back_and_keep_the_rate_after_the_ramp() {
        for schedule in schedules() {
            let rate = schedule.rate.unwrap();
            let times: Vec<_> = (0..3_000).map(|index| schedule.due(index)).collect();
            assert_eq!(times[0], Duration::ZERO);
            assert!(times.is_sorted(), "{schedule:?}");
            for pair in times.windows(2) {
                let (gap, every) = ((pair[1] - pair[0]).as_secs_f64(), 1.0 / rate);
                let after = pair[0].as_secs_f64() >= schedule.ramp;
                assert!(!after || (gap - every).abs() < 1e-6, "{schedule:?} {gap}");
                assert!(gap >= every - 1e-6, "{schedule:?}: faster than the rate");
            }
        }
    }

    /// A second way: adding up the rate in small steps.
    #[test]
    fn the_ramp_is_the_area_below_a_straight_line() {
        let schedule = Schedule::new(Some(1_000), Duration::from_secs(4));
        let (step, mut area, mut index) = (0.0005, 0.0, 0_usize);
        for tick in 0..16_000_u32 {
            let now = f64::from(tick) * step;
            while index as f64 <= area {
                let due = schedule.due(index).as_secs_f64();
                assert!(
                    (due - now).abs() < 0.06,
                    "index={index} due={due} now={now}"
                );
                index += 1;
            }
            area += (now / 4.0).min(1.0) * 1_000.0 * step;
        }
        assert!(index > 5_900, "{index}");
    }

    #[test]
    fn the_count_before_a_time_is_of_those_due_before_it() {
        for schedule in schedules() {
            for millis in [1, 500, 2_500, 10_000] {
                let time = Duration::from_millis(millis);
                let count = schedule.before(time).unwrap();
                let nanosecond = Duration::from_nanos(1);
                assert!(
                    schedule.due(count) + nanosecond >= time,
                    "{schedule:?} {time:?}"
                );
                assert!(count == 0 || schedule.due(count - 1) < time + nanosecond);
            }
        }
        let closed = Schedule::new(None, Duration::ZERO);
        assert_eq!(closed.before(Duration::from_secs(1)), None);
        assert_eq!(closed.due(999), Duration::ZERO);
    }
}
