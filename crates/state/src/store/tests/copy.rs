//! A copy is a store of its own: it keeps what was, while the one it was made of goes on.

use super::*;
use std::path::Path;

/// A folder of its own, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("state-copy-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn directory(folder: &Path, name: &str) -> Location {
    Location::Directory(folder.join(name))
}

fn reopen(location: Location) -> Store {
    Store::open(location, &genesis(), CONFIG).expect("a copy is whole")
}

/// Blocks, the older ones flushed; what the state was at each height.
fn filled(location: Location) -> (Store, Vec<MemoryState>) {
    let store = reopen(location);
    let mut model = MemoryState::default();
    model.apply(&genesis().diff());
    let mut models = vec![model.clone()];
    for seed in 1..=40 {
        let diff = diff(seed);
        model.apply(&diff);
        models.push(model.clone());
        add_block(&store, diff);
        if seed % 3 == 0 {
            store.flush(seed - 1).expect("writes to a disk");
        }
    }
    (store, models)
}

fn check(store: &Store, models: &[MemoryState]) {
    for (height, model) in (0..).zip(models) {
        let snapshot = store.snapshot(height).expect("every height is kept");
        assert_eq!(snapshot.root(), model.root(), "height={height}");
        for address in (0u8..8).map(address) {
            let account = model.account(&address).expect("memory");
            assert_eq!(snapshot.account(&address).expect("files"), account);
        }
        if height > 0 {
            let stored = store.record(height).expect("files").expect("is kept");
            assert_eq!(stored.height, height);
            let found = store.transaction_location(&stored.transaction_hashes[1]);
            assert_eq!(found.expect("files"), Some((height, 1)));
        }
    }
}

fn goes_its_own_way(original: Location, copied: Location) {
    let (store, models) = filled(original);
    let height = store.flushed_height();
    store.copy_to(copied.clone()).expect("an empty location");
    let taken = store.copy_to(copied.clone()).expect_err("not empty");
    assert!(matches!(taken, StoreError::Directory(_)), "{taken}");
    // The one goes on and merges, drops and deletes files.
    for seed in 41..=160 {
        add_block(&store, diff(seed));
        store.flush(seed).expect("writes to a disk");
    }
    let copy = reopen(copied);
    assert_eq!(copy.newest_height(), height);
    let known = usize::try_from(height).expect("small") + 1;
    check(&copy, &models[..known]);
    // So does the other, with other blocks.
    let other = add_block(&copy, diff(1_000));
    copy.flush(height + 1).expect("writes to a disk");
    let first = store.record(height + 1).expect("files").expect("is kept");
    assert_ne!(first.hash, other.hash);
    assert_eq!(store.height_of_block(&other.hash).expect("files"), None);
}

#[test]
fn in_memory() {
    let disk = || Location::Memory(MemoryDisk::new());
    goes_its_own_way(disk(), disk());
}

#[test]
fn in_directories_with_the_same_files() {
    let folder = Folder::new("linked");
    goes_its_own_way(directory(&folder.0, "one"), directory(&folder.0, "two"));
}

#[test]
fn between_a_directory_and_memory() {
    let folder = Folder::new("copied");
    let memory = Location::Memory(MemoryDisk::new());
    goes_its_own_way(directory(&folder.0, "one"), memory);
}
