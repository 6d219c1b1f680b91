//! What validators can be punished for, and for what they can't.

use super::world::{BAD, BLOCK_MS, GOOD, World};
use crate::ledger::{
    BackedFault, CheckedSection, Discard, EvidenceFault, Ledger, LedgerEvent, LedgerRules,
    OffenceKind, SectionFault,
};
use primitives::shard::{Bits, Envelope, Equivocation, ShardSection, Votes};
use rand::{SeedableRng as _, rngs::StdRng};

fn world() -> World {
    World::after(LedgerRules::asynchronous(4), &[1, 1], 10)
}

fn two(world: &World) -> (Envelope, Envelope) {
    let (one, mut two) = (world.candidate(1, 0, GOOD), world.candidate(1, 0, GOOD));
    two.descriptor.gas_used += 1;
    (one, two)
}

fn convict(world: &World, evidence: &Equivocation) -> Result<(), EvidenceFault> {
    let mut draft = world.draft();
    let before = draft.ledger().clone();
    let said = draft.convict(evidence);
    assert_eq!(said.is_err(), draft.ledger() == &before);
    said
}

#[test]
fn r7_who_backs_two_for_one_place_commits_an_offence_once() {
    let mut world = world();
    let (one, two) = two(&world);
    let evidence = world.equivocation(3, one, two);
    let section = ShardSection {
        equivocations: vec![evidence.clone()],
        ..ShardSection::default()
    };
    let events = world.step(section, BLOCK_MS).unwrap();
    let [LedgerEvent::Offended(offence)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(
        (offence.validator, offence.kind),
        (3, OffenceKind::Equivocation)
    );
    assert_eq!(convict(&world, &evidence), Err(EvidenceFault::Known(3)));
    // It backs nothing for anybody until the epoch ends; the rest of its group goes on.
    assert_eq!(world.ledger.banned(), [3].into_iter().collect());
    for (shard, core) in [(1, 0), (2, 1)] {
        let envelope = world.candidate(shard, core, GOOD);
        let with = world.backed_by(envelope.clone(), [0, 1, 3].into_iter().collect());
        let fault = BackedFault::Backers {
            backers: 2,
            min: 2,
            strangers: 1,
        };
        assert_eq!(world.draft().back(&with), Err(fault));
        let without = world.backed_by(envelope, [0, 1].into_iter().collect());
        assert_eq!(world.draft().back(&without), Ok(()));
    }
    let (next, _) = world.ledger.begin_epoch(4).unwrap();
    assert_eq!(next.banned(), Bits::EMPTY);
}

#[test]
fn harmless_statements() {
    let world = world();
    let (one, two) = two(&world);
    let good = world.equivocation(3, one.clone(), two);
    assert_eq!(convict(&world, &good), Ok(()));
    let harmless = |change: &dyn Fn(&mut Equivocation)| {
        let mut evidence = good.clone();
        change(&mut evidence);
        assert_eq!(convict(&world, &evidence), Err(EvidenceFault::Harmless));
    };
    harmless(&|two| two.second.validator = 2);
    harmless(&|two| (two.first.validator, two.second.validator) = (4, 4));
    harmless(&|two| std::mem::swap(&mut two.first, &mut two.second));
    harmless(&|two| two.second = two.first.clone());
    harmless(&|two| two.second.envelope.descriptor.shard.0 = 2);
    harmless(&|two| two.second.envelope.descriptor.number = 2);
    // Another schedule is another time: what was backed before may have been dropped since.
    harmless(&|two| two.second.envelope.schedule.height = 9);
    harmless(&|two| two.second.envelope.coding.epoch = 1);
    harmless(&|two| {
        two.first.envelope.coding.epoch = 1;
        two.second.envelope.coding.epoch = 1;
    });
    // One candidate on two cores is one candidate.
    let mut elsewhere = one.clone();
    elsewhere.schedule.core = 1;
    let same = world.equivocation(3, one, elsewhere);
    assert_eq!(convict(&world, &same), Err(EvidenceFault::Harmless));
}

#[test]
fn old_and_early_statements() {
    let rules = LedgerRules {
        vote_window: 4,
        ..LedgerRules::asynchronous(4)
    };
    let world = World::after(rules, &[1], 10);
    let at = |height| {
        let (mut one, mut two) = two(&world);
        one.schedule.height = height;
        two.schedule.height = height;
        convict(&world, &world.equivocation(3, one, two))
    };
    assert_eq!(at(6), Err(EvidenceFault::Old(6)));
    assert_eq!(at(7), Ok(()));
    assert_eq!(at(11), Ok(()));
    assert_eq!(at(12), Err(EvidenceFault::Old(12)));
}

#[test]
fn evidence_is_signed_by_whom_it_accuses() {
    let world = world();
    let (one, two) = two(&world);
    let mut evidence = world.equivocation(3, one, two);
    let check = |evidence: &Equivocation| {
        let section = ShardSection {
            equivocations: vec![evidence.clone()],
            ..ShardSection::default()
        };
        let random = &mut StdRng::seed_from_u64(1);
        CheckedSection::check(section, &world.ledger, &world.authority, random).map(drop)
    };
    assert_eq!(check(&evidence), Ok(()));
    assert_eq!(
        world.authority.check_evidence(&evidence, &world.ledger),
        Ok(())
    );
    (evidence.first.validator, evidence.second.validator) = (2, 2);
    let fault = EvidenceFault::Signature;
    assert_eq!(
        world.authority.check_evidence(&evidence, &world.ledger),
        Err(fault)
    );
    assert_eq!(
        check(&evidence),
        Err(SectionFault::Equivocation { index: 0, fault })
    );
}

#[test]
fn an_invalid_candidate_is_its_backers_and_approvers_offence() {
    let mut world = world();
    world.back(world.candidate(1, 0, BAD)).unwrap();
    world.back(world.candidate(1, 0, BAD)).unwrap();
    let mut section = world.votes([1, 2]);
    // It backed both and says that the second is good.
    let place = world.ledger.pending().nth(1).unwrap().place;
    let lie = Votes {
        height: world.ledger.height(),
        valid: [usize::from(place)].into_iter().collect(),
        ..Votes::default()
    };
    section.votes.push(world.vote(0, lie));
    let events = world.step(section, BLOCK_MS).unwrap();
    let why: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            LedgerEvent::Discarded(_, why) => Some(*why),
            _ => None,
        })
        .collect();
    assert_eq!(why, [Discard::Invalid, Discard::Descendant]);
    let offences: Vec<_> = world
        .ledger
        .offences()
        .map(|one| (one.validator, one.kind))
        .collect();
    let expected = [
        (0, OffenceKind::BackedInvalid),
        (1, OffenceKind::BackedInvalid),
        (0, OffenceKind::ApprovedInvalid),
    ];
    assert_eq!(offences, expected);
}

