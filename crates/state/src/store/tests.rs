//! The store against a list of plain maps: one per height.

use super::{Corruption, Location, Store, StoreConfig, StoreError};
use crate::diff::{AccountDiff, StateDiff};
use crate::disk::MemoryDisk;
use crate::genesis::{GenesisAccount, GenesisAlloc, GenesisState, genesis_root};
use crate::memory::MemoryState;
use crate::reader::{Account, StateReader};
use crate::record::BlockRecord;
use crate::snapshot::ProofError;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::Nibbles;
use alloy_trie::proof::verify_proof;
use std::num::NonZeroUsize;
use std::path::PathBuf;

mod copy;
mod crash;
mod damage;
mod import;
mod model;
mod witness;

/// A history long enough for the short chains of these tests.
const CONFIG: StoreConfig = StoreConfig {
    memory_blocks: 6,
    history_blocks: None,
    served_blocks: 0,
    commit_workers: NonZeroUsize::MIN,
    trie_bytes_max: None,
};

fn address(index: u8) -> Address {
    Address::repeat_byte(index)
}

fn genesis() -> GenesisState {
    let account = |index: u8| GenesisAccount {
        nonce: u64::from(index),
        balance: U256::from(1_000),
        code: Bytes::from(vec![index; usize::from(index)]),
        storage: [(U256::from(1), U256::from(index))].into(),
    };
    let alloc: GenesisAlloc = (0..6)
        .map(|index| (address(index), account(index)))
        .collect();
    GenesisState {
        hash: keccak256(*genesis_root(&alloc)),
        alloc,
        header: Bytes::from_static(b"genesis header"),
        body: Bytes::new(),
    }
}

fn open(disk: &MemoryDisk) -> Store {
    open_with(disk, CONFIG)
}

fn open_with(disk: &MemoryDisk, config: StoreConfig) -> Store {
    let location = Location::Memory(disk.clone());
    Store::open(location, &genesis(), config).expect("the disk holds this chain or nothing")
}

/// A diff that writes a bit of everything.
fn diff(seed: u64) -> StateDiff {
    let mut diff = StateDiff::default();
    let code = Bytes::from(seed.to_be_bytes().to_vec());
    let code_hash = keccak256(&code);
    diff.code.insert(code_hash, code);
    let account = Account {
        nonce: seed,
        balance: U256::from(seed),
        code_hash,
    };
    let bytes = keccak256(seed.to_be_bytes());
    let change = AccountDiff {
        account: Some(account),
        storage_wiped: seed.is_multiple_of(5),
        storage: bytes[..6]
            .iter()
            .map(|byte| (U256::from(*byte), U256::from(seed)))
            .collect(),
    };
    diff.accounts.insert(address(bytes[7] % 8), change);
    diff.accounts
        .insert(address(bytes[8] % 8), AccountDiff::default());
    diff
}

fn record(height: u64, root: B256) -> BlockRecord {
    let transaction = |index: u8| keccak256([height.to_be_bytes().as_slice(), &[index]].concat());
    BlockRecord {
        height,
        hash: keccak256([root.as_slice(), &height.to_be_bytes()].concat()),
        header: Bytes::from(height.to_be_bytes().to_vec()),
        body: Bytes::from_static(b"body"),
        receipts: Bytes::from_static(b"receipts"),
        access_list: Bytes::from(height.to_le_bytes().to_vec()),
        transaction_hashes: (0..3).map(transaction).collect(),
    }
}

fn add_block(store: &Store, diff: StateDiff) -> BlockRecord {
    let height = store.newest_height() + 1;
    let root = store.commit(height, diff).expect("the next height");
    let record = record(height, *root);
    store.seal(record.clone()).expect("just committed");
    record
}

#[test]
fn crosses_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Store>();
    check::<crate::Snapshot>();
    check::<StoreError>();
    check::<crate::ReadFault>();
}

#[test]
fn starts_with_genesis() {
    let store = open(&MemoryDisk::new());
    let snapshot = store.snapshot(0).expect("genesis is kept");
    assert_eq!(snapshot.root(), genesis_root(&genesis().alloc));
    assert_eq!(
        snapshot.block_hash(0).expect("memory"),
        Some(genesis().hash)
    );
    assert_eq!(snapshot.block_hash(1).expect("memory"), None);
    let account = snapshot
        .account(&address(3))
        .expect("memory")
        .expect("in genesis");
    let code = snapshot.code(&account.code_hash).expect("readable");
    assert_eq!(code, Some(Bytes::from(vec![3; 3])));
    assert_eq!(snapshot.code(&B256::ZERO).expect("readable"), None);
    let nothing = snapshot
        .code(&Account::default().code_hash)
        .expect("readable");
    assert_eq!(nothing, Some(Bytes::new()));
    let record = store
        .record(0)
        .expect("readable")
        .expect("written with genesis");
    assert_eq!(record.header, genesis().header);
}

