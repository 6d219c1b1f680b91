//! The life of a shard: orders, and those that can't be carried out.

use super::world::{
    BLOCK_MS, GAS_LIMIT, GOOD, RULES, World, carried, charter_of, charter_with, terms,
};
use crate::ledger::{
    BackedFault, Discard, Ledger, LedgerEvent, LedgerRules, ORDERS_MAX, OrderKind, Refusal,
    SectionFault, ShardOrder, ShardTerms, Status,
    rules::{COLLATORS_MAX, SHARDS_MAX},
};
use alloy_primitives::{B256, Bytes};
use commonware_cryptography::Signer as _;
use primitives::{
    crypto::PrivateKey,
    limits::SHARD_GAS_MAX,
    shard::{
        Bits, CHARTER_VERSION, CarriedOrders, Charter, CharterError, ShardId, ShardSection,
        charter::digest,
    },
};
use std::sync::LazyLock;

const ONE: ShardId = ShardId(1);
const NEW: ShardId = ShardId(70);
static OTHER: LazyLock<B256> = LazyLock::new(|| digest(&charter_of(44)));

fn world() -> World {
    World::after(LedgerRules::asynchronous(4), &[1, 2], 10)
}

fn order(world: &mut World, order: ShardOrder) -> Vec<LedgerEvent> {
    world
        .step_with(ShardSection::default(), &[order], BLOCK_MS)
        .unwrap()
}

fn done(world: &mut World, one: ShardOrder) {
    let event = LedgerEvent::Ordered(one.shard(), one.kind());
    assert_eq!(order(world, one), [event]);
}

fn refused(world: &mut World, one: ShardOrder, refusal: Refusal) {
    let event = LedgerEvent::Refused(one.shard(), one.kind(), refusal);
    let shards: Vec<_> = world
        .ledger
        .shards()
        .map(|(_, segment)| segment.clone())
        .collect();
    assert_eq!(order(world, one), [event]);
    let after: Vec<_> = world
        .ledger
        .shards()
        .map(|(_, segment)| segment.clone())
        .collect();
    assert_eq!(after, shards);
}

fn create(cores: u16) -> ShardOrder {
    ShardOrder::Create {
        shard: NEW,
        terms: terms(),
        cores,
    }
}

fn upgrade(height: u64) -> ShardOrder {
    upgrade_to(44, height)
}

fn upgrade_to(chain_id: u64, height: u64) -> ShardOrder {
    ShardOrder::Upgrade {
        shard: ONE,
        charter: charter_of(chain_id),
        gas_limit: GAS_LIMIT,
        height,
    }
}

#[test]
fn created() {
    let mut world = world();
    refused(
        &mut world,
        create(62),
        Refusal::Cores {
            wanted: 62,
            free: 61,
        },
    );
    done(&mut world, create(61));
    refused(&mut world, create(0), Refusal::Taken);
    world.back(world.candidate(NEW.0, 63, GOOD)).unwrap();
    let idle = ShardTerms {
        gas_limit: 0,
        ..terms()
    };
    let order = ShardOrder::Create {
        shard: ShardId(71),
        terms: idle,
        cores: 0,
    };
    refused(&mut world, order, Refusal::Terms("gas_limit"));
}

/// Nobody makes all validators execute more than there is time for.
#[test]
fn no_more_gas_than_there_is_time_for() {
    let mut world = world();
    let of = |gas_limit| ShardOrder::Create {
        shard: NEW,
        terms: ShardTerms {
            charter: charter_with(44, gas_limit),
            rules: digest(&charter_with(44, gas_limit)),
            gas_limit,
            ..terms()
        },
        cores: 1,
    };
    let much = Refusal::Terms("gas_limit");
    refused(&mut world, of(SHARD_GAS_MAX + 1), much);
    refused(&mut world, of(0x3f_ffff_fc00), much);
    let upgrade = |gas_limit, height| ShardOrder::Upgrade {
        shard: ONE,
        charter: charter_with(44, gas_limit),
        gas_limit,
        height,
    };
    let height = world.ledger.height() + 1_000;
    refused(&mut world, upgrade(SHARD_GAS_MAX + 1, height), much);
    done(&mut world, upgrade(SHARD_GAS_MAX, height));
    done(&mut world, of(SHARD_GAS_MAX));
    let terms = ShardTerms {
        gas_limit: SHARD_GAS_MAX + 1,
        ..terms()
    };
    let rules = LedgerRules::asynchronous(4);
    assert!(Ledger::genesis(rules, 0, [(ONE, terms, 1)]).is_err());
}

