//! What can be said of a candidate after looking at its collation.

use crate::CollationError;
use alloy_primitives::B256;
use executor::InclusionFault;
use primitives::{shard::ShardId, static_check::StaticError};
use state::sparse::witness::{WitnessError, WitnessGap};

/// Why a candidate was not found right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Verdict {
    /// It is wrong, and everybody finds it so.
    #[error("invalid candidate: {0}")]
    Invalid(#[from] Invalid),
    /// Nobody wants to know any more.
    #[error("the check was cancelled")]
    Cancelled,
    /// This node cannot say.
    #[error("the check could not be made: {0}")]
    Fault(String),
}

/// What is wrong with a candidate: the first thing, in the order of the check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Of another shard.
    #[error("descriptor of shard={0}")]
    Shard(ShardId),
    /// Of other rules.
    #[error("descriptor of rules={0}")]
    Rules(B256),
    /// The collation has another length.
    #[error("collation of another length: bytes={bytes} described={described}")]
    Length {
        /// The collation's.
        bytes: usize,
        /// The descriptor's.
        described: u32,
    },
    /// The collation has another hash.
    #[error("collation of another hash={0}")]
    Hash(B256),
    /// The bytes are no collation.
    #[error(transparent)]
    Collation(CollationError),
    /// The parent's Ethereum header is not the one described.
    #[error("parent of another hash={0}")]
    Parent(B256),
    /// The parent's ordering header is not the one that its Ethereum header names.
    #[error("the parent's ordering header is not that of its Ethereum header")]
    ParentOrdering,
    /// An ancestor is not the one named above it.
    #[error("ancestor is not the one named above it: index={0}")]
    Ancestor(usize),
    /// The descriptor's number is not the one above the parent's.
    #[error("descriptor of number={0}, which is not one above its parent's")]
    DescribedNumber(u64),
    /// The block has another number than the descriptor.
    #[error("block of number={0}")]
    Number(u64),
    /// The block was made by somebody else than the descriptor says.
    #[error("block of another collator")]
    Collator,
    /// The block's round is not that of its number.
    #[error("the block's round is not epoch 0 and its number")]
    Round,
    /// The block is built on another ordering block.
    #[error("block on another parent")]
    ParentDigest,
    /// Not later than its parent.
    #[error("timestamp does not rise: timestamp_ms={got} parent={parent}")]
    Timestamp {
        /// The block's.
        got: u64,
        /// The parent's.
        parent: u64,
    },
    /// The descriptor has another time than the block.
    #[error("block of timestamp_ms={0}")]
    DescribedTimestamp(u64),
    /// Not the base fee that the parent leads to.
    #[error("wrong base fee: base_fee={got} expected={expected}")]
    BaseFee {
        /// The block's.
        got: u64,
        /// The rule's.
        expected: u64,
    },
    /// Not the whole gas limit.
    #[error("gas budget is not the gas limit: gas_budget={0}")]
    GasBudget(u64),
    /// Gas limits add up to more than the budget.
    #[error("over the gas budget: gas_limits_sum={0}")]
    OverBudget(u64),
    /// A digest that a shard holds constant.
    #[error("wrong digest: field={0}")]
    Digest(&'static str),
    /// A certificate, where a shard's header has none.
    #[error("executed reference with a certificate: height={0}")]
    Certificate(u64),
    /// The reference to a final block falls back, or names no block below this one.
    #[error("bad executed reference: height={0}")]
    ExecutedRef(u64),
    /// Directives on a chain that has none.
    #[error("directives are legal only on a development chain")]
    Directives,
    /// A transaction without a valid signature.
    #[error("a transaction has no valid signature")]
    Signature,
    /// A transaction that may not stand in any block.
    #[error("transaction index={index}: {error}")]
    Static {
        /// Its index.
        index: usize,
        /// Why.
        error: StaticError,
    },
    /// The witness is not one of the parent's root.
    #[error(transparent)]
    Witness(WitnessError),
    /// The witness does not show what the block reads or writes.
    #[error("gap in the witness: {0}")]
    Gap(WitnessGap),
    /// A transaction that could not pay, or had a wrong nonce.
    #[error(transparent)]
    InclusionFault(InclusionFault),
    /// The block used other gas than described.
    #[error("block of gas_used={0}")]
    GasUsed(u64),
    /// The state after it has another root than described.
    #[error("block of state_root={0}")]
    StateRoot(B256),
    /// Its Ethereum header has another hash than described.
    #[error("block of hash={0}")]
    Head(B256),
}