#[test]
fn what_goes_with_an_invalid_one_is_judged_on_its_own() {
    let mut world = World::after(LedgerRules::asynchronous(7), &[1], 10);
    let first_five = |ledger: &Ledger| ledger.group(0, 10) == Bits::below(5);
    world.ledger = world.ledger.seeded(first_five);
    let (first, second) = (Bits::below(3), [2, 3, 4].into_iter().collect());
    for backers in [first, second] {
        let backed = world.backed_by(world.candidate(1, 0, BAD), backers);
        let section = ShardSection {
            backed: vec![backed],
            ..ShardSection::default()
        };
        world.step(section, BLOCK_MS).unwrap();
    }
    world.step(world.votes([4, 5, 6]), BLOCK_MS).unwrap();
    assert_eq!(world.ledger.banned(), Bits::below(5));
}

#[test]
fn one_objection_discards_nothing() {
    let mut world = world();
    world.back(world.candidate(1, 0, BAD)).unwrap();
    assert_eq!(world.step(world.votes([2]), BLOCK_MS).unwrap(), []);
    assert_eq!(world.ledger.pending().count(), 1);
}

#[test]
fn the_first_verdict_stands_and_the_second_is_an_offence() {
    let mut world = world();
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    let good = world.honest(3, true);
    let other = world.vote(
        3,
        Votes {
            held: Bits::EMPTY,
            valid: Bits::EMPTY,
            invalid: good.votes.valid,
            ..good.votes
        },
    );
    let section = ShardSection {
        votes: vec![good, other.clone()],
        ..ShardSection::default()
    };
    world.step(section, BLOCK_MS).unwrap();
    let pending = world.ledger.pending().next().unwrap();
    assert!(pending.valid.contains(3) && pending.invalid.is_empty());
    let offence = world.ledger.offences().next().unwrap();
    assert_eq!(
        (offence.validator, offence.kind),
        (3, OffenceKind::Contradiction)
    );
    // Said again, it is nothing new.
    assert!(world.draft().count(&other).is_err());
}

#[test]
fn old_backers_are_not_mistaken_for_new_validators() {
    let mut world = world();
    world.back(world.candidate(1, 0, BAD)).unwrap();
    let held = world.all().map(|one| world.honest(one, false)).collect();
    let section = ShardSection {
        votes: held,
        ..ShardSection::default()
    };
    world.step(section, BLOCK_MS).unwrap();
    world.ledger = world.ledger.begin_epoch(4).unwrap().0;
    let events = world.step(world.votes(0..4), BLOCK_MS).unwrap();
    let offences: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            LedgerEvent::Offended(one) => Some((one.epoch, one.validator, one.kind)),
            _ => None,
        })
        .collect();
    let kind = OffenceKind::BackedInvalid;
    assert_eq!(offences, [(0, 0, kind), (0, 1, kind)]);
    assert_eq!(world.ledger.banned(), Bits::EMPTY);
}
