//! One relay block being applied to the ledger, item by item. A leader tries items on it before it proposes them;
//! an item that is refused changes nothing.

use super::{
    BackedFault, CountFault, Discard, EvidenceFault, Ledger, LedgerEvent, LedgerRules,
    OFFENCES_MAX, Offence, OffenceKind, Pending, SectionFault, Segment, Status, rules::PENDING_MAX,
};
use alloy_primitives::B256;
use primitives::shard::{
    BackedEnvelope, Bits, CandidateId, Descriptor, Envelope, Equivocation, ShardVote,
};
use std::collections::BTreeSet;

/// The ledger inside a relay block.
#[derive(Clone, Debug)]
pub struct Draft {
    ledger: Ledger,
    /// Digest of the ledger before the block.
    before: B256,
    events: Vec<LedgerEvent>,
    /// Cores that have taken a candidate in this block.
    taken: BTreeSet<u16>,
}

impl Draft {
    /// The beginning of a relay block.
    ///
    /// # Errors
    /// When the block does not follow the ledger's.
    pub fn new(
        ledger: &Ledger,
        height: u64,
        parent_digest: B256,
        timestamp_ms: u64,
    ) -> Result<Self, SectionFault> {
        if ledger.height.checked_add(1) != Some(height) {
            return Err(SectionFault::Height {
                height,
                ledger: ledger.height,
            });
        }
        let mut next = ledger.clone();
        next.height = height;
        next.timestamp_ms = timestamp_ms;
        let rules = &next.rules;
        push(&mut next.anchors, parent_digest, rules.anchor_window);
        push(&mut next.past, ledger.digest, rules.vote_window);
        Ok(Self {
            ledger: next,
            before: ledger.digest,
            events: Vec::new(),
            taken: BTreeSet::new(),
        })
    }

    /// The ledger as it is by now.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Digest of the ledger before the block.
    #[must_use]
    pub const fn before(&self) -> B256 {
        self.before
    }

    /// Notes an equivocation, whose signatures have been checked.
    ///
    /// # Errors
    /// When it proves nothing new.
    pub fn convict(&mut self, evidence: &Equivocation) -> Result<(), EvidenceFault> {
        let (first, second) = (&evidence.first, &evidence.second);
        let place = |envelope: &Envelope| {
            let descriptor = &envelope.descriptor;
            (
                descriptor.shard,
                descriptor.number,
                envelope.schedule.height,
            )
        };
        let (a, b) = (
            first.envelope.descriptor.id(),
            second.envelope.descriptor.id(),
        );
        let harmless = first.validator != second.validator
            || first.validator >= self.ledger.rules.validators
            || place(&first.envelope) != place(&second.envelope)
            || a >= b;
        if harmless {
            return Err(EvidenceFault::Harmless);
        }
        let height = first.envelope.schedule.height;
        if height > self.ledger.height || self.ledger.height.saturating_sub(height) > self.window()
        {
            return Err(EvidenceFault::Old(height));
        }
        let offence = Offence {
            validator: first.validator,
            kind: OffenceKind::Equivocation,
            candidate: a,
            height: self.ledger.height,
        };
        if !self.note(offence) {
            return Err(EvidenceFault::Known(first.validator));
        }
        if let Some(segment) = self.ledger.shards.get_mut(&first.envelope.descriptor.shard) {
            segment.ban(first.validator);
        }
        Ok(())
    }

    fn window(&self) -> u64 {
        self.ledger.rules.vote_window
    }

    /// Counts a vote, whose signature has been checked.
    ///
    /// # Errors
    /// When it may not be counted.
    pub fn count(&mut self, vote: &ShardVote) -> Result<(), CountFault> {
        if vote.validator >= self.ledger.rules.validators {
            return Err(CountFault::Validator(vote.validator));
        }
        vote.votes.check()?;
        let to = self.ledger.height.saturating_sub(1);
        let from = self.ledger.height.saturating_sub(self.window());
        let named = vote.votes.height;
        if named < from || named > to {
            let height = named;
            return Err(CountFault::Height { height, from, to });
        }
        let height = self.ledger.height;
        let mut offences = Vec::new();
        let mut new = false;
        let segments = self.ledger.shards.values_mut();
        for pending in segments.flat_map(|segment| &mut segment.pending) {
            // What was backed after the ledger that the vote names can't be meant.
            if pending.backed_height > named {
                continue;
            }
            let counted = tally(pending, vote);
            new |= counted.new;
            if counted.contradiction {
                offences.push(Offence {
                    validator: vote.validator,
                    kind: OffenceKind::Contradiction,
                    candidate: pending.candidate,
                    height,
                });
            }
        }
        for offence in offences {
            new |= self.note(offence);
        }
        if new { Ok(()) } else { Err(CountFault::Stale) }
    }

