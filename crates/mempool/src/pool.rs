//! One stripe of the pool: the lanes of its senders, and what they add up to.
//!
//! ```text
//! admit ────────────▶┐                               ┌─▶ lookups by sender and place, counts
//! follow, expire ───▶│ lanes ─▶ heads, tails by price ┼─▶ what a selection reads, who would leave
//! follow_base_fee ──▶┘                               └─▶ events, what left
//! ```
//! Pure: accounts and the clock are arguments, what happened comes out of [`Pool::take_outcome`].
//! Invariants: a transaction is in its lane and in the index or in neither; counts are exact; every
//! lane's head is in its order, and its tail in its own or below; no lane is empty; a transaction leaves only by execution
//! or by a [`DropReason`].

mod admit;
pub(crate) mod read;

use crate::{
    config::{Config, EXECUTED_SENDERS_MAX, STANDINGS_PER_LOOK, STRIPES},
    entry::{Entry, Rank},
    event::{DropReason, Event},
    index::{Index, Location},
    lane::{Lane, Standing},
    lanes::{LaneId, Lanes},
    nonces::ExecutedNonces,
    order::{FeeOrder, Priced, Ties},
    room::{Room, Settlement, Tail},
    short_id::short_id,
};
pub(crate) use admit::{Arrived, Demand};
use alloy_primitives::{Address, B256, map::B256HashSet};
use primitives::{RecoveredTransaction, affordability::AccountView};
use std::sync::Arc;

/// Transactions waiting for a block, of the senders of one stripe.
#[derive(Debug)]
pub(crate) struct Pool {
    config: Arc<Config>,
    stripe: usize,
    /// Of the next block: what prices are compared at.
    base_fee: u64,
    lanes: Lanes,
    heads: FeeOrder,
    tails: Tails,
    index: Arc<Index>,
    executed_nonces: ExecutedNonces,
    counts: Counts,
    /// What left since the ledger was told.
    freed: Room,
    /// The worst tail as the ledger knows it.
    told_worst: Option<Tail>,
    events: Vec<Event>,
    gone: Vec<Entry>,
}

/// The tails of pending and of queued transactions; all queued ones leave first.
#[derive(Debug)]
struct Tails {
    pending: FeeOrder,
    queued: FeeOrder,
}

impl Tails {
    const fn of(&mut self, pending: bool) -> &mut FeeOrder {
        if pending {
            &mut self.pending
        } else {
            &mut self.queued
        }
    }
}

/// How much is in the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Executable now.
    pub pending: usize,
    /// Behind a nonce gap.
    pub queued: usize,
    /// Encoded bytes of both.
    pub bytes: usize,
}

impl Counts {
    /// Transactions in all.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.pending + self.queued
    }
}

/// A transaction in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PooledTransaction {
    /// The transaction.
    pub transaction: RecoveredTransaction,
    /// Executable now; otherwise queued.
    pub pending: bool,
}

/// What one sender has in the pool, by nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderContent {
    /// The sender.
    pub sender: Address,
    /// Executable now.
    pub pending: Vec<RecoveredTransaction>,
    /// Behind a nonce gap.
    pub queued: Vec<RecoveredTransaction>,
}

/// What a lane is to the order of heads and the counts.
#[derive(Clone, Copy, Debug)]
struct Outline {
    head: Option<Priced>,
    pending: usize,
    queued: usize,
    pending_end: u64,
}

impl Outline {
    fn new(lane: &Lane, id: LaneId) -> Self {
        Self {
            head: lane.head().map(|entry| Priced {
                price: entry.price,
                arrival: entry.arrival,
                lane: id,
            }),
            pending: lane.pending_len(),
            queued: lane.len() - lane.pending_len(),
            pending_end: lane.pending_end(),
        }
    }
}

const fn standing_place(standing: Standing, lane: LaneId) -> Priced {
    Priced {
        price: standing.price,
        arrival: 0,
        lane,
    }
}

