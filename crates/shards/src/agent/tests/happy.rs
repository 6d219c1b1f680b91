//! All is well.

use super::world::{A, B, Setup, TAU_MS, World, simulate};
use crate::ledger::LedgerRules;

const SEEDS: std::ops::Range<u64> = 0..3;

#[test]
fn one_block_for_each_relay_block_and_core_and_final_soon() {
    for seed in SEEDS {
        simulate(Setup::new(seed, 4), |mut world| async move {
            world.blocks(10).await;
            let before = (world.final_number(A), world.final_number(B));
            world.blocks(50).await;
            let after = (world.final_number(A), world.final_number(B));
            let distances = world.distances();
            let median = distances[distances.len() / 2];
            println!("seed {seed}: {before:?} -> {after:?}, backed to final {distances:?}");
            assert!(after.0 - before.0 >= 48 && after.1 - before.1 >= 48);
            assert!(median <= 4);
            assert_eq!(world.discards(), []);
            assert_eq!(world.bans().await, []);
            world.check_chains();
            world.check_followed(&[0, 1]);
        });
    }
}

/// Over so many relay blocks: how long after they were begun the candidates of a shard entered.
async fn waits(world: &mut World, blocks: u64) -> Vec<u64> {
    let mut waits = Vec::new();
    for _ in 0..blocks {
        let before = world.relay.ledger.shard(A).unwrap().newest().number;
        world.blocks(1).await;
        let ledger = &world.relay.ledger;
        let descriptors = ledger.shard(A).unwrap().pending();
        let descriptors = descriptors.map(|one| &one.envelope.descriptor);
        let entered = descriptors.filter(|one| one.number > before);
        waits.extend(entered.map(|one| ledger.timestamp_ms() - one.timestamp_ms));
    }
    waits
}

#[test]
fn blocks_are_begun_for_the_next_relay_block_and_a_line_drains() {
    for seed in SEEDS {
        simulate(Setup::new(seed, 4), |mut world| async move {
            world.blocks(20).await;
            let before = waits(&mut world, 40).await;
            world.connect(|_, _| false).await;
            world.blocks(6).await;
            world.connect(|_, _| true).await;
            world.skip_beginning();
            world.blocks(30).await;
            let after = waits(&mut world, 40).await;
            println!("seed {seed}: {before:?}, after a pause {after:?}");
            for waits in [before, after] {
                assert!(waits.len() >= 39, "{}", waits.len());
                assert!(waits.iter().all(|wait_ms| *wait_ms <= TAU_MS + 20));
            }
            world.check_chains();
        });
    }
}

/// Lets everything become final that has been built.
async fn drain(world: &mut World, at: u64) {
    world.stop_supply(at);
    world
        .until(60, "everything is final", |world| {
            let finalized = |shard| *world.relay.ledger.shard(shard).unwrap().finalized();
            [A, B].into_iter().all(|shard| {
                let head = finalized(shard).hash;
                world.builder(0).next(shard, head) == Some(at)
            })
        })
        .await;
}

#[test]
fn everything_offered_ends_final_once_and_in_order() {
    for seed in SEEDS {
        simulate(Setup::new(seed, 7), |mut world| async move {
            world.blocks(20).await;
            drain(&mut world, 150).await;
            world.check_chains();
            world.check_followed(&[0, 1]);
        });
    }
}

#[test]
fn two_cores_take_two_blocks_for_each_relay_block() {
    let mut setup = Setup::new(1, 7);
    setup.shards = vec![(A, 2)];
    setup.rules.group_size = 3;
    simulate(setup, |mut world| async move {
        world.blocks(10).await;
        let before = world.final_number(A);
        world.blocks(40).await;
        let rate = world.final_number(A) - before;
        println!("{rate} blocks of one shard on two cores in 40 relay blocks");
        assert!(rate >= 70);
        world.check_chains();
        assert_eq!(world.bans().await, []);
    });
}

#[test]
fn synchronous_rules_build_on_included_parents_only() {
    let mut setup = Setup::new(2, 4);
    setup.rules = LedgerRules::synchronous(4);
    // An anchor and a schedule are good for one relay block, which must be final before the next is proposed.
    setup.final_ms = 30;
    simulate(setup, |mut world| async move {
        for _ in 0..60 {
            world.blocks(1).await;
            for (_, segment) in world.relay.ledger.shards() {
                let waiting = segment.pending().filter(|one| !one.is_included());
                assert!(waiting.count() <= 1);
            }
        }
        println!("synchronous: {}", world.describe());
        assert!(world.final_number(A) >= 15 && world.final_number(B) >= 15);
        assert!(
            world.final_number(A) <= 31,
            "at most every other relay block"
        );
        world.check_chains();
        assert_eq!(world.bans().await, []);
    });
}

#[test]
fn one_seed_gives_one_history() {
    let run = |seed| {
        simulate(Setup::new(seed, 4), |mut world| async move {
            world.blocks(15).await;
        })
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
