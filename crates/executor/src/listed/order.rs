//! Who executes what, when order does not matter: the longest first, what is short many at a time.
//!
//! A long transaction that begins last keeps one worker busy while all others wait for it.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};

/// Work that is handed out at once, in units of gas.
const CHUNK_GAS: u64 = 150_000;
/// Most transactions handed out at once.
const CHUNK_MAX: usize = 64;
/// Gas of a transaction that is paid for being one, and not for work.
const BASE_GAS: u64 = 18_000;

/// A queue of transactions.
#[derive(Debug)]
pub(super) struct Order {
    places: Vec<usize>,
    /// Where each chunk ends.
    ends: Vec<usize>,
    next: AtomicUsize,
}

impl Order {
    /// The order of transactions that use so much gas each.
    pub(super) fn new(gas_used: &[u64]) -> Self {
        let mut classes = [const { Vec::new() }; 65];
        for (place, gas) in gas_used.iter().enumerate() {
            let bits = u64::BITS.saturating_sub(work(*gas).leading_zeros());
            let class = usize::try_from(bits)
                .ok()
                .and_then(|bits| classes.get_mut(bits));
            class.into_iter().for_each(|class| class.push(place));
        }
        let places: Vec<usize> = classes.into_iter().rev().flatten().collect();
        let mut ends = Vec::new();
        let (mut gas, mut length) = (0_u64, 0_usize);
        for (count, place) in (1..).zip(&places) {
            gas = gas.saturating_add(gas_used.get(*place).map_or(0, |gas| work(*gas)));
            length = length.saturating_add(1);
            if gas >= CHUNK_GAS || length >= CHUNK_MAX || count == places.len() {
                ends.push(count);
                (gas, length) = (0, 0);
            }
        }
        Self {
            places,
            ends,
            next: AtomicUsize::new(0),
        }
    }

    /// The places of the transactions that come next; nothing when all are taken.
    pub(super) fn next(&self) -> Option<&[usize]> {
        let chunk = self.next.fetch_add(1, Ordering::Relaxed);
        let end = *self.ends.get(chunk)?;
        let before = chunk.checked_sub(1).and_then(|chunk| self.ends.get(chunk));
        let range: Range<usize> = before.copied().unwrap_or(0)..end;
        self.places.get(range)
    }
}

const fn work(gas: u64) -> u64 {
    let work = gas.saturating_sub(BASE_GAS);
    if work == 0 { 1 } else { work }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK_MAX, Order};

    #[test]
    fn everything_comes_once_and_the_longest_first() {
        let gas: Vec<u64> = (0..1_000)
            .map(|place| match place % 10 {
                0 => 1_000_000 + place,
                1 => u64::MAX,
                _ => 21_000,
            })
            .collect();
        let order = Order::new(&gas);
        let mut seen = Vec::new();
        while let Some(places) = order.next() {
            assert!((1..=CHUNK_MAX).contains(&places.len()));
            seen.extend_from_slice(places);
        }
        let classes = seen.iter().map(|place| gas[*place].ilog2());
        assert!(classes.is_sorted_by(|left, right| left >= right));
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..1_000));
        assert_eq!(Order::new(&[]).next(), None);
    }
}