    /// Notes an offence; whether it is new.
    fn note(&mut self, offence: Offence) -> bool {
        let known = self.ledger.offences.iter().any(|known| {
            known.validator == offence.validator
                && known.kind == offence.kind
                && known.candidate == offence.candidate
        });
        if known {
            return false;
        }
        self.ledger.offences.push_back(offence);
        if self.ledger.offences.len() > OFFENCES_MAX {
            self.ledger.offences.pop_front();
        }
        self.events.push(LedgerEvent::Offended(offence));
        true
    }

    /// Moves on what the votes and the time allow: rules R3, R4 and R5.
    pub fn settle(&mut self) {
        let (rules, height) = (self.ledger.rules.clone(), self.ledger.height);
        let now_ms = self.ledger.timestamp_ms;
        let mut offences = Vec::new();
        for segment in self.ledger.shards.values_mut() {
            let settling = Settling {
                rules: &rules,
                height,
                now_ms,
            };
            settling.discard_invalid(segment, &mut self.events, &mut offences);
            settling.include(segment, &mut self.events);
            settling.finalize(segment, &mut self.events);
            settling.expire(segment, &mut self.events);
        }
        for offence in offences {
            self.note(offence);
        }
    }

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
        let pending = Pending {
            sequence: self.ledger.next_sequence,
            candidate: envelope.descriptor.id(),
            backers: backed.backers,
            backed_height: self.ledger.height,
            backed_ms: self.ledger.timestamp_ms,
            included_ms: None,
            held: Bits::EMPTY,
            valid: Bits::EMPTY,
            invalid: Bits::EMPTY,
            envelope: envelope.clone(),
        };
        self.events.push(LedgerEvent::Backed(pending.named()));
        self.taken.insert(envelope.schedule.core);
        self.ledger.next_sequence = self.ledger.next_sequence.saturating_add(1);
        if let Some(segment) = self.ledger.shards.get_mut(&envelope.descriptor.shard) {
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
            ("gas_used", descriptor.gas_used, segment.terms.gas_limit),
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

    /// Core, room, time of the schedule, coding.
    fn check_schedule(&self, segment: &Segment, envelope: &Envelope) -> Result<(), BackedFault> {
        let (schedule, coding) = (&envelope.schedule, &envelope.coding);
        let owner = self.ledger.cores.get(usize::from(schedule.core)).copied();
        if owner.flatten() != Some(segment.shard) {
            return Err(BackedFault::Core(schedule.core));
        }
        let rules = &self.ledger.rules;
        let (height, now) = (schedule.height, self.ledger.height);
        let (from, to) = (
            now.saturating_sub(rules.schedule_window),
            now.saturating_sub(1),
        );
        if height < from || height > to {
            return Err(BackedFault::Schedule { height, from, to });
        }
        let owned = self.ledger.cores.iter().flatten();
        let cores = owned.filter(|shard| **shard == segment.shard).count();
        let max = usize::from(rules.segment_max).saturating_mul(cores);
        let pending = segment.pending.len();
        if pending >= max {
            return Err(BackedFault::SegmentFull { pending, max });
        }
        let all = self.ledger.pending().count();
        if all >= PENDING_MAX {
            return Err(BackedFault::PipelineFull { pending: all });
        }
        let waiting = segment
            .pending
            .iter()
            .filter(|one| !one.is_included() && one.envelope.schedule.core == schedule.core);
        let full = waiting.count() >= usize::from(rules.core_depth);
        if full || self.taken.contains(&schedule.core) {
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
        let mut allowed = self.ledger.group(schedule.core, schedule.height);
        for index in allowed.iter().collect::<Vec<_>>() {
            let may = u16::try_from(index)
                .is_ok_and(|validator| segment.may_back(validator, self.ledger.height));
            if !may {
                allowed.remove(index);
            }
        }
        let backers = backed.backers.and(&allowed).count();
        let strangers = backed.backers.without(&allowed).count();
        let min = self.ledger.rules.backers_min();
        if backers < min || strangers > 0 {
            return Err(BackedFault::Backers {
                backers,
                min,
                strangers,
            });
        }
        Ok(())
    }

    /// The ledger after the block, and what the block did.
    #[must_use]
    pub fn finish(mut self) -> (Ledger, Vec<LedgerEvent>) {
        self.ledger.seal();
        (self.ledger, self.events)
    }
}

fn push(ring: &mut std::collections::VecDeque<B256>, digest: B256, max: u64) {
    ring.push_back(digest);
    while ring.len() > usize::try_from(max).unwrap_or(usize::MAX) {
        ring.pop_front();
    }
}

struct Counted {
    new: bool,
    contradiction: bool,
}

fn tally(pending: &mut Pending, vote: &ShardVote) -> Counted {
    let votes = &vote.votes;
    let bit = pending.sequence.checked_sub(votes.first);
    let bit = bit.and_then(|bit| usize::try_from(bit).ok());
    let validator = usize::from(vote.validator);
    let mut counted = Counted {
        new: false,
        contradiction: false,
    };
    let Some(bit) = bit else {
        return counted;
    };
    if votes.held.contains(bit) {
        counted.new |= pending.held.insert(validator);
    }
    let (valid, invalid) = (votes.valid.contains(bit), votes.invalid.contains(bit));
    // The first verdict stands.
    counted.contradiction = (valid && pending.invalid.contains(validator))
        || (invalid && pending.valid.contains(validator));
    if counted.contradiction {
        return counted;
    }
    if valid {
        counted.new |= pending.valid.insert(validator);
    }
    if invalid {
        counted.new |= pending.invalid.insert(validator);
    }
    counted
}

/// What moves candidates on, or out.
struct Settling<'a> {
    rules: &'a LedgerRules,
    height: u64,
    now_ms: u64,
}

impl Settling<'_> {
    fn discard_invalid(
        &self,
        segment: &mut Segment,
        events: &mut Vec<LedgerEvent>,
        offences: &mut Vec<Offence>,
    ) {
        let is_invalid = |one: &Pending| one.invalid.count() >= self.rules.witnesses();
        let Some(index) = segment.pending.iter().position(is_invalid) else {
            return;
        };
        if let Some(invalid) = segment.pending.get(index) {
            self.blame(invalid, offences);
            let backers = invalid.backers;
            for backer in validators(&backers) {
                segment.ban(backer);
            }
        }
        cut(segment, index, Discard::Invalid, events);
    }

