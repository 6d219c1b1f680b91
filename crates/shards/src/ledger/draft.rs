//! One relay block being applied to the ledger, item by item. A leader tries items on it before it proposes them;
//! an item that is refused changes nothing.
//!
//! ```text
//! new ─▶ order* ─▶ convict* ─▶ count* ─▶ settle ─▶ back* ─▶ finish        in this order, as validators do it
//! ```

use super::{
    CountFault, EvidenceFault, Ledger, LedgerEvent, OFFENCES_MAX, Offence, OffenceKind, Pending,
    SectionFault, asked::Draw, settle::Settling,
};
use alloy_primitives::B256;
use primitives::shard::{Bits, Envelope, Equivocation, ShardVote};
use std::{collections::BTreeSet, sync::Arc};

/// The ledger inside a relay block.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(super) ledger: Ledger,
    /// Digest of the ledger before the block.
    before: B256,
    pub(super) events: Vec<LedgerEvent>,
    /// Cores that have taken a candidate in this block.
    pub(super) taken: BTreeSet<u16>,
    /// Orders that this block has carried out or refused.
    pub(super) orders: usize,
}

impl Draft {
    /// The beginning of a relay block.
    ///
    /// # Errors
    /// When the block does not follow the ledger's, or lies before it in time.
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
        if timestamp_ms < ledger.timestamp_ms {
            return Err(SectionFault::Time {
                got: timestamp_ms,
                ledger: ledger.timestamp_ms,
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
            orders: 0,
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
        check_evidence(evidence, &self.ledger, self.ledger.height)?;
        let offence = Offence {
            epoch: self.ledger.epoch,
            validator: evidence.first.validator,
            kind: OffenceKind::Equivocation,
            candidate: evidence.first.envelope.descriptor.id(),
            height: self.ledger.height,
        };
        if self.note(offence) {
            Ok(())
        } else {
            Err(EvidenceFault::Known(offence.validator))
        }
    }

    /// How far back a vote may name its ledger: as far as this epoch's are remembered.
    fn window(&self) -> u64 {
        u64::try_from(self.ledger.past.len()).unwrap_or(u64::MAX)
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
        let (epoch, height) = (self.ledger.epoch, self.ledger.height);
        let mut offence = None;
        let mut new = false;
        let segments = self.ledger.shards.values_mut();
        for pending in segments.flat_map(|segment| &mut segment.pending) {
            // What was backed after the ledger that the vote names can't be meant: another had its place.
            if pending.backed.height > named {
                continue;
            }
            let counted = tally(pending, vote);
            new |= counted.new;
            if counted.contradiction && offence.is_none() {
                offence = Some(Offence {
                    epoch,
                    validator: vote.validator,
                    kind: OffenceKind::Contradiction,
                    candidate: pending.candidate,
                    height,
                });
            }
        }
        if let Some(offence) = offence {
            new |= self.note(offence);
        }
        if new { Ok(()) } else { Err(CountFault::Stale) }
    }

    /// Notes an offence; whether it is new. One of a kind is enough: it bans the validator for the rest of the
    /// epoch, so nobody can fill the list to push others out, or be punished twice for one thing.
    fn note(&mut self, offence: Offence) -> bool {
        let of = |one: &Offence| (one.epoch, one.validator, one.kind);
        if self
            .ledger
            .offences
            .iter()
            .any(|one| of(one) == of(&offence))
        {
            return false;
        }
        if offence.epoch == self.ledger.epoch {
            self.ledger.banned.insert(usize::from(offence.validator));
        }
        self.ledger.offences.push_back(offence);
        if self.ledger.offences.len() > OFFENCES_MAX {
            self.ledger.offences.pop_front();
        }
        self.events.push(LedgerEvent::Offended(offence));
        true
    }

    /// Whom checkers may be drawn from, and by what.
    fn draw(&self) -> Draw {
        let ledger = &self.ledger;
        let all = Bits::below(usize::from(ledger.rules.validators));
        let objectors = ledger
            .offences
            .iter()
            .filter(|one| one.kind == OffenceKind::FalseObjection && one.epoch == ledger.epoch);
        Draw {
            seed: ledger.anchors.back().copied().unwrap_or_default(),
            aside: ledger.no_shows.set_aside(&all, ledger.height),
            discredited: objectors.map(|one| usize::from(one.validator)).collect(),
        }
    }

    /// Moves on what the votes and the time allow: rules R3, R4 and R5.
    pub fn settle(&mut self) {
        let rules = Arc::clone(&self.ledger.rules);
        let now = self.ledger.now();
        let settling = Settling {
            rules: &rules,
            epoch: self.ledger.epoch,
            now,
            draw: self.draw(),
        };
        let before = self.events.len();
        let mut offences = Vec::new();
        let mut missing = Bits::EMPTY;
        for segment in self.ledger.shards.values_mut() {
            let silent = settling.settle(segment, &mut self.events, &mut offences);
            missing = missing.or(&silent);
        }
        self.ledger.no_shows.strike_once(&missing, now.height);
        self.ledger.no_shows.forget(now.height);
        for offence in offences {
            self.note(offence);
        }
        self.ledger.observe(self.events.iter().skip(before));
    }

    /// The ledger after the block, and what the block did.
    #[must_use]
    pub fn finish(mut self) -> (Ledger, Vec<LedgerEvent>) {
        self.events.extend(self.ledger.allocate());
        self.ledger.seal();
        (self.ledger, self.events)
    }
}

/// Whether two statements contradict each other, for a relay block of this height: by one validator of this epoch,
/// two candidates for one place of one schedule, the smaller identity first, not too old.
pub(super) fn check_evidence(
    evidence: &Equivocation,
    ledger: &Ledger,
    now: u64,
) -> Result<(), EvidenceFault> {
    let (first, second) = (&evidence.first, &evidence.second);
    let place = |envelope: &Envelope| {
        let descriptor = &envelope.descriptor;
        (
            descriptor.shard,
            descriptor.number,
            envelope.schedule.height,
            envelope.coding.epoch,
        )
    };
    let harmless = first.validator != second.validator
        || first.validator >= ledger.rules.validators
        || first.envelope.coding.epoch != ledger.epoch
        || place(&first.envelope) != place(&second.envelope)
        || first.envelope.descriptor.id() >= second.envelope.descriptor.id();
    if harmless {
        return Err(EvidenceFault::Harmless);
    }
    let height = first.envelope.schedule.height;
    if height > now || now.saturating_sub(height) > ledger.rules.vote_window {
        return Err(EvidenceFault::Old(height));
    }
    Ok(())
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
    let bit = usize::from(pending.place);
    let validator = usize::from(vote.validator);
    let mut counted = Counted {
        new: false,
        contradiction: false,
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
