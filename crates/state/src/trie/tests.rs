//! The trie against two others: alloy-trie's builder and verifier, and the definition in the yellow
//! paper written down naively (which also covers keys that are prefixes of others).

use super::update::Write;
use super::{StateTrie, Trie, root_of};
use crate::diff::{AccountDiff, StateDiff};
use crate::memory::MemoryState;
use crate::reader::Account;
use alloy_primitives::{Address, B256, U256, b256, keccak256};
use alloy_rlp::{Encodable, Header};
use alloy_trie::nodes::encode_path_leaf;
use alloy_trie::proof::verify_proof;
use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;
/// New values by key; `None` deletes.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

fn apply(trie: &Trie<Vec<u8>>, changes: &Changes) -> Trie<Vec<u8>> {
    let writes = changes.iter().map(|(key, value)| Write {
        key: Nibbles::unpack(key),
        value: value.clone(),
    });
    trie.apply(writes.collect())
}

fn apply_to_map(map: &mut Map, changes: &Changes) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(map.insert(key.clone(), value.clone())),
            None => drop(map.remove(key)),
        }
    }
}

fn alloy_root(map: &Map) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in map {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}

/// The root by definition: structural composition over sorted (nibbles, value) pairs.
fn naive_root(map: &Map) -> B256 {
    let unpack = |(key, value): (&Vec<u8>, &Vec<u8>)| (Nibbles::unpack(key), value.clone());
    let entries: Vec<_> = map.iter().map(unpack).collect();
    match entries.is_empty() {
        true => EMPTY_ROOT_HASH,
        false => keccak256(naive_node(&entries, 0)),
    }
}

fn naive_node(entries: &[(Nibbles, Vec<u8>)], depth: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    let (first, last) = (&entries[0].0, &entries[entries.len() - 1].0);
    let shared = first.common_prefix_length(last);
    if entries.len() == 1 {
        encode_path_leaf(&first.slice(depth..), true)[..].encode(&mut payload);
        entries[0].1[..].encode(&mut payload);
    } else if shared > depth {
        encode_path_leaf(&first.slice(depth..shared), false)[..].encode(&mut payload);
        payload.extend(naive_reference(entries, shared));
    } else {
        for nibble in 0..16 {
            let child = entries
                .iter()
                .filter(|(key, _)| key.get(depth) == Some(nibble));
            let child: Vec<_> = child.cloned().collect();
            match child.is_empty() {
                true => payload.push(0x80),
                false => payload.extend(naive_reference(&child, depth + 1)),
            }
        }
        let ending = entries.iter().find(|(key, _)| key.len() == depth);
        ending
            .map_or(&[][..], |(_, value)| value)
            .encode(&mut payload);
    }
    let mut node = Vec::new();
    let payload_length = payload.len();
    Header {
        list: true,
        payload_length,
    }
    .encode(&mut node);
    node.extend(payload);
    node
}

fn naive_reference(entries: &[(Nibbles, Vec<u8>)], depth: usize) -> Vec<u8> {
    let node = naive_node(entries, depth);
    match node.len() < 32 {
        true => node,
        false => alloy_rlp::encode(keccak256(node)),
    }
}

/// Keys of one length that share long prefixes.
fn fixed_key(length: usize) -> impl Strategy<Value = Vec<u8>> {
    let nibbles = prop_oneof![3 => Just(0u8), 2 => Just(0x01), 1 => Just(0x10), 1 => any::<u8>()];
    vec(nibbles, length)
}

fn any_value() -> impl Strategy<Value = Vec<u8>> {
    // Short ones make nodes below 32 bytes, which their parents embed.
    prop_oneof![vec(any::<u8>(), 1..4), vec(any::<u8>(), 28..60)]
}

