//! The figure that counts: signed raw transactions in, durable verified state out.
//!
//! ```text
//!  live     load ─RPC or bulk─▶ one validator in this process ─▶ executed, on disk     tps, CPU by thread
//!  replay   its ordered blocks, encoded ─▶ decode, recover, check ─▶ pipeline ─▶ on disk    tps
//!  stages   the same blocks, each step alone on one core                                  µs per transaction
//! ```
//! The live run is what a client sees. The replay is what every other validator pays for the same blocks when
//! nobody has sent it the transactions before: the true cost of a block without its votes. The stages say where
//! the time goes; together with the CPU of the live run they say what more cores would give.

mod live;
mod replay;
mod report;
mod stages;

pub use report::{E2eReport, StageCosts, WayFigures};

use crate::{
    bench::state::OnProgress,
    error::NodeError,
    load::{LoadOptions, Workload},
    replay::Clock,
};
use bytes::Bytes;
use primitives::{BlockLimits, Genesis};
use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

/// Between two looks at how far a store has come.
const POLL: Duration = Duration::from_millis(5);

/// What to measure.
#[derive(Clone, Debug)]
pub struct E2eBench {
    /// What the transactions do.
    pub workload: Workload,
    /// How many.
    pub transactions: usize,
    /// Accounts that send them.
    pub senders: usize,
    /// Accounts that transfers go to; none = each to one of its own.
    pub recipients: Option<usize>,
    /// Transactions in one request.
    pub batch: usize,
    /// Connections that send at the same time.
    pub connections: usize,
    /// Whether they are sent in bulk with their senders' keys, not by JSON-RPC.
    pub bulk: bool,
    /// How often the blocks are replayed; the median counts.
    pub rounds: usize,
    /// Threads that execute and commit one block.
    pub workers: NonZeroUsize,
    /// Where stores are made; removed by the caller.
    pub directory: PathBuf,
}

/// The blocks that the live run ordered, as they are on the wire.
pub(crate) struct Ordered {
    pub(crate) genesis: Genesis,
    pub(crate) limits: BlockLimits,
    /// From height 1 on, without a gap.
    pub(crate) blocks: Vec<Bytes>,
    pub(crate) transactions: usize,
}

impl E2eBench {
    /// Measures.
    ///
    /// # Errors
    /// When the node, the load or a store fails.
    pub fn run(&self, clock: &Clock, progress: OnProgress<'_>) -> Result<E2eReport, NodeError> {
        let mut report = E2eReport::new(self);
        let ordered = live::run(self, progress, &mut report)?;
        report.ordered(&ordered);
        for round in 0..self.rounds {
            let directory = self.directory.join(format!("replay-{round}"));
            let figures = replay::run(self, &ordered, (&directory, clock))?;
            report.replayed(figures);
            std::fs::remove_dir_all(&directory).ok();
        }
        report.stages = stages::run(&ordered, &self.directory.join("stages"), clock, progress)?;
        Ok(report)
    }

    fn load(&self, url: String) -> LoadOptions {
        LoadOptions {
            workload: self.workload,
            urls: vec![url],
            transactions: self.transactions,
            senders: self.senders,
            recipients: self.recipients,
            batch: self.batch,
            connections: self.connections,
            bulk: self.bulk,
            ..LoadOptions::default()
        }
    }
}
