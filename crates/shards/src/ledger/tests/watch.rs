//! The invariants, kept by a second hand: it reads sections and events, and believes no ledger.
//!
//! It resolves what votes name by the lists of pending candidates that it wrote down at every height, and counts
//! for itself who holds and who approves what.

use super::world::Truth;
use crate::ledger::{
    Approval, Discard, Ledger, LedgerEvent, Offence, OffenceKind, Pending, ShardHead, Status,
};
use bytes::Bytes;
use commonware_codec::DecodeExt as _;
use primitives::shard::{Bits, CandidateId, ShardId, ShardSection, ShardVote};
use std::collections::BTreeMap;

/// A candidate in the pipeline.
#[derive(Clone)]
struct Seen {
    head: ShardHead,
    truth: Truth,
    backers: Bits,
    epoch: u64,
    is_included: bool,
    is_escalated: bool,
    held: Bits,
    valid: Bits,
    invalid: Bits,
}

#[derive(Clone)]
pub(super) struct Watch {
    /// Who may say what is not true.
    liars: Bits,
    seen: BTreeMap<u64, Seen>,
    /// By height: which sequence number each place meant.
    names: BTreeMap<u64, BTreeMap<u8, u64>>,
    /// By height: whose the cores were after it.
    owners: BTreeMap<u64, Vec<Option<ShardId>>>,
    finals: BTreeMap<ShardId, ShardHead>,
    /// Who backed what is invalid.
    false_backers: BTreeMap<CandidateId, Bits>,
    /// Whose objections turned out false in this epoch.
    false_objectors: Bits,
    /// How often what happened.
    pub(super) paths: BTreeMap<String, usize>,
}

impl Watch {
    pub(super) fn new(ledger: &Ledger, liars: Bits) -> Self {
        let finals = ledger
            .shards()
            .map(|(shard, one)| (shard, *one.finalized()));
        Self {
            liars,
            seen: BTreeMap::new(),
            names: BTreeMap::new(),
            owners: BTreeMap::new(),
            finals: finals.collect(),
            false_backers: BTreeMap::new(),
            false_objectors: Bits::EMPTY,
            paths: BTreeMap::new(),
        }
    }

    fn path(&mut self, name: impl Into<String>) {
        *self.paths.entry(name.into()).or_default() += 1;
    }

    /// A relay block.
    pub(super) fn block(
        &mut self,
        before: &Ledger,
        section: &ShardSection,
        after: &Ledger,
        events: &[LedgerEvent],
    ) {
        for vote in &section.votes {
            self.tally(vote);
        }
        for event in events {
            self.event(event, after);
        }
        self.structure(before, after, events);
    }

    /// Other validators.
    pub(super) fn epoch(&mut self, before: &Ledger, after: &Ledger, events: &[LedgerEvent]) {
        for seen in self.seen.values_mut() {
            (seen.valid, seen.invalid) = (Bits::EMPTY, Bits::EMPTY);
            seen.is_escalated = false;
        }
        self.false_objectors = Bits::EMPTY;
        for event in events {
            self.event(event, after);
        }
        self.structure(before, after, events);
    }

    fn tally(&mut self, vote: &ShardVote) {
        let Some(names) = self.names.get(&vote.votes.height) else {
            panic!("a vote names a ledger that never was");
        };
        let validator = usize::from(vote.validator);
        for (place, sequence) in names {
            let Some(seen) = self.seen.get_mut(sequence) else {
                continue;
            };
            let place = usize::from(*place);
            if vote.votes.held.contains(place) {
                seen.held.insert(validator);
            }
            if vote.votes.valid.contains(place) && !seen.invalid.contains(validator) {
                seen.valid.insert(validator);
            }
            if vote.votes.invalid.contains(place) && !seen.valid.contains(validator) {
                seen.invalid.insert(validator);
            }
        }
    }

