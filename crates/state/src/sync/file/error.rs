//! What can be wrong with a snapshot file, and where.

use super::super::{ChunkError, CodeError, ManifestError, ServeError};
use super::EVIDENCE_BYTES_MAX;
use alloy_primitives::B256;
use std::fmt::{Display, Formatter};

/// A file that is not a snapshot of this chain, or not a whole one.
#[derive(Debug, thiserror::Error)]
#[error("bad snapshot file: {problem} in {place} at byte={at}")]
pub struct FileError {
    /// Which part of the file.
    pub place: Place,
    /// Where that part begins.
    pub at: u64,
    /// What is wrong with it.
    pub problem: Problem,
}

/// A part of a snapshot file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What the snapshot is of.
    Header,
    /// Why its root can be believed.
    Evidence,
    /// The manifest.
    Manifest,
    /// The chunk with this number.
    Chunk(usize),
    /// Codes.
    Codes,
    /// The mark that nothing is missing.
    End,
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header => f.write_str("its header"),
            Self::Evidence => f.write_str("its evidence"),
            Self::Manifest => f.write_str("its manifest"),
            Self::Chunk(number) => write!(f, "chunk={number}"),
            Self::Codes => f.write_str("its codes"),
            Self::End => f.write_str("its end"),
        }
    }
}

/// What is wrong with a part of a snapshot file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It can't be read.
    #[error("{0}")]
    Read(std::io::Error),
    /// The file ends too early.
    #[error("the file ends")]
    Truncated,
    /// The file goes on after its end.
    #[error("the file goes on")]
    Trailing,
    /// It does not begin as snapshots do.
    #[error("not a snapshot")]
    Magic,
    /// Another version of this program wrote it.
    #[error("unknown version={0}")]
    Version(u32),
    /// It is of a chain with another genesis.
    #[error("genesis={found}, not genesis={expected}")]
    Genesis {
        /// Genesis hash of this chain.
        expected: B256,
        /// Genesis hash in the file.
        found: B256,
    },
    /// It is not of the root that the evidence shows.
    #[error("root={found}, not root={trusted}")]
    Root {
        /// The root that was verified.
        trusted: B256,
        /// The root in the file.
        found: B256,
    },
    /// It was changed since it was written, or something before it is missing.
    #[error("wrong checksum")]
    Checksum,
    /// A record of another kind.
    #[error("unexpected record kind={0}")]
    Kind(u8),
    /// A record that is longer than any of its kind.
    #[error("record too long: bytes={0}")]
    TooLong(usize),
    /// The manifest fails its check.
    #[error(transparent)]
    Manifest(ManifestError),
    /// A chunk fails its check.
    #[error(transparent)]
    Chunk(ChunkError),
    /// Codes fail theirs.
    #[error(transparent)]
    Codes(CodeError),
    /// Code that no account has, or that was there before.
    #[error("needless code_hash={0}")]
    NeedlessCode(B256),
    /// Code that an account has is not in the file.
    #[error("no code_hash={0}")]
    MissingCode(B256),
}

/// A snapshot that can't be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file can't be written.
    #[error(transparent)]
    Write(#[from] std::io::Error),
    /// The state can't be read.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The state's leaves do not pass the check that readers make.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The evidence is too long.
    #[error("evidence too long: bytes={0} bytes_max={EVIDENCE_BYTES_MAX}")]
    Evidence(usize),
    /// The header is of another root than the manifest.
    #[error("header of root={header}, manifest of root={manifest}")]
    Root {
        /// Root in the header.
        header: B256,
        /// Root of the manifest.
        manifest: B256,
    },
}
