//! Roots and proofs of headway's trie against those of ethrex-trie, another node's.
//!
//! Random blocks insert, update and delete accounts and slots, wipe storage, and write what is there
//! already or what never was. Keys agree in any number of leading nibbles. After every block the roots
//! are compared, and after the last one the proofs of everything that was ever written and of what was
//! not, byte by byte. `PROPTEST_CASES` says how many chains of blocks.

use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::Encodable;
use ethrex_crypto::NativeCrypto;
use ethrex_trie::Trie;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use state::Account;
use state::sparse::{AccountChange, Changes, Lanes, SlotWrite, SparseTrie};
use std::collections::{BTreeMap, BTreeSet};

/// The whole state in tries of ethrex: accounts, and the storage of each of them.
#[derive(Default)]
struct Ethrex {
    accounts: Trie,
    storage: BTreeMap<B256, Trie>,
}

impl Ethrex {
    fn apply(&mut self, changes: &Changes) -> B256 {
        for change in changes.accounts() {
            let Some(account) = change.account else {
                let removed = self.accounts.remove(change.key.as_slice());
                removed.expect("all is in memory");
                self.storage.remove(&change.key);
                continue;
            };
            let storage = self.storage.entry(change.key).or_default();
            if change.storage_wiped {
                *storage = Trie::default();
            }
            for write in &change.slots {
                put(storage, write);
            }
            let leaf = account_leaf(&account, root_of(storage));
            let inserted = self.accounts.insert(change.key.to_vec(), leaf);
            inserted.expect("all is in memory");
        }
        root_of(&self.accounts)
    }

    fn storage_proof(&self, account: &B256, key: &B256) -> Vec<Bytes> {
        let storage = self.storage.get(account);
        storage.map_or_else(Vec::new, |storage| proof_in(storage, key))
    }
}

fn put(storage: &mut Trie, write: &SlotWrite) {
    match write.value.is_zero() {
        true => storage.remove(write.key.as_slice()).map(drop),
        false => storage.insert(write.key.to_vec(), alloy_rlp::encode(write.value)),
    }
    .expect("all is in memory");
}

fn root_of(trie: &Trie) -> B256 {
    trie.hash_no_commit(&NativeCrypto).0.into()
}

fn proof_in(trie: &Trie, key: &B256) -> Vec<Bytes> {
    let nodes = trie.get_proof(key.as_slice()).expect("all is in memory");
    nodes.into_iter().map(Bytes::from).collect()
}

fn account_leaf(account: &Account, storage_root: B256) -> Vec<u8> {
    let fields: [&dyn Encodable; 4] = [
        &account.nonce,
        &account.balance,
        &storage_root,
        &account.code_hash,
    ];
    let mut leaf = Vec::new();
    alloy_rlp::encode_list::<&dyn Encodable, dyn Encodable>(&fields, &mut leaf);
    leaf
}

/// Both tries, and every key that was written.
struct Pair {
    ours: SparseTrie,
    ethrex: Ethrex,
    pool: Option<ThreadPool>,
    written: BTreeMap<B256, BTreeSet<B256>>,
}

impl Pair {
    fn new(lanes: Lanes, threads: usize) -> Self {
        let pool = ThreadPoolBuilder::new().num_threads(threads);
        Self {
            ours: SparseTrie::new(lanes),
            ethrex: Ethrex::default(),
            pool: (threads > 1).then(|| pool.build().expect("threads start")),
            written: BTreeMap::new(),
        }
    }

    fn apply(&mut self, block: Vec<AccountChange>) -> Result<(), TestCaseError> {
        let changes = Changes::new(block);
        for change in changes.accounts() {
            let keys = change.slots.iter().map(|write| write.key);
            self.written.entry(change.key).or_default().extend(keys);
        }
        let root = self.ours.apply(&changes, self.pool.as_ref());
        let root = *root.expect("all is in memory");
        prop_assert_eq!(root, self.ethrex.apply(&changes));
        Ok(())
    }

    /// Compares the proofs of what was written, and of `others`.
    fn check_proofs(&self, others: &[B256], stride: usize) -> Result<(), TestCaseError> {
        let accounts = self.written.keys().chain(others);
        for account in accounts {
            let ours = self.ours.account_proof(account);
            let ours = ours.expect("all is in memory");
            prop_assert_eq!(ours, proof_in(&self.ethrex.accounts, account));
            let written = self.written.get(account).into_iter().flatten();
            for key in written.step_by(stride).chain(others) {
                let ours = self.ours.storage_proof(account, key);
                let ours = ours.expect("all is in memory");
                prop_assert_eq!(ours, self.ethrex.storage_proof(account, key));
            }
        }
        Ok(())
    }
}

