//! `headway sim --seeds N`: many networks in which something goes wrong, and the properties that hold in each.
//!
//! ```text
//! a schedule drawn from the seed: messages lost, nodes cut off and back, validators and collators killed
//!   ─▶ final blocks form one chain, nobody honest is blamed
//! then all links are well again ─▶ every transaction that came is final
//! ```
//! At most f validators are killed or cut off at a time, and one collator of each shard is left alone. Limits: a
//! schedule has [`TROUBLES`] turns.

use super::{
    backing::SimFault,
    demand::Demand,
    model::{Mode, Model},
    watch::{Broken, check_blame, check_chains},
    world::{Setup, World, WorldFault, shards_of, simulate},
};
use crate::bench::state::{OnProgress, Progress};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::Serialize;

/// Turns that a schedule takes before all is well again.
const TROUBLES: u64 = 6;
/// Relay blocks that a turn lasts at most.
const TROUBLE_BLOCKS: u64 = 12;
/// Relay blocks in which everything is final once all is well: every deadline has passed and the candidates were
/// put forward again.
const HEALED_BLOCKS: u64 = 240;
/// Transactions of each shard in a second.
const PER_SECOND: u64 = 40;
/// Transactions of a block.
const TRANSACTIONS_MAX: u64 = 60;
/// Relay blocks of the part in which transactions come.
const BUSY_BLOCKS: u64 = TROUBLES * TROUBLE_BLOCKS;
/// Out of a thousand, the messages that are lost at most.
const LOSS_MAX: u32 = 100;
const MS_PER_SECOND: u64 = 1_000;

/// Many networks with faults.
#[derive(Clone, Copy, Debug)]
pub struct SeedsSim {
    /// The first seed.
    pub first: u64,
    /// How many there are.
    pub seeds: u64,
}

/// A seed with which something happened that must never.
#[derive(Clone, Debug, thiserror::Error)]
#[error("seed {seed}: {fault}")]
pub struct SeedFault {
    /// The seed.
    pub seed: u64,
    /// What.
    pub fault: SimFault,
}

/// What all seeds together saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SeedsReport {
    /// The first seed.
    pub first: u64,
    /// Seeds that were run.
    pub seeds: u64,
    /// Relay blocks.
    pub relay_blocks: u64,
    /// Transactions that became final.
    pub transactions: u64,
    /// Candidates that were discarded on the way.
    pub discarded: u64,
    /// Validators and collators that were killed.
    pub killed: u64,
    /// Nodes that were cut off for a while.
    pub cut_off: u64,
}

impl SeedsSim {
    /// Runs seed after seed, until one fails.
    ///
    /// # Errors
    /// The first seed that fails, and how.
    pub fn run(&self, progress: OnProgress<'_>) -> Result<SeedsReport, SeedFault> {
        let mut report = SeedsReport {
            first: self.first,
            ..SeedsReport::default()
        };
        for done in 0..self.seeds {
            let (step, total) = ("seeds", self.seeds);
            progress(Progress { step, done, total });
            let seed = self.first.saturating_add(done);
            let one = run(seed).map_err(|fault| SeedFault { seed, fault })?;
            report.seeds += 1;
            report.relay_blocks += one.relay_blocks;
            report.transactions += one.transactions;
            report.discarded += one.discarded;
            report.killed += one.killed;
            report.cut_off += one.cut_off;
        }
        Ok(report)
    }
}

fn setup(seed: u64, random: &mut StdRng) -> Setup {
    let model = Model {
        validators: random.random_range(4..=7),
        shards: random.random_range(1..=2),
        collators: 2,
        block_ms: random.random_range(150..=500),
        hop_ms: random.random_range(5..=60),
        jitter_ms: random.random_range(0..=20),
        bandwidth_mbit: 100,
        node_cores: random.random_range(2..=4),
        ..Model::default()
    };
    Setup {
        seed,
        ends_ms: model.block_ms.saturating_mul(BUSY_BLOCKS),
        mode: Mode::Asynchronous,
        demand: Demand::Steady {
            per_second: PER_SECOND,
        },
        transactions_max: Some(TRANSACTIONS_MAX),
        model,
    }
}

