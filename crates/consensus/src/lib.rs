#![doc = include_str!("../README.md")]

mod activity;
mod allowance;
mod ancestry;
mod application;
mod archive;
mod config;
mod delivery;
mod engine;
pub mod join;
mod ledgers;
pub mod network;
mod offer;
mod orders;
pub mod propose;
pub mod relay;
mod results;
pub mod sync;
mod transactions;
mod verify;

pub use application::{Ordering, OrderingParts};
pub use config::ConsensusConfig;
pub use delivery::mempool_observer;
pub use engine::{Engine, EngineFault, EngineParts, Runtime};
pub use ledgers::ShardParts;
pub use offer::Order;
pub use verify::{Rejection, check_body};
