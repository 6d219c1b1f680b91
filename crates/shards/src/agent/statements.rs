//! Statements of backers, gathered by envelope until there are enough, and compared by place.
//!
//! A statement of which this node does not know yet whose turn it is waits until it does, and then is looked at like
//! any other.
//!
//! Limits: places within the window of schedules and numbers that the agent listens to; [`STATEMENTS_MAX`] statements of
//! one validator for one place, for one height as many as there may be honest ones, and [`EARLY_STATEMENTS_MAX`] that
//! wait.

use super::config::{EARLY_STATEMENTS_MAX, STATEMENT_BLOCKS, STATEMENTS_MAX};
use crate::ledger::Ledger;
use alloy_primitives::B256;
use primitives::{
    crypto::{PublicKey, Signature},
    shard::{BackedEnvelope, Bits, CandidateId, Envelope, Equivocation, ShardId, SignedStatement},
};
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
};

/// Where a validator may back one candidate: shard, number, height of the schedule.
pub(crate) type Place = (ShardId, u64, u64);

/// The place of an envelope.
pub(crate) const fn place_of(envelope: &Envelope) -> Place {
    let descriptor = &envelope.descriptor;
    (
        descriptor.shard,
        descriptor.number,
        envelope.schedule.height,
    )
}

/// Candidate, root, core, height of the schedule.
type Key = (CandidateId, B256, u16, u64);

fn key_of(envelope: &Envelope) -> Key {
    let schedule = envelope.schedule;
    let id = envelope.descriptor.id();
    (id, envelope.coding.root, schedule.core, schedule.height)
}

#[derive(Clone, Debug)]
struct Gathered {
    envelope: Envelope,
    signatures: BTreeMap<u16, Signature>,
    /// The backers with which it was last put forward.
    put_forward: Bits,
    /// More have signed, or others may, since it was looked at.
    stirred: bool,
}

/// A statement that waits for its height, and who sent it.
type Early = (PublicKey, SignedStatement);

/// All statements that matter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statements {
    places: BTreeMap<Place, BTreeMap<u16, Vec<SignedStatement>>>,
    gathered: BTreeMap<Key, Gathered>,
    /// How many of each height a validator has signed.
    counts: BTreeMap<(u64, u16), usize>,
    /// By validator, those that wait for their height.
    early: BTreeMap<u16, VecDeque<Early>>,
}

/// Statements of one validator for schedules of one height that are kept: more than an honest one signs, since no more
/// candidates than this can be on their way to the cores.
fn most_of_height(ledger: &Ledger) -> usize {
    let rules = ledger.rules();
    let window = usize::try_from(rules.schedule_window).unwrap_or(usize::MAX);
    let each = usize::from(rules.segment_max)
        .saturating_add(usize::from(rules.core_depth))
        .saturating_add(window);
    each.saturating_mul(ledger.cores().len())
}

impl Statements {
    pub(crate) fn len(&self) -> usize {
        let early = self.early.values().map(VecDeque::len);
        let kept = self.counts.values().copied();
        kept.chain(early).fold(0, usize::saturating_add)
    }

    /// Whether a validator has signed more for one height than it needs to.
    pub(crate) fn is_full(&self, signed: &SignedStatement, ledger: &Ledger) -> bool {
        let height = signed.envelope.schedule.height;
        let count = self.counts.get(&(height, signed.validator));
        count.is_some_and(|count| *count >= most_of_height(ledger))
    }

    /// Keeps a validator's statement until its height is known: of many the newest, of its own only.
    pub(crate) fn wait(&mut self, peer: &PublicKey, signed: SignedStatement) {
        let waiting = self.early.entry(signed.validator).or_default();
        if waiting.len() >= EARLY_STATEMENTS_MAX {
            waiting.pop_front();
        }
        waiting.push_back((peer.clone(), signed));
    }

    /// All that wait.
    pub(crate) fn take_early(&mut self) -> Vec<(PublicKey, SignedStatement)> {
        let early = mem::take(&mut self.early);
        early.into_values().flatten().collect()
    }

    /// Whether a statement would bring nothing, before its signature is looked at.
    pub(crate) fn is_known(&self, signed: &SignedStatement) -> bool {
        let statements = self.places.get(&place_of(&signed.envelope));
        let of_validator = statements.and_then(|by| by.get(&signed.validator));
        of_validator.is_some_and(|known| {
            known.len() >= STATEMENTS_MAX || known.iter().any(|one| one.envelope == signed.envelope)
        })
    }

