//! The life of candidates, block by block, and rules R2 to R7 in it.

use super::world::{BLOCK_MS, GONE, GOOD, World};
use crate::ledger::{CountFault, Discard, LedgerEvent, LedgerRules, SectionFault};
use primitives::shard::{Bits, ShardId, ShardSection, Votes};

fn world(cores: &[u16]) -> World {
    World::after(LedgerRules::asynchronous(4), cores, 2)
}

/// What happened, in words: the number of a block, and what became of it.
fn told(events: &[LedgerEvent]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            LedgerEvent::Backed(one) => format!("{} backed", one.number),
            LedgerEvent::Included(one) => format!("{} included", one.number),
            LedgerEvent::Final(one, _) => format!("{} final", one.number),
            LedgerEvent::Discarded(one, why) => format!("{} {why:?}", one.number),
            other => format!("{other:?}"),
        })
        .collect()
}

/// A block of votes that say this of all that is pending.
fn say(world: &mut World, held: &[u16], valid: &[u16]) -> Vec<String> {
    let places: Bits = world
        .ledger
        .pending()
        .map(|one| usize::from(one.place))
        .collect();
    let votes = world.all().filter_map(|validator| {
        let of = |who: &[u16]| {
            if who.contains(&validator) {
                places
            } else {
                Bits::EMPTY
            }
        };
        let votes = Votes {
            height: world.ledger.height(),
            held: of(held),
            valid: of(valid),
            invalid: Bits::EMPTY,
        };
        votes.check().is_ok().then(|| world.vote(validator, votes))
    });
    let section = ShardSection {
        votes: votes.collect(),
        ..ShardSection::default()
    };
    told(&world.step(section, BLOCK_MS).unwrap())
}

fn back(world: &mut World, core: u16) -> Vec<String> {
    told(&world.back(world.candidate(1, core, GOOD)).unwrap())
}

#[test]
fn r2_r3_r4_a_life() {
    let mut world = world(&[1]);
    assert_eq!(back(&mut world, 0), ["1 backed"]);
    assert!(say(&mut world, &[0, 1], &[]).is_empty());
    assert_eq!(say(&mut world, &[2], &[0, 1]), ["1 included"]);
    let head = world.ledger.pending().next().unwrap().head();
    assert_eq!(world.ledger.shard(ShardId(1)).unwrap().included(), head);
    assert_eq!(say(&mut world, &[], &[3]), ["1 final"]);
    let segment = world.ledger.shard(ShardId(1)).unwrap();
    assert_eq!(segment.finalized(), &head);
    assert_eq!(segment.pending().len(), 0);
    assert_eq!(back(&mut world, 0), ["2 backed"]);
}

#[test]
fn r2_a_vote_counts_once() {
    let mut world = world(&[1]);
    back(&mut world, 0);
    assert!(say(&mut world, &[0, 1], &[]).is_empty());
    // Said anew about a later ledger, it adds nothing: the block would be invalid.
    let again = world.honest(0, false);
    assert!(world.draft().count(&again).is_err());
    assert_eq!(world.ledger.pending().next().unwrap().held.count(), 2);
}

#[test]
fn r3_r4_in_order_over_several_cores() {
    let mut world = world(&[2]);
    let mut draft = world.draft();
    draft.settle();
    let mut section = ShardSection::default();
    for core in 0..2 {
        let one = world.backed(world.candidate_on(draft.ledger(), 1, core, GOOD));
        draft.back(&one).unwrap();
        section.backed.push(one);
    }
    let events = world.step(section, BLOCK_MS).unwrap();
    assert_eq!(told(&events), ["1 backed", "2 backed"]);
    // The second is held and approved by all; the first by nobody yet.
    let second = usize::from(world.ledger.pending().nth(1).unwrap().place);
    let votes = Votes {
        height: world.ledger.height(),
        held: [second].into_iter().collect(),
        valid: [second].into_iter().collect(),
        invalid: Bits::EMPTY,
    };
    let section = ShardSection {
        votes: world.all().map(|one| world.vote(one, votes)).collect(),
        ..ShardSection::default()
    };
    assert_eq!(world.step(section, BLOCK_MS).unwrap(), []);
    assert_eq!(
        say(&mut world, &[0, 1, 2], &[]),
        ["1 included", "2 included"]
    );
    assert_eq!(say(&mut world, &[], &[0, 1, 2]), ["1 final", "2 final"]);
}

#[test]
fn r4_approved_and_not_held_is_not_final() {
    let mut world = world(&[1]);
    back(&mut world, 0);
    assert!(say(&mut world, &[0, 1], &[0, 1, 2, 3]).is_empty());
    assert_eq!(say(&mut world, &[2], &[]), ["1 included", "1 final"]);
}

