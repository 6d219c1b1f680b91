//! A state from somewhere else, chunk by chunk, with deaths in between.

use super::*;
use crate::store::{EmptyStore, Import, ImportState, ImportTarget, Served};
use crate::sync::{LeafScan as _, Manifest, check_codes, serve_codes};
use crate::trie::tests::any_diff;
use proptest::collection::vec;
use proptest::prelude::*;

/// As small as they may be, so that there are many.
const CHUNK_BYTES: usize = crate::sync::CHUNK_BYTES_MIN;

fn served(diffs: Vec<StateDiff>) -> (Store, Served) {
    let height = diffs.len() as u64;
    let config = StoreConfig {
        served_blocks: height.max(1),
        ..CONFIG
    };
    let store = open_with(&MemoryDisk::new(), config);
    diffs
        .into_iter()
        .for_each(|diff| drop(add_block(&store, diff)));
    store.flush(height).expect("sealed");
    let served = store.served().expect("at that height");
    assert_eq!(served.height(), height);
    // What is offered does not change.
    add_block(&store, diff(99));
    store.flush(height + 1).expect("sealed");
    (store, served)
}

fn look(disk: &MemoryDisk) -> ImportState {
    let state = ImportState::open(Location::Memory(disk.clone()), genesis().hash);
    state.expect("a whole disk")
}

fn empty(disk: &MemoryDisk) -> EmptyStore {
    match look(disk) {
        ImportState::Empty(empty) => empty,
        other => panic!("{other:?}"),
    }
}

fn begun(disk: &MemoryDisk) -> Import {
    match look(disk) {
        ImportState::Begun(import) => import,
        other => panic!("{other:?}"),
    }
}

