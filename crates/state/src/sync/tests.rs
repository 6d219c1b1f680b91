//! States of every shape, through manifests, chunks, downloads and files, against the plain trie.

mod download;
mod file;
mod model;
mod tamper;

use super::{CHUNK_BYTES_MAX, LeafScan, MANIFEST_BYTES_MAX, Manifest, ManifestError, ScanError};
use alloy_primitives::{B256, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use model::{Shape, TestState, any_limit, any_shape};
use proptest::prelude::*;

/// What all chunks hold.
fn collect(manifest: &Manifest, state: &TestState) -> TestState {
    let mut collected = TestState::default();
    for number in 0..manifest.chunks().len() {
        let bytes = manifest.serve(state, number).expect("a chunk");
        let chunk = manifest.check(number, &bytes).expect("an honest chunk");
        assert_eq!(chunk.number(), number);
        collected.take(&chunk);
    }
    collected
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn chunks_give_the_state(shape in any_shape(), limit in any_limit()) {
        let state = TestState::new(&shape);
        let manifest = Manifest::scan(&state, state.root(), limit).expect("a state");
        let bytes = manifest.bytes().clone();
        let decoded = Manifest::decode(bytes, state.root(), manifest.digest()).expect("honest");
        prop_assert_eq!(decoded.chunks(), manifest.chunks());
        prop_assert!(decoded.chunks().iter().all(|chunk| chunk.bytes <= limit));
        let mut collected = collect(&decoded, &state);
        collected.codes = state.codes.clone();
        prop_assert_eq!(&collected, &state);
        prop_assert_eq!(collected.root(), state.root());
    }

    #[test]
    fn a_subtrie_stands_open_only_when_it_must(shape in any_shape(), limit in any_limit()) {
        let state = TestState::new(&shape);
        let manifest = Manifest::scan(&state, state.root(), limit).expect("a state");
        // Two neighbouring chunks of one trie that would fit into one, with no open account between.
        for pair in manifest.chunks().windows(2) {
            let [one, other] = pair else { continue };
            if one.account.is_none() || one.account != other.account {
                continue;
            }
            let first = manifest.units(other)[0];
            let keys = (first.first, first.last());
            let account = manifest.accounts()[one.account.unwrap()].key;
            prop_assert!(one.bytes + state.slot_bytes(&account, keys) > limit);
        }
        // An account stands open only when it does not fit into a chunk.
        for account in manifest.accounts() {
            prop_assert!(state.account_bytes(&account.key) > limit);
        }
    }

    #[test]
    fn open_branches_are_heavy(keys in model::any_keys(), limit in any_limit()) {
        // Slots by made-up keys, with long shared prefixes: never served, but scanned and decoded.
        let state = TestState::with_slot_keys(&keys);
        let manifest = Manifest::scan(&state, state.root(), limit).expect("a state");
        for chunk in manifest.chunks() {
            let Some(account) = chunk.account else { continue };
            let account = manifest.accounts()[account].key;
            let mut bytes = 0;
            for unit in manifest.units(chunk) {
                let parent = model::parent(unit);
                bytes += state.slot_bytes(&account, (unit.first, unit.last()));
                prop_assert!(unit.depth == 0 || state.slot_bytes(&account, parent) > limit);
            }
            prop_assert_eq!(bytes, chunk.bytes);
        }
    }
}

#[test]
fn the_empty_state_has_no_chunks() {
    let state = TestState::default();
    let manifest = Manifest::scan(&state, EMPTY_ROOT_HASH, CHUNK_BYTES_MAX).unwrap();
    assert_eq!(manifest.chunks(), []);
    let bytes = manifest.bytes().clone();
    let error = Manifest::decode(bytes, B256::ZERO, manifest.digest()).unwrap_err();
    assert!(matches!(error, ManifestError::Root { .. }));
}

#[test]
fn one_account_is_one_chunk() {
    let state = TestState::new(&Shape {
        accounts: 1,
        ..Shape::default()
    });
    let manifest = Manifest::scan(&state, state.root(), CHUNK_BYTES_MAX).unwrap();
    assert_eq!(manifest.chunks().len(), 1);
    assert_eq!(collect(&manifest, &state), state);
}

#[test]
fn a_state_that_is_not_its_root_is_not_offered() {
    let mut state = TestState::new(&Shape {
        accounts: 40,
        storages: 3,
        slots: 30,
        ..Shape::default()
    });
    let error = Manifest::scan(&state, B256::ZERO, 256).unwrap_err();
    assert!(matches!(error, ScanError::Root { .. }), "{error}");

    let root = state.root();
    let key = *state.accounts.keys().last().unwrap();
    let whole = state.clone();
    state.accounts.get_mut(&key).unwrap().0.account.nonce += 1;
    let error = Manifest::scan(&state, root, 256).unwrap_err();
    assert!(matches!(error, ScanError::Root { .. }), "{error}");

    for limit in [256, CHUNK_BYTES_MAX] {
        let mut state = whole.clone();
        let (owner, slots) = state
            .accounts
            .values_mut()
            .find(|(_, slots)| !slots.is_empty())
            .unwrap();
        let account = owner.key;
        slots.values_mut().next().unwrap().value += U256::ONE;
        let error = Manifest::scan(&state, root, limit).unwrap_err();
        let (ScanError::StorageRoot { account: found, .. }
        | ScanError::Root {
            computed: found, ..
        }) = error
        else {
            panic!("{error}");
        };
        assert!(found == account || limit == 256, "{error}");
    }
}

#[test]
fn a_changed_state_is_not_served() {
    let shape = Shape {
        accounts: 60,
        ..Shape::default()
    };
    let mut state = TestState::new(&shape);
    let manifest = Manifest::scan(&state, state.root(), 512).unwrap();
    let key = *state.accounts.keys().next().unwrap();
    state.accounts.remove(&key);
    assert!(manifest.serve(&state, 0).is_err());
    assert!(manifest.serve(&state, manifest.chunks().len()).is_err());
    assert!(manifest.check(manifest.chunks().len(), &[]).is_err());
}

#[test]
fn unordered_and_zero_leaves_are_found() {
    let mut state = TestState::new(&Shape {
        accounts: 5,
        storages: 1,
        slots: 5,
        ..Shape::default()
    });
    let root = state.root();
    state.is_reversed = true;
    let error = Manifest::scan(&state, root, 256).unwrap_err();
    assert!(matches!(error, ScanError::Order { .. }), "{error}");
    state.is_reversed = false;
    let (_, slots) = state
        .accounts
        .values_mut()
        .find(|(_, slots)| !slots.is_empty())
        .unwrap();
    slots.values_mut().next().unwrap().value = U256::ZERO;
    let error = Manifest::scan(&state, root, 256).unwrap_err();
    assert!(matches!(error, ScanError::ZeroSlot { .. }), "{error}");
}

#[test]
fn long_manifests_are_refused() {
    let bytes = vec![0; MANIFEST_BYTES_MAX + 1];
    let error = Manifest::decode(bytes.into(), B256::ZERO, B256::ZERO).unwrap_err();
    assert_eq!(error, ManifestError::TooLong(MANIFEST_BYTES_MAX + 1));
}

#[test]
fn scans_begin_at_a_key() {
    let state = TestState::new(&Shape {
        accounts: 9,
        ..Shape::default()
    });
    let key = *state.accounts.keys().nth(4).unwrap();
    assert_eq!(state.accounts(&key).count(), 5);
}

#[test]
fn storage_travels_when_it_just_fits() {
    let state = TestState::new(&Shape {
        accounts: 1,
        storages: 1,
        slots: 100,
        ..Shape::default()
    });
    let key = *state.accounts.keys().next().unwrap();
    let bytes = state.account_bytes(&key);
    for (limit, open) in [(bytes, 0), (bytes - 1, 1)] {
        let manifest = Manifest::scan(&state, state.root(), limit).unwrap();
        assert_eq!(manifest.accounts().len(), open);
        assert_eq!(manifest.chunks()[0].bytes == bytes, open == 0);
        assert_eq!(collect(&manifest, &state), state);
    }
}