#[test]
fn r5_without_chunks_it_goes_with_all_that_follows() {
    let mut world = world(&[1]);
    back(&mut world, 0);
    say(&mut world, &[0, 1, 2], &[]);
    back(&mut world, 0);
    back(&mut world, 0);
    let events = told(&world.wait(BLOCK_MS));
    assert_eq!(events, ["2 Unavailable", "3 Descendant"]);
    assert_eq!(world.ledger.pending().count(), 1);
    // A discarded candidate's number is free again.
    assert_eq!(back(&mut world, 0), ["2 backed"]);
}

#[test]
fn r5_a_leader_with_a_fast_clock_discards_nothing() {
    let mut world = world(&[1]);
    back(&mut world, 0);
    let blocks = world.ledger.rules().deadline_blocks;
    for _ in 1..blocks {
        let events = world.step(ShardSection::default(), 60_000).unwrap();
        assert_eq!(events, []);
    }
    // Votes of the last block before the deadline still count.
    let mut late = world.clone();
    assert_eq!(
        told(&late.step(late.votes(0..3), BLOCK_MS).unwrap()),
        ["1 included", "1 final"]
    );
    let events = world.step(ShardSection::default(), 0).unwrap();
    assert_eq!(told(&events), ["1 Unavailable"]);
}

#[test]
fn r5_undecided_ones_go_and_nobody_is_struck() {
    let mut world = world(&[1]);
    back(&mut world, 0);
    say(&mut world, &[0, 1, 2], &[0, 1]);
    let events = told(&world.wait(1_000));
    assert_eq!(events, ["1 Undecided"]);
    let segment = world.ledger.shard(ShardId(1)).unwrap();
    assert_eq!(segment.penalties().len(), 0);
}

#[test]
fn r5_a_slow_predecessor_is_no_fault_of_those_who_follow() {
    let mut world = world(&[1]);
    back(&mut world, 0);
    let (one, two) = (Bits::below(2), [2, 3].into_iter().collect());
    assert_eq!(world.ledger.pending().next().unwrap().backers, one);
    let backed = world.backed_by(world.candidate(1, 0, GOOD), two);
    let section = ShardSection {
        backed: vec![backed],
        ..ShardSection::default()
    };
    world.step(section, BLOCK_MS).unwrap();
    assert_eq!(
        told(&world.wait(BLOCK_MS)),
        ["1 Unavailable", "2 Descendant"]
    );
    let segment = world.ledger.shard(ShardId(1)).unwrap();
    let struck: Vec<_> = segment.penalties().map(|(one, _)| one).collect();
    assert_eq!(struck, [0, 1]);
}

#[test]
fn r6_put_forward_again_unchanged() {
    let mut world = world(&[1]);
    let first = world.candidate(1, 0, GOOD);
    world.back(first.clone()).unwrap();
    let old = world.ledger.pending().next().unwrap().clone();
    let vote = world.honest(3, true);
    world.wait(BLOCK_MS);
    // The old envelope is out of its window; its signatures can't be used to strike their makers again.
    let error = world.back(first.clone()).unwrap_err();
    assert!(matches!(error, SectionFault::Backed { .. }));
    let again = world.again(&first, 0);
    assert_eq!(again.descriptor, first.descriptor);
    world.back(again).unwrap();
    let new = world.ledger.pending().next().unwrap().clone();
    assert_eq!((new.candidate, new.place), (old.candidate, old.place));
    assert_ne!(new.sequence, old.sequence);
    // What was said about the old envelope's chunks is not said about the new one's.
    assert!(world.draft().count(&vote).is_err());
    assert_eq!(
        say(&mut world, &[0, 1, 2], &[0, 1, 2]),
        ["1 included", "1 final"]
    );
    // Final once is final for ever: it can't enter a third time.
    assert!(world.back(world.again(&first, 0)).is_err());
}

#[test]
fn r6_discarded_and_backed_again_in_one_block() {
    let mut world = world(&[1]);
    let first = world.candidate(1, 0, GONE);
    world.back(first.clone()).unwrap();
    for _ in 1..11 {
        world.step(ShardSection::default(), BLOCK_MS).unwrap();
    }
    let vote = Votes {
        height: world.ledger.height(),
        held: Bits::below(1),
        ..Votes::default()
    };
    let section = ShardSection {
        votes: vec![world.vote(3, vote)],
        backed: vec![world.backed_by(world.again(&first, 0), [2, 3].into_iter().collect())],
        ..ShardSection::default()
    };
    let events = told(&world.step(section, BLOCK_MS).unwrap());
    assert_eq!(events, ["1 Unavailable", "1 backed"]);
    // The vote was about what went, not about what came to its place.
    assert!(world.ledger.pending().next().unwrap().held.is_empty());
}

