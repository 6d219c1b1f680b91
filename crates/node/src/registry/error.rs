//! Why a shard could not be ordered, in one line with what to do.

use crate::load::LoadError;
use alloy_primitives::B256;
use std::path::PathBuf;

/// Why a shard could not be ordered.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The node could not be asked.
    #[error(transparent)]
    Node(#[from] LoadError),
    /// The key file gives no key.
    #[error(
        "key {path}: {problem}; it has to hold the 32 bytes of an account's private key in hex"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The chain has no ledger of shards.
    #[error("the chain at {0} can't have shards: its genesis has no `headway.shards`")]
    NoLedger(String),
    /// There is no such shard.
    #[error("there is no shard {0}; `headway shard list` says which there are")]
    NoShard(u32),
    /// The chain's answer has no log of the registry.
    #[error("the registry said nothing: transaction={0}; does the chain's genesis have it?")]
    NoEvent(B256),
    /// The transaction failed.
    #[error("the registry refused: transaction={0}")]
    Reverted(B256),
    /// The transaction, or the ledger's answer to it, did not come.
    #[error("{what} after {seconds} s: transaction={hash}")]
    Late {
        /// What did not happen.
        what: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// The transaction.
        hash: B256,
    },
    /// A charter can't be read, so it can't be changed either.
    #[error(transparent)]
    Charter(#[from] primitives::shard::CharterError),
    /// Another chain's rules.
    #[error("the genesis has chainId {found} and the shard {expected}; an upgrade keeps it")]
    ChainId {
        /// The file's.
        found: u64,
        /// The shard's.
        expected: u64,
    },
    /// It could not be signed.
    #[error("cannot sign: {0}")]
    Signing(String),
    /// The operating system gave no runtime.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
}
