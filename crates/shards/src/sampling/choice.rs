//! Choosing validators: the same everywhere, each as likely as any other.
//!
//! ```text
//! H(purpose, seed, …) ─▶ words of 64 bits ─reject the surplus─▶ numbers below a bound ─▶ Fisher–Yates
//!
//! checkers     order:  a a a b b c …            a: tranche 0   b, c: replace those who are not there
//! groups       ring of all, once round a cycle; n = 10, 2 cores of 3:
//!              ├─ core 0 ─┼─ core 1 ─┼─ 0 ─┼─ 1 ─┼ …   rotation 0, 1, …
//! ```
//! A word that would favour small numbers is drawn again, so there is no bias at all; that happens once in
//! 2^56 words.

use alloy_primitives::B256;
use commonware_codec::Encode as _;
use commonware_cryptography::Hasher as _;
use primitives::{
    crypto::BlockHasher,
    shard::{BITS_MAX, Bits, CandidateId},
};

/// Times that checkers are asked before everybody is: at first, and twice to replace those who are not there.
pub const TRANCHES: u16 = 3;

const CHECKERS: &[u8] = b"_HEADWAY_SHARD_CHECKERS";
const GROUPS: &[u8] = b"_HEADWAY_SHARD_GROUPS";

/// The order in which validators are asked to check a candidate: all of them, each order as likely as any other.
#[must_use]
pub fn checkers(seed: &B256, candidate: &CandidateId, validators: u16) -> Vec<usize> {
    let validators = usize::from(validators).min(BITS_MAX);
    let words = Words::new(&[CHECKERS, seed.as_slice(), &candidate.encode()]);
    shuffled(words, validators)
}

/// The backing groups of an epoch.
///
/// Its validators stand in a ring; every rotation takes the next `cores × size` places of it, `size` for each
/// core. After a [cycle](Self::cycle) everybody has served equally often, and the ring is shuffled anew.
/// With fewer validators than places, groups of one rotation overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Of the epoch; that it is known does not matter much, because groups do not decide what is final.
    pub seed: B256,
    /// The epoch.
    pub epoch: u64,
    /// Validators of the epoch.
    pub validators: u16,
    /// Cores, each with a group.
    pub cores: u16,
    /// Members of a group; everybody if there are fewer.
    pub size: u16,
}

impl Groups {
    /// The group of a core in a rotation; empty for a core that there is not.
    #[must_use]
    pub fn group(&self, core: u16, rotation: u64) -> Bits {
        self.group_on(&self.ring(rotation), core, rotation)
    }

    /// The same, without shuffling if this is the rotation's ring.
    #[must_use]
    pub fn group_on(&self, ring: &Ring, core: u16, rotation: u64) -> Bits {
        let all = self.all();
        if core >= self.cores || all == 0 {
            return Bits::EMPTY;
        }
        let own;
        let ring = match ring.is_of(self, rotation) {
            true => &ring.order,
            false => {
                own = self.shuffle(self.cycle_of(rotation));
                &own
            }
        };
        let turn = rotation.checked_rem(self.cycle()).unwrap_or(0);
        let turn = usize::try_from(turn).unwrap_or(0);
        let first = turn
            .saturating_mul(self.places())
            .saturating_add(usize::from(core).saturating_mul(self.members()));
        let members = (0..self.members()).filter_map(|member| {
            let place = first.saturating_add(member).checked_rem(all)?;
            ring.get(place).copied()
        });
        members.collect()
    }

    /// Rotations after which every validator has served equally often; at most as many as there are
    /// validators, and at least 1.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        let (all, places) = (self.all(), self.places());
        let rotations = all.checked_div(divisor(all, places)).unwrap_or(1);
        u64::try_from(rotations.max(1)).unwrap_or(1)
    }

    /// The ring of a rotation.
    #[must_use]
    pub fn ring(&self, rotation: u64) -> Ring {
        let cycle = self.cycle_of(rotation);
        Ring {
            of: (self.seed, self.epoch, self.validators, cycle),
            order: self.shuffle(cycle),
        }
    }

    fn cycle_of(&self, rotation: u64) -> u64 {
        rotation.checked_div(self.cycle()).unwrap_or(0)
    }

    fn all(&self) -> usize {
        usize::from(self.validators).min(BITS_MAX)
    }

    fn members(&self) -> usize {
        usize::from(self.size).min(self.all())
    }

    fn places(&self) -> usize {
        usize::from(self.cores).saturating_mul(self.members())
    }

    fn shuffle(&self, cycle: u64) -> Vec<usize> {
        let (epoch, cycle) = (self.epoch.to_be_bytes(), cycle.to_be_bytes());
        let words = Words::new(&[GROUPS, self.seed.as_slice(), &epoch, &cycle]);
        shuffled(words, self.all())
    }
}

/// How the validators of an epoch stand in one cycle: worth keeping, because it takes a hash for four of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// Seed, epoch, validators, cycle.
    of: (B256, u64, u16, u64),
    order: Vec<usize>,
}

impl Ring {
    /// Whether it is the ring of a rotation.
    #[must_use]
    pub fn is_of(&self, groups: &Groups, rotation: u64) -> bool {
        let cycle = groups.cycle_of(rotation);
        self.of == (groups.seed, groups.epoch, groups.validators, cycle)
    }
}

/// The greatest common divisor.
fn divisor(mut a: usize, mut b: usize) -> usize {
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// A random order of the numbers below `many`.
fn shuffled(mut words: Words, many: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..many).collect();
    for place in 0..many {
        let from = words.below(many.saturating_sub(place));
        // `from` is less than the places from `place` on.
        order.swap(place, place.saturating_add(from));
    }
    order
}

/// Random words that a key determines.
struct Words {
    key: B256,
    hashed: u64,
    left: Vec<u64>,
}

impl Words {
    fn new(key: &[&[u8]]) -> Self {
        Self {
            key: B256::from_slice(BlockHasher::hash(key).as_ref()),
            hashed: 0,
            left: Vec::new(),
        }
    }

    fn word(&mut self) -> u64 {
        if self.left.is_empty() {
            let hash = BlockHasher::hash(&[self.key.as_slice(), &self.hashed.to_be_bytes()]);
            self.hashed = self.hashed.wrapping_add(1);
            let (words, _) = hash.as_ref().as_chunks();
            self.left = words
                .iter()
                .rev()
                .copied()
                .map(u64::from_be_bytes)
                .collect();
        }
        self.left.pop().unwrap_or_default()
    }

    /// A number below `bound`, each as likely; 0 if there is none.
    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        let Some(surplus) = u64::MAX.checked_rem(bound) else {
            return 0;
        };
        // A multiple of the bound, so that every remainder is as frequent below it.
        let end = u64::MAX.saturating_sub(surplus);
        loop {
            let word = self.word();
            if word < end {
                let number = word.checked_rem(bound).unwrap_or(0);
                return usize::try_from(number).unwrap_or(0);
            }
        }
    }
}
