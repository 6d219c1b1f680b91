//! Cores for shards: what following the load costs and saves, over load curves, without a network.
//!
//! ```text
//! Curve: gas demanded, by shard and block ─▶ queues ─▶ candidates ─▶ what the blocks of a window say
//!                                              ▲                                   │
//!                                              └── cores ◀── Policy: fixed, or shards::allocation
//! ```
//! Everything is simulated and in whole numbers but for the figures at the end, so one seed gives one report on
//! every machine. Nothing is late in it: what a window's blocks say decides about the next window at once.
//!
//! Limits: [`BLOCKS_MAX`] relay blocks; recorded curves as [`recorded`] reads them.

mod curves;
mod play;
pub mod recorded;
mod report;
mod svg;
#[cfg(test)]
mod tests;

pub use play::Policy;
pub use recorded::RecordedFault;
pub use report::{CoresReport, CurveReport, PolicyRow};

use crate::bench::state::{OnProgress, Progress};
use std::path::{Path, PathBuf};

/// Relay blocks of a window: those of the ledger's rules.
pub const WINDOW_BLOCKS: usize = 16;
/// Most gas of a candidate: what a core carries in a relay block.
pub const CANDIDATE_GAS: u64 = 30_000_000;
/// Full candidates that may wait in a shard's queue; what comes when it is full is turned away.
pub const QUEUE_CANDIDATES: u64 = 256;
/// Most relay blocks of a curve.
pub const BLOCKS_MAX: u32 = 1_000_000;

/// What to simulate.
#[derive(Clone, Debug)]
pub struct CoresBench {
    /// Relay blocks of every curve.
    pub blocks: u32,
    /// Decides everything that is random.
    pub seed: u64,
    /// Where real blocks are, whose gas makes the recorded curves.
    pub recorded: Option<PathBuf>,
}

impl CoresBench {
    /// Simulates every policy over every curve.
    ///
    /// # Errors
    /// When real blocks are asked for and can't be read.
    pub fn run(&self, progress: OnProgress<'_>) -> Result<CoresReport, RecordedFault> {
        let recorded = match &self.recorded {
            Some(folder) => recorded::read(folder)?,
            None => Vec::new(),
        };
        let blocks = usize::try_from(self.blocks.clamp(1, BLOCKS_MAX)).unwrap_or(usize::MAX);
        let curves = curves::all(blocks, self.seed, &recorded);
        let total = curves.len() as u64;
        let mut report = CoresReport::new(blocks, self.seed, recorded.len());
        for (done, curve) in (0..).zip(&curves) {
            let step = "simulate";
            progress(Progress { step, done, total });
            report.add(curve);
        }
        Ok(report)
    }
}

/// Writes the report as a drawing.
///
/// # Errors
/// When the file can't be written.
pub fn write_svg(report: &CoresReport, path: &Path) -> std::io::Result<()> {
    std::fs::write(path, svg::draw(report))
}
