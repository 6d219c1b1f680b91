//! Finding blocks by what is in them, without reading all of them.
//!
//! ```text
//!   first … │ indexed: only those that the postings name │ newest: all of them │
//! ```

use crate::{Chain, ChainError};
use state::{PostingKey, Postings, PostingsError, TransactionLocation};
use std::ops::RangeInclusive;

/// Heights whose postings are compared at once.
const STEP: u64 = 16_384;
/// Postings that one search may read: some seconds of work.
const POSTINGS_READ_MAX: usize = 50_000_000;
/// What looking one key up costs, in postings read.
const LOOK_UP_POSTINGS: usize = 1_000;

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
        let (start, end) = (*heights.start(), *heights.end());
        let postings = self.postings().filter(|postings| {
            // Genesis has no transactions; what is below the index otherwise is for the caller to see.
            !criteria.is_empty() && postings.first_height() <= start.max(1)
        });
        let Some(postings) = postings else {
            return Ok((start..=end).take(count_max.saturating_add(1)).collect());
        };
        let above = postings.next_height().max(start);
        let mut found = Vec::new();
        let mut budget = POSTINGS_READ_MAX;
        let mut next = start;
        while next < above && next <= end && found.len() <= count_max {
            let last = end
                .min(above.saturating_sub(1))
                .min(next.saturating_add(STEP));
            found.extend(meeting(postings, criteria, next..=last, &mut budget)?);
            next = last.saturating_add(1);
        }
        let room = count_max.saturating_add(1).saturating_sub(found.len());
        found.extend((above..=end).take(room));
        Ok(found)
    }

    /// The newest places that the index has for a key, up to and with one, newest first. A posting says where to
    /// look: another key may share its row.
    ///
    /// # Errors
    /// When the index can't be read.
    pub fn newest_with(
        &self,
        key: &PostingKey,
        up_to: TransactionLocation,
        count_max: usize,
    ) -> Result<Vec<TransactionLocation>, ChainError> {
        match self.postings() {
            Some(postings) => Ok(postings.newest(key, up_to, count_max)?),
            None => Ok(Vec::new()),
        }
    }
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
            // Looking for what is nowhere is work too.
            let left = budget.checked_sub(LOOK_UP_POSTINGS);
            *budget = left.ok_or(PostingsError::TooMany)?;
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
