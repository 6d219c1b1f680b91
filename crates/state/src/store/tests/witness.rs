//! Witnesses of the newest state, cold parts of the trie included.

use super::*;
use crate::sparse::witness::{Touched, Witness};
use std::collections::BTreeMap;

/// All keys that a diff of these tests writes.
fn written(diff: &StateDiff) -> Touched {
    let mut touched = Touched::default();
    for (address, change) in &diff.accounts {
        touched.account(address);
        change
            .storage
            .keys()
            .for_each(|slot| touched.slot(address, slot));
    }
    touched
}

#[test]
fn a_witness_leads_to_the_root_that_the_commit_leads_to() {
    for trie_bytes_max in [None, Some(36_000)] {
        let config = StoreConfig {
            trie_bytes_max,
            ..CONFIG
        };
        let store = open_with(&MemoryDisk::new(), config);
        for height in 1..40 {
            let diff = diff(height);
            let parent = store.snapshot(height - 1).expect("newest");
            let codes = [Bytes::from_static(b"code")];
            let bytes = store.witness(height - 1, &written(&diff), &diff, &codes);
            let bytes = bytes.expect("of the newest height");
            let witness = Witness::decode(&bytes, *parent.root(), BTreeMap::new());
            let mut witness = witness.expect("of the parent's root");
            for address in diff.accounts.keys() {
                let shown = witness.account(address).expect("shown");
                assert_eq!(shown, parent.account(address).expect("memory"));
            }
            let code = witness.code(&keccak256(b"code")).expect("shown");
            assert_eq!(code, Some(codes[0].clone()));
            let root = witness.apply(&diff, None).expect("enough for the root");
            add_block(&store, diff);
            let committed = store.snapshot(height).expect("newest").root();
            assert_eq!(root, committed);
            if height % 3 == 0 {
                store.flush(height).expect("sealed");
            }
        }
    }
}

#[test]
fn only_the_newest_height_has_a_witness() {
    let store = open(&MemoryDisk::new());
    add_block(&store, diff(1));
    for asked in [0, 2] {
        let witness = store.witness(asked, &Touched::default(), &diff(2), &[]);
        match witness {
            Err(StoreError::UnknownHeight(unknown)) => {
                assert_eq!(
                    (unknown.asked, unknown.oldest, unknown.newest),
                    (asked, 1, 1)
                );
            }
            other => panic!("{other:?}"),
        }
    }
}
