//! Blocks and what is in them as Ethereum encodes them.

use crate::{
    args::Args,
    backend::Backend,
    error::RpcError,
    eth::{
        tag::{self, Selected},
        transaction,
    },
    registry::Registry,
};
use alloy_eips::{BlockId, Encodable2718};
use alloy_primitives::Bytes;
use alloy_rlp::{Encodable, Header};
use pipeline::ExecutedRecord;
use serde_json::Value;
use std::sync::Arc;

pub(super) fn register(methods: &mut Registry) {
    methods.heavy("debug_getRawHeader", header);
    methods.heavy("debug_getRawBlock", block);
    methods.heavy("debug_getRawReceipts", receipts);
    methods.quick("debug_getRawTransaction", transaction::raw_by_hash);
    methods.quick("debug_getBadBlocks", bad_blocks);
}

fn record(backend: &Backend, args: &Args) -> Result<Arc<ExecutedRecord>, RpcError> {
    let id: BlockId = args.one()?;
    match tag::by_id(backend, id)? {
        Some(Selected::Executed(_)) => tag::require_record(backend, Some(id)),
        // What is not executed has no header to encode.
        Some(Selected::Pending) | None => Err(RpcError::HeaderNotFound),
    }
}

fn header(backend: &Backend, args: &Args) -> Result<Bytes, RpcError> {
    Ok(alloy_rlp::encode(&record(backend, args)?.header).into())
}

fn block(backend: &Backend, args: &Args) -> Result<Bytes, RpcError> {
    let record = record(backend, args)?;
    Ok(encode_block(&record).into())
}

/// Header, transactions, no uncles and no withdrawals.
fn encode_block(record: &ExecutedRecord) -> Vec<u8> {
    let mut transactions = Vec::new();
    for transaction in record.transactions.iter() {
        match transaction.kind() {
            0 => transactions.extend_from_slice(transaction.raw()),
            _ => transaction.raw().as_ref().encode(&mut transactions),
        }
    }
    let mut payload = Vec::with_capacity(transactions.len() + record.header.length() + 16);
    record.header.encode(&mut payload);
    list(transactions.len()).encode(&mut payload);
    payload.extend_from_slice(&transactions);
    list(0).encode(&mut payload);
    list(0).encode(&mut payload);
    let mut encoded = Vec::with_capacity(payload.len() + 8);
    list(payload.len()).encode(&mut encoded);
    encoded.extend_from_slice(&payload);
    encoded
}

const fn list(payload_length: usize) -> Header {
    Header {
        list: true,
        payload_length,
    }
}

fn receipts(backend: &Backend, args: &Args) -> Result<Vec<Bytes>, RpcError> {
    let record = record(backend, args)?;
    let receipts = record.receipts.iter();
    let encode = |receipt: &executor::Receipt| receipt.envelope.encoded_2718().into();
    Ok(receipts.map(encode).collect())
}

/// None: a block that is not valid never reaches this node's chain.
fn bad_blocks(_: &Backend, args: &Args) -> Result<Vec<Value>, RpcError> {
    args.none()?;
    Ok(Vec::new())
}
