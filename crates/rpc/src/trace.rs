//! The `trace` namespace: calls in a row, changes of state and steps, in Parity's form.
//!
//! | method | answer |
//! |---|---|
//! | `trace_transaction(hash)`, `trace_block(block)`, `trace_get(hash, path)` | calls of what was executed |
//! | `trace_filter(filter)` | calls of several blocks, by who made them and to whom |
//! | `trace_replayTransaction(hash, types)`, `trace_replayBlockTransactions(block, types)` | all of `trace`, `stateDiff`, `vmTrace` |
//! | `trace_call(request, types, block)`, `trace_callMany(calls, block)`, `trace_rawTransaction(raw, types)` | the same of what was not |
//!
//! There are no rewards: whoever proposes a block is paid by its transactions. Limits:
//! [`TRACE_FILTER_BLOCKS_MAX`], [`TRACE_FILTER_MAX`] and [`TRACE_CALLS_MAX`], besides those of every trace.

use crate::{
    args::Args,
    backend::Backend,
    config::{TRACE_CALLS_MAX, TRACE_FILTER_BLOCKS_MAX, TRACE_FILTER_MAX},
    error::RpcError,
    eth::{
        call::{self, Scene},
        submit,
        tag::{self, Selected},
    },
    registry::Registry,
    retrace::{Again, limits},
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, Bytes, U64};
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};
use alloy_rpc_types_trace::{
    filter::TraceFilter,
    parity::{LocalizedTransactionTrace, TraceResults, TraceResultsWithTransactionHash},
};
use executor::{
    CallRequest, ExecutionInput, Overrides, TraceLimits,
    trace::{TraceBlock, TraceCalls, TraceType, Traced, replay_block, replay_calls},
};
use pipeline::ExecutedRecord;
use std::{collections::HashSet, sync::Arc};

type Types = HashSet<TraceType>;
type Calls = Vec<(TransactionRequest, Types)>;
type Localized = Vec<LocalizedTransactionTrace>;

pub(crate) fn register(methods: &mut Registry) {
    methods.code("trace_transaction", transaction);
    methods.code("trace_get", get);
    methods.code("trace_block", block);
    methods.code("trace_filter", filter);
    methods.code("trace_replayTransaction", replay_transaction);
    methods.code("trace_replayBlockTransactions", replay_transactions);
    methods.code("trace_call", trace_call);
    methods.code("trace_callMany", trace_call_many);
    methods.code("trace_rawTransaction", raw_transaction);
}

fn calls_only() -> Types {
    HashSet::from([TraceType::Trace])
}

fn transaction(backend: &Backend, args: &Args) -> Result<Option<Localized>, RpcError> {
    traces_of(backend, &args.one()?)
}

fn traces_of(backend: &Backend, hash: &B256) -> Result<Option<Localized>, RpcError> {
    let Some((record, place)) = backend.executed(hash)? else {
        return Ok(None);
    };
    let again = Again::new(backend, record)?;
    let limits = limits(backend, None)?;
    let traced = again.run_one(backend, place, limits, |block, state| {
        replay_block(block, state, &calls_only())
    })?;
    Ok(Some(localize(&again.record, place, traced)))
}

/// The traces of a transaction with its place; none of one that was charged and did not run.
fn localize(record: &ExecutedRecord, place: usize, traced: Traced<TraceResults>) -> Localized {
    let traces = traced.trace.map(|results| results.trace);
    let localize = |trace| LocalizedTransactionTrace {
        trace,
        block_hash: Some(record.hash),
        block_number: Some(record.height()),
        transaction_hash: record.transactions.get(place).map(|tx| tx.hash()),
        transaction_position: u64::try_from(place).ok(),
    };
    traces
        .unwrap_or_default()
        .into_iter()
        .map(localize)
        .collect()
}

/// The call with this path: the first index is that among the calls of the outermost one, and so on.
fn get(backend: &Backend, args: &Args) -> Result<Option<LocalizedTransactionTrace>, RpcError> {
    let (hash, path): (B256, Vec<U64>) = args.two()?;
    let path: Vec<usize> = path.iter().map(|index| index.saturating_to()).collect();
    let traces = traces_of(backend, &hash)?.unwrap_or_default();
    Ok(traces
        .into_iter()
        .find(|localized| localized.trace.trace_address == path))
}

