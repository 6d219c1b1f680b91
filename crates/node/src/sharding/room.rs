//! Which transactions go into a shard's next block, so that its collation can be offered.
//!
//! ```text
//! block ─▶ executed ─▶ collation ─ it fits ──▶ offered; says what an ordinary transaction takes
//!   ▲                      └──── too large ──▶ weighed, taken back
//!   └── those that fit together, in their order ──┘     heavy: its weight is remembered
//!                                                       too heavy for any block: it leaves the pool
//! ```
//! How long a witness is depends on what transactions touch in which state, and is known once they are executed. One that
//! touches much and pays well must not keep others out: known heavy ones have half of a collation among them, and nearly
//! all of it in one block of [`TURN_BLOCKS`]; what can be in no block costs one execution, and leaves the pool unexecuted
//! if it is sent again. What a transaction touches may change with the state, so it is forgotten after [`KNOWN_BLOCKS`].
//!
//! Limits: [`HEAVY_MAX`] weights are remembered.

use alloy_primitives::B256;
use consensus::propose::Choice;
use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Of a collation's limit, what transactions are to take at most, in eighths.
const FULL_EIGHTHS: usize = 7;
/// A block that takes less than this part of the limit says nothing of one that is full.
const SMALL_SHARE: usize = 4;
/// Of the limit, what makes a transaction heavy, and what an ordinary one is taken to need at most.
const HEAVY_SHARE: usize = 64;
const ORDINARY_SHARE: usize = 1_024;
/// Of the limit, the part that heavy ones have.
const HEAVIES_PART: usize = 2;
/// In one of so many blocks they may have all of it.
const TURN_BLOCKS: u64 = 8;
/// Blocks of the shard for which a weight holds.
const KNOWN_BLOCKS: u64 = 256;
const HEAVY_MAX: usize = 4_096;

/// What a transaction adds to the collation of its block, in bytes.
pub(super) type Weight = (B256, usize);

const fn full(bytes_max: usize) -> usize {
    bytes_max.saturating_mul(FULL_EIGHTHS) / 8
}

/// What a shard's blocks have taught.
#[derive(Debug, Default)]
pub(super) struct Room(Mutex<Weights>);

#[derive(Clone, Debug, Default)]
struct Weights {
    /// Of an ordinary transaction; zero if that is not known.
    ordinary: usize,
    heavy: Arc<BTreeMap<B256, Heavy>>,
}

/// A transaction that was weighed.
#[derive(Clone, Copy, Debug)]
struct Heavy {
    bytes: usize,
    /// Number of the block that it was weighed in.
    number: u64,
}

impl Weights {
    /// What a transaction weighs, if that is remembered for a block of this number.
    fn of(&self, hash: &B256, number: u64) -> Option<usize> {
        let heavy = self.heavy.get(hash)?;
        let age = number.saturating_sub(heavy.number);
        (age < KNOWN_BLOCKS).then_some(heavy.bytes)
    }

    fn remember(&mut self, hash: B256, heavy: Heavy) {
        let known = Arc::make_mut(&mut self.heavy);
        while known.len() >= HEAVY_MAX {
            known.pop_first();
        }
        known.insert(hash, heavy);
    }
}

impl Room {
    fn weights(&self) -> MutexGuard<'_, Weights> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the block of a number, with a collation of so many bytes at most.
    pub(super) fn plan(&self, number: u64, bytes_max: usize) -> Plan {
        Plan {
            only: None,
            number,
            weights: self.weights().clone(),
            shares: Shares::new(number, bytes_max),
            full: full(bytes_max),
            impossible: Vec::new(),
        }
    }

    /// The block of a number with these transactions has a collation of so many bytes, and fits.
    pub(super) fn fits(
        &self,
        number: u64,
        hashes: impl Iterator<Item = B256>,
        (bytes, bytes_max): (usize, usize),
    ) {
        let mut weights = self.weights();
        let (mut rest, mut count) = (bytes, 0_usize);
        for hash in hashes {
            match weights.of(&hash, number) {
                Some(weight) => rest = rest.saturating_sub(weight),
                None => count = count.saturating_add(1),
            }
        }
        let each = rest.checked_div(count).unwrap_or_default();
        let is_told = rest >= bytes_max / SMALL_SHARE;
        weights.ordinary = if is_told {
            each.min(bytes_max / ORDINARY_SHARE)
        } else {
            0
        };
    }

