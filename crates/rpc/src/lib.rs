#![doc = include_str!("../README.md")]

mod args;
mod backend;
mod batch;
mod bulk;
pub mod config;
mod dev;
mod error;
mod eth;
mod explorer;
mod front;
mod headway;
mod net;
mod registry;
mod revert;
mod server;
mod subscribe;
#[cfg(test)]
mod tests;
mod txpool;

pub use backend::{Backend, BackendParts, Clock};
pub use config::{Cors, RpcConfig};
pub use dev::Dev;
pub use error::RpcError;
pub use net::CLIENT_VERSION;
pub use server::{RpcServer, ServeError, module, serve};
