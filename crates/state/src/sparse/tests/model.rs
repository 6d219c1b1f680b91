//! The state as maps by hashed key, and the other tries over it.

use crate::reader::Account;
use crate::sparse::changes::{AccountChange, Changes};
use crate::sparse::leaf::{Place, SlotWrite};
use crate::sparse::trie::SparseTrie;
use crate::trie::Trie;
use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::proof::verify_proof;
use alloy_trie::{HashBuilder, Nibbles, TrieAccount};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(crate) type Slots = BTreeMap<B256, U256>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) accounts: BTreeMap<B256, (Account, Slots)>,
}

impl Model {
    pub(crate) fn apply(&mut self, changes: &Changes) {
        for change in changes.accounts() {
            let Some(account) = change.account else {
                self.accounts.remove(&change.key);
                continue;
            };
            let entry = self.accounts.entry(change.key).or_default();
            entry.0 = account;
            if change.storage_wiped {
                entry.1.clear();
            }
            for slot in &change.slots {
                match slot.value.is_zero() {
                    true => drop(entry.1.remove(&slot.key)),
                    false => drop(entry.1.insert(slot.key, slot.value)),
                }
            }
        }
    }

    /// The writes that make this state from nothing.
    pub(crate) fn changes(&self) -> Changes {
        let accounts = self
            .accounts
            .iter()
            .map(|(key, (account, slots))| AccountChange {
                key: *key,
                account: Some(*account),
                storage_wiped: false,
                slots: slots
                    .iter()
                    .map(|(key, value)| SlotWrite {
                        key: *key,
                        value: *value,
                    })
                    .collect(),
            });
        Changes::new(accounts.collect())
    }

    pub(crate) fn alloy_root(&self) -> B256 {
        builder_root(&self.leaves())
    }

    pub(crate) fn persistent_root(&self) -> B256 {
        persistent(&self.leaves()).root_hash()
    }

    /// Proofs of an account and all its slots, and of some absent ones, against alloy's verifier and
    /// byte by byte against the other trie's.
    pub(crate) fn check_proofs(&self, trie: &SparseTrie, key: &B256) -> Result<(), TestCaseError> {
        let leaves = self.leaves();
        let nibbles = Nibbles::unpack(key);
        let proof = trie.accounts.proof(key).expect("all is resolved");
        prop_assert_eq!(&proof, &persistent(&leaves).proof(&nibbles));
        check_proof(*trie.root(), key, leaves.get(key), &proof)?;
        let Some((arena, leaf)) = trie.account_leaf(key).expect("all is resolved") else {
            prop_assert!(!self.accounts.contains_key(key));
            return Ok(());
        };
        let (account, slots) = &self.accounts[key];
        prop_assert_eq!(arena.account(leaf), *account);
        let (slot_leaves, stored) = (slot_leaves(slots), arena.stored(leaf));
        prop_assert_eq!(stored.place == Place::Empty, slots.is_empty());
        let absent = [B256::ZERO, B256::repeat_byte(0x11), *key];
        for slot in slots.keys().chain(&absent) {
            let proof = trie.storage_proof(key, slot).expect("all is resolved");
            prop_assert_eq!(
                &proof,
                &persistent(&slot_leaves).proof(&Nibbles::unpack(slot))
            );
            check_proof(stored.root, slot, slot_leaves.get(slot), &proof)?;
            let value = slots.get(slot).copied().unwrap_or_default();
            prop_assert_eq!(trie.slot(key, slot), Ok(value));
        }
        Ok(())
    }

    fn leaves(&self) -> BTreeMap<B256, Vec<u8>> {
        let leaves = self.accounts.iter().map(|(key, (account, slots))| {
            let root = builder_root(&slot_leaves(slots));
            let (nonce, balance) = (account.nonce, account.balance);
            let leaf = TrieAccount::new(nonce, balance, root, account.code_hash);
            (*key, alloy_rlp::encode(leaf))
        });
        leaves.collect()
    }
}

pub(crate) fn storage_root(slots: &Slots) -> B256 {
    builder_root(&slot_leaves(slots))
}

