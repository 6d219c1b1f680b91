//! How a candidate enters the ledger: rule R1, and who may back it.
//!
//! ```text
//! descriptor ─▶ place: parent, number, anchor, time ─▶ limits: rules, collator, sizes ─┐
//! schedule, coding ─▶ core, room, window, epoch ───────────────────────────────────────┼─▶ pending
//! backers ─▶ of the group, and enough of them ─────────────────────────────────────────┘
//! ```

use super::{Approval, Asked, BackedFault, Draft, Ledger, LedgerEvent, Pending, Segment, Status};
use primitives::shard::{BackedEnvelope, Bits, Descriptor, Envelope, Schedule, ShardId};

/// Who may back a candidate, and how many of them it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Who may.
    pub allowed: Bits,
    /// How many of them are enough: half, so that a validator that is down does not stop its group. Safety does
    /// not come from groups.
    pub min: usize,
}

impl Ledger {
    /// Who may back candidates of a shard for a schedule, in a relay block of this height. The group without
    /// those who committed an offence in this epoch, and without the struck ones that the shard sets aside.
    #[must_use]
    pub fn quota(&self, shard: ShardId, schedule: &Schedule, height: u64) -> Option<Quota> {
        let segment = self.shards.get(&shard)?;
        Some(self.quota_of(segment, schedule, height))
    }

    /// Who checks a candidate before it is included.
    pub(super) fn asked_first(&self) -> Asked {
        match self.rules.approval {
            Approval::All => Asked::Everybody(self.now()),
            Approval::Sampled { .. } => Asked::Nobody,
        }
    }

    fn quota_of(&self, segment: &Segment, schedule: &Schedule, height: u64) -> Quota {
        let group = self.group(schedule.core, schedule.height);
        let honest = group.without(&self.banned);
        let allowed = honest.without(&segment.set_aside(&honest, height));
        Quota {
            allowed,
            min: allowed.count().div_ceil(2).max(1),
        }
    }
}

