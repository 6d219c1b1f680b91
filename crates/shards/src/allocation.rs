//! Cores follow load: which shard has which cores in the next window.
//!
//! ```text
//! what a window's blocks say of a shard ─▶ Track: level, trend ─▶ forecast ─▶ cores it wants
//!                                                                                 │ of all shards
//!                          core ─▶ shard ◀─ which cores ◀─ how many of each ◀─────┘ fair shares
//! ```
//! Every validator computes this inside the ledger, from what finalized blocks say and nothing else. So it is a
//! pure function in whole numbers, and everything in it is bounded: a window's work by
//! [`SHARDS_MAX`] · [`CORES_MAX`], the state of a shard by a few integers.
//!
//! - A shard that may have cores has one, if there are as many cores as such shards; otherwise each has one in
//!   its turn.
//! - No shard has two cores more than another that needs more than it has; headroom comes after needs.
//! - A shard that does not lose cores keeps those it has.
//! - No input makes it panic or overflow.
//!
//! Who has which cores is the caller's; remembered here is only what each shard's load was like.
//!
//! Limits: it sees load that was carried, not load that was turned away. A shard whose cores are full is taken
//! to want half as much again as it used; where cores are scarce, such a shard may take the last core of
//! another's headroom and give it back some windows later.

mod codec;
mod fair;
#[cfg(test)]
mod tests;
mod track;

use fair::{Claim, shares};
use primitives::shard::ShardId;
use std::collections::{BTreeMap, BTreeSet};
use track::Track;

pub use primitives::limits::{CORES_MAX, SHARDS_MAX};

/// What shares in the rules are of.
pub const WHOLE: u16 = 256;
/// Windows that a forecast looks ahead at most.
pub const HORIZON_MAX: u8 = 8;

/// How many more cores a shard gets in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// One.
    One,
    /// As many again as it has, if they are full; otherwise one.
    Double,
}

/// What the allocation goes by; the same on all validators of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocationRules {
    /// Cores of all shards together.
    pub cores: u16,
    /// How much of the level is the newest window's, of [`WHOLE`].
    pub level_share: u16,
    /// How much of the trend is the newest change's, of [`WHOLE`]; 0 forecasts without a trend.
    pub trend_share: u16,
    /// Windows that the trend is carried forward.
    pub horizon: u8,
    /// Capacity that is wanted for the forecast, in hundredths of it: 120 leaves a sixth free.
    pub headroom: u16,
    /// How many more cores in one window.
    pub growth: Growth,
    /// Windows in a row that a shard needs fewer cores before it loses one.
    pub patience: u8,
}

/// Why rules can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesFault {
    /// More cores than [`CORES_MAX`].
    #[error("too many cores: cores={cores} max={CORES_MAX}")]
    Cores {
        /// The cores.
        cores: u16,
    },
    /// A share above [`WHOLE`], or no weight for the newest window at all.
    #[error("a share is not one: level={level} trend={trend} whole={WHOLE}")]
    Share {
        /// Of the level.
        level: u16,
        /// Of the trend.
        trend: u16,
    },
    /// More windows ahead than [`HORIZON_MAX`].
    #[error("horizon is too far: horizon={horizon} max={HORIZON_MAX}")]
    Horizon {
        /// The windows.
        horizon: u8,
    },
    /// Less than the forecast, or more than ten times as much.
    #[error("headroom is not 100 to 1000 hundredths: headroom={headroom}")]
    Headroom {
        /// The hundredths.
        headroom: u16,
    },
}

impl AllocationRules {
    /// The rules of docs/shards-cores.md, which says what was measured and why there is no trend in them.
    #[must_use]
    pub const fn standard(cores: u16) -> Self {
        Self {
            cores,
            level_share: 192,
            trend_share: 0,
            horizon: 1,
            headroom: 120,
            growth: Growth::Double,
            patience: 2,
        }
    }

    /// Whether they can be used.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), RulesFault> {
        let (level, trend) = (self.level_share, self.trend_share);
        if usize::from(self.cores) > CORES_MAX {
            return Err(RulesFault::Cores { cores: self.cores });
        }
        if level == 0 || level > WHOLE || trend > WHOLE {
            return Err(RulesFault::Share { level, trend });
        }
        if self.horizon > HORIZON_MAX {
            let horizon = self.horizon;
            return Err(RulesFault::Horizon { horizon });
        }
        if !(100..=1_000).contains(&self.headroom) {
            let headroom = self.headroom;
            return Err(RulesFault::Headroom { headroom });
        }
        Ok(())
    }
}

