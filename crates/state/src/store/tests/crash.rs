//! Kills and power failures at random moments: the file is at one flushed height, and the same
//! blocks give the same roots again.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// How a node's life between two starts goes.
#[derive(Clone, Debug)]
struct Life {
    blocks: u64,
    /// Flush after so many blocks of this life.
    flush_at: u64,
    /// The disk fails after so many changes and syncs, counted from that flush on.
    disk_lasts: u64,
    /// Which of the unsynced changes reached the disk.
    kept: u64,
}

fn any_life() -> impl Strategy<Value = Life> {
    (1u64..6, 0u64..6, 0u64..40, any::<u64>()).prop_map(|(blocks, flush_at, disk_lasts, kept)| {
        Life {
            blocks,
            flush_at,
            disk_lasts,
            kept,
        }
    })
}

/// Executes one block and compares with the root it had in an earlier life.
fn add_known_block(store: &Store, roots: &mut Vec<B256>) {
    let height = store.newest_height() + 1;
    let record = add_block(store, diff(height));
    let root = *store.snapshot(height).expect("newest").root();
    let index = usize::try_from(height).expect("small");
    match roots.get(index) {
        Some(known) => assert_eq!(root, *known, "height={height}"),
        None => roots.push(root),
    }
    assert_eq!(record, self::record(height, root));
}

/// Lives until the disk fails or the blocks are done, then dies. Returns the heights at which the
/// file may be now.
fn live(disk: &MemoryDisk, life: &Life, roots: &mut Vec<B256>) -> Vec<u64> {
    let store = open(disk);
    for block in 0..life.blocks {
        if block == life.flush_at {
            let (flushed, newest) = (store.flushed_height(), store.newest_height());
            disk.fail_after(life.disk_lasts);
            if store.flush(newest).is_err() {
                let refused = store.commit(newest + 1, diff(0));
                assert!(matches!(refused, Err(StoreError::Poisoned)));
                assert!(matches!(store.flush(newest), Err(StoreError::Poisoned)));
                assert_eq!(store.flushed_height(), flushed);
                assert!(store.snapshot(newest).is_ok(), "reads go on");
                disk.crash_keeping(|index| life.kept >> (index % 64) & 1 == 1);
                return vec![flushed, newest];
            }
            assert_eq!(store.flushed_height(), newest);
        }
        add_known_block(&store, roots);
    }
    let flushed = store.flushed_height();
    disk.crash_keeping(|index| life.kept >> (index % 64) & 1 == 1);
    vec![flushed]
}

proptest! {
    #[test]
    fn reopens_at_a_flushed_height(lives in vec(any_life(), 1..8)) {
        let disk = MemoryDisk::new();
        let mut roots = vec![*genesis_root(&genesis().alloc)];
        drop(open(&disk));
        for life in &lives {
            let possible = live(&disk, life, &mut roots);
            let store = open(&disk);
            prop_assert!(possible.contains(&store.newest_height()), "{:?}", possible);
            let root = store.snapshot(store.newest_height()).expect("newest").root();
            let index = usize::try_from(store.newest_height()).expect("small");
            prop_assert_eq!(*root, roots[index]);
            let hash = store.snapshot(store.newest_height()).expect("newest").block_hash(0);
            prop_assert_eq!(hash.expect("readable"), Some(genesis().hash));
        }
    }

    #[test]
    fn a_death_while_it_is_created_leaves_nothing(lasts in 0u64..40) {
        let disk = MemoryDisk::new();
        disk.fail_after(lasts);
        drop(Store::open(Location::Memory(disk.clone()), &genesis(), CONFIG));
        disk.crash();
        let store = open(&disk);
        let root = store.snapshot(0).expect("genesis").root();
        prop_assert_eq!(root, genesis_root(&genesis().alloc));
    }
}

#[test]
fn a_dead_store_cannot_write() {
    let disk = MemoryDisk::new();
    let dead = open(&disk);
    add_block(&dead, diff(1));
    disk.crash();
    let alive = open(&disk);
    assert!(matches!(dead.flush(1), Err(StoreError::Disk(_))));
    assert!(matches!(dead.flush(1), Err(StoreError::Poisoned)));
    drop(dead);
    add_block(&alive, diff(2));
    alive.flush(1).expect("sealed");
    drop(alive);
    assert_eq!(open(&disk).newest_height(), 1);
}
