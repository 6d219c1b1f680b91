//! Blocks and time on request.
//!
//! A block is made whenever a transaction waits, so asking is only needed for empty ones. The clock of
//! block production is the node's plus an offset. A timestamp for "the next block" moves that clock and
//! asks for the block at once, because a heartbeat could otherwise take it.

use super::{Watch, require};
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
    methods.quick("evm_increaseTime", increase_time);
    methods.quick("evm_setNextBlockTimestamp", set_next_timestamp);
    methods.quick("evm_setAutomine", set_automine);
    methods.quick("evm_setIntervalMining", set_interval);
    methods.quick("hardhat_getAutomine", |_, _| Ok(true));
    methods.alias("anvil_getAutomine", "hardhat_getAutomine");
    for name in [
        "evm_snapshot",
        "evm_revert",
        "anvil_snapshot",
        "anvil_revert",
    ] {
        methods.refuse(name, |method| RpcError::Unsupported {
            method,
            why: "the order of blocks is final, so state can't go back; start another dev chain or deploy fixtures anew",
        });
    }
    for name in ["hardhat_reset", "anvil_reset"] {
        methods.refuse(name, |method| RpcError::Unsupported {
            method,
            why: "the order of blocks is final; restart dev for a new chain",
        });
    }
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
        move_clock_to(&backend, timestamp.to())?;
    }
    let count: u64 = blocks.map_or(1, |blocks| blocks.to());
    mine(&backend, count, 0).await?;
    Ok(MINED)
}

async fn mine_many(backend: Arc<Backend>, params: Params<'static>) -> Result<bool, RpcError> {
    let (count, interval): (Option<U64>, Option<U64>) = Args::parse(&params)?.two()?;
    let count = count.map_or(1, |count| count.to());
    let interval_s = interval.map_or(0, |interval| interval.to());
    mine(&backend, count, interval_s).await?;
    Ok(true)
}

/// Asks for blocks one by one, each this many seconds after the one before.
async fn mine(backend: &Backend, count: u64, interval_s: u64) -> Result<(), RpcError> {
    if count > MINE_BLOCKS_MAX {
        return Err(RpcError::LimitExceeded(format!(
            "too many blocks: {count}, at most {MINE_BLOCKS_MAX}"
        )));
    }
    for index in 0..count {
        if index > 0 && interval_s > 0 {
            advance_clock(backend, interval_s)?;
        }
        let watch = Watch::start(backend);
        // A block that was on its way before has an older time.
        let asked_ms = block_time_ms(backend)?;
        require(backend)?.control.request_block()?;
        let is_asked =
            |record: &pipeline::ExecutedRecord| record.block.header().timestamp_ms >= asked_ms;
        watch.until(backend, is_asked).await?;
    }
    Ok(())
}

fn increase_time(backend: &Backend, args: &Args) -> Result<u64, RpcError> {
    let seconds: U64 = args.one()?;
    let offset_ms = advance_clock(backend, seconds.to())?;
    Ok(u64::try_from(offset_ms / 1_000).unwrap_or_default())
}

fn set_next_timestamp(backend: &Backend, args: &Args) -> Result<(), RpcError> {
    let timestamp: U64 = args.one()?;
    move_clock_to(backend, timestamp.to())
}

/// Blocks are made when a transaction waits; there is no other mode.
fn set_automine(_: &Backend, args: &Args) -> Result<bool, RpcError> {
    let enabled: bool = args.one()?;
    if enabled {
        return Ok(true);
    }
    Err(RpcError::Unsupported {
        method: "evm_setAutomine",
        why: "blocks follow transactions by consensus and can't be held back; use --block-time for slower ones",
    })
}

fn set_interval(_: &Backend, args: &Args) -> Result<bool, RpcError> {
    let interval: U64 = args.one()?;
    if interval.is_zero() {
        return Ok(true);
    }
    Err(RpcError::Unsupported {
        method: "evm_setIntervalMining",
        why: "the block time is a rule of the chain; start dev with --block-time",
    })
}

/// What the clock of block production shows, in milliseconds.
fn block_time_ms(backend: &Backend) -> Result<u64, RpcError> {
    let offset_ms = require(backend)?.control.time_offset();
    Ok(backend.now_ms().saturating_add_signed(offset_ms))
}

fn advance_clock(backend: &Backend, seconds: u64) -> Result<i64, RpcError> {
    let control = &require(backend)?.control;
    let too_far = || RpcError::ArgumentsConflict("time would be out of range".to_owned());
    let step_ms = seconds
        .checked_mul(1_000)
        .and_then(|ms| i64::try_from(ms).ok());
    let offset_ms = step_ms.and_then(|step| control.time_offset().checked_add(step));
    let offset_ms = offset_ms.ok_or_else(too_far)?;
    control.set_time_offset(offset_ms)?;
    Ok(offset_ms)
}

fn move_clock_to(backend: &Backend, timestamp: u64) -> Result<(), RpcError> {
    let latest = backend.latest()?.header.timestamp;
    if timestamp <= latest {
        return Err(RpcError::ArgumentsConflict(format!(
            "Timestamp {timestamp} is lower than or equal to previous block's timestamp {latest}"
        )));
    }
    let too_far = |_| RpcError::ArgumentsConflict("time would be out of range".to_owned());
    let wanted_ms = i64::try_from(timestamp.saturating_mul(1_000)).map_err(too_far)?;
    let now_ms = i64::try_from(backend.now_ms()).map_err(too_far)?;
    require(backend)?
        .control
        .set_time_offset(wanted_ms.saturating_sub(now_ms))?;
    Ok(())
}
