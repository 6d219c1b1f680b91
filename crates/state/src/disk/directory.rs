//! A directory of the file system, locked by a file in it.
//!
//! Permissions: the directory and its files are for this user only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The file whose lock says that the directory is in use. It stays empty.
const LOCK: &str = "LOCK";

/// A directory that no other process may open as long as this lives.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Unlocked when it is closed, also by the death of the process.
    _lock: File,
}

impl Directory {
    /// Makes the directory if missing and locks it; `WouldBlock` while another holds it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        make(path)?;
        let lock = writable(false).open(path.join(LOCK))?;
        lock.try_lock()?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        writable(true).open(self.path.join(name))
    }

    pub(super) fn open_file(&self, name: &str) -> io::Result<File> {
        File::open(self.path.join(name))
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    pub(super) fn delete(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    /// Gives a file of another directory a name in this one as well.
    pub(super) fn link(&self, from: &Self, name: &str) -> io::Result<()> {
        std::fs::hard_link(from.path.join(name), self.path.join(name))
    }

    /// Names that are not Unicode are not ours, and left out.
    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        names.retain(|name| name != LOCK);
        names.sort();
        Ok(names)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// Makes a directory and those above it, as far as they are missing, durably.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    make(above)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => File::open(above)?.sync_all(),
    }
}

fn writable(truncate: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true);
    options.truncate(truncate).mode(0o600);
    options
}
