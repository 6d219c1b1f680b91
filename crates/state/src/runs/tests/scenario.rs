//! How runs come and go: merges, deletions that vanish, history that is dropped.

use super::*;

/// A batch that puts some numbered keys.
fn puts(numbers: std::ops::Range<u32>, value: &[u8]) -> Batch {
    let mut batch = Batch::new(b"marker".to_vec());
    for number in numbers {
        let state = batch.rows(Family::State);
        state.put(&number.to_be_bytes(), value).expect("in order");
    }
    batch
}

fn history(height: u64, drop_below: Option<u64>) -> Batch {
    let mut batch = Batch::new(Vec::new());
    let rows = batch.rows(Family::History);
    rows.put_before(b"key", height, &height.to_be_bytes())
        .expect("in order");
    batch.set_history(Heights {
        low: height - 1,
        high: height,
    });
    if let Some(height) = drop_below {
        batch.drop_history_below(height);
    }
    batch
}

fn files(disk: &MemoryDisk) -> usize {
    disk.tamper(|files| files.keys().filter(|name| name.ends_with(".run")).count())
}

#[test]
fn what_is_deleted_leaves_the_disk() {
    let disk = MemoryDisk::new();
    let (runs, empty) = open(&disk, Config::small(Merge::Inline)).expect("new");
    runs.commit(&puts(0..100, b"value")).expect("healthy");
    let full = runs.view();
    let mut batch = Batch::new(Vec::new());
    for number in 0..100_u32 {
        let state = batch.rows(Family::State);
        state.delete(&number.to_be_bytes()).expect("in order");
    }
    runs.commit(&batch).expect("healthy");
    // The deletions take less room than the rows, so they are not merged with them yet.
    assert_eq!(runs.view().runs(Family::State), 2);
    assert_eq!(runs.view().range(Family::State, &[], None).count(), 0);
    runs.commit(&batch).expect("healthy");
    assert_eq!(runs.view().runs(Family::State), 0);
    assert_eq!(files(&disk), 0);
    assert_eq!(full.range(Family::State, &[], None).count(), 100);
    assert_eq!(empty.range(Family::State, &[], None).count(), 0);
    assert!(empty.marker().is_empty());
    assert_eq!(full.marker(), b"marker");
}

#[test]
fn runs_stay_few() {
    let disk = MemoryDisk::new();
    for merge in [Merge::Inline, Merge::Background] {
        let (runs, _) = open(&disk, Config::small(merge)).expect("sound");
        for round in 0..60_u32 {
            let value = round.to_be_bytes();
            runs.commit(&puts(round * 7..round * 7 + 20, &value))
                .expect("healthy");
            let most = match merge {
                Merge::Inline => 8,
                Merge::Background => 9,
            };
            assert!(runs.view().runs(Family::State) < most, "{round}");
        }
    }
}

#[test]
fn pieces_of_blocks_are_merged_up_to_their_size_and_then_stay() {
    let disk = MemoryDisk::new();
    let config = Config::small(Merge::Inline);
    let (runs, _) = open(&disk, config).expect("new");
    for height in 0..200_u64 {
        let mut batch = Batch::new(Vec::new());
        let blocks = batch.rows(Family::Blocks);
        blocks
            .put(&height.to_be_bytes(), &[7; 300])
            .expect("in order");
        runs.commit(&batch).expect("healthy");
    }
    let view = runs.view();
    let bytes = usize::try_from(view.disk_bytes()).expect("small");
    let piece = usize::try_from(config.policy.piece_bytes_max).expect("small");
    assert!(view.runs(Family::Blocks) < bytes / (piece / 2) + 6);
    assert!(view.runs(Family::Blocks) >= bytes / piece);
    for height in 0..200_u64 {
        let found = view.get(Family::Blocks, &height.to_be_bytes());
        assert_eq!(found.expect("sound"), Some(vec![7; 300]));
    }
}

#[test]
fn history_is_dropped_file_by_file() {
    let disk = MemoryDisk::new();
    let (runs, _) = open(&disk, Config::small(Merge::Inline)).expect("new");
    for height in 1..=100 {
        runs.commit(&history(height, Some(height.saturating_sub(32))))
            .expect("healthy");
        let oldest = runs.view().oldest_history().expect("some");
        assert!(oldest <= height.saturating_sub(32), "{oldest}");
        // An eighth more than is needed.
        assert!(height < 40 || oldest >= height - 40, "{oldest} {height}");
    }
    let view = runs.view();
    assert!(
        view.runs(Family::History) < 20,
        "{}",
        view.runs(Family::History)
    );
    let before = view.history(b"key", 80).expect("known");
    assert_eq!(before, Some(81_u64.to_be_bytes().to_vec()));
    assert_eq!(view.history(b"key", 100).expect("known"), None);
    assert_eq!(view.history(b"kez", 80).expect("known"), None);
    assert_eq!(view.history(b"ke", 80).expect("known"), None);
    let old = view;
    for height in 101..=200 {
        runs.commit(&history(height, Some(height - 5)))
            .expect("healthy");
    }
    assert_eq!(old.history(b"key", 80).expect("known"), before);
}

