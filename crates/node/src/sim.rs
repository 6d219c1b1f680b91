//! `headway sim`: whole networks in virtual time: shards under asynchronous and synchronous backing, how they scale,
//! what happens to them under faults, and the relay chain with execution after or before the vote.
//!
//! ```text
//!            ┌ real: ledger, agents, messages, signatures, chunks, section limits
//!  seed ─▶ World                                                                    ─▶ properties, figures
//!            └ modelled: time of links and processors, what blocks hold, consensus
//! ```
//! What takes time on a real machine is charged to a simulated one by a table ([`RECORDED`]), so one seed gives one
//! report on every machine. Every run checks that final blocks form one chain with each transaction in it once, and
//! that nobody honest is banned or blamed.
//!
//! Modelled: links ([`Model`]); processors, whose jobs queue and are not preempted; blocks, as ranges of transactions
//! of one kind; the relay chain, whose blocks are final a fixed time after their proposal and whose own traffic takes
//! no bandwidth. Not modelled: disks, and a node's other work.

mod backing;
mod clock;
mod costs;
mod cpu;
mod demand;
mod execution;
mod measure;
mod model;
mod net;
mod relay;
mod report;
mod scaling;
mod seeds;
mod shard;
mod svg;
#[cfg(test)]
mod tests;
mod watch;
mod world;

pub use backing::{BackingReport, BackingSim, SimFault};
pub use costs::{Costs, RECORDED};
pub use demand::Demand;
pub use execution::{ExecutionReport, ExecutionSim, RatePoint};
pub use measure::measure;
pub use model::{Bound, Budget, Mode, Model};
pub use relay::RelayFault;
pub use scaling::{ScalingReport, ScalingRow, ScalingSim};
pub use seeds::{SeedFault, SeedsReport, SeedsSim};
pub use svg::{draw_execution, draw_scaling};
pub use watch::{Broken, Figures, Spread, Usage};
pub use world::WorldFault;

/// Most validators of a simulated network: as many as a ledger may have.
pub const VALIDATORS_MAX: u16 = 256;
/// Most shards, each on one core.
pub const SHARDS_MAX: u16 = 64;
/// Most relay blocks that are looked at.
pub const BLOCKS_MAX: u64 = 100_000;
