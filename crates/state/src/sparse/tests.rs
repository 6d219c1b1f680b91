//! The trie against three others: alloy-trie's builder and verifier, the persistent trie of this crate
//! and the published vectors.

mod hostile;
mod model;
mod partial;
mod published;
mod state;

use super::changes::{AccountChange, Changes};
use super::keccak::Lanes;
use super::leaf::SlotWrite;
use super::split::Split;
use super::trie::{Missing, SparseTrie};
use alloy_primitives::B256;
use model::{Model, any_batches, any_key};
use proptest::collection::vec;
use proptest::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool of so many threads; none for one.
pub(super) fn pool(workers: usize) -> Option<ThreadPool> {
    let pool = ThreadPoolBuilder::new().num_threads(workers);
    (workers > 1).then(|| pool.build().expect("threads start"))
}

pub(super) fn empty(whole: bool) -> SparseTrie {
    match whole {
        true => SparseTrie::over(Split::whole(), Lanes::Widest),
        false => SparseTrie::new(Lanes::Widest),
    }
}

proptest! {
    #[test]
    fn roots_and_proofs_equal_others(
        batches in any_batches(),
        absent in vec(any_key(), 4),
        whole: bool,
        workers in prop_oneof![Just(1usize), Just(2), Just(4)],
    ) {
        let (mut trie, mut model, pool) = (empty(whole), Model::default(), pool(workers));
        for batch in batches {
            let changes = Changes::new(batch);
            let root = trie.apply(&changes, pool.as_ref()).expect("all is resolved");
            model.apply(&changes);
            prop_assert_eq!(*root, model.alloy_root());
            prop_assert_eq!(*root, model.persistent_root());
        }
        let keys: Vec<B256> = model.accounts.keys().copied().chain(absent).collect();
        for key in keys {
            model.check_proofs(&trie, &key)?;
        }
    }

    #[test]
    fn equal_contents_have_equal_roots(batches in any_batches(), whole: bool) {
        let (mut trie, mut model) = (empty(whole), Model::default());
        for batch in batches {
            let changes = Changes::new(batch);
            trie.apply(&changes, None).expect("all is resolved");
            model.apply(&changes);
        }
        let mut rebuilt = empty(whole);
        prop_assert_eq!(rebuilt.apply(&model.changes(), None), Ok(trie.root()));
        // Nothing is live that the roots do not lead to.
        let live = trie.live_bytes();
        for split in trie.large.values_mut().chain([&mut trie.accounts]) {
            for part in &mut split.parts {
                part.root = part.arena.compact(part.root);
            }
        }
        prop_assert_eq!(trie.live_bytes(), live);
        prop_assert_eq!(rebuilt.apply(&Changes::default(), None), Ok(trie.root()));
    }
}

#[test]
fn lanes_do_not_matter() {
    let key = |number: u64| alloy_primitives::keccak256(number.to_be_bytes());
    let slots = (0..5000).map(|number| SlotWrite {
        key: key(number),
        value: alloy_primitives::U256::from(number + 1),
    });
    let change = AccountChange {
        key: key(0),
        account: Some(crate::reader::Account::default()),
        storage_wiped: false,
        slots: slots.collect(),
    };
    let changes = Changes::new(vec![change]);
    let mut one = SparseTrie::new(Lanes::One);
    let mut wide = SparseTrie::new(Lanes::Widest);
    assert_eq!(one.apply(&changes, None), wide.apply(&changes, None));
}

#[test]
fn empty_trie_has_the_empty_root() {
    for whole in [true, false] {
        let mut trie = empty(whole);
        assert_eq!(*trie.root(), alloy_trie::EMPTY_ROOT_HASH);
        assert_eq!(trie.apply(&Changes::default(), None), Ok(trie.root()));
        let none: Result<Option<_>, Missing> = trie.account(&alloy_primitives::Address::ZERO);
        assert_eq!(none, Ok(None));
    }
}