    fn event(&mut self, event: &LedgerEvent, after: &Ledger) {
        let validators = usize::from(after.rules().validators);
        let faulty = (validators - 1) / 3;
        let quorum = validators - faulty;
        match event {
            LedgerEvent::Backed(named) => {
                self.path("Backed");
                let pending = find(after, named.sequence).expect("what is backed is pending");
                assert_eq!(pending.candidate, named.candidate);
                self.core(pending, after.height());
                let seen = Seen::new(pending);
                if !seen.truth.valid {
                    let backers = self.false_backers.entry(named.candidate).or_default();
                    *backers = backers.or(&seen.backers);
                }
                self.seen.insert(named.sequence, seen);
            }
            LedgerEvent::Included(named) => {
                self.path("Included");
                let seen = self.seen.get_mut(&named.sequence).expect("it was backed");
                assert!(seen.held.count() >= quorum, "I2: included and not held");
                assert!(seen.truth.available, "honest ones hold what there is");
                assert!(!seen.is_included);
                seen.is_included = true;
            }
            LedgerEvent::Final(named, head) => {
                self.path("Final");
                let seen = self.seen.remove(&named.sequence).expect("it was backed");
                assert!(seen.is_included, "I3: final and not included");
                self.approved(&seen, after);
                assert_eq!(seen.head, *head);
                let last = self.finals.insert(named.shard, *head).expect("a shard");
                assert_eq!(head.number, last.number + 1, "I1");
                assert!(head.timestamp_ms > last.timestamp_ms);
                assert!(head.anchor_height >= last.anchor_height);
            }
            LedgerEvent::Escalated(named, why) => {
                self.path(format!("{why:?}"));
                let seen = self.seen.get_mut(&named.sequence).expect("it was backed");
                assert!(!seen.is_escalated);
                seen.is_escalated = true;
            }
            LedgerEvent::Discarded(named, why) => {
                self.path(format!("{why:?}"));
                let seen = self.seen.remove(&named.sequence).expect("it was backed");
                if *why != Discard::Invalid {
                    return;
                }
                assert!(seen.invalid.count() > faulty && !seen.truth.valid);
                self.path(match seen.is_included {
                    true => "Invalid, included",
                    false => "Invalid, backed",
                });
            }
            LedgerEvent::Offended(offence) => self.offence(offence),
            LedgerEvent::Ordered(shard, kind) => {
                self.path(format!("{kind:?}"));
                let segment = after.shard(*shard).expect("it was ordered something");
                self.finals.entry(*shard).or_insert(*segment.finalized());
            }
            LedgerEvent::Refused(..) => self.path("Refused"),
            LedgerEvent::Moved { core, from, to } => {
                self.path("Moved");
                let mut pending = after.pending();
                if pending.any(|one| one.envelope.schedule.core == *core) {
                    self.path("Moved, pending");
                }
                assert!(from != to && after.cores()[usize::from(*core)] == *to);
                assert_eq!(after.height() % after.rules().allocation_blocks, 0);
            }
        }
    }

    /// R1: the core was the shard's when it was scheduled, by what was written down then.
    fn core(&mut self, pending: &Pending, height: u64) {
        let schedule = &pending.envelope.schedule;
        let owner = |height| {
            self.owners[&height]
                .get(usize::from(schedule.core))
                .copied()
        };
        let shard = Some(pending.envelope.descriptor.shard);
        assert_eq!(owner(schedule.height).flatten(), shard, "R1");
        if owner(height - 1).flatten() != shard {
            self.path("Backed, its core moved");
        }
    }

    /// Cores: no more pending on each than it has room for, whoever's they are, and no more of a shard when one
    /// enters than its cores of then allow; where they follow load, everybody has its part.
    fn cores(&mut self, before: &Ledger, after: &Ledger, events: &[LedgerEvent]) {
        let rules = after.rules();
        let mut on = vec![(0, 0); after.cores().len()];
        for one in after.pending() {
            let (all, waiting) = &mut on[usize::from(one.envelope.schedule.core)];
            *all += 1;
            *waiting += u16::from(!one.is_included());
        }
        for (all, waiting) in on {
            assert!(all <= rules.segment_max && waiting <= rules.core_depth);
        }
        // When candidates entered, nothing had moved yet.
        let mut then = after.cores().to_vec();
        let ordered = |one: &LedgerEvent| matches!(one, LedgerEvent::Ordered(..));
        for event in events {
            if let LedgerEvent::Moved { core, from, .. } = event {
                then[usize::from(*core)] = *from;
            }
        }
        assert!(events.iter().any(ordered) || then == before.cores());
        let count = |owners: &[Option<ShardId>], shard| {
            let owners = owners.iter().flatten();
            owners.filter(|one| **one == shard).count()
        };
        for (shard, segment) in after.shards() {
            let newest = segment.pending().last().map(|one| one.sequence);
            if newest.is_some_and(|newest| newest >= before.next_sequence) {
                let max = usize::from(rules.segment_max) * count(&then, shard);
                assert!(segment.pending().len() <= max);
            }
        }
        let ends = after.height().is_multiple_of(rules.allocation_blocks);
        if rules.cores.is_some() && ends && after.height() > before.height() {
            let active = after
                .shards()
                .filter(|(_, one)| one.status() == Status::Active);
            let active: Vec<_> = active.collect();
            let enough = active.len() <= after.cores().len();
            for (shard, segment) in active {
                let has = count(after.cores(), shard);
                assert!(has <= usize::from(segment.terms().cores_max));
                assert!(has > 0 || !enough, "everybody has one");
            }
        }
        self.owners.insert(after.height(), after.cores().to_vec());
    }

    /// By 2f+1; or by as many as are drawn, without an objection of anybody who may be believed. Then only those who
    /// lie can have approved what is invalid.
    fn approved(&mut self, seen: &Seen, after: &Ledger) {
        let rules = after.rules();
        let few = match rules.approval {
            Approval::Sampled { checkers, .. } if !seen.is_escalated => usize::from(checkers),
            Approval::All | Approval::Sampled { .. } => {
                assert!(
                    seen.valid.count() >= rules.quorum(),
                    "I2: final and not approved"
                );
                assert!(seen.truth.valid, "final and invalid");
                return;
            }
        };
        self.path("Final by a few");
        assert!(seen.valid.count() >= few, "I2: final and not approved");
        assert!(seen.invalid.without(&self.false_objectors).is_empty());
        if !seen.invalid.is_empty() {
            self.path("ignored objection");
        }
        if !seen.truth.valid {
            self.path("Final by corrupt few");
            assert!(few <= self.liars.count(), "final and invalid");
            assert!(seen.valid.without(&self.liars).is_empty());
        }
    }

