#![doc = include_str!("../README.md")]

mod args;
mod backend;
mod batch;
mod brief;
mod bulk;
pub mod config;
mod debug;
mod dev;
mod error;
mod eth;
mod explorer;
mod front;
mod headway;
mod net;
mod registry;
mod retrace;
mod revert;
mod server;
mod subscribe;
mod switch;
#[cfg(test)]
mod tests;
mod trace;
mod txpool;

pub use backend::{Backend, BackendParts, Clock, Successor};
pub use config::{Cors, RpcConfig};
pub use dev::{Dev, TimelineRequest, Timelines, TravelError};
pub use error::RpcError;
pub use headway::profile::{
    RpcCriticalPath, RpcFunction, RpcHotPlace, RpcNonceChain, RpcProfile, RpcRun, RpcSchedule,
    RpcScheduled, RpcSpeedup,
};
pub use net::CLIENT_VERSION;
pub use server::{RpcServer, ServeError, module, serve};
pub use switch::Switch;