#[test]
fn r7_two_for_one_place_do_not_both_enter() {
    let mut world = world(&[2]);
    let (one, mut two) = (world.candidate(1, 0, GOOD), world.candidate(1, 1, GOOD));
    two.descriptor.gas_used += 1;
    let section = ShardSection {
        backed: vec![world.backed(one.clone()), world.backed(two)],
        ..ShardSection::default()
    };
    assert!(world.step(section, BLOCK_MS).is_err());
    world.back(one).unwrap();
}

#[test]
fn one_vote_names_everything_however_far_sequences_spread() {
    let mut world = world(&[1, 1]);
    back(&mut world, 0);
    say(&mut world, &[0, 1, 2], &[]);
    let rules = world.ledger.rules().clone();
    for _ in 0..300 {
        // The first shard's candidate waits for its verdict while the other shard runs ahead.
        let events = world.back(world.candidate(2, 1, GOOD)).unwrap();
        assert_eq!(events.len(), 1);
        let fast = world.ledger.pending().nth(1).unwrap().place;
        let votes = Votes {
            height: world.ledger.height(),
            held: [usize::from(fast)].into_iter().collect(),
            valid: [usize::from(fast)].into_iter().collect(),
            invalid: Bits::EMPTY,
        };
        let section = ShardSection {
            votes: (0..3).map(|one| world.vote(one, votes)).collect(),
            ..ShardSection::default()
        };
        world.step(section, 0).unwrap();
        world.ledger.timestamp_ms -= BLOCK_MS;
    }
    assert!(rules.validators < 5 && world.ledger.next_sequence > 300);
    assert_eq!(say(&mut world, &[], &[0, 1, 2]), ["1 final"]);
}

#[test]
fn penalties_double_and_are_forgiven() {
    let mut world = world(&[1]);
    let mut until = Vec::new();
    for _ in 0..3 {
        let envelope = world.candidate(1, 0, GONE);
        let section = ShardSection {
            backed: vec![world.backed_by(envelope, [1, 2, 3].into_iter().collect())],
            ..ShardSection::default()
        };
        // Until their strikes are over, one of the three is set aside.
        while world.outcome(section.clone(), &[], 0).is_err() {
            let mut fresh = section.clone();
            fresh.backed[0].envelope.schedule.height = world.ledger.height();
            if world.outcome(fresh.clone(), &[], 0).is_ok() {
                break;
            }
            world.step(ShardSection::default(), BLOCK_MS).unwrap();
        }
        let envelope = world.again(&section.backed[0].envelope, 0);
        let backed = world.backed_by(envelope, [1, 2, 3].into_iter().collect());
        let section = ShardSection {
            backed: vec![backed],
            ..ShardSection::default()
        };
        world.step(section, BLOCK_MS).unwrap();
        assert_eq!(told(&world.wait(BLOCK_MS)), ["1 Unavailable"]);
        let segment = world.ledger.shard(ShardId(1)).unwrap();
        let (_, penalty) = segment.penalties().next().unwrap();
        until.push((penalty.strikes, penalty.until - world.ledger.height()));
    }
    assert_eq!(until, [(1, 16), (2, 32), (3, 64)]);
    // One of them is set aside, not all three: the shard goes on, and what it finishes forgives its backers.
    let segment = world.ledger.shard(ShardId(1)).unwrap();
    let aside = segment.set_aside(&Bits::below(4), world.ledger.height() + 1);
    assert_eq!(aside, [1].into_iter().collect());
    for _ in 0..64 {
        world.step(ShardSection::default(), BLOCK_MS).unwrap();
    }
    let backed = world.backed_by(world.candidate(1, 0, GOOD), [1, 2].into_iter().collect());
    let section = ShardSection {
        backed: vec![backed],
        ..ShardSection::default()
    };
    world.step(section, BLOCK_MS).unwrap();
    say(&mut world, &[0, 1, 2], &[0, 1, 2]);
    let segment = world.ledger.shard(ShardId(1)).unwrap();
    let struck: Vec<_> = segment.penalties().map(|(one, _)| one).collect();
    assert_eq!(struck, [3]);
    for _ in 0..128 {
        world.step(ShardSection::default(), BLOCK_MS).unwrap();
    }
    let segment = world.ledger.shard(ShardId(1)).unwrap();
    assert_eq!(segment.penalties().len(), 0);
}

