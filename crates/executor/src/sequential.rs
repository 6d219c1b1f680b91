//! A block's transactions one after the other: the oracle that every other way is compared with.
//!
//! ```text
//! directives ─▶ system calls ─▶ transaction ─▶ … ─▶ transaction ─▶ diff, receipts, roots
//!                                   └ invalid: a failed receipt, charged what is left
//! ```

use crate::{
    bloom::BloomHasher,
    executed::{ExecutedBlock, InclusionFault},
    fault::ExecutionFault,
    input::ExecutionInput,
    machine::{BlockMachine, NotRun, Transacted, transaction_env},
    overlay::Overlay,
    parallel::with_tip,
    receipt::{Receipt, ReceiptDraft},
    system,
    transfer::{Transfer, Transfers},
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U256};
use primitives::RecoveredTransaction;
use state::{Account, StateReader};

/// Executes a block over the state before it, every transaction by the virtual machine, in order,
/// on the calling thread.
///
/// # Errors
/// When this node's state cannot be read, or the input is cancelled; no transaction can cause one.
pub fn execute_sequential(
    input: &ExecutionInput<'_>,
    state: &impl StateReader,
) -> Result<ExecutedBlock, ExecutionFault> {
    execute_in_order(input, state, None)
}

/// As [`execute_sequential`]; plain transfers go without the virtual machine if they are recognised.
pub(crate) fn execute_in_order(
    input: &ExecutionInput<'_>,
    state: &dyn StateReader,
    transfers: Option<&Transfers<'_>>,
) -> Result<ExecutedBlock, ExecutionFault> {
    let mut machine = BlockMachine::new(input, state);
    system::open_block(input, &mut machine)?;
    let mut run = Run {
        input,
        machine,
        receipts: Vec::with_capacity(input.transactions.len()),
        inclusion_faults: Vec::new(),
        gas_used: 0,
        hasher: BloomHasher::default(),
    };
    for (index, transaction) in input.transactions.iter().enumerate() {
        if input.is_cancelled() {
            return Err(ExecutionFault::Cancelled);
        }
        let transfer = transfers.and_then(|transfers| transfers.recognise(transaction));
        run.execute(index, transaction, transfer.as_ref())?;
    }
    Ok(ExecutedBlock::new(
        run.receipts,
        run.inclusion_faults,
        run.machine.into_overlay().into_writes(),
    ))
}

struct Run<'i, 'a> {
    input: &'i ExecutionInput<'a>,
    machine: BlockMachine<'a>,
    receipts: Vec<Receipt>,
    inclusion_faults: Vec<InclusionFault>,
    gas_used: u64,
    hasher: BloomHasher,
}

impl Run<'_, '_> {
    fn execute(
        &mut self,
        index: usize,
        transaction: &RecoveredTransaction,
        transfer: Option<&Transfer>,
    ) -> Result<(), ExecutionFault> {
        self.machine.overlay().begin(index);
        let transferred = match transfer {
            Some(transfer) => self.transfer(transfer)?,
            None => None,
        };
        let draft = match transferred {
            Some(draft) => draft,
            None => self.transact(index, transaction)?,
        };
        self.gas_used = self.gas_used.saturating_add(draft.gas_used);
        let base_fee = self.input.environment.base_fee;
        self.receipts
            .push(draft.finish(transaction, base_fee, self.gas_used, &mut self.hasher));
        Ok(())
    }

    fn transact(
        &mut self,
        index: usize,
        transaction: &RecoveredTransaction,
    ) -> Result<ReceiptDraft, ExecutionFault> {
        self.machine.prepare(self.input, transaction);
        match self.machine.transact(transaction_env(transaction)) {
            Ok(Transacted { result, changes }) => {
                self.machine.overlay().commit(&changes)?;
                self.machine.recycle(changes);
                Ok(ReceiptDraft::from(result))
            }
            Err(NotRun::Fault(fault)) => Err(fault),
            Err(NotRun::Invalid(reason)) => {
                let draft = self.charge_what_is_left(transaction)?;
                self.inclusion_faults
                    .push(InclusionFault::new(index, &reason));
                Ok(draft)
            }
        }
    }

    fn transfer(&mut self, transfer: &Transfer) -> Result<Option<ReceiptDraft>, ExecutionFault> {
        let beneficiary = self.input.environment.beneficiary;
        let overlay = self.machine.overlay();
        // Who cannot pay never gets as far as the recipient, who then does not count as read.
        let Some(sender) = transfer.debit(overlay.account(&transfer.sender)?) else {
            return Ok(None);
        };
        let Some(recipient) = transfer.credit(overlay.account(&transfer.recipient)?) else {
            return Ok(None);
        };
        // In one step with the transfer, because the fee may be what keeps an account from being empty.
        let after = |address: &Address, account| match *address == beneficiary {
            true => with_tip(account, transfer.tip),
            false => account,
        };
        let sender = after(&transfer.sender, sender);
        let recipient = after(&transfer.recipient, recipient);
        overlay.edit(&transfer.sender, |account| *account = sender)?;
        overlay.edit(&transfer.recipient, |account| *account = recipient)?;
        if ![transfer.sender, transfer.recipient].contains(&beneficiary) {
            overlay.edit(&beneficiary, |account| {
                *account = with_tip(*account, transfer.tip);
            })?;
        }
        Ok(Some(transfer.draft()))
    }

    fn charge_what_is_left(
        &mut self,
        transaction: &RecoveredTransaction,
    ) -> Result<ReceiptDraft, ExecutionFault> {
        if !self.machine.rules.charges_inclusion_faults() {
            return Ok(ReceiptDraft::failed(0));
        }
        let environment = &self.input.environment;
        let overlay: &mut Overlay<'_> = self.machine.overlay();
        let sender = transaction.sender();
        let account = overlay.account(&sender)?.unwrap_or_default();
        let charge = Charge::new(account, transaction, environment.base_fee);
        overlay.edit(&sender, |account| charge.take(account, transaction))?;
        overlay.edit(&environment.beneficiary, |account| charge.give(account))?;
        Ok(ReceiptDraft::failed(charge.gas))
    }
}

/// What a transaction costs that should not have been ordered: its sender pays for the whole gas
/// limit as far as the balance goes, and uses its nonce if it was the right one.
pub(crate) struct Charge {
    pub(crate) gas: u64,
    fee: U256,
    reward: U256,
}

impl Charge {
    pub(crate) fn new(sender: Account, transaction: &RecoveredTransaction, base_fee: u64) -> Self {
        let price = U256::from(transaction.effective_gas_price(Some(base_fee)));
        let affordable = sender.balance.checked_div(price);
        let gas = affordable
            .and_then(|gas| u64::try_from(gas).ok())
            .unwrap_or(u64::MAX)
            .min(transaction.gas_limit());
        let tip = price.saturating_sub(U256::from(base_fee));
        Self {
            gas,
            fee: U256::from(gas).saturating_mul(price),
            reward: U256::from(gas).saturating_mul(tip),
        }
    }

    /// The sender's side.
    pub(crate) fn take(&self, account: &mut Account, transaction: &RecoveredTransaction) {
        account.balance = account.balance.saturating_sub(self.fee);
        if account.nonce == transaction.nonce() {
            account.nonce = account.nonce.saturating_add(1);
        }
    }

    /// The fee receiver's side.
    pub(crate) fn give(&self, account: &mut Account) {
        account.balance = account.balance.saturating_add(self.reward);
    }
}
