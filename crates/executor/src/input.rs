//! What execution takes in: a block's place in the chain and its transactions.
//!
//! Everything an executed block depends on besides the state is here, so that the relay chain,
//! shards, replay and conformance tests all call the same function.

use crate::{code::CodeCache, conformance::EthereumRules};
use alloy_primitives::{Address, B256, keccak256};
use primitives::{ChainConfig, Directive, Header, RecoveredTransaction, crypto::BlockDigest};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a block's code can see of the block it runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockEnvironment {
    /// Position in the chain; the Ethereum block number.
    pub height: u64,
    /// Seconds since the Unix epoch; may repeat.
    pub timestamp: u64,
    /// Who receives the priority fees.
    pub beneficiary: Address,
    /// Block gas limit.
    pub gas_limit: u64,
    /// EIP-1559 base fee, in wei.
    pub base_fee: u64,
    /// What the `PREVRANDAO` opcode returns; not random on this chain.
    pub prevrandao: B256,
    /// Hash of the Ethereum header at `height − 1`.
    pub parent_hash: B256,
    /// What EIP-4788 records; zero records nothing.
    pub parent_beacon_root: B256,
}

impl BlockEnvironment {
    /// The environment of a block of a chain of our own, above the block whose Ethereum header has this hash.
    #[must_use]
    pub fn of(header: &Header, parent_hash: B256, chain: &ChainConfig) -> Self {
        Self {
            height: header.height,
            timestamp: header.timestamp_ms / 1_000,
            beneficiary: header.proposer,
            gas_limit: chain.gas_limit,
            base_fee: header.base_fee,
            prevrandao: prevrandao(&header.context.parent.1, header.height),
            parent_hash,
            parent_beacon_root: B256::ZERO,
        }
    }
}

/// What `PREVRANDAO` returns at a height. Known to the leader when it builds: a mix, not a source of randomness.
#[must_use]
pub fn prevrandao(parent: &BlockDigest, height: u64) -> B256 {
    keccak256([parent.as_ref(), &height.to_be_bytes()].concat())
}

/// One block to execute.
#[derive(Clone, Debug)]
pub struct ExecutionInput<'a> {
    /// The rules of the chain.
    pub chain: &'a ChainConfig,
    /// The block's place in the chain.
    pub environment: BlockEnvironment,
    /// Its transactions, in order.
    pub transactions: &'a [RecoveredTransaction],
    /// Changes of state applied first; ignored unless the chain is a development chain.
    pub directives: &'a [Directive],
    /// Execute as Ethereum did at this fork instead: for replay and conformance tests.
    pub ethereum: Option<EthereumRules>,
    /// Analysed code of earlier blocks; affects nothing but time.
    pub code_cache: Option<&'a CodeCache>,
    /// Set by whoever no longer wants the result.
    pub cancelled: Option<&'a AtomicBool>,
}

impl<'a> ExecutionInput<'a> {
    /// A block of a chain of our own.
    #[must_use]
    pub const fn new(
        chain: &'a ChainConfig,
        environment: BlockEnvironment,
        transactions: &'a [RecoveredTransaction],
        directives: &'a [Directive],
    ) -> Self {
        Self {
            chain,
            environment,
            transactions,
            directives,
            ethereum: None,
            code_cache: None,
            cancelled: None,
        }
    }

    /// A block of Ethereum.
    #[must_use]
    pub const fn ethereum(
        chain: &'a ChainConfig,
        environment: BlockEnvironment,
        transactions: &'a [RecoveredTransaction],
        rules: EthereumRules,
    ) -> Self {
        Self {
            chain,
            environment,
            transactions,
            directives: &[],
            ethereum: Some(rules),
            code_cache: None,
            cancelled: None,
        }
    }

    /// Whether nobody wants the result any more.
    pub(crate) fn is_cancelled(&self) -> bool {
        let flag = self.cancelled;
        flag.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed))
    }
}
