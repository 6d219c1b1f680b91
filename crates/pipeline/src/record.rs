//! An executed block with everything a reader may ask about it, and its form in the store.
//!
//! ```text
//! header   RLP of the Ethereum header
//! body     consensus encoding of the ordering block, then one sender (20 bytes) for each transaction, then the RLP
//!          of the withdrawals if there are any: only blocks that came from elsewhere have them
//! receipts the executor's encoding
//! ```
//! The block's access list, in the executor's encoding, is stored beside and not read back with it: few
//! readers want it.

use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::{Decodable, Encodable};
use commonware_codec::{EncodeSize, Read, Write};
use executor::Receipt;
use primitives::{Block, BlockLimits, RecoveredTransaction};
use state::BlockRecord;
use std::sync::Arc;

/// A stored block that does not read back: the store was damaged or written by something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored block is damaged: height={height} part={part}")]
pub struct RecordError {
    /// Its height.
    pub height: u64,
    /// Which part.
    pub part: &'static str,
}

/// One executed block.
#[derive(Clone, Debug)]
pub struct ExecutedRecord {
    /// Its Ethereum header.
    pub header: Header,
    /// Hash of that header: the block hash users see.
    pub hash: B256,
    /// The block as ordered.
    pub block: Block,
    /// Its transactions with their senders.
    pub transactions: Arc<[RecoveredTransaction]>,
    /// Their receipts, in the same order.
    pub receipts: Vec<Receipt>,
    /// What the consensus layer of another chain paid out in it.
    pub withdrawals: Withdrawals,
}

impl ExecutedRecord {
    /// Its height.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.header.number
    }

    /// Encodes it for the store, with an encoded access list.
    #[must_use]
    pub fn to_stored(&self, access_list: Bytes) -> BlockRecord {
        let senders_size = self.transactions.len().saturating_mul(Address::len_bytes());
        let mut body = Vec::with_capacity(self.block.encode_size().saturating_add(senders_size));
        self.block.write(&mut body);
        for transaction in self.transactions.iter() {
            body.extend_from_slice(transaction.sender().as_slice());
        }
        if !self.withdrawals.is_empty() {
            self.withdrawals.encode(&mut body);
        }
        let mut header = Vec::with_capacity(self.header.length());
        self.header.encode(&mut header);
        BlockRecord {
            height: self.height(),
            hash: self.hash,
            header: header.into(),
            body: body.into(),
            receipts: self.encoded_receipts(),
            access_list,
            transaction_hashes: self.transactions.iter().map(|tx| tx.hash()).collect(),
        }
    }

    fn encoded_receipts(&self) -> Bytes {
        let is_executed = self.receipts.len() == self.transactions.len();
        match is_executed {
            true => Receipt::encode_all(&self.receipts).into(),
            false => Bytes::new(),
        }
    }

    /// Reads one back.
    ///
    /// # Errors
    /// [`RecordError`] names the damaged part.
    pub fn from_stored(stored: &BlockRecord, limits: &BlockLimits) -> Result<Self, RecordError> {
        let damaged = |part| RecordError {
            height: stored.height,
            part,
        };
        let header = Header::decode(&mut stored.header.as_ref()).map_err(|_| damaged("header"))?;
        let (block, senders, withdrawals) =
            read_body(&stored.body, limits).ok_or_else(|| damaged("body"))?;
        // None of what this node has not executed: genesis, and the block of a state from peers.
        let receipts = match stored.receipts.is_empty() {
            true => Vec::new(),
            false => Receipt::decode_all(&stored.receipts).map_err(|_| damaged("receipts"))?,
        };
        if !stored.receipts.is_empty() && receipts.len() != senders.len() {
            return Err(damaged("receipts"));
        }
        let transactions = block
            .transactions()
            .iter()
            .zip(senders)
            .map(|(tx, sender)| RecoveredTransaction::trusted(tx.clone(), sender))
            .collect();
        Ok(Self {
            header,
            hash: stored.hash,
            block,
            transactions,
            receipts,
            withdrawals,
        })
    }
}

/// A block, its transactions' senders, and its withdrawals.
type Body = (Block, Vec<Address>, Withdrawals);

fn read_body(bytes: &Bytes, limits: &BlockLimits) -> Option<Body> {
    let mut buf = bytes.0.clone();
    let block = Block::read_cfg(&mut buf, limits).ok()?;
    let senders_bytes = block
        .transactions()
        .len()
        .checked_mul(Address::len_bytes())?;
    let (senders, mut rest) = buf.split_at_checked(senders_bytes)?;
    let senders = senders.chunks_exact(Address::len_bytes());
    let senders = senders.map(Address::from_slice).collect();
    let withdrawals = match rest.is_empty() {
        true => Withdrawals::default(),
        false => Withdrawals::decode(&mut rest).ok()?,
    };
    rest.is_empty().then_some((block, senders, withdrawals))
}
