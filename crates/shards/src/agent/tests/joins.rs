//! Collators that begin with nothing when their shard has many final blocks.

use super::world::{A, Setup, World, simulate};
use crate::agent::{Builder as _, config::RECENT_NUMBERS};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// Relay blocks that a node goes through when it starts.
const AGAIN: usize = 64;
/// The collator that comes late.
const LATE: usize = 2;

/// Three collators, of whom one is not there.
fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(seed, 4);
    setup.collators = 3;
    setup.shards = vec![(A, 1)];
    setup
}

/// The shard makes more blocks final than validators keep chunks of.
async fn begin_without(world: &mut World) {
    const MANY: u64 = RECENT_NUMBERS + 40;
    world.kill(world.collator(LATE));
    let made = |world: &World| world.final_number(A) >= MANY;
    world.until(2 * MANY, "there are many blocks", made).await;
}

fn newest(world: &World) -> u64 {
    world.builder(LATE).newest(A).unwrap().0
}

/// It has all that is final but for what was made final just now.
fn has_caught_up(world: &World) -> bool {
    newest(world) + 4 >= world.final_number(A)
}

#[test]
fn a_collator_joins_a_shard_that_has_many_blocks() {
    simulate(setup(1), |mut world| async move {
        begin_without(&mut world).await;
        let late = world.collator(LATE);
        world.restart(&[late], AGAIN).await;
        // It is killed on its way, and goes on from where it was.
        world
            .until(200, "it follows", |world| newest(world) >= 20)
            .await;
        assert!(!has_caught_up(&world), "it was faster than its kill");
        world.kill(late);
        world.restart(&[late], AGAIN).await;
        world.until(600, "it is there", has_caught_up).await;
        world.check_followed(&[0, 1]);
        // Nobody else is left to build.
        let before = world.final_number(A);
        world.kill(world.collator(0));
        world.kill(world.collator(1));
        world
            .until(200, "it builds", |world| {
                world.final_number(A) >= before + 20
            })
            .await;
        world.check_chains();
        world.check_followed(&[LATE]);
        assert_eq!(world.relay.ledger.offences().count(), 0);
    });
}

#[test]
fn a_collator_without_relay_blocks_does_not_hold_up_the_others() {
    simulate(setup(3), |mut world| async move {
        begin_without(&mut world).await;
        let gone = world.relay.ledger.height() / 2;
        let archive = std::sync::Arc::clone(&world.relay.archive);
        archive.lock().unwrap().retain(|height, _| *height > gone);
        let late = world.collator(LATE);
        world.restart(&[late], AGAIN).await;
        let before = world.final_number(A);
        world
            .until(100, "the others go on", |world| {
                world.final_number(A) >= before + 20
            })
            .await;
        assert_eq!(newest(&world), 0);
        world.check_chains();
        world.check_followed(&[0, 1]);
    });
}

#[test]
fn a_collator_that_was_cut_off_gives_up_what_nobody_took() {
    simulate(setup(4), |mut world| async move {
        world.blocks(40).await;
        // At rest, so that there is room for what it builds alone.
        world.stop_supply(0);
        world.blocks(20).await;
        let late = world.collator(LATE);
        let before = world.final_number(A);
        assert_eq!(newest(&world), before);
        let lasts = Arc::clone(&world.builder(LATE).durable_max);
        lasts.store(before, Relaxed);
        // Else it would build what the others build.
        let poisons = Arc::clone(&world.builder(LATE).poisons);
        poisons.store(true, Relaxed);
        world.pause(late, true);
        world.connect(|from, to| from != late && to != late).await;
        world.stop_supply(u64::MAX);
        let made = |world: &World| world.final_number(A) >= before + RECENT_NUMBERS + 80;
        world
            .until(2 * RECENT_NUMBERS, "the others go on", made)
            .await;
        // What it has built since nobody has seen.
        let (number, head) = world.builder(LATE).newest(A).unwrap();
        let other = world.final_head(A, usize::try_from(number).unwrap());
        assert!(number > before && other != (number, head), "{number}");
        poisons.store(false, Relaxed);
        world.connect(|_, _| true).await;
        world.skip(late);
        world.until(600, "it is there", has_caught_up).await;
        lasts.store(u64::MAX, Relaxed);
        world.check_chains();
        world.check_followed(&[0, 1]);
    });
}
