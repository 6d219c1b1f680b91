//! Files that an operator names: read up to a limit, and known to be writable before long work.

use crate::error::NodeError;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read as _},
    path::Path,
};

/// Largest config file, in bytes: of a network of thousands of nodes.
pub(crate) const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Largest genesis file, in bytes: of some million accounts.
pub(crate) const GENESIS_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Largest key file, in bytes.
pub(crate) const KEY_BYTES_MAX: u64 = 4 * 1024;

/// The text of a file, which may be one without an end.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String, NodeError> {
    let read = || {
        let mut text = String::new();
        let count = File::open(path)?
            .take(bytes_max.saturating_add(1))
            .read_to_string(&mut text)?;
        match u64::try_from(count) {
            Ok(count) if count <= bytes_max => Ok(text),
            _ => Err(io::Error::new(
                ErrorKind::FileTooLarge,
                format!("it has more than {bytes_max} bytes"),
            )),
        }
    };
    read().map_err(NodeError::file("cannot read", path))
}

/// Fails if a file could not be written; leaves what is there, and nothing where nothing was.
pub(crate) fn require_writable(path: &Path) -> Result<(), NodeError> {
    let is_new = !path.exists();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(NodeError::file("cannot write", path))?;
    if is_new {
        // It is written again anyway.
        fs::remove_file(path).ok();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::TemporaryDirectory;

    #[test]
    fn a_file_without_an_end_is_read_up_to_the_limit() {
        let error = read_text(Path::new("/dev/zero"), 1_000).unwrap_err();
        assert!(
            error.to_string().contains("more than 1000 bytes"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 2);
        let directory = TemporaryDirectory::create().unwrap();
        let path = directory.path().join("text");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        assert!(read_text(&path, 4).is_err());
    }

    #[test]
    fn what_can_be_written_is_left_as_it_is() {
        let directory = TemporaryDirectory::create().unwrap();
        let path = directory.path().join("drawing.svg");
        require_writable(&path).unwrap();
        assert!(!path.exists());
        fs::write(&path, "there").unwrap();
        require_writable(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "there");
        for wrong in [directory.path(), &directory.path().join("none/drawing.svg")] {
            let error = require_writable(wrong).unwrap_err();
            assert!(error.to_string().starts_with("cannot write "), "{error}");
        }
    }
}
