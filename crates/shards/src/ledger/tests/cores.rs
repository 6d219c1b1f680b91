//! Cores that follow load: who has them, which schedules are good while they move, and that they never bring more
//! pending than there is room for.

use super::world::{BLOCK_MS, GOOD, World, terms};
use crate::ledger::{
    BackedFault, Ledger, LedgerEvent, LedgerRules, OrderKind, Refusal, SectionFault, ShardOrder,
};
use primitives::shard::{Envelope, Schedule, ShardId, ShardSection, charter::digest};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);
const FULL: u64 = 30_000_000;

fn rules(all: u16) -> LedgerRules {
    LedgerRules {
        cores: Some(all),
        allocation_blocks: 4,
        schedule_window: 3,
        ..LedgerRules::asynchronous(4)
    }
}

/// A block with everybody's votes, if they are asked for, and candidates of so much gas on every core of these shards
/// that takes one.
fn block(world: &mut World, loads: &[(ShardId, u64)], votes: bool) -> Vec<LedgerEvent> {
    let mut draft = world.draft();
    let mut section = match votes {
        true => world.votes(world.all()),
        false => ShardSection::default(),
    };
    for vote in &section.votes {
        draft.count(vote).unwrap();
    }
    draft.settle();
    for (core, owner) in (0..).zip(world.ledger.cores()) {
        let Some((shard, gas_used)) = loads.iter().find(|(shard, _)| *owner == Some(*shard)) else {
            continue;
        };
        let mut one = world.candidate_on(draft.ledger(), shard.0, core, GOOD);
        one.descriptor.gas_used = *gas_used;
        let one = world.backed(one);
        if draft.back(&one).is_ok() {
            section.backed.push(one);
        }
    }
    world.step(section, BLOCK_MS).unwrap()
}

fn run(world: &mut World, busy: &[ShardId], blocks: usize) {
    let loads: Vec<_> = busy.iter().map(|shard| (*shard, FULL)).collect();
    for _ in 0..blocks {
        block(world, &loads, true);
    }
}

fn of(ledger: &Ledger) -> [usize; 2] {
    [ONE, TWO].map(|shard| ledger.cores_of(shard))
}

fn scheduled(mut envelope: Envelope, core: u16, height: u64) -> Envelope {
    envelope.schedule = Schedule { core, height };
    envelope
}

/// Whether a candidate on a shard's newest block could be backed now, if it was scheduled so.
fn tried(world: &World, shard: ShardId, core: u16, height: u64) -> Result<(), BackedFault> {
    let mut draft = world.draft();
    draft.settle();
    let one = scheduled(world.candidate(shard.0, core, GOOD), core, height);
    draft.back(&world.backed(one))
}

#[test]
fn cores_come_with_load_and_go_with_it() {
    let mut world = World::new(rules(4), &[1, 1]);
    run(&mut world, &[ONE], 3);
    assert_eq!(of(&world.ledger), [1, 1]);
    let events = block(&mut world, &[(ONE, FULL)], true);
    let moved = LedgerEvent::Moved {
        core: 2,
        from: None,
        to: Some(ONE),
    };
    assert_eq!(events.last(), Some(&moved));
    assert_eq!(of(&world.ledger), [2, 1]);
    run(&mut world, &[ONE], 8);
    assert_eq!(of(&world.ledger), [3, 1]);
    // The other one's load takes what is headroom, and no more.
    run(&mut world, &[ONE, TWO], 40);
    assert_eq!(of(&world.ledger), [2, 2]);
    run(&mut world, &[TWO], 40);
    assert_eq!(of(&world.ledger), [1, 3]);
    run(&mut world, &[], 40);
    assert_eq!(of(&world.ledger), [1, 1]);
}

#[test]
fn no_shard_gets_more_than_it_may() {
    let mut world = World::new(rules(4), &[1, 1]);
    let terms = crate::ledger::ShardTerms {
        cores_max: 2,
        ..terms()
    };
    let order = ShardOrder::Create {
        shard: ShardId(7),
        terms,
        cores: 1,
    };
    world
        .step_with(ShardSection::default(), &[order], BLOCK_MS)
        .unwrap();
    run(&mut world, &[ShardId(7)], 43);
    assert_eq!(world.ledger.cores_of(ShardId(7)), 2);
}

/// Shard 1 has three of four cores and loses some of them while shard 2 has the load; the height at which core 2
/// changes hands.
fn before_a_move() -> (World, u64) {
    let mut world = World::new(rules(4), &[1, 1]);
    run(&mut world, &[ONE], 20);
    assert_eq!(world.ledger.core_owner(3, 20), Some(ONE));
    let mut ahead = world.clone();
    while ahead.ledger.cores()[3] == Some(ONE) {
        run(&mut ahead, &[TWO], 1);
    }
    let height = ahead.ledger.height();
    run(&mut world, &[TWO], usize::try_from(height - 21).unwrap());
    (world, height)
}