/// Keys that agree with one of a few others in any number of leading nibbles, and differ in the next.
fn any_key() -> impl Strategy<Value = B256> {
    let ends = prop_oneof![3 => Just(0u8), 1 => 1u8..3, 1 => any::<u8>()];
    (0u8..4, 0usize..64, 0u8..16, ends).prop_map(|(number, shared, nibble, end)| {
        let mut key = [[0x00, 0x77, 0x5a, 0xff][usize::from(number)]; 32];
        let shift = 4 * (1 - shared % 2);
        key[shared / 2] ^= nibble << shift;
        key[shared.div_ceil(2).min(31)..]
            .iter_mut()
            .skip(1)
            .for_each(|byte| *byte ^= end);
        B256::from(key)
    })
}

/// Keys as hashes are.
fn any_hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

/// Zero, which deletes; short ones, whose nodes may stand in their parents; long ones.
fn any_value() -> impl Strategy<Value = U256> {
    prop_oneof![
        3 => Just(U256::ZERO),
        3 => (1u64..4).prop_map(U256::from),
        1 => (120u64..260).prop_map(U256::from),
        2 => any::<[u8; 32]>().prop_map(U256::from_be_bytes),
    ]
}

fn any_account() -> impl Strategy<Value = Account> {
    (any_value(), any_value(), any::<bool>()).prop_map(|(nonce, balance, has_code)| Account {
        nonce: nonce.as_limbs()[0],
        balance,
        code_hash: match has_code {
            true => B256::repeat_byte(7),
            false => Account::default().code_hash,
        },
    })
}

fn any_change() -> impl Strategy<Value = AccountChange> {
    let writes = prop_oneof![
        3 => btree_map(any_key(), any_value(), 0..8),
        1 => btree_map(any_key(), any_value(), 0..60),
        1 => btree_map(any_hash(), any_value(), 0..60),
    ];
    let account = proptest::option::weighted(0.75, any_account());
    (account, proptest::bool::weighted(0.15), writes).prop_map(
        |(account, storage_wiped, writes)| {
            let writes = writes.into_iter().filter(|_| account.is_some());
            AccountChange {
                key: B256::ZERO,
                account,
                storage_wiped,
                slots: writes
                    .map(|(key, value)| SlotWrite { key, value })
                    .collect(),
            }
        },
    )
}

/// Blocks that touch accounts of a small set, so that storage grows and goes, and others.
fn any_block() -> impl Strategy<Value = Vec<AccountChange>> {
    let again = (0u8..8).prop_map(|number| B256::repeat_byte(number * 0x11));
    let key = prop_oneof![2 => any_key(), 2 => again, 1 => any_hash()];
    btree_map(key, any_change(), 0..16).prop_map(|changes| {
        let changes = changes.into_iter();
        changes
            .map(|(key, change)| AccountChange { key, ..change })
            .collect()
    })
}

fn any_lanes() -> impl Strategy<Value = Lanes> {
    prop_oneof![3 => Just(Lanes::Widest), 1 => Just(Lanes::One)]
}

proptest! {
    #[test]
    fn random_blocks_have_ethrex_roots_and_proofs(
        blocks in vec(any_block(), 1..24),
        others in vec(any_key(), 4),
        lanes in any_lanes(),
        threads in 1usize..3,
    ) {
        let mut pair = Pair::new(lanes, threads);
        for block in blocks {
            pair.apply(block)?;
        }
        pair.check_proofs(&others, 1)?;
    }
}

/// The writes of one account with so many slots; every third deletes after the first block.
fn large_block(first: u64, count: u64, round: u64, wiped: bool) -> AccountChange {
    let writes = (first..first + count).map(|number| {
        let deletes = round > 0 && number % 3 == round % 3;
        SlotWrite {
            key: alloy_primitives::keccak256(number.to_be_bytes()),
            value: U256::from(if deletes { 0 } else { number + round + 1 }),
        }
    });
    AccountChange {
        key: B256::repeat_byte(0x42),
        account: Some(Account::default()),
        storage_wiped: wiped,
        slots: writes.collect(),
    }
}

proptest! {
    // A case is hundreds of times as large as one above.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.div_ceil(64),
        max_shrink_iters: 16,
        ..ProptestConfig::default()
    })]

    #[test]
    fn large_storage_has_ethrex_roots_and_proofs(
        rounds in vec((0u64..20_000, 1u64..20_000, proptest::bool::weighted(0.15)), 1..6),
        small in vec(any_block(), 6),
        others in vec(any_hash(), 4),
        lanes in any_lanes(),
        threads in 1usize..3,
    ) {
        let mut pair = Pair::new(lanes, threads);
        for ((round, (first, count, wiped)), mut block) in (0u64..).zip(rounds).zip(small) {
            block.retain(|change| change.key != B256::repeat_byte(0x42));
            block.push(large_block(first, count, round, wiped));
            pair.apply(block)?;
        }
        pair.check_proofs(&others, 37)?;
    }
}
