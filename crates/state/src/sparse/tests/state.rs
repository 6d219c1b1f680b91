//! Whole states: diffs of blocks.

use super::{Changes, SparseTrie};
use crate::memory::MemoryState;
use crate::reader::StateReader;
use crate::sparse::keccak::Lanes;
use crate::trie::StateTrie;
use crate::trie::tests::any_diff;
use alloy_primitives::{Address, B256, U256};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn diffs_give_what_the_other_trie_gives(diffs in vec(any_diff(), 1..10)) {
        let (mut trie, mut other) = (SparseTrie::new(Lanes::Widest), StateTrie::default());
        let mut model = MemoryState::default();
        for diff in &diffs {
            let root = trie.apply(&Changes::of(diff, Lanes::Widest), None).expect("all is resolved");
            other = other.apply(diff);
            model.apply(diff);
            prop_assert_eq!(root, other.root());
        }
        let slots: Vec<B256> = (0u64..14).map(|slot| U256::from(slot).into()).collect();
        for address in (0u8..30).map(Address::repeat_byte) {
            let proof = trie.proof(&address, &slots).expect("all is resolved");
            prop_assert_eq!(proof, other.proof(&address, &slots));
            let account = model.account(&address).expect("a map");
            prop_assert_eq!(trie.account(&address), Ok(account));
            for slot in (0u64..14).map(U256::from) {
                let value = model.storage(&address, &slot).expect("a map");
                prop_assert_eq!(trie.storage(&address, &slot), Ok(value));
            }
        }
    }
}
