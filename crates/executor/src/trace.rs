//! Running transactions again, or calls, and telling what happened inside.
//!
//! ```text
//! block at h, state at h − 1 ─▶ directives, system calls ─▶ transactions before ─▶ wanted ones, watched ─▶ Traced
//!                                                            (as they were)          │      receipt beside trace
//! calls, a state, overrides ──────────────────────────────────────────────────────── ┘
//! ```
//! Everything runs in order, by the virtual machine, under the rules of this chain, so what is traced is what
//! was executed: each [`Traced`] carries the receipt that came of it, for the caller to compare. Where the
//! rules took a transaction back (see `rules`), its outermost frame says that it reverted.
//! Limits: those of [`TraceLimits`], over all that one caller asks for.

mod geth;
mod parity;
mod tracer;

use crate::{
    call::{CallError, CallRequest, CallScene, Trial},
    console::ConsoleLines,
    fault::ExecutionFault,
    input::ExecutionInput,
    machine::{BlockMachine, NotRun, Transacted},
    receipt::Receipt,
    sequential::InOrder,
    transfer::Transfers,
    view::View,
    watch::{Budget, Eye, TraceExcess, TraceLimits, Watcher},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_trace::{geth::GethTrace, parity::TraceResults};
use primitives::RecoveredTransaction;
use revm::{
    Database as _, DatabaseRef,
    bytecode::Bytecode,
    context::TxEnv,
    context_interface::result::{HaltReason, ResultAndState},
    state::AccountInfo,
};
use state::StateReader;
use std::{cell::RefCell, collections::HashSet, ops::Range};

pub use alloy_rpc_types_trace::parity::TraceType;
pub use tracer::{TRACERS, Tracer, TracerError};

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// A limit was reached.
    #[error(transparent)]
    Excess(#[from] TraceExcess),
    /// A call that cannot be run.
    #[error(transparent)]
    Call(#[from] CallError),
    /// This node cannot go on.
    #[error(transparent)]
    Fault(#[from] ExecutionFault),
}

/// Why a transaction was not watched to its end.
enum Unwatched {
    /// It did not run.
    NotRun(NotRun),
    /// There would be too much to tell.
    Excess(TraceExcess),
}

impl From<ExecutionFault> for Unwatched {
    fn from(fault: ExecutionFault) -> Self {
        Self::NotRun(NotRun::Fault(fault))
    }
}

impl From<Unwatched> for TraceError {
    fn from(reason: Unwatched) -> Self {
        match reason {
            Unwatched::NotRun(NotRun::Fault(fault)) => Self::Fault(fault),
            Unwatched::NotRun(invalid) => Self::Call(invalid.into()),
            Unwatched::Excess(excess) => Self::Excess(excess),
        }
    }
}

/// Transactions of a block to run again.
#[derive(Clone, Debug)]
pub struct TraceBlock<'a> {
    /// The block, with its transactions up to the last one that is wanted.
    pub input: &'a ExecutionInput<'a>,
    /// The block's hash, if it has one.
    pub hash: Option<B256>,
    /// Places of the wanted transactions.
    pub wanted: Range<usize>,
    /// How much may be told.
    pub limits: TraceLimits,
}

/// Calls to run one after the other, each over what the one before left.
#[derive(Clone, Debug)]
pub struct TraceCalls<'a> {
    /// Where they run.
    pub scene: CallScene<'a>,
    /// How much may be told.
    pub limits: TraceLimits,
}

/// A transaction's trace, and the receipt that came of running it again.
#[derive(Clone, Debug)]
pub struct Traced<T> {
    /// The trace; or, of a transaction that did not run and was charged, why it did not.
    pub trace: Result<T, String>,
    /// The receipt.
    pub receipt: Receipt,
}

/// The inputs of calls to the console, in order.
pub type ConsoleInputs = Vec<Bytes>;

/// Traces transactions of a block in the form of geth.
///
/// # Errors
/// [`TraceError`] when not all of them could be traced.
pub fn trace_block(
    block: &TraceBlock<'_>,
    state: &dyn StateReader,
    tracer: &Tracer,
) -> Result<Vec<Traced<GethTrace>>, TraceError> {
    each(block, state, |subject| geth::trace(subject, tracer))
}

/// Traces transactions of a block in the form of Parity.
///
/// # Errors
/// [`TraceError`] when not all of them could be traced.
pub fn replay_block(
    block: &TraceBlock<'_>,
    state: &dyn StateReader,
    types: &HashSet<TraceType>,
) -> Result<Vec<Traced<TraceResults>>, TraceError> {
    each(block, state, |subject| parity::trace(subject, types))
}

/// What transactions of a block wrote to the console: the inputs of their calls to it.
///
/// # Errors
/// [`TraceError`] when not all of them could be run.
pub fn console_lines(
    block: &TraceBlock<'_>,
    state: &dyn StateReader,
) -> Result<Vec<Traced<ConsoleInputs>>, TraceError> {
    each(block, state, |subject| {
        let watched = subject.run(Eye::Console(ConsoleLines::default()))?;
        Ok((watched.eye.into_console(), watched.ran))
    })
}

/// Traces a call in the form of geth.
///
/// # Errors
/// [`TraceError`] when it could not be run or traced.
pub fn trace_call(
    calls: &TraceCalls<'_>,
    request: &CallRequest,
    tracer: &Tracer,
) -> Result<GethTrace, TraceError> {
    let (mut trial, mut budget) = calls.open(request)?;
    let mut subject = Subject::of_call(&mut trial, request, &mut budget)?;
    Ok(geth::trace(&mut subject, tracer)?.0)
}

/// Traces calls in the form of Parity, each over what the one before left.
///
/// # Errors
/// [`TraceError`] when one of them could not be run or traced.
pub fn replay_calls(
    calls: &TraceCalls<'_>,
    requests: &[(CallRequest, HashSet<TraceType>)],
) -> Result<Vec<TraceResults>, TraceError> {
    let Some((first, _)) = requests.first() else {
        return Ok(Vec::new());
    };
    let (mut trial, mut budget) = calls.open(first)?;
    let mut traces = Vec::with_capacity(requests.len());
    for (request, types) in requests {
        trial.take(request, calls.scene.chain)?;
        let mut subject = Subject::of_call(&mut trial, request, &mut budget)?;
        let (trace, ran) = parity::trace(&mut subject, types)?;
        trial.machine.overlay().commit(&ran.state)?;
        traces.push(trace);
    }
    Ok(traces)
}

/// What a call writes to the console: the inputs of its calls to it.
///
/// # Errors
/// [`TraceError`] when it could not be run.
pub fn console_lines_of_call(
    calls: &TraceCalls<'_>,
    request: &CallRequest,
) -> Result<Vec<Bytes>, TraceError> {
    let (mut trial, mut budget) = calls.open(request)?;
    let mut subject = Subject::of_call(&mut trial, request, &mut budget)?;
    let watched = subject.run(Eye::Console(ConsoleLines::default()))?;
    Ok(watched.eye.into_console())
}

/// What running the wanted transactions of a block gives, one after the other.
fn each<T>(
    block: &TraceBlock<'_>,
    state: &dyn StateReader,
    trace: impl Fn(&mut Subject<'_, '_>) -> Result<(T, Ran), Unwatched>,
) -> Result<Vec<Traced<T>>, TraceError> {
    let mut budget = Budget::new(block.limits.clone());
    let mut in_order = InOrder::open(block.input, state)?;
    let transfers = Transfers::new(block.input);
    let mut traced = Vec::new();
    let until = block.input.transactions.iter().take(block.wanted.end);
    for (index, transaction) in until.enumerate() {
        budget.check_time()?;
        if index < block.wanted.start {
            let transfer = transfers.recognise(transaction);
            in_order.execute(transaction, transfer.as_ref(), ())?;
            continue;
        }
        let place = block.place(index, transaction);
        let mut outcome = Err(String::new());
        let executed = in_order.execute_by(transaction, |machine, env| {
            let mut subject = Subject {
                machine,
                env,
                budget: &mut budget,
                place,
            };
            let attempt = Attempt::from(trace(&mut subject));
            outcome = attempt.told;
            attempt.transacted
        });
        if let Some(excess) = budget.excess() {
            return Err(excess.into());
        }
        traced.push(Traced {
            receipt: executed?.clone(),
            trace: outcome,
        });
    }
    Ok(traced)
}

/// A transaction of a block that was watched, or could not be.
struct Attempt<T> {
    /// What is told.
    told: Result<T, String>,
    /// What the block goes on with.
    transacted: Result<Transacted, NotRun>,
}

impl<T> From<Result<(T, Ran), Unwatched>> for Attempt<T> {
    fn from(traced: Result<(T, Ran), Unwatched>) -> Self {
        let failed = |why, reason| Self {
            told: Err(why),
            transacted: Err(reason),
        };
        match traced {
            Ok((trace, ran)) => Self {
                told: Ok(trace),
                transacted: Ok(Transacted {
                    result: ran.result,
                    changes: ran.state,
                }),
            },
            Err(Unwatched::NotRun(NotRun::Invalid(invalid))) => {
                failed(invalid.to_string(), NotRun::Invalid(invalid))
            }
            Err(Unwatched::NotRun(fault)) => failed(String::new(), fault),
            Err(Unwatched::Excess(excess)) => {
                failed(excess.to_string(), NotRun::Fault(ExecutionFault::Cancelled))
            }
        }
    }
}

impl<'a> TraceCalls<'a> {
    /// The scene before the first call, and how much may be told.
    fn open(&self, first: &CallRequest) -> Result<(Trial<'a>, Budget), CallError> {
        let trial = Trial::new(first, &self.scene)?;
        Ok((trial, Budget::new(self.limits.clone())))
    }
}

impl TraceBlock<'_> {
    fn place(&self, index: usize, transaction: &RecoveredTransaction) -> Place {
        Place {
            transaction: Some(transaction.hash()),
            index: u64::try_from(index).ok(),
            block: self.hash,
            height: self.input.environment.height,
        }
    }
}

