//! What one node may choose about its pipeline; the chain's rules are in `ChainConfig`.

use state::Location;
use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

/// Values of one node's pipeline.
#[derive(Clone, Debug)]
pub struct PipelineConfig {
    /// Threads that execute one block; with one, the pipeline's own.
    pub workers: NonZeroUsize,
    /// Whether to keep which worker executed which transaction of recent blocks, and when.
    pub spans: bool,
    /// Finalized blocks that may wait for execution; consensus stops delivering beyond.
    pub queue_blocks_max: usize,
    /// A flush follows once this many blocks can be flushed.
    pub flush_blocks: u64,
    /// A flush follows at the latest this long after the one before, while blocks arrive.
    pub flush_interval: Duration,
    /// Decoded blocks kept for readers, and how each was executed.
    pub recent_records_max: usize,
    /// Added to the execution of every block that holds a transaction: shows a slow executor.
    pub execution_delay: Duration,
    /// Where to keep which transactions addresses and topics are in; none keeps no such index.
    pub postings: Option<Location>,
    /// Where the report of a divergence goes; none keeps it in memory.
    pub report_directory: Option<PathBuf>,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        Self {
            workers: NonZeroUsize::MIN,
            spans: false,
            queue_blocks_max: 64,
            flush_blocks: 8,
            flush_interval: Duration::from_secs(1),
            recent_records_max: 256,
            execution_delay: Duration::ZERO,
            postings: None,
            report_directory: None,
        }
    }
}
