//! `headway sim execution`: the relay chain's own blocks, executed after they are ordered, or before the vote.
//!
//! ```text
//! asynchronous   propose ─hop─▶ order, vote ─hop─▶ quorum: next view    … ─hop─▶ final ─▶ execute, on its own
//! interleaved    execute, propose ─hop─▶ order, execute, vote ─hop─▶ quorum: next view
//! ```
//! A model of the pipeline, not the engine: one view after the other, a leader in turn, a quorum of 2f+1, every message
//! with a jitter of its own, as many cores as work needs. The largest execution is searched with which blocks still
//! come each block time, and results do not fall further and further behind.

use super::model::Model;
use crate::bench::state::{OnProgress, Progress};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde::Serialize;

const US_PER_MS: u64 = 1_000;
const US_PER_SECOND: f64 = 1_000_000.0;
/// Blocks are still on time when so much of their rate is left.
const ON_TIME: f64 = 0.99;
/// Steps of the search for the largest execution.
const STEPS: u64 = 16;
/// Points of the curves.
const POINTS: u64 = 12;

/// When blocks are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    After,
    BeforeVote,
}

/// Compares both orders.
#[derive(Clone, Debug)]
pub struct ExecutionSim {
    /// The network.
    pub model: Model,
    /// Blocks of a run.
    pub blocks: u64,
    /// Decides everything that is random.
    pub seed: u64,
}

/// Block rates when a block takes so long to execute.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RatePoint {
    /// Execution of one block, in milliseconds.
    pub execution_ms: f64,
    /// Blocks in a second, executed after they are ordered; results may fall behind.
    pub block_rate_async: f64,
    /// Blocks in a second, executed before the vote.
    pub block_rate_interleaved: f64,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExecutionReport {
    /// Blocks in a second, executed after they are ordered, each as large as that allows.
    pub block_rate_async: f64,
    /// Blocks in a second of the same blocks, executed before the vote.
    pub block_rate_interleaved: f64,
    /// The part of the block time for which execution may last, after ordering.
    pub execution_budget_share: f64,
    /// The same before the vote.
    pub execution_budget_share_interleaved: f64,
    /// Gas in a second that this leaves room for, on one core.
    pub gas_per_second_async: f64,
    /// The same before the vote.
    pub gas_per_second_interleaved: f64,
    /// From a block's proposal until its result is known everywhere, after ordering, in milliseconds.
    pub result_ms_async: f64,
    /// Decided everything that is random.
    pub seed: u64,
    /// What was simulated.
    pub model: Model,
    /// Rates by how long a block takes to execute.
    pub curve: Vec<RatePoint>,
}

impl ExecutionSim {
    /// Runs both orders.
    #[must_use]
    pub fn run(&self, progress: OnProgress<'_>) -> ExecutionReport {
        let tell = |done| {
            let step = "views";
            progress(Progress {
                step,
                done,
                total: POINTS + 2,
            });
        };
        tell(0);
        let after_us = self.largest(Order::After);
        tell(1);
        let before_us = self.largest(Order::BeforeVote);
        let block_us = self.block_us();
        let curve = (0..POINTS).map(|point| {
            tell(point.saturating_add(2));
            self.point(block_us.saturating_mul(3).saturating_mul(point) / (2 * POINTS))
        });
        let curve = curve.collect();
        let costs = &self.model.costs;
        let gas = |us: u64| {
            let transactions = us as f64 * 1_000.0 / costs.build_ns.max(1) as f64;
            transactions * costs.gas as f64 * US_PER_SECOND / block_us as f64
        };
        let fullest = self.play(Order::After, after_us);
        ExecutionReport {
            block_rate_async: fullest.rate,
            block_rate_interleaved: self.play(Order::BeforeVote, after_us).rate,
            execution_budget_share: after_us as f64 / block_us as f64,
            execution_budget_share_interleaved: before_us as f64 / block_us as f64,
            gas_per_second_async: gas(after_us),
            gas_per_second_interleaved: gas(before_us),
            result_ms_async: fullest.result_us / 1_000.0,
            seed: self.seed,
            model: self.model.clone(),
            curve,
        }
    }

    fn block_us(&self) -> u64 {
        self.model.block_ms.saturating_mul(US_PER_MS).max(1)
    }

    fn point(&self, execution_us: u64) -> RatePoint {
        RatePoint {
            execution_ms: execution_us as f64 / 1_000.0,
            block_rate_async: self.play(Order::After, execution_us).rate,
            block_rate_interleaved: self.play(Order::BeforeVote, execution_us).rate,
        }
    }

