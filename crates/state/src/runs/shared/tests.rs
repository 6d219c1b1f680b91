//! Merges inside of merges, which the tests from outside can't time.

use super::{Batch, Config, Family, Heights, Job, Merge, Rows, Shared};
use crate::disk::Disk;
use crate::disk::memory::MemoryDisk;
use std::ops::Range;

fn put(shared: &Shared, numbers: Range<u32>, value: &[u8]) {
    let mut batch = Batch::new(Vec::new());
    for number in numbers {
        let state = batch.rows(Family::State);
        state.put(&number.to_be_bytes(), value).expect("in order");
    }
    shared.commit(&batch).expect("healthy");
}

fn runs(shared: &Shared) -> Vec<(u8, u64)> {
    let lists = shared.newest();
    let runs = lists.of(Family::State).iter();
    runs.map(|run| (run.entry.tier, run.entry.rows)).collect()
}

/// A store that merges when it is told to.
fn without_thread(disk: &MemoryDisk) -> Shared {
    let config = Config {
        runs_max: 100,
        ..Config::small(Merge::Background)
    };
    Shared::open(Disk::memory(disk).expect("free"), config).expect("new")
}

/// Such a store, in which a large merge has been decided.
fn with_large_job() -> (Shared, Job) {
    let shared = without_thread(&MemoryDisk::new());
    put(&shared, 0..40_000, &[1; 50]);
    put(&shared, 0..40_000, &[2; 50]);
    let job = shared.next_job(false, None).expect("as large as the base");
    assert!(job.bottom);
    (shared, job)
}

#[test]
fn a_large_merge_makes_way_for_small_ones_of_later_runs() {
    let (shared, job) = with_large_job();
    for round in 0..8 {
        put(&shared, round * 5..round * 5 + 10, &[3; 10]);
    }
    let before = shared.view();
    shared.merge(&job, None).expect("healthy");
    assert_eq!(runs(&shared), [(1, 40_000), (1, 45)]);
    assert!(shared.writer().merging.is_empty());
    for view in [before, shared.view()] {
        let mut rows = view.range(Family::State, &[], None);
        let mut count = 0_u32;
        while let Some((key, value)) = rows.next_row().expect("sound") {
            let expected = if count < 45 { vec![3; 10] } else { vec![2; 50] };
            assert_eq!((key, value), (&count.to_be_bytes()[..], &expected[..]));
            count += 1;
        }
        assert_eq!(count, 40_000);
    }
}

#[test]
fn it_does_not_make_way_for_large_ones() {
    let (shared, job) = with_large_job();
    put(&shared, 0..15_000, &[3; 50]);
    put(&shared, 0..15_000, &[4; 50]);
    assert!(shared.next_job(false, Some(&job)).is_none());
    shared.merge(&job, None).expect("healthy");
    assert_eq!(runs(&shared), [(1, 40_000), (0, 15_000), (0, 15_000)]);
}

#[test]
fn history_that_is_dropped_during_a_merge_stays_dropped() {
    let disk = MemoryDisk::new();
    let shared = without_thread(&disk);
    let commit = |height: u64, drop_below| {
        let mut batch = Batch::new(Vec::new());
        let rows: &mut Rows = batch.rows(Family::History);
        rows.put_before(b"key", height, b"before")
            .expect("in order");
        batch.set_history(Heights {
            low: height - 1,
            high: height,
        });
        batch.drop_history_below(drop_below);
        shared.commit(&batch).expect("healthy");
    };
    (1..17).for_each(|height| commit(height, 0));
    let job = shared.next_job(false, None).expect("two of a tier");
    assert_eq!((job.family, job.inputs.len()), (Family::History, 2));
    commit(17, 1);
    shared.merge(&job, None).expect("healthy");
    let view = shared.view();
    assert_eq!(view.oldest_history(), Some(1));
    assert_eq!(view.runs(Family::History), 16);
    let rows = view.history_rows(1).expect("known");
    assert_eq!(rows.count(), 16);
    let files = disk.tamper(|files| files.len());
    assert_eq!(files, 17, "the manifest and the runs");
}
