//! States of which parts are not in memory: dropped and resolved at random, and witnesses.

use super::model::{Model, any_batches, any_key};
use super::{Changes, SparseTrie, empty};
use crate::reader::StateReader;
use crate::sparse::residency::{AccountRow, Leaves, ResolveError};
use crate::sparse::trie::Missing;
use crate::sparse::witness::{Touched, Witness, WitnessError};
use crate::sparse::{LimitTooLow, SlotWrite};
use alloy_primitives::{B256, Bytes, U256};
use alloy_trie::Nibbles;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

impl Model {
    /// The leaves of a range, as flat tables give them.
    fn leaves_of(&self, missing: &Missing) -> Leaves {
        let inside = |key: &B256| Nibbles::unpack(key).starts_with(&missing.path);
        if let Some(account) = missing.account {
            let slots = self.accounts[&account]
                .1
                .iter()
                .filter(|(key, _)| inside(key));
            let slots = slots.map(|(key, value)| SlotWrite {
                key: *key,
                value: *value,
            });
            return Leaves::Slots(slots.collect());
        }
        let accounts = self.accounts.iter().filter(|(key, _)| inside(key));
        let rows = accounts.map(|(key, (account, slots))| AccountRow {
            key: *key,
            account: *account,
            storage_root: super::model::storage_root(slots),
        });
        Leaves::Accounts(rows.collect())
    }

    /// Resolves until the writes can be applied.
    fn resolve(&self, trie: &mut SparseTrie, changes: &Changes) {
        for round in 0.. {
            assert!(round < 200, "resolving ends");
            let missing = trie.missing(changes);
            if missing.is_empty() {
                return;
            }
            for missing in missing {
                let root = trie.root();
                assert_eq!(trie.apply(changes, None).map_err(|_| ()), Err(()));
                assert_eq!(trie.root(), root);
                self.reject_others(trie, &missing);
                assert_eq!(trie.resolve(&missing, &self.leaves_of(&missing)), Ok(()));
                assert!(trie.resolve(&missing, &self.leaves_of(&missing)).is_err());
            }
        }
    }

    /// Leaves that were tampered with are refused.
    fn reject_others(&self, trie: &mut SparseTrie, missing: &Missing) {
        let mismatch = Err(ResolveError::Mismatch(missing.clone()));
        let mut leaves = self.leaves_of(missing);
        match &mut leaves {
            Leaves::Slots(slots) => slots[0].value ^= U256::from(1) << 200,
            Leaves::Accounts(rows) => rows[0].account.nonce ^= 1,
        }
        assert_eq!(trie.resolve(missing, &leaves), mismatch);
        match &mut leaves {
            Leaves::Slots(slots) => slots.clear(),
            Leaves::Accounts(rows) => rows.clear(),
        }
        assert_eq!(trie.resolve(missing, &leaves), mismatch);
    }

    fn touched(&self, keys: &[B256]) -> Touched {
        let mut touched = Touched::default();
        for key in keys {
            touched.account_key(*key);
            touched.slot_key(*key, B256::ZERO);
            if let Some((_, slots)) = self.accounts.get(key) {
                slots
                    .keys()
                    .take(3)
                    .for_each(|slot| touched.slot_key(*key, *slot));
            }
        }
        touched
    }
}

/// What to drop before a batch: whether storage, near which keys, and how deep.
type Drop = (bool, B256, B256, usize);

fn any_drops() -> impl Strategy<Value = Vec<Drop>> {
    vec((any::<bool>(), any_key(), any_key(), 0usize..8), 0..12)
}

fn drop_some(trie: &mut SparseTrie, model: &Model, drops: &[Drop]) {
    for (storage, near, slot, depth) in drops {
        let account = model
            .accounts
            .range::<B256, _>(near..)
            .next()
            .map(|(key, _)| *key);
        let Some(account) = account else {
            continue;
        };
        match storage {
            true => {
                let slots = &model.accounts[&account].1;
                let slot = slots
                    .range::<B256, _>(slot..)
                    .next()
                    .map_or(*slot, |(key, _)| *key);
                trie.drop_subtrie(Some(&account), &Nibbles::unpack(slot).slice(..*depth));
            }
            false => {
                trie.drop_subtrie(None, &Nibbles::unpack(account).slice(..*depth));
            }
        }
    }
}

