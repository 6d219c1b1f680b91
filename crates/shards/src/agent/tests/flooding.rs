//! Peers that send more than anybody needs: what each may cost the others is bounded, and the shards go on.

use super::{
    collators::{block, puppet},
    faults::envelope,
    world::{A, B, Ends, Setup, World, simulate},
};
use crate::{
    agent::{Built, backing::hash_of},
    message::{LargeMessage, Offered, SmallMessage},
};
use alloy_primitives::{B256, U256};
use bytes::Bytes;
use commonware_codec::Encode as _;
use commonware_cryptography::Signer as _;
use commonware_p2p::{Receiver as _, Recipients, Sender as _};
use commonware_runtime::Clock as _;
use primitives::{
    crypto::PrivateKey,
    shard::{CandidateId, Descriptor, Envelope, Schedule, ShardId, SignedStatement},
};
use std::time::Duration;

/// Messages that a node sends on one link between two relay blocks, below what its links take.
const EACH_BLOCK: u64 = 90;

fn word(number: u64) -> B256 {
    B256::from(U256::from(number))
}

fn tell(world: &World, small: &mut Ends, to: &[usize], message: &SmallMessage) {
    let to = to.iter().map(|index| world.public(*index)).collect();
    let sent = small.0.send(Recipients::Some(to), message.encode(), true);
    assert!(!sent.is_empty());
}

fn offered(
    world: &World,
    descriptor: &Descriptor,
    key: &PrivateKey,
    schedule: Schedule,
) -> Offered {
    let id = descriptor.id();
    Offered {
        descriptor: descriptor.clone(),
        schedule,
        signature: id.sign(&world.namespace, key),
    }
}

/// A candidate of a collator that the test speaks for, on a parent that nobody knows.
fn orphan(world: &World, collator: usize, ahead: u64, salt: u64) -> Descriptor {
    let height = world.relay.ledger.height() - 2;
    let Built { mut descriptor, .. } = block(world, collator, 0, height);
    descriptor.number += ahead;
    (descriptor.head, descriptor.parent) = (word(salt), word(salt + 1));
    descriptor
}

fn offers_nobody_can_back(seed: u64) {
    let mut setup = Setup::new(seed, 4);
    setup.shards = vec![(A, 1)];
    setup.collators = 3;
    setup.puppets = [6].into();
    simulate(setup, |mut world| async move {
        let (mut small, _large) = world.ends(6).await;
        let key = world.keys[6].clone();
        world.blocks(10).await;
        let before = world.final_number(A);
        for round in 0..40 {
            let height = world.relay.ledger.height();
            // On parents that nobody knows, under schedules that are far away or near.
            let height = height + [60, 5, 0][usize::try_from(round % 3).unwrap()];
            for ahead in 1..=64 {
                let descriptor = orphan(&world, 2, ahead, 1_000 * round + ahead);
                let schedule = Schedule { core: 0, height };
                let offered = offered(&world, &descriptor, &key, schedule);
                let message = SmallMessage::Renewal(Box::new(offered));
                tell(&world, &mut small, &[0, 1, 2, 3], &message);
            }
            world.blocks(1).await;
        }
        println!("seed {seed}: {} in 40", world.final_number(A) - before);
        assert!(world.final_number(A) >= before + 25);
        assert_eq!(world.relay.ledger.offences().count(), 0);
        world.check_chains();
    });
}

#[test]
fn offers_that_nobody_can_back_yet_keep_out_no_others() {
    (0..3).for_each(offers_nobody_can_back);
}

#[test]
fn a_schedule_of_no_core_of_the_shard_keeps_no_candidate_from_being_put_forward_again() {
    for seed in 0..3 {
        simulate(puppet(seed, A), |mut world| async move {
            let (mut small, mut large) = world.ends(5).await;
            let key = world.keys[5].clone();
            world.blocks(6).await;
            let built = block(&world, 1, 0, world.relay.ledger.height() - 2);
            let schedule = |world: &World, core: u16| Schedule {
                core,
                height: world.relay.ledger.height() - 2,
            };
            let first = offered(&world, &built.descriptor, &key, schedule(&world, 0));
            let message = LargeMessage::Offer(Box::new(first), built.collation.clone());
            let to = Recipients::One(world.public(4));
            assert!(!large.0.send(to, message.encode(), true).is_empty());
            // Its fellow is told again and again that it is being backed, elsewhere.
            for _ in 0..20 {
                world.blocks(1).await;
                let again = schedule(&world, u16::MAX);
                let again = offered(&world, &built.descriptor, &key, again);
                let message = SmallMessage::Renewal(Box::new(again));
                tell(&world, &mut small, &[4], &message);
            }
            world
                .until(10, "the fellow puts it forward", |world| {
                    world.final_number(A) == 1
                })
                .await;
            world.check_chains();
        });
    }
}