impl Draft {
    /// Lets a candidate in, whose signatures have been checked: rule R1.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn back(&mut self, backed: &BackedEnvelope) -> Result<(), BackedFault> {
        let envelope = &backed.envelope;
        let segment = self.check_place(&envelope.descriptor)?;
        self.check_limits(segment, &envelope.descriptor)?;
        self.check_schedule(segment, envelope)?;
        self.check_backers(segment, backed)?;
        let gas_limit = segment.gas_limit_at(envelope.descriptor.anchor.height);
        let place = self.free_place()?;
        let pending = Pending {
            sequence: self.ledger.next_sequence,
            place,
            candidate: envelope.descriptor.id(),
            backers: backed.backers,
            backed: self.ledger.now(),
            included: None,
            held: Bits::EMPTY,
            valid: Bits::EMPTY,
            invalid: Bits::EMPTY,
            asked: self.ledger.asked_first(),
            envelope: envelope.clone(),
        };
        self.events.push(LedgerEvent::Backed(pending.named()));
        let (shard, gas_used) = (envelope.descriptor.shard, envelope.descriptor.gas_used);
        self.ledger.cores.saw_backed(shard, gas_used, gas_limit);
        self.taken.insert(envelope.schedule.core);
        self.ledger.next_sequence = self.ledger.next_sequence.saturating_add(1);
        if let Some(segment) = self.ledger.shards.get_mut(&shard) {
            segment.pending.push_back(pending);
        }
        Ok(())
    }

    /// Parent, number, anchor and time.
    fn check_place(&self, descriptor: &Descriptor) -> Result<&Segment, BackedFault> {
        let shard = descriptor.shard;
        let segment = self.ledger.shards.get(&shard);
        let segment = segment.ok_or(BackedFault::Shard(shard))?;
        if segment.status != Status::Active {
            return Err(BackedFault::Resting(shard));
        }
        let newest = segment.newest();
        let expected = newest.number.saturating_add(1);
        if descriptor.number != expected || descriptor.parent != newest.hash {
            let number = descriptor.number;
            return Err(BackedFault::Parent { number, expected });
        }
        let to = self.ledger.height.saturating_sub(1);
        let from = self
            .ledger
            .height
            .saturating_sub(self.ledger.rules.anchor_window)
            .max(newest.anchor_height);
        let height = descriptor.anchor.height;
        let known = self.ledger.anchor_at(height);
        if height < from || height > to || known != Some(descriptor.anchor.digest) {
            return Err(BackedFault::Anchor { height, from, to });
        }
        let most = self
            .ledger
            .timestamp_ms
            .saturating_add(self.ledger.rules.clock_drift_ms);
        let (got, after) = (descriptor.timestamp_ms, newest.timestamp_ms);
        if got <= after || got > most {
            return Err(BackedFault::Timestamp { got, after, most });
        }
        Ok(segment)
    }

    /// Rules, collator and sizes.
    fn check_limits(&self, segment: &Segment, descriptor: &Descriptor) -> Result<(), BackedFault> {
        if descriptor.rules != segment.rules_at(descriptor.anchor.height) {
            return Err(BackedFault::Rules);
        }
        let collators = &segment.terms.collators;
        if !collators.is_empty() && !collators.contains(&descriptor.collator) {
            return Err(BackedFault::Collator);
        }
        let limits = [
            (
                "gas_used",
                descriptor.gas_used,
                segment.gas_limit_at(descriptor.anchor.height),
            ),
            (
                "collation_bytes",
                u64::from(descriptor.collation_bytes),
                u64::from(self.ledger.rules.collation_bytes_max),
            ),
        ];
        match limits.into_iter().find(|(_, got, max)| got > max) {
            Some((field, got, max)) => Err(BackedFault::Limit { field, got, max }),
            None => Ok(()),
        }
    }

    /// Time of the schedule, core, room, coding.
    fn check_schedule(&self, segment: &Segment, envelope: &Envelope) -> Result<(), BackedFault> {
        let (schedule, coding) = (&envelope.schedule, &envelope.coding);
        let rules = &self.ledger.rules;
        let (height, now) = (schedule.height, self.ledger.height);
        let (from, to) = (
            now.saturating_sub(rules.schedule_window),
            now.saturating_sub(1),
        );
        if height < from || height > to {
            return Err(BackedFault::Schedule { height, from, to });
        }
        // The core may have changed hands since it was scheduled; room is what the shard's cores of now leave it.
        if self.ledger.cores.owner(schedule.core, height) != Some(segment.shard) {
            return Err(BackedFault::Core(schedule.core));
        }
        let (pending, max) = (segment.pending.len(), self.ledger.room(segment));
        if pending >= max {
            return Err(BackedFault::SegmentFull { pending, max });
        }
        if self.ledger.is_full(schedule.core) || self.taken.contains(&schedule.core) {
            return Err(BackedFault::Occupied(schedule.core));
        }
        let right = coding.epoch == self.ledger.epoch
            && coding.total == rules.validators
            && usize::from(coding.minimum) == rules.witnesses();
        if right {
            Ok(())
        } else {
            let epoch = self.ledger.epoch;
            Err(BackedFault::Coding { epoch })
        }
    }

    fn check_backers(&self, segment: &Segment, backed: &BackedEnvelope) -> Result<(), BackedFault> {
        let schedule = &backed.envelope.schedule;
        let quota = self.ledger.quota_of(segment, schedule, self.ledger.height);
        let backers = backed.backers.and(&quota.allowed).count();
        let strangers = backed.backers.without(&quota.allowed).count();
        let min = quota.min;
        if backers < min || strangers > 0 {
            return Err(BackedFault::Backers {
                backers,
                min,
                strangers,
            });
        }
        Ok(())
    }

    /// A place that no pending candidate has. There is one: no core has more pending than its part of them.
    fn free_place(&self) -> Result<u8, BackedFault> {
        let taken: Bits = self
            .ledger
            .pending()
            .map(|one| usize::from(one.place))
            .collect();
        let place = (0..=u8::MAX).find(|place| !taken.contains(usize::from(*place)));
        place.ok_or(BackedFault::PipelineFull {
            pending: taken.count(),
        })
    }
}
