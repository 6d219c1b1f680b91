//! Blocks and their receipts.
//!
//! A block is an executed one, or `pending`: what is ordered and not executed yet, as one block on
//! top of `latest` without hash, roots or gas used.

use crate::{
    args::Args,
    backend::Backend,
    error::RpcError,
    eth::{
        tag::{self, Selected},
        transaction::{self, RpcReceipt, RpcTransaction},
    },
    registry::Registry,
};
use alloy_consensus::Header;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U64, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{Block, BlockTransactions, Withdrawals};
use pipeline::ExecutedRecord;
use primitives::RecoveredTransaction;
use serde_json::Value;

pub(crate) type RpcBlock = Block<RpcTransaction>;
pub(crate) type RpcHeader = alloy_rpc_types_eth::Header;

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("eth_blockNumber", block_number);
    methods.heavy("eth_getBlockByNumber", block_by_number);
    methods.heavy("eth_getBlockByHash", block_by_hash);
    methods.heavy("eth_getBlockReceipts", block_receipts);
    methods.quick("eth_getBlockTransactionCountByHash", count_by_hash);
    methods.quick("eth_getBlockTransactionCountByNumber", count_by_number);
    methods.quick("eth_getUncleCountByBlockHash", uncle_count_by_hash);
    methods.quick("eth_getUncleCountByBlockNumber", uncle_count_by_number);
    methods.quick("eth_getUncleByBlockHashAndIndex", no_uncle);
    methods.quick("eth_getUncleByBlockNumberAndIndex", no_uncle);
}

fn block_number(backend: &Backend, args: &Args) -> Result<U64, RpcError> {
    args.none()?;
    Ok(U64::from(backend.latest_height()?))
}

fn block_by_number(backend: &Backend, args: &Args) -> Result<Option<Value>, RpcError> {
    let (number, full): (BlockNumberOrTag, Option<bool>) = args.two()?;
    let full = full.unwrap_or_default();
    match tag::by_number(backend, number)? {
        Some(Selected::Pending) => Ok(Some(pending_block(backend, full)?)),
        Some(Selected::Executed(height)) => match backend.chain.record(height)? {
            Some(record) => Ok(Some(to_json(&format(&record, full))?)),
            None => Ok(None),
        },
        None => Ok(None),
    }
}

fn block_by_hash(backend: &Backend, args: &Args) -> Result<Option<RpcBlock>, RpcError> {
    let (hash, full): (B256, Option<bool>) = args.two()?;
    let record = tag::record_by_hash(backend, &hash)?;
    Ok(record.map(|record| format(&record, full.unwrap_or_default())))
}

fn block_receipts(backend: &Backend, args: &Args) -> Result<Option<Vec<RpcReceipt>>, RpcError> {
    let id: BlockId = args.one()?;
    let Some(Selected::Executed(height)) = tag::by_id(backend, id)? else {
        return Ok(None);
    };
    let record = backend.chain.record(height)?;
    Ok(record.map(|record| transaction::receipts(&record)))
}

fn count_by_hash(backend: &Backend, args: &Args) -> Result<Option<U64>, RpcError> {
    let hash: B256 = args.one()?;
    let record = tag::record_by_hash(backend, &hash)?;
    Ok(record.map(|record| U64::from(record.transactions.len())))
}

fn count_by_number(backend: &Backend, args: &Args) -> Result<Option<U64>, RpcError> {
    match tag::by_number(backend, args.one()?)? {
        Some(Selected::Pending) => Ok(Some(U64::from(pending_transactions(backend).len()))),
        Some(Selected::Executed(height)) => {
            let record = backend.chain.record(height)?;
            Ok(record.map(|record| U64::from(record.transactions.len())))
        }
        None => Ok(None),
    }
}

fn uncle_count_by_hash(backend: &Backend, args: &Args) -> Result<Option<U64>, RpcError> {
    let hash: B256 = args.one()?;
    let record = tag::record_by_hash(backend, &hash)?;
    Ok(record.map(|_| U64::ZERO))
}

