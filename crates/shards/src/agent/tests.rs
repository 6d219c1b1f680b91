//! Agents on simulated links, above a toy relay chain with the real ledger and a toy shard with ground truth.

mod collators;
mod cores;
mod corrupt;
mod epochs;
mod faults;
mod fetches;
mod flooding;
mod happy;
mod joins;
mod relay;
mod restarts;
mod sampled;
mod toy;
mod votes;
mod workers;
mod world;
