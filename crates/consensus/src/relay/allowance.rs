//! What one peer may cost: bytes that come back with time. Pure.

use super::config::BURST_SECONDS;
use std::time::SystemTime;

/// Bytes that one peer may spend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    bytes_per_second: usize,
    left: usize,
    refilled_at: SystemTime,
}

impl Allowance {
    /// All of [`BURST_SECONDS`] to spend.
    pub(super) const fn new(bytes_per_second: usize, now: SystemTime) -> Self {
        Self {
            bytes_per_second,
            left: bytes_per_second.saturating_mul(BURST_SECONDS),
            refilled_at: now,
        }
    }

    /// Whether so many bytes were there to be spent; none are spent if not.
    pub(super) fn spend(&mut self, bytes: usize, now: SystemTime) -> bool {
        self.refill(now);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn refill(&mut self, now: SystemTime) {
        let Ok(elapsed) = now.duration_since(self.refilled_at) else {
            // A clock that was set back refills from there on.
            self.refilled_at = now;
            return;
        };
        let elapsed_ms = usize::try_from(elapsed.as_millis()).unwrap_or(usize::MAX);
        let refill = elapsed_ms.saturating_mul(self.bytes_per_second) / 1_000;
        if refill == 0 {
            // Less than a byte yet: what has elapsed counts later.
            return;
        }
        let full = self.bytes_per_second.saturating_mul(BURST_SECONDS);
        self.left = self.left.saturating_add(refill).min(full);
        self.refilled_at = now;
    }
}
