//! Collators that die, lie, or offer what nobody may back.

use super::{
    relay::digest_of,
    toy::ToyBlock,
    world::{A, B, Ends, Setup, World, simulate},
};
use crate::{
    agent::{BuildOrder, Built, backing::hash_of},
    ledger::{Discard, ShardHead},
    message::{LargeMessage, Offered},
};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_codec::Encode as _;
use commonware_p2p::{Recipients, Sender as _};
use primitives::shard::{RelayAnchor, Schedule, ShardId};
use std::sync::atomic::Ordering::Relaxed;

const SEEDS: std::ops::Range<u64> = 0..3;
const SEEDS_SLOW: std::ops::Range<u64> = 0..300;

fn dead_collator(seed: u64) {
    simulate(Setup::new(seed, 4), |mut world| async move {
        world.blocks(13).await;
        let before = world.final_number(A);
        world.kill(world.collator(0));
        world
            .until(60, "the other one goes on", |world| {
                world.final_number(A) >= before + 20 && world.final_number(B) >= before + 20
            })
            .await;
        world.check_chains();
        world.check_followed(&[1]);
    });
}

#[test]
fn the_next_collator_takes_over_from_a_dead_one() {
    SEEDS.for_each(dead_collator);
}

#[test]
#[ignore = "for the slow profile: minutes"]
fn the_next_collator_takes_over_from_a_dead_one_slow() {
    SEEDS_SLOW.for_each(dead_collator);
}

#[test]
fn a_collator_that_builds_poison_is_passed_over() {
    let mut setup = Setup::new(5, 4);
    setup.collators = 3;
    simulate(setup, |mut world| async move {
        world.blocks(10).await;
        world.builder(0).poisons.store(true, Relaxed);
        let before = world.final_number(A);
        world
            .until(120, "the others go on", |world| {
                world.final_number(A) >= before + 30
            })
            .await;
        // Honest groups sign none of it, so none of it enters.
        assert!(
            world
                .discards()
                .iter()
                .all(|(_, reason)| *reason != Discard::Invalid)
        );
        world.check_chains();
    });
}

/// A shard's only collator built what nobody signs: it builds another, long before the anchor of the first is too old.
#[test]
fn a_collator_gives_up_a_block_that_nobody_signs() {
    let mut setup = Setup::new(6, 4);
    setup.collators = 1;
    simulate(setup, |mut world| async move {
        world.blocks(10).await;
        world.builder(0).poisons.store(true, Relaxed);
        world.blocks(6).await;
        world.builder(0).poisons.store(false, Relaxed);
        let before = world.final_number(A);
        world
            .until(70, "it goes on with another", |world| {
                world.final_number(A) >= before + 5
            })
            .await;
        world.check_chains();
    });
}

/// A block of a collator that the test speaks for.
pub(super) fn block(world: &World, collator: usize, salt: u64, anchor_height: u64) -> Built {
    let segment = world.relay.ledger.shard(A).unwrap();
    let parent: ShardHead = segment.newest();
    let order = BuildOrder {
        shard: A,
        parent,
        anchor: RelayAnchor {
            height: anchor_height,
            digest: digest_of(anchor_height),
        },
        now_ms: world.now_ms(),
    };
    let block = ToyBlock {
        number: parent.number + 1,
        parent: parent.hash,
        first: 0,
        count: salt,
        poisoned: false,
    };
    block.describe(&order, &world.public(world.collator(collator)))
}

/// Offers a block to some, as a collator that the test speaks for.
pub(super) fn offer(world: &World, large: &mut Ends, collator: usize, built: &Built, to: &[usize]) {
    let id = built.descriptor.id();
    let offered = Offered {
        descriptor: built.descriptor.clone(),
        schedule: Schedule {
            core: 0,
            height: world.relay.ledger.height() - 2,
        },
        signature: id.sign(&world.namespace, &world.keys[world.collator(collator)]),
    };
    let message = LargeMessage::Offer(Box::new(offered), built.collation.clone());
    let to = to.iter().map(|index| world.public(*index)).collect();
    let sent = large.0.send(Recipients::Some(to), message.encode(), true);
    assert!(!sent.is_empty());
}

/// Offers of a candidate that leads to a given block and is not it.
fn shadow(world: &World, number: u64, head: B256, parent: B256) -> Built {
    let mut built = block(world, 2, 7, world.relay.ledger.height() - 3);
    let descriptor = &mut built.descriptor;
    (descriptor.number, descriptor.head, descriptor.parent) = (number, head, parent);
    built
}

