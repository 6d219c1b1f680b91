//! Searching logs.
//!
//! The index names the blocks that a filter's addresses and topics are in; of those it does not have yet, or
//! where there is no index, one whose bloom excludes the filter costs its header. A query looks into at most
//! `logs_blocks_max` blocks, however many it spans, and answers at most `logs_max` logs; the error says so.

use crate::{
    args::Args,
    backend::Backend,
    config::LOG_CRITERIA_MAX,
    error::RpcError,
    eth::{
        tag::{self, Selected},
        transaction,
    },
    registry::Registry,
};
use alloy_consensus::Header;
use alloy_eips::BlockNumberOrTag;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use pipeline::ExecutedRecord;
use state::PostingKey;
use std::ops::RangeInclusive;

pub(crate) fn register(methods: &mut Registry) {
    methods.heavy("eth_getLogs", logs);
}

fn logs(backend: &Backend, args: &Args) -> Result<Vec<Log>, RpcError> {
    let filter: Filter = args.one()?;
    search(backend, &filter)
}

/// All logs that match, oldest first.
pub(crate) fn search(backend: &Backend, filter: &Filter) -> Result<Vec<Log>, RpcError> {
    check(filter)?;
    if let FilterBlockOption::AtBlockHash(hash) = filter.block_option {
        let record = tag::record_by_hash(backend, &hash)?;
        let record = record.ok_or(RpcError::UnknownBlock)?;
        return Ok(matching(&record, filter));
    }
    let Some(range) = range(backend, filter)? else {
        return Ok(Vec::new());
    };
    scan(backend, filter, range)
}

/// Refuses a filter that would take long to match.
pub(crate) fn check(filter: &Filter) -> Result<(), RpcError> {
    let longest = filter.topics.iter().map(|topic| topic.len()).max();
    let longest = longest.unwrap_or_default().max(filter.address.len());
    if longest > LOG_CRITERIA_MAX {
        return Err(RpcError::LimitExceeded(format!(
            "exceed max addresses or topics per search position: {longest}, at most {LOG_CRITERIA_MAX}"
        )));
    }
    Ok(())
}

/// All logs of these heights that match, oldest first.
pub(crate) fn scan(
    backend: &Backend,
    filter: &Filter,
    range: RangeInclusive<u64>,
) -> Result<Vec<Log>, RpcError> {
    let max = backend.config.logs_blocks_max;
    let heights = backend.chain.heights_with(&criteria(filter), range, max)?;
    if heights.len() > max {
        return Err(RpcError::LimitExceeded(format!(
            "block range is too large: more than {max} blocks to look into"
        )));
    }
    let mut found = Vec::new();
    for height in heights {
        match backend.chain.recent(height) {
            Some(record) => found.extend(matching(&record, filter)),
            None => found.extend(stored(backend, height, filter)?),
        }
        let max = backend.config.logs_max;
        if found.len() > max {
            return Err(RpcError::LimitExceeded(format!(
                "query returned more than {max} results: ask for fewer blocks than up to {height}"
            )));
        }
    }
    Ok(found)
}

/// What the filter asks for, as the index has it.
fn criteria(filter: &Filter) -> Vec<Vec<PostingKey>> {
    let emitters = filter.address.iter().copied().map(PostingKey::Emitter);
    let mut criteria = vec![emitters.collect::<Vec<_>>()];
    for (topics, position) in filter.topics.iter().zip(0..) {
        let topics = topics
            .iter()
            .map(|topic| PostingKey::Topic(position, *topic));
        criteria.push(topics.collect());
    }
    // No alternatives means that all are welcome.
    criteria.retain(|alternatives| !alternatives.is_empty());
    criteria
}

/// The logs of one block that match, read without the rest of it.
fn stored(backend: &Backend, height: u64, filter: &Filter) -> Result<Vec<Log>, RpcError> {
    let is_wanted = |header: &Header| filter.matches_bloom(header.logs_bloom);
    let Some(block) = backend.chain.logs(height, is_wanted)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    let mut log_index = 0;
    for ((hash, logs), transaction_index) in block.transactions.into_iter().zip(0..) {
        for inner in logs {
            if filter.matches(&inner) {
                found.push(Log {
                    inner,
                    block_hash: Some(block.hash),
                    block_number: Some(height),
                    block_timestamp: Some(block.header.timestamp),
                    transaction_hash: Some(hash),
                    transaction_index: Some(transaction_index),
                    log_index: Some(log_index),
                    removed: false,
                });
            }
            log_index += 1;
        }
    }
    Ok(found)
}

/// The logs of one block that match.
pub(crate) fn matching(record: &ExecutedRecord, filter: &Filter) -> Vec<Log> {
    if !filter.matches_bloom(record.header.logs_bloom) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut first_log = 0;
    for (index, receipt) in record.receipts.iter().enumerate() {
        let logs = receipt.envelope.logs();
        if logs.iter().any(|log| filter.matches(log)) {
            let placed = transaction::logs_of(record, index, first_log);
            found.extend(placed.into_iter().filter(|log| filter.matches(&log.inner)));
        }
        first_log += logs.len();
    }
    found
}

/// The executed heights a filter spans; none if it starts above its end or `latest`.
fn range(backend: &Backend, filter: &Filter) -> Result<Option<RangeInclusive<u64>>, RpcError> {
    let (from, to) = filter.block_option.as_range();
    if let (Some(BlockNumberOrTag::Number(from)), Some(BlockNumberOrTag::Number(to))) = (from, to)
        && from > to
    {
        let problem = "invalid block range params".to_owned();
        return Err(RpcError::ArgumentsConflict(problem));
    }
    let latest = BlockNumberOrTag::Latest;
    let from = bound(backend, *from.unwrap_or(&latest))?;
    let to = bound(backend, *to.unwrap_or(&latest))?;
    let to = to.min(backend.chain.heads().executed_height);
    Ok((from <= to).then_some(from..=to))
}

/// Pending logs do not exist: nothing has run. So `pending` is `latest` here.
fn bound(backend: &Backend, tag: BlockNumberOrTag) -> Result<u64, RpcError> {
    match (tag, tag::by_number(backend, tag)?) {
        (_, Some(Selected::Executed(height))) => Ok(height),
        (BlockNumberOrTag::Number(height), None) => Ok(height),
        _ => backend.latest_height(),
    }
}
