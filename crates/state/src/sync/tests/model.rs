//! A state in ordered maps, made from a few numbers.

use crate::reader::{Account, ReadFault};
use crate::sparse::{AccountChange, Changes, Lanes, SlotWrite, SparseTrie};
use crate::sync::leaf::{account_bytes, slot_bytes};
use crate::sync::manifest::Unit;
use crate::sync::{AccountLeaf, CheckedChunk, LeafScan, SlotLeaf};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Slots = BTreeMap<B256, SlotLeaf>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TestState {
    pub(super) accounts: BTreeMap<B256, (AccountLeaf, Slots)>,
    pub(super) codes: BTreeMap<B256, Bytes>,
    /// Gives its leaves in a wrong order.
    pub(super) is_reversed: bool,
}

/// How a state looks.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    pub(super) seed: u64,
    pub(super) accounts: u64,
    /// Every so many accounts have storage; none if zero.
    pub(super) storages: u64,
    /// The most slots of an account.
    pub(super) slots: u64,
    /// Every so many accounts have code; none if zero.
    pub(super) codes: u64,
}

pub(super) fn any_shape() -> impl Strategy<Value = Shape> {
    let sizes = prop_oneof![Just(1u64), 0u64..8, 20u64..200];
    (any::<u64>(), sizes, 0u64..6, 1u64..120, 0u64..4).prop_map(
        |(seed, accounts, storages, slots, codes)| Shape {
            seed,
            accounts,
            storages,
            slots,
            codes,
        },
    )
}

pub(super) fn any_limit() -> impl Strategy<Value = usize> {
    prop_oneof![
        Just(128usize),
        128usize..600,
        600usize..6000,
        Just(256 << 10)
    ]
}

/// Keys that share long prefixes.
pub(super) fn any_keys() -> impl Strategy<Value = Vec<B256>> {
    let key =
        (vec(0u8..3, 64), 0usize..64, any::<[u8; 32]>()).prop_map(|(nibbles, shared, rest)| {
            let mut key = B256::from(rest);
            for (index, nibble) in nibbles.iter().enumerate().take(shared) {
                let shift = 4 * (1 - index % 2);
                key[index / 2] = key[index / 2] & !(0x0f << shift) | (nibble / 2) << shift;
            }
            key
        });
    vec(key, 1..150)
}

/// The keys below the parent of a unit.
pub(super) fn parent(unit: &Unit) -> (B256, B256) {
    let mut parent = *unit;
    parent.depth = parent.depth.saturating_sub(1);
    let depth = usize::from(parent.depth);
    parent.first[depth / 2] &= if depth % 2 == 0 { 0 } else { 0xf0 };
    (parent.first, parent.last())
}

fn random(seed: u64, what: u64, number: u64) -> B256 {
    let words = [seed, what, number].map(u64::to_be_bytes);
    keccak256(words.concat())
}

impl TestState {
    pub(super) fn new(shape: &Shape) -> Self {
        let mut state = Self::default();
        for number in 0..shape.accounts {
            let address = Address::from_slice(&random(shape.seed, 0, number)[..20]);
            let chance = random(shape.seed, 1, number);
            let mut account = Account {
                nonce: u64::from(chance[0]) << (chance[1] % 56),
                balance: U256::from_be_slice(&chance[..usize::from(chance[2] % 33)]),
                code_hash: KECCAK_EMPTY,
            };
            if shape.codes > 0 && number % shape.codes == 0 {
                // Some share their code.
                let code =
                    random(shape.seed, 2, number % 7).repeat(1 + usize::from(chance[3] / 32));
                account.code_hash = keccak256(&code);
                state.codes.insert(account.code_hash, code.into());
            }
            let mut slots = Slots::new();
            if shape.storages > 0 && number % shape.storages == 0 {
                let count = u64::from(chance[4]) * shape.slots / 255 + 1;
                let leaves =
                    (0..count).map(|slot| any_slot(random(shape.seed, number + 3, slot), slot));
                slots.extend(leaves.map(|leaf| (leaf.key, leaf)));
            }
            state.insert(address, account, slots);
        }
        state
    }

