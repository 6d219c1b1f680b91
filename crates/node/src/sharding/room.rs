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
//! all of it in one block of [`TURN_BLOCKS`]; what can be in no block costs one execution, once.
//!
//! Limits: [`HEAVY_MAX`] weights are remembered.

use alloy_primitives::B256;
use consensus::propose::Choice;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
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
    heavy: BTreeMap<B256, usize>,
}

impl Weights {
    fn remember(&mut self, hash: B256, weight: usize) {
        while self.heavy.len() >= HEAVY_MAX {
            self.heavy.pop_first();
        }
        self.heavy.insert(hash, weight);
    }
}

impl Room {
    /// For the block of a number, with a collation of so many bytes at most.
    pub(super) fn plan(&self, number: u64, bytes_max: usize) -> Plan {
        Plan {
            only: None,
            weights: self
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            shares: Shares::new(number, bytes_max),
        }
    }

    /// A block with these transactions has a collation of so many bytes, and fits.
    pub(super) fn fits(&self, hashes: impl Iterator<Item = B256>, bytes: usize, bytes_max: usize) {
        let mut weights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut rest, mut count) = (bytes, 0_usize);
        for hash in hashes {
            match weights.heavy.get(&hash) {
                Some(weight) => rest = rest.saturating_sub(*weight),
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
    pub(super) fn exceeded(&self, alone: &[Weight], bytes_max: usize) -> Vec<B256> {
        let mut weights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (hash, weight) in alone {
            if *weight > bytes_max / HEAVY_SHARE {
                weights.remember(*hash, *weight);
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
    weights: Weights,
    shares: Shares,
}

impl Plan {
    /// These and no others: they fit together.
    pub(super) fn only(hashes: BTreeSet<B256>, bytes_max: usize) -> Self {
        Self {
            only: Some(hashes),
            weights: Weights::default(),
            shares: Shares::new(0, bytes_max),
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
        let heavy = self.weights.heavy.get(hash).copied();
        let weight = heavy.unwrap_or(self.weights.ordinary);
        match (self.shares.take(weight, weight), heavy) {
            (true, _) => Choice::Take,
            (false, Some(_)) => Choice::Skip,
            (false, None) => Choice::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Choice, Room, Shares, full};
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
        room.fits((0..8_000).map(hash), MAX, MAX);
        assert_eq!(taken(&room, 1, 0..20_000).len(), 7_003);
        room.fits((0..7_000).map(hash), MAX / 2, MAX);
        assert_eq!(taken(&room, 1, 0..20_000).len(), 12_253);
        room.fits((0..7_000).map(hash), MAX / 5, MAX);
        assert_eq!(taken(&room, 1, 0..20_000).len(), 20_000);
        // Two that were not known to be heavy do not make all others so.
        room.fits((0..2).map(hash), MAX, MAX);
        assert_eq!(taken(&room, 1, 0..20_000).len(), 896);
        room.fits(std::iter::empty(), MAX, MAX);
        assert_eq!(taken(&room, 1, 0..20_000).len(), 20_000);
    }

    #[test]
    fn heavy_ones_leave_room() {
        let room = Room::default();
        let weighed = [(0, MAX / 2), (1, full(MAX) + 1), (2, MAX / 2), (3, 100)];
        let weighed = weighed.map(|(one, weight)| (hash(one), weight));
        assert_eq!(room.exceeded(&weighed, MAX), [hash(1)]);
        // More than the half that heavy ones have: in their turn.
        assert_eq!(taken(&room, 1, 0..6), [3, 4, 5]);
        assert_eq!(taken(&room, 8, 0..6), [0, 3, 4, 5]);
        let lighter = [(0, MAX / 4), (2, MAX / 4)].map(|(one, weight)| (hash(one), weight));
        room.exceeded(&lighter, MAX);
        assert_eq!(taken(&room, 1, 0..6), [0, 3, 4, 5]);
        // What is heavy is not counted among the ordinary ones.
        room.fits([0, 3, 4].map(hash).into_iter(), MAX / 4 + 200, MAX);
        assert_eq!(taken(&room, 1, 3..20_000).len(), 20_000 - 3);
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
        room.exceeded(&weighed, MAX);
        let known = room.0.lock().unwrap().heavy.len();
        assert_eq!(known, super::HEAVY_MAX);
    }
}