#[test]
fn where_anybody_may_collate_made_up_keys_take_bounded_room() {
    let mut setup = Setup::new(1, 4);
    setup.shards = vec![(A, 1)];
    setup.open = true;
    setup.puppets = [5].into();
    simulate(setup, |mut world| async move {
        let (mut small, _large) = world.ends(5).await;
        world.blocks(6).await;
        let before = world.final_number(A);
        for round in 0..30 {
            let height = world.relay.ledger.height() - 2;
            for one in 0..EACH_BLOCK {
                let salt = round * EACH_BLOCK + one;
                let key = PrivateKey::from_seed(10_000 + salt);
                let mut descriptor = orphan(&world, 1, 1 + one % 8, salt);
                descriptor.collator = key.public_key();
                // No window ever leaves every other one behind.
                descriptor.anchor.height = match one % 2 {
                    0 => u64::MAX,
                    _ => descriptor.anchor.height,
                };
                let schedule = Schedule { core: 0, height };
                let offered = offered(&world, &descriptor, &key, schedule);
                let message = SmallMessage::Renewal(Box::new(offered));
                tell(&world, &mut small, &[0, 1, 2, 4], &message);
            }
            world.blocks(1).await;
        }
        let known = [0, 1, 4].map(|index| world.metric(index, "known_candidates"));
        println!("{known:?} candidates, {} final", world.final_number(A));
        assert!(known.iter().all(|known| (20..150).contains(known)));
        assert!(world.final_number(A) >= before + 15);
        world.check_chains();
    });
}

/// A backer's word for a candidate that there is not.
fn invented(world: &World, shard: ShardId, ahead: u64, (salt, height): (u64, u64)) -> Envelope {
    let mut envelope = envelope(world, 0, world.relay.ledger.height() - 2);
    let newest = world.relay.ledger.shard(shard).unwrap().newest();
    let descriptor = &mut envelope.descriptor;
    (descriptor.shard, descriptor.number) = (shard, newest.number + ahead);
    (descriptor.head, descriptor.parent) = (word(salt), word(salt + 1));
    envelope.schedule = Schedule {
        core: u16::from(shard == B),
        height,
    };
    envelope
}

fn stated(world: &World, validator: u16, envelope: Envelope) -> SmallMessage {
    let key = &world.keys[usize::from(validator)];
    let signature = envelope.statement().sign(&world.namespace, key);
    SmallMessage::Statement(Box::new(SignedStatement {
        envelope,
        validator,
        signature,
    }))
}

/// A validator names candidates of both shards that there are not; in every other round of heights to come, of which it
/// is not known who may speak.
fn name_invented(world: &World, small: &mut Ends, round: u64) {
    let height = world.relay.ledger.height();
    let height = match round % 2 {
        0 => height + 30,
        _ => height - 2,
    };
    for one in 0..EACH_BLOCK {
        let salt = round * EACH_BLOCK + one;
        let shard = if one % 2 == 0 { A } else { B };
        let envelope = invented(world, shard, 1 + salt % 60, (salt, height));
        tell(world, small, &[4, 5], &stated(world, 3, envelope));
    }
}

#[test]
fn what_one_validator_names_keeps_nobody_from_fetching_what_is_pending() {
    for seed in 0..3 {
        let mut setup = Setup::new(seed, 4);
        setup.puppets = [3].into();
        simulate(setup, |mut world| async move {
            let (mut small, _large) = world.ends(3).await;
            // The second collator gets nothing of the first but what it asks others for.
            let apart = |from: usize, to: usize| from.min(to) == 4 && from.max(to) == 5;
            world.connect(|from, to| !apart(from, to)).await;
            world.blocks(6).await;
            for round in 0..40 {
                name_invented(&world, &mut small, round);
                world.blocks(1).await;
            }
            let fetches = world.metric(5, "fetches");
            println!("seed {seed}: {fetches} fetches, {}", world.describe());
            assert!(fetches < 200);
            world.stop_supply(0);
            world.blocks(10).await;
            world.check_chains();
            world.check_followed(&[0, 1]);
        });
    }
}

#[test]
fn statements_of_one_validator_take_bounded_room() {
    let mut setup = Setup::new(1, 4);
    setup.puppets = [3].into();
    simulate(setup, |mut world| async move {
        let (mut small, _large) = world.ends(3).await;
        world.blocks(6).await;
        let before = world.final_number(A);
        for round in 0..20 {
            let height = world.relay.ledger.height() - 2;
            for one in 0..EACH_BLOCK / 2 {
                let salt = round * EACH_BLOCK + one;
                let named = invented(&world, A, 1 + one, (salt, height));
                let early = invented(&world, A, 1 + one, (salt + 1_000_000, height + 40));
                tell(&world, &mut small, &[0, 1, 2], &stated(&world, 3, named));
                tell(&world, &mut small, &[0, 1, 2], &stated(&world, 3, early));
            }
            world.blocks(1).await;
        }
        let known = world.metric(0, "known_statements");
        println!("{known} statements");
        assert!((100..750).contains(&known));
        assert!(world.final_number(A) >= before + 12);
        assert_eq!(world.bans().await, []);
        world.check_chains();
    });
}

