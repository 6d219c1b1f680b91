//! At every height that is kept, the versions answer as a map; what is not kept takes no room.

use super::Versions;
use crate::diff::{AccountDiff, StateDiff};
use crate::memory::MemoryState;
use crate::reader::{Account, StateReader};
use crate::trie::tests::any_diff;
use alloy_primitives::{Address, U256};
use proptest::collection::vec;
use proptest::prelude::*;

impl Versions {
    /// Accounts and slots in the maps, dead or alive.
    fn len(&self) -> (usize, usize) {
        let accounts = self.accounts.shards.iter();
        let slots = self.slots.shards.iter();
        (
            accounts.map(|shard| shard.read().unwrap().len()).sum(),
            slots.map(|shard| shard.read().unwrap().len()).sum(),
        )
    }
}

fn check(versions: &Versions, height: u64, model: &MemoryState) -> Result<(), TestCaseError> {
    for address in (0u8..26).map(Address::repeat_byte) {
        let account = model.account(&address).expect("memory");
        prop_assert_eq!(
            versions.account(height, &address),
            account,
            "height={}",
            height
        );
        for slot in (0u64..13).map(U256::from) {
            let value = model.storage(&address, &slot).expect("memory");
            let found = versions.storage(height, &address, &slot);
            prop_assert_eq!(found, value, "height={} {} {}", height, address, slot);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn answers_as_a_map(diffs in vec(any_diff(), 1..24), kept in 0u64..6) {
        let versions = Versions::new();
        let mut models = vec![MemoryState::default()];
        let mut oldest = 0;
        for (height, diff) in (1..).zip(&diffs) {
            versions.insert(height, diff);
            let mut model = models.last().expect("never empty").clone();
            model.apply(diff);
            models.push(model);
            while oldest + kept < height {
                oldest += 1;
                versions.forget(oldest, &diffs[usize::try_from(oldest - 1).expect("small")]);
            }
            for height in oldest..=height {
                let model = &models[usize::try_from(height).expect("small")];
                check(&versions, height, model)?;
            }
        }
    }

    #[test]
    fn what_is_not_kept_takes_no_room(diffs in vec(any_diff(), 1..24)) {
        let versions = Versions::new();
        let mut model = MemoryState::default();
        for (height, diff) in (1..).zip(&diffs) {
            versions.insert(height, diff);
            versions.forget(height, diff);
            model.apply(diff);
        }
        let (mut accounts, mut slots) = (0, 0);
        for (_, _, storage) in model.iter() {
            accounts += 1;
            slots += storage.len();
        }
        prop_assert_eq!(versions.len(), (accounts, slots));
        prop_assert!(versions.wiped.read().unwrap().is_empty());
    }

    #[test]
    fn writes_can_be_taken_back(diffs in vec(any_diff(), 1..12), to in 0usize..12) {
        let to = to.min(diffs.len());
        let versions = Versions::new();
        let (mut model, mut since) = (MemoryState::default(), StateDiff::default());
        let mut expected = MemoryState::default();
        for (height, diff) in (1..).zip(&diffs) {
            versions.insert(height, diff);
            model.apply(diff);
            if usize::try_from(height).expect("small") <= to {
                expected.apply(diff);
            } else {
                since.merge(diff);
            }
        }
        let back = versions.as_it_was(u64::try_from(to).expect("small"), &since);
        model.apply(&back);
        prop_assert_eq!(model.root(), expected.root());
    }
}

#[test]
fn a_key_that_changes_again_and_again_keeps_one_value_below_the_oldest() {
    let versions = Versions::new();
    let diff = |nonce| StateDiff {
        accounts: [(
            Address::ZERO,
            AccountDiff {
                account: Some(Account {
                    nonce,
                    ..Account::default()
                }),
                ..AccountDiff::default()
            },
        )]
        .into(),
        ..StateDiff::default()
    };
    (1..=9).for_each(|height| versions.insert(height, &diff(height)));
    versions.forget(8, &diff(8));
    let nonce = |height| {
        versions
            .account(height, &Address::ZERO)
            .map(|account| account.nonce)
    };
    assert_eq!((nonce(7), nonce(8), nonce(9)), (None, Some(8), Some(9)));
}
