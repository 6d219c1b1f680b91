//! What is read of a stripe: by location, by sender, by price.
//!
//! ```text
//! heads after a cursor, best paid first ─▶ Head ─ taken by nonce ─▶ Step, with the next one's quote
//! tails as they stand, worst first ─▶ Tail ─▶ the tail below it
//! ```
//! A [`Quote`] is copied, not the transaction: most of what a selection looks at it does not take.

use super::{Counts, Pool, PooledTransaction, SenderContent};
use crate::{
    config::PRICES_PER_LOCK,
    entry::{Entry, Price, Rank},
    index::Location,
    lane::Lane,
    lanes::LaneId,
    order::{Bid, Cursor},
    room::Tail,
    short_id::{Found, ShortId, short_id},
};
use alloy_primitives::Address;
use primitives::RecoveredTransaction;

/// What a transaction is offered by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote {
    pub(crate) price: Price,
    pub(crate) arrival: u64,
}

impl Quote {
    const fn new(entry: &Entry) -> Self {
        Self {
            price: entry.price,
            arrival: entry.arrival,
        }
    }
}

/// A sender's first offer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) sender: Address,
    pub(crate) lane: LaneId,
    pub(crate) nonce: u64,
    pub(crate) quote: Quote,
}

/// A transaction and what comes after it.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) transaction: RecoveredTransaction,
    pub(crate) next: Option<Quote>,
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

    /// What is at a location, if it has this short id: another may have come there.
    pub(crate) fn found_at(&self, location: Location, id: ShortId) -> Found {
        let entry = self.at(location);
        let entry = entry.filter(|entry| short_id(&entry.hash()) == id);
        entry.map_or(Found::Missing, |entry| {
            Found::One(entry.transaction.clone())
        })
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
        for (id, lane) in self.lanes.starting_at(place) {
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

    /// Where lanes stand, the lowest first, each with its tail, which ranks no lower; without one
    /// lane.
    pub(crate) fn standing_tails(
        &self,
        beside: Option<LaneId>,
    ) -> impl Iterator<Item = (Rank, Tail)> {
        let queued = self.tails.queued.ascending(self.base_fee);
        let pending = self.tails.pending.ascending(self.base_fee);
        let others = queued.chain(pending).filter(move |id| Some(*id) != beside);
        others.filter_map(|id| {
            let lane = self.lanes.get(id)?;
            let standing = lane.standing?;
            let rank = Rank::new(standing.pending, standing.price, self.base_fee);
            Some((rank, self.tail(id, lane, lane.tail()?)))
        })
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

    fn tail(&self, id: LaneId, lane: &Lane, entry: &Entry) -> Tail {
        Tail {
            rank: Rank::new(lane.is_pending(entry.nonce), entry.price, self.base_fee),
            stripe: self.stripe,
            lane: id,
            nonce: entry.nonce,
            bytes: entry.size(),
        }
    }

    /// The next best paid heads. What does not pay the base fee is
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
            quote: Quote::new(head),
        })
    }

    /// A sender's lane, and its offer at a nonce if it has one.
    pub(crate) fn head_at(&self, sender: &Address, nonce: u64) -> Option<(LaneId, Option<Head>)> {
        let lane = self.lanes.id(sender)?;
        let entry = self.lanes.get(lane)?.get(nonce);
        let head = entry.map(|entry| Head {
            sender: *sender,
            lane,
            nonce,
            quote: Quote::new(entry),
        });
        Some((lane, head))
    }

    /// A sender's transaction with a nonce, looked for in a lane first, and the quote of the next.
    pub(crate) fn step(&self, sender: &Address, lane: LaneId, nonce: u64) -> Option<Step> {
        let known = self.lanes.get(lane).filter(|lane| lane.sender() == *sender);
        let lane = known.or_else(|| self.lanes.of(sender))?;
        Some(Step {
            transaction: lane.get(nonce)?.transaction.clone(),
            next: lane.get(nonce.checked_add(1)?).map(Quote::new),
        })
    }
}
