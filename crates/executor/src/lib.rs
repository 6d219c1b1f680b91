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

mod access;
mod bloom;
mod call;
mod closing;
mod code;
mod conformance;
mod console;
mod directives;
mod engine;
mod estimate;
mod executed;
mod fault;
mod input;
mod join;
mod listed;
mod machine;
mod measured;
mod observe;
mod overlay;
mod overrides;
mod parallel;
mod predict;
mod profile;
mod receipt;
mod report;
mod rules;
mod sequential;
mod series;
mod system;
#[cfg(test)]
mod tests;
pub mod trace;
mod transfer;
mod view;
mod watch;

pub use access::{
    AccessList, AccessListError, CODE_BYTES_MAX, LIST_BYTES_MAX, ListField, TRANSACTIONS_MAX,
};
pub use call::{CALL_GAS_MAX, CallError, CallOutcome, CallRequest, CallScene, CallStatus, call};
pub use closing::{EthereumBlock, execute_ethereum};
pub use code::CodeCache;
pub use conformance::{EthereumRules, Fork};
pub use console::{CONSOLE, LINE_BYTES_MAX, LINES_MAX};
pub use engine::{Engine, NoWorkers};
pub use estimate::{EstimateError, estimate_gas};
pub use executed::{
    AccessSummary, BlockRoots, ExecutedBlock, InclusionFault, Roots, ethereum_header,
};
pub use fault::ExecutionFault;
pub use input::{BlockEnvironment, ExecutionInput, prevrandao};
pub use listed::{Falsehood, Field, ListFraud, Listed};
pub use overrides::{AccountOverride, BlockOverrides, Overrides};
pub use parallel::simulate::{
    SimulatedMachine, SimulatedSpan, SimulatedTransaction, Timeline, simulate,
};
pub use profile::{
    CriticalPath, FUNCTIONS_MAX, Function, HOT_PLACES_MAX, HotPlace, NONCE_CHAINS_MAX, NonceChain,
    PATH_TRANSACTIONS_MAX, PLACE_TRANSACTIONS_MAX, PlaceKind, Profile, SPREAD_PARTS, Speedup,
    Writes,
};
pub use receipt::{Receipt, ReceiptDecodeError};
pub use report::{BlockReport, Conflict, PredictionScore, ReportClock, Span, Timed, Way};
pub use sequential::execute_sequential;
pub use series::{BrokenRule, Series, SeriesError, SeriesRules};
pub use watch::{TraceExcess, TraceLimits};
