//! What an account took part in.
//!
//! ```text
//! newest block ─back─▶ sender, recipient or created contract is the account ─▶ Found
//! ```
//! There is no index: blocks are read from the newest back, at most [`BLOCKS_MAX`] of them and [`TRANSACTIONS_MAX`]
//! transactions for one answer, which says where it stopped.

use super::lists::Place;
use crate::{backend::Backend, error::RpcError};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, TxHash};
use pipeline::ExecutedRecord;
use std::sync::Arc;

/// Blocks read for one answer.
pub(super) const BLOCKS_MAX: u64 = 512;
/// Transactions looked at for one answer.
const TRANSACTIONS_MAX: usize = 200_000;

/// Transactions of an account, newest first.
#[derive(Debug)]
pub(super) struct Found {
    /// The block of each, and its place there.
    pub(super) transactions: Vec<(Arc<ExecutedRecord>, usize)>,
    /// The lowest block that was looked at.
    pub(super) oldest: u64,
    /// Where to go on; nothing if there are no older blocks.
    pub(super) next: Option<Place>,
}

/// At most `max` transactions of an account before a place.
pub(super) fn transactions_of(
    backend: &Backend,
    address: &Address,
    before: Place,
    max: usize,
) -> Result<Found, RpcError> {
    let first = backend.chain.first_height().saturating_sub(1);
    let to = before.height.saturating_sub(BLOCKS_MAX - 1).max(first);
    let mut found = Found {
        transactions: Vec::new(),
        oldest: before.height,
        next: None,
    };
    let mut looked = 0_usize;
    for height in (to..=before.height).rev() {
        let Some(record) = backend.chain.record(height)? else {
            break;
        };
        found.oldest = height;
        let count = record.transactions.len();
        let end = match height == before.height {
            true => before.index.min(count),
            false => count,
        };
        for index in (0..end)
            .rev()
            .filter(|index| concerns(&record, *index, address))
        {
            found.transactions.push((Arc::clone(&record), index));
            if found.transactions.len() >= max {
                found.next = Place::before(height, index, first);
                return Ok(found);
            }
        }
        looked = looked.saturating_add(count);
        if looked >= TRANSACTIONS_MAX {
            break;
        }
    }
    found.next = Place::before(found.oldest, 0, first);
    Ok(found)
}

fn concerns(record: &ExecutedRecord, index: usize, address: &Address) -> bool {
    let Some(transaction) = record.transactions.get(index) else {
        return false;
    };
    let created = || record.receipts.get(index)?.contract_address;
    transaction.sender() == *address
        || transaction.to() == Some(*address)
        || (transaction.to().is_none() && created() == Some(*address))
}

/// Where a transaction is.
#[derive(Debug)]
pub(super) enum Whereabouts {
    /// In an executed block.
    Executed(Arc<ExecutedRecord>, usize),
    /// In a block that is not executed yet, at this height.
    Ordered(primitives::RecoveredTransaction, u64),
    /// In the pool, executable or not.
    Pooled(primitives::RecoveredTransaction, bool),
}

/// Finds a transaction wherever it is.
pub(super) fn find(backend: &Backend, hash: &TxHash) -> Result<Option<Whereabouts>, RpcError> {
    if let Some((record, index)) = backend.chain.transaction(hash)? {
        return Ok(Some(Whereabouts::Executed(record, index)));
    }
    for block in backend.chain.ordered() {
        let transaction = block.transactions().iter().find(|tx| tx.hash() == *hash);
        if let Some(transaction) = transaction {
            let height = block.header().height;
            return Ok(Some(Whereabouts::Ordered(transaction.clone(), height)));
        }
    }
    if let Some(pooled) = backend.mempool.get(hash) {
        return Ok(Some(Whereabouts::Pooled(
            pooled.transaction,
            pooled.pending,
        )));
    }
    // It may have been executed since the first look.
    let executed = backend.executed(hash)?;
    Ok(executed.map(|(record, index)| Whereabouts::Executed(record, index)))
}
