//! Committing transactions in order: what the holder of the turn does.

use super::{
    cells::{AccountCell, Cells, Present},
    run::{Run, SlotEffect, with_tip},
};
use crate::{
    access::{AccessLog, AccountWrite, SlotWrite},
    executed::InclusionFault,
    fault::ExecutionFault,
    input::ExecutionInput,
    receipt::{Receipt, ReceiptDraft},
    sequential::Begun,
    transfer::Transfer,
};
use alloy_primitives::{Address, U256};
use state::Account;

/// What has been committed of a block besides the values in its cells.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    cells: &'a Cells<'a>,
    beneficiary: Address,
    /// The fee receiver's cell, once somebody has paid it.
    receiver: Option<&'a AccountCell>,
    pub(crate) log: AccessLog,
    /// Of the transactions that were executed in order, before those of the drafts.
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) drafts: Vec<ReceiptDraft>,
    pub(crate) inclusion_faults: Vec<InclusionFault>,
    incarnations: Vec<Option<u32>>,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(input: &ExecutionInput<'_>, cells: &'a Cells<'a>, begun: Begun) -> Self {
        Self {
            cells,
            beneficiary: input.environment.beneficiary,
            receiver: None,
            log: begun.writes.log,
            receipts: begun.receipts,
            drafts: Vec::with_capacity(input.transactions.len()),
            inclusion_faults: begun.inclusion_faults,
            incarnations: Vec::new(),
        }
    }

    /// Place of the transaction that is committed next, counted from zero.
    pub(crate) const fn place(&self) -> usize {
        self.receipts.len().saturating_add(self.drafts.len())
    }

    /// Commits what a transaction did. Its caller knows that what it saw still holds.
    pub(crate) fn commit(&mut self, run: &mut Run<'a>) -> Result<(), ExecutionFault> {
        let index = self.index();
        self.incarnations.clear();
        let mut is_paid = false;
        for new in &run.codes {
            let is_code = new.hash != Account::default().code_hash;
            if let (true, Some(code)) = (is_code, &new.code) {
                self.cells.create_code(new.hash, code.clone());
                self.log.codes.push((new.hash, code.clone()));
            }
        }
        for (place, effect) in run.accounts.iter().enumerate() {
            effect.cell.marks.touch();
            let now = effect.cell.present();
            let code_hash = match effect.has_new_code() {
                true => run.new_code_hash(place),
                false => None,
            };
            let is_receiver = effect.cell.address == self.beneficiary;
            is_paid |= is_receiver;
            let tip = is_receiver.then_some(run.tip);
            let next = effect.committed(now, code_hash, tip).unwrap_or(now);
            self.incarnations
                .push((!effect.is_destroyed()).then_some(next.incarnation));
            self.write_account(index, effect.cell, now, next);
        }
        for effect in &run.slots {
            effect.cell.marks.touch();
            self.write_slot(index, run, effect);
        }
        self.drafts.push(std::mem::take(&mut run.draft));
        match is_paid {
            true => Ok(()),
            false => self.pay_tip(index, run.tip),
        }
    }

    fn write_slot(&mut self, index: u32, run: &Run<'_>, effect: &SlotEffect<'_>) {
        let incarnation = self.incarnations.get(effect.account).copied().flatten();
        let (Some(value), Some(incarnation)) = (effect.written, incarnation) else {
            return;
        };
        effect.cell.marks.write();
        if let Some(account) = run.accounts.get(effect.account) {
            account.cell.marks.write_slot();
        }
        effect.cell.set(value, incarnation);
        effect.cell.set_writer(index);
        self.log.slots.push(SlotWrite {
            index,
            address: effect.cell.address,
            slot: effect.cell.key,
            value,
        });
    }

    /// Commits a plain transfer between two accounts; says whether it was one.
    pub(crate) fn commit_transfer(
        &mut self,
        transfer: &Transfer,
        [sender, recipient]: [&'a AccountCell; 2],
    ) -> Result<bool, ExecutionFault> {
        let [from, to] = [sender.present(), recipient.present()];
        let after = transfer
            .debit(from.account)
            .zip(transfer.credit(to.account));
        let Some((debited, credited)) = after else {
            return Ok(false);
        };
        let index = self.index();
        sender.marks.touch();
        recipient.marks.touch();
        let tip_of = |cell: &AccountCell, account| match cell.address == self.beneficiary {
            true => with_tip(account, transfer.tip),
            false => account,
        };
        let is_paid = [sender, recipient].map(|cell| cell.address == self.beneficiary);
        let next = from.keep(tip_of(sender, debited));
        let next_to = to.keep(tip_of(recipient, credited));
        self.write_account(index, sender, from, next);
        self.write_account(index, recipient, to, next_to);
        self.drafts.push(transfer.draft());
        if is_paid == [false, false] {
            self.pay_tip(index, transfer.tip)?;
        }
        Ok(true)
    }

    /// Commits a transaction that should not have been ordered.
    pub(crate) fn commit_invalid(&mut self, fault: InclusionFault, draft: ReceiptDraft) {
        self.inclusion_faults.push(fault);
        self.drafts.push(draft);
    }

    /// Changes an account on behalf of the transaction that is committed next.
    pub(crate) fn edit(
        &mut self,
        address: &Address,
        change: impl FnOnce(&mut Account),
    ) -> Result<(), ExecutionFault> {
        let cell = self.cells.account(address)?;
        cell.marks.touch();
        let now = cell.present();
        let mut account = now.account.unwrap_or_default();
        change(&mut account);
        self.write_account(self.index(), cell, now, now.keep(account));
        Ok(())
    }

    fn pay_tip(&mut self, index: u32, tip: U256) -> Result<(), ExecutionFault> {
        let cell = match self.receiver {
            Some(cell) => cell,
            None => *self.receiver.insert(self.cells.account(&self.beneficiary)?),
        };
        cell.marks.touch();
        let now = cell.present();
        let account = with_tip(now.account.unwrap_or_default(), tip);
        self.write_account(index, cell, now, now.keep(account));
        Ok(())
    }

    fn write_account(&mut self, index: u32, cell: &AccountCell, now: Present, next: Present) {
        if now == next {
            return;
        }
        cell.set(next);
        let wiped = now.incarnation != next.incarnation && now.account.is_some();
        if now.account == next.account && !wiped {
            return;
        }
        cell.marks.write();
        self.log.accounts.push(AccountWrite {
            index,
            address: cell.address,
            before: now.account,
            after: next.account,
            wiped,
        });
    }

    fn index(&self) -> u32 {
        u32::try_from(self.place())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }
}

impl Present {
    /// The same incarnation with another value; an empty account is none, and loses its storage.
    pub(crate) fn keep(self, account: Account) -> Self {
        let died = account.is_empty() && self.account.is_some();
        Self {
            account: Some(account).filter(|account| !account.is_empty()),
            incarnation: match died {
                true => self.incarnation.wrapping_add(1),
                false => self.incarnation,
            },
        }
    }
}