/// What goes wrong, and what can't any more.
struct Schedule {
    random: StdRng,
    /// Nodes that may be killed or cut off: f validators, and all but one collator of each shard.
    weak: Vec<usize>,
    dead: Vec<usize>,
    report: SeedsReport,
}

fn run(seed: u64) -> Result<SeedsReport, SimFault> {
    let mut random = StdRng::seed_from_u64(seed);
    let setup = setup(seed, &mut random);
    let (checked, _) = simulate(setup, async |world| {
        let mut schedule = Schedule::new(world, random);
        for _ in 0..TROUBLES {
            schedule.trouble(world).await?;
        }
        world.net.lose(0);
        let rest = BUSY_BLOCKS.saturating_sub(world.relay.ledger.height());
        world.blocks(rest.saturating_add(HEALED_BLOCKS)).await?;
        Ok(check(world, schedule.report))
    })?;
    Ok(checked?)
}

impl Schedule {
    fn new(world: &World, mut random: StdRng) -> Self {
        let model = &world.setup.model;
        let validators = world.validators();
        let faulty = model.rules(world.setup.mode).faulty_max();
        let first = random.random_range(0..validators);
        let mut weak: Vec<usize> = (0..faulty).map(|one| (first + one) % validators).collect();
        let each = usize::from(model.collators.max(1));
        weak.extend((0..usize::from(model.shards)).map(|shard| {
            let one = random.random_range(0..each);
            validators + shard * each + one
        }));
        Self {
            random,
            weak,
            dead: Vec::new(),
            report: SeedsReport::default(),
        }
    }

    /// Something goes wrong for a while.
    async fn trouble(&mut self, world: &mut World) -> Result<(), WorldFault> {
        let blocks = self.random.random_range(1..=TROUBLE_BLOCKS);
        let quiet = self.random.random_bool(0.3);
        let loss = self.random.random_range(0..=LOSS_MAX);
        world.net.lose(if quiet { 0 } else { loss });
        let mut cut = Vec::new();
        for node in self.weak.clone() {
            match self.random.random_range(0..10) {
                0 => self.kill(world, node),
                1..=3 => cut.push(node),
                _ => {}
            }
        }
        cut.retain(|node| !self.dead.contains(node));
        for node in &cut {
            world.cut_off(*node, true);
            self.report.cut_off += 1;
        }
        world.blocks(blocks).await?;
        for node in cut {
            world.cut_off(node, false);
        }
        Ok(())
    }

    fn kill(&mut self, world: &mut World, node: usize) {
        if !self.dead.contains(&node) {
            world.kill(node);
            self.dead.push(node);
            self.report.killed += 1;
        }
    }
}

fn check(world: &World, report: SeedsReport) -> Result<SeedsReport, Broken> {
    let finals = check_chains(&world.relay.seen, &world.journal)?;
    check_blame(world)?;
    let setup = &world.setup;
    let all = setup.ends_ms.saturating_mul(PER_SECOND) / MS_PER_SECOND;
    for shard in shards_of(&setup.model) {
        let got = finals.get(&shard).copied().unwrap_or_default();
        if got != all {
            return Err(Broken::Lost { shard, got, all });
        }
    }
    let discarded = world.relay.seen.iter();
    let discarded = discarded
        .filter(|one| matches!(one.event, shards::ledger::LedgerEvent::Discarded(..)))
        .count();
    Ok(SeedsReport {
        seeds: 1,
        relay_blocks: world.relay.ledger.height(),
        transactions: finals.values().sum(),
        discarded: u64::try_from(discarded).unwrap_or(u64::MAX),
        ..report
    })
}
