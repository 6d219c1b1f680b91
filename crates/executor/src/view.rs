//! What the virtual machine reads from.
//!
//! ```text
//!                        ┌─ Block:       the block's own overlay, one transaction after the other
//! machine ─▶ View ─▶ Source ─ Speculation: what is committed so far, shared between workers
//!                        └─ Listed:      the values that an access list promises
//! ```
//! One type for all three, so that the interpreter is compiled once. A [`View`] also takes
//! [`Notes`]: which balances a transaction has looked at and how much it may have to pay, because
//! what it did not look at may change under it.

use crate::{fault::ExecutionFault, listed::ListReader, overlay::Overlay, parallel::CellReader};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use revm::{
    Database,
    bytecode::Bytecode,
    state::{AccountId, AccountInfo},
};
use state::Account;

/// The database of the virtual machine.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) overlay: Overlay<'a>,
    pub(crate) source: Source<'a>,
    pub(crate) notes: Notes,
}

/// Where accounts and slots come from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// The overlay.
    Block,
    /// The cells of a block whose transactions run at the same time.
    Speculation(CellReader<'a>),
    /// An access list.
    Listed(ListReader<'a>),
}

/// Notes of one kind about one transaction. They are searched one by one, and code that looks at
/// thousands of balances must not make that slow.
const NOTES_MAX: usize = 32;

/// What one transaction depends on beyond the values that it changed.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Whether balances that are not looked at may be other ones when the transaction is committed,
    /// and the fee receiver is paid then.
    pub(crate) relaxed: bool,
    /// Accounts whose exact balance mattered.
    pub(crate) observed: Vec<Address>,
    /// What frames have tried to send from each account, in wei.
    pub(crate) outflows: Vec<(Address, U256)>,
    /// Whether every balance and nonce mattered: there were too many notes to take.
    pub(crate) observes_all: bool,
    /// Accounts that have tried to create a contract, whose exact nonce mattered.
    pub(crate) creators: Vec<Address>,
    /// What the fee receiver gets, in wei.
    pub(crate) tip: U256,
    /// Words that were hashed in pairs, as for a mapping's slot, with the hash; empty unless
    /// somebody wants to learn.
    pub(crate) preimages: Vec<(B256, [U256; 2])>,
    /// Whether to note preimages.
    pub(crate) learning: bool,
}

impl Notes {
    /// Forgets the last transaction.
    pub(crate) fn clear(&mut self) {
        self.observed.clear();
        self.outflows.clear();
        self.creators.clear();
        self.observes_all = false;
        self.preimages.clear();
        self.tip = U256::ZERO;
    }

    /// The exact balance of an account mattered.
    pub(crate) fn observe(&mut self, address: Address) {
        if !self.relaxed || self.observes_all || self.observed.contains(&address) {
            return;
        }
        self.observed.push(address);
        self.observes_all = self.observed.len() >= NOTES_MAX;
    }

    /// A frame creates a contract, whose address may follow from its creator's nonce.
    pub(crate) fn create(&mut self, address: Address) {
        if !self.relaxed || self.observes_all || self.creators.contains(&address) {
            return;
        }
        self.creators.push(address);
        self.observes_all = self.creators.len() >= NOTES_MAX;
    }

    /// A frame sends `value` from an account.
    pub(crate) fn send(&mut self, address: Address, value: U256) {
        if !self.relaxed || self.observes_all || value.is_zero() {
            return;
        }
        match self.outflows.iter_mut().find(|(from, _)| *from == address) {
            Some((_, sum)) => *sum = sum.saturating_add(value),
            None => {
                self.outflows.push((address, value));
                self.observes_all = self.outflows.len() >= NOTES_MAX;
            }
        }
    }

    /// What frames have tried to send from all accounts.
    pub(crate) fn sum_of_outflows(&self) -> U256 {
        let outflows = self.outflows.iter().map(|(_, sum)| *sum);
        outflows.fold(U256::ZERO, U256::saturating_add)
    }

    /// What frames have tried to send from an account.
    pub(crate) fn outflow(&self, address: &Address) -> U256 {
        let mut outflows = self.outflows.iter();
        outflows
            .find(|(from, _)| from == address)
            .map_or(U256::ZERO, |(_, sum)| *sum)
    }
}

impl Database for View<'_> {
    type Error = ExecutionFault;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ExecutionFault> {
        let (account, id) = match &mut self.source {
            Source::Block => (self.overlay.account(&address)?, None),
            Source::Speculation(cells) => {
                let loaded = cells.account(&address)?;
                (loaded.account, loaded.place)
            }
            Source::Listed(list) => match list.account(&address) {
                Some((account, place)) => (account, Some(place)),
                None => (self.overlay.account(&address)?, None),
            },
        };
        Ok(account.map(|account| evm_account(&account, id)))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ExecutionFault> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        let created = match &mut self.source {
            Source::Block => None,
            Source::Speculation(cells) => cells.created_code(&code_hash),
            Source::Listed(list) => return list.code(code_hash, &mut self.overlay),
        };
        match created {
            Some(code) => Ok(code),
            None => self.overlay.code(code_hash),
        }
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ExecutionFault> {
        match &mut self.source {
            Source::Block => self.overlay.storage(&address, slot),
            Source::Speculation(cells) => cells.storage(&address, None, slot),
            Source::Listed(list) => match list.storage(&address, None, slot) {
                Some(value) => Ok(value),
                None => self.overlay.storage(&address, slot),
            },
        }
    }

    fn storage_by_account_id(
        &mut self,
        address: Address,
        account_id: AccountId,
        slot: U256,
    ) -> Result<U256, ExecutionFault> {
        let id = Some(account_id.get());
        match &mut self.source {
            Source::Block => self.overlay.storage(&address, slot),
            Source::Speculation(cells) => cells.storage(&address, id, slot),
            Source::Listed(list) => match list.storage(&address, id, slot) {
                Some(value) => Ok(value),
                None => self.overlay.storage(&address, slot),
            },
        }
    }

    fn block_hash(&mut self, height: u64) -> Result<B256, ExecutionFault> {
        self.overlay.block_hash(height)
    }
}

fn evm_account(account: &Account, id: Option<usize>) -> AccountInfo {
    AccountInfo {
        balance: account.balance,
        nonce: account.nonce,
        code_hash: account.code_hash,
        account_id: id.and_then(AccountId::new),
        // Code is loaded when somebody runs it. Nor is there one to say that there is none: all
        // workers would count references to it, and wait for each other.
        code: None,
    }
}
