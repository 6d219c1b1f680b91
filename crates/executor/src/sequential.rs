//! A block's transactions one after the other: the oracle that every other way is compared with.
//!
//! ```text
//! directives ─▶ system calls ─▶ transaction ─▶ … ─▶ transaction ─▶ diff, receipts, roots
//!                                   └ invalid: a failed receipt, charged what is left
//! ```

use crate::{
    database::ExecutionFault,
    directives,
    executed::{ExecutedBlock, InclusionFault},
    input::ExecutionInput,
    machine::{BlockMachine, NotRun, Transacted, transaction_env},
    receipt::{Receipt, ReceiptDraft},
    system,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::U256;
use primitives::RecoveredTransaction;
use state::StateReader;
use std::num::NonZeroUsize;

/// Executes a block over the state before it, on the calling thread.
///
/// # Errors
/// Only when this node's state cannot be read; no transaction can cause one.
pub fn execute_sequential(
    input: &ExecutionInput<'_>,
    state: &impl StateReader,
    _workers: NonZeroUsize,
) -> Result<ExecutedBlock, ExecutionFault> {
    let mut machine = BlockMachine::new(input, state);
    if input.chain.protocol.dev {
        for directive in input.directives {
            directives::apply(directive, machine.overlay())?;
        }
    }
    system::open_block(input, &mut machine)?;
    let mut run = Run {
        input,
        machine,
        receipts: Vec::with_capacity(input.transactions.len()),
        inclusion_faults: Vec::new(),
        gas_used: 0,
    };
    for (index, transaction) in input.transactions.iter().enumerate() {
        run.execute(index, transaction)?;
    }
    Ok(ExecutedBlock::new(
        input.transactions,
        run.receipts,
        run.inclusion_faults,
        run.machine.into_writes(),
    ))
}

struct Run<'i, 'a> {
    input: &'i ExecutionInput<'a>,
    machine: BlockMachine<'a>,
    receipts: Vec<Receipt>,
    inclusion_faults: Vec<InclusionFault>,
    gas_used: u64,
}

impl Run<'_, '_> {
    fn execute(
        &mut self,
        index: usize,
        transaction: &RecoveredTransaction,
    ) -> Result<(), ExecutionFault> {
        // EIP-3607 protects accounts whose key could be found by chance; an impersonated sender
        // has no key to begin with.
        self.machine.machine.ctx.cfg.disable_eip3607 =
            self.input.chain.protocol.dev && transaction.impersonated_sender().is_some();
        let draft = match self.machine.transact(transaction_env(transaction)) {
            Ok(Transacted { result, changes }) => {
                self.machine.overlay().commit(changes);
                ReceiptDraft::from(result)
            }
            Err(NotRun::Fault(fault)) => return Err(fault),
            Err(NotRun::Invalid(reason)) => {
                let draft = self.charge_what_is_left(transaction)?;
                self.inclusion_faults
                    .push(InclusionFault::new(index, &reason));
                draft
            }
        };
        self.gas_used = self.gas_used.saturating_add(draft.gas_used);
        let base_fee = self.input.environment.base_fee;
        self.receipts
            .push(draft.finish(transaction, base_fee, self.gas_used));
        Ok(())
    }

    /// A transaction that should not have been ordered: its sender pays for the whole gas limit as
    /// far as the balance goes, and uses its nonce if it was the right one.
    fn charge_what_is_left(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<ReceiptDraft, ExecutionFault> {
        if !self.machine.rules.charges_inclusion_faults() {
            return Ok(ReceiptDraft::failed(0));
        }
        let environment = &self.input.environment;
        let overlay = self.machine.overlay();
        let sender = transaction.sender();
        let account = overlay.account(&sender)?.unwrap_or_default();
        let price = U256::from(transaction.effective_gas_price(Some(environment.base_fee)));
        let affordable = account.balance.checked_div(price);
        let gas = affordable
            .and_then(|gas| u64::try_from(gas).ok())
            .unwrap_or(u64::MAX)
            .min(transaction.gas_limit());
        let fee = U256::from(gas).saturating_mul(price);
        let tip = price.saturating_sub(U256::from(environment.base_fee));
        let reward = U256::from(gas).saturating_mul(tip);
        overlay.edit(&sender, |account| {
            account.balance = account.balance.saturating_sub(fee);
            if account.nonce == transaction.nonce() {
                account.nonce = account.nonce.saturating_add(1);
            }
        })?;
        overlay.edit(&environment.beneficiary, |account| {
            account.balance = account.balance.saturating_add(reward);
        })?;
        Ok(ReceiptDraft::failed(gas))
    }
}
