//! `headway replay`: executes real mainnet blocks sequentially and in parallel, and compares.
//!
//! ```text
//! paths ─▶ files ─▶ blocks ─▶ rounds: sequential, first, list-driven ─▶ report ─┬▶ table or JSON
//!                                │                                             └▶ page (HTML)
//!                                └─ each result against mainnet's and against the sequential one
//! ```
//! A block runs under its own fork's rules over the state it touches, all in memory and apart from
//! any chain. It is a tool for people and scripts, outside the simulation: it measures wall time.

mod block;
mod error;
mod html;
mod measure;
mod read;
mod report;
#[cfg(test)]
mod tests;
mod ways;

pub use block::{Difference, Field, MainnetBlock, chain};
pub use error::ReplayError;
pub use measure::Mismatch;
pub use read::{BLOCKS_MAX, Codes, FILE_BYTES_MAX, read_codes};
pub use report::{BlockFigures, ReplayReport};
pub use ways::{Clock, Way};

use measure::Rounds;
use read::Files;
use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Most timed runs of one way.
pub const RUNS_MAX: usize = 100;
/// Most workers.
pub const WORKERS_MAX: usize = 1_024;

/// What to replay, and how.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Folders and files of blocks.
    pub paths: Vec<PathBuf>,
    /// Where the codes are; none = beside the blocks.
    pub codes: Option<PathBuf>,
    /// Threads that execute one block.
    pub workers: NonZeroUsize,
    /// Timed runs of each way.
    pub runs: usize,
    /// Leaves out blocks that use less gas.
    pub min_gas: u64,
}

/// How far a replay has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it does now.
    pub step: &'static str,
    /// How much of it is done.
    pub done: usize,
    /// How much there is.
    pub total: usize,
}

/// Hears of progress, several times a second.
pub type OnProgress<'a> = &'a dyn Fn(Progress);

/// Replays blocks to the end. A wrong result is not an error here: the report has it.
///
/// # Errors
/// When an option can't work, the input is not usable, or a block can't be executed at all.
pub fn run(
    options: &ReplayOptions,
    clock: &Clock,
    progress: OnProgress<'_>,
) -> Result<ReplayReport, ReplayError> {
    let bounds = [
        ("--runs", options.runs, RUNS_MAX),
        ("--workers", options.workers.get(), WORKERS_MAX),
    ];
    for (option, value, max) in bounds {
        if value == 0 || value > max {
            return Err(ReplayError::Option { option, max });
        }
    }
    let blocks = read_blocks(options, progress)?;
    let rounds = Rounds {
        workers: options.workers,
        runs: options.runs,
        clock,
        progress,
    };
    let measured = rounds.run(&blocks)?;
    Ok(ReplayReport::new(
        &blocks,
        measured,
        options.workers,
        options.runs,
    ))
}

/// Writes the report as a page that needs nothing else.
///
/// # Errors
/// When the file can't be written.
pub fn write_page(report: &ReplayReport, path: &Path) -> Result<(), ReplayError> {
    std::fs::write(path, html::page(report)).map_err(ReplayError::file("cannot write", path))
}

/// A clock that starts now.
#[expect(
    clippy::disallowed_methods,
    reason = "measuring wall time is what the command is for; it runs outside any runtime, and what \
              it executes does not depend on the time"
)]
#[must_use]
pub fn wall_clock() -> Clock {
    let start = std::time::Instant::now();
    Arc::new(move || start.elapsed())
}

/// The blocks that are to be replayed, by height.
fn read_blocks(
    options: &ReplayOptions,
    progress: OnProgress<'_>,
) -> Result<Vec<MainnetBlock>, ReplayError> {
    let files = Files::find(&options.paths, options.codes.as_deref())?;
    let total = files.blocks.len();
    let reading = |done| {
        progress(Progress {
            step: "read",
            done,
            total,
        });
    };
    reading(0);
    let codes = files.read_codes()?;
    let mut blocks: BTreeMap<u64, (MainnetBlock, &Path)> = BTreeMap::new();
    let mut largest = 0;
    for (index, path) in files.blocks.iter().enumerate() {
        let block = MainnetBlock::read(path, &codes)?;
        let height = block.height();
        if let Some((_, first)) = blocks.get(&height) {
            return Err(ReplayError::Twice {
                height,
                first: first.to_path_buf(),
                second: path.clone(),
            });
        }
        largest = largest.max(block.gas_used());
        if block.gas_used() >= options.min_gas {
            blocks.insert(height, (block, path));
        }
        reading(index + 1);
    }
    if blocks.is_empty() {
        return Err(ReplayError::NothingLeft {
            min_gas: options.min_gas,
            largest,
        });
    }
    Ok(blocks.into_values().map(|(block, _)| block).collect())
}
