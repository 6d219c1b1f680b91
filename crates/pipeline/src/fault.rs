//! Why a pipeline stops.

use crate::chain::ChainError;
use executor::{ExecutionFault, NoWorkers};
use state::StoreError;

/// Why the pipeline stopped the node.
#[derive(Debug, thiserror::Error)]
pub enum PipelineFault {
    /// A write failed; what was acknowledged is safe.
    #[error("the state could not be written, so the node stops; nothing acknowledged is lost: {0}")]
    Store(#[from] StoreError),
    /// A stored block does not read back.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// There are no threads to execute on.
    #[error(transparent)]
    Workers(#[from] NoWorkers),
    /// The state could not be read.
    #[error("height={height} could not be executed: {fault}")]
    Execution {
        /// The block.
        height: u64,
        /// What failed.
        fault: ExecutionFault,
    },
    /// Consensus delivered a block out of order.
    #[error("finalized block out of order: height={height} expected={expected}")]
    OutOfOrder {
        /// What came.
        height: u64,
        /// What should have come.
        expected: u64,
    },
}
