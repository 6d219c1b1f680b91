//! What goes wrong in a scenario besides crashes and partitions: links that lose messages, and a
//! disk that lies.

use alloy_primitives::{Address, U256};
use commonware_p2p::simulated::Link;
use commonware_utils::probability;
use pipeline::ExecutedRecord;
use primitives::Genesis;
use state::{
    Account, AccountDiff, Location, MemoryDisk, StateDiff, StateReader as _, Store, StoreConfig,
};
use std::time::Duration;

/// 50 ms, always.
#[must_use]
pub fn good_link() -> Link {
    Link {
        latency: Duration::from_millis(50),
        jitter: Duration::ZERO,
        success_rate: probability!(1.0),
    }
}

/// 50 ms more or less, and one message of ten is lost.
#[must_use]
pub fn lossy_link() -> Link {
    Link {
        latency: Duration::from_millis(50),
        jitter: Duration::from_millis(20),
        success_rate: probability!(9, 10),
    }
}

/// Makes a disk hold the right history and a wrong state: the block after the flushed height, taken
/// from an honest node, over a state in which `victim` has one wei more than it should.
///
/// # Panics
/// If the store does not open, or `next` gives no block for the height it asks for.
pub fn corrupt_state(
    disk: &MemoryDisk,
    genesis: &Genesis,
    victim: Address,
    next: impl FnOnce(u64) -> ExecutedRecord,
) -> u64 {
    let (state, _) = pipeline::genesis(genesis);
    let location = Location::Memory(disk.clone());
    let opened = Store::open(location, &state, StoreConfig::default());
    let store = opened.expect("the disk is whole until now");
    let flushed = store.flushed_height();
    let snapshot = store.snapshot(flushed).expect("the newest height is kept");
    let before = snapshot.account(&victim).expect("a simulated disk reads");
    let account = before.unwrap_or_default();
    let wrong = Account {
        balance: account.balance.saturating_add(U256::ONE),
        ..account
    };
    let change = AccountDiff {
        account: Some(wrong),
        ..AccountDiff::default()
    };
    let mut diff = StateDiff::default();
    diff.accounts.insert(victim, change);
    let height = flushed.saturating_add(1);
    let written = store
        .commit(height, diff)
        .and_then(|_wrong_root| store.seal(next(height).to_stored(Default::default())))
        .and_then(|()| store.flush(height));
    written.expect("a simulated disk writes");
    height
}
