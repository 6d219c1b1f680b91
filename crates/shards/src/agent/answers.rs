//! How long answers take lately, so that nobody fills a full wire with the same requests again.
//!
//! A request that is repeated too early has its answer sent twice, and where wires are full that makes all answers
//! later still. So the wait follows what is seen, as retransmission timers of transport protocols do (RFC 6298):
//! the smoothed time and four times its mean deviation, and longer with every repetition.

/// Shares of a new time in the smoothed ones.
const TIME_SHARE: u64 = 8;
const DEVIATION_SHARE: u64 = 4;
/// Deviations that are waited for beyond the smoothed time.
const DEVIATIONS: u64 = 4;
/// The longest wait, in milliseconds: who is silent on purpose is found out within it.
const WAIT_MAX_MS: u64 = 4_000;
/// How often a wait grows.
const REPETITIONS_MAX: u64 = 4;

/// Times from asking for something last until it was there, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AnswerTime {
    smoothed_ms: Option<u64>,
    deviation_ms: u64,
}

impl AnswerTime {
    pub(crate) fn took(&mut self, took_ms: u64) {
        let Some(smoothed_ms) = self.smoothed_ms else {
            (self.smoothed_ms, self.deviation_ms) = (Some(took_ms), took_ms / 2);
            return;
        };
        let off_ms = smoothed_ms.abs_diff(took_ms);
        self.deviation_ms = blend(self.deviation_ms, off_ms, DEVIATION_SHARE);
        self.smoothed_ms = Some(blend(smoothed_ms, took_ms, TIME_SHARE));
    }

    /// How long to wait after asking for the n-th time, at least so long.
    pub(crate) fn wait_ms(&self, least_ms: u64, times: u64) -> u64 {
        let expected_ms = self.smoothed_ms.unwrap_or_default();
        let deviations_ms = self.deviation_ms.saturating_mul(DEVIATIONS);
        let wait_ms = expected_ms.saturating_add(deviations_ms).max(least_ms);
        let longest_ms = WAIT_MAX_MS.max(least_ms);
        let times = times.clamp(1, REPETITIONS_MAX);
        wait_ms.saturating_mul(times).min(longest_ms)
    }
}

/// One part of the new to share − 1 of the old.
fn blend(old: u64, new: u64, share: u64) -> u64 {
    let sum = old
        .saturating_mul(share.saturating_sub(1))
        .saturating_add(new);
    sum.checked_div(share).unwrap_or(old)
}

#[cfg(test)]
mod tests {
    use super::{AnswerTime, WAIT_MAX_MS};

    #[test]
    fn waits_are_as_long_as_answers_take_and_never_shorter_than_the_least() {
        let mut answers = AnswerTime::default();
        assert_eq!(answers.wait_ms(250, 1), 250);
        for _ in 0..50 {
            answers.took(40);
        }
        assert_eq!(answers.wait_ms(250, 1), 250);
        assert_eq!(answers.wait_ms(250, 3), 750);
        for _ in 0..50 {
            answers.took(1_000);
        }
        let wait_ms = answers.wait_ms(250, 1);
        assert!((1_000..1_100).contains(&wait_ms), "{wait_ms}");
        assert_eq!(answers.wait_ms(250, 9), WAIT_MAX_MS);
        for _ in 0..100 {
            answers.took(40);
        }
        assert_eq!(answers.wait_ms(250, 1), 250);
    }

    #[test]
    fn one_slow_answer_is_not_forgotten_at_once() {
        let mut answers = AnswerTime::default();
        answers.took(100);
        answers.took(900);
        assert!(answers.wait_ms(250, 1) > 900);
    }
}
