//! Agents on simulated links, above a toy relay chain with the real ledger and a toy shard with ground truth.

mod collators;
mod cores;
mod faults;
mod happy;
mod relay;
mod toy;
mod world;
