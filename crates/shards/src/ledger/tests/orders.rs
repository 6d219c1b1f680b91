//! The life of a shard: orders, and those that can't be carried out.

use super::world::{BLOCK_MS, GOOD, World, terms};
use crate::ledger::{
    BackedFault, Discard, LedgerEvent, LedgerRules, ORDERS_MAX, OrderKind, Refusal, ShardOrder,
    ShardTerms, Status,
    rules::{COLLATORS_MAX, SHARDS_MAX},
};
use alloy_primitives::B256;
use commonware_cryptography::Signer as _;
use primitives::{
    crypto::PrivateKey,
    shard::{Bits, ShardId, ShardSection},
};

const ONE: ShardId = ShardId(1);
const NEW: ShardId = ShardId(70);
const OTHER: B256 = B256::repeat_byte(44);

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

const fn upgrade(height: u64) -> ShardOrder {
    ShardOrder::Upgrade {
        shard: ONE,
        rules: OTHER,
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
    refused(
        &mut world,
        of(vec![key.clone(); COLLATORS_MAX + 1]),
        Refusal::Terms("collators"),
    );
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
    check(height - 1, super::world::RULES, Ok(()));
    check(height - 1, OTHER, Err(BackedFault::Rules));
    check(height, super::world::RULES, Err(BackedFault::Rules));
    check(height, OTHER, Ok(()));
    for _ in 0..4 {
        world.step(ShardSection::default(), BLOCK_MS).unwrap();
    }
    let third = ShardOrder::Upgrade {
        shard: ONE,
        rules: B256::repeat_byte(45),
        height: world.ledger.height() + 20,
    };
    done(&mut world, third);
    let segment = world.ledger.shard(ONE).unwrap();
    assert_eq!(segment.rules_at(world.ledger.height()), OTHER);
    assert_eq!(segment.rules_at(u64::MAX), B256::repeat_byte(45));
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