    /// Nobody is punished for what it did not do.
    fn offence(&mut self, offence: &Offence) {
        self.path(format!("{:?}", offence.kind));
        let lied = self.liars.contains(usize::from(offence.validator));
        match offence.kind {
            OffenceKind::BackedInvalid => {
                let backers = self.false_backers.get(&offence.candidate);
                assert!(backers.is_some_and(|all| all.contains(usize::from(offence.validator))));
            }
            OffenceKind::FalseObjection => {
                assert!(lied, "{offence:?}");
                self.false_objectors.insert(usize::from(offence.validator));
            }
            OffenceKind::ApprovedInvalid
            | OffenceKind::Contradiction
            | OffenceKind::Equivocation => assert!(lied, "{offence:?}"),
        }
    }

    fn structure(&mut self, before: &Ledger, after: &Ledger, events: &[LedgerEvent]) {
        let mut entered = Vec::new();
        let mut places = Bits::EMPTY;
        for (shard, segment) in after.shards() {
            let old: Vec<u64> = before
                .shard(shard)
                .into_iter()
                .flat_map(|one| one.pending().map(|one| one.sequence))
                .collect();
            let (new, kept): (Vec<u64>, Vec<u64>) = segment
                .pending()
                .map(|one| one.sequence)
                .partition(|one| *one >= before.next_sequence);
            // I7: what is final was in front, what was discarded at the end, and nothing is lost.
            let (finals, cuts) = left(shard, events);
            let discards = cuts.into_iter().rev().flatten();
            let sequences: Vec<u64> = finals.into_iter().chain(kept).chain(discards).collect();
            assert_eq!(sequences, old, "I7");
            entered.extend(new);
            let mut parent = *segment.finalized();
            assert_eq!(Some(&parent), self.finals.get(&shard), "I1");
            let mut included = true;
            for one in segment.pending() {
                let descriptor = &one.envelope.descriptor;
                assert_eq!(descriptor.parent, parent.hash, "R7");
                assert_eq!(descriptor.number, parent.number + 1, "R7");
                assert!(included || !one.is_included(), "R3");
                assert!(places.insert(usize::from(one.place)), "places are unique");
                included = one.is_included();
                parent = one.head();
                let seen = self.seen.get(&one.sequence).expect("it was backed");
                let counted = (seen.held, seen.valid, seen.invalid);
                assert_eq!((one.held, one.valid, one.invalid), counted);
                assert_eq!(
                    (one.backers, one.envelope.coding.epoch),
                    (seen.backers, seen.epoch)
                );
            }
            assert!(segment.penalties().len() <= usize::from(after.rules().validators));
        }
        self.cores(before, after, events);
        entered.sort_unstable();
        let expected: Vec<u64> = (before.next_sequence..after.next_sequence).collect();
        assert_eq!(
            entered, expected,
            "sequence numbers rise by one and are never used again"
        );
        assert!(after.offences().len() <= crate::ledger::OFFENCES_MAX);
        let read = Ledger::decode(Bytes::from(after.to_bytes())).unwrap();
        assert_eq!((&read, read.digest()), (after, after.digest()));
        let names = after.pending().map(|one| (one.place, one.sequence));
        self.names.insert(after.height(), names.collect());
    }
}

impl Seen {
    fn new(pending: &Pending) -> Self {
        let head = pending.head();
        Self {
            head,
            truth: Truth::of(&head.hash),
            backers: pending.backers,
            epoch: pending.envelope.coding.epoch,
            is_included: false,
            is_escalated: false,
            held: Bits::EMPTY,
            valid: Bits::EMPTY,
            invalid: Bits::EMPTY,
        }
    }
}

fn find(ledger: &Ledger, sequence: u64) -> Option<&Pending> {
    ledger.pending().find(|one| one.sequence == sequence)
}

/// What left a shard's pipeline: final, and discarded in one cut after the other.
fn left(shard: ShardId, events: &[LedgerEvent]) -> (Vec<u64>, Vec<Vec<u64>>) {
    let (mut finals, mut cuts) = (Vec::new(), Vec::<Vec<u64>>::new());
    for event in events {
        match event {
            LedgerEvent::Final(one, _) if one.shard == shard => finals.push(one.sequence),
            LedgerEvent::Discarded(one, why) if one.shard == shard => {
                let follows = match why {
                    Discard::Descendant => true,
                    Discard::Unavailable | Discard::Undecided | Discard::Invalid => false,
                    Discard::Epoch | Discard::Retired => !cuts.is_empty(),
                };
                if !follows {
                    cuts.push(Vec::new());
                }
                let cut = cuts.last_mut().expect("a descendant follows its ancestor");
                cut.push(one.sequence);
            }
            _ => {}
        }
    }
    (finals, cuts)
}
