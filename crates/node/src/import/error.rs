//! Why an import ended early, in one line with what to do.

use super::geth::GenesisProblem;
use alloy_primitives::B256;
use std::path::PathBuf;

/// What is wrong with a file of blocks, and where.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// The file ends inside a block.
    #[error("the file ends inside this block: missing={missing} bytes; get it again")]
    Truncated {
        /// How many bytes are not there.
        missing: u64,
    },
    /// Something else than a block.
    #[error(
        "no block begins here: byte={byte:#04x}; expected concatenated RLP blocks, as geth exports them"
    )]
    NotBlock {
        /// What is there instead.
        byte: u8,
    },
    /// The file is packed.
    #[error("the file is packed; unpack it first: gunzip FILE")]
    Packed,
    /// A block that is too large.
    #[error("this block is too large: bytes={bytes} bytes_max={bytes_max}")]
    TooLarge {
        /// How long it says it is.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// Bytes that are no block.
    #[error("this is not a block: {0}")]
    Rlp(alloy_rlp::Error),
    /// A read that failed.
    #[error("cannot read: {0}")]
    Read(#[from] std::io::Error),
}

/// What is wrong with a block.
#[derive(Debug, thiserror::Error)]
pub enum BlockProblem {
    /// A field that says something else than what came out.
    #[error("{field} differs: header={said} executed={got}")]
    Differs {
        /// Which.
        field: &'static str,
        /// What the header says.
        said: String,
        /// What it should say.
        got: String,
    },
    /// A transaction that this node cannot hold.
    #[error("transaction {index} is not usable: {problem}")]
    Transaction {
        /// Its place in the block.
        index: usize,
        /// Why.
        problem: String,
    },
    /// A transaction that cannot be in this block.
    #[error("{0}")]
    Inclusion(executor::InclusionFault),
    /// A log of the deposit contract that is no deposit.
    #[error("a log of the deposit contract is no deposit: transaction={index}")]
    Deposit {
        /// The transaction that wrote it.
        index: usize,
    },
    /// Another block of this height was imported before.
    #[error("another block of this height was imported before: {0}; use another directory")]
    Other(B256),
}

/// Why an import ended early. What came before the block that is named is kept.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A genesis that this node cannot begin with.
    #[error("genesis {path}: {problem}")]
    Genesis {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: GenesisProblem,
    },
    /// Something is wrong with the file of blocks.
    #[error("{path}: block={height} offset={offset}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// The block that should be there.
        height: u64,
        /// Where it begins, in bytes from the beginning of the file.
        offset: u64,
        /// What is wrong.
        problem: FileProblem,
    },
    /// A block is false.
    #[error("{path}: block={height} offset={offset}: {problem}")]
    Block {
        /// The file.
        path: PathBuf,
        /// The block.
        height: u64,
        /// Where it begins, in bytes from the beginning of the file.
        offset: u64,
        /// What is wrong.
        problem: BlockProblem,
    },
    /// This node's state could not be read.
    #[error("block={height} could not be executed: {source}")]
    Execution {
        /// The block.
        height: u64,
        /// Why.
        source: executor::ExecutionFault,
    },
    /// Nothing was imported into a directory.
    #[error(
        "{path} holds no imported chain; fill it first: headway import --genesis FILE --data-dir DIR CHAIN"
    )]
    Empty {
        /// The directory.
        path: PathBuf,
    },
}

impl ImportError {
    /// 2 for a file that is not usable, 1 for a fault of this node.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Genesis { .. } | Self::File { .. } | Self::Block { .. } | Self::Empty { .. } => 2,
            Self::Execution { .. } => 1,
        }
    }
}