#[test]
fn a_gap_in_the_history_begins_a_new_one() {
    let disk = MemoryDisk::new();
    let (runs, _) = open(&disk, Config::small(Merge::Inline)).expect("new");
    runs.commit(&history(6, None)).expect("healthy");
    assert_eq!(runs.view().oldest_history(), Some(5));
    runs.commit(&history(7, None)).expect("healthy");
    runs.commit(&history(20, None)).expect("healthy");
    assert_eq!(runs.view().oldest_history(), Some(19));
    assert_eq!(runs.view().runs(Family::History), 1);
    let mut empty = Batch::new(Vec::new());
    empty.set_history(Heights { low: 20, high: 30 });
    runs.commit(&empty).expect("healthy");
    runs.commit(&history(31, None)).expect("healthy");
    assert_eq!(runs.view().oldest_history(), Some(19));
    let before = runs.view().history(b"key", 20).expect("known");
    assert_eq!(before, Some(31_u64.to_be_bytes().to_vec()));
}

#[test]
fn a_key_and_another_that_begins_with_it_and_looks_like_its_history() {
    let disk = MemoryDisk::new();
    let (runs, _) = open(&disk, Config::small(Merge::Inline)).expect("new");
    let mut batch = Batch::new(Vec::new());
    let rows = batch.rows(Family::History);
    let longer = [b"k", &5_u64.to_be_bytes()[..]].concat();
    for height in 1..=9 {
        rows.put_before(b"k", height, b"short").expect("in order");
    }
    for height in 1..=9 {
        rows.put_before(&longer, height, b"long").expect("in order");
    }
    batch.set_history(Heights { low: 0, high: 9 });
    runs.commit(&batch).expect("healthy");
    let view = runs.view();
    for after in 0..9 {
        assert_eq!(
            view.history(b"k", after).expect("known"),
            Some(b"short".to_vec())
        );
        assert_eq!(
            view.history(&longer, after).expect("known"),
            Some(b"long".to_vec())
        );
    }
    assert_eq!(view.history(b"k", 9).expect("known"), None);
    let rows = view.history_rows(0).expect("known");
    let keys: Vec<_> = rows.map(|row| row.expect("sound").0).collect();
    assert!(keys.is_sorted());
}

#[test]
fn large_values_have_blocks_of_their_own() {
    let disk = MemoryDisk::new();
    let (runs, _) = open(&disk, Config::new(Merge::Inline)).expect("new");
    let mut batch = Batch::new(Vec::new());
    for (number, len) in [(1_u8, 10), (2, 5 << 20), (3, 0), (4, 48 << 10)] {
        let state = batch.rows(Family::State);
        state.put(&[number], &vec![number; len]).expect("in order");
    }
    runs.commit(&batch).expect("healthy");
    runs.commit(&batch).expect("merged");
    let view = runs.view();
    let found = view.get(Family::State, &[2]).expect("sound");
    assert_eq!(found, Some(vec![2; 5 << 20]));
    let rows = view.range(Family::State, &[], None);
    let lens: Vec<_> = rows.map(|row| row.expect("sound").1.len()).collect();
    assert_eq!(lens, [10, 5 << 20, 0, 48 << 10]);
}

#[test]
fn the_end_of_the_store_does_not_wait_for_a_merge() {
    let disk = MemoryDisk::new();
    let config = Config::new(Merge::Background);
    let (runs, _) = open(&disk, config).expect("new");
    for round in 0..4_u8 {
        runs.commit(&puts(0..200_000, &[round; 50]))
            .expect("healthy");
    }
    drop(runs);
    let (runs, view) = open(&disk, config).expect("sound");
    let memory_bytes = view.memory_bytes();
    assert!(memory_bytes < 4 * 200_000 * 3, "{memory_bytes}");
    let row = view.get(Family::State, &7_u32.to_be_bytes());
    assert_eq!(row.expect("sound"), Some(vec![3; 50]));
    drop(runs);
}
