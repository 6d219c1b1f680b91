//! Approval by a few: who is asked, what becomes of silence and of objections, and what corrupt checkers can do.

use super::world::{BAD, BLOCK_MS, GOOD, Truth, World};
use crate::ledger::{
    Approval, Asked, Discard, Draft, Escalation, Few, LedgerEvent, LedgerRules, OffenceKind,
};
use alloy_primitives::B256;
use primitives::shard::{Bits, ShardSection, Votes};

const CHECKERS: u16 = 3;
/// Relay blocks that an answer may take here, with the one that counts it.
const ANSWER_BLOCKS: u64 = 4;

/// Ten validators, of whom three may be corrupt and four are enough to discard.
fn rules() -> LedgerRules {
    LedgerRules {
        deadline_blocks: ANSWER_BLOCKS,
        approval: Approval::Sampled {
            checkers: CHECKERS,
            seed_blocks: 2,
            no_show_ms: 600,
        },
        ..LedgerRules::sampled(10, CHECKERS)
    }
}

fn idle(world: &mut World) -> Vec<LedgerEvent> {
    world.step(ShardSection::default(), BLOCK_MS).unwrap()
}

/// A block in which these say of the oldest candidate that it is valid, or that it is not.
fn say(world: &mut World, who: impl IntoIterator<Item = usize>, valid: bool) -> Vec<LedgerEvent> {
    let place = world.ledger.pending().next().unwrap().place;
    let place: Bits = [usize::from(place)].into_iter().collect();
    let votes = Votes {
        height: world.ledger.height(),
        held: Bits::EMPTY,
        valid: if valid { place } else { Bits::EMPTY },
        invalid: if valid { Bits::EMPTY } else { place },
    };
    let votes = who
        .into_iter()
        .map(|one| world.vote(u16::try_from(one).unwrap(), votes));
    let section = ShardSection {
        votes: votes.collect(),
        ..ShardSection::default()
    };
    world.step(section, BLOCK_MS).unwrap()
}

/// A world with one candidate, whose chunks all hold.
fn included(rules: LedgerRules, truth: Truth) -> World {
    let mut world = World::after(rules, &[1], 2);
    world.back(world.candidate(1, 0, truth)).unwrap();
    let votes = world.all().map(|one| world.honest(one, false)).collect();
    let section = ShardSection {
        votes,
        ..ShardSection::default()
    };
    let events = world.step(section, BLOCK_MS).unwrap();
    assert!(matches!(events[..], [LedgerEvent::Included(_)]));
    world
}

/// The same, once a few have been asked.
fn drawn(truth: Truth) -> World {
    let mut world = included(rules(), truth);
    for _ in 0..3 {
        assert_eq!(idle(&mut world), []);
    }
    world
}

fn few(world: &World) -> &Few {
    match &world.ledger.pending().next().unwrap().asked {
        Asked::Few(few) => few,
        other => panic!("a few are asked: {other:?}"),
    }
}

/// Blocks without a word, until those who were asked last have had their time.
fn in_vain(world: &mut World) -> Vec<LedgerEvent> {
    for _ in 1..ANSWER_BLOCKS {
        assert_eq!(idle(world), []);
    }
    idle(world)
}

fn others(world: &World, not: &Bits) -> Vec<usize> {
    let all = world.all().map(usize::from);
    all.filter(|one| !not.contains(*one)).collect()
}

fn is_final(events: &[LedgerEvent]) -> bool {
    matches!(events[..], [LedgerEvent::Final(..), ..])
}

fn is_escalated(events: &[LedgerEvent], why: Escalation) -> bool {
    matches!(events[..], [LedgerEvent::Escalated(_, known), ..] if known == why)
}

fn offences(world: &World) -> Vec<(usize, OffenceKind)> {
    let offences = world.ledger.offences();
    offences
        .map(|one| (usize::from(one.validator), one.kind))
        .collect()
}

#[test]
fn a_few_are_drawn_by_relay_blocks_after_the_inclusion() {
    let mut world = included(rules(), GOOD);
    let included = world.ledger.height();
    for _ in 0..2 {
        idle(&mut world);
        let pending = world.ledger.pending().next().unwrap();
        assert_eq!(pending.asked, Asked::Nobody);
    }
    // The digest of this block, two after the inclusion, is the seed.
    let seed = B256::repeat_byte(7);
    let (height, ms) = (world.ledger.height() + 1, world.ledger.timestamp_ms());
    assert_eq!(height, included + 3);
    let mut draft = Draft::new(&world.ledger, height, seed, ms).unwrap();
    draft.settle();
    idle(&mut world);
    let usual = few(&world);
    let Asked::Few(other) = &draft.ledger().pending().next().unwrap().asked else {
        panic!("a few are asked");
    };
    assert_eq!((other.seed, other.all.count()), (seed, 3));
    assert_eq!((usual.all.count(), usual.newest), (3, usual.all));
    assert_ne!(usual.all, other.all);
}