proptest! {
    #[test]
    fn dropping_and_resolving_changes_no_root(
        batches in any_batches(),
        drops in vec((any_drops(), any::<bool>()), 8),
        whole: bool,
    ) {
        let (mut trie, mut model) = (empty(whole), Model::default());
        for (batch, (drops, shrink)) in batches.into_iter().zip(drops) {
            drop_some(&mut trie, &model, &drops);
            if shrink {
                let limit = trie.bytes() * 3 / 4;
                let shrunk = trie.shrink(limit, u32::MAX);
                let holds = match shrunk {
                    Ok(bytes) => bytes <= limit && trie.bytes() == bytes,
                    Err(LimitTooLow { floor_bytes, .. }) => floor_bytes > limit,
                };
                prop_assert!(holds, "limit={} {:?}", limit, shrunk);
            }
            trie.advance_epoch();
            prop_assert_eq!(*trie.root(), model.alloy_root());
            let changes = Changes::new(batch);
            model.resolve(&mut trie, &changes);
            let root = trie.apply(&changes, None);
            model.apply(&changes);
            prop_assert_eq!(root.map(|root| *root), Ok(model.alloy_root()));
        }
    }

    #[test]
    fn witness_gives_the_state_and_the_next_root(
        batches in any_batches(),
        last in any_batches(),
        keys in vec(any_key(), 4),
        whole: bool,
        drops in any_drops(),
    ) {
        let (mut trie, mut model) = (empty(whole), Model::default());
        for batch in batches {
            let changes = Changes::new(batch);
            trie.apply(&changes, None).expect("all is resolved");
            model.apply(&changes);
        }
        let changes = Changes::new(last[0].clone());
        let code = Bytes::from_static(b"code");
        let touched = model.touched(&keys);
        let bytes = trie.witness(touched.clone(), &changes, std::slice::from_ref(&code));
        let bytes = bytes.expect("all is resolved");
        let mut witness = Witness::decode(&bytes, *trie.root(), BTreeMap::new()).expect("it is one");
        prop_assert_eq!(witness.root(), trie.root());
        for key in &keys {
            witness.check_reads(&model, key)?;
        }
        let known = witness.code(&alloy_primitives::keccak256(&code)).expect("it is there");
        prop_assert_eq!(known, Some(code));
        prop_assert!(witness.code(&B256::ZERO).is_err() && witness.block_hash(0).is_err());
        // A trie with parts dropped gives the same witness or says what is missing.
        drop_some(&mut trie, &model, &drops);
        if let Ok(again) = trie.witness(touched, &changes, &[Bytes::from_static(b"code")]) {
            prop_assert_eq!(&again, &bytes);
        }
        model.apply(&changes);
        let root = witness.apply_changes(&changes, None);
        prop_assert_eq!(root.map(|root| *root), Ok(model.alloy_root()));
    }

    #[test]
    fn tampered_witness_is_an_error_or_the_same_state(
        batches in any_batches(),
        last in any_batches(),
        flips in vec((any::<proptest::sample::Index>(), 1u8..=255), 24),
        noise in vec(any::<u8>(), 0..200),
    ) {
        let (mut trie, mut model) = (empty(false), Model::default());
        for batch in batches {
            let changes = Changes::new(batch);
            trie.apply(&changes, None).expect("all is resolved");
            model.apply(&changes);
        }
        let changes = Changes::new(last[0].clone());
        let bytes = trie.witness(Touched::default(), &changes, &[]).expect("all is resolved");
        let before = *trie.root();
        let after = *trie.apply(&changes, None).expect("all is resolved");
        let outcome = |bytes: &[u8]| -> Result<B256, WitnessError> {
            let mut witness = Witness::decode(bytes, before, BTreeMap::new())?;
            Ok(witness.apply_changes(&changes, None).map_or(after, |root| *root))
        };
        prop_assert_eq!(outcome(&bytes), Ok(after));
        for (at, mask) in flips {
            let mut flipped = bytes.to_vec();
            flipped[at.index(bytes.len())] ^= mask;
            prop_assert!(outcome(&flipped).is_err(), "every byte counts");
            prop_assert!(outcome(&bytes[..at.index(bytes.len())]).is_err());
        }
        prop_assert!(outcome(&noise).is_err());
        prop_assert!(outcome(&[&bytes, &noise[..]].concat()).is_err() || noise.is_empty());
    }
}

impl Witness {
    fn check_reads(&self, model: &Model, key: &B256) -> Result<(), TestCaseError> {
        let leaf = self.trie().account_leaf(key).expect("it was touched");
        let account = model.accounts.get(key);
        prop_assert_eq!(
            leaf.map(|(arena, leaf)| arena.account(leaf)),
            account.map(|found| found.0)
        );
        let slots = account.map(|(_, slots)| slots.clone()).unwrap_or_default();
        for slot in slots.keys().take(3).chain([&B256::ZERO]) {
            let value = slots.get(slot).copied().unwrap_or_default();
            prop_assert_eq!(self.trie().slot(key, slot), Ok(value));
        }
        Ok(())
    }
}

#[test]
fn witness_of_another_version_or_too_long_is_refused() {
    let root = *empty(true).root();
    let decode = |bytes: &[u8]| Witness::decode(bytes, root, BTreeMap::new()).map(drop);
    assert_eq!(decode(&[2, 5, 0, 0, 0, 0]), Err(WitnessError::Version(2)));
    assert_eq!(decode(&[1, 5, 0, 0, 0, 0]), Ok(()));
    let long = vec![0; crate::sparse::witness::WITNESS_BYTES_MAX + 1];
    assert_eq!(decode(&long), Err(WitnessError::TooLong(long.len())));
}
