//! A disk in memory, for the deterministic simulator and for crash tests.
//!
//! The files outlive the store that wrote them; a clone is the same disk. What was written since
//! the last sync can be lost, all of it or any part, as in a power failure:
//!
//! ```text
//!   append, create, sync, append, rename ──▶ crash ──▶ as after the sync (or any subset of the rest)
//! ```
//!
//! An append is lost sector by sector, so that a file may end in the middle of it or have a hole of
//! zeros. Names are durable after a sync of the directory, bytes after a sync of their file.
//!
//! A crash also cuts off whoever still holds the disk open, so a store that died in the simulation
//! can't write to its successor's files. Limit: it all lives in memory.

use std::collections::BTreeMap;
use std::fmt::{Debug, Formatter};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

/// What a power failure tears an append into.
const SECTOR_BYTES: usize = if cfg!(test) { 64 } else { 512 };

/// A disk in memory that can fail and crash.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    platter: Arc<Mutex<Platter>>,
}

#[derive(Default)]
struct Platter {
    /// The files as their user sees them.
    files: Names,
    /// The names after the last sync of the directory.
    durable: Names,
    /// Changes since the last sync of what they change, oldest first.
    unsynced: Vec<Change>,
    /// Number of crashes so far; a handle from before the last one is dead.
    incarnation: u64,
    in_use: bool,
    /// How many more changes and syncs succeed; `None` for all.
    lifetime: Option<u64>,
    /// Bytes that all files may have together; `None` for any number.
    bytes_max: Option<usize>,
}

type Names = BTreeMap<String, Arc<Content>>;

/// The bytes of a file, whatever its name is. Locked after the platter, and only briefly.
#[derive(Default)]
struct Content(Mutex<Bytes>);

#[derive(Default)]
struct Bytes {
    all: Vec<u8>,
    /// How many of them are durable.
    synced: usize,
}

enum Change {
    Create(String, Arc<Content>),
    Rename(String, String),
    Delete(String),
    Append(Arc<Content>, Range<usize>),
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses all that was not synced, and cuts off the store that has the disk open.
    pub fn crash(&self) {
        self.crash_keeping(|_| false);
    }

    /// Like [`MemoryDisk::crash`], but the unsynced changes for which `keep` says so had reached
    /// the disk. They are counted from 0, oldest first.
    pub fn crash_keeping(&self, mut keep: impl FnMut(usize) -> bool) {
        let mut platter = self.lock();
        let unsynced = std::mem::take(&mut platter.unsynced);
        let written: Vec<Vec<u8>> = unsynced.iter().map(Change::bytes).collect();
        unsynced.iter().for_each(Change::take_back);
        platter.files = platter.durable.clone();
        for (index, (change, bytes)) in unsynced.iter().zip(&written).enumerate() {
            if keep(index) {
                change.redo(&mut platter.files, bytes);
            }
        }
        for content in platter.files.values() {
            let mut bytes = content.lock();
            bytes.synced = bytes.all.len();
        }
        platter.durable = platter.files.clone();
        platter.incarnation += 1;
        platter.in_use = false;
        platter.lifetime = None;
    }

    /// Lets `operations` more changes and syncs succeed; from then on they fail until a crash.
    pub fn fail_after(&self, operations: u64) {
        self.lock().lifetime = Some(operations);
    }

    /// Lets the files have so many bytes together; `None` for any number. An append that goes
    /// beyond writes what fits and fails.
    #[cfg(test)]
    pub(crate) fn limit(&self, bytes_max: Option<usize>) {
        self.lock().bytes_max = bytes_max;
    }

    /// Changes what is on the disk behind everybody's back.
    #[cfg(test)]
    pub(crate) fn tamper<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        let mut platter = self.lock();
        let files = platter.files.iter();
        let mut seen: BTreeMap<_, _> = files
            .map(|(name, content)| (name.clone(), content.lock().all.clone()))
            .collect();
        let answer = change(&mut seen);
        platter.files.retain(|name, _| seen.contains_key(name));
        for (name, all) in seen {
            let synced = all.len();
            *platter.files.entry(name).or_default().lock() = Bytes { all, synced };
        }
        platter.durable = platter.files.clone();
        platter.unsynced.clear();
        answer
    }

    /// The disk for its only user; `WouldBlock` while it has one.
    pub(super) fn mount(&self) -> io::Result<Mount> {
        let mut platter = self.lock();
        if std::mem::replace(&mut platter.in_use, true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Mount {
            disk: self.clone(),
            incarnation: platter.incarnation,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        let platter = self.platter.lock();
        platter.expect("nothing panics while it holds the disk")
    }

    fn lock_of(&self, incarnation: u64) -> io::Result<MutexGuard<'_, Platter>> {
        let platter = self.lock();
        if platter.incarnation == incarnation {
            Ok(platter)
        } else {
            Err(io::Error::other("the disk crashed"))
        }
    }

    fn lock_for_change(&self, incarnation: u64) -> io::Result<MutexGuard<'_, Platter>> {
        let mut platter = self.lock_of(incarnation)?;
        if let Some(left) = &mut platter.lifetime {
            *left = left
                .checked_sub(1)
                .ok_or_else(|| io::Error::other("the disk failed"))?;
        }
        Ok(platter)
    }
}

impl Debug for MemoryDisk {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let platter = self.lock();
        let (files, bytes) = (platter.files.len(), platter.bytes());
        write!(f, "MemoryDisk({files} files, {bytes} bytes)")
    }
}

