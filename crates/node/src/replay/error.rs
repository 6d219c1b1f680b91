//! Why a replay ended without success, in one line with what to do.

use super::measure::Mismatch;
use alloy_primitives::{Address, B256};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a replay ended without success.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An option is out of range.
    #[error("{option}: choose 1 to {max}")]
    Option {
        /// The option.
        option: &'static str,
        /// Its largest value.
        max: usize,
    },
    /// There are no threads to execute on.
    #[error(transparent)]
    Workers(#[from] executor::NoWorkers),
    /// Nothing is at a path.
    #[error("no such file or folder: {}; name block files or the folder that holds blocks/ and codes.json", path.display())]
    Missing {
        /// As it was given.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Somebody named the archive and not what is in it.
    #[error("{path} is an archive; unpack it and name the folder: mkdir mainnet && tar -xf {path} -C mainnet && headway replay mainnet", path = path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
    },
    /// A folder without blocks.
    #[error("no block in {}: blocks are files NUMBER.json in this folder or in its folder blocks; if the set is packed, unpack it first", path.display())]
    NoBlocks {
        /// The folder.
        path: PathBuf,
    },
    /// More than fits into memory.
    #[error("{} is too large: bytes={bytes} bytes_max={bytes_max}; a block's file is a few megabytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// More blocks than one run holds.
    #[error(
        "too many blocks: blocks={blocks} blocks_max={blocks_max}; replay them in several runs"
    )]
    TooMany {
        /// How many were named.
        blocks: usize,
        /// The limit.
        blocks_max: usize,
    },
    /// A file ends before its JSON does.
    #[error("{} ends too early: {source}; copy or unpack it again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// A file holds something else than JSON.
    #[error("{} is not JSON: {source}; name block files or their folder", path.display())]
    NotJson {
        /// The file.
        path: PathBuf,
        /// Where.
        source: serde_json::Error,
    },
    /// A file holds other JSON.
    #[error("{} is not {what}: {problem}; docs/replay.md shows the form", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A transaction can't be read, or is not the one it says it is.
    #[error("{}: transaction {index} is not usable: {problem}; get the block again, with full transactions", path.display())]
    Transaction {
        /// The file.
        path: PathBuf,
        /// Its place in the block.
        index: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// An account runs code that was not read.
    #[error("{}: the code of {address} is missing: code_hash={code_hash}; name the codes.json of the same set by --codes FILE", path.display())]
    UnknownCode {
        /// The block's file.
        path: PathBuf,
        /// The account.
        address: Address,
        /// Hash of its code.
        code_hash: B256,
    },
    /// A code is not the one it says it is.
    #[error("{}: a code does not hash to its key: key={key} hash={hash}; get the file again", path.display())]
    WrongCode {
        /// The codes' file.
        path: PathBuf,
        /// What it is filed under.
        key: B256,
        /// What it hashes to.
        hash: B256,
    },
    /// Two files hold the same block.
    #[error("block {height} is there twice: {} and {}; name one of them", first.display(), second.display())]
    Twice {
        /// The block.
        height: u64,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// The filter leaves nothing.
    #[error(
        "no block uses that much gas: min_gas={min_gas} largest={largest}; choose a smaller --min-gas"
    )]
    NothingLeft {
        /// The filter.
        min_gas: u64,
        /// Gas of the largest block.
        largest: u64,
    },
    /// A block could not be executed at all.
    #[error("block {height} could not be executed: {source}")]
    Execution {
        /// The block.
        height: u64,
        /// Why.
        source: executor::ExecutionFault,
    },
    /// Our result is not mainnet's.
    #[error("{first} (differences={count})")]
    Mismatch {
        /// The first difference.
        first: Mismatch,
        /// How many there are.
        count: usize,
    },
}

impl ReplayError {
    /// 2 for a mistake of whoever started it, 1 for a wrong result.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Option { .. }
            | Self::Missing { .. }
            | Self::File { .. }
            | Self::Archive { .. }
            | Self::NoBlocks { .. }
            | Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::Truncated { .. }
            | Self::NotJson { .. }
            | Self::Form { .. }
            | Self::Transaction { .. }
            | Self::UnknownCode { .. }
            | Self::WrongCode { .. }
            | Self::Twice { .. }
            | Self::NothingLeft { .. } => 2,
            Self::Workers(_) | Self::Execution { .. } | Self::Mismatch { .. } => 1,
        }
    }

    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    pub(super) fn json(path: &Path, what: &'static str, source: serde_json::Error) -> Self {
        let path = path.to_path_buf();
        match source.classify() {
            serde_json::error::Category::Eof => Self::Truncated { path, source },
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
                Self::NotJson { path, source }
            }
            serde_json::error::Category::Data => Self::Form {
                path,
                what,
                problem: source.to_string(),
            },
        }
    }
}
