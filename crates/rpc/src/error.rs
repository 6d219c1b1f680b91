//! What a caller is told when a call fails: geth's codes and messages, because libraries match on
//! them.
//!
//! | code | meaning |
//! |---|---|
//! | -32602 | the arguments are wrong |
//! | -32601 | no such method, or only on a development chain |
//! | -32005 | more than this node answers at once |
//! | -32001 | known, but without what was asked for |
//! | -32000 | everything else: no such block, transaction refused, execution failed, syncing |
//! | 4444 | older than this node's history (EIP-4444) |
//! | -38010 … -38026 | `eth_simulateV1`: a call or a block that breaks a rule |
//! | 3 | the call reverted; its output is in `data` |
//! | 4 | EIP-7966: sent, but no receipt in time; the hash is in `data` |

use crate::{dev::TravelError, revert};
use alloy_primitives::{B256, Bytes};
use jsonrpsee::types::{
    ErrorObjectOwned,
    error::{INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE, METHOD_NOT_FOUND_CODE},
};
use mempool::AdmissionError;
use pipeline::{ChainError, DevError};
use primitives::TransactionError;
use state::{PostingsError, ProofError, ReadFault, StoreError, UnknownHeight};

const CALL_FAILED_CODE: i32 = -32000;
const LIMIT_EXCEEDED_CODE: i32 = -32005;
const RESOURCE_NOT_FOUND_CODE: i32 = -32001;
const PRUNED_CODE: i32 = 4444;
const REVERTED_CODE: i32 = 3;
const RECEIPT_TIMEOUT_CODE: i32 = 4;

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// Parameters given by name, or not as an array.
    #[error("non-array args")]
    ArgumentsNotArray,
    /// More arguments than the method takes.
    #[error("too many arguments, want at most {0}")]
    ArgumentsTooMany(usize),
    /// An argument that has no default is absent.
    #[error("missing value for required argument {0}")]
    ArgumentMissing(usize),
    /// An argument of the wrong form.
    #[error("invalid argument {index}: {problem}")]
    ArgumentInvalid {
        /// Its position.
        index: usize,
        /// What is wrong.
        problem: String,
    },
    /// Arguments that are well-formed, but not together.
    #[error("{0}")]
    ArgumentsConflict(String),
    /// A method of development chains.
    #[error("the method {0} does not exist/is not available: only in dev")]
    OnlyInDev(&'static str),
    /// A method that a final order cannot honour.
    #[error("{method} is not supported: {why}")]
    Unsupported {
        /// The method.
        method: &'static str,
        /// Why it can't be.
        why: &'static str,
    },
    /// More than this node answers at once.
    #[error("{0}")]
    LimitExceeded(String),
    /// Executing again, after a restart, what it had served before.
    #[error("node is syncing: executed {executed} of {target}")]
    Syncing {
        /// Height it has reached.
        executed: u64,
        /// Height it served before.
        target: u64,
    },
    /// Computed something else than 2f+1 validators did.
    #[error("node {0}")]
    Diverged(String),
    /// Stopped executing, because a write failed or the store is damaged.
    #[error("node stopped: {0}")]
    Stopped(String),
    /// Nobody orders blocks of this chain any more.
    #[error("this node serves an imported chain, which takes no transactions")]
    Imported,
    /// No collator builds blocks of this shard any more.
    #[error("the shard is retired: it takes no transactions any more")]
    ShardRetired,
    /// More callers wait than this node lets wait.
    #[error("node is busy: {0} calls wait already, try again later")]
    Busy(usize),
    /// Answers wait for readers that do not take them.
    #[error("node is busy: {0} bytes of answers are not read yet, try again later")]
    Unread(usize),
    /// No executed block has this number.
    #[error("header not found")]
    HeaderNotFound,
    /// No executed block has this hash.
    #[error("header for hash not found")]
    HashNotFound,
    /// No executed transaction has this hash.
    #[error("transaction not found")]
    TransactionNotFound,
    /// The genesis has no transactions to run again.
    #[error("genesis is not traceable")]
    GenesisNotTraced,
    /// No block to search for logs.
    #[error("unknown block")]
    UnknownBlock,
    /// A fee history that starts above the newest block.
    #[error("request beyond head block: requested {asked}, head {executed}")]
    BeyondExecuted {
        /// Height asked for.
        asked: u64,
        /// Newest height there is.
        executed: u64,
    },
    /// The state at this height is not kept.
    #[error(
        "historical state not available: state of block {asked} is not kept (missing trie node), oldest is {oldest}"
    )]
    HistoryUnavailable {
        /// Height asked for.
        asked: u64,
        /// Oldest height whose state is kept.
        oldest: u64,
    },
    /// The block is older than what this node has: its history began with a state from peers.
    #[error("pruned history unavailable: block {asked} is not kept, oldest is {first}")]
    Pruned {
        /// Height asked for.
        asked: u64,
        /// The lowest height there is, genesis aside.
        first: u64,
    },
    /// An executed block of which no access list was stored.
    #[error(
        "resource not found: block {0} was stored without an access list, by an earlier version of this node"
    )]
    AccessListUnavailable(u64),
    /// Bytes that are not a transaction of this chain.
    #[error("{}", transaction_text(.0))]
    Transaction(#[from] TransactionError),
    /// Not taken by the pool.
    #[error("{0}")]
    Admission(Box<AdmissionError>),
    /// The call reverted.
    #[error("execution reverted{}", revert::reason(.0).map(|reason| format!(": {reason}")).unwrap_or_default())]
    Reverted(Bytes),
    /// The call could not run, or halted.
    #[error("{0}")]
    CallFailed(String),
    /// No such filter, or it expired.
    #[error("filter not found")]
    FilterNotFound,
    /// EIP-7966: in the pool, but not executed in time.
    #[error(
        "the transaction was added to the mempool but was not executed within {waited_ms} ms; its hash is in data"
    )]
    ReceiptTimeout {
        /// Hash of the transaction.
        hash: B256,
        /// How long the call waited.
        waited_ms: u64,
    },
    /// A signing method for an address this node has no key of.
    #[error("unknown account")]
    UnknownAccount,
    /// Signing failed.
    #[error("cannot sign: {0}")]
    Signing(String),
    /// A development request that was refused.
    #[error(transparent)]
    Dev(#[from] DevError),
    /// A development chain could not be copied, or go back.
    #[error(transparent)]
    Travel(#[from] TravelError),
    /// The block that a development method asked for did not come.
    #[error("no block was executed within {0} ms")]
    DevTimeout(u64),
    /// A development chain went back while a caller waited for a block of it.
    #[error("the chain went back before this was done")]
    WentBack,
    /// A simulation that breaks a rule, with the code that the Ethereum API has for it.
    #[error("{message}")]
    Simulation {
        /// The code.
        code: i32,
        /// What is wrong.
        message: String,
    },
    /// This node's own fault.
    #[error("internal error: {0}")]
    Internal(String),
}

impl RpcError {
    /// The JSON-RPC error code.
    #[must_use]
    pub const fn code(&self) -> i32 {
        match self {
            Self::ArgumentsNotArray
            | Self::ArgumentsTooMany(_)
            | Self::ArgumentMissing(_)
            | Self::ArgumentInvalid { .. }
            | Self::ArgumentsConflict(_) => INVALID_PARAMS_CODE,
            Self::OnlyInDev(_) => METHOD_NOT_FOUND_CODE,
            Self::LimitExceeded(_) | Self::Busy(_) | Self::Unread(_) => LIMIT_EXCEEDED_CODE,
            Self::AccessListUnavailable(_) => RESOURCE_NOT_FOUND_CODE,
            Self::Pruned { .. } => PRUNED_CODE,
            Self::Reverted(_) => REVERTED_CODE,
            Self::ReceiptTimeout { .. } => RECEIPT_TIMEOUT_CODE,
            Self::Internal(_) => INTERNAL_ERROR_CODE,
            Self::Simulation { code, .. } => *code,
            Self::Unsupported { .. }
            | Self::Syncing { .. }
            | Self::Diverged(_)
            | Self::Stopped(_)
            | Self::Imported
            | Self::ShardRetired
            | Self::HeaderNotFound
            | Self::HashNotFound
            | Self::TransactionNotFound
            | Self::GenesisNotTraced
            | Self::UnknownBlock
            | Self::BeyondExecuted { .. }
            | Self::HistoryUnavailable { .. }
            | Self::Transaction(_)
            | Self::Admission(_)
            | Self::CallFailed(_)
            | Self::FilterNotFound
            | Self::UnknownAccount
            | Self::Signing(_)
            | Self::Dev(_)
            | Self::Travel(_)
            | Self::DevTimeout(_)
            | Self::WentBack => CALL_FAILED_CODE,
        }
    }

    fn data(&self) -> Option<String> {
        match self {
            Self::Reverted(output) => Some(output.to_string()),
            Self::ReceiptTimeout { hash, .. } => Some(hash.to_string()),
            _ => None,
        }
    }
}

/// geth's words for what its decoder refuses.
fn transaction_text(error: &TransactionError) -> String {
    match error {
        TransactionError::UnsupportedType(_) => "transaction type not supported".to_owned(),
        TransactionError::InvalidSignature => "invalid sender".to_owned(),
        TransactionError::TooLarge { bytes, max } => {
            format!("oversized data: transaction size {bytes}, limit {max}")
        }
        TransactionError::Malformed(_) | TransactionError::TooManyAuthorizations { .. } => {
            error.to_string()
        }
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        if let RpcError::Internal(problem) = &error {
            tracing::error!(problem, "call failed by our own fault");
        }
        Self::owned(error.code(), error.to_string(), error.data())
    }
}

impl From<AdmissionError> for RpcError {
    fn from(error: AdmissionError) -> Self {
        Self::Admission(Box::new(error))
    }
}

impl From<ChainError> for RpcError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::State(unknown) => unknown.into(),
            ChainError::Diverged(_) => Self::Stopped(error.to_string()),
            ChainError::Pruned { height, first } => Self::Pruned {
                asked: height,
                first,
            },
            ChainError::Postings(PostingsError::TooMany) => Self::LimitExceeded(
                "too much matches before it is compared: ask for fewer blocks, or for rarer topics"
                    .to_owned(),
            ),
            ChainError::Store(_)
            | ChainError::Record(_)
            | ChainError::Postings(_)
            | ChainError::Read(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<UnknownHeight> for RpcError {
    fn from(unknown: UnknownHeight) -> Self {
        if unknown.asked > unknown.newest {
            return Self::HeaderNotFound;
        }
        Self::HistoryUnavailable {
            asked: unknown.asked,
            oldest: unknown.oldest,
        }
    }
}

impl From<ProofError> for RpcError {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::TooManyWrites { .. }
            | ProofError::TooManyParts { .. }
            | ProofError::Busy => Self::LimitExceeded(error.to_string()),
            ProofError::Store(StoreError::UnknownHeight(unknown)) => unknown.into(),
            ProofError::Store(_)
            | ProofError::Root { .. }
            | ProofError::Witness(_)
            | ProofError::Gap(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<ReadFault> for RpcError {
    fn from(fault: ReadFault) -> Self {
        Self::Internal(fault.to_string())
    }
}
