//! Why execution stopped without a result.

use alloy_primitives::B256;
use revm::database_interface::DBErrorMarker;
use state::ReadFault;

/// This node cannot go on: its state cannot be read. Never the fault of a transaction.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionFault {
    /// Reading failed.
    #[error("state cannot be read: {0}")]
    Read(#[from] ReadFault),
    /// An account names code that the state does not have.
    #[error("state has no code for a hash that an account names: code_hash={0}")]
    CodeMissing(B256),
    /// Whoever asked for the result no longer wants it.
    #[error("execution was cancelled")]
    Cancelled,
    /// The virtual machine gave up for a reason that no transaction can cause.
    #[error("virtual machine stopped: {0}")]
    Machine(String),
}

impl DBErrorMarker for ExecutionFault {}
