//! The state trie: accounts, and below each of them its storage.

use super::update::Write;
use super::{Trie, Value};
use crate::diff::{AccountDiff, StateDiff};
use crate::reader::Account;
use crate::root::StateRoot;
use crate::snapshot::{AccountProof, StorageProof};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount};

/// One version of the whole state, with values: what reads, roots and proofs are answered from.
#[derive(Clone, Debug, Default)]
pub(crate) struct StateTrie {
    accounts: Trie<AccountLeaf>,
}

#[derive(Clone)]
struct AccountLeaf {
    account: Account,
    storage: Trie<U256>,
}

impl Value for AccountLeaf {
    fn encode(&self) -> Vec<u8> {
        let account = &self.account;
        alloy_rlp::encode(TrieAccount::new(
            account.nonce,
            account.balance,
            self.storage.root_hash(),
            account.code_hash,
        ))
    }
}

impl StateTrie {
    /// The state after a block.
    pub(crate) fn apply(&self, diff: &StateDiff) -> Self {
        let writes = diff.accounts.iter().map(|(address, change)| {
            let key = account_key(address);
            let value = self.changed(&key, change);
            Write { key, value }
        });
        Self {
            accounts: self.accounts.apply(writes.collect()),
        }
    }

    pub(crate) fn root(&self) -> StateRoot {
        StateRoot::computed(self.accounts.root_hash())
    }

    pub(crate) fn proof(&self, address: &Address, slots: &[B256]) -> AccountProof {
        let key = account_key(address);
        let leaf = self.accounts.get(&key);
        let storage = slots.iter().map(|slot| {
            let (slot, key) = (
                U256::from_be_bytes(slot.0),
                Nibbles::unpack(keccak256(slot)),
            );
            let value = leaf.and_then(|leaf| leaf.storage.get(&key));
            StorageProof {
                key: slot,
                value: value.copied().unwrap_or_default(),
                proof: leaf.map_or_else(Vec::<Bytes>::new, |leaf| leaf.storage.proof(&key)),
            }
        });
        AccountProof {
            account: leaf.map(|leaf| leaf.account),
            storage_root: leaf.map_or(EMPTY_ROOT_HASH, |leaf| leaf.storage.root_hash()),
            proof: self.accounts.proof(&key),
            storage: storage.collect(),
        }
    }

    /// The new leaf of a written account; `None` deletes it.
    fn changed(&self, key: &Nibbles, change: &AccountDiff) -> Option<AccountLeaf> {
        let account = change.account?;
        let before = match change.storage_wiped {
            true => None,
            false => self.accounts.get(key).map(|leaf| leaf.storage.clone()),
        };
        let before = before.unwrap_or_default();
        Some(AccountLeaf {
            account,
            storage: match change.storage.is_empty() {
                true => before,
                false => before.apply(slot_writes(change.storage.iter().map(|(s, v)| (*s, *v)))),
            },
        })
    }
}

fn slot_writes(slots: impl Iterator<Item = (U256, U256)>) -> Vec<Write<U256>> {
    let writes = slots.map(|(slot, value)| Write {
        key: slot_key(&slot),
        value: (!value.is_zero()).then_some(value),
    });
    writes.collect()
}

fn account_key(address: &Address) -> Nibbles {
    Nibbles::unpack(keccak256(address))
}

fn slot_key(slot: &U256) -> Nibbles {
    Nibbles::unpack(keccak256(slot.to_be_bytes::<32>()))
}
