//! A state in a plain map: for tests, tools and the genesis.
//!
//! The second way to compute every answer of the store: it shares no code with the trie's reads or
//! the file's tables.

use crate::diff::{AccountDiff, StateDiff};
use crate::reader::{Account, ReadFault, StateReader};
use crate::root::StateRoot;
use crate::sparse::{Changes, Lanes, SparseTrie};
use alloy_primitives::{
    Address, B256, Bytes, U256, keccak256,
    map::{AddressMap, B256Map, HashMap},
};
use alloy_trie::KECCAK_EMPTY;
use std::collections::BTreeMap;

/// Accounts, storage, code and block hashes in maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryState {
    accounts: AddressMap<Account>,
    storage: AddressMap<HashMap<U256, U256>>,
    code: B256Map<Bytes>,
    block_hashes: BTreeMap<u64, B256>,
}

impl MemoryState {
    /// Applies the writes of a block.
    pub fn apply(&mut self, diff: &StateDiff) {
        for (address, change) in &diff.accounts {
            self.apply_account(*address, change);
        }
        let code = diff.code.iter().map(|(hash, code)| (*hash, code.clone()));
        self.code.extend(code);
    }

    /// Sets an account, keeping its storage.
    pub fn set_account(&mut self, address: Address, account: Account) {
        self.accounts.insert(address, account);
    }

    /// Sets the code of an account, creating the account if need be.
    pub fn set_code(&mut self, address: Address, code: Bytes) {
        let code_hash = keccak256(&code);
        self.accounts.entry(address).or_default().code_hash = code_hash;
        self.code.insert(code_hash, code);
    }

    /// Sets a slot of an account; zero deletes it.
    pub fn set_storage(&mut self, address: Address, slot: U256, value: U256) {
        let slots = self.storage.entry(address).or_default();
        if value.is_zero() {
            slots.remove(&slot);
        } else {
            slots.insert(slot, value);
        }
        if slots.is_empty() {
            self.storage.remove(&address);
        }
    }

    /// Sets the hash of the Ethereum header at a height.
    pub fn set_block_hash(&mut self, height: u64, hash: B256) {
        self.block_hashes.insert(height, hash);
    }

    /// Every account with its slots, by address.
    pub fn iter(&self) -> impl Iterator<Item = (Address, Account, BTreeMap<U256, U256>)> {
        let accounts = self.accounts.iter();
        let sorted: BTreeMap<Address, Account> = accounts
            .map(|(address, account)| (*address, *account))
            .collect();
        sorted.into_iter().map(|(address, account)| {
            let slots = self.storage.get(&address).into_iter().flatten();
            let slots = slots.map(|(slot, value)| (*slot, *value)).collect();
            (address, account, slots)
        })
    }

    /// The state root, computed from nothing.
    pub fn root(&self) -> StateRoot {
        let changes = self.iter().map(|(address, account, storage)| {
            let change = AccountDiff {
                account: Some(account),
                storage_wiped: false,
                storage,
            };
            (address, change)
        });
        let diff = StateDiff {
            accounts: changes.collect(),
            code: BTreeMap::new(),
        };
        SparseTrie::of(&Changes::of(&diff, Lanes::Widest)).root()
    }

    fn apply_account(&mut self, address: Address, change: &AccountDiff) {
        if change.drops_storage() {
            self.storage.remove(&address);
        }
        let Some(account) = change.account else {
            self.accounts.remove(&address);
            return;
        };
        self.accounts.insert(address, account);
        for (slot, value) in &change.storage {
            self.set_storage(address, *slot, *value);
        }
    }
}

impl StateReader for MemoryState {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        Ok(self.accounts.get(address).copied())
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        let value = self.storage.get(address).and_then(|slots| slots.get(slot));
        Ok(value.copied().unwrap_or_default())
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        if *code_hash == KECCAK_EMPTY {
            return Ok(Some(Bytes::new()));
        }
        Ok(self.code.get(code_hash).cloned())
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        Ok(self.block_hashes.get(&height).copied())
    }
}