fn put_codes(import: &Import, served: &Served) {
    let missing: Vec<B256> = import
        .missing_codes()
        .expect("readable")
        .into_iter()
        .collect();
    for hash in missing {
        if served.code(&hash).expect("readable").is_none() {
            // Code that no block deployed: the random accounts of these tests have it.
            continue;
        }
        let answer = serve_codes(served, &[hash]).expect("in the state");
        let codes = check_codes(&[hash], &answer).expect("of this hash");
        import.put_codes(&codes).expect("a healthy disk");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_imported_store_is_the_one_it_came_from(
        diffs in vec(any_diff(), 1..8),
        deaths in vec(any::<bool>(), 64),
        order in any::<u64>(),
    ) {
        let (origin, served) = served(diffs);
        let height = served.height();
        let manifest = Manifest::scan(&served, served.root(), CHUNK_BYTES).expect("a whole state");
        let disk = MemoryDisk::new();
        let target = ImportTarget {
            height,
            root: served.root(),
            hash: served.block_hash(),
        };
        let mut import = empty(&disk)
            .begin(target, &manifest, Bytes::from_static(b"evidence"))
            .expect("a healthy disk");
        let mut numbers: Vec<usize> = (0..manifest.chunks().len()).collect();
        numbers.sort_by_key(|number| keccak256([order.to_be_bytes(), number.to_be_bytes()].concat()));
        for (number, dies) in numbers.iter().zip(deaths.iter().cycle()) {
            let bytes = manifest.serve(&served, *number).expect("its own state");
            let chunk = manifest.check(*number, &bytes).expect("an honest chunk");
            import.put_chunk(&chunk).expect("a healthy disk");
            if *dies {
                let done = import.chunks().clone();
                disk.crash();
                drop(import);
                let refused = Store::open(Location::Memory(disk.clone()), &genesis(), CONFIG);
                prop_assert!(matches!(refused, Err(StoreError::Importing)));
                import = begun(&disk);
                prop_assert_eq!(import.target(), target);
                prop_assert_eq!(import.evidence().as_ref(), b"evidence");
                prop_assert_eq!(import.manifest(), manifest.bytes());
                prop_assert_eq!(import.chunks(), &done);
            }
        }
        put_codes(&import, &served);
        let record = origin.record(height).expect("readable").expect("kept");
        let ancestors: Vec<(u64, B256)> = (0..height).map(|height| {
            let record = origin.record(height).expect("readable").expect("kept");
            (height, record.hash)
        }).collect();
        import.finish(&manifest, (*record).clone(), &ancestors).expect("all is there");
        prop_assert!(matches!(look(&disk), ImportState::Complete));
        let store = open(&disk);
        prop_assert_eq!((store.oldest_height(), store.newest_height()), (height, height));
        prop_assert_eq!(store.record(height).expect("readable"), Some(record));
        let (now, then) = (store.snapshot(height), origin.snapshot(height));
        let (now, then) = (now.expect("newest"), then.expect("kept"));
        prop_assert_eq!(now.root(), then.root());
        for address in (0u8..26).map(address) {
            let account = then.account(&address).expect("readable");
            prop_assert_eq!(now.account(&address).expect("readable"), account);
            if let Some(account) = account {
                let code = then.code(&account.code_hash).expect("readable");
                prop_assert_eq!(now.code(&account.code_hash).expect("readable"), code);
            }
        }
        for (height, hash) in ancestors {
            prop_assert_eq!(now.block_hash(height).expect("readable"), Some(hash));
            prop_assert_eq!(store.record(height).expect("readable"), None);
        }
        // It goes on as the other does.
        let next = add_block(&store, diff(99));
        prop_assert_eq!(origin.record(height + 1).expect("readable").map(|record| record.hash), Some(next.hash));
        store.flush(height + 1).expect("sealed");
    }
}

#[test]
fn the_genesis_alone_is_no_state() {
    let disk = MemoryDisk::new();
    drop(open(&disk));
    drop(empty(&disk));
    let store = open(&disk);
    add_block(&store, diff(1));
    store.flush(1).expect("sealed");
    drop(store);
    assert!(matches!(look(&disk), ImportState::Complete));
    assert_eq!(open(&disk).newest_height(), 1, "nothing was removed");
}

#[test]
fn what_is_not_all_there_is_not_finished() {
    let (origin, served) = served((1..6).map(diff).collect());
    let manifest = Manifest::scan(&served, served.root(), CHUNK_BYTES).expect("a whole state");
    let disk = MemoryDisk::new();
    let target = ImportTarget {
        height: served.height(),
        root: served.root(),
        hash: served.block_hash(),
    };
    let import = empty(&disk).begin(target, &manifest, Bytes::new());
    let record = origin
        .record(served.height())
        .expect("readable")
        .expect("kept");
    let finished = import
        .expect("a healthy disk")
        .finish(&manifest, (*record).clone(), &[]);
    assert!(
        matches!(finished, Err(StoreError::Importing)),
        "{finished:?}"
    );
    let other = ImportState::open(Location::Memory(disk), B256::ZERO);
    assert!(matches!(other, Err(StoreError::WrongGenesis { .. })));
}

/// A state that nobody has any more is given up for another, whatever of it is there.
#[test]
fn what_was_begun_is_abandoned_for_another() {
    let disk = MemoryDisk::new();
    let location = || Location::Memory(disk.clone());
    let (_, first) = served((1..6).map(diff).collect());
    let (origin, second) = served((3..7).map(diff).collect());
    let target = |served: &Served| ImportTarget {
        height: served.height(),
        root: served.root(),
        hash: served.block_hash(),
    };
    let scan = |served: &Served| {
        Manifest::scan(served, served.root(), CHUNK_BYTES).expect("a whole state")
    };
    let put_all = |import: &mut Import, manifest: &Manifest, served: &Served| {
        for number in 0..manifest.chunks().len() {
            let bytes = manifest.serve(served, number).expect("its own state");
            let chunk = manifest.check(number, &bytes).expect("an honest chunk");
            import.put_chunk(&chunk).expect("a healthy disk");
        }
        put_codes(import, served);
    };
    let manifest = scan(&first);
    let begun_first = empty(&disk).begin(target(&first), &manifest, Bytes::new());
    let mut import = begun_first.expect("a healthy disk");
    put_all(&mut import, &manifest, &first);
    let abandoned = import.abandon(location()).expect("a healthy disk");
    drop(abandoned);
    disk.crash();

    let manifest = scan(&second);
    let begun_second = empty(&disk).begin(target(&second), &manifest, Bytes::new());
    let mut import = begun_second.expect("a healthy disk");
    assert!(import.chunks().is_empty());
    put_all(&mut import, &manifest, &second);
    let height = second.height();
    let record = origin.record(height).expect("readable").expect("kept");
    let finished = import.finish(&manifest, (*record).clone(), &[]);
    finished.expect("a healthy disk");
    let store = Store::open(location(), &genesis(), CONFIG).expect("whole");
    let snapshot = store.snapshot(height).expect("its height");
    assert_eq!(*snapshot.root(), second.root());
}
