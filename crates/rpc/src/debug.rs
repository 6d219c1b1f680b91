//! The `debug` namespace: what happened inside, and raw bytes.
//!
//! | method | answer |
//! |---|---|
//! | `debug_traceTransaction(hash, options)` | one transaction, run again in its place |
//! | `debug_traceBlockByNumber`, `debug_traceBlockByHash` `(block, options)` | every transaction of a block |
//! | `debug_traceCall(request, block, options)` | a call, with overrides of state and block |
//! | `debug_getRaw…` | a block, header, transaction or receipts as bytes |
//!
//! Options and answers are geth's. What a transaction did is told under the rules of this chain: `gasUsed` is
//! what was charged, and what the rules took back (a delegated account's reserve) appears as a revert with
//! its reason. A transaction that was charged and did not run has an outermost frame with an error, and no
//! steps. Tracers written in JavaScript are refused.

mod raw;

use crate::{
    args::Args,
    backend::Backend,
    error::RpcError,
    eth::{
        call::{self, Scene},
        tag,
    },
    registry::Registry,
    retrace::{Again, limits},
};
use alloy_consensus::Transaction as _;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_rpc_types_trace::{
    common::TraceResult,
    geth::{
        CallConfig, CallFrame, DefaultFrame, GethDebugTracingCallOptions, GethDebugTracingOptions,
        GethTrace,
    },
};
use executor::{
    Receipt,
    trace::{TraceCalls, Traced, Tracer, trace_block, trace_call},
};
use pipeline::ExecutedRecord;
use primitives::RecoveredTransaction;
use std::sync::Arc;

/// A transaction of a block with its trace, or why there is none.
type BlockTrace = TraceResult<GethTrace, String>;

pub(crate) fn register(methods: &mut Registry) {
    methods.code("debug_traceTransaction", transaction);
    methods.code("debug_traceBlockByNumber", block_by_number);
    methods.code("debug_traceBlockByHash", block_by_hash);
    methods.code("debug_traceCall", trace_one_call);
    raw::register(methods);
}

/// The calls of an executed transaction, each in the one that made it; none if it is not known.
///
/// # Errors
/// When the state it ran on is not kept any more, or the trace is too large.
pub fn call_trace(backend: &Backend, hash: &B256) -> Result<Option<CallFrame>, RpcError> {
    let Some((record, place)) = backend.executed(hash)? else {
        return Ok(None);
    };
    let config = CallConfig {
        only_top_call: Some(false),
        with_log: Some(true),
    };
    match trace_at(backend, record, place, Tracer::Calls(config), None)? {
        GethTrace::CallTracer(frame) => Ok(Some(frame)),
        _ => Err(RpcError::Internal("a tracer gave another trace".to_owned())),
    }
}

fn transaction(backend: &Backend, args: &Args) -> Result<GethTrace, RpcError> {
    let (hash, options): (B256, Option<GethDebugTracingOptions>) = args.two()?;
    let options = options.unwrap_or_default();
    let timeout = options.timeout.clone();
    let tracer = Tracer::new(options)?;
    let executed = backend.executed(&hash)?;
    let (record, place) = executed.ok_or(RpcError::TransactionNotFound)?;
    trace_at(backend, record, place, tracer, timeout.as_deref())
}

fn trace_at(
    backend: &Backend,
    record: Arc<ExecutedRecord>,
    place: usize,
    tracer: Tracer,
    timeout: Option<&str>,
) -> Result<GethTrace, RpcError> {
    let limits = limits(backend, timeout)?;
    let again = Again::new(backend, record)?;
    let traced = again.run_one(backend, place, limits, |block, state| {
        trace_block(block, state, &tracer)
    })?;
    let transaction = again.record.transactions.get(place);
    let transaction = transaction.ok_or(RpcError::TransactionNotFound)?;
    told(traced, transaction, &tracer).map_err(RpcError::CallFailed)
}

/// The trace; for a transaction that was charged and did not run, what there is to tell of it.
fn told(
    traced: Traced<GethTrace>,
    transaction: &RecoveredTransaction,
    tracer: &Tracer,
) -> Result<GethTrace, String> {
    let Traced { trace, receipt } = traced;
    trace.or_else(|reason| {
        let reason = format!("transaction did not run, and was charged: {reason}");
        match tracer {
            Tracer::Calls(_) => Ok(charged_frame(transaction, &receipt, reason).into()),
            Tracer::Steps(_) => Ok(GethTrace::Default(DefaultFrame {
                failed: true,
                gas: receipt.gas_used,
                ..DefaultFrame::default()
            })),
            Tracer::FlatCalls
            | Tracer::Prestate(_)
            | Tracer::Selectors
            | Tracer::Nothing
            | Tracer::Several(_) => Err(reason),
        }
    })
}

fn charged_frame(
    transaction: &RecoveredTransaction,
    receipt: &Receipt,
    reason: String,
) -> CallFrame {
    let kind = match transaction.to() {
        Some(_) => "CALL",
        None => "CREATE",
    };
    CallFrame {
        typ: kind.to_owned(),
        from: transaction.sender(),
        to: transaction.to(),
        gas: U256::from(transaction.gas_limit()),
        gas_used: U256::from(receipt.gas_used),
        value: Some(transaction.value()),
        input: transaction.input().clone(),
        error: Some(reason),
        ..CallFrame::default()
    }
}

fn block_by_number(backend: &Backend, args: &Args) -> Result<Vec<BlockTrace>, RpcError> {
    let (number, options): (BlockNumberOrTag, _) = args.two()?;
    trace_whole(backend, number.into(), options)
}

fn block_by_hash(backend: &Backend, args: &Args) -> Result<Vec<BlockTrace>, RpcError> {
    let (hash, options): (B256, _) = args.two()?;
    trace_whole(backend, hash.into(), options)
}

fn trace_whole(
    backend: &Backend,
    block: BlockId,
    options: Option<GethDebugTracingOptions>,
) -> Result<Vec<BlockTrace>, RpcError> {
    let options = options.unwrap_or_default();
    let limits = limits(backend, options.timeout.as_deref())?;
    let tracer = Tracer::new(options)?;
    let again = Again::new(backend, tag::require_record(backend, Some(block))?)?;
    let traced = again.run(backend, again.all(), limits, |block, state| {
        trace_block(block, state, &tracer)
    })?;
    let transactions = again.record.transactions.iter();
    let results = transactions.zip(traced).map(|(transaction, traced)| {
        let tx_hash = Some(transaction.hash());
        match told(traced, transaction, &tracer) {
            Ok(result) => TraceResult::Success { result, tx_hash },
            Err(error) => TraceResult::Error { error, tx_hash },
        }
    });
    Ok(results.collect())
}

fn trace_one_call(backend: &Backend, args: &Args) -> Result<GethTrace, RpcError> {
    let (request, block, options): (TransactionRequest, Option<BlockId>, _) = args.three()?;
    let options: GethDebugTracingCallOptions = Option::unwrap_or_default(options);
    if options.tx_index.is_some() {
        let problem = "txIndex is not supported: a call runs after its block".to_owned();
        return Err(RpcError::ArgumentsConflict(problem));
    }
    let limits = limits(backend, options.tracing_options.timeout.as_deref())?;
    let tracer = Tracer::new(options.tracing_options)?;
    let overrides = call::overrides(options.state_overrides, options.block_overrides)?;
    let request = call::to_request(backend, request)?;
    let scene = Scene::at(backend, block)?;
    let calls = TraceCalls {
        scene: scene.open(backend, &overrides),
        limits,
    };
    Ok(trace_call(&calls, &request, &tracer)?)
}
