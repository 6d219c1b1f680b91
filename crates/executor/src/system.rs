//! What a block does itself before its first transaction: directives of a development chain, and calls.
//!
//! EIP-2935 records the parent's hash and EIP-4788 the beacon root, each in a contract that has to
//! be in the genesis: where it is not, nothing happens. What the contract does with the call is its
//! own affair; a call that fails changes nothing.

use crate::{
    conformance::Fork,
    directives,
    fault::ExecutionFault,
    input::ExecutionInput,
    machine::{BlockMachine, NotRun},
};
use alloy_eips::{eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS};
use alloy_primitives::{Address, Bytes};
use revm::{ExecuteEvm, SystemCallEvm};

/// Applies the directives of a block and makes its calls.
pub(crate) fn open_block(
    input: &ExecutionInput<'_>,
    machine: &mut BlockMachine<'_>,
) -> Result<(), ExecutionFault> {
    if input.chain.protocol.dev {
        for directive in input.directives {
            directives::apply(directive, machine.overlay())?;
        }
    }
    let fork = input.ethereum.unwrap_or_default().fork;
    let environment = &input.environment;
    if fork >= Fork::Cancun && !environment.parent_beacon_root.is_zero() {
        call(
            machine,
            BEACON_ROOTS_ADDRESS,
            environment.parent_beacon_root.into(),
        )?;
    }
    if fork >= Fork::Prague {
        call(
            machine,
            HISTORY_STORAGE_ADDRESS,
            environment.parent_hash.into(),
        )?;
    }
    Ok(())
}

/// Calls a contract as the system, and keeps what it writes; what it returned, nothing if it is not there or
/// failed.
pub(crate) fn call(
    machine: &mut BlockMachine<'_>,
    contract: Address,
    input: Bytes,
) -> Result<Bytes, ExecutionFault> {
    let account = machine.overlay().account(&contract)?;
    if !account.is_some_and(|account| account.has_code()) {
        return Ok(Bytes::new());
    }
    let outcome = machine.machine.system_call_one(contract, input);
    let changes = machine.machine.finalize();
    match outcome.map_err(NotRun::from) {
        Ok(result) if result.is_success() => {
            machine.overlay().commit(&changes)?;
            Ok(result.into_output().unwrap_or_default())
        }
        Ok(_) | Err(NotRun::Invalid(_)) => Ok(Bytes::new()),
        Err(NotRun::Fault(fault)) => Err(fault),
    }
}
