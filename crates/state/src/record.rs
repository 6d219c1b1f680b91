//! What is kept of an executed block besides its state.

use alloy_primitives::{B256, Bytes};

/// An executed block: its Ethereum header hash and four encodings that this crate does not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// Height, which is the Ethereum block number.
    pub height: u64,
    /// Hash of the Ethereum header.
    pub hash: B256,
    /// Encoded header.
    pub header: Bytes,
    /// Encoded body.
    pub body: Bytes,
    /// Encoded receipts.
    pub receipts: Bytes,
    /// Encoded access list; empty for genesis, and for what was stored before there were any.
    pub access_list: Bytes,
    /// Hashes of the block's transactions, in order.
    pub transaction_hashes: Vec<B256>,
}

/// What of an executed block its logs are told from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockReceipts {
    /// Hash of the Ethereum header.
    pub hash: B256,
    /// Encoded header.
    pub header: Bytes,
    /// Encoded receipts.
    pub receipts: Bytes,
    /// Hashes of the block's transactions, in order.
    pub transaction_hashes: Vec<B256>,
}

impl From<&BlockRecord> for BlockReceipts {
    fn from(record: &BlockRecord) -> Self {
        Self {
            hash: record.hash,
            header: record.header.clone(),
            receipts: record.receipts.clone(),
            transaction_hashes: record.transaction_hashes.clone(),
        }
    }
}

/// Where a transaction is: the height of its block and its index in there.
pub type TransactionLocation = (u64, u32);
