//! Whether a candidate that is put forward can enter the ledger, and whether this node may sign it: rule R1, as
//! far as it can be foreseen at the newest finalized relay block.
//!
//! ```text
//! schedule ─▶ place ─▶ limits, anchor, time ─▶ parent: the ledger's newest, or one that is backed
//!     └───────────┴──────────────┴────────────────┴─▶ refuse, wait, examine or sign
//! ```
//! The ledger decides; what is refused here would be refused there, and what is not known yet waits.

use super::{config::SCHEDULES_AHEAD, duties::Duties, shelf::Entry};
use crate::{
    ledger::{Segment, ShardHead, Status, head_of},
    message::Offered,
};
use primitives::shard::{CandidateId, Descriptor, Schedule};

/// Patience after which another's candidate that too few sign is no longer built on.
const UNSIGNED_PATIENCE: u64 = 2;
/// Candidates that too few sign which a collator makes for one number while the anchor of the first is good: fewer
/// than `FORKS_MAX`, which are remembered of it.
const UNSIGNED_FORKS: u64 = 3;

/// What is to be done with an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It can't enter, or not by this node's signature.
    Refuse(&'static str),
    /// Something is not known yet.
    Wait,
    /// Its parent is known but not backed: it can be checked, and not signed.
    Examine,
    /// Nothing is missing but the check.
    Sign,
}

impl Duties {
    /// Rule R1, as far as it can be foreseen, and whether this node may sign.
    pub(crate) fn standing(&self, offered: &Offered, id: CandidateId) -> Standing {
        let (descriptor, schedule) = (&offered.descriptor, &offered.schedule);
        let ledger = self.ledger();
        let Some(segment) = ledger.shard(descriptor.shard) else {
            return Standing::Refuse("no such shard");
        };
        if let Some(standing) = self.standing_of_schedule(segment, schedule) {
            return standing;
        }
        let place = (descriptor.shard, descriptor.number, schedule.height);
        if let Some(signed) = self.signed.get(&place) {
            return Standing::Refuse(match *signed == id {
                true => "signed already",
                false => "another one is signed for its place",
            });
        }
        if let Some(standing) = self.standing_of_limits(segment, descriptor) {
            return standing;
        }
        self.standing_of_parent(segment, descriptor)
    }

    fn standing_of_schedule(&self, segment: &Segment, schedule: &Schedule) -> Option<Standing> {
        let ledger = self.ledger();
        let next = ledger.height().saturating_add(1);
        if schedule.height > ledger.height().saturating_add(SCHEDULES_AHEAD) {
            return Some(Standing::Refuse("a schedule of the future"));
        }
        if schedule.height > ledger.height() {
            return Some(Standing::Wait);
        }
        // What an earlier life may have signed is of a height that was final on disk when this one began.
        let Some(resumed) = self.resumed_height else {
            return Some(Standing::Wait);
        };
        if schedule.height <= resumed {
            return Some(Standing::Refuse("a schedule of an earlier life"));
        }
        if schedule.height < next.saturating_sub(ledger.rules().schedule_window) {
            return Some(Standing::Refuse("an old schedule"));
        }
        if ledger.core_owner(schedule.core, schedule.height) != Some(segment.shard) {
            return Some(Standing::Refuse("another shard's core"));
        }
        let quota = ledger.quota(segment.shard, schedule, next);
        let may = self
            .own
            .zip(quota)
            .is_some_and(|(own, quota)| quota.allowed.contains(usize::from(own)));
        (!self.is_asked(schedule) || !may).then_some(Standing::Refuse("not to be backed here"))
    }

    fn standing_of_limits(&self, segment: &Segment, descriptor: &Descriptor) -> Option<Standing> {
        let rules = self.ledger().rules();
        if segment.status() != Status::Active {
            return Some(Standing::Refuse("its shard takes none"));
        }
        if descriptor.rules != segment.rules_at(descriptor.anchor.height) {
            return Some(Standing::Refuse("other rules"));
        }
        if descriptor.gas_used > segment.gas_limit_at(descriptor.anchor.height)
            || descriptor.collation_bytes > rules.collation_bytes_max
        {
            return Some(Standing::Refuse("over a limit"));
        }
        let latest = self.now_ms.saturating_add(rules.clock_drift_ms);
        if descriptor.timestamp_ms > latest {
            return Some(Standing::Wait);
        }
        match self.anchor_standing(descriptor) {
            Standing::Sign => None,
            other @ (Standing::Refuse(_) | Standing::Wait | Standing::Examine) => Some(other),
        }
    }