    /// One account, whose slots have these keys and tiny values.
    pub(super) fn with_slot_keys(keys: &[B256]) -> Self {
        let mut state = Self::default();
        let slots = keys.iter().map(|key| {
            let value = U256::from(1 + key[31] % 3);
            let slot = U256::from(key[30]);
            (
                *key,
                SlotLeaf {
                    key: *key,
                    slot,
                    value,
                },
            )
        });
        state.insert(Address::ZERO, Account::default(), slots.collect());
        state
    }

    fn insert(&mut self, address: Address, account: Account, slots: Slots) {
        let key = keccak256(address);
        let change = change(key, account, &slots);
        let mut trie = SparseTrie::new(Lanes::Widest);
        trie.apply(&Changes::new(vec![change]), None).unwrap();
        let storage_root = match slots.is_empty() {
            true => EMPTY_ROOT_HASH,
            false => trie.proof(&address, &[]).unwrap().storage_root,
        };
        let leaf = AccountLeaf {
            key,
            address,
            account,
            storage_root,
        };
        self.accounts.insert(key, (leaf, slots));
    }

    pub(super) fn root(&self) -> B256 {
        let changes = self.accounts.iter();
        let changes = changes.map(|(key, (leaf, slots))| change(*key, leaf.account, slots));
        *SparseTrie::of(&Changes::new(changes.collect())).root()
    }

    /// Takes what was downloaded.
    pub(super) fn take(&mut self, chunk: &CheckedChunk) {
        for account in chunk.accounts() {
            let taken = self.accounts.entry(account.leaf.key);
            let (leaf, slots) = taken.or_insert_with(|| (*account.leaf, Slots::new()));
            assert_eq!(leaf, account.leaf);
            for slot in account.slots {
                assert!(
                    slots.insert(slot.key, *slot).is_none(),
                    "each slot comes once"
                );
            }
        }
    }

    pub(super) fn slot_bytes(&self, account: &B256, (first, last): (B256, B256)) -> usize {
        let slots = self.accounts[account].1.range(first..=last);
        slots
            .map(|(_, leaf)| slot_bytes(&leaf.slot, &leaf.value))
            .sum()
    }

    pub(super) fn account_bytes(&self, account: &B256) -> usize {
        let all = (B256::ZERO, B256::repeat_byte(0xff));
        account_bytes(&self.accounts[account].0.account) + 4 + self.slot_bytes(account, all)
    }
}

fn any_slot(chance: B256, number: u64) -> SlotLeaf {
    let slot = match chance[0] % 3 {
        0 => U256::from(number),
        _ => U256::from_be_bytes(keccak256(chance).0),
    };
    let value = U256::from_be_slice(&chance[1..2 + usize::from(chance[31] % 31)]);
    SlotLeaf {
        key: keccak256(slot.to_be_bytes::<32>()),
        slot,
        value: value.max(U256::ONE),
    }
}

fn change(key: B256, account: Account, slots: &Slots) -> AccountChange {
    let writes = slots.values().map(|leaf| SlotWrite {
        key: leaf.key,
        value: leaf.value,
    });
    AccountChange {
        key,
        account: Some(account),
        storage_wiped: false,
        slots: writes.collect(),
    }
}

impl LeafScan for TestState {
    fn accounts(&self, from: &B256) -> impl Iterator<Item = Result<AccountLeaf, ReadFault>> {
        let mut leaves: Vec<AccountLeaf> = self
            .accounts
            .range(*from..)
            .map(|(_, (leaf, _))| *leaf)
            .collect();
        if self.is_reversed {
            leaves.reverse();
        }
        leaves.into_iter().map(Ok)
    }

    fn slots(
        &self,
        account: &B256,
        from: &B256,
    ) -> impl Iterator<Item = Result<SlotLeaf, ReadFault>> {
        let slots = self
            .accounts
            .get(account)
            .map(|(_, slots)| slots.range(*from..));
        slots.into_iter().flatten().map(|(_, leaf)| Ok(*leaf))
    }

    fn code(&self, hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        Ok(self.codes.get(hash).cloned())
    }
}
