#![doc = include_str!("../README.md")]

mod activity;
mod ancestry;
mod application;
mod config;
mod delivery;
mod engine;
pub mod network;
mod propose;
mod results;
mod transactions;
mod verify;

pub use application::{Ordering, OrderingParts};
pub use config::ConsensusConfig;
pub use delivery::mempool_observer;
pub use engine::{Engine, EngineFault, EngineParts, Runtime};
pub use verify::Rejection;