    /// The longest execution with which blocks are on time and results do not fall behind.
    fn largest(&self, order: Order) -> u64 {
        let (mut low, mut high) = (0, self.block_us().saturating_mul(2));
        for _ in 0..STEPS {
            let middle = low + (high - low) / 2;
            let played = self.play(order, middle);
            let on_time = played.rate * self.block_us() as f64 / US_PER_SECOND >= ON_TIME;
            if on_time && !played.falls_behind {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    fn play(&self, order: Order, execution_us: u64) -> Played {
        let mut pipeline = Pipeline::new(&self.model, self.seed, order, execution_us);
        let half = self.blocks / 2;
        for _ in 0..half {
            pipeline.block();
        }
        let (from_us, behind_us) = (pipeline.proposed_us, pipeline.behind_us());
        for _ in half..self.blocks {
            pipeline.block();
        }
        let blocks = self.blocks.saturating_sub(half) as f64;
        let took_us = pipeline.proposed_us.saturating_sub(from_us).max(1) as f64;
        let grown_us = pipeline.behind_us().saturating_sub(behind_us) as f64;
        Played {
            rate: blocks * US_PER_SECOND / took_us,
            result_us: pipeline.behind_us() as f64,
            falls_behind: grown_us > (1.0 - ON_TIME) * took_us,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Played {
    rate: f64,
    result_us: f64,
    falls_behind: bool,
}

/// One view after the other.
struct Pipeline<'a> {
    model: &'a Model,
    order: Order,
    execution_us: u64,
    ordering_us: u64,
    quorum: usize,
    random: StdRng,
    height: usize,
    /// When the newest block was proposed, and each validator may go on from it.
    proposed_us: u64,
    ready_us: Vec<u64>,
    /// When each validator has executed everything that is final.
    executed_us: Vec<u64>,
}

impl<'a> Pipeline<'a> {
    fn new(model: &'a Model, seed: u64, order: Order, execution_us: u64) -> Self {
        let validators = usize::from(model.validators.max(1));
        let costs = &model.costs;
        let transactions = execution_us.saturating_mul(US_PER_MS) / costs.build_ns.max(1);
        Self {
            model,
            order,
            execution_us,
            ordering_us: transactions.saturating_mul(costs.order_ns) / US_PER_MS,
            quorum: validators - (validators - 1) / 3,
            random: StdRng::seed_from_u64(seed),
            height: 0,
            proposed_us: 0,
            ready_us: vec![0; validators],
            executed_us: vec![0; validators],
        }
    }

    /// How long after its proposal the newest block has been executed by all.
    fn behind_us(&self) -> u64 {
        let last = self.executed_us.iter().copied().max().unwrap_or_default();
        last.saturating_sub(self.proposed_us)
    }

    fn hop_us(&mut self) -> u64 {
        let jitter_us = self.model.jitter_ms.saturating_mul(US_PER_MS);
        let hop_us = self.model.hop_ms.saturating_mul(US_PER_MS);
        hop_us.saturating_add(self.random.random_range(0..=jitter_us))
    }

    /// When each validator has a quorum of votes, given when they are cast.
    fn counted(&mut self, cast_us: &[u64]) -> Vec<u64> {
        let counted = (0..cast_us.len()).map(|voter| {
            let arrivals = cast_us
                .iter()
                .enumerate()
                .map(|(from, at_us)| match from == voter {
                    true => *at_us,
                    false => at_us.saturating_add(self.hop_us()),
                });
            let mut arrivals: Vec<u64> = arrivals.collect();
            arrivals.sort_unstable();
            arrivals.get(self.quorum - 1).copied().unwrap_or_default()
        });
        counted.collect()
    }

    fn block(&mut self) {
        let validators = self.ready_us.len();
        let leader = self.height % validators;
        self.height += 1;
        let execution_us = match self.order {
            Order::After => 0,
            Order::BeforeVote => self.execution_us,
        };
        let work_us = self.ordering_us.saturating_add(execution_us);
        let block_us = self.model.block_ms.saturating_mul(US_PER_MS);
        let due_us = self.proposed_us.saturating_add(block_us);
        let ready_us = self.ready_us.get(leader).copied().unwrap_or_default();
        // A leader begins before its time if it has the parent, so that its own work is done then.
        self.proposed_us = due_us.max(ready_us.saturating_add(work_us));
        let proposed_us = self.proposed_us;
        let cast_us = (0..validators).map(|voter| match voter == leader {
            true => proposed_us,
            false => proposed_us
                .saturating_add(self.hop_us())
                .saturating_add(work_us),
        });
        let cast_us: Vec<u64> = cast_us.collect();
        self.ready_us = self.counted(&cast_us);
        if self.order == Order::BeforeVote {
            self.executed_us = cast_us;
            return;
        }
        let votes_us = self.ready_us.clone();
        let final_us = self.counted(&votes_us);
        for (executed_us, final_us) in self.executed_us.iter_mut().zip(final_us) {
            *executed_us = final_us.max(*executed_us).saturating_add(self.execution_us);
        }
    }
}
