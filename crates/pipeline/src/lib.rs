#![doc = include_str!("../README.md")]

mod actor;
mod blocks;
mod chain;
mod config;
mod control;
mod divergence;
mod environment;
mod execution;
mod fault;
mod flush;
mod genesis;
mod indexer;
mod ledger;
mod mailbox;
mod metrics;
mod progress;
mod record;
mod search;
pub mod tally;

pub use actor::{Actor, Collating, Foundation, Observer};
pub use blocks::BlockLogs;
pub use chain::{Chain, ChainError, ChainEvent, Located, StateProgress, SyncProgress};
pub use config::PipelineConfig;
pub use control::{DevControl, DevError, Draft, Honoured, Pace, Settings};
pub use divergence::{DivergenceReport, TransactionOutcome};
pub use environment::{environment, environment_under};
pub use execution::{
    BlockConflict, BlockExecution, CONFLICT_TRANSACTIONS_MAX, CONFLICTS_MAX, SPANS_MAX, StageTimes,
};
pub use fault::PipelineFault;
pub use genesis::{genesis, genesis_digest, genesis_record};
pub use ledger::{Effect, Ledger};
pub use mailbox::Pipeline;
pub use progress::{Progress, ProgressWatch};
pub use record::{ExecutedRecord, RecordError};
pub use tally::{Tally, TallyOutcome};
