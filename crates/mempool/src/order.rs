//! The heads or the tails of all lanes by what they pay at the base fee, always sorted.
//!
//! ```text
//! effective tip = min(priority fee, maximum fee − base fee)
//!
//! turning fee = maximum fee − priority fee
//!   ≥ base fee:  by priority fee                 ─┐ when the base fee moves, only those
//!   < base fee:  by maximum fee, those below the ─┘ between the old and the new change sides
//!                base fee last
//! ```
//! Nothing is sorted or visited when somebody asks. The side of each price is told by a *boundary*
//! in the order of turning fees, which moves in steps of bounded work. At another base fee than the
//! boundary's the two sides still bound what each pays from above, which is all that a
//! selection needs.

#[cfg(test)]
mod tests;

use crate::{entry::Price, lanes::LaneId};
use std::{
    cmp::Reverse,
    collections::BTreeSet,
    iter::Peekable,
    ops::Bound::{Excluded, Included, Unbounded},
};

/// A lane's head or tail, as it is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Priced {
    pub(crate) price: Price,
    pub(crate) arrival: u64,
    pub(crate) lane: LaneId,
}

/// What decides between equal effective tips.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ties {
    /// The earlier arrival.
    Arrival,
    /// The higher maximum fee.
    MaxFee,
}

/// A place in one of the two orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    fee: u64,
    tie: u64,
    arrival: Reverse<u64>,
    lane: LaneId,
}

/// The most that whatever comes next can pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bid {
    pub(crate) effective_tip: u64,
    pub(crate) arrival: Reverse<u64>,
}

/// How far down both orders somebody has read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    by_priority: Option<Key>,
    by_max_fee: Option<Key>,
}

/// Lanes by price.
#[derive(Debug)]
pub(crate) struct FeeOrder {
    ties: Ties,
    /// Smallest turning fee, and lane among those, that is ordered by its priority fee.
    boundary: (u64, LaneId),
    by_priority: BTreeSet<Key>,
    by_max_fee: BTreeSet<Key>,
    by_turning_fee: BTreeSet<(u64, LaneId)>,
}

impl FeeOrder {
    pub(crate) const fn new(base_fee: u64, ties: Ties) -> Self {
        Self {
            ties,
            boundary: (base_fee, LaneId::MIN),
            by_priority: BTreeSet::new(),
            by_max_fee: BTreeSet::new(),
            by_turning_fee: BTreeSet::new(),
        }
    }

    pub(crate) fn insert(&mut self, priced: &Priced) {
        self.by_turning_fee.insert(turning(priced));
        self.put(priced);
    }

    pub(crate) fn remove(&mut self, priced: &Priced) {
        let there = self.by_turning_fee.remove(&turning(priced)) && self.take(priced);
        debug_assert!(there, "every lane's head and tail is ordered");
    }

    /// Moves the boundary towards a base fee, over at most `limit` lanes; whether it is there.
    pub(crate) fn follow(
        &mut self,
        base_fee: u64,
        limit: usize,
        priced: impl Fn(LaneId) -> Option<Priced>,
    ) -> bool {
        let goal = (base_fee, LaneId::MIN);
        for _ in 0..limit {
            let next = if goal > self.boundary {
                let between = (Included(self.boundary), Excluded(goal));
                self.by_turning_fee.range(between).next()
            } else {
                let between = (Included(goal), Excluded(self.boundary));
                self.by_turning_fee.range(between).next_back()
            };
            let Some(&(fee, lane)) = next else {
                self.boundary = goal;
                return true;
            };
            let Some(priced) = priced(lane) else {
                debug_assert!(false, "only lanes that are there are ordered");
                return true;
            };
            self.take(&priced);
            self.boundary = if goal > self.boundary {
                (fee, lane.next())
            } else {
                (fee, lane)
            };
            self.put(&priced);
        }
        false
    }

