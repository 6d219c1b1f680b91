//! The entry: one block and one state in; receipts and a diff out.

use crate::{
    database::ExecutionFault, executed::ExecutedBlock, input::ExecutionInput,
    sequential::execute_sequential,
};
use state::StateReader;
use std::num::NonZeroUsize;

/// Executes a block over the state before it, on at most `workers` threads.
///
/// A pure function: the result depends on the input and the state alone, not on `workers`.
///
/// # Errors
/// Only when this node's state cannot be read; no transaction can cause one.
pub fn execute(
    input: &ExecutionInput<'_>,
    state: &impl StateReader,
    workers: NonZeroUsize,
) -> Result<ExecutedBlock, ExecutionFault> {
    execute_sequential(input, state, workers)
}