/// Where a transaction is, if it is anywhere.
#[derive(Clone, Copy, Debug)]
struct Place {
    transaction: Option<B256>,
    index: Option<u64>,
    block: Option<B256>,
    height: u64,
}

/// A transaction about to run, in the state before it.
struct Subject<'m, 'a> {
    machine: &'m mut BlockMachine<'a>,
    env: TxEnv,
    budget: &'m mut Budget,
    place: Place,
}

/// A result, and the writes that led to it.
type Ran = ResultAndState<HaltReason>;

/// A transaction that was watched.
struct Watched {
    eye: Eye,
    ran: Ran,
    /// The rule of this chain that took it back.
    broken_rule: Option<String>,
}

impl<'m, 'a> Subject<'m, 'a> {
    /// A call, with as much gas as it may have.
    fn of_call(
        trial: &'m mut Trial<'a>,
        request: &CallRequest,
        budget: &'m mut Budget,
    ) -> Result<Self, CallError> {
        let gas_limit = trial.gas_limit(request)?;
        let place = Place {
            transaction: None,
            index: None,
            block: None,
            height: trial.machine.machine.ctx.block.number.saturating_to(),
        };
        Ok(Self {
            env: TxEnv {
                gas_limit,
                ..trial.transaction.clone()
            },
            machine: &mut trial.machine,
            budget,
            place,
        })
    }

