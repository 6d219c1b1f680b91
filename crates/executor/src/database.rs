//! The one place where our state becomes a revm database.
//!
//! ```text
//!              read ┌─────────┐ first read  ┌─────────────┐
//! one transaction ─▶│ Overlay │────────────▶│ StateReader │
//!                   │         │◀─ commit ── result of that transaction
//!                   └────┬────┘
//!                        └─ end of the block ─▶ StateDiff
//! ```
//! An [`Overlay`] holds every account and slot the block has read, with the value before the block
//! beside the present one; the diff is where they differ. Hash maps are never iterated in an order
//! that could reach a result: they are collected into ordered maps, or visited where order cannot
//! matter.

use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, map::AddressMap, map::HashMap,
};
use revm::{
    Database,
    bytecode::Bytecode,
    database_interface::DBErrorMarker,
    state::{Account as EvmAccount, AccountInfo, EvmState},
};
use state::{Account, AccountDiff, ReadFault, StateDiff, StateReader};
use std::collections::BTreeMap;

/// This node cannot go on: its state cannot be read. Never the fault of a transaction.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionFault {
    /// Reading failed.
    #[error("state cannot be read: {0}")]
    Read(#[from] ReadFault),
    /// An account names code that the state does not have.
    #[error("state has no code for a hash that an account names: code_hash={0}")]
    CodeMissing(B256),
    /// The virtual machine gave up for a reason that no transaction can cause.
    #[error("virtual machine stopped: {0}")]
    Machine(String),
}

impl DBErrorMarker for ExecutionFault {}

/// What a block has read and written so far.
pub(crate) struct Overlay<'a> {
    state: &'a dyn StateReader,
    accounts: AddressMap<OverlayAccount>,
    code: HashMap<B256, Bytecode>,
    /// Hashes that the state does not know: the parent's, and those a call overrides.
    block_hashes: BTreeMap<u64, B256>,
    slots_read: u64,
}

#[derive(Clone, Debug, Default)]
struct OverlayAccount {
    before: Option<Account>,
    present: Option<Account>,
    /// Whether the storage of before the block is gone.
    storage_wiped: bool,
    storage: HashMap<U256, Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    before: U256,
    present: U256,
}

/// The writes of a block, and how much it touched.
pub(crate) struct OverlayWrites {
    pub(crate) diff: StateDiff,
    pub(crate) accounts_read: u64,
    pub(crate) slots_read: u64,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(state: &'a dyn StateReader) -> Self {
        Self {
            state,
            accounts: AddressMap::default(),
            code: HashMap::default(),
            block_hashes: BTreeMap::new(),
            slots_read: 0,
        }
    }

    /// Makes a block hash known that the state does not hold.
    pub(crate) fn set_block_hash(&mut self, height: u64, hash: B256) {
        self.block_hashes.insert(height, hash);
    }

    /// The account as it is now.
    pub(crate) fn account(&mut self, address: &Address) -> Result<Option<Account>, ExecutionFault> {
        Ok(self.load(address)?.present)
    }

    /// Changes an account outside of any transaction, creating it if it does not exist.
    pub(crate) fn edit(
        &mut self,
        address: &Address,
        change: impl FnOnce(&mut Account),
    ) -> Result<(), ExecutionFault> {
        let entry = self.load(address)?;
        let mut account = entry.present.unwrap_or_default();
        change(&mut account);
        entry.present = Some(account).filter(|account| !account.is_empty());
        if entry.present.is_none() {
            entry.storage_wiped = true;
            entry.storage.clear();
        }
        Ok(())
    }

    /// Gives an account code outside of any transaction.
    pub(crate) fn set_code(
        &mut self,
        address: &Address,
        code: Bytes,
    ) -> Result<(), ExecutionFault> {
        let bytecode = parse_code(code);
        let code_hash = if bytecode.is_empty() {
            KECCAK256_EMPTY
        } else {
            bytecode.hash_slow()
        };
        self.code.insert(code_hash, bytecode);
        self.edit(address, |account| account.code_hash = code_hash)
    }

    /// Sets a slot outside of any transaction.
    pub(crate) fn set_storage(
        &mut self,
        address: &Address,
        slot: U256,
        value: U256,
    ) -> Result<(), ExecutionFault> {
        self.storage(*address, slot)?;
        let entry = self.load(address)?;
        entry.storage.entry(slot).or_default().present = value;
        Ok(())
    }

    /// Empties the storage of an account outside of any transaction.
    pub(crate) fn wipe_storage(&mut self, address: &Address) -> Result<(), ExecutionFault> {
        let entry = self.load(address)?;
        entry.storage_wiped = true;
        entry.storage.clear();
        Ok(())
    }