impl Platter {
    fn bytes(&self) -> usize {
        self.files.values().map(|file| file.lock().all.len()).sum()
    }

    fn find(&self, name: &str) -> io::Result<&Arc<Content>> {
        self.files.get(name).ok_or_else(missing)
    }
}

impl Content {
    fn lock(&self) -> MutexGuard<'_, Bytes> {
        let bytes = self.0.lock();
        bytes.expect("nothing panics while it holds a file")
    }
}

impl Change {
    /// What it wrote.
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Append(content, range) => content.lock().all[range.clone()].to_vec(),
            Self::Create(..) | Self::Rename(..) | Self::Delete(_) => Vec::new(),
        }
    }

    /// Cuts the file back to what is durable of it.
    fn take_back(&self) {
        if let Self::Append(content, _) = self {
            let mut bytes = content.lock();
            let synced = bytes.synced;
            bytes.all.truncate(synced);
        }
    }

    /// A change of a name that is not there, because the change before it was lost, is lost too.
    fn redo(&self, files: &mut Names, written: &[u8]) {
        match self {
            Self::Create(name, content) => drop(files.insert(name.clone(), Arc::clone(content))),
            Self::Rename(from, to) => {
                if let Some(content) = files.remove(from) {
                    files.insert(to.clone(), content);
                }
            }
            Self::Delete(name) => drop(files.remove(name)),
            Self::Append(content, range) => {
                let mut bytes = content.lock();
                let len = bytes.all.len().max(range.end);
                bytes.all.resize(len, 0);
                bytes.all[range.clone()].copy_from_slice(written);
            }
        }
    }

    fn is_append_to(&self, file: &Arc<Content>) -> bool {
        matches!(self, Self::Append(content, _) if Arc::ptr_eq(content, file))
    }
}

/// A disk in use, until it is dropped or crashes.
#[derive(Debug)]
pub(crate) struct Mount {
    disk: MemoryDisk,
    incarnation: u64,
}

impl Mount {
    pub(super) fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let mut platter = self.disk.lock_for_change(self.incarnation)?;
        let content = Arc::<Content>::default();
        let change = Change::Create(name.to_owned(), Arc::clone(&content));
        platter.unsynced.push(change);
        platter.files.insert(name.to_owned(), Arc::clone(&content));
        Ok(self.file(content))
    }

    pub(super) fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let platter = self.disk.lock_of(self.incarnation)?;
        Ok(self.file(Arc::clone(platter.find(name)?)))
    }

    fn file(&self, content: Arc<Content>) -> MemoryFile {
        MemoryFile {
            disk: self.disk.clone(),
            incarnation: self.incarnation,
            content,
        }
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut platter = self.disk.lock_for_change(self.incarnation)?;
        let content = platter.files.remove(from).ok_or_else(missing)?;
        platter.files.insert(to.to_owned(), content);
        let change = Change::Rename(from.to_owned(), to.to_owned());
        platter.unsynced.push(change);
        Ok(())
    }

    pub(super) fn delete(&self, name: &str) -> io::Result<()> {
        let mut platter = self.disk.lock_for_change(self.incarnation)?;
        platter.files.remove(name).ok_or_else(missing)?;
        platter.unsynced.push(Change::Delete(name.to_owned()));
        Ok(())
    }

    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        let platter = self.disk.lock_of(self.incarnation)?;
        Ok(platter.files.keys().cloned().collect())
    }

    pub(super) fn sync_directory(&self) -> io::Result<()> {
        let mut platter = self.disk.lock_for_change(self.incarnation)?;
        platter.durable = platter.files.clone();
        let unsynced = &mut platter.unsynced;
        unsynced.retain(|change| matches!(change, Change::Append(..)));
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Ok(mut platter) = self.disk.lock_of(self.incarnation) {
            platter.in_use = false;
        }
    }
}

/// An open file, until the next crash.
pub(crate) struct MemoryFile {
    disk: MemoryDisk,
    incarnation: u64,
    content: Arc<Content>,
}

impl MemoryFile {
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut platter = self.disk.lock_for_change(self.incarnation)?;
        let room = platter
            .bytes_max
            .map(|most| most.saturating_sub(platter.bytes()));
        let fits = room.map_or(bytes.len(), |room| room.min(bytes.len()));
        let mut content = self.content.lock();
        for sector in bytes[..fits].chunks(SECTOR_BYTES) {
            let start = content.all.len();
            content.all.extend_from_slice(sector);
            let range = start..content.all.len();
            let change = Change::Append(Arc::clone(&self.content), range);
            platter.unsynced.push(change);
        }
        if fits < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        let mut platter = self.disk.lock_for_change(self.incarnation)?;
        let unsynced = &mut platter.unsynced;
        unsynced.retain(|change| !change.is_append_to(&self.content));
        let mut content = self.content.lock();
        content.synced = content.all.len();
        Ok(())
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        let _platter = self.disk.lock_of(self.incarnation)?;
        u64::try_from(self.content.lock().all.len()).map_err(io::Error::other)
    }

    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let _platter = self.disk.lock_of(self.incarnation)?;
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let content = self.content.lock();
        let end = start.checked_add(buffer.len());
        let bytes = end.and_then(|end| content.all.get(start..end));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Debug for MemoryFile {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryFile({} bytes)", self.content.lock().all.len())
    }
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}
