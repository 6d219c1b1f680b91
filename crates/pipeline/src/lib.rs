#![doc = include_str!("../README.md")]

mod actor;
mod chain;
mod config;
mod control;
mod divergence;
mod ledger;
mod mailbox;
mod record;
mod tally;

pub use actor::{Actor, Foundation, Observer, PipelineFault};
pub use chain::{Chain, ChainError, ChainEvent, Progress, SyncProgress, account_view, environment};
pub use config::PipelineConfig;
pub use control::{DevControl, DevError};
pub use divergence::DivergenceReport;
pub use ledger::{Effect, Ledger};
pub use mailbox::Pipeline;
pub use record::{ExecutedRecord, RecordError};
pub use tally::{Tally, TallyOutcome};
