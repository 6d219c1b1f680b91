//! Why there is no profile, in one line with what to do.

use crate::load::LoadError;
use std::{io, path::PathBuf};

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The option names no block.
    #[error("--block {0}: write a number, a hash of 32 bytes, or latest, finalized, earliest")]
    Block(String),
    /// The node does not have the block.
    #[error("the node has executed no block {0}; `--block latest` is the newest one")]
    NoBlock(String),
    /// The node could not be asked.
    #[error(transparent)]
    Node(#[from] LoadError),
    /// A file could not be read or written.
    #[error("{action} {path}: {problem}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        problem: io::Error,
    },
    /// A file is too large, or has too many lines.
    #[error("{path} has more than {max} {unit}; profile a part of it")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// How much is read.
        max: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A line is not a transaction.
    #[error("{path} line {line}: {problem}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from one.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A block could not be executed here.
    #[error("the transactions could not be executed: {0}")]
    Execution(String),
    /// The operating system gave no threads.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
}

impl ProfileError {
    /// 2 for a mistake of whoever asked, 1 for what went wrong elsewhere.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Block(_) | Self::File { .. } | Self::TooLarge { .. } | Self::Line { .. } => 2,
            Self::NoBlock(_) | Self::Execution(_) | Self::Runtime(_) => 1,
            Self::Node(error) => error.exit_code(),
        }
    }
}
