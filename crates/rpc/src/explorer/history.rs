//! What an account or a contract took part in, newest first.
//!
//! ```text
//!  … │ indexed: only what the postings name │ newest: every block is read │ ◀─ before
//! ```
//! Blocks that the index does not have yet, and all of them where a node keeps none, are read from the newest back,
//! at most [`BLOCKS_MAX`] for one answer, which says how far it looked.

use super::lists::{Place, oldest};
use crate::{backend::Backend, error::RpcError};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, TxHash};
use pipeline::ExecutedRecord;
use state::PostingKey;
use std::{collections::BTreeMap, sync::Arc};

/// Blocks read for one answer that the index does not have.
pub(super) const BLOCKS_MAX: u64 = 512;

/// Whether a transaction of a block is what is looked for.
type Meets<'a> = dyn Fn(&ExecutedRecord, usize) -> bool + 'a;

/// What is looked for.
pub(super) struct Wanted<'a> {
    /// As the index has it.
    pub(super) key: PostingKey,
    /// And as it is seen in a block.
    pub(super) meets: &'a Meets<'a>,
}

/// Transactions, newest first.
#[derive(Debug)]
pub(super) struct Found {
    /// The block of each, and its place there.
    pub(super) transactions: Vec<(Arc<ExecutedRecord>, usize)>,
    /// The lowest block that was looked at.
    pub(super) oldest: u64,
    /// Where to go on; nothing if there are no older ones.
    pub(super) next: Option<Place>,
}

/// At most `max` transactions of an account before a place.
pub(super) fn transactions_of(
    backend: &Backend,
    address: &Address,
    before: Place,
    max: usize,
) -> Result<Found, RpcError> {
    let wanted = Wanted {
        key: PostingKey::Account(*address),
        meets: &|record, index| concerns(record, index, address),
    };
    newest(backend, &wanted, before, max)
}

/// At most `max` transactions that meet something, before a place.
pub(super) fn newest(
    backend: &Backend,
    wanted: &Wanted<'_>,
    before: Place,
    max: usize,
) -> Result<Found, RpcError> {
    let first = oldest(backend);
    let indexed = backend.chain.postings().map_or((u64::MAX, 0), |postings| {
        (postings.first_height(), postings.next_height())
    });
    let mut found = Found {
        transactions: Vec::new(),
        oldest: before.height,
        next: None,
    };
    let mut place = before;
    // Above the index, or below it: block by block.
    let is_indexed = |height: u64| indexed.0 <= height && height < indexed.1;
    let to = before.height.saturating_sub(BLOCKS_MAX - 1).max(first);
    while !is_indexed(place.height) {
        if place.height < to {
            found.next = (place.height >= first).then_some(place);
            return Ok(found);
        }
        if found.read(backend, wanted, (place, max))? {
            return Ok(found);
        }
        match Place::before(place.height, 0, first) {
            Some(next) => place = next,
            None => return Ok(found),
        }
    }
    found.read_index(backend, wanted, (place, max))?;
    if found.next.is_none() && indexed.0 > first.max(1) {
        found.next = Some(Place::up_to(indexed.0 - 1));
    }
    Ok(found)
}

impl Found {
    /// Adds what a block has before a place; whether that is all that was asked for.
    fn read(
        &mut self,
        backend: &Backend,
        wanted: &Wanted<'_>,
        (place, max): (Place, usize),
    ) -> Result<bool, RpcError> {
        let first = oldest(backend);
        self.oldest = place.height;
        let Some(record) = backend.chain.record(place.height)? else {
            return Ok(false);
        };
        let end = place.index.min(record.transactions.len());
        for index in (0..end)
            .rev()
            .filter(|index| (wanted.meets)(&record, *index))
        {
            self.transactions.push((Arc::clone(&record), index));
            if self.transactions.len() >= max {
                self.next = Place::before(place.height, index, first);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds what the index names before a place.
    fn read_index(
        &mut self,
        backend: &Backend,
        wanted: &Wanted<'_>,
        (place, max): (Place, usize),
    ) -> Result<(), RpcError> {
        let Some(up_to) = last_before(place) else {
            return Ok(());
        };
        let missing = max.saturating_sub(self.transactions.len());
        let named = backend.chain.newest_with(&wanted.key, up_to, missing)?;
        let is_full = named.len() >= missing;
        let mut records: BTreeMap<u64, Arc<ExecutedRecord>> = BTreeMap::new();
        for (height, index) in named {
            let record = match records.get(&height) {
                Some(record) => Arc::clone(record),
                None => match backend.chain.record(height)? {
                    Some(record) => record,
                    None => continue,
                },
            };
            records.insert(height, Arc::clone(&record));
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            self.oldest = height;
            self.next = Place::before(height, index, 0).filter(|_| is_full);
            // Keys of the index are short: two may be the same.
            if (wanted.meets)(&record, index) {
                self.transactions.push((record, index));
            }
        }
        if !is_full {
            self.oldest = 0;
        }
        Ok(())
    }
}

/// The last place before another one, as the index counts.
fn last_before(place: Place) -> Option<(u64, u32)> {
    match place.index {
        0 => Some((place.height.checked_sub(1)?, u32::MAX)),
        index => Some((place.height, u32::try_from(index - 1).unwrap_or(u32::MAX))),
    }
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