    /// Whether the anchor of a descriptor is a relay block that the next one may be built against.
    pub(crate) fn anchor_standing(&self, descriptor: &Descriptor) -> Standing {
        let ledger = self.ledger();
        let anchor = &descriptor.anchor;
        let next = ledger.height().saturating_add(1);
        if anchor.height > ledger.height() {
            return Standing::Wait;
        }
        let known = if anchor.height == ledger.height() {
            Some(self.relay.digest)
        } else {
            ledger.anchor_at(anchor.height)
        };
        let oldest = next.saturating_sub(ledger.rules().anchor_window);
        if anchor.height < oldest || known != Some(anchor.digest) {
            return Standing::Refuse("another anchor");
        }
        Standing::Sign
    }

    /// Whether a candidate is worth building on. One backer's signature says nothing: it may be a liar's, for what no
    /// other will ever sign.
    pub(crate) fn continues(&self, top: &ShardHead, id: &CandidateId, entry: &Entry) -> bool {
        let descriptor = &entry.descriptor;
        descriptor.parent == top.hash
            && descriptor.anchor.height >= top.anchor_height
            && entry.collation.is_some()
            && !entry.is_invalid()
            && self.anchor_standing(descriptor) == Standing::Sign
            && (self.is_offerable(entry) || entry.backed || self.statements.is_backable(id))
    }

    /// Whether backers may still come to sign a candidate: they refuse one of somebody who is no collator any more.
    fn is_offerable(&self, entry: &Entry) -> bool {
        let descriptor = &entry.descriptor;
        let segment = self.ledger().shard(descriptor.shard);
        let is_named = segment.is_some_and(|segment| {
            let collators = &segment.terms().collators;
            collators.is_empty() || collators.contains(&descriptor.collator)
        });
        is_named && self.is_young(entry)
    }

    /// Whether backers have had too little time for a candidate yet: of one's own so much that there are few of them
    /// for one number.
    fn is_young(&self, entry: &Entry) -> bool {
        if self.is_mine(entry) {
            let ledger = self.ledger();
            let blocks = ledger
                .height()
                .saturating_sub(entry.descriptor.anchor.height);
            return blocks.saturating_mul(UNSIGNED_FORKS) <= ledger.rules().anchor_window;
        }
        let patience_ms = self.patience_ms(entry.descriptor.shard);
        let waited_ms = self.now_ms.saturating_sub(entry.learned_ms);
        waited_ms < patience_ms.saturating_mul(UNSIGNED_PATIENCE)
    }

    fn standing_of_parent(&self, segment: &Segment, descriptor: &Descriptor) -> Standing {
        let newest = segment.newest();
        let Some(number) = descriptor.number.checked_sub(1) else {
            return Standing::Refuse("no number");
        };
        if number < newest.number {
            return Standing::Refuse("its place is taken");
        }
        let follows = |parent: &ShardHead| {
            descriptor.parent == parent.hash
                && descriptor.timestamp_ms > parent.timestamp_ms
                && descriptor.anchor.height >= parent.anchor_height
        };
        if number == newest.number {
            return match follows(&newest) {
                true => Standing::Sign,
                false => Standing::Refuse("another parent"),
            };
        }
        let parents = self
            .shelf
            .of_head(segment.shard, number, &descriptor.parent);
        let mut standing = Standing::Wait;
        for (id, entry) in parents {
            let can_follow = !entry.is_invalid() && follows(&head_of(&entry.descriptor));
            // What is backed decides, whatever else claims to be the parent.
            match can_follow {
                true if self.is_backed_here(&id, entry) => return Standing::Sign,
                true => standing = Standing::Examine,
                false if standing == Standing::Wait => {
                    standing = Standing::Refuse("a parent that it can't follow");
                }
                false => {}
            }
        }
        standing
    }

    /// Whether this node backed it, or enough others did.
    fn is_backed_here(&self, id: &CandidateId, entry: &Entry) -> bool {
        let descriptor = &entry.descriptor;
        let (shard, number) = (descriptor.shard, descriptor.number);
        let mut signed = self
            .signed
            .range((shard, number, 0)..=(shard, number, u64::MAX));
        signed.any(|(_, signed)| signed == id) || self.statements.is_backable(id)
    }
}
