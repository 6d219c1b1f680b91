#![doc = include_str!("../README.md")]

pub mod admission;
pub mod config;
mod entry;
pub mod event;
mod eviction;
#[cfg(test)]
mod fixtures;
mod lane;
pub mod mailbox;
mod nonces;
pub mod pool;
pub mod selection;
pub mod short_id;

pub use admission::{AdmissionError, Admitted, CheckedTransaction};
pub use config::Config;
pub use event::{DropReason, Event};
pub use mailbox::{Listener, Mempool};
pub use pool::{Counts, Executed, Pool, PooledTransaction, SenderContent};
pub use selection::{Best, FixedTransactions, NextNonce, TransactionSource};
pub use short_id::{Found, ShortId, short_id};