fn block(backend: &Backend, args: &Args) -> Result<Option<Localized>, RpcError> {
    let id: BlockId = args.one()?;
    let Some(Selected::Executed(height)) = tag::by_id(backend, id)? else {
        return Ok(None);
    };
    let Some(record) = backend.chain.record(height)? else {
        return Ok(None);
    };
    traces_of_block(backend, record, limits(backend, None)?).map(Some)
}

fn traces_of_block(
    backend: &Backend,
    record: Arc<ExecutedRecord>,
    limits: TraceLimits,
) -> Result<Localized, RpcError> {
    if record.transactions.is_empty() {
        return Ok(Vec::new());
    }
    let again = Again::new(backend, record)?;
    let traced = again.run(backend, again.all(), limits, |block, state| {
        replay_block(block, state, &calls_only())
    })?;
    let traced = traced.into_iter().enumerate();
    Ok(traced
        .flat_map(|(place, traced)| localize(&again.record, place, traced))
        .collect())
}

/// A filter as callers write it: its blocks may be tags.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct FilterArgs {
    from_block: Option<BlockNumberOrTag>,
    to_block: Option<BlockNumberOrTag>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

fn filter(backend: &Backend, args: &Args) -> Result<Localized, RpcError> {
    let FilterArgs {
        from_block,
        to_block,
        mut rest,
    } = args.one()?;
    // Nulls are absent fields.
    rest.retain(|_, value| !value.is_null());
    let filter: TraceFilter = serde_json::from_value(rest.into())
        .map_err(|error| RpcError::ArgumentsConflict(format!("invalid filter: {error}")))?;
    let first = height_of(backend, from_block.unwrap_or(BlockNumberOrTag::Earliest))?;
    let last = height_of(backend, to_block.unwrap_or(BlockNumberOrTag::Latest))?;
    let first = first.max(1);
    if last.saturating_sub(first) >= TRACE_FILTER_BLOCKS_MAX {
        return Err(RpcError::LimitExceeded(format!(
            "too many blocks: {first} to {last}, at most {TRACE_FILTER_BLOCKS_MAX}"
        )));
    }
    let matcher = filter.matcher();
    let skipped = usize::try_from(filter.after.unwrap_or_default()).unwrap_or(usize::MAX);
    let count = filter.count.and_then(|count| usize::try_from(count).ok());
    let count = count.unwrap_or(usize::MAX);
    let wanted = skipped.saturating_add(count);
    let mut found = Localized::new();
    // One deadline for all of them.
    let limits = limits(backend, None)?;
    for height in first..=last {
        let Some(record) = backend.chain.record(height)? else {
            break;
        };
        let traces = traces_of_block(backend, record, limits.clone())?.into_iter();
        found.extend(traces.filter(|localized| matcher.matches(&localized.trace)));
        if found.len() >= wanted {
            break;
        }
        if found.len() > TRACE_FILTER_MAX {
            return Err(RpcError::LimitExceeded(format!(
                "too many traces: more than {TRACE_FILTER_MAX}; ask for fewer blocks, or use count"
            )));
        }
    }
    Ok(found.into_iter().skip(skipped).take(count).collect())
}

fn height_of(backend: &Backend, tag: BlockNumberOrTag) -> Result<u64, RpcError> {
    match tag::by_number(backend, tag)? {
        Some(Selected::Executed(height)) => Ok(height),
        Some(Selected::Pending) => backend.latest_height(),
        None => Err(RpcError::HeaderNotFound),
    }
}

fn replay_transaction(backend: &Backend, args: &Args) -> Result<TraceResults, RpcError> {
    let (hash, types): (B256, Types) = args.two()?;
    let executed = backend.executed(&hash)?;
    let (record, place) = executed.ok_or(RpcError::TransactionNotFound)?;
    let again = Again::new(backend, record)?;
    let limits = limits(backend, None)?;
    let traced = again.run_one(backend, place, limits, |block, state| {
        replay_block(block, state, &types)
    })?;
    traced.trace.map_err(charged)
}

