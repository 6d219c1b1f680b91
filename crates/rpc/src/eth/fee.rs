//! Prices: what the next block asks for, what recent ones paid.
//!
//! A tip is suggested as geth's oracle does: the 60th percentile of the lowest tips of the last
//! blocks, `PRIORITY_FEE_DEFAULT` while nobody paid any. The base fee is that of the next block.

use crate::{
    args::Args,
    backend::Backend,
    config::{FEE_HISTORY_BLOCKS_MAX, FEE_HISTORY_PERCENTILES_MAX},
    error::RpcError,
    eth::tag::{self, Selected},
    registry::Registry,
};
use alloy_consensus::Transaction as _;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{U64, U256};
use alloy_rpc_types_eth::{FeeHistory, TxGasAndReward};
use pipeline::ExecutedRecord;

/// Blocks the suggested tip looks at (geth's).
const SAMPLE_BLOCKS: u64 = 20;
/// Lowest tips taken from each of them (geth's).
const SAMPLES_PER_BLOCK: usize = 3;
/// Which of the samples, in percent (geth's).
const SAMPLE_PERCENT: usize = 60;
/// Tips below this are left out of the samples, in wei (geth's).
const SAMPLED_PRIORITY_FEE_MIN: u128 = 2;
/// The suggested priority fee while there are no samples, in wei.
const PRIORITY_FEE_DEFAULT: u128 = 1_000_000_000;
/// The most that is suggested, in wei (geth's 500 gwei).
const PRIORITY_FEE_MAX: u128 = 500_000_000_000;
/// What a blob would cost, in wei: the least there is, because there are none.
const BLOB_BASE_FEE: u64 = 1;

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("eth_gasPrice", gas_price);
    methods.quick("eth_maxPriorityFeePerGas", priority_fee);
    methods.quick("eth_baseFee", base_fee);
    methods.quick("eth_blobBaseFee", blob_base_fee);
    methods.heavy("eth_feeHistory", fee_history);
}

fn gas_price(backend: &Backend, args: &Args) -> Result<U256, RpcError> {
    args.none()?;
    let (base_fee, priority_fee) = suggested(backend)?;
    Ok(U256::from(
        u128::from(base_fee).saturating_add(priority_fee),
    ))
}

fn priority_fee(backend: &Backend, args: &Args) -> Result<U256, RpcError> {
    args.none()?;
    Ok(U256::from(suggested(backend)?.1))
}

fn base_fee(backend: &Backend, args: &Args) -> Result<U64, RpcError> {
    args.none()?;
    backend.require_ready()?;
    Ok(U64::from(next_base_fee(backend)?))
}

fn blob_base_fee(_: &Backend, args: &Args) -> Result<U64, RpcError> {
    args.none()?;
    Ok(U64::from(BLOB_BASE_FEE))
}

/// The next block's base fee and a priority fee that gets into it, in wei.
pub(crate) fn suggested(backend: &Backend) -> Result<(u64, u128), RpcError> {
    let latest = backend.latest_height()?;
    let first = backend.chain.first_height();
    let oldest = latest.saturating_sub(SAMPLE_BLOCKS - 1).max(first);
    let mut samples = Vec::new();
    for height in oldest..=latest {
        if let Some(record) = backend.chain.record(height)? {
            samples.extend(lowest_priority_fees(&record));
        }
    }
    samples.sort_unstable();
    let index = samples.len().saturating_sub(1) * SAMPLE_PERCENT / 100;
    let tip = samples.get(index).copied().unwrap_or(PRIORITY_FEE_DEFAULT);
    Ok((next_base_fee(backend)?, tip.min(PRIORITY_FEE_MAX)))
}

/// The one that follows from `latest`, unless a development chain was told another one.
fn next_base_fee(backend: &Backend) -> Result<u64, RpcError> {
    let dev = backend.dev.as_ref();
    match dev.and_then(|dev| dev.control().settings().next_base_fee) {
        Some(told) => Ok(told),
        None => Ok(backend.chain.next_base_fee()?),
    }
}

fn lowest_priority_fees(record: &ExecutedRecord) -> Vec<u128> {
    let base_fee = record.header.base_fee_per_gas.unwrap_or_default();
    let tips = record.transactions.iter();
    let tips = tips.filter_map(|tx| tx.effective_tip_per_gas(base_fee));
    let mut tips: Vec<_> = tips
        .filter(|tip| *tip >= SAMPLED_PRIORITY_FEE_MIN)
        .collect();
    tips.sort_unstable();
    tips.truncate(SAMPLES_PER_BLOCK);
    tips
}