#[test]
fn strikes_never_stop_a_shard() {
    for validators in [1, 2, 3, 4, 5, 7, 10] {
        let mut world = World::after(LedgerRules::asynchronous(validators), &[1], 2);
        for _ in 0..20 {
            world.back(world.candidate(1, 0, GONE)).unwrap();
            assert_eq!(told(&world.wait(BLOCK_MS)), ["1 Unavailable"]);
        }
        world.back(world.candidate(1, 0, GOOD)).unwrap();
        let events = world.step(world.votes(world.all()), BLOCK_MS).unwrap();
        assert_eq!(told(&events), ["1 included", "1 final"]);
    }
}

#[test]
fn an_epoch_begins() {
    let mut world = world(&[2]);
    back(&mut world, 0);
    say(&mut world, &[0, 1, 2], &[0, 1]);
    back(&mut world, 0);
    back(&mut world, 1);
    let dropped = world.ledger.pending().nth(1).unwrap().envelope.clone();
    let mut vote = world.honest(2, true);
    vote.votes.height -= 1;
    world.ledger.timestamp_ms += 19_000;
    let (next, events) = world.ledger.begin_epoch(7).unwrap();
    assert_eq!(told(&events), ["2 Epoch", "3 Epoch"]);
    assert_ne!(next.digest(), world.ledger.digest());
    assert_eq!((next.epoch(), next.rules().validators), (1, 7));
    assert_eq!(
        events[0],
        LedgerEvent::Discarded(
            world.ledger.pending().nth(1).unwrap().named(),
            Discard::Epoch
        )
    );
    world.ledger = next;
    // The new validators' approval counts, in their own time; the old ones' is not counted with it.
    world.step(ShardSection::default(), 19_000).unwrap();
    for _ in 0..8 {
        world.step(ShardSection::default(), 0).unwrap();
    }
    let kept = world.ledger.pending().next().unwrap();
    assert!(kept.is_included() && kept.valid.is_empty());
    // An index may be another's now.
    let late = world.draft().count(&vote);
    assert!(matches!(late, Err(CountFault::Height { .. })));
    assert!(say(&mut world, &[], &[0, 1, 2, 3]).is_empty());
    assert_eq!(say(&mut world, &[], &[5]), ["1 final"]);
    // What was dropped comes back in an envelope for the new validators, and in no other.
    let mut old = world.again(&dropped, 0);
    old.coding = dropped.coding;
    assert!(world.back(old).is_err());
    world.back(world.again(&dropped, 0)).unwrap();
    assert_eq!(
        say(&mut world, &[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4]),
        ["2 included", "2 final"]
    );
    assert!(world.ledger.begin_epoch(0).is_err());
    assert!(world.ledger.begin_epoch(257).is_err());
}

/// Blocks that a vote is on its way at most.
const LATE: usize = 3;

/// I8: with an honest collator and honest validators whose votes are some blocks late, every candidate is final
/// as many blocks after it was backed.
#[test]
fn i8_progress() {
    for validators in [1, 2, 3, 4, 7, 10] {
        for cores in [1, 3] {
            progress(validators, cores);
        }
    }
}

fn progress(validators: u16, cores: u16) {
    let mut world = World::after(LedgerRules::asynchronous(validators), &[cores], 1);
    let mut queue: Vec<(usize, _)> = Vec::new();
    let mut waiting = std::collections::VecDeque::new();
    for block in 0..60_usize {
        for validator in world.all() {
            let late = (block * 7 + usize::from(validator) * 5) % LATE;
            queue.push((block + late, world.honest(validator, true)));
        }
        let mut draft = world.draft();
        let mut section = ShardSection::default();
        for (due, vote) in &queue {
            if *due == block && draft.count(vote).is_ok() {
                section.votes.push(vote.clone());
            }
        }
        queue.retain(|(due, _)| *due > block);
        draft.settle();
        for core in 0..cores {
            let one = world.backed(world.candidate_on(draft.ledger(), 1, core, GOOD));
            draft.back(&one).expect("there is always room");
            section.backed.push(one);
        }
        for event in world.step(section, BLOCK_MS).unwrap() {
            match event {
                LedgerEvent::Backed(one) => waiting.push_back((one.sequence, block)),
                LedgerEvent::Final(one, _) => {
                    let (sequence, backed) = waiting.pop_front().unwrap();
                    assert_eq!(sequence, one.sequence);
                    assert!(block - backed <= LATE, "validators={validators}");
                }
                LedgerEvent::Included(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(waiting.len() <= LATE * usize::from(cores));
    }
}
