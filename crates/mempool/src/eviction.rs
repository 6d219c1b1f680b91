//! Who leaves a full pool for a newcomer.
//!
//! Only the tail of a lane may leave, the smallest [`Rank`] over all lanes first; the tail below
//! it is next in line. All victims must rank below the newcomer, or none leaves and the newcomer
//! is refused.

use crate::{
    admission::AdmissionError,
    entry::{Entry, Rank},
    lane::Lane,
};
use alloy_primitives::Address;
use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

pub(crate) type Lanes = BTreeMap<Address, Arc<Lane>>;

/// How far over its limits the pool would be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Excess {
    pub(crate) transactions: usize,
    pub(crate) bytes: usize,
}

impl Excess {
    const fn is_none(self) -> bool {
        self.transactions == 0 && self.bytes == 0
    }

    fn less(self, entry: &Entry) -> Self {
        Self {
            transactions: self.transactions.saturating_sub(1),
            bytes: self.bytes.saturating_sub(entry.size()),
        }
    }
}

/// The tails of all lanes by rank.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    ranks: BTreeSet<Rank>,
}

impl Tails {
    pub(crate) fn insert(&mut self, rank: Option<Rank>) {
        self.ranks.extend(rank);
    }

    pub(crate) fn remove(&mut self, rank: Option<Rank>) {
        if let Some(rank) = rank {
            let there = self.ranks.remove(&rank);
            debug_assert!(there, "every lane's tail is here");
        }
    }

    /// Ranks everything again, for another base fee.
    pub(crate) fn rebuild(&mut self, lanes: &Lanes, base_fee: u64) {
        let tails = lanes.values().filter_map(|lane| lane.tail_rank(base_fee));
        self.ranks = tails.collect();
    }

    #[cfg(test)]
    pub(crate) const fn ranks(&self) -> &BTreeSet<Rank> {
        &self.ranks
    }

    /// Chooses who makes room for the newcomer; its own lane does not count.
    pub(crate) fn victims(
        &self,
        newcomer: &Rank,
        lanes: &Lanes,
        base_fee: u64,
        mut excess: Excess,
    ) -> Result<Vec<Rank>, AdmissionError> {
        let mut victims = Vec::new();
        let mut tails = self
            .ranks
            .iter()
            .filter(|rank| rank.sender != newcomer.sender)
            .peekable();
        // Tails that come to light when the ones above them leave.
        let mut exposed: BTreeSet<Rank> = BTreeSet::new();
        while !excess.is_none() {
            let uncovered = match (tails.peek(), exposed.first()) {
                (Some(tail), Some(uncovered)) => uncovered < *tail,
                (None, Some(_)) => true,
                _ => false,
            };
            let victim = if uncovered {
                exposed.pop_first()
            } else {
                tails.next().copied()
            };
            let victim = victim.ok_or(AdmissionError::PoolFull)?;
            if victim >= *newcomer {
                return Err(refusal(&victim, newcomer));
            }
            let lane = &lanes[&victim.sender];
            excess = excess.less(&lane.entries()[&victim.nonce]);
            let below = lane.entries().range(..victim.nonce).next_back();
            exposed.extend(below.map(|(_, entry)| lane.rank(entry, base_fee)));
            victims.push(victim);
        }
        Ok(victims)
    }
}

fn refusal(victim: &Rank, newcomer: &Rank) -> AdmissionError {
    if victim.pending && !newcomer.pending {
        AdmissionError::PoolFull
    } else {
        AdmissionError::Underpriced
    }
}
