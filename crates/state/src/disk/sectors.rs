//! One file in memory for the key-value store, for the deterministic simulator and for crash tests.
//!
//! The bytes outlive the store that wrote them; a clone is the same disk. What was written since
//! the last sync can be lost, all of it or any part, as in a power failure:
//!
//! ```text
//!   write, write, sync, write, write ──▶ crash ──▶ as after the sync (or any subset of the rest)
//! ```
//!
//! A crash also cuts off whoever still holds the disk open, so a store that died in the simulation
//! can't write to its successor's file. Limit: it all lives in memory.

use redb::StorageBackend;
use std::fmt::{Debug, Formatter};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

/// Length of what the key-value store begins a file with.
const MARK_BYTES: usize = 9;

/// A disk in memory that can fail and crash.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    sectors: Arc<Mutex<Sectors>>,
}

#[derive(Default)]
struct Sectors {
    bytes: Vec<u8>,
    /// Changes since the last sync, oldest first.
    unsynced: Vec<Change>,
    /// Number of crashes so far; a handle from before the last one is dead.
    incarnation: u64,
    in_use: bool,
    /// How many more changes and syncs succeed; `None` for all.
    lifetime: Option<u64>,
}

/// What the bytes from `offset` on were, and what they became.
struct Change {
    offset: usize,
    old: Vec<u8>,
    new: Vec<u8>,
    /// Whether the change was one of the length: then `old` or `new` reaches to the end.
    resized: bool,
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
        let mut sectors = self.lock();
        let unsynced = std::mem::take(&mut sectors.unsynced);
        for change in unsynced.iter().rev() {
            put(&mut sectors.bytes, change, &change.old);
        }
        for (index, change) in unsynced.iter().enumerate() {
            if keep(index) {
                put(&mut sectors.bytes, change, &change.new);
            }
        }
        sectors.incarnation += 1;
        sectors.in_use = false;
        sectors.lifetime = None;
    }

    /// Lets `operations` more changes and syncs succeed; from then on they fail until a crash.
    pub fn fail_after(&self, operations: u64) {
        self.lock().lifetime = Some(operations);
    }

    /// A backend for the key-value store; `None` while another has the disk open.
    pub(crate) fn attach(&self) -> Option<Attached> {
        let mut sectors = self.lock();
        let free = !std::mem::replace(&mut sectors.in_use, true);
        // The key-value store marks a new file last: without the mark there is nothing in it.
        if free && sectors.bytes.iter().take(MARK_BYTES).all(|byte| *byte == 0) {
            sectors.bytes.clear();
            sectors.unsynced.clear();
        }
        free.then(|| Attached {
            disk: self.clone(),
            incarnation: sectors.incarnation,
        })
    }

    /// Changes what is on the disk behind everybody's back.
    #[cfg(test)]
    pub(crate) fn tamper<T>(&self, change: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        change(&mut self.lock().bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Sectors> {
        let sectors = self.sectors.lock();
        sectors.expect("nothing panics while it holds the disk")
    }
}

impl Debug for MemoryDisk {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryDisk({} bytes)", self.lock().bytes.len())
    }
}

/// An open disk, until the next crash.
#[derive(Debug)]
pub(crate) struct Attached {
    disk: MemoryDisk,
    incarnation: u64,
}

impl Attached {
    fn lock(&self) -> io::Result<MutexGuard<'_, Sectors>> {
        let sectors = self.disk.lock();
        if sectors.incarnation == self.incarnation {
            Ok(sectors)
        } else {
            Err(io::Error::other("the disk crashed"))
        }
    }

    fn lock_for_change(&self) -> io::Result<MutexGuard<'_, Sectors>> {
        let mut sectors = self.lock()?;
        if let Some(left) = &mut sectors.lifetime {
            *left = left
                .checked_sub(1)
                .ok_or_else(|| io::Error::other("the disk failed"))?;
        }
        Ok(sectors)
    }
}

impl StorageBackend for Attached {
    fn len(&self) -> io::Result<u64> {
        u64::try_from(self.lock()?.bytes.len()).map_err(io::Error::other)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let sectors = self.lock()?;
        let start = position(offset)?;
        let bytes = sectors.bytes.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or_else(past_end)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut sectors = self.lock_for_change()?;
        let len = position(len)?;
        let offset = len.min(sectors.bytes.len());
        let change = Change {
            offset,
            old: sectors.bytes[offset..].to_vec(),
            new: vec![0; len - offset],
            resized: true,
        };
        sectors.bytes.resize(len, 0);
        sectors.unsynced.push(change);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.lock_for_change()?.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut sectors = self.lock_for_change()?;
        let offset = position(offset)?;
        let target = sectors.bytes.get_mut(offset..offset + data.len());
        let target = target.ok_or_else(past_end)?;
        let change = Change {
            offset,
            old: target.to_vec(),
            new: data.to_vec(),
            resized: false,
        };
        target.copy_from_slice(data);
        sectors.unsynced.push(change);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.lock()?.in_use = false;
        Ok(())
    }
}

/// Puts `new` where another version of the same bytes was. A write past the end, because the resize
/// before it was lost, is lost too.
fn put(bytes: &mut Vec<u8>, change: &Change, new: &[u8]) {
    if change.resized {
        bytes.resize(change.offset, 0);
        bytes.extend_from_slice(new);
        return;
    }
    let start = change.offset.min(bytes.len());
    let end = (change.offset + new.len()).min(bytes.len());
    bytes[start..end].copy_from_slice(&new[..end - start]);
}

fn position(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

fn past_end() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "past the end of the disk")
}