    /// The transactions of a block that is too large weigh so much, each alone: which can be in no block.
    pub(super) fn exceeded(&self, number: u64, alone: &[Weight], bytes_max: usize) -> Vec<B256> {
        let mut weights = self.weights();
        for (hash, bytes) in alone.iter().copied() {
            if bytes > bytes_max / HEAVY_SHARE {
                weights.remember(hash, Heavy { bytes, number });
            }
        }
        let impossible = alone.iter().filter(|(_, weight)| *weight > full(bytes_max));
        impossible.map(|(hash, _)| *hash).collect()
    }
}

/// What of a collation is left for all, and for heavy ones, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    left: usize,
    heavy_left: usize,
    /// What makes a transaction heavy.
    heavy: usize,
}

impl Shares {
    /// Those of the block of a number, with a collation of so many bytes at most.
    pub(super) const fn new(number: u64, bytes_max: usize) -> Self {
        let is_their_turn = number.is_multiple_of(TURN_BLOCKS);
        let part = if is_their_turn { 1 } else { HEAVIES_PART };
        Self {
            left: full(bytes_max),
            heavy_left: full(bytes_max) / part,
            heavy: bytes_max / HEAVY_SHARE,
        }
    }

    /// Takes one that weighs so much alone, and adds so much more, if there is room.
    pub(super) fn take(&mut self, alone: usize, more: usize) -> bool {
        let is_heavy = alone > self.heavy;
        // By what it weighs alone, or many that touch the same would go in with one of them.
        if more > self.left || (is_heavy && alone > self.heavy_left) {
            return false;
        }
        self.left = self.left.saturating_sub(more);
        if is_heavy {
            self.heavy_left = self.heavy_left.saturating_sub(alone);
        }
        true
    }
}

/// What the next block takes.
#[derive(Debug)]
pub(super) struct Plan {
    only: Option<BTreeSet<B256>>,
    number: u64,
    weights: Weights,
    shares: Shares,
    /// What transactions may take in a block that has nothing else.
    full: usize,
    impossible: Vec<B256>,
}

impl Plan {
    /// These and no others: they fit together.
    pub(super) fn only(self, hashes: BTreeSet<B256>) -> Self {
        Self {
            only: Some(hashes),
            ..self
        }
    }

    /// Whether the block takes a transaction that has its turn.
    pub(super) fn choose(&mut self, hash: &B256) -> Choice {
        if let Some(only) = &self.only {
            return if only.contains(hash) {
                Choice::Take
            } else {
                Choice::Skip
            };
        }
        let heavy = self.weights.of(hash, self.number);
        if heavy.is_some_and(|weight| weight > self.full) {
            self.impossible.push(*hash);
            return Choice::Skip;
        }
        let weight = heavy.unwrap_or(self.weights.ordinary);
        match (self.shares.take(weight, weight), heavy) {
            (true, _) => Choice::Take,
            (false, Some(_)) => Choice::Skip,
            (false, None) => Choice::Stop,
        }
    }

    /// Those that had their turn and are known to fit into no block.
    pub(super) fn take_impossible(&mut self) -> Vec<B256> {
        mem::take(&mut self.impossible)
    }
}

#[cfg(test)]
mod tests {
    use super::{Choice, KNOWN_BLOCKS, Room, Shares, full};
    use alloy_primitives::B256;

    const MAX: usize = 8 << 20;

    fn hash(number: usize) -> B256 {
        B256::left_padding_from(&number.to_be_bytes())
    }

