//! What can go wrong with the runs: damage, the disk, or rows that do not fit.

use super::rows::Family;
use std::io::{self, ErrorKind};

/// The runs can't do what they were asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunsError {
    /// A file is not what was written.
    #[error("damaged: file={file} offset={offset}: {what}")]
    Corrupt {
        /// Its name in the directory.
        file: String,
        /// Where the damaged part begins, in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// No room is left on the disk.
    #[error("the disk is full")]
    Full,
    /// The disk can't be read or written.
    #[error("cannot read or write: {0}")]
    Disk(io::Error),
    /// An earlier write failed, so no further ones are taken.
    #[error("no writes are taken since one failed")]
    Poisoned,
    /// Another version of this program wrote the files.
    #[error("files of another version: stored={stored} supported={supported}")]
    WrongVersion {
        /// Version of the files.
        stored: u32,
        /// The only one this program reads.
        supported: u32,
    },
    /// Another process, or another user in this one, holds the disk.
    #[error("in use by another process")]
    Locked,
    /// The rows of a batch can't be taken.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The history does not reach back so far.
    #[error("no history after={asked} oldest={oldest:?}")]
    NoHistory {
        /// Height asked for.
        asked: u64,
        /// Height that the history begins after, if there is any.
        oldest: Option<u64>,
    },
}

/// Rows that can't be put into a batch: a mistake of whoever makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowsError {
    /// A row does not come after the one before it.
    #[error("a row is out of order: row={row}")]
    Order {
        /// Its number in the family's rows of the batch.
        row: usize,
    },
    /// A key is longer than a file can hold, or shorter than the family's keys are.
    #[error("a key has a wrong length: bytes={bytes}")]
    KeyLength {
        /// Its length.
        bytes: usize,
    },
    /// A value is longer than a file can hold.
    #[error("a value is too long: bytes={bytes}")]
    ValueLength {
        /// Its length.
        bytes: usize,
    },
    /// Only the state and the index delete rows, and only the history has values before a height.
    #[error("the family has no such rows: family={family:?}")]
    Kind {
        /// The family.
        family: Family,
    },
    /// The heights of the history go backwards, or rows lie outside of them.
    #[error("wrong history heights: low={low} high={high} newest={newest}")]
    Heights {
        /// Height before the batch's first.
        low: u64,
        /// The batch's last height.
        high: u64,
        /// The last height that the history has.
        newest: u64,
    },
    /// A marker is longer than the manifest can hold.
    #[error("the marker is too long: bytes={bytes}")]
    MarkerLength {
        /// Its length.
        bytes: usize,
    },
}

impl From<io::Error> for RunsError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            ErrorKind::WouldBlock => Self::Locked,
            _ => Self::Disk(error),
        }
    }
}

/// Damage in a file.
pub(super) fn corrupt(file: &str, offset: u64, what: &'static str) -> RunsError {
    RunsError::Corrupt {
        file: file.to_owned(),
        offset,
        what,
    }
}

/// What it means that a file can't be read: if it ends early or is not there, it is damaged.
pub(super) fn unreadable(file: &str, offset: u64, error: io::Error) -> RunsError {
    match error.kind() {
        ErrorKind::NotFound => corrupt(file, offset, "the file is missing"),
        ErrorKind::UnexpectedEof => corrupt(file, offset, "the file ends early"),
        _ => error.into(),
    }
}