#[test]
fn nobody_is_asked_before_the_chunks_are_held() {
    let mut world = World::after(rules(), &[1], 2);
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    for _ in 0..5 {
        idle(&mut world);
        let pending = world.ledger.pending().next().unwrap();
        assert_eq!(pending.asked, Asked::Nobody);
    }
}

#[test]
fn it_is_final_when_each_of_them_found_it_valid_and_nobody_else_is_needed() {
    let mut world = drawn(GOOD);
    let few = few(&world).all;
    // Not even all the others together are a substitute.
    let others = others(&world, &few);
    assert_eq!(say(&mut world, others, true), []);
    let last = few.iter().last().unwrap();
    let most: Vec<_> = few.iter().filter(|one| *one != last).collect();
    assert_eq!(say(&mut world, most, true), []);
    assert!(is_final(&say(&mut world, [last], true)));
    assert_eq!(offences(&world), []);
}

#[test]
fn a_no_show_is_replaced_and_chosen_last_for_a_while() {
    let mut world = drawn(GOOD);
    let first = few(&world).all;
    let absent = first.iter().next().unwrap();
    let shown: Vec<_> = first.iter().skip(1).collect();
    assert_eq!(say(&mut world, shown, true), []);
    for _ in 2..ANSWER_BLOCKS {
        idle(&mut world);
    }
    assert_eq!(few(&world).all, first);
    assert_eq!(idle(&mut world), []);
    let second = few(&world).clone();
    assert_eq!((second.newest.count(), second.tranche), (1, 1));
    assert_eq!(second.newest.and(&first), Bits::EMPTY);
    let struck: Vec<_> = world.ledger.no_shows().iter().map(|one| one.0).collect();
    assert_eq!(struck, [u16::try_from(absent).unwrap()]);
    assert!(is_final(&say(&mut world, second.newest.iter(), true)));
    // Drawn for no candidate while its strike lasts.
    for _ in 0..6 {
        world.back(world.candidate(1, 0, GOOD)).unwrap();
        let votes = world.all().map(|one| world.honest(one, false)).collect();
        let section = ShardSection {
            votes,
            ..ShardSection::default()
        };
        world.step(section, 0).unwrap();
        if world.ledger.pending().count() == 4 {
            break;
        }
    }
    (0..3).for_each(|_| drop(idle(&mut world)));
    for pending in world.ledger.pending() {
        assert!(!pending.asked.contains(absent));
        assert!(matches!(pending.asked, Asked::Few(_)));
    }
}

#[test]
fn a_word_that_comes_late_counts_and_makes_no_replacement_needless() {
    let mut world = drawn(GOOD);
    let first = few(&world).all;
    in_vain(&mut world);
    assert_eq!(say(&mut world, first.iter(), true), []);
    let newest = few(&world).newest;
    assert!(is_final(&say(&mut world, newest.iter(), true)));
}

#[test]
fn an_answer_may_take_its_time_and_its_blocks() {
    let mut world = drawn(GOOD);
    let first = few(&world).all;
    // A leader with a fast clock is not enough, nor are many blocks at once.
    world.step(ShardSection::default(), 60_000).unwrap();
    (2..ANSWER_BLOCKS).for_each(|_| drop(idle(&mut world)));
    assert_eq!(few(&world).all, first);
    idle(&mut world);
    assert_ne!(few(&world).all, first);
    let mut world = drawn(GOOD);
    for _ in 0..20 {
        world.step(ShardSection::default(), 0).unwrap();
    }
    assert_eq!(few(&world).all, first);
}

#[test]
fn as_many_blocks_as_there_may_be_corrupt_leaders_and_one() {
    assert_eq!(rules().no_show_blocks(), 4);
    assert_eq!(LedgerRules::sampled(100, 30).no_show_blocks(), 34);
    assert_eq!(LedgerRules::sampled(4, 2).no_show_blocks(), 8);
}

#[test]
fn when_nobody_is_there_everybody_is_asked() {
    let mut world = drawn(GOOD);
    assert_eq!(in_vain(&mut world), []);
    assert_eq!(few(&world).all.count(), 6);
    assert_eq!(world.ledger.no_shows().iter().len(), 3);
    assert_eq!(in_vain(&mut world), []);
    assert_eq!(few(&world).all.count(), 9);
    assert!(is_escalated(&in_vain(&mut world), Escalation::NoShows));
    assert_eq!(say(&mut world, 0..6, true), []);
    assert!(is_final(&say(&mut world, [6], true)));
    assert_eq!(offences(&world), []);
}

