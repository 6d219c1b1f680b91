//! A disk in memory loses what was not synced and nothing else; a directory is for one user.

use super::memory::MemoryDisk;
use super::{Disk, File};

fn mount(disk: &MemoryDisk) -> Disk {
    Disk::memory(disk).expect("free")
}

fn content(file: &File) -> Vec<u8> {
    let len = file.len().expect("open");
    let mut bytes = vec![0; usize::try_from(len).expect("small")];
    file.read_at(0, &mut bytes).expect("open");
    bytes
}

#[test]
fn a_crash_loses_what_was_not_synced() {
    let disk = MemoryDisk::new();
    let used = mount(&disk);
    let mut file = used.create("a").expect("healthy");
    file.append(b"one").expect("healthy");
    file.sync().expect("healthy");
    used.sync_directory().expect("healthy");
    file.append(b"two").expect("healthy");
    used.create("b").expect("healthy");
    used.rename("a", "c").expect("healthy");
    assert_eq!(used.list().expect("healthy"), ["b", "c"]);
    assert_eq!(content(&file), b"onetwo");

    disk.crash();
    assert!(used.list().is_err(), "cut off");
    assert!(file.append(b"x").is_err(), "cut off");
    assert!(file.read_at(0, &mut [0]).is_err(), "cut off");
    let used = mount(&disk);
    assert_eq!(used.list().expect("healthy"), ["a"]);
    assert_eq!(content(&used.open("a").expect("there")), b"one");
}

#[test]
fn a_crash_keeps_any_part_of_the_rest() {
    let disk = MemoryDisk::new();
    let used = mount(&disk);
    let mut file = used.create("a").expect("healthy");
    file.append(&[1; 150]).expect("healthy");
    used.rename("a", "b").expect("healthy");
    // Kept: the name, and of three sectors the first and the last.
    disk.crash_keeping(|index| [0, 1, 3].contains(&index));
    let used = mount(&disk);
    assert_eq!(used.list().expect("healthy"), ["a"]);
    let bytes = content(&used.open("a").expect("there"));
    assert_eq!(bytes.len(), 150);
    assert_eq!(bytes[..64], [1; 64]);
    assert_eq!(bytes[64..128], [0; 64]);
    assert_eq!(bytes[128..], [1; 22]);
}

#[test]
fn an_open_file_outlives_its_name() {
    let disk = MemoryDisk::new();
    let used = mount(&disk);
    let mut file = used.create("a").expect("healthy");
    file.append(b"one").expect("healthy");
    used.delete("a").expect("there");
    used.create("a").expect("healthy");
    assert_eq!(content(&file), b"one");
    assert!(content(&used.open("a").expect("there")).is_empty());
}

#[test]
fn a_disk_fails_until_it_crashes() {
    let disk = MemoryDisk::new();
    let used = mount(&disk);
    disk.fail_after(2);
    let mut file = used.create("a").expect("the first");
    file.append(b"one").expect("the second");
    assert!(file.append(b"two").is_err());
    assert!(file.sync().is_err());
    assert!(used.sync_directory().is_err());
    assert_eq!(content(&file), b"one");
    disk.crash();
    mount(&disk).create("a").expect("healthy again");
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = MemoryDisk::new();
    disk.limit(Some(5));
    let used = mount(&disk);
    let mut file = used.create("a").expect("healthy");
    file.append(b"one").expect("fits");
    let full = file.append(b"two").expect_err("does not fit");
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(content(&file), b"onetw");
}

#[test]
fn one_user_at_a_time() {
    let disk = MemoryDisk::new();
    let used = mount(&disk);
    assert!(Disk::memory(&disk).is_err());
    drop(used);
    let dead = mount(&disk);
    disk.crash();
    let used = mount(&disk);
    drop(dead);
    assert!(Disk::memory(&disk).is_err(), "the dead do not free it");
    drop(used);
    assert!(Disk::memory(&disk).is_ok());
}
