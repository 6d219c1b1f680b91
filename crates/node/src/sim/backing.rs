//! `headway sim backing`: shards under asynchronous and under synchronous backing, the same network, the same costs.
//!
//! ```text
//! endless demand ─▶ both ─▶ gas a second, missed turns, backed to final      blockspace_ratio, missed_slots
//! bursts ─────────▶ both ─▶ transaction to final                             latency_ratio
//! steady ─────────▶ both ─▶ transaction to final                             latency_ratio_steady
//! ```
//! A burst is what fits into some asynchronous blocks. They come so seldom that synchronous backing, too, is idle for
//! half of the time, and the steady load is the same average: neither has a queue that grows. How much comes at once
//! decides how much sooner asynchronous backing is done with it.

use super::{
    demand::Demand,
    model::{Budget, Mode, Model},
    watch::{Broken, Figures, Window, check_blame, check_chains},
    world::{Setup, WorldFault, simulate},
};
use crate::bench::state::{OnProgress, Progress};
use serde::Serialize;

/// Relay blocks before a window begins.
pub(super) const WARM_UP: u64 = 16;
/// Bursts in a window.
const BURSTS: u64 = 4;
/// Of what synchronous backing carries, the average load when latencies are measured.
const LOAD_PERCENT: u64 = 50;
const MS_PER_SECOND: u64 = 1_000;
const RUNS: u64 = 6;

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimFault {
    /// The simulation can't go on.
    #[error(transparent)]
    World(#[from] WorldFault),
    /// Something happened that must never.
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Compares both modes.
#[derive(Clone, Debug)]
pub struct BackingSim {
    /// The network.
    pub model: Model,
    /// Asynchronous blocks that a burst fills.
    pub burst_blocks: u64,
    /// Relay blocks that are looked at.
    pub blocks: u64,
    /// Decides everything that is random.
    pub seed: u64,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BackingReport {
    /// Median time from a transaction to its finality when load comes in bursts, synchronous over asynchronous.
    pub latency_ratio: f64,
    /// Gas of final blocks in a second, asynchronous over synchronous.
    pub blockspace_ratio: f64,
    /// Median of relay blocks from backed to final, asynchronous, at full load.
    pub final_latency_blocks_p50: f64,
    /// Relay blocks without a candidate, of all shards together, asynchronous, at full load.
    #[serde(rename = "missed_slots")]
    pub missed_turns: u64,
    /// As `latency_ratio`, when the same load comes evenly.
    pub latency_ratio_steady: f64,
    /// Time between final blocks of a shard, synchronous over asynchronous.
    pub block_interval_ratio: f64,
    /// Decided everything that is random.
    pub seed: u64,
    /// What was simulated.
    pub model: Model,
    /// From a relay block's proposal until all see it final, in milliseconds.
    pub relay_finality_ms: u64,
    /// What fits into an asynchronous block.
    pub budget_asynchronous: Budget,
    /// What fits into a synchronous block.
    pub budget_synchronous: Budget,
    /// Transactions that come at once to each shard when load comes in bursts.
    pub burst: u64,
    /// The average load of each shard when latencies are measured, in transactions a second.
    pub latency_load: u64,
    /// At full load.
    pub asynchronous: Figures,
    /// At full load.
    pub synchronous: Figures,
    /// Load in bursts.
    pub asynchronous_bursts: Figures,
    /// Load in bursts.
    pub synchronous_bursts: Figures,
    /// Even load.
    pub asynchronous_steady: Figures,
    /// Even load.
    pub synchronous_steady: Figures,
}

/// One run in which all properties held.
pub(super) fn run(setup: Setup, blocks: u64) -> Result<Figures, SimFault> {
    let (checked, _) = simulate(setup, async |world| {
        world.blocks(WARM_UP).await?;
        let window = Window::begin(world);
        world.blocks(blocks).await?;
        let chains = check_chains(&world.relay.seen, &world.journal);
        let blame = check_blame(world);
        Ok(chains.and(blame).map(|()| window.end(world)))
    })?;
    Ok(checked?)
}

impl BackingSim {
    /// Runs both modes under each load.
    ///
    /// # Errors
    /// When a property does not hold, or there is no such network.
    pub fn run(&self, progress: OnProgress<'_>) -> Result<BackingReport, SimFault> {
        let budget = |mode| self.model.budget(mode);
        let (ahead, behind) = (budget(Mode::Asynchronous), budget(Mode::Synchronous));
        let mut done = 0;
        let mut both = |demand, blocks| {
            let mut one = |mode| {
                let step = "simulating";
                progress(Progress {
                    step,
                    done,
                    total: RUNS,
                });
                done += 1;
                run(self.setup(mode, demand), blocks)
            };
            Ok::<_, SimFault>((one(Mode::Asynchronous)?, one(Mode::Synchronous)?))
        };
        let (asynchronous, synchronous) = both(Demand::Endless, self.blocks)?;
        let shards = f64::from(self.model.shards.max(1));
        let carried = synchronous.transactions_per_second / shards;
        let size = ahead.transactions.saturating_mul(self.burst_blocks.max(1));
        let every_ms = burst_interval_ms(size, carried);
        let per_second = size.saturating_mul(MS_PER_SECOND) / every_ms;
        let blocks = every_ms.saturating_mul(BURSTS) / self.model.block_ms.max(1);
        let blocks = blocks.max(self.blocks);
        let bursts = both(Demand::Bursts { size, every_ms }, blocks)?;
        let steady = both(Demand::Steady { per_second }, self.blocks)?;
        Ok(BackingReport {
            latency_ratio: latency_ratio(&bursts),
            blockspace_ratio: ratio(asynchronous.gas_per_second, synchronous.gas_per_second),
            final_latency_blocks_p50: asynchronous.backed_to_final_blocks.p50,
            missed_turns: asynchronous.missed_turns,
            latency_ratio_steady: latency_ratio(&steady),
            block_interval_ratio: ratio(
                synchronous.block_interval_ms,
                asynchronous.block_interval_ms,
            ),
            seed: self.seed,
            relay_finality_ms: self.model.finality_ms(),
            model: self.model.clone(),
            budget_asynchronous: ahead,
            budget_synchronous: behind,
            burst: size,
            latency_load: per_second,
            asynchronous,
            synchronous,
            asynchronous_bursts: bursts.0,
            synchronous_bursts: bursts.1,
            asynchronous_steady: steady.0,
            synchronous_steady: steady.1,
        })
    }

    fn setup(&self, mode: Mode, demand: Demand) -> Setup {
        Setup {
            seed: self.seed,
            model: self.model.clone(),
            mode,
            demand,
            transactions_max: None,
            ends_ms: u64::MAX,
        }
    }
}

/// After how long the next burst comes, given what synchronous backing carries in a second.
fn burst_interval_ms(size: u64, carried: f64) -> u64 {
    let seconds = size as f64 / carried.max(1.0) * 100.0 / LOAD_PERCENT as f64;
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    u64::try_from(whole.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn latency_ratio((asynchronous, synchronous): &(Figures, Figures)) -> f64 {
    let p50 = |figures: &Figures| figures.transaction_to_final_ms.map_or(0.0, |one| one.p50);
    ratio(p50(synchronous), p50(asynchronous))
}

fn ratio(over: f64, under: f64) -> f64 {
    if under > 0.0 { over / under } else { 0.0 }
}
