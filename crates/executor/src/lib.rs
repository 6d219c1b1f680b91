#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::wildcard_enum_match_arm,
        clippy::float_arithmetic
    )
)]

mod call;
mod conformance;
mod database;
mod directives;
mod estimate;
mod executed;
mod executor;
mod input;
mod machine;
mod overrides;
mod receipt;
mod rules;
mod sequential;
mod system;
#[cfg(test)]
mod tests;

pub use call::{CALL_GAS_MAX, CallError, CallOutcome, CallRequest, CallStatus, call};
pub use conformance::{EthereumRules, Fork};
pub use database::ExecutionFault;
pub use estimate::{EstimateError, estimate_gas};
pub use executed::{AccessSummary, ExecutedBlock, InclusionFault, ethereum_header};
pub use executor::execute;
pub use input::{BlockEnvironment, ExecutionInput};
pub use overrides::{AccountOverride, BlockOverrides, Overrides};
pub use receipt::{Receipt, ReceiptDecodeError};
pub use sequential::execute_sequential;
