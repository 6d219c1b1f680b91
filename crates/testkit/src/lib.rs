#![doc = include_str!("../README.md")]

pub mod blocks;
pub mod cluster;
pub mod contracts;
pub mod faults;
pub mod fixtures;
pub mod mainnet;
pub mod oracle;
pub mod state_tests;
pub mod workload;