impl Pool {
    /// An empty stripe before a block with this base fee.
    pub(crate) fn new(
        config: Arc<Config>,
        stripe: usize,
        base_fee: u64,
        index: Arc<Index>,
    ) -> Self {
        Self {
            config,
            stripe,
            base_fee,
            lanes: Lanes::default(),
            heads: FeeOrder::new(base_fee, Ties::Arrival),
            tails: Tails {
                pending: FeeOrder::new(base_fee, Ties::MaxFee),
                queued: FeeOrder::new(base_fee, Ties::MaxFee),
            },
            index,
            executed_nonces: ExecutedNonces::new(EXECUTED_SENDERS_MAX / STRIPES),
            counts: Counts::default(),
            freed: Room::default(),
            told_worst: None,
            events: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Follows an account after a block: its nonce advances, what it passed leaves, a closed gap
    /// promotes. `executed` are the block's transactions. Gives back how many were passed.
    pub(crate) fn follow_account(
        &mut self,
        sender: Address,
        account: AccountView,
        executed: &B256HashSet,
    ) -> usize {
        self.executed_nonces.insert(sender, account.nonce);
        let Some(id) = self.lanes.id(&sender) else {
            return 0;
        };
        let changed = self.change_lane(id, |lane| {
            let passed = lane.set_account(account);
            (passed, lane.remove_unaffordable())
        });
        let Some((passed, unaffordable)) = changed else {
            return 0;
        };
        let count = passed.len() + unaffordable.len();
        for entry in passed {
            let in_block = executed.contains(&entry.hash());
            self.forget(id, entry, (!in_block).then_some(DropReason::NonceTooLow));
        }
        for entry in unaffordable {
            self.forget(id, entry, Some(DropReason::Unaffordable));
        }
        count
    }

    /// Moves on to another base fee, over at most `limit` prices of each order; whether it is
    /// there. On the way some prices are still ordered as at the old one.
    pub(crate) fn follow_base_fee(&mut self, base_fee: u64, limit: usize) -> bool {
        self.base_fee = base_fee;
        let lanes = &self.lanes;
        let head = |id| Outline::new(lanes.get(id)?, id).head;
        let tail = |id| Some(standing_place(lanes.get(id)?.standing?, id));
        let heads = self.heads.follow(base_fee, limit, head);
        let pending = self.tails.pending.follow(base_fee, limit, tail);
        let queued = self.tails.queued.follow(base_fee, limit, tail);
        heads && pending && queued
    }

    /// Drops what waited for its whole lifetime, from the end of each lane: a sender who goes on
    /// building on a transaction keeps it. Visits the lanes from a place on, over about `limit`
    /// transactions; the next place, or none at the end.
    pub(crate) fn expire(&mut self, now_ms: u64, place: usize, limit: usize) -> Option<usize> {
        let lifetime_ms = self.config.lifetime_ms;
        let is_old = |entry: &&Entry| now_ms.saturating_sub(entry.arrived_ms) >= lifetime_ms;
        let mut expired = Vec::new();
        let mut visits = 0;
        let mut next = None;
        for (id, lane) in self.lanes.starting_at(place) {
            if visits >= limit {
                next = Some(id.index());
                break;
            }
            let old = expired.len();
            let tails = lane.backwards().take_while(is_old);
            expired.extend(tails.map(|entry| (id, entry.nonce)));
            visits += 1 + expired.len() - old;
        }
        for (id, nonce) in expired {
            self.drop_entry(id, nonce, DropReason::Expired);
        }
        next
    }

    /// Drops one transaction, if it is at a location.
    pub(crate) fn drop_hash(
        &mut self,
        location: Location,
        hash: &B256,
        reason: DropReason,
    ) -> Option<RecoveredTransaction> {
        let entry = self.at(location).filter(|entry| entry.hash() == *hash)?;
        let transaction = entry.transaction.clone();
        self.drop_entry(location.lane, location.nonce, reason);
        Some(transaction)
    }

    /// Drops all of a sender's transactions.
    pub(crate) fn drop_sender(&mut self, sender: &Address, reason: DropReason) {
        if let Some(id) = self.lanes.id(sender) {
            self.drop_lane(id, reason);
        }
    }

    /// Drops everything from a place on, about `limit` transactions; the next place, or none at
    /// the end.
    pub(crate) fn drop_some(&mut self, place: usize, limit: usize) -> Option<usize> {
        let gone = self.gone.len();
        let mut next = place;
        loop {
            let (id, _) = self.lanes.starting_at(next).next()?;
            if self.gone.len() - gone >= limit {
                return Some(id.index());
            }
            self.drop_lane(id, DropReason::Removed);
            next = id.index() + 1;
        }
    }

    /// Drops a tail.
    pub(crate) fn evict(&mut self, tail: &Tail) {
        self.drop_entry(tail.lane, tail.nonce, DropReason::Evicted);
    }

    /// Drops the worst tail, if it ranks below a newcomer: another may be the worst than when the
    /// newcomer looked.
    pub(crate) fn evict_worst_below(&mut self, newcomer: &Rank) {
        let worst = self.worst_tail(None);
        if let Some(worst) = worst.filter(|worst| worst.rank < *newcomer) {
            self.evict(&worst);
        }
    }

    /// What left since the last call, in all, and how the worst tail changed.
    pub(crate) fn take_settlement(&mut self) -> Settlement {
        let worst = self.worst_tail(None);
        Settlement {
            freed: std::mem::take(&mut self.freed),
            old: std::mem::replace(&mut self.told_worst, worst),
            new: worst,
        }
    }

    /// What happened since the last call, and what left: its memory is freed outside the lock.
    /// Whoever changes the pool calls this after, or it piles up.
    pub(crate) fn take_outcome(&mut self) -> (Vec<Event>, Vec<Entry>) {
        let events = std::mem::take(&mut self.events);
        (events, std::mem::take(&mut self.gone))
    }

    fn drop_lane(&mut self, id: LaneId, reason: DropReason) {
        let all = self.change_lane(id, Lane::take_all).unwrap_or_default();
        for entry in all {
            self.forget(id, entry, Some(reason));
        }
    }

    fn drop_entry(&mut self, id: LaneId, nonce: u64, reason: DropReason) {
        let entry = self.change_lane(id, |lane| lane.remove(nonce)).flatten();
        if let Some(entry) = entry {
            self.forget(id, entry, Some(reason));
        }
    }

    /// Accounts for an entry that left its lane; without a reason it was executed.
    fn forget(&mut self, lane: LaneId, entry: Entry, reason: Option<DropReason>) {
        let hash = entry.hash();
        let location = self.location(lane, entry.nonce);
        self.index.remove(short_id(&hash), location);
        self.counts.bytes -= entry.size();
        self.freed = self.freed.plus(Room::one(entry.size()));
        self.events
            .extend(reason.map(|reason| Event::Dropped { hash, reason }));
        self.gone.push(entry);
    }

    fn location(&self, lane: LaneId, nonce: u64) -> Location {
        let stripe = u16::try_from(self.stripe).expect("there are few stripes");
        Location {
            nonce,
            lane,
            stripe,
        }
    }

    /// The only way to change a lane: keeps counts and orders, and tells who became pending.
    fn change_lane<R>(&mut self, id: LaneId, change: impl FnOnce(&mut Lane) -> R) -> Option<R> {
        let lane = self.lanes.get_mut(id)?;
        let before = Outline::new(lane, id);
        let result = change(lane);
        let after = Outline::new(lane, id);
        let first = before.pending_end.max(lane.account().nonce);
        let promoted = after.pending_end.saturating_sub(first);
        let stay = after.pending
            - after
                .pending
                .min(usize::try_from(promoted).unwrap_or(usize::MAX));
        let promoted = lane.pending().skip(stay);
        self.events
            .extend(promoted.map(|entry| Event::Pending(entry.transaction.clone())));
        let is_empty = lane.len() == 0;
        self.follow_outline(&before, &after);
        self.lower_standing(id);
        if is_empty {
            self.lanes.remove(id);
        }
        Some(result)
    }

    fn follow_outline(&mut self, before: &Outline, after: &Outline) {
        self.counts.pending = self.counts.pending - before.pending + after.pending;
        self.counts.queued = self.counts.queued - before.queued + after.queued;
        if before.head != after.head {
            if let Some(old) = &before.head {
                self.heads.remove(old);
            }
            if let Some(new) = &after.head {
                self.heads.insert(new);
            }
        }
    }

    /// Orders a lane's tail again if it is worse than where the lane stands. A better one is left:
    /// its place is looked at when it comes to be the worst.
    fn lower_standing(&mut self, id: LaneId) {
        let Some(lane) = self.lanes.get(id) else {
            return;
        };
        let tail = lane.tail_standing();
        let stays = |old: Standing| tail.is_some_and(|tail| old.is_below(&tail));
        if !lane.standing.is_some_and(stays) {
            self.set_standing(id, tail);
        }
    }

    fn set_standing(&mut self, id: LaneId, new: Option<Standing>) {
        let lane = self.lanes.get_mut(id).map(|lane| &mut lane.standing);
        let old = lane.and_then(|standing| std::mem::replace(standing, new));
        if let Some(old) = old {
            let order = self.tails.of(old.pending);
            order.remove(&standing_place(old, id));
        }
        if let Some(new) = new {
            let order = self.tails.of(new.pending);
            order.insert(&standing_place(new, id));
        }
    }

    /// Puts a lane where its tail belongs in the order of tails.
    pub(crate) fn put_right(&mut self, lane: LaneId) {
        if let Some(standing) = self.lanes.get(lane).map(Lane::tail_standing) {
            self.set_standing(lane, standing);
        }
    }

    /// The tail that would leave first, without that of one lane. Tails that stand too low are
    /// ordered again on the way: at most [`STANDINGS_PER_LOOK`], then the worst one seen is taken.
    pub(crate) fn worst_tail(&mut self, beside: Option<LaneId>) -> Option<Tail> {
        let mut worst: Option<Tail> = None;
        for _ in 0..STANDINGS_PER_LOOK {
            let next = self.standing_tails(beside).next();
            let Some((standing, tail)) = next else { break };
            if worst.is_none_or(|worst| tail < worst) {
                worst = Some(tail);
            }
            if standing == tail.rank {
                break;
            }
            self.set_standing(tail.lane, self.lanes.get(tail.lane)?.tail_standing());
        }
        worst
    }
}
