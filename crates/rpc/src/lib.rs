#![doc = include_str!("../README.md")]

mod accept;
mod admin;
mod args;
mod backend;
mod batch;
mod body;
mod brief;
mod bulk;
pub mod config;
mod console;
mod debug;
mod dev;
mod error;
mod eth;
mod explorer;
mod flow;
mod front;
mod headway;
mod health;
mod metrics;
mod net;
mod refused;
mod registry;
mod retrace;
mod revert;
mod server;
mod shard;
mod socket;
mod subscribe;
mod switch;
#[cfg(test)]
mod tests;
mod trace;
mod txpool;

pub use backend::{Backend, BackendParts, Clock, Successor};
pub use config::{Cors, RpcConfig};
pub use debug::call_trace;
pub use dev::{Dev, TimelineRequest, Timelines, TravelError};
pub use error::RpcError;
pub use headway::profile::{
    RpcCriticalPath, RpcFunction, RpcHotPlace, RpcNonceChain, RpcProfile, RpcRun, RpcSchedule,
    RpcScheduled, RpcSpeedup,
};
pub use net::CLIENT_VERSION;
pub use server::{RpcServer, ServeError, module, serve, serve_with_shards};
pub use shard::ShardPlace;
pub use switch::Switch;
