//! The beginning of a block in which every transaction waits for the one before.
//!
//! Workers that take turns are slower there than one that goes on alone: each hands over what it has
//! done. So the calling thread executes such transactions in order, and the others come in where
//! the forecast says that there is something to do for them.

use super::{
    forecast::{Forecast, KnownCall},
    worker::{Plan, Tools},
};
use crate::{
    fault::ExecutionFault,
    input::ExecutionInput,
    predict::{Observation, Predictor, TOUCHED_MAX, selector},
    report::{Span, Tally},
    sequential::{InOrder, Student},
    view::Notes,
};
use alloy_primitives::{Address, U256};
use primitives::RecoveredTransaction;
use revm::state::EvmState;
use std::sync::{PoisonError, RwLock};

/// Executes the block's transactions in order as long as they are foreseen to wait for each other.
pub(crate) fn execute_chain(
    input: &ExecutionInput<'_>,
    block: &mut InOrder<'_, '_>,
    (plan, forecast): (&Plan, &mut Forecast<'_>),
    tools: &Tools<'_>,
) -> Result<(), ExecutionFault> {
    let probe = tools.probe;
    let mut spans = Vec::new();
    let mut executions = 0_usize;
    while let Some(stretch) = forecast.next_chain(block.place(), &plan.gas) {
        for index in stretch {
            let Some(transaction) = input.transactions.get(index) else {
                break;
            };
            let transfer = plan.transfers.get(index).and_then(Option::as_ref);
            let lesson = Lesson {
                predictor: tools.predictor,
                transaction,
                call: plan.calls.get(index).copied().flatten(),
            };
            let start = probe.now();
            block.execute(transaction, transfer, lesson)?;
            executions = executions.saturating_add(usize::from(transfer.is_none()));
            if let (None, Some((start, end))) = (transfer, start.zip(probe.now())) {
                spans.push(Span {
                    worker: 0,
                    transaction: index,
                    start,
                    end,
                    again: false,
                });
            }
        }
    }
    probe.add_spans(spans);
    probe.add_tally(Tally {
        executions,
        ..Tally::default()
    });
    Ok(())
}

/// What the predictor may learn from one transaction.
struct Lesson<'l> {
    predictor: &'l RwLock<Predictor>,
    transaction: &'l RecoveredTransaction,
    call: Option<KnownCall>,
}

impl Student for Lesson<'_> {
    fn is_interested(&self) -> bool {
        self.call.is_some_and(|call| call.learns)
    }

    fn learn(&mut self, changes: &EvmState, notes: &Notes, gas_used: u64) {
        let Some(call) = self.call else {
            return;
        };
        let slots = changes.iter().flat_map(|(address, account)| {
            let slots = account.storage.iter();
            slots.map(|(key, slot)| (*address, *key, slot.is_changed()))
        });
        // What a map yields first is left to chance; those that are learned from are not.
        let mut touched: Vec<(Address, U256, bool)> = slots.collect();
        touched.sort_unstable();
        touched.truncate(TOUCHED_MAX);
        let observation = Observation {
            transaction: self.transaction,
            code_hash: call.code_hash,
            touched: &touched,
            preimages: &notes.preimages,
        };
        learn(self.predictor, &observation, gas_used);
    }
}

/// Tells the predictor what a call has done.
pub(super) fn learn(predictor: &RwLock<Predictor>, observation: &Observation<'_>, gas_used: u64) {
    let mut predictor = predictor.write().unwrap_or_else(PoisonError::into_inner);
    predictor.learn(observation);
    let selector = selector(observation.transaction);
    predictor.learn_gas(observation.code_hash, selector, gas_used);
}
