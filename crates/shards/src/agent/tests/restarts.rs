//! Agents that are killed and started again: what they signed, held and built.

use super::{
    relay::digest_of,
    toy::ToyBlock,
    world::{A, B, Ends, Setup, World, simulate},
};
use crate::{
    agent::{BuildOrder, Built},
    message::{LargeMessage, Offered, SmallMessage},
};
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::Clock as _;
use primitives::shard::{CandidateId, RelayAnchor, Schedule};
use std::time::Duration;

const SEEDS: std::ops::Range<u64> = 0..3;
/// Relay blocks that a node goes through again.
const AGAIN: usize = 64;

fn everybody(world: &World) -> Vec<usize> {
    (0..world.keys.len()).collect()
}

/// Everybody is killed at once; builders have on disk what was final so many numbers before, and these nodes have
/// nothing else.
async fn outage(world: &mut World, lag: usize, wiped: &[usize]) {
    let nodes = everybody(world);
    for index in &nodes {
        world.kill(*index);
    }
    for index in wiped {
        world.wipe(*index).await;
    }
    for shard in [A, B] {
        let finals = world.finals(shard);
        let kept = finals.len().saturating_sub(lag);
        let (number, head) = world.final_head(shard, kept);
        for collator in 0..2 {
            world.builder(collator).lose(shard, number, head);
        }
    }
    world.restart(&nodes, AGAIN).await;
}

#[test]
fn everybody_restarts_and_no_final_block_is_lost() {
    for seed in SEEDS {
        simulate(Setup::new(seed, 4), |mut world| async move {
            for round in 0..3 {
                world.blocks(13 + 2 * round).await;
                let before = world.final_number(A).max(world.final_number(B));
                // Also where a disk is far behind what is final.
                outage(&mut world, [1, 5, 12][usize::try_from(round).unwrap()], &[]).await;
                let numbers = |world: &World| (world.final_number(A), world.final_number(B));
                let goes_on = |world: &World| numbers(world).0.min(numbers(world).1) >= before + 10;
                world.until(120, "both shards go on", goes_on).await;
            }
            world.check_chains();
            world.check_followed(&[0, 1]);
            assert_eq!(world.relay.ledger.offences().count(), 0);
        });
    }
}

#[test]
fn chunks_are_enough_when_no_collator_has_anything() {
    for real_chunks in [false, true] {
        let mut setup = Setup::new(7, 4);
        setup.real_chunks = real_chunks;
        simulate(setup, |mut world| async move {
            world.blocks(15).await;
            let before = world.final_number(A);
            let collators = [world.collator(0), world.collator(1)];
            outage(&mut world, 6, &collators).await;
            world
                .until(120, "the shard goes on", |world| {
                    world.final_number(A) >= before + 10
                })
                .await;
            world.check_chains();
            world.check_followed(&[0, 1]);
        });
    }
}

/// A block of the collator that the test speaks for, on the newest of shard A.
fn block(world: &World, salt: u64, height: u64) -> Built {
    let parent = world.relay.ledger.shard(A).unwrap().newest();
    let order = BuildOrder {
        shard: A,
        parent,
        anchor: RelayAnchor {
            height,
            digest: digest_of(height),
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
    block.describe(&order, &world.public(world.collator(1)))
}

fn offer(world: &World, large: &mut Ends, built: &Built, height: u64, to: &[usize]) {
    let id = built.descriptor.id();
    let offered = Offered {
        descriptor: built.descriptor.clone(),
        schedule: Schedule { core: 0, height },
        signature: id.sign(&world.namespace, &world.keys[world.collator(1)]),
    };
    let message = LargeMessage::Offer(Box::new(offered), built.collation.clone());
    let to = to.iter().map(|index| world.public(*index)).collect();
    let sent = large.0.send(Recipients::Some(to), message.encode(), true);
    assert!(!sent.is_empty());
}

/// The candidates for which statements come in a while.
async fn statements(world: &World, small: &mut Ends) -> Vec<CandidateId> {
    let end = world.runtime.current() + Duration::from_millis(60);
    let mut candidates = Vec::new();
    loop {
        let received = tokio::select! {
            biased;
            received = small.1.recv() => received.unwrap(),
            () = world.runtime.sleep_until(end) => return candidates,
        };
        if let SmallMessage::Statement(signed) = SmallMessage::decode(received.1).unwrap() {
            candidates.push(signed.envelope.descriptor.id());
        }
    }
}

/// A backer that has signed one of two candidates is killed, and offered the other one for the same place.
#[test]
fn nobody_signs_a_second_candidate_for_a_place_after_a_restart() {
    let mut setup = Setup::new(3, 4);
    setup.shards = vec![(A, 1)];
    setup.puppets = [5].into();
    setup.supply = 0;
    setup.rules.schedule_window = 8;
    simulate(setup, |mut world| async move {
        let (mut small, mut large) = world.ends(5).await;
        world.blocks(6).await;
        let height = world.relay.ledger.height() - 2;
        let (one, two) = (block(&world, 0, height), block(&world, 1, height));
        // One of them hears of it, so nothing comes of it but its signature.
        let backer = world.backers(height)[0];
        offer(&world, &mut large, &one, height, &[backer]);
        let signed = statements(&world, &mut small).await;
        assert_eq!(signed, [one.descriptor.id()], "the backer has not signed");
        world.kill(backer);
        world.restart(&[backer], AGAIN).await;
        offer(&world, &mut large, &two, height, &[backer]);
        assert_eq!(statements(&world, &mut small).await, []);
        world.blocks(3).await;
        assert_eq!(world.relay.ledger.offences().count(), 0);
        // Under a schedule of this life it does.
        let height = world.relay.ledger.height() - 2;
        let backers = world.backers(height);
        offer(&world, &mut large, &two, height, &backers);
        world
            .until(20, "the other one is final", |world| {
                world.final_number(A) == 1
            })
            .await;
        assert_eq!(world.relay.ledger.offences().count(), 0);
    });
}