fn charged(reason: String) -> RpcError {
    RpcError::CallFailed(format!(
        "transaction did not run, and was charged: {reason}"
    ))
}

fn replay_transactions(
    backend: &Backend,
    args: &Args,
) -> Result<Option<Vec<TraceResultsWithTransactionHash>>, RpcError> {
    let (id, types): (BlockId, Types) = args.two()?;
    let Some(Selected::Executed(height)) = tag::by_id(backend, id)? else {
        return Ok(None);
    };
    let Some(record) = backend.chain.record(height)? else {
        return Ok(None);
    };
    if record.transactions.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let again = Again::new(backend, record)?;
    let limits = limits(backend, None)?;
    let traced = again.run(backend, again.all(), limits, |block, state| {
        replay_block(block, state, &types)
    })?;
    let transactions = again.record.transactions.iter();
    let results = transactions.zip(traced).map(|(transaction, traced)| {
        Ok(TraceResultsWithTransactionHash {
            full_trace: traced.trace.map_err(charged)?,
            transaction_hash: transaction.hash(),
        })
    });
    results.collect::<Result<_, RpcError>>().map(Some)
}

fn trace_call(backend: &Backend, args: &Args) -> Result<TraceResults, RpcError> {
    args.at_most(5)?;
    let (request, types): (TransactionRequest, Types) = (args.get(0)?, args.get(1)?);
    let state: Option<StateOverride> = args.get(3)?;
    let block: Option<BlockOverrides> = args.get(4)?;
    let overrides = call::overrides(state, block)?;
    let request = call::to_request(backend, request)?;
    let traced = replay(backend, args.get(2)?, &overrides, &[(request, types)])?;
    let absent = || RpcError::Internal("a call gave no trace".to_owned());
    traced.into_iter().next().ok_or_else(absent)
}

fn trace_call_many(backend: &Backend, args: &Args) -> Result<Vec<TraceResults>, RpcError> {
    let (calls, block): (Calls, Option<BlockId>) = args.two()?;
    if calls.len() > TRACE_CALLS_MAX {
        let count = calls.len();
        return Err(RpcError::LimitExceeded(format!(
            "too many calls: {count}, at most {TRACE_CALLS_MAX}"
        )));
    }
    let requests = calls
        .into_iter()
        .map(|(request, types)| Ok((call::to_request(backend, request)?, types)));
    let requests = requests.collect::<Result<Vec<_>, RpcError>>()?;
    replay(backend, block, &Overrides::default(), &requests)
}

fn replay(
    backend: &Backend,
    block: Option<BlockId>,
    overrides: &Overrides,
    requests: &[(CallRequest, Types)],
) -> Result<Vec<TraceResults>, RpcError> {
    let scene = Scene::at(backend, block)?;
    let calls = TraceCalls {
        scene: scene.open(backend, overrides),
        limits: limits(backend, None)?,
    };
    Ok(replay_calls(&calls, requests)?)
}

/// A signed transaction as the only one of the next block.
fn raw_transaction(backend: &Backend, args: &Args) -> Result<TraceResults, RpcError> {
    let (raw, types): (Bytes, Types) = args.two()?;
    let transactions = [submit::recover(backend, raw)?];
    let latest = backend.latest()?;
    let state = backend.chain.snapshot(latest.height())?;
    let mut input = ExecutionInput::new(
        backend.chain.config(),
        backend.chain.next_environment(&latest, backend.now_ms()),
        &transactions,
        &[],
    );
    input.ethereum = backend.chain.ethereum(&latest.header);
    input.code_cache = Some(backend.chain.code_cache());
    let block = TraceBlock {
        input: &input,
        hash: None,
        wanted: 0..1,
        limits: limits(backend, None)?,
    };
    let traced = replay_block(&block, &state, &types)?.into_iter().next();
    let absent = || RpcError::Internal("a transaction gave no trace".to_owned());
    traced
        .ok_or_else(absent)?
        .trace
        .map_err(RpcError::CallFailed)
}
