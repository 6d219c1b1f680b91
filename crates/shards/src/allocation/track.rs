//! One shard's load as a level and a trend, and how many cores follow from it.
//!
//! ```text
//! level ← level + a · (demand − (level + trend))       a, b: shares of the rules
//! trend ← trend + b · (change of the level − trend)
//! forecast = level + horizon · trend          target = ⌈forecast · headroom / gas of a core⌉
//!
//!  target above what it has ─▶ more, at once: one, or as many again if its cores are full
//!  target below, with room  ─▶ one less, after `patience` such windows in a row
//! ```
//! In whole numbers of gas, rounded down; every product fits because gas is cut at [`GAS_MAX`].

use super::{AllocationRules, Growth, Observation, WHOLE};

/// Gas of a window above this is counted as this.
const GAS_MAX: u64 = 1 << 56;
/// Candidates are full from so many sixteenths of their gas limit on: what is left is often too little for
/// the next transaction.
const FULL_SIXTEENTHS: u128 = 15;
/// A shard loses a core only if the rest has this part of a core to spare, in eighths.
const SPARE_EIGHTHS: i128 = 1;

/// What is remembered of a shard between windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Track {
    /// Gas of a window, smoothed.
    pub(super) level: u64,
    /// How much the level changes in a window, smoothed.
    pub(super) trend: i64,
    /// Windows in a row in which it needed fewer cores.
    pub(super) idle: u8,
    /// What it is owed from windows in which there were too few cores.
    pub(super) credit: i32,
}

impl Track {
    /// Learns what a window with so many cores was like, and says how many cores are needed for the next, and how
    /// many are wanted.
    pub(super) fn claim(
        &mut self,
        rules: &AllocationRules,
        seen: &Observation,
        held: u16,
    ) -> (u16, u16) {
        if seen.cores_max == 0 {
            (self.level, self.trend, self.idle) = (0, 0, 0);
            return (0, 0);
        }
        let load = Load::of(seen, held);
        if let Some(demand) = load.demand(seen, self.level) {
            self.learn(rules, demand);
        }
        let needed = self.needed(rules, seen, held);
        let want = if needed > held {
            self.idle = 0;
            let step = match (rules.growth, load) {
                (Growth::Double, Load::Full) => held.max(1),
                (Growth::Double | Growth::One, _) => 1,
            };
            // Cores do not help a shard whose candidates are missing or time out.
            let most = if load == Load::Hindered { held } else { needed };
            most.min(held.saturating_add(step))
        } else if needed < held && load != Load::Full && load != Load::Hindered {
            self.idle = self.idle.saturating_add(1).min(rules.patience.max(1));
            match self.idle >= rules.patience {
                true => held.saturating_sub(1),
                false => held,
            }
        } else {
            self.idle = 0;
            held
        };
        let want = want.clamp(1, seen.cores_max);
        let forecast = i128::from(self.forecast(rules));
        let need = cores_for(forecast, i128::from(seen.core_gas.min(GAS_MAX)));
        (need.min(want), want)
    }

    /// What the next window is expected to use.
    pub(super) fn forecast(&self, rules: &AllocationRules) -> u64 {
        let ahead = i128::from(self.trend).saturating_mul(i128::from(rules.horizon));
        gas(i128::from(self.level).saturating_add(ahead))
    }

    fn learn(&mut self, rules: &AllocationRules, demand: u64) {
        let before = i128::from(self.level);
        let expected = before.saturating_add(i128::from(self.trend));
        let level = blend(rules.level_share, i128::from(demand), expected);
        self.level = gas(level);
        let change = i128::from(self.level).saturating_sub(before);
        let trend = blend(rules.trend_share, change, i128::from(self.trend));
        let most = i128::from(GAS_MAX);
        let trend = trend.clamp(most.saturating_neg(), most);
        self.trend = i64::try_from(trend).unwrap_or(0);
    }

    /// Cores for the forecast. Fewer than it has only if they have room to spare.
    fn needed(&self, rules: &AllocationRules, seen: &Observation, held: u16) -> u16 {
        let core = i128::from(seen.core_gas.min(GAS_MAX));
        let forecast = i128::from(self.forecast(rules));
        let wanted = forecast.saturating_mul(i128::from(rules.headroom));
        let target = cores_for(wanted, core.saturating_mul(100));
        if target >= held {
            return target;
        }
        let spare = core
            .saturating_mul(100)
            .saturating_mul(SPARE_EIGHTHS)
            .checked_div(8)
            .unwrap_or(0);
        let target = cores_for(wanted.saturating_add(spare), core.saturating_mul(100));
        target.min(held)
    }
}

/// What a window says beside its gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// It had no core, or none that was ever free: nothing is known.
    Unknown,
    /// There was room.
    Light,
    /// All that was possible was backed, and was full: there may be more where this came from.
    Full,
    /// Candidates were missing or timed out.
    Hindered,
}

impl Load {
    fn of(seen: &Observation, held: u16) -> Self {
        let (backed, possible) = (u128::from(seen.backed), u128::from(seen.possible));
        if held == 0 || possible == 0 {
            return Self::Unknown;
        }
        if u128::from(seen.missed).saturating_mul(4) > backed {
            return Self::Hindered;
        }
        let filled = u128::from(seen.gas_used).saturating_mul(16)
            >= u128::from(seen.gas_limit).saturating_mul(FULL_SIXTEENTHS);
        let all = backed.saturating_mul(16) >= possible.saturating_mul(FULL_SIXTEENTHS);
        match filled && all && seen.gas_used > 0 {
            true => Self::Full,
            false => Self::Light,
        }
    }

    /// What the shard would have used, had it had the cores; none if a window does not tell.
    fn demand(self, seen: &Observation, level: u64) -> Option<u64> {
        let used = seen.gas_used.min(GAS_MAX);
        match self {
            Self::Unknown => None,
            Self::Light => Some(used),
            // At least half as much again: the forecast must not settle on what the cores let through.
            Self::Full => Some(used.saturating_add(used.checked_div(2).unwrap_or(0))),
            Self::Hindered => Some(used.max(level)),
        }
    }
}

/// `share` of the new value and the rest of the old one.
fn blend(share: u16, new: i128, old: i128) -> i128 {
    let change = new.saturating_sub(old).saturating_mul(i128::from(share));
    old.saturating_add(change.checked_div(i128::from(WHOLE)).unwrap_or(0))
}

fn gas(value: i128) -> u64 {
    u64::try_from(value.clamp(0, i128::from(GAS_MAX))).unwrap_or(0)
}

/// The quotient rounded up, at least 1; 1 for a core that carries nothing.
fn cores_for(wanted: i128, core: i128) -> u16 {
    let cores = wanted
        .saturating_add(core.saturating_sub(1))
        .checked_div(core)
        .unwrap_or(1);
    u16::try_from(cores.max(1)).unwrap_or(u16::MAX)
}
