//! Who has to check a candidate: everybody, or a few that nobody could foresee and, when something is odd, everybody.
//!
//! ```text
//! included ─later relay blocks' digest─▶ FEW: tranche 0 ──all said valid──────────────────▶ approved
//!                                         │  ▲   │ some said nothing in their time
//!                                         │  └───┘ as many others replace them, twice at most
//!                                         ▼ an objection, or still nobody there
//!                                      EVERYBODY ──2f+1 valid──▶ approved     ──f+1 invalid──▶ discarded
//! ```
//! Checkers are drawn when the chunks are held: from then on any of them can get the collation, so whoever put
//! an invalid candidate forward and was unlucky with the draw can't withdraw it. An answer may take as many relay
//! blocks as there may be corrupt leaders and one more, because those can leave votes out, one after the other.
//! Only everybody can be late for good; a few are always followed by somebody.

use super::{
    Approval, LedgerEvent, LedgerRules, Moment, Pending, Segment, event::Escalation,
    settle::Settling,
};
use crate::sampling::{TRANCHES, checkers};
use alloy_primitives::B256;
use bytes::BufMut;
use commonware_codec::{Buf, Error, Read, ReadExt as _, Write};
use primitives::{codec, shard::Bits};

/// Who has to check a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nobody yet: it is not included, or the relay blocks that choose them are not there.
    Nobody,
    /// A few.
    Few(Few),
    /// Everybody, since then.
    Everybody(Moment),
}

/// The checkers of a candidate so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few {
    /// What their order follows from.
    pub seed: B256,
    /// All that were asked.
    pub all: Bits,
    /// Those of them that were asked last, and whose word is still waited for.
    pub newest: Bits,
    /// How many times others had to be asked before.
    pub tranche: u16,
    /// When the newest were asked.
    pub since: Moment,
}

/// What is needed to choose checkers in one relay block.
pub(super) struct Draw {
    /// Digest of the relay block before.
    pub(super) seed: B256,
    /// Validators that are not chosen, because they were not there lately.
    pub(super) aside: Bits,
    /// Validators whose objections turned out false: they alone alarm nobody any more.
    pub(super) discredited: Bits,
}

impl Asked {
    /// Whether a validator has to check.
    #[must_use]
    pub fn contains(&self, validator: usize) -> bool {
        match self {
            Self::Nobody => false,
            Self::Few(few) => few.all.contains(validator),
            Self::Everybody(_) => true,
        }
    }
}

impl Pending {
    /// Whether those who had to check it are enough and found it valid.
    pub(super) fn is_approved(&self, rules: &LedgerRules) -> bool {
        match &self.asked {
            Asked::Nobody => false,
            Asked::Few(few) => few.newest.without(&self.valid).is_empty(),
            Asked::Everybody(_) => self.valid.count() >= rules.quorum(),
        }
    }
}

impl Settling<'_> {
    /// Asks those who are due to check the candidates of a shard; gives those who were not there.
    pub(super) fn ask(&self, segment: &mut Segment, events: &mut Vec<LedgerEvent>) -> Bits {
        let mut missing = Bits::EMPTY;
        if self.rules.approval == Approval::All {
            return missing;
        }
        for pending in &mut segment.pending {
            let Some(turn) = self.turn(pending) else {
                continue;
            };
            // After an objection nobody waits for them any longer, so nobody can be late.
            if let Asked::Few(few) = &pending.asked
                && turn != Err(Escalation::Objection)
            {
                let silent = few.newest.without(&pending.valid);
                missing = missing.or(&silent.without(&pending.invalid));
            }
            if let Err(why) = turn {
                events.push(LedgerEvent::Escalated(pending.named(), why));
            }
            pending.asked = turn.unwrap_or(Asked::Everybody(self.now));
        }
        missing
    }

    /// Who is asked to check a candidate from now on, or why everybody is; none if nothing changes.
    fn turn(&self, pending: &Pending) -> Option<Result<Asked, Escalation>> {
        if matches!(pending.asked, Asked::Everybody(_)) {
            return None;
        }
        if !pending.invalid.without(&self.draw.discredited).is_empty() {
            return Some(Err(Escalation::Objection));
        }
        let Asked::Few(few) = &pending.asked else {
            return self.first(pending);
        };
        let waited_for = few.newest.without(&pending.valid);
        if waited_for.is_empty() || !self.is_no_show(few.since) {
            return None;
        }
        let others = self.replace(pending, few, waited_for.count());
        Some(others.ok_or(Escalation::NoShows))
    }

    /// Tranche 0, once the relay blocks after its inclusion are there that choose it; everybody's turn if too few
    /// were there lately.
    fn first(&self, pending: &Pending) -> Option<Result<Asked, Escalation>> {
        let Approval::Sampled {
            checkers,
            seed_blocks,
            ..
        } = self.rules.approval
        else {
            return None;
        };
        let included = pending.included?;
        if self.now.height <= included.height.saturating_add(seed_blocks) {
            return None;
        }
        let few = Few {
            seed: self.draw.seed,
            all: Bits::EMPTY,
            newest: Bits::EMPTY,
            tranche: 0,
            since: self.now,
        };
        let chosen = self.choose(pending, &few, usize::from(checkers));
        Some(chosen.map(Asked::Few).ok_or(Escalation::NoShows))
    }

    /// As many others; none if it is everybody's turn.
    fn replace(&self, pending: &Pending, few: &Few, count: usize) -> Option<Asked> {
        let tranche = few.tranche.saturating_add(1);
        if tranche >= TRANCHES {
            return None;
        }
        let next = Few {
            tranche,
            since: self.now,
            ..few.clone()
        };
        self.choose(pending, &next, count).map(Asked::Few)
    }

    /// The next ones of the candidate's order, without those who were not there lately; none if there are too few.
    fn choose(&self, pending: &Pending, few: &Few, count: usize) -> Option<Few> {
        let order = checkers(&few.seed, &pending.candidate, self.rules.validators);
        let asked = |one: &usize| few.all.contains(*one) || self.draw.aside.contains(*one);
        let order = order.into_iter().filter(|one| !asked(one));
        let newest: Bits = order.take(count).collect();
        (newest.count() == count).then(|| Few {
            all: few.all.or(&newest),
            newest,
            ..few.clone()
        })
    }

    fn is_no_show(&self, since: Moment) -> bool {
        let Approval::Sampled { no_show_ms, .. } = self.rules.approval else {
            return false;
        };
        self.is_late(since, no_show_ms, self.rules.no_show_blocks())
    }
}

impl Write for Asked {
    fn write(&self, buf: &mut impl BufMut) {
        match self {
            Self::Nobody => 0_u8.write(buf),
            Self::Few(few) => {
                1_u8.write(buf);
                codec::write_b256(&few.seed, buf);
                few.all.write(buf);
                few.newest.write(buf);
                few.tranche.write(buf);
                few.since.write(buf);
            }
            Self::Everybody(since) => {
                2_u8.write(buf);
                since.write(buf);
            }
        }
    }
}

impl Read for Asked {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        match u8::read(buf)? {
            0 => Ok(Self::Nobody),
            1 => Ok(Self::Few(Few {
                seed: codec::read_b256(buf)?,
                all: Bits::read(buf)?,
                newest: Bits::read(buf)?,
                tranche: u16::read(buf)?,
                since: Moment::read(buf)?,
            })),
            2 => Ok(Self::Everybody(Moment::read(buf)?)),
            other => Err(Error::InvalidEnum(other)),
        }
    }
}
