//! A full disk, a directory in use, and rows that do not fit.

use super::*;
use crate::runs::RowsError;
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let mut chance = Chance(5);
    for merge in [Merge::Inline, Merge::Background] {
        let disk = MemoryDisk::new();
        disk.limit(Some(60_000));
        let (runs, _) = open(&disk, Config::small(merge)).expect("new");
        let mut model = Model::default();
        let refused = loop {
            let (batch, next) = next_batch(&model, &mut chance, 30);
            match runs.commit(&batch) {
                Ok(()) => model = next,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, RunsError::Full), "{refused}");
        let (batch, _) = next_batch(&model, &mut chance, 30);
        disk.limit(None);
        let again = runs.commit(&batch);
        assert!(matches!(again, Err(RunsError::Poisoned)), "{again:?}");
        check(&runs.view(), &model, &mut chance);
        drop(runs);
        // What a reopening deletes makes room, but it needs none.
        disk.limit(Some(0));
        let (runs, view) = open(&disk, Config::small(merge)).expect("sound");
        check(&view, &model, &mut chance);
        drop(runs);
        disk.limit(None);
        let (runs, _) = open(&disk, Config::small(merge)).expect("sound");
        let (batch, next) = next_batch(&model, &mut chance, 30);
        runs.commit(&batch).expect("room again");
        check(&runs.view(), &next, &mut chance);
    }
}

#[test]
fn a_store_has_one_user() {
    let disk = MemoryDisk::new();
    let config = Config::small(Merge::Background);
    let (runs, _) = open(&disk, config).expect("new");
    assert!(matches!(open(&disk, config), Err(RunsError::Locked)));
    drop(runs);
    open(&disk, config).expect("free again");
}

#[test]
fn a_directory_works_as_a_disk_in_memory_does() {
    let top = std::env::temp_dir().join(format!("runs-test-{}", std::process::id()));
    let path = top.join("state");
    let config = Config::small(Merge::Background);
    let open = || Runs::open(Disk::directory(&path)?, config);
    let mut chance = Chance(11);
    let mut model = Model::default();
    let mut kept = Vec::new();
    for _ in 0..4 {
        let (runs, view) = open().expect("sound");
        assert!(matches!(open(), Err(RunsError::Locked)));
        check(&view, &model, &mut chance);
        for _ in 0..8 {
            let (batch, next) = next_batch(&model, &mut chance, 30);
            runs.commit(&batch).expect("healthy");
            model = next;
            kept.push((runs.view(), model.clone()));
        }
    }
    for (view, model) in &kept {
        check(view, model, &mut chance);
    }
    let mode = |path: &std::path::Path| {
        let metadata = std::fs::metadata(path).expect("there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("MANIFEST")), 0o600);
    std::fs::remove_dir_all(&top).expect("ours");
}

#[test]
fn rows_that_do_not_fit_change_nothing() {
    let mut rows = Rows::new(Family::State);
    rows.put(b"b", b"1").expect("the first");
    for key in [&b"a"[..], b"b"] {
        assert_eq!(rows.put(key, b"2"), Err(RowsError::Order { row: 1 }));
        assert_eq!(rows.delete(key), Err(RowsError::Order { row: 1 }));
    }
    let long = rows.put(&[0xff; 248], b"");
    assert_eq!(long, Err(RowsError::KeyLength { bytes: 248 }));
    rows.put(&[0xff; 247], b"").expect("just fits");
    assert!(rows.put_before(b"c", 1, b"").is_err());
    assert!(Rows::new(Family::History).put(b"c", b"").is_err());
    assert!(Rows::new(Family::Blocks).delete(b"c").is_err());
    assert_eq!(rows.len(), 2);

    let disk = MemoryDisk::new();
    let (runs, _) = open(&disk, Config::small(Merge::Inline)).expect("new");
    let mut chance = Chance(8);
    let (batch, model) = loop {
        let (batch, model) = next_batch(&Model::default(), &mut chance, 10);
        if model.height > 0 {
            break (batch, model);
        }
    };
    runs.commit(&batch).expect("healthy");
    let mut again = Batch::new(Vec::new());
    again
        .rows(Family::Blocks)
        .put(&1_u64.to_be_bytes(), b"")
        .expect("in order");
    let refused = runs.commit(&again);
    assert!(matches!(
        refused,
        Err(RunsError::Rows(RowsError::Order { .. }))
    ));
    for heights in [None, Some((5, 4)), Some((0, 9)), Some((9, 10))] {
        let mut wrong = Batch::new(Vec::new());
        wrong
            .rows(Family::History)
            .put_before(b"k", 9, b"")
            .expect("in order");
        if let Some((low, high)) = heights {
            wrong.set_history(Heights { low, high });
        }
        let refused = runs.commit(&wrong);
        assert!(matches!(
            refused,
            Err(RunsError::Rows(RowsError::Heights { .. }))
        ));
    }
    check(&runs.view(), &model, &mut Chance(8));
}
