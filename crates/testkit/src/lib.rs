#![doc = include_str!("../README.md")]

pub mod cluster;
pub mod faults;
pub mod fixtures;
pub mod oracle;
pub mod workload;