#[test]
fn as_many_as_may_be() {
    let mut world = world();
    let many: Vec<_> = (100..100 + 300)
        .map(|shard| ShardOrder::Create {
            shard: ShardId(shard),
            terms: terms(),
            cores: 0,
        })
        .collect();
    let crowd = |one: &LedgerEvent, why| matches!(one, LedgerEvent::Refused(_, _, refusal) if *refusal == why);
    let events = world
        .step_with(ShardSection::default(), &many, BLOCK_MS)
        .unwrap();
    let refused = events
        .iter()
        .filter(|one| crowd(one, Refusal::TooMany))
        .count();
    assert_eq!(refused, 300 - ORDERS_MAX);
    for part in many[ORDERS_MAX..].chunks(ORDERS_MAX) {
        world
            .step_with(ShardSection::default(), part, BLOCK_MS)
            .unwrap();
    }
    assert_eq!(world.ledger.shards().len(), SHARDS_MAX);
    let events = self::order(&mut world, create(0));
    assert!(crowd(&events[0], Refusal::Crowded));
}

#[test]
fn paused_and_resumed() {
    let mut world = world();
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    refused(
        &mut world,
        ShardOrder::Resume(ONE),
        Refusal::Status(Status::Active),
    );
    done(&mut world, ShardOrder::Pause(ONE));
    refused(
        &mut world,
        ShardOrder::Pause(ONE),
        Refusal::Status(Status::Paused),
    );
    // What is pending is finished; nothing new is taken.
    let envelope = world.candidate(1, 0, GOOD);
    assert!(world.back(envelope.clone()).is_err());
    world.step(world.votes(0..4), BLOCK_MS).unwrap();
    assert_eq!(
        world.ledger.shard(ONE).unwrap().finalized().hash,
        envelope.descriptor.parent
    );
    done(&mut world, ShardOrder::Resume(ONE));
    world.back(world.candidate(1, 0, GOOD)).unwrap();
}

#[test]
fn retired() {
    let mut world = world();
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    let vote = world.honest(0, true);
    let named = world.ledger.pending().next().unwrap().named();
    let events = order(&mut world, ShardOrder::Retire(ONE));
    let expected = [
        LedgerEvent::Discarded(named, Discard::Retired),
        LedgerEvent::Ordered(ONE, OrderKind::Retire),
    ];
    assert_eq!(events, expected);
    assert_eq!(world.ledger.cores()[0], None);
    assert!(world.draft().count(&vote).is_err());
    let over = Refusal::Status(Status::Retired);
    for one in [
        ShardOrder::Resume(ONE),
        ShardOrder::Pause(ONE),
        ShardOrder::Retire(ONE),
        upgrade(1_000),
    ] {
        refused(&mut world, one, over);
    }
    refused(&mut world, ShardOrder::Pause(ShardId(9)), Refusal::Unknown);
    let again = ShardOrder::Create {
        shard: ONE,
        terms: terms(),
        cores: 1,
    };
    refused(&mut world, again, Refusal::Taken);
    // Its core is somebody else's now.
    done(&mut world, create(1));
    world.back(world.candidate(NEW.0, 0, GOOD)).unwrap();
}

#[test]
fn collators() {
    let mut world = world();
    let of = |collators| ShardOrder::Collators {
        shard: ONE,
        collators,
    };
    let key = PrivateKey::from_seed(5).public_key();
    // More than a shard can have are not even read.
    let crowd = of(vec![key.clone(); COLLATORS_MAX + 1]);
    let unread = LedgerEvent::Refused(ONE, OrderKind::Unreadable, Refusal::Unreadable);
    assert_eq!(order(&mut world, crowd), [unread]);
    done(&mut world, of(vec![key.clone(); COLLATORS_MAX]));
    done(&mut world, of(vec![key.clone()]));
    let mut envelope = world.candidate(1, 0, GOOD);
    assert!(world.back(envelope.clone()).is_err());
    envelope.descriptor.collator = key;
    world.back(envelope).unwrap();
    done(&mut world, of(Vec::new()));
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    // The other shard's terms are its own.
    assert_eq!(world.ledger.shard(ShardId(2)).unwrap().terms(), &terms());
}

