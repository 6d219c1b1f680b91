//! How a transaction reads cells; what it reads becomes the beginning of its [`Run`].

use super::{
    cells::Cells,
    run::{AccountEffect, Run, SlotEffect},
};
use crate::fault::ExecutionFault;
use alloy_primitives::{Address, B256, U256, map::AddressMap};
use revm::bytecode::Bytecode;
use state::Account;

/// One worker's way to the cells of a block.
#[derive(Debug)]
pub(crate) struct CellReader<'a> {
    pub(crate) cells: &'a Cells<'a>,
    /// Whose nonce is taken to be right: the sender's earlier transactions may not be committed.
    sender: Option<(Address, u64)>,
    /// What the present transaction has read.
    pub(crate) run: Run<'a>,
    /// Places of accounts that did not exist when they were loaded: the machine cannot name them.
    absent: AddressMap<usize>,
}

/// An account for the machine, and by what to find it again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadedAccount {
    pub(crate) account: Option<Account>,
    pub(crate) place: Option<usize>,
}

impl<'a> CellReader<'a> {
    pub(crate) fn new(cells: &'a Cells<'a>) -> Self {
        Self {
            cells,
            sender: None,
            run: Run::default(),
            absent: AddressMap::default(),
        }
    }

    /// Forgets the last transaction; the next one's sender is taken to have this nonce.
    pub(crate) fn begin(&mut self, sender: Option<(Address, u64)>) {
        self.sender = sender;
        self.run.clear();
        self.absent.clear();
    }

    pub(crate) fn account(&mut self, address: &Address) -> Result<LoadedAccount, ExecutionFault> {
        let cell = self.cells.account(address)?;
        let effect = AccountEffect::new(cell);
        let mut account = effect.seen.value.account;
        let place = self.run.accounts.len();
        if account.is_none() {
            self.absent.insert(*address, place);
        }
        self.run.accounts.push(effect);
        if let (Some((sender, nonce)), Some(account)) = (self.sender, &mut account)
            && sender == *address
        {
            account.nonce = nonce;
        }
        Ok(LoadedAccount {
            account,
            place: Some(place),
        })
    }

    pub(crate) fn storage(
        &mut self,
        address: &Address,
        account: Option<usize>,
        key: U256,
    ) -> Result<U256, ExecutionFault> {
        let account = match account {
            Some(place) => place,
            None => self.find(address)?,
        };
        let effect = self.run.accounts.get(account).ok_or_else(not_loaded)?;
        let cell = self.cells.slot(address, key)?;
        let seen = cell.see(effect.seen.value.incarnation);
        self.run.slots.push(SlotEffect {
            cell,
            account,
            seen,
            written: None,
        });
        Ok(seen.value)
    }

    pub(crate) fn created_code(&self, code_hash: &B256) -> Option<Bytecode> {
        self.cells.created_code(code_hash)
    }

    fn find(&self, address: &Address) -> Result<usize, ExecutionFault> {
        if let Some(place) = self.absent.get(address) {
            return Ok(*place);
        }
        let mut accounts = self.run.accounts.iter();
        let found = accounts.rposition(|effect| effect.cell.address == *address);
        found.ok_or_else(not_loaded)
    }
}

fn not_loaded() -> ExecutionFault {
    ExecutionFault::Machine("a slot was read before its account".to_owned())
}
