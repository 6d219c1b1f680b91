//! Finding blocks by what is in them, without reading all of them.
//!
//! ```text
//!   first … │ indexed: only those that the postings name │ newest: all of them │
//! ```

use crate::{Chain, ChainError, ExecutedRecord, chain::Located};
use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use state::{PostingKey, Postings, TransactionLocation};
use std::{ops::RangeInclusive, sync::Arc};

/// Heights whose postings are compared at once.
const STEP: u64 = 16_384;
/// Blocks that are read for an account's transactions where there is no index.
pub const SCAN_MAX: u64 = 1_000;
/// Postings that one search may read: some seconds of work.
const POSTINGS_READ_MAX: usize = 50_000_000;

impl Chain {
    /// The index of executed blocks, if this node keeps one.
    #[must_use]
    pub fn postings(&self) -> Option<&Postings> {
        self.shared.postings.as_deref()
    }

    /// Heights of a range whose blocks may meet all criteria, of each of which one alternative has to hold:
    /// those that the index names, and those that it does not have yet. At most `count_max` and one more.
    ///
    /// # Errors
    /// When the index can't be read, or the criteria name too much of it.
    pub fn heights_with(
        &self,
        criteria: &[Vec<PostingKey>],
        heights: RangeInclusive<u64>,
        count_max: usize,
    ) -> Result<Vec<u64>, ChainError> {
        let (mut next, end) = (*heights.start(), *heights.end());
        let mut found = Vec::new();
        let mut budget = POSTINGS_READ_MAX;
        if let Some(postings) = self.postings().filter(|_| !criteria.is_empty()) {
            let (first, indexed) = (postings.first_height(), postings.next_height());
            // Genesis has no transactions; what is below the index otherwise is for the caller to see.
            if first <= next.max(1) {
                while next < indexed && next <= end && found.len() <= count_max {
                    let last = end
                        .min(indexed.saturating_sub(1))
                        .min(next.saturating_add(STEP));
                    found.extend(meeting(postings, criteria, next..=last, &mut budget)?);
                    next = last.saturating_add(1);
                }
            }
        }
        let room = count_max.saturating_add(1).saturating_sub(found.len());
        found.extend((next..=end).take(room));
        Ok(found)
    }

    /// The newest executed transactions that an account sent or received, or that created it, before a place,
    /// newest first: from the index, and from the blocks that it does not have. Without an index only the newest
    /// [`SCAN_MAX`] blocks are looked into.
    ///
    /// # Errors
    /// When the index or a block can't be read.
    pub fn transactions_of(
        &self,
        account: &Address,
        before: Option<TransactionLocation>,
        count_max: usize,
    ) -> Result<AccountHistory, ChainError> {
        let executed = self.heads().executed_height;
        let before = before.unwrap_or((executed.saturating_add(1), 0));
        let top = before.0.min(executed);
        let lowest = self.shared.first_height;
        let low = match self.postings() {
            Some(postings) => postings.next_height().max(lowest),
            None => top.saturating_sub(SCAN_MAX).max(lowest),
        };
        let mut found = Vec::new();
        for height in (low..=top).rev() {
            let Some(record) = self.record(height)? else {
                continue;
            };
            let places = (0..record.transactions.len()).rev();
            let places = places.filter(|index| {
                let place = (height, u32::try_from(*index).unwrap_or(u32::MAX));
                place < before && involves(&record, *index, account)
            });
            found.extend(places.map(|index| (Arc::clone(&record), index)));
            if found.len() >= count_max {
                break;
            }
        }
        found.truncate(count_max);
        let Some(postings) = self.postings() else {
            let searched_from = if low == lowest { 0 } else { low };
            return Ok(AccountHistory {
                found,
                searched_from,
            });
        };
        let up_to = match before {
            (height, 0) => (height.saturating_sub(1), u32::MAX),
            (height, index) => (height, index.saturating_sub(1)),
        };
        let key = PostingKey::Account(*account);
        for (height, index) in
            postings.newest(&key, up_to, count_max.saturating_sub(found.len()))?
        {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let record = self
                .record(height)?
                .filter(|record| involves(record, index, account));
            // A posting only says where to look.
            found.extend(record.map(|record| (record, index)));
        }
        Ok(AccountHistory {
            found,
            searched_from: 0,
        })
    }
}

/// What an account's transactions are, as far as was looked.
#[derive(Clone, Debug)]
pub struct AccountHistory {
    /// The transactions, newest first.
    pub found: Vec<Located>,
    /// The lowest height that was looked at; 0 if there are no older ones than were found or asked for.
    pub searched_from: u64,
}

/// Whether an account sent or received a transaction, or was created by it.
fn involves(record: &ExecutedRecord, index: usize, account: &Address) -> bool {
    let Some(transaction) = record.transactions.get(index) else {
        return false;
    };
    let created = record
        .receipts
        .get(index)
        .and_then(|receipt| receipt.contract_address);
    transaction.sender() == *account
        || transaction.to() == Some(*account)
        || created == Some(*account)
}

/// Heights in which each criterion is met.
fn meeting(
    postings: &Postings,
    criteria: &[Vec<PostingKey>],
    heights: RangeInclusive<u64>,
    budget: &mut usize,
) -> Result<Vec<u64>, ChainError> {
    let mut met: Option<Vec<u64>> = None;
    for alternatives in criteria {
        let mut any = Vec::new();
        for key in alternatives {
            any.extend(postings.heights(key, heights.clone(), budget)?);
        }
        any.sort_unstable();
        any.dedup();
        if let Some(met) = met {
            any.retain(|height| met.binary_search(height).is_ok());
        }
        if any.is_empty() {
            return Ok(any);
        }
        met = Some(any);
    }
    Ok(met.unwrap_or_default())
}