fn batches(key: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<Changes>> {
    vec(
        btree_map(key, proptest::option::weighted(0.6, any_value()), 0..24),
        1..8,
    )
}

/// Applies the batches one by one; every version keeps the root it had.
fn check_batches(batches: &[Changes], oracle: fn(&Map) -> B256) -> Result<(), TestCaseError> {
    let (mut map, mut trie) = (Map::new(), Trie::default());
    let mut versions = Vec::new();
    for changes in batches {
        trie = apply(&trie, changes);
        apply_to_map(&mut map, changes);
        prop_assert_eq!(trie.root_hash(), oracle(&map));
        prop_assert_eq!(trie.root_hash(), root_of(&map));
        versions.push((trie.clone(), map.clone()));
    }
    for (trie, map) in &versions {
        prop_assert_eq!(trie.root_hash(), oracle(map));
        for key in batches.iter().flat_map(|changes| changes.keys()) {
            prop_assert_eq!(trie.get(&Nibbles::unpack(key)), map.get(key));
        }
    }
    Ok(())
}

fn check_proofs(batches: &[Changes], absent: &[Vec<u8>]) -> Result<(), TestCaseError> {
    // The verifier can't do tries whose root node is below 32 bytes.
    let long = Changes::from([(vec![0xff; absent[0].len()], Some(vec![1; 40]))]);
    let (mut map, mut trie) = (Map::new(), apply(&Trie::default(), &long));
    apply_to_map(&mut map, &long);
    for changes in batches {
        trie = apply(&trie, changes);
        apply_to_map(&mut map, changes);
    }
    let written = batches.iter().flat_map(|changes| changes.keys());
    for key in written.chain(absent) {
        let (nibbles, expected) = (Nibbles::unpack(key), map.get(key).cloned());
        let proof = trie.proof(&nibbles);
        let verdict = verify_proof(trie.root_hash(), nibbles, expected, &proof);
        prop_assert!(verdict.is_ok(), "key={key:?} {verdict:?}");
    }
    Ok(())
}

proptest! {
    #[test]
    fn equals_alloy_on_short_keys(batches in batches(fixed_key(2))) {
        check_batches(&batches, alloy_root)?;
    }

    #[test]
    fn equals_alloy_on_long_keys(batches in batches(fixed_key(32))) {
        check_batches(&batches, alloy_root)?;
    }

    #[test]
    fn equals_definition_on_keys_of_any_length(
        batches in batches((0usize..5).prop_flat_map(fixed_key))
    ) {
        check_batches(&batches, naive_root)?;
    }

    #[test]
    fn alloy_accepts_proofs_on_short_keys(
        batches in batches(fixed_key(2)),
        absent in vec(fixed_key(2), 8),
    ) {
        check_proofs(&batches, &absent)?;
    }

    #[test]
    fn alloy_accepts_proofs_on_long_keys(
        batches in batches(fixed_key(32)),
        absent in vec(fixed_key(32), 8),
    ) {
        check_proofs(&batches, &absent)?;
    }
}

type Entries = &'static [(&'static str, &'static str)];

/// From the public Ethereum tests (TrieTests/trieanyorder).
#[test]
fn equals_published_roots() {
    let cases: [(Entries, B256); 5] = [
        (
            &[
                ("doe", "reindeer"),
                ("dog", "puppy"),
                ("dogglesworth", "cat"),
            ],
            b256!("8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3"),
        ),
        (
            &[
                ("do", "verb"),
                ("horse", "stallion"),
                ("doge", "coin"),
                ("dog", "puppy"),
            ],
            b256!("5991bb8c6514148a29db676a14ac506cd2cd5775ace63c30a4fe457715e9ac84"),
        ),
        (
            &[("foo", "bar"), ("food", "bass")],
            b256!("17beaa1648bafa633cda809c90c04af50fc8aed3cb40d16efbddee6fdf63c4c3"),
        ),
        (
            &[("be", "e"), ("dog", "puppy"), ("bed", "d")],
            b256!("3f67c7a47520f79faa29255d2d3c084a7a6df0453116ed7232ff10277a8be68b"),
        ),
        (
            &[("test", "test"), ("te", "testy")],
            b256!("8452568af70d8d140f58d941338542f645fcca50094b20f3c3d8c3df49337928"),
        ),
    ];
    for (entries, root) in cases {
        let entries = entries.iter();
        let map = entries.map(|(key, value)| (key.as_bytes().into(), value.as_bytes().into()));
        assert_eq!(root_of(&map.collect()), root);
    }
}

#[test]
fn empty_trie_proves_nothing_with_nothing() {
    let trie = Trie::<U256>::default();
    assert_eq!(trie.root_hash(), EMPTY_ROOT_HASH);
    assert!(trie.proof(&Nibbles::unpack([7])).is_empty());
}

#[test]
#[should_panic(expected = "each key once")]
fn refuses_two_writes_of_one_key() {
    let write = |value| Write {
        key: Nibbles::unpack([1]),
        value: Some(U256::from(value)),
    };
    Trie::default().apply(vec![write(1), write(2)]);
}

fn any_word() -> impl Strategy<Value = U256> {
    prop_oneof![
        Just(U256::ZERO),
        (1u64..4).prop_map(U256::from),
        any::<[u8; 32]>().prop_map(U256::from_be_bytes)
    ]
}

fn any_account_diff() -> impl Strategy<Value = AccountDiff> {
    let account = (0u64..3, any_word(), any::<bool>()).prop_map(|(nonce, balance, code)| Account {
        nonce,
        balance,
        code_hash: if code {
            B256::repeat_byte(7)
        } else {
            Account::default().code_hash
        },
    });
    let slots = btree_map((0u64..12).prop_map(U256::from), any_word(), 0..8);
    let account = proptest::option::weighted(0.85, account);
    (account, proptest::bool::weighted(0.15), slots).prop_map(
        |(account, storage_wiped, storage)| AccountDiff {
            account,
            storage_wiped,
            storage,
        },
    )
}

pub(crate) fn any_diff() -> impl Strategy<Value = StateDiff> {
    let address = (0u8..24).prop_map(Address::repeat_byte);
    btree_map(address, any_account_diff(), 0..10).prop_map(|accounts| StateDiff {
        accounts,
        code: BTreeMap::new(),
    })
}

fn alloy_account(account: &Account, slots: &BTreeMap<U256, U256>) -> TrieAccount {
    let slots = slots
        .iter()
        .map(|(slot, value)| (B256::from(*slot), *value));
    let root = storage_root_unhashed(slots);
    TrieAccount::new(account.nonce, account.balance, root, account.code_hash)
}

proptest! {
    #[test]
    fn state_equals_alloy(diffs in vec(any_diff(), 1..10)) {
        let (mut trie, mut model) = (StateTrie::default(), MemoryState::default());
        for diff in &diffs {
            trie = trie.apply(diff);
            model.apply(diff);
            let accounts = model.iter().map(|(address, account, slots)| {
                (address, alloy_account(&account, &slots))
            });
            prop_assert_eq!(*trie.root(), state_root_unhashed(accounts));
            prop_assert_eq!(trie.root(), model.root());
        }
    }

    #[test]
    fn merged_diffs_equal_diffs_in_turn(diffs in vec(any_diff(), 1..6)) {
        let (mut merged, mut model) = (StateDiff::default(), MemoryState::default());
        let mut before = MemoryState::default();
        before.apply(&diffs[0]);
        model.apply(&diffs[0]);
        for diff in &diffs[1..] {
            merged.merge(diff);
            model.apply(diff);
        }
        before.apply(&merged);
        prop_assert_eq!(before, model);
    }

    #[test]
    fn alloy_accepts_state_proofs(diffs in vec(any_diff(), 1..6)) {
        let (mut trie, mut model) = (StateTrie::default(), MemoryState::default());
        for diff in &diffs {
            trie = trie.apply(diff);
            model.apply(diff);
        }
        let slots: Vec<B256> = (0u64..14).map(|slot| U256::from(slot).into()).collect();
        let accounts: BTreeMap<_, _> = model.iter().map(|(a, b, c)| (a, (b, c))).collect();
        for address in (0u8..30).map(Address::repeat_byte) {
            let proof = trie.proof(&address, &slots);
            let found = accounts.get(&address);
            prop_assert_eq!(proof.account, found.map(|(account, _)| *account));
            let leaf = found.map(|(account, slots)| alloy_rlp::encode(alloy_account(account, slots)));
            let key = Nibbles::unpack(keccak256(address));
            prop_assert!(verify_proof(*trie.root(), key, leaf, &proof.proof).is_ok());
            for slot in &proof.storage {
                let value = found.and_then(|(_, slots)| slots.get(&slot.key)).copied();
                prop_assert_eq!(slot.value, value.unwrap_or_default());
                let key = Nibbles::unpack(keccak256(B256::from(slot.key)));
                let leaf = value.map(alloy_rlp::encode);
                prop_assert!(verify_proof(proof.storage_root, key, leaf, &slot.proof).is_ok());
            }
        }
    }

    #[test]
    fn digests_of_ranges_add_up(diff in any_diff(), nibble in 0u8..16) {
        let sum = |prefix: &[u8]| {
            let ranges = (0u8..16).map(|next| [prefix, &[next]].concat());
            ranges.fold(U256::ZERO, |sum, range| sum.wrapping_add(diff.digest_range(&range)))
        };
        prop_assert_eq!(diff.digest(), sum(&[]));
        prop_assert_eq!(diff.digest_range(&[nibble]), sum(&[nibble]));
        for address in diff.accounts.keys() {
            let mut other = diff.clone();
            let balance = other.accounts.get_mut(address).and_then(|change| change.account.as_mut());
            if let Some(account) = balance {
                account.nonce += 1;
                prop_assert_ne!(other.digest(), diff.digest());
            }
        }
    }
}