    /// Takes a statement, whose signature has been checked; gives what it proves of its validator.
    pub(crate) fn add(&mut self, signed: SignedStatement) -> Option<Equivocation> {
        let id = signed.envelope.descriptor.id();
        let gathered = self
            .gathered
            .entry(key_of(&signed.envelope))
            .or_insert_with(|| Gathered {
                envelope: signed.envelope.clone(),
                signatures: BTreeMap::new(),
                put_forward: Bits::EMPTY,
                stirred: true,
            });
        gathered.stirred = true;
        let height = signed.envelope.schedule.height;
        let count = self.counts.entry((height, signed.validator)).or_default();
        *count = count.saturating_add(1);
        gathered
            .signatures
            .insert(signed.validator, signed.signature.clone());
        let by = self.places.entry(place_of(&signed.envelope)).or_default();
        let known = by.entry(signed.validator).or_default();
        let other = known
            .iter()
            .find(|one| one.envelope.descriptor.id() != id)
            .cloned();
        known.push(signed.clone());
        other.map(|other| {
            let (first, second) = if other.envelope.descriptor.id() < id {
                (other, signed)
            } else {
                (signed, other)
            };
            Equivocation { first, second }
        })
    }

    /// Envelopes that have enough backers for the next relay block and more, or others, than when they were last
    /// put forward.
    pub(crate) fn take_backed(&mut self, ledger: &Ledger) -> Vec<BackedEnvelope> {
        let next = ledger.height().saturating_add(1);
        let oldest = next.saturating_sub(ledger.rules().schedule_window);
        let mut backed = Vec::new();
        for gathered in self.gathered.values_mut().filter(|one| one.stirred) {
            gathered.stirred = false;
            let schedule = gathered.envelope.schedule;
            let segment = ledger.shard(gathered.envelope.descriptor.shard);
            let Some(segment) = segment.filter(|_| schedule.height >= oldest) else {
                continue;
            };
            if gathered.envelope.descriptor.number <= segment.newest().number {
                continue;
            }
            let Some(quota) = ledger.quota(segment.shard, &schedule, next) else {
                continue;
            };
            let may = |validator: &u16| quota.allowed.contains(usize::from(*validator));
            let allowed: Vec<(u16, Signature)> = gathered
                .signatures
                .iter()
                .filter(|(validator, _)| may(validator))
                .map(|(validator, signature)| (*validator, signature.clone()))
                .collect();
            let backers: Bits = allowed.iter().map(|(one, _)| usize::from(*one)).collect();
            if allowed.len() < quota.min || backers == gathered.put_forward {
                continue;
            }
            gathered.put_forward = backers;
            backed.push(BackedEnvelope {
                envelope: gathered.envelope.clone(),
                backers,
                signatures: allowed
                    .into_iter()
                    .map(|(_, signature)| signature)
                    .collect(),
            });
        }
        backed
    }

    /// Those who signed for a candidate, under whichever envelope.
    pub(crate) fn backers(&self, id: &CandidateId) -> Bits {
        self.of(id)
            .flat_map(|gathered| gathered.signatures.keys())
            .map(|validator| usize::from(*validator))
            .collect()
    }

    /// Whether enough have signed one envelope of a candidate.
    pub(crate) fn is_backable(&self, id: &CandidateId) -> bool {
        let mut envelopes = self.of(id);
        envelopes.any(|gathered| !gathered.put_forward.is_empty())
    }

    fn of(&self, id: &CandidateId) -> impl Iterator<Item = &Gathered> {
        let first = (*id, B256::ZERO, 0, 0);
        let last = (*id, B256::repeat_byte(u8::MAX), u16::MAX, u64::MAX);
        self.gathered.range(first..=last).map(|(_, one)| one)
    }

    /// Looks at all of them again after a relay block, and forgets what is too old to enter, or to be worth a relay
    /// block as evidence.
    pub(crate) fn prune(&mut self, ledger: &Ledger) {
        let rules = ledger.rules();
        let kept = rules.schedule_window.saturating_add(STATEMENT_BLOCKS);
        let oldest = ledger.height().saturating_sub(kept);
        let alive = |shard: &ShardId, number: u64, height: u64| {
            height >= oldest
                && ledger
                    .shard(*shard)
                    .is_some_and(|segment| number > segment.finalized().number)
        };
        // A second statement proves an offence even when the place has been taken.
        self.places.retain(|(_, _, height), _| *height >= oldest);
        self.counts.retain(|(height, _), _| *height >= oldest);
        self.gathered.retain(|(_, _, _, height), gathered| {
            let descriptor = &gathered.envelope.descriptor;
            gathered.stirred = true;
            alive(&descriptor.shard, descriptor.number, *height)
        });
    }
}
