//! Whole networks in simulation: one file per scenario, each ending in named properties.
//!
//! A scenario is a function of a seed; a failure prints the seed that shows it again.

mod happy;

/// Seeds that every test run tries.
const SEEDS: [u64; 1] = [1];