/// What the blocks of a window say of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Most cores that it may have; none while it is paused.
    pub cores_max: u16,
    /// Gas that one core carries for it in a window; none and it gets no more than one core.
    pub core_gas: u64,
    /// Gas used by its candidates that were backed.
    pub gas_used: u64,
    /// Gas that those candidates could have used.
    pub gas_limit: u64,
    /// How many they were.
    pub backed: u32,
    /// How often a core of it was free and its unincluded segment had room: candidates that could have been
    /// backed.
    pub possible: u32,
    /// Its candidates that were discarded.
    pub missed: u32,
}

/// Who gets which cores, and what that is remembered of each shard for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocator {
    rules: AllocationRules,
    tracks: BTreeMap<ShardId, Track>,
}

impl Allocator {
    /// Nothing is known of any shard yet.
    ///
    /// # Errors
    /// When the rules can't be used.
    pub fn new(rules: AllocationRules) -> Result<Self, RulesFault> {
        rules.check()?;
        Ok(Self {
            rules,
            tracks: BTreeMap::new(),
        })
    }

    /// Learns what a window was like, for every shard that there is, and says who has each core in the next. Who
    /// had them in this one is `held`, by core. A shard that was not observed loses its cores and is forgotten; of
    /// one that was twice, the first counts.
    #[must_use]
    pub fn window(
        &mut self,
        held: &[Option<ShardId>],
        observations: &[(ShardId, Observation)],
    ) -> Vec<Option<ShardId>> {
        let mut observed = BTreeMap::new();
        for (shard, observation) in observations {
            observed.entry(*shard).or_insert(*observation);
        }
        let shards: BTreeSet<ShardId> = observed.keys().copied().take(SHARDS_MAX).collect();
        self.tracks.retain(|shard, _| shards.contains(shard));
        let mut cores: Vec<Option<ShardId>> = held.to_vec();
        cores.resize(usize::from(self.rules.cores), None);
        let mut claims = Vec::with_capacity(shards.len());
        for (shard, observation) in observed.iter().take(SHARDS_MAX) {
            let own = cores.iter().filter(|core| **core == Some(*shard)).count();
            let own = u16::try_from(own).unwrap_or(u16::MAX);
            let track = self.tracks.entry(*shard).or_default();
            let (need, want) = track.claim(&self.rules, observation, own);
            claims.push(Claim {
                shard: *shard,
                held: own,
                need,
                want,
                credit: track.credit,
            });
        }
        let wanting = claims.iter().filter(|claim| claim.want > 0).count();
        let shares = shares(self.rules.cores, &claims);
        for (track, (claim, share)) in self.tracks.values_mut().zip(claims.iter().zip(&shares)) {
            track.credit = claim.settled(self.rules.cores, wanting, *share > 0);
        }
        let shares = claims.iter().map(|claim| claim.shard).zip(shares);
        give(&mut cores, shares.collect());
        cores
    }

    /// What a shard is forecast to use in the next window, in gas; none for a shard that was not observed.
    #[must_use]
    pub fn forecast(&self, shard: ShardId) -> Option<u64> {
        Some(self.tracks.get(&shard)?.forecast(&self.rules))
    }
}

/// Brings the cores to these shares. A shard that has more keeps its lowest; free cores go, lowest first, to the
/// lowest shards that have fewer.
fn give(cores: &mut [Option<ShardId>], mut shares: BTreeMap<ShardId, u16>) {
    for core in &mut *cores {
        let missing = core.and_then(|shard| shares.get_mut(&shard));
        match missing.filter(|missing| **missing > 0) {
            Some(missing) => *missing = missing.saturating_sub(1),
            None => *core = None,
        }
    }
    let mut wanting = shares
        .into_iter()
        .flat_map(|(shard, missing)| std::iter::repeat_n(shard, usize::from(missing)));
    for core in cores.iter_mut().filter(|core| core.is_none()) {
        *core = wanting.next();
    }
}