#[test]
fn takes_heights_in_order() {
    let store = open(&MemoryDisk::new());
    let unexpected = store.commit(2, StateDiff::default());
    assert!(matches!(
        unexpected,
        Err(StoreError::UnexpectedHeight {
            given: 2,
            expected: 1
        })
    ));
    let root = store.commit(1, diff(1)).expect("the next height");
    let unsealed = store.commit(2, StateDiff::default());
    assert!(matches!(unsealed, Err(StoreError::Unsealed { height: 1 })));
    assert!(matches!(
        store.flush(1),
        Err(StoreError::Unsealed { height: 1 })
    ));
    let early = store.snapshot(1).expect("committed");
    let wrong = store.seal(record(2, *root));
    assert!(matches!(
        wrong,
        Err(StoreError::UnexpectedHeight {
            given: 2,
            expected: 1
        })
    ));
    store.seal(record(1, *root)).expect("just committed");
    let again = store.seal(record(1, *root));
    assert!(matches!(
        again,
        Err(StoreError::AlreadySealed { height: 1 })
    ));
    assert!(matches!(
        store.flush(2),
        Err(StoreError::UnexpectedHeight { .. })
    ));
    assert_eq!(
        early.block_hash(1).expect("memory"),
        None,
        "a snapshot never changes"
    );
    store.flush(1).expect("sealed");
    store.flush(1).expect("nothing to do");
    assert_eq!(store.flushed_height(), 1);
}

#[test]
fn takes_nothing_back_that_is_in_the_files() {
    let store = open(&MemoryDisk::new());
    for seed in 1..=6 {
        add_block(&store, diff(seed));
    }
    store.flush(3).expect("sealed");
    for height in [2, 7] {
        let refused = store.take_back(height);
        assert!(matches!(refused, Err(StoreError::UnknownHeight(_))));
    }
    store.take_back(4).expect("in memory");
    let (gone, other) = (record(5, B256::ZERO), add_block(&store, diff(9)));
    assert_eq!(other.height, 5);
    let location = store.transaction_location(&gone.transaction_hashes[0]);
    assert_eq!(location.expect("readable"), Some((5, 0)));
    assert_eq!(store.record(6).expect("readable"), None);
    store.flush(5).expect("sealed");
    assert!(store.take_back(4).is_err());
}

#[test]
fn finds_blocks_and_transactions_before_and_after_flush() {
    let store = open(&MemoryDisk::new());
    let records: Vec<_> = (1..20).map(|seed| add_block(&store, diff(seed))).collect();
    let check = |store: &Store| {
        for record in &records {
            let found = store
                .record(record.height)
                .expect("readable")
                .expect("kept");
            assert_eq!(*found, *record);
            let list = store.access_list(record.height).expect("readable");
            assert_eq!(list, record.access_list);
            let height = store.height_of_block(&record.hash).expect("readable");
            assert_eq!(height, Some(record.height));
            for (hash, index) in record.transaction_hashes.iter().zip(0..) {
                let location = store.transaction_location(hash).expect("readable");
                assert_eq!(location, Some((record.height, index)));
            }
        }
        let newest = store.snapshot(19).expect("newest");
        for record in &records {
            let hash = newest.block_hash(record.height).expect("readable");
            assert_eq!(hash, Some(record.hash));
        }
        assert_eq!(store.record(20).expect("readable"), None);
        assert!(store.access_list(20).expect("readable").is_empty());
        assert_eq!(store.height_of_block(&B256::ZERO).expect("readable"), None);
        assert_eq!(
            store.transaction_location(&B256::ZERO).expect("readable"),
            None
        );
    };
    check(&store);
    store.flush(11).expect("sealed");
    check(&store);
    store.flush(19).expect("sealed");
    check(&store);
}

#[test]
fn keeps_history_and_everything_unflushed() {
    let config = StoreConfig {
        history_blocks: Some(4),
        ..CONFIG
    };
    let store = open_with(&MemoryDisk::new(), config);
    for seed in 1..=20 {
        add_block(&store, diff(seed));
    }
    assert_eq!(store.oldest_height(), 0, "nothing was flushed");
    store.flush(19).expect("sealed");
    assert_eq!(
        store.oldest_height(),
        0,
        "of one flush, all stays or nothing"
    );
    for seed in 21..=40 {
        add_block(&store, diff(seed));
        store.flush(seed).expect("sealed");
    }
    let oldest = store.oldest_height();
    assert!((19..=36).contains(&oldest), "oldest={oldest}");
    let error = store.snapshot(oldest - 1).expect_err("too old");
    let StoreError::UnknownHeight(error) = error else {
        panic!("{error:?}");
    };
    let expected = (oldest - 1, oldest, 40);
    assert_eq!((error.asked, error.oldest, error.newest), expected);
    assert!(store.snapshot(41).is_err());
    assert!(store.snapshot(oldest).is_ok());
}

