//! Validators that leave and join while candidates are in flight.

use super::world::{A, B, Setup, World, simulate};
use crate::ledger::Discard;
use primitives::shard::CandidateId;
use std::{collections::BTreeSet, sync::atomic::Ordering::Relaxed};

const SEEDS: std::ops::Range<u64> = 0..3;
const SEEDS_SLOW: std::ops::Range<u64> = 0..300;
/// Attempts to have candidates of both kinds in flight.
const TRIES: u64 = 8;

/// Seven validators, the first three of whom back shard A; the others can be made to doubt, so that what is included
/// waits. Two collators, 7 and 8, and spare nodes from 9 on.
fn setup(seed: u64, spares: u64) -> Setup {
    let mut setup = Setup::new(seed, 7);
    setup.spares = spares;
    setup.rules.group_size = 3;
    setup.rules.rotation_blocks = 1_000;
    setup.doubters = (3..7).collect();
    setup
}

/// Candidates that wait: those that are included, and those that are not.
fn in_flight(world: &World) -> (BTreeSet<CandidateId>, BTreeSet<CandidateId>) {
    let pending = || world.relay.ledger.pending();
    let ids = |included| {
        let some = pending().filter(move |one| one.is_included() == included);
        some.map(|one| one.candidate).collect()
    };
    (ids(true), ids(false))
}

/// Lets both kinds of candidates wait, so that they still do in the next block. Where what is in flight does not come to
/// that, it is let go and tried again.
async fn hold_up(world: &mut World) {
    for _ in 0..TRIES {
        world.doubts.store(true, Relaxed);
        // What was approved before becomes final in them.
        world.blocks(2).await;
        let (included, _) = in_flight(world);
        let height = world.relay.ledger.height();
        // What the newest block backs can't be included by the next: nobody knows of it yet.
        let mut pending = world.relay.ledger.pending();
        let backs = pending.any(|one| one.backed.height == height);
        drop(pending);
        if !included.is_empty() && backs {
            return;
        }
        world.doubts.store(false, Relaxed);
        world.blocks(8).await;
    }
    panic!("in {TRIES} tries some were never included while some were not");
}

/// Makes others validators, and lets what was in flight become final under them.
async fn hand_over(world: &mut World, validators: Vec<usize>) {
    let (included, mut waiting) = in_flight(world);
    let told = world.discards().len();
    world.end_epoch(validators).await;
    world.doubts.store(false, Relaxed);
    let discards = world.discards().split_off(told);
    assert!(discards.iter().all(|(_, reason)| *reason == Discard::Epoch));
    let dropped: BTreeSet<_> = discards.iter().map(|(named, _)| named.candidate).collect();
    let (kept, backed) = in_flight(world);
    assert_eq!(
        backed,
        BTreeSet::new(),
        "nothing waits for chunks of an epoch before"
    );
    assert!(!kept.is_empty() && !dropped.is_empty());
    waiting.extend(included.union(&kept).chain(&dropped).copied());
    world
        .until(60, "what was in flight is final", |world| {
            let finals = [A, B].into_iter().flat_map(|shard| world.finals(shard));
            let finals: BTreeSet<_> = finals.map(|named| named.candidate).collect();
            waiting.is_subset(&finals)
        })
        .await;
    assert_eq!(world.discards().len(), told + discards.len());
}

fn change_of_validators(seed: u64) {
    simulate(setup(seed, 4), |mut world| async move {
        world.blocks(12).await;
        hold_up(&mut world).await;
        // Two leave, five join, and nobody keeps its index.
        hand_over(&mut world, vec![9, 3, 10, 4, 11, 5, 12, 6, 2, 1]).await;
        world.blocks(10).await;
        hold_up(&mut world).await;
        // Six leave, and one that had left is back.
        hand_over(&mut world, vec![12, 0, 11, 2, 9]).await;
        let before = (world.final_number(A), world.final_number(B));
        for gone in [1, 3, 4, 5, 6, 10] {
            world.kill(gone);
        }
        world.blocks(40).await;
        let after = (world.final_number(A), world.final_number(B));
        println!("seed {seed}: {before:?} -> {after:?} in 40");
        assert!(after.0 >= before.0 + 30 && after.1 >= before.1 + 30);
        assert_eq!(world.relay.ledger.offences().count(), 0);
        assert_eq!(world.bans().await, []);
        world.check_chains();
        world.check_followed(&[0, 1]);
    });
}

#[test]
fn what_is_in_flight_when_the_validators_change_is_final_under_the_new_ones() {
    SEEDS.for_each(change_of_validators);
}

#[test]
#[ignore = "for the slow profile: minutes"]
fn what_is_in_flight_when_the_validators_change_is_final_under_the_new_ones_slow() {
    SEEDS_SLOW.for_each(change_of_validators);
}

#[test]
fn chunks_of_validators_that_have_left_are_enough_for_the_new_ones() {
    for seed in SEEDS {
        let mut setup = setup(seed, 4);
        setup.shards = vec![(A, 1)];
        setup.real_chunks = true;
        setup.supply = 3;
        setup.silent = [7, 8].into();
        setup.frugal = (0..7).collect();
        simulate(setup, |mut world| async move {
            world.doubts.store(true, Relaxed);
            world
                .until(30, "the block is included", |world| {
                    !in_flight(world).0.is_empty()
                })
                .await;
            world.end_epoch(vec![9, 10, 11, 12]).await;
            world
                .until(150, "it is final", |world| world.final_number(A) == 1)
                .await;
            assert_eq!(world.discards(), []);
            assert_eq!(world.bans().await, []);
        });
    }
}
