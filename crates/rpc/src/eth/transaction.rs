//! Transactions and receipts, by hash or by place.
//!
//! A transaction is found executed, ordered or waiting; a receipt only once it is executed.

use crate::{
    args::Args,
    backend::Backend,
    error::RpcError,
    eth::tag::{self, Selected},
    registry::Registry,
};
use alloy_consensus::{
    ReceiptEnvelope, ReceiptWithBloom, Transaction as _, transaction::Recovered,
};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::{Index, Log, TransactionReceipt};
use executor::Receipt;
use pipeline::ExecutedRecord;
use primitives::{RecoveredTransaction, transaction::Envelope};

pub(crate) type RpcTransaction = alloy_rpc_types_eth::Transaction<Envelope>;
pub(crate) type RpcReceipt = TransactionReceipt<ReceiptEnvelope<Log>>;

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("eth_getTransactionByHash", by_hash);
    methods.quick("eth_getRawTransactionByHash", raw_by_hash);
    methods.quick("eth_getTransactionByBlockHashAndIndex", by_block_hash);
    methods.quick("eth_getTransactionByBlockNumberAndIndex", by_block_number);
    methods.quick("eth_getTransactionReceipt", receipt_by_hash);
}

fn by_hash(backend: &Backend, args: &Args) -> Result<Option<RpcTransaction>, RpcError> {
    let hash: B256 = args.one()?;
    if let Some((record, index)) = backend.chain.transaction(&hash)? {
        return Ok(format_executed(&record, index));
    }
    if let Some(transaction) = waiting(backend, &hash) {
        return Ok(Some(format_waiting(&transaction)));
    }
    let executed = backend.executed(&hash)?;
    Ok(executed.and_then(|(record, index)| format_executed(&record, index)))
}

/// The bytes of a transaction, wherever it is; none for an unknown one.
pub(crate) fn raw_by_hash(backend: &Backend, args: &Args) -> Result<Bytes, RpcError> {
    let hash: B256 = args.one()?;
    let waiting = waiting(backend, &hash).map(|transaction| transaction.raw().clone());
    let executed = backend.executed(&hash)?;
    let executed =
        executed.and_then(|(record, index)| Some(record.transactions.get(index)?.raw().clone()));
    Ok(executed.or(waiting).unwrap_or_default())
}

fn by_block_hash(backend: &Backend, args: &Args) -> Result<Option<RpcTransaction>, RpcError> {
    let (hash, Index(index)): (B256, Index) = args.two()?;
    let record = tag::record_by_hash(backend, &hash)?;
    Ok(record.and_then(|record| format_executed(&record, index)))
}

fn by_block_number(backend: &Backend, args: &Args) -> Result<Option<RpcTransaction>, RpcError> {
    let (number, Index(index)): (BlockNumberOrTag, Index) = args.two()?;
    match tag::by_number(backend, number)? {
        Some(Selected::Executed(height)) => {
            let record = backend.chain.record(height)?;
            Ok(record.and_then(|record| format_executed(&record, index)))
        }
        Some(Selected::Pending) => {
            let pending = crate::eth::block::pending_transactions(backend);
            Ok(pending.get(index).map(format_waiting))
        }
        None => Ok(None),
    }
}

fn receipt_by_hash(backend: &Backend, args: &Args) -> Result<Option<RpcReceipt>, RpcError> {
    let executed = backend.executed(&args.one()?)?;
    Ok(executed.and_then(|(record, index)| receipt(&record, index)))
}

/// An ordered or pooled transaction.
fn waiting(backend: &Backend, hash: &B256) -> Option<RecoveredTransaction> {
    if let Some(pooled) = backend.mempool.get(hash) {
        return Some(pooled.transaction);
    }
    let ordered = backend.chain.ordered();
    let mut transactions = ordered.iter().flat_map(|block| block.transactions());
    transactions.find(|tx| tx.hash() == *hash).cloned()
}