    /// Keeps the writes of one transaction. Accounts are independent of each other, so the order
    /// in which the map yields them cannot matter.
    pub(crate) fn commit(&mut self, changes: EvmState) {
        changes
            .into_iter()
            .filter(|(_, account)| account.is_touched())
            .for_each(|(address, account)| self.commit_account(address, account));
    }

    fn commit_account(&mut self, address: Address, account: EvmAccount) {
        let entry = self.accounts.entry(address).or_default();
        let is_dead = account.is_selfdestructed() || (account.is_empty() && !account.is_created());
        if is_dead || account.is_created() {
            entry.storage_wiped = true;
            entry.storage.clear();
        }
        if is_dead {
            entry.present = None;
            return;
        }
        let code_hash = account.info.code_hash;
        let had = entry.present.map(|present| present.code_hash);
        entry.present = Some(Account {
            nonce: account.info.nonce,
            balance: account.info.balance,
            code_hash,
        });
        account
            .storage
            .iter()
            .filter(|(_, slot)| slot.is_changed())
            .for_each(|(key, slot)| {
                entry.storage.entry(*key).or_default().present = slot.present_value;
            });
        if let (true, Some(code)) = (had != Some(code_hash), account.info.code) {
            self.code.entry(code_hash).or_insert(code);
        }
    }

    /// The difference between the state before the block and now.
    pub(crate) fn into_writes(self) -> OverlayWrites {
        let accounts_read = u64::try_from(self.accounts.len()).unwrap_or(u64::MAX);
        let code = self
            .accounts
            .values()
            .filter_map(OverlayAccount::new_code_hash)
            .filter_map(|hash| Some((hash, self.code.get(&hash)?.original_bytes())))
            .collect();
        let accounts = self
            .accounts
            .into_iter()
            .filter_map(|(address, account)| Some((address, account.into_diff()?)))
            .collect();
        OverlayWrites {
            diff: StateDiff { accounts, code },
            accounts_read,
            slots_read: self.slots_read,
        }
    }

    fn load(&mut self, address: &Address) -> Result<&mut OverlayAccount, ExecutionFault> {
        use alloy_primitives::map::Entry;
        match self.accounts.entry(*address) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let before = self.state.account(address)?;
                Ok(entry.insert(OverlayAccount {
                    before,
                    present: before,
                    ..OverlayAccount::default()
                }))
            }
        }
    }
}

impl OverlayAccount {
    /// The hash of code that the account has now and had not before the block.
    fn new_code_hash(&self) -> Option<B256> {
        let present = self.present.filter(Account::has_code)?.code_hash;
        let had = self.before.map(|before| before.code_hash);
        (had != Some(present)).then_some(present)
    }

    fn into_diff(self) -> Option<AccountDiff> {
        let existed = self.before.is_some();
        if self.present.is_none() {
            return existed.then(AccountDiff::default);
        }
        let wiped = self.storage_wiped;
        let storage: BTreeMap<U256, U256> = self
            .storage
            .into_iter()
            .filter(|(_, slot)| match wiped {
                true => !slot.present.is_zero(),
                false => slot.present != slot.before,
            })
            .map(|(key, slot)| (key, slot.present))
            .collect();
        let storage_wiped = wiped && existed;
        let is_changed = self.before != self.present || storage_wiped || !storage.is_empty();
        is_changed.then_some(AccountDiff {
            account: self.present,
            storage_wiped,
            storage,
        })
    }
}

impl Database for Overlay<'_> {
    type Error = ExecutionFault;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, ExecutionFault> {
        Ok(self.load(&address)?.present.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            // Code is loaded when somebody runs it.
            code: (!account.has_code()).then(Bytecode::default),
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, ExecutionFault> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.code.get(&code_hash) {
            return Ok(code.clone());
        }
        let code = self.state.code(&code_hash)?;
        let code = parse_code(code.ok_or(ExecutionFault::CodeMissing(code_hash))?);
        self.code.insert(code_hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, ExecutionFault> {
        let state = self.state;
        let entry = self.load(&address)?;
        if let Some(slot) = entry.storage.get(&slot) {
            return Ok(slot.present);
        }
        let value = if entry.storage_wiped || entry.before.is_none() {
            U256::ZERO
        } else {
            state.storage(&address, &slot)?
        };
        let before = value;
        entry.storage.insert(
            slot,
            Slot {
                before,
                present: value,
            },
        );
        self.slots_read = self.slots_read.saturating_add(1);
        Ok(value)
    }

    fn block_hash(&mut self, height: u64) -> Result<B256, ExecutionFault> {
        match self.block_hashes.get(&height) {
            Some(hash) => Ok(*hash),
            None => Ok(self.state.block_hash(height)?.unwrap_or_default()),
        }
    }
}

/// Code as it lies in the state. Bytes that only look like a delegation are ordinary code.
fn parse_code(code: Bytes) -> Bytecode {
    Bytecode::new_raw_checked(code.clone()).unwrap_or_else(|_| Bytecode::new_legacy(code))
}
