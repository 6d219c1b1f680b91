#![doc = include_str!("../README.md")]

pub mod bench;
mod chart;
pub mod cli;
pub mod config;
pub mod contracts;
pub mod dev;
pub mod doctor;
pub mod error;
mod file;
pub mod import;
pub mod init;
pub mod keys;
pub mod load;
pub mod member;
pub mod network;
pub mod process;
pub mod profile;
pub mod registry;
pub mod replay;
pub mod run;
pub mod sharding;
pub mod sim;
pub mod snapshot;
pub mod sync;
mod timeline;
pub mod top;
pub mod workers;
