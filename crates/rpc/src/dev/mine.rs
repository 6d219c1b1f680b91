//! Blocks on request, and when blocks are made without one.
//!
//! A block is made whenever a transaction waits, unless `evm_setAutomine(false)` says otherwise; then what
//! waits is in the next block that is asked for.

use super::{Watch, clock, require};
use crate::{
    args::Args, backend::Backend, config::MINE_BLOCKS_MAX, error::RpcError, registry::Registry,
};
use alloy_primitives::U64;
use jsonrpsee::types::Params;
use serde::Deserialize;
use std::sync::Arc;

/// What `evm_mine` answers, as ganache did.
const MINED: &str = "0x0";

pub(crate) fn register(methods: &mut Registry) {
    methods.waiting("evm_mine", mine_one);
    methods.waiting("hardhat_mine", mine_many);
    methods.alias("anvil_mine", "hardhat_mine");
    methods.quick("evm_setAutomine", set_automine);
    methods.alias("anvil_setAutomine", "evm_setAutomine");
    methods.quick("evm_setIntervalMining", |backend, args| {
        set_interval(backend, args, 1)
    });
    // anvil counts seconds.
    methods.quick("anvil_setIntervalMining", |backend, args| {
        set_interval(backend, args, 1_000)
    });
    methods.quick("anvil_getIntervalMining", interval);
    methods.quick("hardhat_getAutomine", automine);
    methods.alias("anvil_getAutomine", "hardhat_getAutomine");
}

/// `evm_mine` takes a timestamp, or anvil's object.
#[derive(Deserialize)]
#[serde(untagged)]
enum MineArgs {
    Timestamp(U64),
    Options {
        timestamp: Option<U64>,
        blocks: Option<U64>,
    },
}

async fn mine_one(
    backend: Arc<Backend>,
    params: Params<'static>,
) -> Result<&'static str, RpcError> {
    let (timestamp, blocks) = match Args::parse(&params)?.one()? {
        None => (None, None),
        Some(MineArgs::Timestamp(timestamp)) => (Some(timestamp), None),
        Some(MineArgs::Options { timestamp, blocks }) => (timestamp, blocks),
    };
    if let Some(timestamp) = timestamp {
        clock::set_time_of_next(&backend, timestamp.to())?;
    }
    let count: u64 = blocks.map_or(1, |blocks| blocks.to());
    mine(&backend, count, None).await?;
    Ok(MINED)
}

async fn mine_many(backend: Arc<Backend>, params: Params<'static>) -> Result<bool, RpcError> {
    let (count, interval): (Option<U64>, Option<U64>) = Args::parse(&params)?.two()?;
    let count = count.map_or(1, |count| count.to());
    let interval_s = interval.map(|interval| interval.to::<u64>());
    mine(&backend, count, interval_s.filter(|seconds| *seconds > 0)).await?;
    Ok(true)
}

/// Asks for blocks, each this many seconds after the one before, and waits for the last.
async fn mine(backend: &Backend, count: u64, interval_s: Option<u64>) -> Result<(), RpcError> {
    if count > MINE_BLOCKS_MAX {
        return Err(RpcError::LimitExceeded(format!(
            "too many blocks: {count}, at most {MINE_BLOCKS_MAX}"
        )));
    }
    clock::require_time(backend, count, interval_s.unwrap_or_default())?;
    let control = &require(backend)?.control;
    let watch = Watch::start(backend);
    let ticket = control.request_blocks(count, interval_s)?;
    watch.until_honoured(backend, control, ticket).await
}

fn set_automine(backend: &Backend, args: &Args) -> Result<bool, RpcError> {
    let enabled: bool = args.one()?;
    let control = &require(backend)?.control;
    if enabled && control.settings().automine {
        return Ok(true);
    }
    control.change(|settings| settings.automine = enabled)?;
    Ok(true)
}

fn automine(backend: &Backend, args: &Args) -> Result<bool, RpcError> {
    args.none()?;
    Ok(require(backend)?.control.settings().automine)
}

/// Zero ends it.
fn set_interval(backend: &Backend, args: &Args, unit_ms: u64) -> Result<bool, RpcError> {
    let interval: U64 = args.one()?;
    let interval_ms = interval.to::<u64>().saturating_mul(unit_ms);
    let interval_ms = Some(interval_ms).filter(|interval| *interval > 0);
    let control = &require(backend)?.control;
    if control.settings().interval_ms == interval_ms {
        return Ok(true);
    }
    control.change(|settings| settings.interval_ms = interval_ms)?;
    Ok(true)
}

/// In seconds, none without.
fn interval(backend: &Backend, args: &Args) -> Result<Option<u64>, RpcError> {
    args.none()?;
    let interval_ms = require(backend)?.control.settings().interval_ms;
    Ok(interval_ms.map(|interval| interval.div_ceil(1_000)))
}
