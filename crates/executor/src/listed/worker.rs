//! One worker: takes transactions, executes them by the list, and compares.

use super::{
    effects::{Effect, Effects, Reward, credit},
    fraud::{Falsehood, Field, ListFraud},
    job::{Job, Share},
    reader::ListReader,
};
use crate::{
    executed::InclusionFault,
    fault::ExecutionFault,
    machine::{BlockMachine, NotRun, Transacted, transaction_env},
    receipt::ReceiptDraft,
    report::Span,
    sequential::Charge,
    transfer::Transfer,
    view::Source,
};
use alloy_primitives::U256;
use primitives::RecoveredTransaction;
use revm::state::EvmState;
use state::Account;
use std::time::Duration;

/// Accounts in one transaction's map from which on the map is not used again: clearing a large one
/// takes long.
const CHANGES_KEPT: usize = 128;

/// A worker with its machine.
pub(super) struct Worker<'j, 'a> {
    job: &'j Job<'a>,
    worker: usize,
    machine: BlockMachine<'a>,
    effects: Effects<'a>,
    share: Share,
}

/// What came of one transaction.
enum Verdict {
    /// The list is right about a plain transfer.
    Transfer,
    /// The list is right about it.
    True(ReceiptDraft),
    /// The list is right about it, and it should not have been ordered.
    Invalid(ReceiptDraft, InclusionFault),
    /// The list is false.
    False(ListFraud),
}

impl<'j, 'a> Worker<'j, 'a> {
    pub(super) fn new(job: &'j Job<'a>, worker: usize) -> Self {
        let source = Source::Listed(ListReader::new(job.index));
        Self {
            job,
            worker,
            machine: BlockMachine::worker(job.input, job.state, source),
            effects: Effects::default(),
            share: Share::default(),
        }
    }

    /// Executes these transactions, but for those after the first about which the list is false.
    pub(super) fn execute(&mut self, places: &[usize]) -> Result<(), ExecutionFault> {
        for place in places {
            if *place >= self.job.first_false() {
                continue;
            }
            if self.job.input.is_cancelled() {
                return Err(ExecutionFault::Cancelled);
            }
            let Some(transaction) = self.job.input.transactions.get(*place) else {
                continue;
            };
            match self.judge(*place, transaction)? {
                Verdict::Transfer => {}
                Verdict::True(draft) => self.job.keep(*place, draft),
                Verdict::Invalid(draft, fault) => {
                    self.job.keep(*place, draft);
                    self.share.inclusion_faults.push(fault);
                }
                Verdict::False(fraud) => {
                    self.job.stop_at(*place);
                    self.share.note_fraud(fraud);
                }
            }
        }
        Ok(())
    }

    /// What this worker has found.
    pub(super) fn into_share(mut self) -> Share {
        if let Source::Listed(reader) = &mut self.machine.view().source {
            self.share.accounts_read = std::mem::take(&mut reader.accounts_read);
            self.share.slots_read = std::mem::take(&mut reader.slots_read);
        }
        self.share
    }