#[test]
fn an_old_state_is_read_while_newer_ones_are_written() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    for seed in 1..=30 {
        add_block(&store, diff(seed));
        store.flush(seed).expect("sealed");
    }
    let old = store.snapshot(3).expect("in the history");
    let look = |old: &crate::Snapshot| {
        let accounts = (0..9).map(|index| old.account(&address(index)).expect("readable"));
        let slots = (0..9).map(|index| {
            let slot = old.storage(&address(index), &U256::from(index));
            slot.expect("readable")
        });
        (accounts.collect::<Vec<_>>(), slots.collect::<Vec<_>>())
    };
    let before = look(&old);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..200).for_each(|_| assert_eq!(look(&old), before)));
        scope.spawn(|| {
            for seed in 31..=90 {
                add_block(&store, diff(seed));
                store.flush(seed).expect("sealed");
            }
        });
    });
    let proof = old.proof(&address(1), &[]);
    assert!(matches!(proof, Err(ProofError::TooManyWrites { .. })));
}

#[test]
fn a_trie_that_does_not_fit_is_refused() {
    let disk = MemoryDisk::new();
    drop(open(&disk));
    let config = StoreConfig {
        trie_bytes_max: Some(1),
        ..CONFIG
    };
    let error = Store::open(Location::Memory(disk), &genesis(), config).expect_err("one byte");
    assert!(matches!(error, StoreError::TrieLimit(_)), "{error:?}");
    assert!(error.to_string().contains("limit_bytes=1"), "{error}");
}

#[test]
fn readers_see_one_state_while_the_store_moves_on() {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    for seed in 1..=3 {
        add_block(&store, diff(seed));
    }
    let snapshot = store.snapshot(2).expect("kept");
    let view = |snapshot: &crate::Snapshot| {
        let accounts = (0..9).map(|index| snapshot.account(&address(index)).expect("memory"));
        let accounts: Vec<_> = accounts.collect();
        let code = accounts.iter().flatten().map(|account| {
            snapshot
                .code(&account.code_hash)
                .expect("readable")
                .expect("deployed")
        });
        let hashes: Vec<_> = (0..4).map(|height| snapshot.block_hash(height)).collect();
        let hashes: Vec<_> = hashes
            .into_iter()
            .map(|hash| hash.expect("readable"))
            .collect();
        (code.collect::<Vec<_>>(), hashes, accounts)
    };
    let before = view(&snapshot);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..300).for_each(|_| assert_eq!(view(&snapshot), before)));
        }
        scope.spawn(|| (4..60).for_each(|seed| drop(add_block(&store, diff(seed)))));
        scope.spawn(|| {
            for _ in 0..60 {
                // The newest height may be unsealed at the moment.
                let height = store.newest_height().saturating_sub(1);
                store.flush(height).expect("sealed");
            }
        });
    });
    assert_eq!(view(&snapshot), before);
    assert_eq!(store.newest_height(), 59);
}

#[test]
fn one_store_at_a_time() {
    let disk = MemoryDisk::new();
    let first = open(&disk);
    let second = Store::open(Location::Memory(disk.clone()), &genesis(), CONFIG);
    assert!(matches!(second, Err(StoreError::Locked)));
    drop(first);
    open(&disk);
}

/// A directory of this test alone, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("headway-state-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn persists_in_a_directory() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new("persists");
    let location = Location::Directory(directory.0.join("inner"));
    let open = || Store::open(location.clone(), &genesis(), CONFIG);
    let store = open().expect("a new directory");
    assert!(matches!(open(), Err(StoreError::Locked)));
    let mode = std::fs::metadata(directory.0.join("inner"))
        .expect("created")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    add_block(&store, diff(1));
    add_block(&store, diff(2));
    store.flush(1).expect("sealed");
    let root = store.snapshot(1).expect("kept").root();
    drop(store);
    let store = open().expect("closed before");
    assert_eq!((store.oldest_height(), store.newest_height()), (0, 1));
    assert_eq!(store.snapshot(1).expect("flushed").root(), root);
    drop(store);
    let files = std::fs::read_dir(directory.0.join("inner/state")).expect("a folder");
    let files = files.map(|file| file.expect("readable").path());
    let largest = files.max_by_key(|path| std::fs::metadata(path).expect("there").len());
    std::fs::write(largest.expect("some"), b"").expect("writable");
    assert!(matches!(open(), Err(StoreError::Corrupt(_))));
    let location = Location::Directory("/dev/null/state".into());
    let error = Store::open(location, &genesis(), CONFIG).expect_err("not a directory");
    assert!(matches!(error, StoreError::Directory(_)));
}
