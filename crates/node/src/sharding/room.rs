//! How many transactions go into a shard's next block, so that its collation can be offered.
//!
//! ```text
//! block ─▶ executed ─▶ collation ─ it fits ──▶ offered; the next has as many as would nearly fill one
//!   ▲                      └──── too large ──▶ taken back
//!   └──── fewer, by how much it was too large ────┘        one alone that is too large leaves the pool
//! ```
//! How long a witness is depends on what transactions touch in which state, and is known once they are executed. So the
//! last block says how many the next may have; what is too large nevertheless is built again with fewer.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Of a collation's limit, what a next block is to take at most, in eighths; and what one that was too large is to.
const FULL_EIGHTHS: usize = 7;
const AGAIN_EIGHTHS: usize = 6;
/// A block that takes less than this part of the limit says nothing of one that is full.
const SMALL_SHARE: usize = 4;

/// What an executed block is found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It can be offered.
    Fits,
    /// It has to be built again, with fewer transactions.
    TooLarge,
    /// Its only transaction can be in no block.
    TooLargeAlone,
}

/// Transactions that the next block of a shard has at most.
#[derive(Debug)]
pub(super) struct Room(AtomicUsize);

impl Default for Room {
    fn default() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }
}

impl Room {
    pub(super) fn transactions_max(&self) -> usize {
        self.0.load(Relaxed)
    }

    /// A block with so many transactions has a collation of so many bytes, where there is such a limit.
    pub(super) fn weigh(&self, transactions: usize, bytes: usize, bytes_max: usize) -> Fit {
        let share = |eighths: usize| {
            let part = bytes_max.saturating_mul(eighths) / 8;
            let count = transactions.saturating_mul(part).checked_div(bytes);
            count.unwrap_or(usize::MAX).max(1)
        };
        let (fit, next) = match (bytes > bytes_max, transactions) {
            (false, _) if bytes < bytes_max / SMALL_SHARE => (Fit::Fits, usize::MAX),
            (false, _) => (Fit::Fits, share(FULL_EIGHTHS)),
            (true, 0..=1) => (Fit::TooLargeAlone, usize::MAX),
            (true, _) => (Fit::TooLarge, share(AGAIN_EIGHTHS)),
        };
        self.0.store(next, Relaxed);
        fit
    }
}

#[cfg(test)]
mod tests {
    use super::{Fit, Room};

    const MAX: usize = 8_000;

    #[test]
    fn a_full_block_bounds_the_next_and_a_small_one_does_not() {
        let room = Room::default();
        assert_eq!(room.transactions_max(), usize::MAX);
        assert_eq!(room.weigh(10, MAX, MAX), Fit::Fits);
        assert_eq!(room.transactions_max(), 8);
        assert_eq!(room.weigh(8, MAX / 2, MAX), Fit::Fits);
        assert_eq!(room.transactions_max(), 14);
        assert_eq!(room.weigh(14, MAX / 5, MAX), Fit::Fits);
        assert_eq!(room.transactions_max(), usize::MAX);
        assert_eq!(room.weigh(0, 0, MAX), Fit::Fits);
    }

    #[test]
    fn what_is_too_large_comes_again_with_fewer_until_one_is_left() {
        let room = Room::default();
        // One of them takes more than there is, however few others there are.
        let mut transactions = 17_000;
        let mut tries = 0;
        while room.weigh(transactions, MAX + transactions, MAX) == Fit::TooLarge {
            let fewer = room.transactions_max();
            assert!(fewer < transactions, "{fewer}");
            transactions = fewer;
            tries += 1;
        }
        assert_eq!((transactions, tries < 32), (1, true), "{tries}");
        assert_eq!(room.weigh(1, MAX + 1, MAX), Fit::TooLargeAlone);
        assert_eq!(room.transactions_max(), usize::MAX);
    }
}