#[test]
fn chunks_of_what_nobody_backs_take_bounded_room_and_leave() {
    let mut setup = Setup::new(1, 4);
    setup.puppets = [3].into();
    setup.held_bytes_max = Some(100_000);
    simulate(setup, |mut world| async move {
        let (mut small, mut large) = world.ends(3).await;
        world.blocks(6).await;
        let before = world.final_number(A);
        let mut most = 0;
        for round in 0..8 {
            let height = world.relay.ledger.height() - 2;
            for one in 0..8_u8 {
                let mut collation = vec![one; 10_000];
                collation.push(u8::try_from(round).unwrap());
                let salt = 8 * round + u64::from(one);
                let mut envelope = invented(&world, A, 1 + u64::from(one), (salt, height));
                envelope.coding.root = hash_of(&[b"root".as_slice(), &collation].concat());
                let message = LargeMessage::Chunk {
                    candidate: envelope.descriptor.id(),
                    coding: envelope.coding,
                    index: 0,
                    chunk: Bytes::from([[0, 0].as_slice(), &collation].concat()),
                };
                tell(&world, &mut small, &[0], &stated(&world, 3, envelope));
                let to = Recipients::One(world.public(0));
                assert!(!large.0.send(to, message.encode(), true).is_empty());
            }
            world.blocks(1).await;
            most = most.max(world.metric(0, "held_chunk_bytes"));
        }
        assert!((50_000..120_000).contains(&most), "{most} bytes");
        world.blocks(110).await;
        let left = world.metric(0, "held_chunk_bytes");
        println!("{most} bytes, {left} in the end");
        assert!(left < 20_000);
        assert!(world.final_number(A) >= before + 80);
        assert_eq!(world.bans().await, []);
        world.check_chains();
    });
}

#[test]
fn questions_that_have_no_answer_count_too() {
    let mut setup = Setup::new(1, 4);
    setup.puppets = [3].into();
    setup.served_bytes_max = Some(20 * 1024);
    simulate(setup, |mut world| async move {
        let (mut small, _large) = world.ends(3).await;
        world.blocks(6).await;
        for one in 0..10 * EACH_BLOCK {
            let message = SmallMessage::GetCollation(CandidateId(word(one)));
            tell(&world, &mut small, &[4], &message);
            if one % EACH_BLOCK == 0 {
                world.blocks(1).await;
            }
        }
        world.blocks(1).await;
        let refused = world.metric(4, "refused_requests_total");
        println!("{refused} refused");
        // Twenty in each second are looked for.
        assert!(refused >= 9 * EACH_BLOCK);
        world.check_chains();
    });
}

#[test]
fn all_together_are_answered_so_much_and_each_validator_once() {
    let mut setup = Setup::new(1, 4);
    (setup.spares, setup.shards) = (10, vec![(A, 1)]);
    setup.puppets = (6..16).chain([3]).collect();
    // One toy collation for each peer, and four for all.
    setup.served_bytes_max = Some(1_100);
    simulate(setup, |mut world| async move {
        let mut askers = Vec::new();
        for index in (6..16).chain([3]) {
            askers.push((index, world.ends(index).await));
        }
        world.blocks(20).await;
        let named = world.finals(A).pop().unwrap().candidate;
        // A second in which nobody has had anything.
        let asks = |index: usize| index == 3 || index >= 6;
        let linked = |from, to| (asks(from) && to == 4) || (from == 4 && asks(to));
        world.connect(linked).await;
        world.runtime.sleep(Duration::from_secs(2)).await;
        let mut answered = Vec::new();
        for (index, ends) in &mut askers {
            let ((small, _), (_, large)) = ends;
            let message = SmallMessage::GetCollation(named).encode();
            let to = Recipients::One(world.public(4));
            assert!(!small.send(to, message, true).is_empty());
            tokio::select! {
                biased;
                received = large.recv() => {
                    let (_, message) = received.unwrap();
                    assert!(!message.is_empty());
                    answered.push(*index);
                }
                () = world.runtime.sleep(Duration::from_millis(50)) => {}
            }
        }
        println!("{answered:?}");
        // The validator asked last.
        assert_eq!(answered.len(), 4 + 1);
        assert_eq!(answered.last(), Some(&3));
    });
}
