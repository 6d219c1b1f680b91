//! The entry: one block and one state in; receipts and a diff out.

use crate::{
    code::CodeCache,
    conformance::Fork,
    executed::ExecutedBlock,
    fault::ExecutionFault,
    input::ExecutionInput,
    parallel::{CellMemory, Forecast, Parallel, Plan, Tools, execute_chain, known_calls},
    predict::Predictor,
    report::{Probe, ReportClock, Way},
    sequential::{InOrder, execute_in_order},
    transfer::Transfers,
};
use alloy_consensus::Transaction as _;
use rayon::{ThreadPool, ThreadPoolBuilder};
use state::StateReader;
use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Mutex, RwLock},
};

/// Predicted work below which waking other workers costs more than it saves, in units of gas.
const PARALLEL_GAS_MIN: u64 = 2_000_000;
/// What a plain transfer costs beside other code of as much gas.
const TRANSFER_GAS: u64 = 4_000;
/// Predicted gas of a call of which nothing is known.
const CALL_GAS: u64 = 60_000;

/// Executes blocks, on several workers where that pays.
///
/// What it keeps between blocks (threads, analysed code, predictions) affects how long a block
/// takes and nothing else.
pub struct Engine {
    workers: NonZeroUsize,
    pub(crate) pool: Option<ThreadPool>,
    code_cache: CodeCache,
    memory: Mutex<Option<CellMemory>>,
    predictor: RwLock<Predictor>,
    pub(crate) clock: Option<ReportClock>,
    pub(crate) parallel_gas_min: u64,
    /// Predictions follow from this seed alone: for tests.
    lies: Option<u64>,
}

/// The operating system gave no threads.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {workers} execution workers: {reason}")]
pub struct NoWorkers {
    workers: NonZeroUsize,
    reason: String,
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Engine")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine of at most so many workers. With one there is no thread but the caller's.
    ///
    /// # Errors
    /// When the operating system gives no threads.
    pub fn new(workers: NonZeroUsize) -> Result<Self, NoWorkers> {
        let builder = ThreadPoolBuilder::new()
            .num_threads(workers.get())
            .thread_name(|worker| format!("executor-{worker}"));
        let pool = (workers > NonZeroUsize::MIN).then(|| builder.build());
        let pool = pool.transpose().map_err(|error| NoWorkers {
            workers,
            reason: error.to_string(),
        })?;
        Ok(Self {
            workers,
            pool,
            code_cache: CodeCache::default(),
            memory: Mutex::default(),
            predictor: RwLock::default(),
            clock: None,
            parallel_gas_min: PARALLEL_GAS_MIN,
            lies: None,
        })
    }

    /// The same engine, with times in its reports.
    #[must_use]
    pub fn with_clock(mut self, clock: ReportClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The same engine, which uses its workers for blocks of any size: for tests.
    #[must_use]
    pub const fn always_parallel(mut self) -> Self {
        self.parallel_gas_min = 0;
        self
    }

    /// The same engine, whose predictions follow from a seed and are mostly false: for tests.
    #[must_use]
    pub const fn with_false_predictions(mut self, seed: u64) -> Self {
        self.lies = Some(seed);
        self
    }

    /// How many workers there are.
    #[must_use]
    pub const fn workers(&self) -> NonZeroUsize {
        self.workers
    }

    /// Analysed code of earlier blocks.
    #[must_use]
    pub const fn code_cache(&self) -> &CodeCache {
        &self.code_cache
    }

    /// Executes a block over the state before it.
    ///
    /// A pure function: the result depends on the input and the state alone.
    ///
    /// # Errors
    /// When this node's state cannot be read, or the input is cancelled; no transaction can cause
    /// one.
    pub fn execute(
        &self,
        input: &ExecutionInput<'_>,
        state: &(impl StateReader + Sync),
    ) -> Result<ExecutedBlock, ExecutionFault> {
        let input = &ExecutionInput {
            code_cache: input.code_cache.or(Some(&self.code_cache)),
            ..input.clone()
        };
        let transfers = Transfers::new(input);
        match self.plan(input, state, &transfers) {
            Some((pool, plan)) => self.execute_parallel(input, state, pool, &plan),
            None => execute_in_order(input, state, Some(&transfers)),
        }
    }

    /// The plan of a block for which it pays to use the workers.
    fn plan(
        &self,
        input: &ExecutionInput<'_>,
        state: &impl StateReader,
        transfers: &Transfers<'_>,
    ) -> Option<(&ThreadPool, Plan)> {
        let pool = self.pool.as_ref()?;
        let fork = input.ethereum.unwrap_or_default().fork;
        // Before EIP-161, an empty account was not the same as none.
        if fork < Fork::SpuriousDragon {
            return None;
        }
        let plan = Plan::new(input, transfers, &self.predictor, state);
        (plan.total_gas() >= self.parallel_gas_min).then_some((pool, plan))
    }

    fn execute_parallel(
        &self,
        input: &ExecutionInput<'_>,
        state: &(impl StateReader + Sync),
        pool: &ThreadPool,
        plan: &Plan,
    ) -> Result<ExecutedBlock, ExecutionFault> {
        let probe = Probe::new(self.clock.as_ref());
        let tools = Tools {
            pool,
            probe: &probe,
            memory: &self.memory,
            predictor: &self.predictor,
        };
        let transactions = input.transactions;
        let mut forecast =
            Forecast::new(&self.predictor, &plan.calls, transactions).lying(self.lies);
        let mut block = InOrder::open(input, state)?;
        execute_chain(input, &mut block, (plan, &mut forecast), &tools)?;
        let is_done = block.place() == transactions.len();
        let (mut executed, way, workers) = match is_done {
            true => (block.into_block(), Way::InOrder, 1),
            false => {
                let begun = block.into_begun();
                let rest = Parallel::execute(input, state, begun, (plan, forecast), &tools)?;
                (rest, Way::First, self.workers.get())
            }
        };
        executed.report = probe.into_report(way, workers);
        Ok(executed)
    }
}

impl Plan {
    fn new(
        input: &ExecutionInput<'_>,
        transfers: &Transfers<'_>,
        predictor: &RwLock<Predictor>,
        state: &impl StateReader,
    ) -> Self {
        let transactions = input.transactions;
        let transfers: Vec<_> = transactions
            .iter()
            .map(|transaction| transfers.recognise(transaction))
            .collect();
        let calls = known_calls(predictor, transactions, &transfers, |address| {
            // A state that cannot be read will be noticed by whoever needs the account.
            let account = state.account(address).ok().flatten();
            account
                .filter(state::Account::has_code)
                .map(|account| account.code_hash)
        });
        let gas = transactions.iter().zip(&transfers).zip(&calls);
        let gas = gas
            .map(|((transaction, transfer), call)| {
                let known = call.and_then(|call| call.gas);
                match (transfer, known) {
                    (Some(_), _) => TRANSFER_GAS,
                    (None, Some(known)) => known,
                    (None, None) => transaction.gas_limit().min(CALL_GAS),
                }
            })
            .collect();
        Self {
            transfers,
            gas,
            calls,
        }
    }

    fn total_gas(&self) -> u64 {
        self.gas.iter().copied().fold(0, u64::saturating_add)
    }
}