/// The rules follow from the anchor alone, whenever a candidate is put forward, and however often.
#[test]
fn upgraded() {
    let rules = LedgerRules {
        anchor_window: 4,
        ..LedgerRules::asynchronous(4)
    };
    let mut world = World::after(rules, &[1], 10);
    let now = world.ledger.height() + 1;
    let soon = Refusal::Soon {
        height: now + 3,
        from: now + 4,
    };
    refused(&mut world, upgrade(now + 3), soon);
    let height = now + 10;
    done(&mut world, upgrade(height));
    // While it is far away it can be put off.
    done(&mut world, upgrade(height + 1));
    let height = height + 1;
    while world.ledger.height() < height {
        world.step(ShardSection::default(), BLOCK_MS).unwrap();
    }
    let waiting = Refusal::Waiting(height);
    let next = upgrade(world.ledger.height() + 20);
    refused(&mut world, next, waiting);
    let mut draft = world.draft();
    draft.settle();
    let check = |anchor: u64, rules, expected| {
        let mut envelope = world.candidate(1, 0, GOOD);
        envelope.descriptor.anchor = world.anchor(anchor);
        envelope.descriptor.rules = rules;
        let said = draft
            .clone()
            .back(&world.backed_by(envelope, Bits::below(4)));
        assert_eq!(said, expected, "anchor={anchor}");
    };
    check(height - 1, *RULES, Ok(()));
    check(height - 1, *OTHER, Err(BackedFault::Rules));
    check(height, *RULES, Err(BackedFault::Rules));
    check(height, *OTHER, Ok(()));
    for _ in 0..4 {
        world.step(ShardSection::default(), BLOCK_MS).unwrap();
    }
    let third = upgrade_to(45, world.ledger.height() + 20);
    done(&mut world, third);
    let segment = world.ledger.shard(ONE).unwrap();
    assert_eq!(segment.rules_at(world.ledger.height()), *OTHER);
    assert_eq!(segment.rules_at(u64::MAX), digest(&charter_of(45)));
}

#[test]
fn orders_come_before_candidates() {
    let mut world = world();
    let section = ShardSection {
        backed: vec![world.backed(world.candidate(1, 0, GOOD))],
        ..ShardSection::default()
    };
    let orders = [ShardOrder::Pause(ONE), ShardOrder::Resume(ONE)];
    assert!(world.outcome(section.clone(), &orders[..1], 0).is_err());
    let events = world.step_with(section, &orders, BLOCK_MS).unwrap();
    assert_eq!(events.len(), 3);
}

/// What a chain with fewer words for it can't read is refused alike by all, and what only a later version can say
/// is taken as it is.
#[test]
fn charters() {
    let mut world = world();
    let with = |charter: Bytes, gas_limit| ShardOrder::Create {
        shard: NEW,
        terms: ShardTerms {
            rules: digest(&charter),
            charter,
            gas_limit,
            ..terms()
        },
        cores: 1,
    };
    let mut newer = charter_of(3).to_vec();
    newer[3] = u8::try_from(CHARTER_VERSION + 1).unwrap();
    let longer = [charter_of(3).as_ref(), &[0]].concat();
    for wrong in [
        with(Bytes::new(), GAS_LIMIT),
        with(longer.into(), GAS_LIMIT),
        with(charter_of(3), GAS_LIMIT + 1),
    ] {
        refused(&mut world, wrong, Refusal::Charter);
    }
    let height = world.ledger.height() + 1_000;
    let wrong = ShardOrder::Upgrade {
        shard: ONE,
        charter: charter_of(3),
        gas_limit: GAS_LIMIT - 1,
        height,
    };
    refused(&mut world, wrong, Refusal::Charter);
    done(&mut world, with(newer.into(), 1));
}

/// A node that knows version 2 finds this one malformed; the ledger takes it all the same, as on nodes that don't.
#[test]
fn which_versions_a_node_knows_is_nothing_to_the_ledger() {
    let newer = Bytes::from_static(&[0, 0, 0, 2, 9]);
    let read = |newest| Charter::read_up_to(&newer, newest);
    assert!(matches!(read(1), Err(CharterError::Version(2))));
    assert!(matches!(read(2), Err(CharterError::Malformed(_))));
    let mut world = world();
    let order = ShardOrder::Upgrade {
        shard: ONE,
        charter: newer,
        gas_limit: 1,
        height: world.ledger.height() + 1_000,
    };
    done(&mut world, order);
    // Of the first version all nodes read the same.
    let first = charter_of(44);
    for newest in 1..4 {
        assert!(Charter::read_up_to(&first, newest).is_ok());
        assert!(Charter::read_up_to(&first[..first.len() - 1], newest).is_err());
    }
}

#[test]
fn the_gas_limit_follows_from_the_anchor() {
    let mut world = world();
    let height = world.ledger.height() + 200;
    let newer = [&[0, 0, 0, 2], b"whatever".as_slice()].concat();
    let order = ShardOrder::Upgrade {
        shard: ONE,
        charter: newer.clone().into(),
        gas_limit: 7,
        height,
    };
    done(&mut world, order);
    let segment = world.ledger.shard(ONE).unwrap();
    assert_eq!(segment.gas_limit_at(height - 1), GAS_LIMIT);
    assert_eq!(segment.gas_limit_at(height), 7);
    assert_eq!(segment.charter(&RULES), Some(&charter_of(3)));
    assert_eq!(
        segment.charter(&digest(&newer)),
        Some(&newer.clone().into())
    );
    assert_eq!(segment.charter(&B256::ZERO), None);
}