    /// From the least paid up at a base fee.
    pub(crate) fn ascending(&self, base_fee: u64) -> impl Iterator<Item = LaneId> {
        let mut by_priority = self.by_priority.iter().peekable();
        let mut by_max_fee = self.by_max_fee.iter().peekable();
        std::iter::from_fn(move || {
            let first = match (by_priority.peek(), by_max_fee.peek()) {
                // Of equal tips the higher maximum fee is worth more, then the later lane.
                (Some(one), Some(other)) => {
                    let other_tip = other.fee.checked_sub(base_fee);
                    (Some(one.fee), one.tie, one.lane) < (other_tip, other.fee, other.lane)
                }
                (one, _) => one.is_some(),
            };
            let key = if first {
                by_priority.next()
            } else {
                by_max_fee.next()
            };
            key.map(|key| key.lane)
        })
    }

    /// From the best paid down, after a cursor: never less than what each pays at `base_fee`.
    pub(crate) fn descending(&self, base_fee: u64, cursor: Cursor) -> Descending<'_> {
        Descending {
            base_fee,
            cursor,
            by_priority: below(&self.by_priority, cursor.by_priority),
            by_max_fee: below(&self.by_max_fee, cursor.by_max_fee),
        }
    }

    fn put(&mut self, priced: &Priced) {
        let key = self.key(priced);
        self.side(priced).insert(key);
    }

    fn take(&mut self, priced: &Priced) -> bool {
        let key = self.key(priced);
        self.side(priced).remove(&key)
    }

    fn side(&mut self, priced: &Priced) -> &mut BTreeSet<Key> {
        if self.is_by_priority(priced) {
            &mut self.by_priority
        } else {
            &mut self.by_max_fee
        }
    }

    fn is_by_priority(&self, priced: &Priced) -> bool {
        turning(priced) >= self.boundary
    }

    fn key(&self, priced: &Priced) -> Key {
        let price = priced.price;
        let (fee, tie) = match self.ties {
            _ if !self.is_by_priority(priced) => (price.max_fee, 0),
            Ties::Arrival => (price.priority_fee, 0),
            Ties::MaxFee => (price.priority_fee, price.max_fee),
        };
        let arrival = match self.ties {
            Ties::Arrival => priced.arrival,
            Ties::MaxFee => 0,
        };
        Key {
            fee,
            tie,
            arrival: Reverse(arrival),
            lane: priced.lane,
        }
    }
}

fn turning(priced: &Priced) -> (u64, LaneId) {
    (priced.price.turning_fee(), priced.lane)
}

fn below(order: &BTreeSet<Key>, read: Option<Key>) -> Side<'_> {
    let end = read.map_or(Unbounded, Excluded);
    order.range((Unbounded, end)).rev().peekable()
}

type Side<'a> = Peekable<std::iter::Rev<std::collections::btree_set::Range<'a, Key>>>;

/// Lanes from the best paid down.
#[derive(Debug)]
pub(crate) struct Descending<'a> {
    base_fee: u64,
    cursor: Cursor,
    by_priority: Side<'a>,
    by_max_fee: Side<'a>,
}

impl Descending<'_> {
    /// The most that the next one pays; none at the end.
    pub(crate) fn bid(&mut self) -> Option<Bid> {
        self.bids().into_iter().flatten().max()
    }

    /// Where the next reader goes on.
    pub(crate) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    fn bids(&mut self) -> [Option<Bid>; 2] {
        let by_priority = self.by_priority.peek().map(|key| Bid {
            effective_tip: key.fee,
            arrival: key.arrival,
        });
        let by_max_fee = self.by_max_fee.peek().and_then(|key| {
            Some(Bid {
                effective_tip: key.fee.checked_sub(self.base_fee)?,
                arrival: key.arrival,
            })
        });
        [by_priority, by_max_fee]
    }
}

impl Iterator for Descending<'_> {
    type Item = LaneId;

    fn next(&mut self) -> Option<LaneId> {
        let [by_priority, by_max_fee] = self.bids();
        let key = if by_priority > by_max_fee {
            let key = *self.by_priority.next()?;
            self.cursor.by_priority = Some(key);
            key
        } else {
            by_max_fee?;
            let key = *self.by_max_fee.next()?;
            self.cursor.by_max_fee = Some(key);
            key
        };
        Some(key.lane)
    }
}