/// Offers candidates that claim the blocks that will follow: they are known before they are built.
fn offer_shadows(world: &World, large: &mut Ends) {
    let newest = world.relay.ledger.shard(A).unwrap().newest();
    let mut parent = newest.hash;
    let Some(first) = world.builder(0).next(A, parent) else {
        return;
    };
    for ahead in 0..4 {
        let number = newest.number + 1 + ahead;
        let expected = ToyBlock {
            number,
            parent,
            first: first + 3 * ahead,
            count: 3,
            poisoned: false,
        };
        let head = hash_of(&expected.encode());
        let shadow = shadow(world, number, head, parent);
        offer(world, large, 2, &shadow, &[0, 1, 2, 3]);
        parent = head;
    }
}

#[test]
fn candidates_that_claim_an_honest_block_do_not_hold_up_what_follows_it() {
    for seed in SEEDS {
        let mut setup = Setup::new(seed, 4);
        setup.shards = vec![(A, 1)];
        setup.collators = 3;
        setup.puppets = [6].into();
        simulate(setup, |mut world| async move {
            let (_small, mut large) = world.ends(6).await;
            world.blocks(10).await;
            let before = world.final_number(A);
            for _ in 0..40 {
                offer_shadows(&world, &mut large);
                world.blocks(1).await;
            }
            println!("seed {seed}: {} in 40", world.final_number(A) - before);
            assert!(world.final_number(A) >= before + 25);
            assert_eq!(world.relay.ledger.offences().count(), 0);
            world.check_chains();
        });
    }
}

/// A world with nothing to build, whose second collator the test speaks for.
pub(super) fn puppet(seed: u64, shard: ShardId) -> Setup {
    let mut setup = Setup::new(seed, 4);
    setup.shards = vec![(shard, 1)];
    setup.puppets = [5].into();
    setup.supply = 0;
    setup
}

#[test]
fn of_two_blocks_for_one_number_one_becomes_final() {
    for seed in SEEDS {
        simulate(puppet(seed, A), |mut world| async move {
            let (_small, mut large) = world.ends(5).await;
            world.blocks(6).await;
            let height = world.relay.ledger.height() - 2;
            let (one, two) = (block(&world, 1, 0, height), block(&world, 1, 1, height));
            offer(&world, &mut large, 1, &one, &[0, 1]);
            offer(&world, &mut large, 1, &two, &[2, 3]);
            world
                .until(20, "one is final", |world| world.final_number(A) == 1)
                .await;
            // No backer signs both, and the chain goes on from the one that won.
            assert_eq!(world.relay.ledger.offences().count(), 0);
            assert_eq!(world.bans().await, []);
            world.stop_supply(30);
            world
                .until(60, "the honest collator goes on", |world| {
                    world.final_number(A) >= 5
                })
                .await;
            world.check_chains();
        });
    }
}

#[test]
fn an_old_anchor_is_not_backed() {
    let mut setup = puppet(1, A);
    setup.rules.anchor_window = 8;
    simulate(setup, |mut world| async move {
        let (_small, mut large) = world.ends(5).await;
        world.blocks(20).await;
        let stale = block(&world, 1, 0, 5);
        offer(&world, &mut large, 1, &stale, &[0, 1, 2, 3]);
        world.blocks(10).await;
        assert_eq!(world.relay.events, []);
        let fresh = block(&world, 1, 0, 27);
        offer(&world, &mut large, 1, &fresh, &[0, 1, 2, 3]);
        world
            .until(10, "the fresh one is final", |world| {
                world.final_number(A) == 1
            })
            .await;
    });
}

#[test]
fn what_is_too_large_unsigned_or_another_collation_costs_the_connection() {
    let mut setup = puppet(2, A);
    setup.rules.collation_bytes_max = 3_000;
    simulate(setup, |mut world| async move {
        let (_small, mut large) = world.ends(5).await;
        world.blocks(6).await;
        let height = world.relay.ledger.height() - 2;
        let right = block(&world, 1, 0, height);
        let mut long = right.clone();
        long.collation = Bytes::from(vec![0; 4_000]);
        offer(&world, &mut large, 1, &long, &[0]);
        let mut other = right.clone();
        other.collation = Bytes::from_static(b"other");
        offer(&world, &mut large, 1, &other, &[1]);
        let mut foreign = right.clone();
        foreign.descriptor.collator = world.public(world.collator(0));
        offer(&world, &mut large, 1, &foreign, &[2]);
        world.blocks(5).await;
        let mut bans = world.bans().await;
        bans.sort_unstable();
        assert_eq!(bans, [(0, 5), (1, 5), (2, 5)]);
        assert_eq!(world.relay.events, []);
        assert_ne!(right.descriptor.head, B256::ZERO);
    });
}
