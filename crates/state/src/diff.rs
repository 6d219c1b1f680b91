//! What a block wrote.
//!
//! A [`StateDiff`] holds new values only: applied to the state before the block it gives the state
//! after it. An account that the block touched is listed with its whole new value, even if only
//! its storage changed. Deleting an account wipes its storage.
//!
//! [`StateDiff::digest`] is the sum (mod 2^256) of one hash per write, so it does not depend on an
//! order, and the digests of the sixteen ranges below an address prefix add up to that of the
//! prefix: two nodes that disagree find the first different account by asking for ever longer
//! prefixes. Code is covered by the accounts' code hashes.

use crate::reader::Account;
use alloy_primitives::{Address, B256, Bytes, Keccak256, U256};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// The writes of one block, or of several merged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateDiff {
    /// Every account written, with its new value.
    pub accounts: BTreeMap<Address, AccountDiff>,
    /// Code deployed, by its keccak.
    pub code: BTreeMap<B256, Bytes>,
}

/// The writes to one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountDiff {
    /// The account's new value; `None` deletes it together with its storage.
    pub account: Option<Account>,
    /// Whether all older storage goes before `storage` is written.
    pub storage_wiped: bool,
    /// New slot values; zero deletes the slot.
    pub storage: BTreeMap<U256, U256>,
}

impl StateDiff {
    /// The digest over all writes.
    pub fn digest(&self) -> U256 {
        self.digest_range(&[])
    }

    /// The digest over the writes to accounts whose address starts with these nibbles.
    pub fn digest_range(&self, prefix: &[u8]) -> U256 {
        let mut sum = U256::ZERO;
        for (address, change) in &self.accounts {
            if starts_with(address, prefix) {
                sum = sum.wrapping_add(change.digest(address));
            }
        }
        sum
    }

    /// How many accounts and slots are written.
    pub(crate) fn len(&self) -> usize {
        let accounts = self.accounts.values();
        accounts.map(|change| 1 + change.storage.len()).sum()
    }

    /// Adds the writes of a later block.
    pub fn merge(&mut self, later: &Self) {
        for (address, change) in &later.accounts {
            match self.accounts.entry(*address) {
                Entry::Vacant(vacant) => drop(vacant.insert(change.clone())),
                Entry::Occupied(mut earlier) => earlier.get_mut().merge(change),
            }
        }
        for (hash, code) in &later.code {
            self.code.entry(*hash).or_insert_with(|| code.clone());
        }
    }
}

impl AccountDiff {
    /// Whether the storage from before this diff is gone.
    pub fn drops_storage(&self) -> bool {
        self.storage_wiped || self.account.is_none()
    }

    fn merge(&mut self, later: &Self) {
        // An account deleted by the earlier diff and created again since has no old storage.
        if self.account.is_none() || later.drops_storage() {
            self.storage_wiped = true;
            self.storage.clear();
        }
        self.account = later.account;
        self.storage.extend(&later.storage);
    }

    fn digest(&self, address: &Address) -> U256 {
        let mut sum = entry(address, 0, &[&[u8::from(self.drops_storage())]]);
        if let Some(account) = &self.account {
            let nonce = account.nonce.to_be_bytes();
            let balance = account.balance.to_be_bytes::<32>();
            let fields: [&[u8]; 3] = [&nonce, &balance, account.code_hash.as_slice()];
            sum = sum.wrapping_add(entry(address, 1, &fields));
        }
        for (slot, value) in &self.storage {
            let (slot, value) = (slot.to_be_bytes::<32>(), value.to_be_bytes::<32>());
            sum = sum.wrapping_add(entry(address, 2, &[&slot, &value]));
        }
        sum
    }
}

/// The hash of one write. The kind tells apart entries of equal bytes.
fn entry(address: &Address, kind: u8, fields: &[&[u8]]) -> U256 {
    let mut hasher = Keccak256::new();
    hasher.update(address);
    hasher.update([kind]);
    for field in fields {
        hasher.update(field);
    }
    hasher.finalize().into()
}

fn starts_with(address: &Address, prefix: &[u8]) -> bool {
    let nibbles = address.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    prefix.len() <= 2 * Address::len_bytes()
        && nibbles.zip(prefix).all(|(have, want)| have == *want)
}
