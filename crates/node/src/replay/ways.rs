//! The three ways of executing a block, and what each says about how it went. Nothing else here knows
//! the executor's functions.
//!
//! ```text
//! sequential  one by one on this thread: the oracle
//! first       in parallel, knowing of the block only what earlier blocks taught the predictor
//! listed      in parallel, by the block's own access list, as a node that syncs has it
//! ```
//! First and listed have an engine each, so that no list teaches the predictor.

use super::{block::MainnetBlock, error::ReplayError};
use alloy_primitives::{Address, U256};
use executor::{
    AccessList, CodeCache, Engine, ExecutedBlock, ExecutionFault, ExecutionInput, Listed,
    execute_sequential,
};
use primitives::ChainConfig;
use serde::Serialize;
use std::{fmt, num::NonZeroUsize, sync::Arc, time::Duration};

/// Tells the time since some fixed moment.
pub type Clock = Arc<dyn Fn() -> Duration + Send + Sync>;

/// How a block is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// One by one.
    Sequential,
    /// In parallel, never seen before.
    First,
    /// In parallel, by its access list.
    ListDriven,
}

impl Way {
    /// In the order of a round.
    pub(super) const ALL: [Self; 3] = [Self::Sequential, Self::First, Self::ListDriven];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sequential => "sequential",
            Self::First => "first",
            Self::ListDriven => "list-driven",
        })
    }
}

/// How one execution went.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    /// Executions of transactions, those made again included.
    pub(super) executions: u64,
    /// Those made again.
    pub(super) reexecutions: u64,
    /// The longest chain of transactions that wait for each other.
    pub(super) critical_path: Duration,
    /// All executions together.
    pub(super) work: Duration,
    pub(super) conflicts: Vec<Conflict>,
    pub(super) spans: Vec<Span>,
    pub(super) predictor: PredictorScore,
}

/// A place in the state that transactions of one block waited for.
#[derive(Clone, Debug)]
pub(super) struct Conflict {
    pub(super) address: Address,
    /// None is the account itself.
    pub(super) storage_slot: Option<U256>,
    pub(super) waits: u64,
    pub(super) transactions: u64,
}

/// One execution of one transaction on one worker.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) worker: usize,
    pub(super) transaction: usize,
    pub(super) start: Duration,
    pub(super) end: Duration,
    /// Whether it was executed before.
    pub(super) again: bool,
}

/// How well the places that a block touches were foreseen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PredictorScore {
    pub(super) predicted: u64,
    pub(super) touched: u64,
    pub(super) hits: u64,
}

/// What one execution gave.
pub(super) struct Outcome {
    pub(super) executed: ExecutedBlock,
    pub(super) time: Duration,
    pub(super) trace: Trace,
}

/// The engines of one round.
pub(super) struct Ways {
    chain: ChainConfig,
    clock: Clock,
    first: Engine,
    listed: Engine,
    /// Analysed code is warm for every way alike.
    code_cache: Arc<CodeCache>,
}

impl Ways {
    /// Starts the workers; what earlier rounds taught is forgotten.
    pub(super) fn new(
        workers: NonZeroUsize,
        clock: &Clock,
        code_cache: &Arc<CodeCache>,
    ) -> Result<Self, ReplayError> {
        Ok(Self {
            chain: super::block::chain(),
            clock: Arc::clone(clock),
            first: Engine::new(workers)?,
            listed: Engine::new(workers)?,
            code_cache: Arc::clone(code_cache),
        })
    }

    /// The same with reports that carry times and the predictor's score, which take time themselves.
    pub(super) fn watched(mut self) -> Self {
        self.first = self.first.with_clock(Arc::clone(&self.clock));
        self
    }

    /// Executes a block and takes the time; without a list, list-driven is like first.
    pub(super) fn execute(
        &self,
        way: Way,
        block: &MainnetBlock,
        list: Option<&AccessList>,
    ) -> Result<Outcome, ReplayError> {
        let input = ExecutionInput {
            code_cache: Some(&self.code_cache),
            ..block.input(&self.chain)
        };
        let start = (self.clock)();
        let executed = match (way, list) {
            (Way::Sequential, _) => execute_sequential(&input, block.state()),
            (Way::First, _) | (Way::ListDriven, None) => self.first.execute(&input, block.state()),
            (Way::ListDriven, Some(list)) => self.execute_listed(&input, block, list),
        };
        let time = (self.clock)().saturating_sub(start);
        let executed = executed.map_err(|source| ReplayError::Execution {
            height: block.height(),
            source,
        })?;
        Ok(Outcome {
            trace: trace(&executed),
            executed,
            time,
        })
    }

    /// The list is one that we made, so that one which is false is our fault.
    fn execute_listed(
        &self,
        input: &ExecutionInput<'_>,
        block: &MainnetBlock,
        list: &AccessList,
    ) -> Result<ExecutedBlock, ExecutionFault> {
        match self.listed.execute_listed(input, block.state(), list)? {
            Listed::Executed(executed) => Ok(executed),
            Listed::False { fraud, .. } => Err(ExecutionFault::Machine(fraud.to_string())),
        }
    }
}

fn trace(executed: &ExecutedBlock) -> Trace {
    let report = &executed.report;
    let count = |length| u64::try_from(length).unwrap_or(u64::MAX);
    let spans = report.spans.iter();
    let conflicts = report.conflicts.iter();
    Trace {
        executions: count(report.executions),
        reexecutions: count(report.reexecutions),
        critical_path: executed.critical_path(),
        work: spans.clone().map(|span| span.end - span.start).sum(),
        conflicts: conflicts
            .map(|conflict| Conflict {
                address: conflict.address,
                storage_slot: conflict.slot,
                waits: count(conflict.transactions.len()),
                transactions: count(conflict.transactions.len()),
            })
            .collect(),
        spans: spans
            .map(|span| Span {
                worker: span.worker,
                transaction: span.transaction,
                start: span.start,
                end: span.end,
                again: span.again,
            })
            .collect(),
        predictor: PredictorScore {
            predicted: report.predictions.predicted,
            touched: report.predictions.touched,
            hits: report.predictions.hits,
        },
    }
}