#[test]
fn r1_core_at_the_height_of_the_schedule() {
    let (mut world, height) = before_a_move();
    run(&mut world, &[TWO], 1);
    assert_eq!(world.ledger.height(), height);
    let owner = world.ledger.cores()[3];
    assert_eq!(owner, Some(TWO), "it moved at {height}");
    // Good under the assignment of its height, and bad under the other.
    assert_eq!(tried(&world, ONE, 3, height - 1), Ok(()));
    assert_eq!(tried(&world, ONE, 3, height), Err(BackedFault::Core(3)));
    assert_eq!(tried(&world, TWO, 3, height - 1), Err(BackedFault::Core(3)));
    assert_eq!(tried(&world, TWO, 3, height), Ok(()));
    // As long as such schedules are legal.
    run(&mut world, &[], 2);
    assert_eq!(tried(&world, ONE, 3, height), Err(BackedFault::Core(3)));
    assert_eq!(tried(&world, TWO, 3, height), Ok(()));
    run(&mut world, &[], 1);
    let (from, to) = (height + 1, height + 3);
    let fault = BackedFault::Schedule { height, from, to };
    assert_eq!(tried(&world, TWO, 3, height), Err(fault));
}

#[test]
fn what_is_pending_on_a_core_that_moved_stays_and_takes_its_room() {
    let (mut world, height) = before_a_move();
    // Its last block has one of shard 1, and nobody votes after it.
    let events = block(&mut world, &[(ONE, 0), (TWO, FULL)], true);
    let moved = LedgerEvent::Moved {
        core: 3,
        from: Some(ONE),
        to: Some(TWO),
    };
    assert!(events.contains(&moved) && world.ledger.height() == height);
    let on_it = |world: &World| {
        let pending = world.ledger.pending();
        let own = pending.filter(|one| one.envelope.schedule.core == 3);
        own.map(|one| one.envelope.descriptor.shard)
            .collect::<Vec<_>>()
    };
    assert_eq!(on_it(&world), [ONE]);
    let newest = world.ledger.shard(ONE).unwrap().newest();
    // Three wait for their chunks at most: two of shard 2 now.
    for _ in 0..2 {
        world.back(world.candidate(2, 3, GOOD)).unwrap();
    }
    let error = world.back(world.candidate(2, 3, GOOD)).unwrap_err();
    let fault = BackedFault::Occupied(3);
    assert_eq!(error, SectionFault::Backed { index: 0, fault });
    let votes = world.votes(world.all());
    assert_eq!(on_it(&world), [ONE, TWO, TWO]);
    world.step(votes, BLOCK_MS).unwrap();
    assert_eq!(world.ledger.pending().count(), 0);
    assert_eq!(world.ledger.shard(ONE).unwrap().finalized(), &newest);
    world.back(world.candidate(2, 3, GOOD)).unwrap();
}

#[test]
fn r1_room_is_that_of_the_cores_of_now() {
    let (mut world, height) = before_a_move();
    // On all its cores, before it loses one; nobody votes.
    let had = world.ledger.cores_of(ONE);
    block(&mut world, &[(ONE, 0), (TWO, FULL)], true);
    assert_eq!(world.ledger.height(), height);
    let has = world.ledger.cores_of(ONE);
    assert!(has < had);
    world.ledger.rules = std::sync::Arc::new(LedgerRules {
        segment_max: 1,
        core_depth: 1,
        ..world.ledger.rules().clone()
    });
    let fault = BackedFault::SegmentFull {
        pending: had,
        max: has,
    };
    assert_eq!(tried(&world, ONE, 3, height - 1), Err(fault));
}

#[test]
fn a_paused_shard_loses_its_cores_and_finishes() {
    let mut world = World::new(
        LedgerRules {
            segment_max: 64,
            core_depth: 64,
            deadline_blocks: 1_024,
            ..rules(4)
        },
        &[3, 1],
    );
    // As much as there is room for, and nobody votes.
    for _ in 0..64 {
        block(&mut world, &[(ONE, FULL)], false);
    }
    assert_eq!(of(&world.ledger), [3, 1]);
    assert_eq!(world.ledger.pending().count(), 192);
    let order = [ShardOrder::Pause(ONE)];
    world
        .step_with(ShardSection::default(), &order, BLOCK_MS)
        .unwrap();
    for _ in 0..40 {
        block(&mut world, &[(TWO, FULL)], false);
    }
    // The other one's load brings it a core, on which there is no room yet.
    assert_eq!(of(&world.ledger), [0, 2]);
    let height = world.ledger.height();
    assert_eq!(world.ledger.core_owner(0, height), Some(TWO));
    assert_eq!(tried(&world, TWO, 0, height), Err(BackedFault::Occupied(0)));
    for _ in 0..40 {
        block(&mut world, &[(TWO, FULL)], false);
    }
    // Every place is taken, and none was missing.
    assert_eq!(world.ledger.pending().count(), 256);
    let votes = world.votes(world.all());
    world.step(votes, BLOCK_MS).unwrap();
    assert_eq!(world.ledger.pending().count(), 0);
    world
        .step_with(
            ShardSection::default(),
            &[ShardOrder::Resume(ONE)],
            BLOCK_MS,
        )
        .unwrap();
    run(&mut world, &[], 4);
    let owners = world.ledger.cores().iter();
    let own = (0..).zip(owners).filter(|(_, owner)| **owner == Some(ONE));
    let own: Vec<u16> = own.map(|(core, _)| core).collect();
    assert_eq!(own.len(), 1);
    world.back(world.candidate(1, own[0], GOOD)).unwrap();
}

