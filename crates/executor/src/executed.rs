//! What executing a block gives, and the Ethereum header over it.

use crate::{access::AccessLog, input::BlockEnvironment, receipt::Receipt, report::BlockReport};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{Encodable2718 as _, eip7685::EMPTY_REQUESTS_HASH};
use alloy_primitives::{B64, B256, Bloom, U256};
use primitives::RecoveredTransaction;
use revm::context_interface::result::InvalidTransaction;
use state::{StateDiff, ordered_root};

/// A block's result; its writes are not in the state yet.
///
/// Two are equal when they say the same of the chain, however they were reached.
#[derive(Clone, Debug)]
pub struct ExecutedBlock {
    /// One for each transaction, in order.
    pub receipts: Vec<Receipt>,
    /// Everything written.
    pub diff: StateDiff,
    /// Gas charged to all transactions.
    pub gas_used: u64,
    /// Union of the receipts' blooms.
    pub logs_bloom: Bloom,
    /// Transactions that should not have been ordered. Any is a bug in the affordability rule.
    pub inclusion_faults: Vec<InclusionFault>,
    /// How much the block touched.
    pub access: AccessSummary,
    /// How the result was reached.
    pub report: BlockReport,
    pub(crate) log: AccessLog,
}

/// The tries over a block's transactions and receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRoots {
    /// Root of the trie over the transactions.
    pub transactions_root: B256,
    /// Root of the trie over the receipts.
    pub receipts_root: B256,
}

/// All roots that an Ethereum header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Root of the state after the block.
    pub state_root: B256,
    /// Roots of what is in the block.
    pub block: BlockRoots,
}

/// Everything that a block wrote, and what it touched.
pub(crate) struct Writes {
    pub(crate) diff: StateDiff,
    pub(crate) log: AccessLog,
    pub(crate) accounts_read: usize,
    pub(crate) slots_read: usize,
}

impl PartialEq for ExecutedBlock {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            receipts,
            diff,
            gas_used,
            logs_bloom,
            inclusion_faults,
            access,
            report: _,
            log: _,
        } = self;
        *receipts == other.receipts
            && *diff == other.diff
            && *gas_used == other.gas_used
            && *logs_bloom == other.logs_bloom
            && *inclusion_faults == other.inclusion_faults
            && *access == other.access
    }
}

impl Eq for ExecutedBlock {}

/// A transaction that could not pay, or had the wrong nonce, when it executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction should not have been ordered: index={index} reason={reason}")]
pub struct InclusionFault {
    /// Its place in the block.
    pub index: usize,
    /// What the virtual machine said.
    pub reason: String,
}

impl InclusionFault {
    pub(crate) fn new(index: usize, invalid: &InvalidTransaction) -> Self {
        Self {
            index,
            reason: invalid.to_string(),
        }
    }
}

/// How much a block touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessSummary {
    /// Accounts read from the state.
    pub accounts_read: u64,
    /// Slots read from the state.
    pub slots_read: u64,
    /// Accounts in the diff.
    pub accounts_written: u64,
    /// Slots in the diff.
    pub slots_written: u64,
}

impl ExecutedBlock {
    pub(crate) fn new(
        receipts: Vec<Receipt>,
        inclusion_faults: Vec<InclusionFault>,
        writes: Writes,
    ) -> Self {
        let logs_bloom = receipts
            .iter()
            .filter(|receipt| !receipt.envelope.logs().is_empty())
            .fold(Bloom::ZERO, |bloom, receipt| {
                bloom | *receipt.envelope.logs_bloom()
            });
        let slots = writes.diff.accounts.values().map(|diff| diff.storage.len());
        let access = AccessSummary {
            accounts_read: count(writes.accounts_read),
            slots_read: count(writes.slots_read),
            accounts_written: count(writes.diff.accounts.len()),
            slots_written: count(slots.fold(0, usize::saturating_add)),
        };
        Self {
            gas_used: receipts
                .last()
                .map_or(0, |receipt| receipt.envelope.cumulative_gas_used()),
            receipts,
            diff: writes.diff,
            logs_bloom,
            inclusion_faults,
            access,
            report: BlockReport::default(),
            log: writes.log,
        }
    }

    /// The roots that the block's Ethereum header names, given its transactions.
    #[must_use]
    pub fn roots(&self, transactions: &[RecoveredTransaction]) -> BlockRoots {
        BlockRoots {
            transactions_root: ordered_root(transactions, |transaction, out| {
                out.extend_from_slice(transaction.raw());
            }),
            receipts_root: ordered_root(&self.receipts, |receipt, out| {
                receipt.envelope.encode_2718(out);
            }),
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The Ethereum header of an executed block, as RPC users see it and validators sign its hash.
///
/// `ordering_digest` names the ordering block in `extraData`, so the two chains cannot be mixed.
#[must_use]
pub fn ethereum_header(
    environment: &BlockEnvironment,
    executed: &ExecutedBlock,
    roots: Roots,
    ordering_digest: B256,
) -> Header {
    Header {
        parent_hash: environment.parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: environment.beneficiary,
        state_root: roots.state_root,
        transactions_root: roots.block.transactions_root,
        receipts_root: roots.block.receipts_root,
        logs_bloom: executed.logs_bloom,
        difficulty: U256::ZERO,
        number: environment.height,
        gas_limit: environment.gas_limit,
        gas_used: executed.gas_used,
        timestamp: environment.timestamp,
        extra_data: ordering_digest.into(),
        mix_hash: environment.prevrandao,
        nonce: B64::ZERO,
        base_fee_per_gas: Some(environment.base_fee),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(environment.parent_beacon_root),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        ..Header::default()
    }
}