/// A transaction in an executed block.
pub(crate) fn format_executed(record: &ExecutedRecord, index: usize) -> Option<RpcTransaction> {
    let transaction = record.transactions.get(index)?;
    let base_fee = record.header.base_fee_per_gas;
    Some(RpcTransaction {
        inner: Recovered::new_unchecked(transaction.envelope().clone(), transaction.sender()),
        block_hash: Some(record.hash),
        block_number: Some(record.header.number),
        transaction_index: Some(index as u64),
        effective_gas_price: Some(transaction.effective_gas_price(base_fee)),
        block_timestamp: Some(record.header.timestamp),
    })
}

/// A transaction that is in no executed block.
pub(crate) fn format_waiting(transaction: &RecoveredTransaction) -> RpcTransaction {
    RpcTransaction {
        inner: Recovered::new_unchecked(transaction.envelope().clone(), transaction.sender()),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        effective_gas_price: Some(transaction.max_fee_per_gas()),
        block_timestamp: None,
    }
}

/// The receipts of an executed block.
pub(crate) fn receipts(record: &ExecutedRecord) -> Vec<RpcReceipt> {
    let mut first_log = 0;
    let mut receipts = Vec::with_capacity(record.receipts.len());
    for index in 0..record.receipts.len() {
        let receipt = format_receipt(record, index, first_log);
        first_log += record
            .receipts
            .get(index)
            .map_or(0, |receipt| receipt.envelope.logs().len());
        receipts.extend(receipt);
    }
    receipts
}

/// The receipt of one transaction of an executed block.
pub(crate) fn receipt(record: &ExecutedRecord, index: usize) -> Option<RpcReceipt> {
    let before = record.receipts.iter().take(index);
    let first_log = before.map(|receipt| receipt.envelope.logs().len()).sum();
    format_receipt(record, index, first_log)
}

fn format_receipt(record: &ExecutedRecord, index: usize, first_log: usize) -> Option<RpcReceipt> {
    let receipt = record.receipts.get(index)?;
    let transaction = record.transactions.get(index)?;
    Some(TransactionReceipt {
        inner: with_places(receipt, logs_of(record, index, first_log)),
        transaction_hash: transaction.hash(),
        transaction_index: Some(index as u64),
        block_hash: Some(record.hash),
        block_number: Some(record.header.number),
        gas_used: receipt.gas_used,
        effective_gas_price: receipt.effective_gas_price,
        blob_gas_used: None,
        blob_gas_price: None,
        from: transaction.sender(),
        to: transaction.to(),
        contract_address: receipt.contract_address,
    })
}

fn with_places(receipt: &Receipt, logs: Vec<Log>) -> ReceiptEnvelope<Log> {
    let placed = alloy_consensus::Receipt {
        status: receipt.envelope.status().into(),
        cumulative_gas_used: receipt.envelope.cumulative_gas_used(),
        logs,
    };
    let placed = ReceiptWithBloom::new(placed, *receipt.envelope.logs_bloom());
    match receipt.envelope {
        ReceiptEnvelope::Legacy(_) => ReceiptEnvelope::Legacy(placed),
        ReceiptEnvelope::Eip2930(_) => ReceiptEnvelope::Eip2930(placed),
        ReceiptEnvelope::Eip1559(_) => ReceiptEnvelope::Eip1559(placed),
        ReceiptEnvelope::Eip4844(_) => ReceiptEnvelope::Eip4844(placed),
        ReceiptEnvelope::Eip7702(_) => ReceiptEnvelope::Eip7702(placed),
    }
}

/// The logs of one transaction, the first of which has index `first_log` in its block.
pub(crate) fn logs_of(record: &ExecutedRecord, index: usize, first_log: usize) -> Vec<Log> {
    let (Some(receipt), Some(transaction)) =
        (record.receipts.get(index), record.transactions.get(index))
    else {
        return Vec::new();
    };
    let place = |(position, log): (usize, &alloy_primitives::Log)| Log {
        inner: log.clone(),
        block_hash: Some(record.hash),
        block_number: Some(record.header.number),
        block_timestamp: Some(record.header.timestamp),
        transaction_hash: Some(transaction.hash()),
        transaction_index: Some(index as u64),
        log_index: Some((first_log + position) as u64),
        removed: false,
    };
    receipt
        .envelope
        .logs()
        .iter()
        .enumerate()
        .map(place)
        .collect()
}