    fn taken(room: &Room, number: u64, hashes: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut plan = room.plan(number, MAX);
        let chosen = hashes.map(|one| (one, plan.choose(&hash(one))));
        let chosen = chosen.take_while(|(_, choice)| *choice != Choice::Stop);
        let taken = chosen.filter(|(_, choice)| *choice == Choice::Take);
        taken.map(|(one, _)| one).collect()
    }

    #[test]
    fn a_full_block_bounds_the_next_and_a_small_one_does_not() {
        let room = Room::default();
        assert_eq!(taken(&room, 1, 0..20_000).len(), 20_000);
        room.fits(1, (0..8_000).map(hash), (MAX, MAX));
        assert_eq!(taken(&room, 1, 0..20_000).len(), 7_003);
        room.fits(1, (0..7_000).map(hash), (MAX / 2, MAX));
        assert_eq!(taken(&room, 1, 0..20_000).len(), 12_253);
        room.fits(1, (0..7_000).map(hash), (MAX / 5, MAX));
        assert_eq!(taken(&room, 1, 0..20_000).len(), 20_000);
        // Two that were not known to be heavy do not make all others so.
        room.fits(1, (0..2).map(hash), (MAX, MAX));
        assert_eq!(taken(&room, 1, 0..20_000).len(), 896);
        room.fits(1, std::iter::empty(), (MAX, MAX));
        assert_eq!(taken(&room, 1, 0..20_000).len(), 20_000);
    }

    #[test]
    fn heavy_ones_leave_room() {
        let room = Room::default();
        let weighed = [(0, MAX / 2), (1, full(MAX) + 1), (2, MAX / 2), (3, 100)];
        let weighed = weighed.map(|(one, weight)| (hash(one), weight));
        assert_eq!(room.exceeded(1, &weighed, MAX), [hash(1)]);
        // More than the half that heavy ones have: in their turn.
        assert_eq!(taken(&room, 1, 0..6), [3, 4, 5]);
        assert_eq!(taken(&room, 8, 0..6), [0, 3, 4, 5]);
        let lighter = [(0, MAX / 4), (2, MAX / 4)].map(|(one, weight)| (hash(one), weight));
        room.exceeded(1, &lighter, MAX);
        assert_eq!(taken(&room, 1, 0..6), [0, 3, 4, 5]);
        // What is heavy is not counted among the ordinary ones.
        let bytes = MAX / 4 + 200;
        room.fits(1, [0, 3, 4].map(hash).into_iter(), (bytes, MAX));
        assert_eq!(taken(&room, 1, 3..20_000).len(), 20_000 - 3);
    }

    #[test]
    fn what_fits_into_no_block_is_told_and_tried_again_later() {
        let room = Room::default();
        let weighed = [(hash(1), full(MAX) + 1), (hash(2), full(MAX))];
        assert_eq!(room.exceeded(1, &weighed, MAX), [hash(1)]);
        for number in [1, 7, KNOWN_BLOCKS] {
            let mut plan = room.plan(number, MAX);
            assert_eq!(plan.choose(&hash(1)), Choice::Skip);
            assert_eq!(plan.choose(&hash(3)), Choice::Take);
            assert_eq!(plan.take_impossible(), [hash(1)]);
        }
        // It may touch less by now.
        let mut plan = room.plan(1 + KNOWN_BLOCKS, MAX);
        assert_eq!(plan.choose(&hash(1)), Choice::Take);
        assert!(plan.take_impossible().is_empty());
    }

    #[test]
    fn many_that_touch_the_same_do_not_go_in_with_one_of_them() {
        let mut shares = Shares::new(1, MAX);
        assert!(shares.take(MAX / 4, MAX / 4));
        assert!(!shares.take(MAX / 4, 100));
        assert!(shares.take(100, 100));
        assert!(!shares.take(full(MAX), full(MAX)));
    }

    #[test]
    fn weights_are_bounded() {
        let room = Room::default();
        let weighed: Vec<_> = (0..super::HEAVY_MAX + 9)
            .map(|one| (hash(one), MAX))
            .collect();
        room.exceeded(1, &weighed, MAX);
        let known = room.weights().heavy.len();
        assert_eq!(known, super::HEAVY_MAX);
    }
}
