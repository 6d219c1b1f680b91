#![doc = include_str!("../README.md")]

pub mod admission;
pub mod config;
mod entry;
pub mod event;
#[cfg(test)]
mod fixtures;
mod index;
mod lane;
mod lanes;
pub mod mailbox;
mod nonces;
mod order;
mod pool;
mod room;
pub mod selection;
pub mod short_id;
mod stripe_key;

pub use admission::{AdmissionError, Admitted, CheckedTransaction};
pub use config::Config;
pub use event::{DropReason, Event};
pub use mailbox::{Listener, Mempool};
pub use pool::{Counts, PooledTransaction, SenderContent};
pub use selection::{Best, FixedTransactions, NextNonces, TransactionSource};
pub use short_id::{Found, ShortId, short_id};
