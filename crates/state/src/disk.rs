//! The few operations on files that the store needs, on a real directory or in memory.
//!
//! ```text
//!   create ─▶ append… ─▶ sync ─┐
//!                              ├─▶ sync_directory: the names are durable too
//!   rename, delete ────────────┘
//! ```
//!
//! Files are written once, from front to back, and read at any place. Names and contents become
//! durable apart from each other: [`File::sync`] for a file's bytes, [`Disk::sync_directory`] for
//! all names. Until then a crash may lose any of them and keep the others. A file that is open stays
//! readable when its name is gone.
//!
//! Limit: one directory without folders in it; one user at a time, until the [`Disk`] is dropped.

mod directory;
pub(crate) mod memory;

pub use memory::MemoryDisk;

use directory::Directory;
use memory::{MemoryFile, Mount};
use std::io;
use std::path::Path;

/// Bytes of a file that are copied at once.
const COPIED_BYTES_MAX: usize = 1 << 20;

/// A flat folder of files, in use by its holder alone.
#[derive(Debug)]
pub(crate) enum Disk {
    /// A directory of the file system.
    Directory(Directory),
    /// A disk in memory.
    Memory(Mount),
}

/// A file, open for reading, and for appending if it was created by the holder.
#[derive(Debug)]
pub(crate) enum File {
    /// A file of the file system.
    Real(std::fs::File),
    /// A file of a disk in memory.
    Memory(MemoryFile),
}

impl Disk {
    /// A directory, made if missing, for this user only. `WouldBlock` while another holds it.
    pub(crate) fn directory(path: &Path) -> io::Result<Self> {
        Directory::open(path).map(Self::Directory)
    }

    /// A disk in memory. `WouldBlock` while another holds it.
    pub(crate) fn memory(disk: &memory::MemoryDisk) -> io::Result<Self> {
        disk.mount().map(Self::Memory)
    }

    /// Makes an empty file, in place of one of this name.
    pub(crate) fn create(&self, name: &str) -> io::Result<File> {
        match self {
            Self::Directory(directory) => directory.create(name).map(File::Real),
            Self::Memory(mount) => mount.create(name).map(File::Memory),
        }
    }

    /// Opens a file for reading.
    pub(crate) fn open(&self, name: &str) -> io::Result<File> {
        match self {
            Self::Directory(directory) => directory.open_file(name).map(File::Real),
            Self::Memory(mount) => mount.open(name).map(File::Memory),
        }
    }

    /// Renames a file; one that has the new name already is replaced.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        match self {
            Self::Directory(directory) => directory.rename(from, to),
            Self::Memory(mount) => mount.rename(from, to),
        }
    }

    /// Takes away a file's name. Whoever has it open goes on reading it.
    pub(crate) fn delete(&self, name: &str) -> io::Result<()> {
        match self {
            Self::Directory(directory) => directory.delete(name),
            Self::Memory(mount) => mount.delete(name),
        }
    }

    /// The names of all files, sorted.
    pub(crate) fn list(&self) -> io::Result<Vec<String>> {
        match self {
            Self::Directory(directory) => directory.list(),
            Self::Memory(mount) => mount.list(),
        }
    }

    /// Makes a file of another disk one of this disk's too, under the same name. It is the same file where
    /// both are directories of one file system, which is why only files that never change may be shared.
    pub(crate) fn adopt(&self, from: &Self, name: &str) -> io::Result<()> {
        if let (Self::Directory(to), Self::Directory(from)) = (self, from)
            && to.link(from, name).is_ok()
        {
            return Ok(());
        }
        let source = from.open(name)?;
        let bytes = usize::try_from(source.len()?).map_err(io::Error::other)?;
        let mut copy = self.create(name)?;
        let mut buffer = vec![0; bytes.min(COPIED_BYTES_MAX)];
        let mut done = 0;
        while done < bytes {
            let part = &mut buffer[..(bytes - done).min(COPIED_BYTES_MAX)];
            source.read_at(u64::try_from(done).map_err(io::Error::other)?, part)?;
            copy.append(part)?;
            done += part.len();
        }
        copy.sync()
    }

    /// Makes all names durable: what was created, renamed and deleted.
    pub(crate) fn sync_directory(&self) -> io::Result<()> {
        match self {
            Self::Directory(directory) => directory.sync(),
            Self::Memory(mount) => mount.sync_directory(),
        }
    }
}

impl File {
    /// Adds bytes at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Real(file) => io::Write::write_all(file, bytes),
            Self::Memory(file) => file.append(bytes),
        }
    }

    /// Makes the bytes durable, not the name.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.sync_data(),
            Self::Memory(file) => file.sync(),
        }
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> io::Result<u64> {
        match self {
            Self::Real(file) => Ok(file.metadata()?.len()),
            Self::Memory(file) => file.len(),
        }
    }

    /// Fills the buffer with the bytes from `offset` on; `UnexpectedEof` if there are too few.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Real(file) => std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset),
            Self::Memory(file) => file.read_at(offset, buffer),
        }
    }
}

#[cfg(test)]
mod tests;