    fn judge(
        &mut self,
        place: usize,
        transaction: &RecoveredTransaction,
    ) -> Result<Verdict, ExecutionFault> {
        let at = u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1);
        self.effects.clear();
        if let Some(transfer) = self.job.transfers.recognise(transaction)
            && self.transfers(&transfer, place, at).is_some()
        {
            return Ok(Verdict::Transfer);
        }
        self.effects.clear();
        let start = self.job.probe.now();
        let verdict = self.run(place, at, transaction);
        self.note(place, start);
        verdict
    }

    /// Compares a plain transfer with the list; nothing if it is not one, or the list is false.
    fn transfers(&mut self, transfer: &Transfer, place: usize, at: u32) -> Option<()> {
        let index = self.job.index;
        let receiver = self.job.receiver?;
        let sender = index.find(&transfer.sender)?;
        let recipient = index.find(&transfer.recipient)?;
        let mut from = Effect::new((sender, index.window(sender, at)?));
        let mut to = Effect::new((recipient, index.window(recipient, at)?));
        let debited = transfer.debit(from.after)?;
        let credited = transfer.credit(to.after)?;
        let reward = |place: usize, account: &mut Account| {
            if place == receiver {
                credit(account, transfer.tip);
            }
        };
        from.edit(|account| {
            *account = debited;
            reward(sender, account);
        });
        to.edit(|account| {
            *account = credited;
            reward(recipient, account);
        });
        self.effects.push(from);
        self.effects.push(to);
        let mut paid = to;
        if receiver != sender && receiver != recipient {
            paid = Effect::new((receiver, index.window(receiver, at)?));
            paid.edit(|account| credit(account, transfer.tip));
            self.effects.push(paid);
        }
        let gas_used = transfer.draft().gas_used;
        let is_true = self.effects.are_listed(index, at) && self.job.gas_used(place) == gas_used;
        is_true.then(|| {
            if let Source::Listed(reader) = &mut self.machine.view().source {
                // The sender is changed in any case.
                reader.touch(to.place, &to.window);
                reader.touch(paid.place, &paid.window);
            }
        })
    }

    /// Executes a transaction by the machine.
    fn run(
        &mut self,
        place: usize,
        at: u32,
        transaction: &RecoveredTransaction,
    ) -> Result<Verdict, ExecutionFault> {
        let view = self.machine.view();
        view.notes.clear();
        let Source::Listed(reader) = &mut view.source else {
            return Err(not_listed());
        };
        reader.begin(at);
        self.machine.prepare(self.job.input, transaction);
        self.share.executions = self.share.executions.saturating_add(1);
        match self.machine.transact(transaction_env(transaction)) {
            Ok(Transacted { result, changes }) => {
                let draft = ReceiptDraft::from(result);
                let fraud = self.compare(&changes, at);
                self.recycle(changes);
                let fraud = fraud.or_else(|| self.compare_gas(place, at, draft.gas_used));
                Ok(fraud.map_or(Verdict::True(draft), Verdict::False))
            }
            Err(NotRun::Fault(fault)) => Err(fault),
            Err(NotRun::Invalid(reason)) => {
                let (fraud, gas) = self.charge(transaction, at);
                let draft = ReceiptDraft::failed(gas);
                let fault = InclusionFault::new(place, &reason);
                let fraud = fraud.or_else(|| self.compare_gas(place, at, gas));
                Ok(fraud.map_or(Verdict::Invalid(draft, fault), Verdict::False))
            }
        }
    }

    /// Compares what the machine did with the list.
    fn compare(&mut self, changes: &EvmState, at: u32) -> Option<ListFraud> {
        let view = self.machine.view();
        let tip = view.notes.tip;
        let Source::Listed(reader) = &mut view.source else {
            return None;
        };
        let address = self.job.input.environment.beneficiary;
        let receiver = reader.load(&address);
        if let Some(missing) = reader.missing() {
            return Some(missing_location(at, missing));
        }
        let reward = Reward {
            address,
            receiver: Effect::new(receiver?),
            tip,
        };
        self.effects.take(reader, changes, &reward);
        self.find_fraud(at)
    }

    /// Compares what a transaction costs that should not have been ordered; also says how much gas.
    fn charge(&mut self, transaction: &RecoveredTransaction, at: u32) -> (Option<ListFraud>, u64) {
        let environment = &self.job.input.environment;
        let charges = self.machine.rules.charges_inclusion_faults();
        let Source::Listed(reader) = &mut self.machine.view().source else {
            return (None, 0);
        };
        let mut gas = 0;
        let sender = charges
            .then(|| reader.load(&transaction.sender()))
            .flatten();
        let receiver = charges
            .then(|| reader.load(&environment.beneficiary))
            .flatten();
        if let (Some(sender), Some(receiver)) = (sender, receiver) {
            let (mut from, mut to) = (Effect::new(sender), Effect::new(receiver));
            let account = from.after.unwrap_or_default();
            let charge = Charge::new(account, transaction, environment.base_fee);
            gas = charge.gas;
            from.edit(|account| charge.take(account, transaction));
            let is_own = from.place == to.place;
            let paid = if is_own { &mut from } else { &mut to };
            paid.edit(|account| charge.give(account));
            self.effects.push(from);
            if !is_own {
                self.effects.push(to);
            }
        }
        let missing = reader.missing();
        let missing = missing.map(|missing| missing_location(at, missing));
        (missing.or_else(|| self.find_fraud(at)), gas)
    }

    fn find_fraud(&mut self, at: u32) -> Option<ListFraud> {
        match self.effects.are_listed(self.job.index, at) {
            true => None,
            false => self.effects.find_fraud(self.job.index, at),
        }
    }

    fn compare_gas(&self, place: usize, at: u32, found: u64) -> Option<ListFraud> {
        let expected = self.job.gas_used(place);
        let fraud = ListFraud::new(at, Falsehood::WrongGas, Field::Gas);
        let fraud = fraud.values(Some(U256::from(expected)), Some(U256::from(found)));
        (expected != found).then_some(fraud)
    }

    /// Gives the machine its memory back, unless it is so large that clearing it takes long.
    fn recycle(&mut self, changes: EvmState) {
        if changes.capacity() <= CHANGES_KEPT {
            self.machine.recycle(changes);
        }
    }

    fn note(&mut self, place: usize, start: Option<Duration>) {
        if let (Some(start), Some(end)) = (start, self.job.probe.now()) {
            self.share.spans.push(Span {
                worker: self.worker,
                transaction: place,
                start,
                end,
                again: false,
            });
        }
    }
}

fn missing_location(
    at: u32,
    (address, slot): (alloy_primitives::Address, Option<U256>),
) -> ListFraud {
    let field = match slot {
        Some(_) => Field::Slot,
        None => Field::Account,
    };
    ListFraud::new(at, Falsehood::MissingLocation, field).at(address, slot)
}

fn not_listed() -> ExecutionFault {
    ExecutionFault::Machine("a worker reads from elsewhere".to_owned())
}
