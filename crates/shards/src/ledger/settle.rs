//! What moves candidates on, or out, once a relay block's votes are counted: rules R3, R4 and R5.
//!
//! ```text
//! for each shard:  f+1 invalid? cut ─▶ held by 2f+1, in order? included ─▶ who has to check it?
//!                  ─▶ valid by all of them, or by 2f+1, in order? final ─▶ the first that is late? cut
//! ```
//! A cut takes a candidate and all that was built on it, and nothing before it.

use super::{
    Approval, Asked, Discard, LedgerEvent, LedgerRules, Moment, Offence, OffenceKind, Pending,
    Segment, asked::Draw,
};
use primitives::shard::Bits;

/// The end of a relay block's votes.
pub(super) struct Settling<'a> {
    pub(super) rules: &'a LedgerRules,
    pub(super) epoch: u64,
    pub(super) now: Moment,
    pub(super) draw: Draw,
}

impl Settling<'_> {
    /// Moves one shard's candidates on, or out; gives those who were asked to check one and were not there.
    pub(super) fn settle(
        &self,
        segment: &mut Segment,
        events: &mut Vec<LedgerEvent>,
        offences: &mut Vec<Offence>,
    ) -> Bits {
        self.discard_invalid(segment, events, offences);
        self.include(segment, events);
        let missing = self.ask(segment, events);
        self.finalize(segment, events, offences);
        self.expire(segment, events);
        segment.penalties.forget(self.now.height);
        missing
    }

    /// All that were found invalid are to blame, also those that go because of an earlier one.
    fn discard_invalid(
        &self,
        segment: &mut Segment,
        events: &mut Vec<LedgerEvent>,
        offences: &mut Vec<Offence>,
    ) {
        let is_invalid = |one: &&Pending| one.invalid.count() >= self.rules.witnesses();
        for invalid in segment.pending.iter().filter(is_invalid) {
            self.blame(invalid, offences);
        }
        let first = segment.pending.iter().position(|one| is_invalid(&one));
        if let Some(index) = first {
            cut(segment, index, Discard::Invalid, events);
        }
    }

    /// Who backed it is counted among the validators of the epoch it was backed in; who approved it among today's.
    fn blame(&self, invalid: &Pending, offences: &mut Vec<Offence>) {
        let mut of = |bits: &Bits, epoch, kind| {
            offences.extend(validators(bits).map(|validator| Offence {
                epoch,
                validator,
                kind,
                candidate: invalid.candidate,
                height: self.now.height,
            }));
        };
        let backed_in = invalid.envelope.coding.epoch;
        of(&invalid.backers, backed_in, OffenceKind::BackedInvalid);
        of(&invalid.valid, self.epoch, OffenceKind::ApprovedInvalid);
    }

    fn include(&self, segment: &mut Segment, events: &mut Vec<LedgerEvent>) {
        for pending in &mut segment.pending {
            if pending.is_included() {
                continue;
            }
            if pending.held.count() < self.rules.quorum() {
                break;
            }
            pending.included = Some(self.now);
            events.push(LedgerEvent::Included(pending.named()));
        }
    }

    fn finalize(
        &self,
        segment: &mut Segment,
        events: &mut Vec<LedgerEvent>,
        offences: &mut Vec<Offence>,
    ) {
        while let Some(first) = segment.pending.front()
            && first.is_included()
            && first.is_approved(self.rules)
        {
            self.rebuke(first, offences);
            let (named, head, backers) = (first.named(), first.head(), first.backers);
            if first.envelope.coding.epoch == self.epoch {
                segment.penalties.forgive(&backers, self.now.height);
            }
            segment.finalized = head;
            segment.pending.pop_front();
            events.push(LedgerEvent::Final(named, head));
        }
    }

    /// Where one objection makes everybody check, a false one is an offence.
    fn rebuke(&self, approved: &Pending, offences: &mut Vec<Offence>) {
        if self.rules.approval == Approval::All {
            return;
        }
        offences.extend(validators(&approved.invalid).map(|validator| Offence {
            epoch: self.epoch,
            validator,
            kind: OffenceKind::FalseObjection,
            candidate: approved.candidate,
            height: self.now.height,
        }));
    }

    /// The first candidate that has waited too long goes, and all after it. Those before it began to wait no
    /// later than it did, so it does not go for another's fault.
    fn expire(&self, segment: &mut Segment, events: &mut Vec<LedgerEvent>) {
        let mut begun = Moment::default();
        let blocks = self.rules.deadline_blocks;
        let position = segment.pending.iter().position(|one| match one.included {
            Some(included) => {
                begun = begun.max(included).max(self.asked_since(one));
                self.is_late(begun, self.rules.approval_ms, blocks)
            }
            None => self.is_late(one.backed, self.rules.availability_ms, blocks),
        });
        let late = position.and_then(|index| Some((index, segment.pending.get(index)?)));
        let Some((index, late)) = late else {
            return;
        };
        let (backers, included) = (late.backers, late.is_included());
        if included {
            cut(segment, index, Discard::Undecided, events);
            return;
        }
        for backer in validators(&backers) {
            segment.penalties.strike(backer, self.now.height);
        }
        cut(segment, index, Discard::Unavailable, events);
    }

    /// Only everybody can be late: a few are replaced before, and the time begins anew with each.
    const fn asked_since(&self, pending: &Pending) -> Moment {
        match pending.asked {
            Asked::Nobody | Asked::Few(_) => self.now,
            Asked::Everybody(since) => since,
        }
    }

    /// Time alone is not enough: one leader sets it, and one leader can leave votes out.
    pub(super) const fn is_late(&self, since: Moment, wait_ms: u64, blocks: u64) -> bool {
        self.now.ms.saturating_sub(since.ms) > wait_ms
            && self.now.height.saturating_sub(since.height) >= blocks
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
