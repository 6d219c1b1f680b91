//! Random blocks, flushes, blocks taken back and reopenings, with any history and any share of the trie in memory: at every height
//! kept, the store answers as a map.

use super::*;
use crate::trie::tests::any_diff;
use proptest::collection::vec;
use proptest::prelude::*;
use std::num::NonZeroUsize;

#[derive(Clone, Debug)]
enum Step {
    Block(StateDiff),
    /// So many heights below the newest.
    Flush(u64),
    /// The same, but nothing that is in the files.
    TakeBack(u64),
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => any_diff().prop_map(Step::Block),
        2 => (0u64..3).prop_map(Step::Flush),
        2 => (0u64..4).prop_map(Step::TakeBack),
        1 => Just(Step::Reopen),
    ]
}

fn check_height(store: &Store, model: &MemoryState, height: u64) -> Result<(), TestCaseError> {
    let snapshot = store.snapshot(height).expect("kept");
    prop_assert_eq!(snapshot.root(), model.root());
    let slots: Vec<U256> = (0u64..13).map(U256::from).collect();
    for address in (0u8..26).map(address) {
        let account = model.account(&address).expect("memory");
        prop_assert_eq!(snapshot.account(&address).expect("memory"), account);
        for slot in &slots {
            let value = model.storage(&address, slot).expect("memory");
            prop_assert_eq!(snapshot.storage(&address, slot).expect("memory"), value);
        }
    }
    let probe = address(u8::try_from(height % 26).expect("below 26"));
    let keys: Vec<B256> = slots.iter().map(|slot| B256::from(*slot)).collect();
    let proof = match snapshot.proof(&probe, &keys) {
        Err(ProofError::TooManyWrites { .. }) => return Ok(()),
        proof => proof.expect("memory"),
    };
    for slot in &proof.storage {
        let value = (!slot.value.is_zero()).then(|| alloy_rlp::encode(slot.value));
        let key = Nibbles::unpack(keccak256(slot.key.to_be_bytes::<32>()));
        prop_assert!(verify_proof(proof.storage_root, key, value, &slot.proof).is_ok());
    }
    let leaf = proof.account.map(|account| {
        let (nonce, balance) = (account.nonce, account.balance);
        let leaf =
            alloy_trie::TrieAccount::new(nonce, balance, proof.storage_root, account.code_hash);
        alloy_rlp::encode(leaf)
    });
    let key = Nibbles::unpack(keccak256(probe));
    prop_assert!(verify_proof(*snapshot.root(), key, leaf, &proof.proof).is_ok());
    Ok(())
}

proptest! {
    #[test]
    fn answers_as_a_map(
        steps in vec(any_step(), 1..30),
        history_blocks in prop_oneof![Just(None), (0u64..12).prop_map(Some)],
        trie_bytes_max in prop_oneof![Just(None), Just(Some(36_000)), Just(Some(48_000))],
        commit_workers in prop_oneof![3 => Just(1usize), 1 => Just(2)],
    ) {
        let config = StoreConfig {
            history_blocks,
            trie_bytes_max,
            commit_workers: NonZeroUsize::new(commit_workers).expect("not zero"),
            ..CONFIG
        };
        let disk = MemoryDisk::new();
        let mut store = open_with(&disk, config);
        let mut first = MemoryState::default();
        first.apply(&genesis().diff());
        // The state at each height.
        let mut models = vec![first];
        for step in steps {
            match step {
                Step::Block(diff) => {
                    let mut model = models.last().expect("never empty").clone();
                    model.apply(&diff);
                    models.push(model);
                    add_block(&store, diff);
                }
                Step::Flush(below) => {
                    let height = store.newest_height().saturating_sub(below);
                    store.flush(height).expect("sealed");
                }
                Step::TakeBack(count) => {
                    let height = store.newest_height().saturating_sub(count);
                    let height = height.max(store.flushed_height());
                    store.take_back(height).expect("not in the files");
                    prop_assert_eq!(store.newest_height(), height);
                    models.truncate(usize::try_from(height).expect("small") + 1);
                }
                Step::Reopen => {
                    let flushed = store.flushed_height();
                    drop(store);
                    store = open_with(&disk, config);
                    prop_assert_eq!(store.newest_height(), flushed);
                    let kept = usize::try_from(flushed).expect("small") + 1;
                    models.truncate(kept);
                }
            }
        }
        prop_assert_eq!(store.newest_height(), models.len() as u64 - 1);
        let kept = store.flushed_height().saturating_sub(history_blocks.unwrap_or(u64::MAX));
        prop_assert!(store.oldest_height() <= kept, "what was asked for is kept");
        for height in store.oldest_height()..=store.newest_height() {
            let model = &models[usize::try_from(height).expect("small")];
            check_height(&store, model, height)?;
        }
    }
}