/// Whoever creates shards and retires them unused can't use all numbers up.
#[test]
fn an_idle_shard_makes_room() {
    let mut world = world();
    let many = |numbers: std::ops::Range<u32>| -> Vec<_> {
        numbers
            .map(|shard| ShardOrder::Create {
                shard: ShardId(shard),
                terms: terms(),
                cores: 0,
            })
            .collect()
    };
    for part in many(100..100 + 254).chunks(ORDERS_MAX) {
        world
            .step_with(ShardSection::default(), part, BLOCK_MS)
            .unwrap();
    }
    assert_eq!(world.ledger.shards().len(), SHARDS_MAX);
    refused(&mut world, create(0), Refusal::Crowded);
    done(&mut world, ShardOrder::Retire(ShardId(120)));
    done(&mut world, create(0));
    assert!(world.ledger.shard(ShardId(120)).is_none());
    assert_eq!(world.ledger.shards().len(), SHARDS_MAX);
    // One that was used makes room as well, after those that were not; only living ones are there for good.
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    world.step(world.votes(0..4), BLOCK_MS).unwrap();
    assert_eq!(world.ledger.shard(ONE).unwrap().finalized().number, 1);
    done(&mut world, ShardOrder::Retire(ONE));
    done(&mut world, ShardOrder::Retire(ShardId(130)));
    done(&mut world, create_as(500));
    assert!(world.ledger.shard(ShardId(130)).is_none());
    done(&mut world, create_as(501));
    assert!(world.ledger.shard(ONE).is_none());
    refused(&mut world, create_as(502), Refusal::Crowded);
}

fn create_as(shard: u32) -> ShardOrder {
    ShardOrder::Create {
        shard: ShardId(shard),
        terms: terms(),
        cores: 0,
    }
}

#[test]
fn who_is_refused_makes_nobody_forgotten() {
    let mut world = world();
    for number in 0..254 {
        order(&mut world, create_as(100 + number));
    }
    done(&mut world, ShardOrder::Retire(ShardId(120)));
    let cores = Refusal::Cores {
        wanted: 62,
        free: 61,
    };
    refused(&mut world, create(62), cores);
    assert!(world.ledger.shard(ShardId(120)).is_some());
}

/// What is remembered of loads is remembered of no more shards than there may be.
#[test]
fn loads_of_shards_that_are_over_are_forgotten() {
    let rules = LedgerRules {
        cores: Some(4),
        allocation_blocks: 1_000,
        ..LedgerRules::asynchronous(4)
    };
    let mut world = World::after(rules, &[1, 1], 10);
    let before = world.ledger.cores.memory().len();
    world.back(world.candidate(1, 0, GOOD)).unwrap();
    // Its candidate is discarded in the block that retires it.
    assert_eq!(order(&mut world, ShardOrder::Retire(ONE)).len(), 2);
    assert!(world.ledger.cores.memory().len() < before);
}

#[test]
fn every_height_is_carried_once() {
    let mut world = world();
    let now = world.ledger.height() + 1;
    assert_eq!(world.ledger.orders_height(), now - 1);
    let try_at = |orders: &CarriedOrders, executed_height| {
        let mut draft = world.draft();
        let carried = draft.carry(orders, executed_height);
        carried.map(|()| draft.ledger().orders_height())
    };
    let some = |height| carried(&[ShardOrder::Pause(ONE)], height);
    let none = CarriedOrders::default();
    assert_eq!(try_at(&none, now - 1), Ok(now - 1));
    assert_eq!(try_at(&none, now), Ok(now));
    assert_eq!(try_at(&some(now), now), Ok(now));
    assert_eq!(
        try_at(&some(now), now + 5),
        Ok(now),
        "the rest is for later"
    );
    for (height, executed) in [(now - 1, now), (now + 1, now)] {
        let (from, to) = (now, executed);
        let fault = SectionFault::Orders { height, from, to };
        assert_eq!(try_at(&some(height), executed), Err(fault));
    }
    let fault = SectionFault::Orders {
        height: now - 2,
        from: now - 1,
        to: now - 2,
    };
    assert_eq!(try_at(&none, now - 2), Err(fault));
    let events = order(&mut world, ShardOrder::Unreadable(ONE));
    let refused = LedgerEvent::Refused(ONE, OrderKind::Unreadable, Refusal::Unreadable);
    assert_eq!(events, [refused]);
}
