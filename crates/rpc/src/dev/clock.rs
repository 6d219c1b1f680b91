//! The clock of block production, and what else the next blocks are to have.
//!
//! The clock is the node's plus an offset. A time that is set for the next block is exactly that block's,
//! whatever makes it: a transaction or a request. The clock goes on from there.

use super::require;
use crate::{args::Args, backend::Backend, error::RpcError, registry::Registry};
use alloy_primitives::{Address, U64, U256};
use pipeline::Settings;

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("evm_increaseTime", increase_time);
    methods.quick("evm_setNextBlockTimestamp", set_next_timestamp);
    methods.quick("anvil_setBlockTimestampInterval", set_timestamp_interval);
    methods.quick(
        "anvil_removeBlockTimestampInterval",
        remove_timestamp_interval,
    );
    methods.quick("hardhat_setNextBlockBaseFeePerGas", |backend, args| {
        set_next_base_fee(backend, args).map(|()| true)
    });
    methods.quick("anvil_setNextBlockBaseFeePerGas", set_next_base_fee);
    methods.quick("hardhat_setCoinbase", |backend, args| {
        set_coinbase(backend, args).map(|()| true)
    });
    methods.quick("anvil_setCoinbase", set_coinbase);
    methods.alias("anvil_increaseTime", "evm_increaseTime");
    methods.alias("anvil_setNextBlockTimestamp", "evm_setNextBlockTimestamp");
    for name in ["hardhat_setPrevRandao", "anvil_setPrevRandao"] {
        methods.refuse(name, |method| RpcError::Unsupported {
            method,
            why: "it follows from the parent block, so that everybody computes the same",
        });
    }
    for name in ["evm_setBlockGasLimit", "anvil_setBlockGasLimit"] {
        methods.refuse(name, |method| RpcError::Unsupported {
            method,
            why: "it is a rule of the chain; start dev with --gas-limit",
        });
    }
}

fn change<T>(backend: &Backend, change: impl FnOnce(&mut Settings) -> T) -> Result<T, RpcError> {
    Ok(require(backend)?.control.change(change)?)
}

fn too_far() -> RpcError {
    RpcError::ArgumentsConflict("time would be out of range".to_owned())
}

/// Seconds that a clock can be set to, or by, in milliseconds.
fn to_ms(seconds: u64) -> Result<i64, RpcError> {
    let ms = seconds.checked_mul(1_000);
    let ms = ms.and_then(|ms| i64::try_from(ms).ok());
    ms.ok_or_else(too_far)
}

/// Fails if so many blocks, each so long after the one before, would end after all time.
pub(super) fn require_time(
    backend: &Backend,
    blocks: u64,
    interval_s: u64,
) -> Result<(), RpcError> {
    let latest = backend.latest()?.header.timestamp;
    let end = blocks
        .checked_mul(interval_s)
        .and_then(|seconds| seconds.checked_add(latest));
    to_ms(end.ok_or_else(too_far)?).map(drop)
}

/// Answers the whole offset, in seconds.
fn increase_time(backend: &Backend, args: &Args) -> Result<i64, RpcError> {
    let seconds: U64 = args.one()?;
    let step_ms = to_ms(seconds.to())?;
    let offset_ms = change(backend, |settings| {
        let offset_ms = settings.time_offset_ms.checked_add(step_ms)?;
        settings.time_offset_ms = offset_ms;
        Some(offset_ms)
    })?;
    Ok(offset_ms.ok_or_else(too_far)? / 1_000)
}

fn set_next_timestamp(backend: &Backend, args: &Args) -> Result<(), RpcError> {
    let timestamp: U64 = args.one()?;
    set_time_of_next(backend, timestamp.to())
}

/// The next block that is more than a change has this time.
pub(super) fn set_time_of_next(backend: &Backend, timestamp: u64) -> Result<(), RpcError> {
    let latest = backend.latest()?.header.timestamp;
    if timestamp <= latest {
        return Err(RpcError::ArgumentsConflict(format!(
            "Timestamp {timestamp} is lower than or equal to previous block's timestamp {latest}"
        )));
    }
    to_ms(timestamp)?;
    change(backend, |settings| {
        settings.next_timestamp = Some(timestamp);
    })
}

fn set_timestamp_interval(backend: &Backend, args: &Args) -> Result<(), RpcError> {
    let seconds: U64 = args.one()?;
    let seconds = seconds.to();
    require_time(backend, 1, seconds)?;
    change(backend, |settings| {
        settings.timestamp_interval = Some(seconds);
    })
}

/// Whether there was one.
fn remove_timestamp_interval(backend: &Backend, args: &Args) -> Result<bool, RpcError> {
    args.none()?;
    change(backend, |settings| {
        settings.timestamp_interval.take().is_some()
    })
}

fn set_next_base_fee(backend: &Backend, args: &Args) -> Result<(), RpcError> {
    let fee: U256 = args.one()?;
    let too_high = |_| RpcError::ArgumentsConflict("base fee is too high".to_owned());
    let fee = u64::try_from(fee).map_err(too_high)?;
    change(backend, |settings| settings.next_base_fee = Some(fee))
}

fn set_coinbase(backend: &Backend, args: &Args) -> Result<(), RpcError> {
    let address: Address = args.one()?;
    change(backend, |settings| settings.proposer = Some(address))
}