#[test]
fn one_objection_asks_everybody() {
    let mut world = drawn(GOOD);
    let few = few(&world).all;
    let outside = others(&world, &few)[0];
    // It comes with the word of all who were asked, and holds them up.
    let events = {
        let mut draft = world.draft();
        let place = usize::from(world.ledger.pending().next().unwrap().place);
        let at: Bits = [place].into_iter().collect();
        for one in few.iter().chain([outside]) {
            let (valid, invalid) = match one == outside {
                true => (Bits::EMPTY, at),
                false => (at, Bits::EMPTY),
            };
            let votes = Votes {
                height: world.ledger.height(),
                held: Bits::EMPTY,
                valid,
                invalid,
            };
            let vote = world.vote(u16::try_from(one).unwrap(), votes);
            draft.count(&vote).unwrap();
        }
        draft.settle();
        let (ledger, events) = draft.finish();
        world.take(ledger);
        events
    };
    assert!(is_escalated(&events, Escalation::Objection));
    let rest: Vec<_> = others(&world, &few)[1..].to_vec();
    assert_eq!(say(&mut world, rest[..3].iter().copied(), true), []);
    let events = say(&mut world, rest[3..4].iter().copied(), true);
    assert!(is_final(&events));
    // The objection was false: that is on record, and it backs nothing more.
    assert_eq!(offences(&world), [(outside, OffenceKind::FalseObjection)]);
    assert!(world.ledger.banned().contains(outside));
}

#[test]
fn who_objected_falsely_alarms_nobody_again() {
    let mut world = drawn(GOOD);
    let objector = others(&world, &few(&world).all)[0];
    assert!(is_escalated(
        &say(&mut world, [objector], false),
        Escalation::Objection
    ));
    let honest: Vec<_> = (0..10).filter(|one| *one != objector).collect();
    assert!(is_final(&say(&mut world, honest.clone(), true)));
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    let votes = world.all().map(|one| world.honest(one, false)).collect();
    let section = ShardSection {
        votes,
        ..ShardSection::default()
    };
    world.step(section, BLOCK_MS).unwrap();
    assert_eq!(say(&mut world, [objector], false), []);
    // Somebody else still does.
    let events = say(&mut world, [honest[0]], false);
    assert!(is_escalated(&events, Escalation::Objection));
}

#[test]
fn an_objection_before_the_draw_is_heard() {
    let mut world = World::after(rules(), &[1], 2);
    world.back(world.candidate(1, 0, BAD)).unwrap();
    let events = say(&mut world, [9], false);
    assert!(is_escalated(&events, Escalation::Objection));
    let events = say(&mut world, 3..6, false);
    assert!(matches!(
        events[0],
        LedgerEvent::Discarded(_, Discard::Invalid)
    ));
}

#[test]
fn one_honest_checker_has_an_invalid_candidate_discarded() {
    let mut world = drawn(BAD);
    let checkers: Vec<_> = few(&world).all.iter().collect();
    assert_eq!(say(&mut world, checkers[..1].iter().copied(), true), []);
    let events = say(&mut world, [checkers[2]], false);
    assert!(is_escalated(&events, Escalation::Objection));
    assert_eq!(world.ledger.no_shows().iter().len(), 0);
    assert_eq!(say(&mut world, checkers[1..2].iter().copied(), true), []);
    let honest: Vec<_> = others(&world, &checkers.iter().copied().collect());
    let events = say(&mut world, honest[..3].iter().copied(), false);
    assert!(matches!(
        events[0],
        LedgerEvent::Discarded(_, Discard::Invalid)
    ));
    let offences = offences(&world);
    for liar in &checkers[..2] {
        assert!(offences.contains(&(*liar, OffenceKind::ApprovedInvalid)));
    }
    let kind = OffenceKind::BackedInvalid;
    assert_eq!(offences.iter().filter(|one| one.1 == kind).count(), 3);
}

#[test]
fn when_all_checkers_are_corrupt_and_nobody_else_looked_the_invalid_becomes_final() {
    // This is the chance that docs/shards-sampling.md is about.
    let mut world = drawn(BAD);
    let checkers = few(&world).all;
    assert!(is_final(&say(&mut world, checkers.iter(), true)));
    // Whoever looked without being asked prevents it.
    let mut world = drawn(BAD);
    let witness = others(&world, &checkers)[0];
    say(&mut world, [witness], false);
    assert_eq!(say(&mut world, checkers.iter(), true), []);
    let honest = others(&world, &checkers);
    let events = say(
        &mut world,
        honest.into_iter().filter(|one| *one != witness),
        false,
    );
    assert!(matches!(
        events[0],
        LedgerEvent::Discarded(_, Discard::Invalid)
    ));
}

