//! The smallest gas limit with which a transaction works, found as geth finds it.
//!
//! ```text
//! can it work at the cap? ─no─▶ why not          low ──▶│ fails … works │◀── high
//!          │ yes                                         └ halve until they are within 1.5 %
//!          └▶ try what it used, plus what calls hold back (1/64) and the stipend
//! ```
//! The answer is always a limit that was tried and worked. The charge floor makes a transaction
//! pay for unused gas but never changes whether it works, so it needs no search of its own.

use crate::{
    call::{CALL_GAS_MAX, CallError, CallRequest, CallScene, Trial},
    fault::ExecutionFault,
    machine::Transacted,
};
use alloy_primitives::{Bytes, TxKind, U256};
use revm::context_interface::result::{ExecutionResult, HaltReason};

/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// Gas a call with value gives for free; held back from the caller.
const CALL_STIPEND: u64 = 2_300;
/// The search stops when the bounds are within this many per mille.
const ERROR_PERMILLE: u64 = 15;

/// Why there is no estimate.
#[derive(Debug, thiserror::Error)]
pub enum EstimateError {
    /// It reverts whatever its limit.
    #[error("execution reverted")]
    Reverted {
        /// What it reverted with.
        output: Bytes,
    },
    /// It fails for another reason that gas does not mend.
    #[error("{reason}")]
    Halted {
        /// Which.
        reason: String,
    },
    /// It needs more gas than the sender can pay for, or than a transaction may have.
    #[error("gas required exceeds allowance ({allowance})")]
    AllowanceExceeded {
        /// The most that was tried.
        allowance: u64,
    },
    /// The sender cannot pay the value, or nothing is left for gas.
    #[error("insufficient funds for gas * price + value: needed={needed} available={available}")]
    InsufficientFunds {
        /// Value and the highest fee.
        needed: U256,
        /// The sender's balance.
        available: U256,
    },
    /// It cannot be a transaction.
    #[error("{0}")]
    Invalid(String),
    /// This node cannot go on.
    #[error(transparent)]
    Fault(#[from] ExecutionFault),
}

impl From<CallError> for EstimateError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::InsufficientFunds { needed, available } => {
                Self::InsufficientFunds { needed, available }
            }
            CallError::GasTooLow { gas_limit, .. } => Self::AllowanceExceeded {
                allowance: gas_limit,
            },
            CallError::Invalid(reason) => Self::Invalid(reason),
            CallError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// Estimates the gas limit of a transaction.
///
/// # Errors
/// [`EstimateError`] when no limit up to the cap makes it work.
pub fn estimate_gas(request: &CallRequest, scene: &CallScene<'_>) -> Result<u64, EstimateError> {
    let mut trial = Trial::new(request, scene)?;
    let block_gas_limit = trial.machine.machine.ctx.block.gas_limit;
    let cap = request
        .gas
        .filter(|gas| *gas >= TRANSFER_GAS)
        .unwrap_or(block_gas_limit)
        .min(scene.chain.transaction_gas_max())
        .min(CALL_GAS_MAX)
        .min(trial.gas_allowance()?);
    if is_plain_transfer(&mut trial)? && matches!(probe(&mut trial, TRANSFER_GAS)?, Probe::Works(_))
    {
        return Ok(TRANSFER_GAS);
    }
    let peak = match probe(&mut trial, cap)? {
        Probe::Works(peak) => peak,
        Probe::OutOfGas => return Err(EstimateError::AllowanceExceeded { allowance: cap }),
        Probe::Fails(error) => return Err(error),
    };
    search(&mut trial, peak, cap)
}

/// Narrows the bounds, given what the transaction used when it had more than enough.
fn search(trial: &mut Trial<'_>, peak: u64, cap: u64) -> Result<u64, EstimateError> {
    let mut low = peak.saturating_sub(1);
    let mut high = cap;
    let likely = peak
        .saturating_add(CALL_STIPEND)
        .saturating_mul(64)
        .checked_div(63)
        .unwrap_or(u64::MAX);
    if likely < high {
        match probe(trial, likely)? {
            Probe::Works(_) => high = likely,
            Probe::OutOfGas | Probe::Fails(_) => low = likely,
        }
    }
    while low.saturating_add(1) < high {
        let gap = high.saturating_sub(low);
        if gap.saturating_mul(1_000) < high.saturating_mul(ERROR_PERMILLE) {
            break;
        }
        // The answer is nearer to what was used than to the cap.
        let middle = low
            .saturating_add(gap / 2)
            .min(low.saturating_mul(2))
            .max(low.saturating_add(1));
        match probe(trial, middle)? {
            Probe::Works(_) => high = middle,
            Probe::OutOfGas | Probe::Fails(_) => low = middle,
        }
    }
    Ok(high)
}

/// What one limit gives.
enum Probe {
    /// It works, and used this much before refunds.
    Works(u64),
    OutOfGas,
    Fails(EstimateError),
}

fn probe(trial: &mut Trial<'_>, gas: u64) -> Result<Probe, EstimateError> {
    let result = match trial.run(gas).map_err(CallError::from) {
        Ok(Transacted { result, .. }) => result,
        Err(CallError::GasTooLow { .. }) => return Ok(Probe::OutOfGas),
        Err(error) => return Err(error.into()),
    };
    Ok(match result {
        ExecutionResult::Success { gas, .. } => Probe::Works(gas.total_gas_spent()),
        ExecutionResult::Halt {
            reason: HaltReason::OutOfGas(_),
            ..
        } => Probe::OutOfGas,
        ExecutionResult::Halt { reason, .. } => Probe::Fails(EstimateError::Halted {
            reason: reason.to_string(),
        }),
        ExecutionResult::Revert { output, .. } => Probe::Fails(match trial.machine.broken_rule() {
            Some(reason) => EstimateError::Halted { reason },
            None => EstimateError::Reverted { output },
        }),
    })
}

/// Whether nothing but a balance can change.
fn is_plain_transfer(trial: &mut Trial<'_>) -> Result<bool, ExecutionFault> {
    let transaction = &trial.transaction;
    let is_bare = transaction.data.is_empty()
        && transaction.access_list.is_empty()
        && transaction.authorization_list.is_empty();
    match transaction.kind {
        TxKind::Call(to) if is_bare => {
            let account = trial.machine.overlay().account(&to)?;
            Ok(!account.is_some_and(|account| account.has_code()))
        }
        TxKind::Call(_) | TxKind::Create => Ok(false),
    }
}
