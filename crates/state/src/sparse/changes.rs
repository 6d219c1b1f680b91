//! A block's writes, by hashed key and in order: what a trie takes.

use super::keccak::Lanes;
use super::leaf::SlotWrite;
use super::split::Keyed;
use crate::diff::{AccountDiff, StateDiff};
use crate::reader::Account;
use alloy_primitives::B256;

/// The writes to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChange {
    /// Keccak of the address.
    pub key: B256,
    /// The account's new value; `None` deletes it together with its storage.
    pub account: Option<Account>,
    /// Whether all older storage goes before `slots` are written.
    pub storage_wiped: bool,
    /// New slot values, by key.
    pub slots: Vec<SlotWrite>,
}

impl Keyed for AccountChange {
    fn key(&self) -> &[u8; 32] {
        &self.key.0
    }
}

/// Writes to distinct accounts in the order of their keys, and to distinct slots likewise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    accounts: Vec<AccountChange>,
}

impl Changes {
    /// These writes, in any order.
    ///
    /// # Panics
    ///
    /// When an account or a slot is written twice.
    pub fn new(mut accounts: Vec<AccountChange>) -> Self {
        accounts.sort_unstable_by_key(|change| change.key);
        let distinct = accounts.windows(2).all(|pair| pair[0].key < pair[1].key);
        assert!(distinct, "each account is written once");
        for change in &mut accounts {
            change.slots.sort_unstable_by_key(|slot| slot.key);
            let distinct = change
                .slots
                .windows(2)
                .all(|pair| pair[0].key < pair[1].key);
            assert!(distinct, "each slot is written once");
        }
        Self { accounts }
    }

    /// The writes of a block.
    pub fn of(diff: &StateDiff, lanes: Lanes) -> Self {
        let (keys, slot_keys) = Self::keys_of(diff, lanes);
        let mut slot_keys = slot_keys.into_iter();
        let changes = diff.accounts.values().zip(keys);
        let changes = changes.map(|(change, key)| account_change(key, change, &mut slot_keys));
        Self::new(changes.collect())
    }

    /// The keys of a block's accounts, and those of its slots, in the order of the block's writes.
    pub(crate) fn keys_of(diff: &StateDiff, lanes: Lanes) -> (Vec<B256>, Vec<B256>) {
        let addresses: Vec<[u8; 20]> = diff.accounts.keys().map(|address| address.0.0).collect();
        let slots = diff
            .accounts
            .values()
            .flat_map(|change| change.storage.keys());
        let slots: Vec<[u8; 32]> = slots.map(|slot| slot.to_be_bytes()).collect();
        (hashes(&addresses, lanes), hashes(&slots, lanes))
    }

    /// The writes, by key.
    pub fn into_accounts(self) -> Vec<AccountChange> {
        self.accounts
    }

    /// The writes, by key.
    pub fn accounts(&self) -> &[AccountChange] {
        &self.accounts
    }
}

fn account_change(
    key: B256,
    change: &AccountDiff,
    slot_keys: &mut impl Iterator<Item = B256>,
) -> AccountChange {
    let slots = change.storage.values().zip(slot_keys);
    let slots: Vec<SlotWrite> = slots
        .map(|(value, key)| SlotWrite { key, value: *value })
        .collect();
    AccountChange {
        key,
        account: change.account,
        storage_wiped: change.drops_storage(),
        // The slots that a deleted account wrote go with it.
        slots: if change.account.is_some() {
            slots
        } else {
            Vec::new()
        },
    }
}

fn hashes<const N: usize>(messages: &[[u8; N]], lanes: Lanes) -> Vec<B256> {
    let mut digests = vec![[0; 32]; messages.len()];
    lanes.hash_many(messages.as_flattened(), &mut digests);
    digests.into_iter().map(B256::from).collect()
}
