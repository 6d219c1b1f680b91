//! The state and record a chain starts with.
//!
//! The hash of the genesis header covers the state root, so the root comes first, from
//! [`genesis_root`], a pure function of the allocation.

use crate::diff::{AccountDiff, StateDiff};
use crate::reader::Account;
use crate::record::BlockRecord;
use crate::root::StateRoot;
use crate::sparse::{Changes, Lanes, SparseTrie};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::KECCAK_EMPTY;
use std::collections::BTreeMap;

/// Everything at height 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenesisState {
    /// Hash of the genesis Ethereum header; identifies the chain.
    pub hash: B256,
    /// The accounts.
    pub alloc: GenesisAlloc,
    /// The genesis header, opaque here.
    pub header: Bytes,
    /// The genesis body, opaque here.
    pub body: Bytes,
}

/// The accounts of a genesis, by address.
pub type GenesisAlloc = BTreeMap<Address, GenesisAccount>;

/// One account of a genesis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenesisAccount {
    /// Transaction count.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// Runtime code; empty for none.
    pub code: Bytes,
    /// Slots; zero values are left out of the state.
    pub storage: BTreeMap<U256, U256>,
}

/// The state root of a genesis allocation.
pub fn genesis_root(alloc: &GenesisAlloc) -> StateRoot {
    SparseTrie::of(&Changes::of(&to_diff(alloc), Lanes::Widest)).root()
}

impl GenesisState {
    pub(crate) fn diff(&self) -> StateDiff {
        to_diff(&self.alloc)
    }

    pub(crate) fn record(&self) -> BlockRecord {
        BlockRecord {
            height: 0,
            hash: self.hash,
            header: self.header.clone(),
            body: self.body.clone(),
            receipts: Bytes::new(),
            access_list: Bytes::new(),
            transaction_hashes: Vec::new(),
        }
    }
}

impl GenesisAccount {
    fn code_hash(&self) -> B256 {
        if self.code.is_empty() {
            KECCAK_EMPTY
        } else {
            keccak256(&self.code)
        }
    }
}

/// The allocation as writes over the empty state.
fn to_diff(alloc: &GenesisAlloc) -> StateDiff {
    let mut diff = StateDiff::default();
    for (address, genesis) in alloc {
        let code_hash = genesis.code_hash();
        if code_hash != KECCAK_EMPTY {
            diff.code.insert(code_hash, genesis.code.clone());
        }
        let account = Account {
            nonce: genesis.nonce,
            balance: genesis.balance,
            code_hash,
        };
        let change = AccountDiff {
            account: Some(account),
            storage_wiped: false,
            storage: genesis.storage.clone(),
        };
        diff.accounts.insert(*address, change);
    }
    diff
}
