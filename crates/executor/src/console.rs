//! What contracts write to the console of development tools.
//!
//! Hardhat's library calls an address where there is no code, with what it has to say as the call's input.
//! On the chain that is a call like any other. Here the inputs are collected; reading them is the affair of
//! whoever shows them. Limits: [`LINES_MAX`] and [`LINE_BYTES_MAX`]; what is more is left out.

use alloy_primitives::{Address, Bytes, address};
use revm::{context_interface::ContextTr, interpreter::CallInputs};

/// The address of the console: "console.log" in ASCII.
pub const CONSOLE: Address = address!("000000000000000000636F6e736F6c652e6c6f67");
/// Lines kept of one transaction.
pub const LINES_MAX: usize = 256;
/// Longest line kept, in bytes of input.
pub const LINE_BYTES_MAX: usize = 4_096;

/// The inputs of a transaction's calls to [`CONSOLE`], in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConsoleLines {
    pub(crate) lines: Vec<Bytes>,
}

impl ConsoleLines {
    pub(crate) fn see(&mut self, ctx: &impl ContextTr, inputs: &CallInputs) {
        let is_console = inputs.bytecode_address == CONSOLE;
        if is_console && self.lines.len() < LINES_MAX && inputs.input.len() <= LINE_BYTES_MAX {
            self.lines.push(inputs.input.bytes(ctx));
        }
    }
}
