//! What is read of a stripe: by location, by sender, by price.

use super::{Counts, Pool, PooledTransaction, SenderContent};
use crate::{
    config::{HEAD_RUN, PRICES_PER_LOCK},
    entry::{Entry, Price},
    index::Location,
    lane::Lane,
    lanes::LaneId,
    order::{Bid, Cursor},
    room::Tail,
};
use alloy_primitives::Address;
use primitives::RecoveredTransaction;

/// A transaction taken ahead by a selection.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) transaction: RecoveredTransaction,
    pub(crate) price: Price,
    pub(crate) arrival: u64,
}

impl Taken {
    fn new(entry: &Entry) -> Self {
        Self {
            transaction: entry.transaction.clone(),
            price: entry.price,
            arrival: entry.arrival,
        }
    }
}

/// The first transactions of a sender, taken ahead.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) sender: Address,
    pub(crate) lane: LaneId,
    pub(crate) nonce: u64,
    pub(crate) taken: Vec<Taken>,
}

/// What a selection asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) base_fee: u64,
    pub(crate) cursor: Cursor,
    /// Most heads.
    pub(crate) heads: usize,
}

/// Whose heads a selection has already.
pub(crate) trait Known {
    /// Cheap, and may say no of one it has.
    fn has_lane(&self, stripe: usize, lane: LaneId) -> bool;
    fn has_sender(&self, sender: &Address) -> bool;
}

/// What one look at the best paid heads found.
#[derive(Debug)]
pub(crate) struct Heads {
    pub(crate) heads: Vec<Head>,
    pub(crate) cursor: Cursor,
    /// The most that the heads after these pay; none if there are none.
    pub(crate) bid: Option<Bid>,
}

impl From<&Lane> for SenderContent {
    fn from(lane: &Lane) -> Self {
        let pending = lane.pending().map(|entry| entry.transaction.clone());
        let queued = lane.queued().map(|entry| entry.transaction.clone());
        Self {
            sender: lane.sender(),
            pending: pending.collect(),
            queued: queued.collect(),
        }
    }
}

impl Pool {
    /// What is at a location.
    pub(crate) fn at(&self, location: Location) -> Option<&Entry> {
        self.lanes.get(location.lane)?.get(location.nonce)
    }

    /// What is at a location, and whether it is executable.
    pub(crate) fn pooled_at(&self, location: Location) -> Option<PooledTransaction> {
        let lane = self.lanes.get(location.lane)?;
        let entry = lane.get(location.nonce)?;
        Some(PooledTransaction {
            transaction: entry.transaction.clone(),
            pending: lane.is_pending(entry.nonce),
        })
    }

    /// Where a sender's transaction with this nonce would be.
    pub(crate) fn locate(&self, sender: &Address, nonce: u64) -> Option<Location> {
        let lane = self.lanes.id(sender)?;
        Some(self.location(lane, nonce))
    }

    pub(crate) fn pending_nonce(&self, sender: &Address) -> Option<u64> {
        self.lanes.of(sender).map(Lane::pending_end)
    }

    pub(crate) fn content_of(&self, sender: &Address) -> Option<SenderContent> {
        self.lanes.of(sender).map(SenderContent::from)
    }

    /// Contents from a place on, of about `limit` transactions; the next place, or none at the end.
    pub(crate) fn content(
        &self,
        place: usize,
        limit: usize,
    ) -> (Vec<SenderContent>, Option<usize>) {
        let mut content = Vec::new();
        let mut visits = 0;
        for (id, lane) in self.lanes.from_place(place) {
            if visits >= limit {
                return (content, Some(id.index()));
            }
            visits += lane.len();
            content.push(lane.into());
        }
        (content, None)
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    /// The tails that would leave, the worst first, without that of one lane.
    pub(crate) fn worst_tails(&self, beside: Option<LaneId>) -> impl Iterator<Item = Tail> {
        let rank = |id| self.tail_of(id).map(|tail| tail.rank);
        let queued = self.tails.queued.ascending(rank);
        let pending = self.tails.pending.ascending(rank);
        let others = queued.chain(pending).filter(move |id| Some(*id) != beside);
        others.filter_map(|id| self.tail_of(id))
    }

    /// What would leave a lane after its tail with this nonce has left.
    pub(crate) fn tail_below(&self, tail: &Tail) -> Option<Tail> {
        let lane = self.lanes.get(tail.lane)?;
        Some(self.tail(tail.lane, lane, lane.below(tail.nonce)?))
    }

    #[cfg(test)]
    pub(crate) const fn lanes(&self) -> &crate::lanes::Lanes {
        &self.lanes
    }

    #[cfg(test)]
    pub(crate) fn tail_hash(&self, tail: &Tail) -> alloy_primitives::B256 {
        let location = self.location(tail.lane, tail.nonce);
        self.at(location).expect("a tail is there").hash()
    }

    fn tail_of(&self, id: LaneId) -> Option<Tail> {
        let lane = self.lanes.get(id)?;
        Some(self.tail(id, lane, lane.tail()?))
    }

    fn tail(&self, id: LaneId, lane: &Lane, entry: &Entry) -> Tail {
        Tail {
            rank: entry.rank(lane.is_pending(entry.nonce), self.base_fee),
            stripe: self.stripe,
            lane: id,
            nonce: entry.nonce,
            bytes: entry.size(),
        }
    }

    /// The next best paid heads, each with what comes after it. What does not pay the base fee is
    /// left out.
    pub(crate) fn heads(&self, wanted: &Wanted, known: &impl Known) -> Heads {
        let mut order = self.heads.descending(wanted.base_fee, wanted.cursor);
        let mut heads = Vec::new();
        for _ in 0..PRICES_PER_LOCK {
            if heads.len() >= wanted.heads {
                break;
            }
            let Some(id) = order.next() else { break };
            heads.extend(self.head(id, wanted.base_fee, known));
        }
        Heads {
            heads,
            cursor: order.cursor(),
            bid: order.bid(),
        }
    }

    fn head(&self, id: LaneId, base_fee: u64, known: &impl Known) -> Option<Head> {
        if known.has_lane(self.stripe, id) {
            return None;
        }
        let lane = self.lanes.get(id)?;
        if known.has_sender(&lane.sender()) {
            return None;
        }
        let head = lane.head()?;
        head.price.effective_tip(base_fee)?;
        Some(Head {
            sender: lane.sender(),
            lane: id,
            nonce: head.nonce,
            taken: lane.pending().take(HEAD_RUN).map(Taken::new).collect(),
        })
    }

    /// A sender's transactions from a nonce on without gaps, at most `limit`.
    pub(crate) fn run(&self, sender: &Address, nonce: u64, limit: usize) -> Option<Head> {
        let id = self.lanes.id(sender)?;
        let lane = self.lanes.get(id)?;
        let taken = (nonce..)
            .take(limit)
            .map_while(|nonce| lane.get(nonce))
            .map(Taken::new);
        Some(Head {
            sender: *sender,
            lane: id,
            nonce,
            taken: taken.collect(),
        })
    }
}
