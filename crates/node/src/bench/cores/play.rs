//! One policy over one curve: queues of gas, candidates that take from them, and what that says of a shard.
//!
//! ```text
//! block:   queue += demand, up to its limit      each core of the shard takes a candidate's gas at most
//! window:  candidates of the window ─▶ Observation ─▶ Allocator ─▶ cores of the next window
//! ```
//! A shard fills one candidate before it begins another, so cores without work make none.

use super::{CANDIDATE_GAS, QUEUE_CANDIDATES, WINDOW_BLOCKS, curves::Curve};
use primitives::shard::ShardId;
use serde::Serialize;
use shards::allocation::{AllocationRules, Allocator, Growth, Observation, WHOLE};
use std::collections::BTreeMap;

/// Who decides about cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// One core for each shard, for ever.
    One,
    /// As many as the fullest window of its curve needs, for ever: somebody knew.
    Peak,
    /// As many as the last window used and a fifth more.
    LastValue,
    /// The standard rules: by a smoothed level.
    Level,
    /// The same, and never more than one core more in a window.
    OneByOne,
    /// The same with a trend.
    Trend,
}

impl Policy {
    /// In the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::One,
        Self::Peak,
        Self::LastValue,
        Self::Level,
        Self::OneByOne,
        Self::Trend,
    ];

    /// For a table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "one core",
            Self::Peak => "for the peak",
            Self::LastValue => "last value",
            Self::Level => "level",
            Self::OneByOne => "level, one by one",
            Self::Trend => "level and trend",
        }
    }

    fn rules(self, cores: u16) -> Option<AllocationRules> {
        let standard = AllocationRules::standard(cores);
        match self {
            Self::One | Self::Peak => None,
            Self::LastValue => Some(AllocationRules {
                level_share: WHOLE,
                patience: 1,
                ..standard
            }),
            Self::Level => Some(standard),
            Self::OneByOne => Some(AllocationRules {
                growth: Growth::One,
                ..standard
            }),
            Self::Trend => Some(AllocationRules {
                trend_share: TREND_SHARE,
                ..standard
            }),
        }
    }
}

/// Of the policy with a trend.
const TREND_SHARE: u16 = 64;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Played {
    /// Sum over blocks of the cores that shards held.
    pub(super) core_blocks: u64,
    pub(super) demanded: u64,
    pub(super) carried: u64,
    pub(super) turned_away: u64,
    /// Blocks until what waits would be carried, for every block and shard.
    pub(super) waits: Vec<f64>,
    /// How often a core went to another shard, or from or to none.
    pub(super) changes: u64,
    /// Cores held, by window.
    pub(super) held: Vec<u16>,
}

/// Plays it.
pub(super) fn play(policy: Policy, curve: &Curve) -> Played {
    let rules = policy.rules(curve.cores);
    let mut allocator = rules.map(|rules| Allocator::new(rules).expect("these rules are in range"));
    let mut shards: Vec<Queue> = curve.demand.iter().map(|_| Queue::default()).collect();
    let mut played = Played::default();
    let mut cores = vec![None; usize::from(curve.cores)];
    let blocks = curve.demand.first().map_or(0, Vec::len);
    for start in (0..blocks).step_by(WINDOW_BLOCKS) {
        match &mut allocator {
            None => fix(policy, curve, &mut shards),
            Some(allocator) => {
                let seen = shards.iter_mut().map(Queue::observe);
                let seen: Vec<_> = (0..).map(ShardId).zip(seen).collect();
                let next = allocator.window(&cores, &seen);
                if start > 0 {
                    played.changes += changes(&cores, &next);
                }
                give(&next, &mut shards);
                cores = next;
            }
        }
        played
            .held
            .push(shards.iter().map(|shard| shard.cores).sum());
        for block in start..(start + WINDOW_BLOCKS).min(blocks) {
            for (shard, demand) in shards.iter_mut().zip(&curve.demand) {
                shard.block(demand[block], &mut played);
            }
        }
    }
    played
}

/// Cores that stay.
fn fix(policy: Policy, curve: &Curve, shards: &mut [Queue]) {
    for (shard, demand) in shards.iter_mut().zip(&curve.demand) {
        shard.cores = match policy {
            Policy::Peak => u16::try_from(peak(demand).div_ceil(CANDIDATE_GAS)).unwrap_or(u16::MAX),
            Policy::One | Policy::LastValue | Policy::Level | Policy::OneByOne | Policy::Trend => 1,
        };
    }
}

/// Gas of a block in the fullest window.
fn peak(demand: &[u64]) -> u64 {
    let windows = demand.chunks(WINDOW_BLOCKS);
    let means = windows.map(|window| window.iter().sum::<u64>() / window.len() as u64);
    means.max().unwrap_or(0).max(1)
}

/// How many cores changed hands.
fn changes(before: &[Option<ShardId>], after: &[Option<ShardId>]) -> u64 {
    let pairs = before.iter().zip(after);
    pairs.filter(|(old, new)| old != new).count() as u64
}

fn give(cores: &[Option<ShardId>], shards: &mut [Queue]) {
    let mut counts = BTreeMap::new();
    for shard in cores.iter().copied().flatten() {
        *counts.entry(shard).or_insert(0) += 1;
    }
    for (number, shard) in (0..).zip(shards) {
        shard.cores = counts.get(&ShardId(number)).copied().unwrap_or(0);
    }
}

/// A shard: what waits, and what this window's blocks will say of it.
#[derive(Default)]
struct Queue {
    cores: u16,
    gas: u64,
    seen: Observation,
}

impl Queue {
    fn block(&mut self, demand: u64, played: &mut Played) {
        let offered = self.gas + demand;
        self.gas = offered.min(QUEUE_CANDIDATES * CANDIDATE_GAS);
        let carried = self.gas.min(u64::from(self.cores) * CANDIDATE_GAS);
        played.demanded += demand;
        played.turned_away += offered - self.gas;
        self.gas -= carried;
        played.carried += carried;
        played.core_blocks += u64::from(self.cores);
        let rate = u64::from(self.cores.max(1)) * CANDIDATE_GAS;
        played.waits.push(self.gas as f64 / rate as f64);
        let candidates = carried.div_ceil(CANDIDATE_GAS);
        self.seen.gas_used += carried;
        self.seen.gas_limit += candidates * CANDIDATE_GAS;
        self.seen.backed += u32::try_from(candidates).unwrap_or(u32::MAX);
        self.seen.possible += u32::from(self.cores);
    }

    /// What the window said, which is over with it.
    fn observe(&mut self) -> Observation {
        let seen = Observation {
            cores_max: u16::MAX,
            core_gas: CANDIDATE_GAS * WINDOW_BLOCKS as u64,
            ..self.seen
        };
        self.seen = Observation::default();
        seen
    }
}
