//! Files of other chains and damaged files: a typed error, never a panic, never another state.

use super::*;
use crate::store::tables;
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
        }
        Err(StoreError::Corrupt(_)) => {}
        Err(error) => prop_assert!(false, "{error:?}"),
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

#[test]
fn refuses_rows_that_do_not_add_up() {
    let (disk, _) = written();
    let backend = disk.attach().expect("closed");
    let database = redb::Builder::new()
        .create_with_backend(backend)
        .expect("a whole file");
    let key = [7u8; 52];
    tables::tests::put_slot(&database, &key);
    drop(database);
    let error = try_open(&disk).expect_err("a slot too many");
    assert!(
        matches!(
            error,
            StoreError::Corrupt(Corruption::Root { .. } | Corruption::OrphanStorage { .. })
        ),
        "{error:?}"
    );
}

/// Files of builds before access lists have no table for them.
#[test]
fn a_file_without_access_lists_opens_and_gets_them() {
    let (disk, _) = written();
    let backend = disk.attach().expect("closed");
    let database = redb::Builder::new()
        .create_with_backend(backend)
        .expect("a whole file");
    tables::tests::drop_access_lists(&database);
    drop(database);
    let store = open(&disk);
    let newest = store.record(8).expect("readable").expect("written");
    assert!(newest.access_list.is_empty());
    let next = add_block(&store, diff(9));
    store.flush(9).expect("sealed");
    assert_eq!(store.access_list(9).expect("readable"), next.access_list);
    assert!(store.access_list(8).expect("readable").is_empty());
}

#[test]
fn refuses_a_file_that_is_none() {
    let disk = MemoryDisk::new();
    disk.tamper(|bytes| *bytes = b"not a database at all ".repeat(500));
    let error = try_open(&disk).expect_err("garbage");
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
}

proptest! {
    #[test]
    fn survives_truncation(part in 0.0f64..1.0) {
        let (disk, roots) = written();
        disk.tamper(|bytes| {
            let kept = bytes.len() as f64 * part;
            let kept = bytes.len().min(format!("{kept:.0}").parse().expect("a number"));
            bytes.truncate(kept);
        });
        check(&disk, &roots)?;
    }

    #[test]
    fn survives_garbled_bytes(
        spots in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..40),
    ) {
        let (disk, roots) = written();
        disk.tamper(|bytes| {
            for (spot, value) in &spots {
                *spot.get_mut(bytes) = *value;
            }
        });
        check(&disk, &roots)?;
    }

    #[test]
    fn survives_garbled_pages(page in any::<proptest::sample::Index>(), value in any::<u8>()) {
        let (disk, roots) = written();
        disk.tamper(|bytes| {
            let pages: Vec<_> = bytes.chunks_mut(4096).collect();
            let count = pages.len();
            for (_, bytes) in pages.into_iter().enumerate().filter(|(i, _)| *i == page.index(count)) {
                bytes.fill(value);
            }
        });
        check(&disk, &roots)?;
    }
}