fn slot_leaves(slots: &Slots) -> BTreeMap<B256, Vec<u8>> {
    let leaves = slots.iter();
    leaves
        .map(|(key, value)| (*key, alloy_rlp::encode(value)))
        .collect()
}

fn builder_root(leaves: &BTreeMap<B256, Vec<u8>>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, leaf) in leaves {
        builder.add_leaf(Nibbles::unpack(key), leaf);
    }
    builder.root()
}

fn persistent(leaves: &BTreeMap<B256, Vec<u8>>) -> Trie<Vec<u8>> {
    Trie::of(
        leaves
            .iter()
            .map(|(key, leaf)| (Nibbles::unpack(key), leaf.clone())),
    )
}

fn check_proof(
    root: B256,
    key: &B256,
    leaf: Option<&Vec<u8>>,
    proof: &[Bytes],
) -> Result<(), TestCaseError> {
    // The verifier can't do tries whose root node is below 32 bytes.
    if proof.first().is_some_and(|node| node.len() >= 32) {
        let verdict = verify_proof(root, Nibbles::unpack(key), leaf.cloned(), proof);
        prop_assert!(verdict.is_ok(), "key={key} {verdict:?}");
    }
    Ok(())
}

/// Keys that often share long prefixes, and sometimes all but the last nibble.
pub(crate) fn any_key() -> impl Strategy<Value = B256> {
    let byte = || prop_oneof![4 => Just(0u8), 2 => Just(0x01), 1 => Just(0x10), 1 => any::<u8>()];
    let close = (0usize..32, any::<u8>()).prop_map(|(at, byte)| {
        let mut key = [0; 32];
        key[at] = byte;
        key
    });
    let spread = any::<[u8; 32]>();
    let dense = (byte(), byte(), 0u8..4).prop_map(|(first, second, last)| {
        let mut key = [7; 32];
        (key[0], key[1], key[31]) = (first, second, last);
        key
    });
    prop_oneof![2 => close, 1 => spread, 2 => dense].prop_map(B256::from)
}

fn any_value() -> impl Strategy<Value = U256> {
    prop_oneof![
        3 => Just(U256::ZERO),
        3 => (1u64..4).prop_map(U256::from),
        1 => (120u64..260).prop_map(U256::from),
        2 => any::<[u8; 32]>().prop_map(U256::from_be_bytes),
    ]
}

fn any_change() -> impl Strategy<Value = AccountChange> {
    let account =
        (any_value(), any_value(), any::<bool>()).prop_map(|(nonce, balance, code)| Account {
            nonce: nonce.as_limbs()[0],
            balance,
            code_hash: if code {
                B256::repeat_byte(7)
            } else {
                Account::default().code_hash
            },
        });
    let slots = prop_oneof![
        3 => btree_map(any_key(), any_value(), 0..8),
        1 => btree_map(any_key(), any_value(), 0..60),
    ];
    let account = proptest::option::weighted(0.7, account);
    (account, proptest::bool::weighted(0.1), slots).prop_map(|(account, storage_wiped, slots)| {
        let slots = slots
            .into_iter()
            .map(|(key, value)| SlotWrite { key, value });
        AccountChange {
            key: B256::ZERO,
            account,
            storage_wiped,
            slots: if account.is_some() {
                slots.collect()
            } else {
                Vec::new()
            },
        }
    })
}

pub(crate) fn any_batches() -> impl Strategy<Value = Vec<Vec<AccountChange>>> {
    let batch = btree_map(any_key(), any_change(), 0..24).prop_map(|changes| {
        let changes = changes.into_iter();
        changes
            .map(|(key, change)| AccountChange { key, ..change })
            .collect()
    });
    // A few accounts of a small set come again and again, so that storage grows and is wiped.
    let again = btree_map(0u8..6, any_change(), 0..6).prop_map(|changes| {
        let changes = changes.into_iter();
        let key = |number| B256::repeat_byte(number * 0x11);
        changes
            .map(|(number, change)| AccountChange {
                key: key(number),
                ..change
            })
            .collect()
    });
    vec(prop_oneof![batch, again], 1..8)
}