fn uncle_count_by_number(backend: &Backend, args: &Args) -> Result<Option<U64>, RpcError> {
    let selected = tag::by_number(backend, args.one()?)?;
    Ok(selected.map(|_| U64::ZERO))
}

/// There are no uncles on a chain whose order is final.
fn no_uncle(_: &Backend, args: &Args) -> Result<Option<RpcHeader>, RpcError> {
    args.at_most(2)?;
    Ok(None)
}

/// An executed block.
pub(crate) fn format(record: &ExecutedRecord, full: bool) -> RpcBlock {
    let transactions = if full {
        let count = record.transactions.len();
        let indices = 0..count;
        let full = indices.filter_map(|index| transaction::format_executed(record, index));
        BlockTransactions::Full(full.collect())
    } else {
        BlockTransactions::Hashes(record.transactions.iter().map(|tx| tx.hash()).collect())
    };
    let mut header = format_header(record);
    let size = size(&record.header, &record.transactions, &record.withdrawals);
    header.size = Some(U256::from(size));
    Block {
        header,
        uncles: Vec::new(),
        transactions,
        withdrawals: Some(record.withdrawals.clone()),
    }
}

/// An executed block's header, as subscriptions send it.
pub(crate) fn format_header(record: &ExecutedRecord) -> RpcHeader {
    RpcHeader {
        hash: record.hash,
        inner: record.header.clone(),
        total_difficulty: None,
        size: None,
    }
}

/// What is ordered and not executed yet, in order.
pub(crate) fn pending_transactions(backend: &Backend) -> Vec<RecoveredTransaction> {
    let blocks = backend.chain.ordered();
    blocks
        .iter()
        .flat_map(|block| block.transactions().iter().cloned())
        .collect()
}

fn pending_block(backend: &Backend, full: bool) -> Result<Value, RpcError> {
    let latest = backend.latest()?;
    let header = pending_header(backend, &latest);
    let transactions = pending_transactions(backend);
    let size = size(&header, &transactions, &Withdrawals::default());
    let mut block = RpcBlock {
        header: RpcHeader {
            hash: B256::ZERO,
            inner: header,
            total_difficulty: None,
            size: Some(U256::from(size)),
        },
        uncles: Vec::new(),
        transactions: BlockTransactions::Hashes(transactions.iter().map(|tx| tx.hash()).collect()),
        withdrawals: Some(Withdrawals::default()),
    };
    if full {
        let waiting = transactions.iter().map(transaction::format_waiting);
        block.transactions = BlockTransactions::Full(waiting.collect());
    }
    let mut block = to_json(&block)?;
    if let Some(fields) = block.as_object_mut() {
        // geth's: what a block that is not there yet can't have.
        for field in ["hash", "nonce", "miner"] {
            fields.insert(field.to_owned(), Value::Null);
        }
    }
    Ok(block)
}

fn pending_header(backend: &Backend, latest: &ExecutedRecord) -> Header {
    let time_ms = backend.next_block_ms(latest);
    let environment = backend.chain.next_environment(latest, time_ms);
    Header {
        parent_hash: environment.parent_hash,
        number: environment.height,
        timestamp: environment.timestamp,
        beneficiary: environment.beneficiary,
        gas_limit: environment.gas_limit,
        gas_used: 0,
        base_fee_per_gas: Some(environment.base_fee),
        mix_hash: environment.prevrandao,
        ..latest.header.clone()
    }
}

/// Length of the block in Ethereum's RLP, which is what `size` means.
pub(crate) fn size(
    header: &Header,
    transactions: &[RecoveredTransaction],
    withdrawals: &Withdrawals,
) -> usize {
    let length = |tx: &RecoveredTransaction| match tx.kind() {
        0 => tx.raw().len(),
        _ => tx.raw().as_ref().length(),
    };
    let bodies: usize = transactions.iter().map(length).sum();
    // An empty list of uncles stands between.
    let payload =
        header.length() + alloy_rlp::length_of_length(bodies) + bodies + 1 + withdrawals.length();
    payload + alloy_rlp::length_of_length(payload)
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<Value, RpcError> {
    serde_json::to_value(value).map_err(|error| RpcError::Internal(error.to_string()))
}