fn fee_history(backend: &Backend, args: &Args) -> Result<FeeHistory, RpcError> {
    let (count, newest, percentiles): (U64, BlockNumberOrTag, Option<Vec<f64>>) = args.three()?;
    let percentiles = percentiles.unwrap_or_default();
    check_percentiles(&percentiles)?;
    let newest = newest_height(backend, newest)?;
    let count = count
        .to::<u64>()
        .min(FEE_HISTORY_BLOCKS_MAX)
        .min(history_blocks(backend, newest));
    let mut history = FeeHistory {
        oldest_block: (newest + 1).saturating_sub(count),
        reward: (!percentiles.is_empty()).then(Vec::new),
        ..FeeHistory::default()
    };
    if count == 0 {
        history.oldest_block = 0;
        return Ok(history);
    }
    for height in history.oldest_block..=newest {
        let record = backend
            .chain
            .record(height)?
            .ok_or(RpcError::HeaderNotFound)?;
        extend(&mut history, &record, &percentiles);
    }
    let next_base_fee = match backend.chain.record(newest + 1)? {
        Some(record) => record.header.base_fee_per_gas.unwrap_or_default(),
        None => backend.chain.next_base_fee()?,
    };
    history.base_fee_per_gas.push(u128::from(next_base_fee));
    history
        .base_fee_per_blob_gas
        .push(u128::from(BLOB_BASE_FEE));
    Ok(history)
}

/// How many blocks there are up to a height.
fn history_blocks(backend: &Backend, newest: u64) -> u64 {
    match backend.chain.first_height() {
        // The genesis counts.
        1 => newest.saturating_add(1),
        first => newest.saturating_add(1).saturating_sub(first),
    }
}

fn newest_height(backend: &Backend, newest: BlockNumberOrTag) -> Result<u64, RpcError> {
    match (tag::by_number(backend, newest)?, newest) {
        (Some(Selected::Executed(height)), _) => Ok(height),
        (None, BlockNumberOrTag::Number(asked)) => Err(RpcError::BeyondExecuted {
            asked,
            executed: backend.chain.heads().executed_height,
        }),
        _ => backend.latest_height(),
    }
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), RpcError> {
    let count = percentiles.len();
    if count > FEE_HISTORY_PERCENTILES_MAX {
        return Err(RpcError::ArgumentsConflict(format!(
            "over the query limit {FEE_HISTORY_PERCENTILES_MAX}: {count} percentiles"
        )));
    }
    let in_range = percentiles
        .iter()
        .all(|percent| (0.0..=100.0).contains(percent));
    if !in_range || !percentiles.is_sorted() {
        return Err(RpcError::ArgumentsConflict(
            "invalid reward percentile: ascending values from 0 to 100 are wanted".to_owned(),
        ));
    }
    Ok(())
}

fn extend(history: &mut FeeHistory, record: &ExecutedRecord, percentiles: &[f64]) {
    let header = &record.header;
    let base_fee = header.base_fee_per_gas.unwrap_or_default();
    history.base_fee_per_gas.push(u128::from(base_fee));
    history
        .base_fee_per_blob_gas
        .push(u128::from(BLOB_BASE_FEE));
    history
        .gas_used_ratio
        .push(ratio(header.gas_used, header.gas_limit));
    history.blob_gas_used_ratio.push(0.0);
    if let Some(rewards) = &mut history.reward {
        rewards.push(block_rewards(record, base_fee, percentiles));
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio for display; gas is far below 2^53"
)]
fn ratio(used: u64, limit: u64) -> f64 {
    if limit == 0 {
        0.0
    } else {
        used as f64 / limit as f64
    }
}

/// The tip paid by the transaction at each percentile of the block's gas.
fn block_rewards(record: &ExecutedRecord, base_fee: u64, percentiles: &[f64]) -> Vec<u128> {
    let mut paid: Vec<_> = record
        .receipts
        .iter()
        .map(|receipt| TxGasAndReward {
            gas_used: receipt.gas_used,
            reward: receipt
                .effective_gas_price
                .saturating_sub(u128::from(base_fee)),
        })
        .collect();
    paid.sort();
    let total: u64 = paid.iter().map(|paid| paid.gas_used).sum();
    let reward_at = |percent: &f64| {
        let threshold = percentile_gas(total, *percent);
        let mut gas = 0;
        let reached = paid.iter().find(|paid| {
            gas += paid.gas_used;
            gas >= threshold
        });
        reached.or(paid.last()).map_or(0, |paid| paid.reward)
    };
    percentiles.iter().map(reward_at).collect()
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the percentile is within 0 to 100 and gas far below 2^53"
)]
fn percentile_gas(total: u64, percent: f64) -> u64 {
    (total as f64 * percent / 100.0) as u64
}