#[test]
fn a_new_shard_gets_what_is_free_and_then_its_part() {
    let mut world = World::new(rules(3), &[1, 1]);
    let create = |shard: u32| ShardOrder::Create {
        shard: ShardId(shard),
        terms: terms(),
        cores: 2,
    };
    let orders = [create(3), create(4)];
    let events = world
        .step_with(ShardSection::default(), &orders, BLOCK_MS)
        .unwrap();
    let done = |shard| LedgerEvent::Ordered(ShardId(shard), OrderKind::Create);
    assert_eq!(events, [done(3), done(4)]);
    let has = |world: &World, shard| world.ledger.cores_of(ShardId(shard));
    assert_eq!((has(&world, 3), has(&world, 4)), (1, 0));
    // Three cores for four shards go round.
    let mut turns = [0; 4];
    for _ in 0..64 {
        run(&mut world, &[], 4);
        for shard in 1..=4_u32 {
            turns[usize::try_from(shard - 1).unwrap()] += has(&world, shard);
        }
    }
    assert_eq!(turns, [48; 4]);
    // A retired one's go to the others.
    world
        .step_with(
            ShardSection::default(),
            &[ShardOrder::Retire(ONE)],
            BLOCK_MS,
        )
        .unwrap();
    run(&mut world, &[], 8);
    assert_eq!([1, 2, 3, 4].map(|shard| has(&world, shard)), [0, 1, 1, 1]);
}

#[test]
fn without_a_number_of_cores_they_stay() {
    let mut world = World::new(
        LedgerRules {
            cores: None,
            ..rules(4)
        },
        &[2, 1],
    );
    run(&mut world, &[TWO], 40);
    assert_eq!(of(&world.ledger), [2, 1]);
    let create = ShardOrder::Create {
        shard: ShardId(3),
        terms: terms(),
        cores: 62,
    };
    let events = world
        .step_with(ShardSection::default(), &[create], BLOCK_MS)
        .unwrap();
    let refusal = Refusal::Cores {
        wanted: 62,
        free: 61,
    };
    assert_eq!(
        events,
        [LedgerEvent::Refused(ShardId(3), OrderKind::Create, refusal)]
    );
}

/// What a candidate could have used is what the rules of its anchor allow.
#[test]
fn loads_are_measured_by_the_gas_limit_of_the_anchor() {
    let rules = LedgerRules {
        anchor_window: 4,
        allocation_blocks: 1_000,
        ..rules(4)
    };
    let mut world = World::new(rules, &[1]);
    let charter = alloy_primitives::Bytes::from_static(&[0, 0, 0, 2]);
    let upgrade = ShardOrder::Upgrade {
        shard: ONE,
        charter: charter.clone(),
        gas_limit: 2 * FULL,
        height: 8,
    };
    world
        .step_with(ShardSection::default(), &[upgrade], BLOCK_MS)
        .unwrap();
    run(&mut world, &[], 8);
    let mut full = world.candidate(ONE.0, 0, GOOD);
    full.descriptor.rules = digest(&charter);
    full.descriptor.gas_used = 2 * FULL;
    world.back(full).unwrap();
    // What was seen of the last shard: gas used, gas limit, and three counts.
    let memory = world.ledger.cores.memory();
    let (_, seen) = memory.split_last_chunk::<28>().unwrap();
    let expected = [(2 * FULL).to_be_bytes(), (2 * FULL).to_be_bytes()].concat();
    assert_eq!(seen[..16], expected);
}

#[test]
fn groups_are_those_of_the_cores_of_a_height() {
    let mut world = World::after(LedgerRules::asynchronous(40), &[2], 10);
    let before: Vec<_> = (0..2).map(|core| world.ledger.group(core, 10)).collect();
    assert!(before.iter().all(|group| group.count() == 5));
    assert!(
        before[0].without(&before[1]).count() == 5,
        "nobody is in both"
    );
    let create = ShardOrder::Create {
        shard: TWO,
        terms: terms(),
        cores: 9,
    };
    world
        .step_with(ShardSection::default(), &[create], BLOCK_MS)
        .unwrap();
    // What was scheduled before is backed by those who were asked then.
    let then: Vec<_> = (0..2).map(|core| world.ledger.group(core, 10)).collect();
    assert_eq!(then, before);
    assert_eq!(world.ledger.group(10, 10).count(), 0);
    assert_eq!(world.ledger.group(10, 11).count(), 5);
    // Other validators, other groups, though they are as many.
    let (after, _) = world.ledger.begin_epoch(40).unwrap();
    assert_ne!(after.group(0, 11), world.ledger.group(0, 11));
}
