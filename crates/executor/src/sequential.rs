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
    overlay::{Overlay, OverlayParts},
    parallel::with_tip,
    receipt::{Receipt, ReceiptDraft},
    system,
    transfer::{Transfer, Transfers},
    view::Notes,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U256};
use primitives::RecoveredTransaction;
use revm::{context::TxEnv, context_interface::result::InvalidTransaction, state::EvmState};
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
    let mut block = InOrder::open(input, state)?;
    for transaction in input.transactions {
        let transfer = transfers.and_then(|transfers| transfers.recognise(transaction));
        block.execute(transaction, transfer.as_ref(), ())?;
    }
    Ok(block.into_block())
}

/// A block whose transactions so far were executed one after the other.
pub(crate) struct InOrder<'i, 'a> {
    input: &'i ExecutionInput<'a>,
    machine: BlockMachine<'a>,
    receipts: Vec<Receipt>,
    inclusion_faults: Vec<InclusionFault>,
    gas_used: u64,
    hasher: BloomHasher,
}

/// What came of the transactions so far.
pub(crate) struct Begun {
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) inclusion_faults: Vec<InclusionFault>,
    pub(crate) writes: OverlayParts,
}

/// Somebody who learns from transactions that are executed in order.
pub(crate) trait Student {
    /// Whether to take notes of the transaction that comes next.
    fn is_interested(&self) -> bool;

    /// What it did.
    fn learn(&mut self, changes: &EvmState, notes: &Notes, gas_used: u64);
}

/// Nobody.
impl Student for () {
    fn is_interested(&self) -> bool {
        false
    }

    fn learn(&mut self, _: &EvmState, _: &Notes, _: u64) {}
}

impl<'i, 'a> InOrder<'i, 'a> {
    /// The block before its first transaction.
    pub(crate) fn open(
        input: &'i ExecutionInput<'a>,
        state: &'a dyn StateReader,
    ) -> Result<Self, ExecutionFault> {
        let mut machine = BlockMachine::new(input, state);
        system::open_block(input, &mut machine)?;
        Ok(Self {
            input,
            machine,
            receipts: Vec::with_capacity(input.transactions.len()),
            inclusion_faults: Vec::new(),
            gas_used: 0,
            hasher: BloomHasher::default(),
        })
    }

    /// Place of the transaction that comes next, counted from zero.
    pub(crate) const fn place(&self) -> usize {
        self.receipts.len()
    }

    /// The machine, for what the block does itself once all transactions are executed.
    pub(crate) fn after_transactions(&mut self) -> &mut BlockMachine<'a> {
        self.machine.overlay().begin(self.receipts.len());
        &mut self.machine
    }

    /// The result, once all transactions are executed.
    pub(crate) fn into_block(self) -> ExecutedBlock {
        let writes = self.machine.into_overlay().into_writes();
        ExecutedBlock::new(self.receipts, self.inclusion_faults, writes)
    }

    /// What came of the transactions so far, for others to go on with.
    pub(crate) fn into_begun(self) -> Begun {
        Begun {
            receipts: self.receipts,
            inclusion_faults: self.inclusion_faults,
            writes: self.machine.into_overlay().into_parts(),
        }
    }

    /// Executes the transaction that comes next.
    pub(crate) fn execute(
        &mut self,
        transaction: &RecoveredTransaction,
        transfer: Option<&Transfer>,
        student: impl Student,
    ) -> Result<(), ExecutionFault> {
        if self.input.is_cancelled() {
            return Err(ExecutionFault::Cancelled);
        }
        self.machine.overlay().begin(self.receipts.len());
        let transferred = match transfer {
            Some(transfer) => self.transfer(transfer)?,
            None => None,
        };
        let draft = match transferred {
            Some(draft) => draft,
            None => self.transact(transaction, student)?,
        };
        self.keep(draft, transaction);
        Ok(())
    }

    /// Executes the transaction that comes next as somebody else runs it.
    pub(crate) fn execute_by(
        &mut self,
        transaction: &RecoveredTransaction,
        run: impl FnOnce(&mut BlockMachine<'a>, TxEnv) -> Result<Transacted, NotRun>,
    ) -> Result<&Receipt, ExecutionFault> {
        if self.input.is_cancelled() {
            return Err(ExecutionFault::Cancelled);
        }
        self.machine.overlay().begin(self.receipts.len());
        self.machine.prepare(self.input, transaction);
        let draft = match run(&mut self.machine, transaction_env(transaction)) {
            Ok(Transacted { result, changes }) => {
                self.machine.overlay().commit(&changes)?;
                ReceiptDraft::from(result)
            }
            Err(NotRun::Fault(fault)) => return Err(fault),
            Err(NotRun::Invalid(reason)) => self.charge(transaction, &reason)?,
        };
        Ok(self.keep(draft, transaction))
    }

    fn keep(&mut self, draft: ReceiptDraft, transaction: &RecoveredTransaction) -> &Receipt {
        self.gas_used = self.gas_used.saturating_add(draft.gas_used);
        let base_fee = self.input.environment.base_fee;
        let receipt = draft.finish(transaction, base_fee, self.gas_used, &mut self.hasher);
        self.receipts.push(receipt);
        self.receipts
            .last()
            .expect("it was pushed in the line above")
    }

    fn charge(
        &mut self,
        transaction: &RecoveredTransaction,
        reason: &InvalidTransaction,
    ) -> Result<ReceiptDraft, ExecutionFault> {
        let draft = self.charge_what_is_left(transaction)?;
        let place = self.receipts.len();
        self.inclusion_faults
            .push(InclusionFault::new(place, reason));
        Ok(draft)
    }

    fn transact(
        &mut self,
        transaction: &RecoveredTransaction,
        mut student: impl Student,
    ) -> Result<ReceiptDraft, ExecutionFault> {
        let is_watched = student.is_interested();
        if is_watched {
            self.machine.view().notes.clear();
            self.machine.view().notes.learning = true;
        }
        self.machine.prepare(self.input, transaction);
        let outcome = self.machine.transact(transaction_env(transaction));
        self.machine.view().notes.learning = false;
        match outcome {
            Ok(Transacted { result, changes }) => {
                if is_watched {
                    let notes = &self.machine.view().notes;
                    student.learn(&changes, notes, result.tx_gas_used());
                }
                self.machine.overlay().commit(&changes)?;
                self.machine.recycle(changes);
                Ok(ReceiptDraft::from(result))
            }
            Err(NotRun::Fault(fault)) => Err(fault),
            Err(NotRun::Invalid(reason)) => self.charge(transaction, &reason),
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