    fn blame(&self, invalid: &Pending, offences: &mut Vec<Offence>) {
        let of = |validator, kind, candidate: CandidateId| Offence {
            validator,
            kind,
            candidate,
            height: self.height,
        };
        let backers = validators(&invalid.backers);
        offences.extend(backers.map(|one| of(one, OffenceKind::BackedInvalid, invalid.candidate)));
        let approvers = validators(&invalid.valid);
        offences
            .extend(approvers.map(|one| of(one, OffenceKind::ApprovedInvalid, invalid.candidate)));
    }

    fn include(&self, segment: &mut Segment, events: &mut Vec<LedgerEvent>) {
        for pending in &mut segment.pending {
            if pending.is_included() {
                continue;
            }
            if pending.held.count() < self.rules.quorum() {
                break;
            }
            pending.included_ms = Some(self.now_ms);
            events.push(LedgerEvent::Included(pending.named()));
        }
    }

    fn finalize(&self, segment: &mut Segment, events: &mut Vec<LedgerEvent>) {
        while let Some(first) = segment.pending.front()
            && first.is_included()
            && first.valid.count() >= self.rules.quorum()
        {
            let (named, head, backers) = (first.named(), first.head(), first.backers);
            segment.finalized = head;
            segment.forgive(&backers, self.height);
            segment.pending.pop_front();
            events.push(LedgerEvent::Final(named, head));
        }
    }

    /// The first candidate that has waited too long goes, and all after it. Those before it are waited for no
    /// longer than it is, so there is at most one to blame.
    fn expire(&self, segment: &mut Segment, events: &mut Vec<LedgerEvent>) {
        let late = |since: u64, wait: u64| self.now_ms.saturating_sub(since) > wait;
        let position = segment
            .pending
            .iter()
            .position(|one| match one.included_ms {
                Some(included_ms) => late(included_ms, self.rules.approval_ms),
                None => late(one.backed_ms, self.rules.availability_ms),
            });
        let Some(index) = position else {
            return;
        };
        let Some(pending) = segment.pending.get(index) else {
            return;
        };
        let backers = pending.backers;
        // A candidate whose own chunks are held waits for another's.
        let unavailable = !pending.is_included() && pending.held.count() < self.rules.quorum();
        let reason = if pending.is_included() {
            Discard::Undecided
        } else {
            Discard::Unavailable
        };
        if unavailable {
            for backer in validators(&backers) {
                segment.strike(backer, self.height);
            }
        }
        cut(segment, index, reason, events);
    }
}

fn validators(bits: &Bits) -> impl Iterator<Item = u16> + '_ {
    bits.iter().filter_map(|index| u16::try_from(index).ok())
}

/// Takes a candidate out, and all that were built on it.
fn cut(segment: &mut Segment, index: usize, reason: Discard, events: &mut Vec<LedgerEvent>) {
    let dropped = segment.pending.split_off(index);
    for (place, pending) in dropped.iter().enumerate() {
        let reason = if place == 0 {
            reason
        } else {
            Discard::Descendant
        };
        events.push(LedgerEvent::Discarded(pending.named(), reason));
    }
}
