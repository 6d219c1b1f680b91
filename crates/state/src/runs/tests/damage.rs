//! Damage of every kind: an error, or the same answers.

use super::*;

/// A small store's disk, and what it has.
fn some_disk() -> (MemoryDisk, Model) {
    let disk = MemoryDisk::new();
    let mut chance = Chance(3);
    let mut model = Model::default();
    let (runs, _) = open(&disk, Config::small(Merge::Inline)).expect("new");
    for _ in 0..6 {
        let (batch, next) = next_batch(&model, &mut chance, 6);
        runs.commit(&batch).expect("healthy");
        model = next;
    }
    (disk, model)
}

/// What a disk with these files answers to every question.
fn read_all(files: BTreeMap<String, Vec<u8>>, model: &Model) -> Result<(), RunsError> {
    let disk = MemoryDisk::new();
    disk.tamper(|there| *there = files);
    let (_runs, view) = open(&disk, Config::small(Merge::Inline))?;
    // A look-up reads other parts than a scan, so it is to be right where the scan fails.
    for family in Family::ALL {
        for (key, value) in model.table(family).into_iter().flatten() {
            if let Ok(found) = view.get(family, key) {
                assert_eq!(found.as_ref(), Some(value), "{family:?}");
            }
        }
    }
    for after in view.oldest_history().expect("some")..=model.height {
        for key in model.state.keys() {
            if let Ok(found) = view.history(key, after) {
                assert_eq!(found.as_ref(), model.before(key, after));
            }
        }
    }
    let found = scan(&view)?;
    assert!(agrees(&found, model), "a wrong value");
    Ok(())
}

fn some_files() -> (BTreeMap<String, Vec<u8>>, Model) {
    let (disk, model) = some_disk();
    let files = disk.tamper(|files| files.clone());
    assert!(files.len() > 5, "{:?}", files.keys());
    read_all(files.clone(), &model).expect("sound");
    (files, model)
}

/// Reads after each of some changes to each file, all of which are to be noticed.
fn check_each(changes: impl Fn(&[u8]) -> Vec<Vec<u8>>) {
    let (files, model) = some_files();
    for (name, bytes) in &files {
        for (number, damaged) in changes(bytes).into_iter().enumerate() {
            let mut files = files.clone();
            files.insert(name.clone(), damaged);
            let read = read_all(files, &model);
            let error = read.expect_err("every byte counts");
            let at = format!("{name} {number} {error}");
            assert!(is_damage(&error), "{at}");
        }
    }
}

fn is_damage(error: &RunsError) -> bool {
    matches!(
        error,
        RunsError::Corrupt { .. } | RunsError::WrongVersion { .. }
    )
}

#[test]
fn every_flipped_byte_is_noticed() {
    check_each(|bytes| {
        let flip = |at: usize| {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            damaged
        };
        (0..bytes.len()).map(flip).collect()
    });
}

#[test]
fn every_lost_end_is_noticed() {
    check_each(|bytes| (0..bytes.len()).map(|len| bytes[..len].to_vec()).collect());
    check_each(|bytes| vec![[bytes, &[0]].concat(), [bytes, bytes].concat()]);
}

#[test]
fn every_zeroed_page_is_noticed() {
    check_each(|bytes| {
        let zero = |start: usize| {
            let mut damaged = bytes.to_vec();
            let end = damaged.len().min(start + 64);
            damaged[start..end].fill(0);
            damaged
        };
        let pages = (0..bytes.len()).step_by(16).map(zero);
        pages.filter(|damaged| damaged != bytes).collect()
    });
}

#[test]
fn every_lost_file_is_noticed() {
    let (files, model) = some_files();
    for name in files.keys() {
        let mut files = files.clone();
        files.remove(name);
        let lost = read_all(files, &model);
        assert!(matches!(lost, Err(RunsError::Corrupt { file, .. }) if file == *name));
    }
}

#[test]
fn swapped_files_are_noticed() {
    let (files, model) = some_files();
    for a in files.keys() {
        for b in files.keys().filter(|b| files[*b] != files[a]) {
            let mut files = files.clone();
            files.insert(a.clone(), files[b].clone());
            assert!(is_damage(&read_all(files.clone(), &model).expect_err(b)));
            let (disk, _) = some_disk();
            let mut swapped = disk.tamper(|files| files.clone());
            swapped.insert(a.clone(), files[b].clone());
            swapped.insert(b.clone(), self::some_bytes(&disk, a));
            assert!(is_damage(&read_all(swapped, &model).expect_err(b)));
        }
    }
}

fn some_bytes(disk: &MemoryDisk, name: &str) -> Vec<u8> {
    disk.tamper(|files| files[name].clone())
}

#[test]
fn another_version_and_a_foreign_file_are_named() {
    let (mut files, model) = some_files();
    let manifest = files.get_mut("MANIFEST").expect("there");
    manifest[8] = 3;
    let error = read_all(files.clone(), &model);
    assert!(matches!(
        error,
        Err(RunsError::WrongVersion {
            stored: 3,
            supported: 2
        })
    ));
    files.insert("MANIFEST".to_owned(), b"Manifest-Version: 1.0".to_vec());
    let error = read_all(files, &model);
    assert!(matches!(error, Err(RunsError::Corrupt { offset: 0, .. })));
}

#[test]
fn what_is_not_ours_stays_and_what_does_not_count_goes() {
    let (mut files, model) = some_files();
    let ours = files.len();
    for name in ["00000000000000ff.run", "MANIFEST.new", "notes.txt"] {
        files.insert(name.to_owned(), b"something".to_vec());
    }
    let disk = MemoryDisk::new();
    disk.tamper(|there| *there = files);
    let (_runs, view) = open(&disk, Config::small(Merge::Inline)).expect("sound");
    assert!(agrees(&scan(&view).expect("sound"), &model));
    let files = disk.tamper(|files| files.clone());
    assert!(files.contains_key("notes.txt"));
    assert_eq!(files.len(), ours + 1);
}
