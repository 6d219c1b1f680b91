//! Files of other chains and damaged files: a typed error, never a panic, never another state.

use super::*;
use crate::disk::Disk;
use crate::runs::{self, Batch, Family, Merge, Runs};
use crate::store::rows::StateKey;
use proptest::prelude::*;

/// A closed store of a few blocks, and the roots of its heights.
fn written() -> (MemoryDisk, Vec<B256>) {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let mut roots = vec![*genesis_root(&genesis().alloc)];
    for seed in 1..=8 {
        add_block(&store, diff(seed));
        store.flush(seed).expect("sealed");
        roots.push(*store.snapshot(seed).expect("newest").root());
    }
    (disk, roots)
}

fn try_open(disk: &MemoryDisk) -> Result<Store, StoreError> {
    Store::open(Location::Memory(disk.clone()), &genesis(), CONFIG)
}

/// Either the file is refused as damaged, or it is at some height with the state of that height.
fn check(disk: &MemoryDisk, roots: &[B256]) -> Result<(), TestCaseError> {
    match try_open(disk) {
        Ok(store) => {
            let newest = store.snapshot(store.newest_height()).expect("newest");
            let index = usize::try_from(newest.height()).expect("small");
            prop_assert_eq!(*newest.root(), roots[index]);
            check_history(&store, roots)?;
        }
        Err(StoreError::Corrupt(_) | StoreError::WrongFormat { .. }) => {}
        Err(error) => prop_assert!(false, "{error:?}"),
    }
    Ok(())
}

/// What is read of an old height is right or refused as damaged.
fn check_history(store: &Store, roots: &[B256]) -> Result<(), TestCaseError> {
    let (whole, _) = written();
    let whole = open(&whole);
    for height in store.oldest_height()..store.newest_height() {
        let index = usize::try_from(height).expect("small");
        let expected = whole.snapshot(height).expect("kept");
        let snapshot = match store.snapshot(height) {
            Ok(snapshot) => snapshot,
            Err(StoreError::Corrupt(_)) => continue,
            Err(error) => return Err(TestCaseError::fail(format!("{error:?}"))),
        };
        prop_assert_eq!(*snapshot.root(), roots[index]);
        for address in (0..9).map(address) {
            if let Ok(account) = snapshot.account(&address) {
                prop_assert_eq!(account, expected.account(&address).expect("whole"));
            }
            if let Ok(value) = snapshot.storage(&address, &U256::from(1)) {
                let expected = expected.storage(&address, &U256::from(1));
                prop_assert_eq!(value, expected.expect("whole"));
            }
        }
        if let Ok(Some(record)) = store.record(height) {
            let expected = whole.record(height).expect("whole").expect("kept");
            prop_assert_eq!(&*record, &*expected);
        }
    }
    Ok(())
}

#[test]
fn refuses_another_chain() {
    let (disk, _) = written();
    let mut other = genesis();
    other.hash = B256::repeat_byte(9);
    let error = Store::open(Location::Memory(disk.clone()), &other, CONFIG);
    let error = error.expect_err("another genesis");
    let (expected_stored, expected_given) = (genesis().hash, other.hash);
    assert!(matches!(
        error,
        StoreError::WrongGenesis { stored, given }
            if stored == expected_stored && given == expected_given
    ));
    open(&disk);
}

/// Writes a row behind the store's back.
fn put(disk: &MemoryDisk, key: StateKey, value: &[u8]) {
    let mounted = Disk::memory(disk).expect("closed");
    let (runs, view) = Runs::open(mounted, runs::Config::new(Merge::Inline)).expect("whole files");
    let mut batch = Batch::new(view.marker().to_vec());
    let put = key.with_bytes(|key| batch.rows(Family::State).put(key, value));
    put.expect("one row");
    runs.commit(&batch).expect("a healthy disk");
}

#[test]
fn refuses_rows_that_do_not_add_up() {
    let slot = [1, 1, 1, 1];
    let owner = keccak256(address(1));
    let cases: [(StateKey, &[u8]); 4] = [
        (StateKey::Slot(owner, B256::ZERO), &slot),
        (StateKey::Slot(B256::ZERO, B256::ZERO), &slot),
        (StateKey::Slot(B256::repeat_byte(0xff), B256::ZERO), &slot),
        (StateKey::Account(B256::ZERO), &[0; 23]),
    ];
    for (key, value) in cases {
        let (disk, _) = written();
        put(&disk, key, value);
        let error = try_open(&disk).expect_err("a row too many");
        assert!(
            matches!(
                error,
                StoreError::Corrupt(Corruption::Root { .. } | Corruption::OrphanStorage { .. })
            ),
            "{key:?}: {error:?}"
        );
    }
}

#[test]
fn refuses_rows_that_make_no_sense() {
    for (key, value) in [
        (
            StateKey::Slot(keccak256(address(1)), B256::ZERO),
            &b"\x09"[..],
        ),
        (StateKey::Account(B256::ZERO), b"short"),
    ] {
        let (disk, _) = written();
        put(&disk, key, value);
        let error = try_open(&disk).expect_err("no such value");
        assert!(
            matches!(error, StoreError::Corrupt(Corruption::Row { .. })),
            "{error:?}"
        );
    }
}

#[test]
fn refuses_what_an_earlier_build_wrote() {
    let directory = Directory::new("earlier");
    std::fs::create_dir_all(&directory.0).expect("writable");
    std::fs::write(directory.0.join("state.redb"), b"anything").expect("writable");
    let location = Location::Directory(directory.0.clone());
    let error = Store::open(location, &genesis(), CONFIG).expect_err("an earlier format");
    assert!(
        matches!(error, StoreError::EarlierFormat { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("state.redb"), "{error}");
}

#[test]
fn names_the_file_that_is_damaged() {
    let (disk, _) = written();
    let name = disk.tamper(|files| {
        let (name, bytes) = files.iter_mut().next().expect("some files");
        bytes.clear();
        name.clone()
    });
    let error = try_open(&disk).expect_err("emptied").to_string();
    assert!(error.contains(&name), "{error}");
}

proptest! {
    #[test]
    fn survives_truncation(which in any::<proptest::sample::Index>(), part in 0.0f64..1.0) {
        let (disk, roots) = written();
        disk.tamper(|files| {
            let count = files.len();
            let bytes = files.values_mut().nth(which.index(count)).expect("one of them");
            let kept = bytes.len() as f64 * part;
            let kept = bytes.len().min(format!("{kept:.0}").parse().expect("a number"));
            bytes.truncate(kept);
        });
        check(&disk, &roots)?;
    }

    #[test]
    fn survives_garbled_bytes(
        which in any::<proptest::sample::Index>(),
        spots in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..10),
    ) {
        let (disk, roots) = written();
        disk.tamper(|files| {
            let count = files.len();
            let bytes = files.values_mut().nth(which.index(count)).expect("one of them");
            for (spot, value) in &spots {
                *spot.get_mut(bytes) = *value;
            }
        });
        check(&disk, &roots)?;
    }

    #[test]
    fn survives_a_missing_file(which in any::<proptest::sample::Index>()) {
        let (disk, roots) = written();
        disk.tamper(|files| {
            let name = files.keys().nth(which.index(files.len())).expect("one of them").clone();
            files.remove(&name);
        });
        check(&disk, &roots)?;
    }
}