    /// Runs it from the state before it, which stays as it is.
    fn run(&mut self, eye: Eye) -> Result<Watched, Unwatched> {
        let budget = self.budget.clone();
        let watcher = Watcher { eye, budget };
        let (outcome, watcher) = self.machine.watch(self.env.clone(), watcher);
        *self.budget = watcher.budget;
        if let Some(excess) = self.budget.excess() {
            return Err(Unwatched::Excess(excess));
        }
        let Transacted { result, changes } = outcome.map_err(Unwatched::NotRun)?;
        Ok(Watched {
            eye: watcher.eye,
            ran: ResultAndState::new(result, changes),
            broken_rule: self.machine.broken_rule(),
        })
    }

    /// The state before it.
    fn before(&mut self) -> Before<'_, 'a> {
        Before(RefCell::new(self.machine.view()))
    }
}

/// The state before a transaction, for readers that cannot wait for their turn.
struct Before<'v, 'a>(RefCell<&'v mut View<'a>>);

impl DatabaseRef for Before<'_, '_> {
    type Error = ExecutionFault;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ExecutionFault> {
        self.0.borrow_mut().basic(address)
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, ExecutionFault> {
        self.0.borrow_mut().code_by_hash(code_hash)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, ExecutionFault> {
        self.0.borrow_mut().storage(address, slot)
    }

    fn block_hash_ref(&self, height: u64) -> Result<B256, ExecutionFault> {
        self.0.borrow_mut().block_hash(height)
    }
}
