//! The same rules while somebody looks on.
//!
//! ```text
//! execute ─▶ start watched ─▶ inspector ─▶ frame ─▶ … ─▶ reserve kept? ─ no: the inspector is told, too
//! ```
//! Frames start and end as they do unwatched; only the loop is the one that asks the inspector.

use super::{Machine, MachineError, TransactionRules, refuse_creation};
use revm::{
    context::journaled_state::JournalCheckpoint,
    handler::{EvmTr, FrameResult, ItemOrResult},
    inspector::{
        InspectorEvmTr, InspectorHandler,
        handler::{frame_end, frame_start},
    },
    interpreter::{
        FrameInput, GasTracker, interpreter::EthInterpreter, interpreter_action::FrameInit,
    },
};

impl<'a> TransactionRules<'a> {
    /// Starts a frame that is watched; a result instead of a frame is final for it.
    ///
    /// No notes are taken: they are for transactions that run ahead, and those nobody watches.
    fn start_watched(
        &self,
        machine: &mut Machine<'a>,
        mut start: FrameInit,
    ) -> Result<Option<FrameResult>, MachineError> {
        if self.is_refused(machine, &start)?
            && let FrameInput::Create(inputs) = &start.frame_input
        {
            let refused = refuse_creation(inputs);
            let (ctx, watch) = machine.ctx_inspector();
            let mut result = match frame_start(ctx, watch, &mut start.frame_input) {
                Some(result) => result,
                None => refused,
            };
            frame_end(ctx, watch, &start.frame_input, &mut result);
            return Ok(Some(result));
        }
        Ok(match machine.inspect_frame_init(start)? {
            ItemOrResult::Item(_) => None,
            ItemOrResult::Result(result) => Some(result),
        })
    }
}

impl<'a> InspectorHandler for TransactionRules<'a> {
    type IT = EthInterpreter;

    fn inspect_execution(
        &mut self,
        evm: &mut Machine<'a>,
        checkpoint: JournalCheckpoint,
        gas: &mut GasTracker,
    ) -> Result<Option<FrameResult>, MachineError> {
        // Whoever looks on takes the first frame for the outermost one, and our own checkpoint around
        // all frames for none.
        let run = |rules: &mut Self, evm: &mut Machine<'a>, first| {
            let depth = evm.ctx.journaled_state.inner.depth;
            evm.ctx.journaled_state.inner.depth = depth.saturating_sub(1);
            let result = rules.inspect_run_exec_loop(evm, first)?;
            evm.ctx.journaled_state.inner.depth = depth;
            Ok(result)
        };
        let result = self.execute(evm, checkpoint, gas, run)?;
        if self.reserve_broken_by.is_some() {
            evm.inspector.take_back();
        }
        Ok(result)
    }

    fn inspect_run_exec_loop(
        &mut self,
        evm: &mut Machine<'a>,
        first: FrameInit,
    ) -> Result<FrameResult, MachineError> {
        if let Some(result) = self.start_watched(evm, first)? {
            return Ok(result);
        }
        loop {
            let result = match evm.inspect_frame_run()? {
                ItemOrResult::Result(result) => result,
                ItemOrResult::Item(start) => match self.start_watched(evm, start)? {
                    Some(result) => result,
                    None => continue,
                },
            };
            if let Some(result) = evm.frame_return_result(result)? {
                return Ok(result);
            }
        }
    }
}
