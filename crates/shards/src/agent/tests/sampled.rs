//! A few check for all: who works, who need not, and who has to in the end.

use super::world::{A, Setup, World, simulate};
use crate::ledger::{Discard, Escalation, LedgerEvent, LedgerRules, OffenceKind};
use std::sync::atomic::Ordering::Relaxed;

const VALIDATORS: u16 = 40;
const CHECKERS: u16 = 6;

fn setup(seed: u64) -> Setup {
    let mut setup = Setup::new(seed, VALIDATORS);
    setup.shards = vec![(A, 1)];
    setup.rules = LedgerRules::sampled(VALIDATORS, CHECKERS);
    setup
}

/// Lets relay blocks pass until the shard is under way.
async fn begin(world: &mut World) {
    world.skip_beginning();
    world
        .until(60, "the shard is under way", |world| {
            world.final_number(A) >= 3
        })
        .await;
}

/// Checks of all validators.
fn checks(world: &World) -> Vec<u64> {
    let checks = world.checks.iter();
    let validators = checks.filter(|(index, _)| **index < usize::from(VALIDATORS));
    validators.map(|(_, count)| count.load(Relaxed)).collect()
}

fn escalations(world: &World) -> Vec<Escalation> {
    world.events(|event| match event {
        LedgerEvent::Escalated(_, why) => Some(*why),
        LedgerEvent::Backed(_)
        | LedgerEvent::Included(_)
        | LedgerEvent::Final(..)
        | LedgerEvent::Discarded(..)
        | LedgerEvent::Offended(_)
        | LedgerEvent::Ordered(..)
        | LedgerEvent::Refused(..)
        | LedgerEvent::Moved { .. } => None,
    })
}

#[test]
fn most_validators_hold_a_chunk_and_check_nothing() {
    simulate(setup(1), |mut world| async move {
        begin(&mut world).await;
        let before = world.final_number(A);
        world.blocks(40).await;
        let finals = world.final_number(A);
        let checks = checks(&world);
        let all: u64 = checks.iter().sum();
        let distances = world.distances();
        println!("{finals} final of {all} checks: {checks:?}; distances {distances:?}");
        assert!(finals - before >= 36);
        // Backers and checkers of each, and of those that are still on their way.
        let each = u64::from(world.relay.ledger.rules().group_size + CHECKERS);
        assert!(all <= (finals + 12) * each, "{all} of {finals}");
        assert_eq!(escalations(&world), []);
        assert_eq!(world.discards(), []);
        assert_eq!(world.bans().await, []);
        assert_eq!(world.relay.ledger.no_shows().iter().len(), 0);
        world.check_chains();
        world.check_followed(&[0, 1]);
    });
}

#[test]
fn when_a_third_is_dead_others_check_in_their_place() {
    simulate(setup(2), |mut world| async move {
        begin(&mut world).await;
        // One of each three, among them some of every group.
        for index in (0..39).step_by(3) {
            world.kill(index);
        }
        let before = world.final_number(A);
        world
            .until(300, "the shard goes on", |world| {
                world.final_number(A) >= before + 30
            })
            .await;
        let struck = world.relay.ledger.no_shows().iter().len();
        let height = world.relay.ledger.height();
        println!(
            "30 more final at height {height}, {struck} struck, {:?}",
            escalations(&world)
        );
        assert!(struck >= 8);
        assert!(!escalations(&world).contains(&Escalation::Objection));
        assert_eq!(world.relay.ledger.offences().len(), 0);
        world.check_chains();
    });
}

#[test]
fn what_a_corrupt_group_backed_is_found_by_one_of_the_few() {
    for seed in 0..2 {
        let mut setup = setup(seed);
        setup.collators = 3;
        // The group, and as many others as may be.
        setup.liars = (0..13).collect();
        simulate(setup, |mut world| async move {
            begin(&mut world).await;
            let before = world.final_number(A);
            world.builder(0).poisons.store(true, Relaxed);
            world
                .until(200, "the invalid one is discarded", |world| {
                    let discards = world.discards();
                    discards.iter().any(|(_, why)| *why == Discard::Invalid)
                })
                .await;
            world.builder(0).poisons.store(false, Relaxed);
            assert!(escalations(&world).contains(&Escalation::Objection));
            let backed = world.relay.ledger.offences();
            let kinds: Vec<_> = backed.map(|one| (one.validator, one.kind)).collect();
            println!("seed {seed}: {kinds:?}");
            let kind = OffenceKind::BackedInvalid;
            assert!(kinds.iter().filter(|one| one.1 == kind).count() >= 3);
            assert!(kinds.iter().all(|one| one.0 < 13));
            world
                .until(400, "the shard goes on", |world| {
                    world.final_number(A) > before + 5
                })
                .await;
            world.check_chains();
        });
    }
}

#[test]
fn a_lost_chunk_is_asked_for() {
    let mut setup = setup(4);
    setup.lossy = true;
    setup.real_chunks = true;
    simulate(setup, |mut world| async move {
        begin(&mut world).await;
        let before = world.final_number(A);
        world.blocks(40).await;
        let finals = world.final_number(A) - before;
        println!("{finals} final in 40, one message of ten lost");
        assert!(finals >= 20);
        assert_eq!(world.discards(), []);
        world.check_chains();
    });
}