#[test]
fn undecided_after_everybody_had_their_time_it_goes_and_nobody_is_blamed() {
    let rules = LedgerRules {
        approval_ms: 2_000,
        ..rules()
    };
    let mut world = included(rules, GOOD);
    // A few never make it late, however long they take.
    (0..3).for_each(|_| drop(idle(&mut world)));
    let asked = few(&world).all;
    world.step(ShardSection::default(), 60_000).unwrap();
    assert_eq!(world.ledger.pending().count(), 1);
    let objector = others(&world, &asked)[0];
    say(&mut world, [objector], false);
    let since = world.ledger.timestamp_ms();
    let events = world.wait(BLOCK_MS);
    assert!(matches!(
        events[..],
        [LedgerEvent::Discarded(_, Discard::Undecided)]
    ));
    assert!(world.ledger.timestamp_ms() > since + 2_000);
    assert_eq!(offences(&world), []);
}

#[test]
fn who_follows_a_slow_one_is_not_late_for_it() {
    let rules = LedgerRules {
        approval_ms: 1_000,
        ..rules()
    };
    let mut world = included(rules, GOOD);
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    let votes = world.all().map(|one| world.honest(one, false)).collect();
    let section = ShardSection {
        votes,
        ..ShardSection::default()
    };
    world.step(section, BLOCK_MS).unwrap();
    // Everybody has approved the second; the first is still with its few.
    let second = world.ledger.pending().nth(1).unwrap().place;
    let place: Bits = [usize::from(second)].into_iter().collect();
    let votes = |valid: bool| Votes {
        height: 0,
        held: Bits::EMPTY,
        valid: if valid { place } else { Bits::EMPTY },
        invalid: if valid { Bits::EMPTY } else { place },
    };
    let height = world.ledger.height();
    let all = world.all().map(|one| {
        let votes = votes(one > 0);
        world.vote(one, Votes { height, ..votes })
    });
    let section = ShardSection {
        votes: all.collect(),
        ..ShardSection::default()
    };
    let events = world.step(section, BLOCK_MS).unwrap();
    assert!(is_escalated(&events, Escalation::Objection));
    (0..2).for_each(|_| drop(idle(&mut world)));
    in_vain(&mut world);
    assert_eq!(few(&world).tranche, 1);
    assert_eq!(world.ledger.pending().count(), 2);
    let newest = few(&world).newest;
    let events = say(&mut world, newest.iter(), true);
    let finals = events
        .iter()
        .filter(|one| matches!(one, LedgerEvent::Final(..)));
    assert_eq!(finals.count(), 2);
}

#[test]
fn another_epoch_draws_anew() {
    let mut world = drawn(GOOD);
    let before = few(&world).clone();
    say(&mut world, before.all.iter().take(2), true);
    let (ledger, events) = world.ledger.begin_epoch(10).unwrap();
    assert_eq!(events, []);
    world.ledger = ledger;
    (0..3).for_each(|_| drop(idle(&mut world)));
    let after = few(&world);
    assert_ne!(after.seed, before.seed);
    assert!(world.ledger.pending().next().unwrap().valid.is_empty());
}

#[test]
fn while_a_third_is_silent_everything_becomes_final() {
    for silent in [[0, 1, 2], [3, 6, 9], [7, 8, 9]] {
        let mut world = World::after(rules(), &[1], 2);
        let mut waits = Vec::new();
        for _ in 0..30 {
            world.back(world.candidate(1, 0, GOOD)).unwrap();
            let begun = world.ledger.height();
            while world.ledger.pending().next().is_some() {
                let there = world.all().filter(|one| !silent.contains(one));
                let there: Vec<u16> = there.collect();
                let new = there.into_iter().map(|one| world.honest(one, true));
                let new: Vec<_> = new
                    .filter(|vote| world.draft().count(vote).is_ok())
                    .collect();
                let section = ShardSection {
                    votes: new,
                    ..ShardSection::default()
                };
                world.step(section, BLOCK_MS).unwrap();
            }
            waits.push(world.ledger.height() - begun);
        }
        println!("silent {silent:?}: {waits:?}");
        let finalized = world.ledger.shards().next().unwrap().1.finalized().number;
        assert_eq!(finalized, 30);
        // Inclusion, the seed, and the word of the first few; or of all who come after them.
        let longest = 5 + 3 * (ANSWER_BLOCKS + 1);
        assert!(waits.iter().all(|wait| *wait <= longest));
        // Those who are not there are soon asked no more.
        let quick = waits.iter().filter(|wait| **wait <= 5).count();
        assert!(quick >= 15, "{quick}");
    }
}

#[test]
fn rules_that_choose_nobody_or_too_many_are_refused() {
    for (checkers, seed_blocks) in [(0, 1), (11, 1), (3, 0), (3, 1_025)] {
        let rules = LedgerRules {
            approval: Approval::Sampled {
                checkers,
                seed_blocks,
                no_show_ms: 0,
            },
            ..rules()
        };
        assert!(rules.check().is_err());
    }
    assert_eq!(LedgerRules::sampled(100, 30).check(), Ok(()));
}
