//! Validators that die, lag, lie or withhold.

use super::{
    toy::Cutting,
    world::{A, B, Ends, Setup, World, simulate},
};
use crate::{
    ledger::{Discard, LedgerEvent, OffenceKind},
    message::SmallMessage,
};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_codec::Encode as _;
use commonware_cryptography::Signer as _;
use commonware_p2p::{Recipients, Sender as _};
use primitives::{
    crypto::PrivateKey,
    shard::{Coding, Descriptor, Envelope, RelayAnchor, Schedule, SignedStatement},
};
use std::{collections::BTreeSet, sync::atomic::Ordering::Relaxed};

const SEEDS: std::ops::Range<u64> = 0..3;
const SEEDS_SLOW: std::ops::Range<u64> = 0..300;

/// Seven validators in groups of three: core 0 has 0, 1, 2, core 1 has 3, 4, 5, until they move on by one.
fn groups(seed: u64) -> Setup {
    let mut setup = Setup::new(seed, 7);
    setup.rules.group_size = 3;
    setup.rules.rotation_blocks = 40;
    setup
}

pub(super) fn offences(world: &World) -> BTreeSet<(u16, OffenceKindName)> {
    world
        .events(|event| match event {
            LedgerEvent::Offended(offence) => Some((offence.validator, name(offence.kind))),
            LedgerEvent::Backed(_)
            | LedgerEvent::Included(_)
            | LedgerEvent::Final(..)
            | LedgerEvent::Discarded(..)
            | LedgerEvent::Escalated(..)
            | LedgerEvent::Ordered(..)
            | LedgerEvent::Refused(..)
            | LedgerEvent::Moved { .. } => None,
        })
        .into_iter()
        .collect()
}

type OffenceKindName = &'static str;

const fn name(kind: OffenceKind) -> OffenceKindName {
    match kind {
        OffenceKind::Equivocation => "equivocation",
        OffenceKind::BackedInvalid => "backed",
        OffenceKind::ApprovedInvalid => "approved",
        OffenceKind::Contradiction => "contradiction",
        OffenceKind::FalseObjection => "objection",
    }
}

fn corrupt_group(seed: u64) {
    let mut setup = groups(seed);
    setup.collators = 3;
    setup.liars = [0, 1].into();
    simulate(setup, |mut world| async move {
        world.blocks(10).await;
        let before = world.final_number(B);
        let poisoner = (0..3).find(|one| {
            // Whoever builds now.
            world.builder(*one).poisons.store(true, Relaxed);
            true
        });
        assert_eq!(poisoner, Some(0));
        world
            .until(120, "what the liars backed is discarded", |world| {
                world
                    .discards()
                    .iter()
                    .any(|(_, reason)| *reason == Discard::Invalid)
            })
            .await;
        world.builder(0).poisons.store(false, Relaxed);
        let offences = offences(&world);
        println!("seed {seed}: {offences:?}");
        assert!(offences.contains(&(0, "backed")) && offences.contains(&(1, "backed")));
        assert!(offences.iter().all(|(validator, _)| *validator < 2));
        let discarded = world.discards();
        assert!(discarded.iter().all(|(named, _)| named.shard == A));
        assert!(world.final_number(B) > before);
        // Two of the group may back no more; the groups move on, and so does the shard.
        let stuck = world.final_number(A);
        world
            .until(200, "the shard goes on", |world| {
                world.final_number(A) > stuck + 5
            })
            .await;
        world.check_chains();
    });
}

#[test]
fn a_corrupt_group_is_found_out_and_the_other_shard_does_not_notice() {
    SEEDS.for_each(corrupt_group);
}

#[test]
#[ignore = "for the slow profile: minutes"]
fn a_corrupt_group_is_found_out_and_the_other_shard_does_not_notice_slow() {
    SEEDS_SLOW.for_each(corrupt_group);
}

fn withheld_chunks(seed: u64) {
    let mut setup = groups(seed);
    setup.shards = vec![(A, 1)];
    setup.rules.availability_ms = 600;
    setup.rules.group_size = 2;
    setup.rules.rotation_blocks = 12;
    setup.cutting = [0, 1].map(|index| (index, Cutting::Withheld)).into();
    simulate(setup, |mut world| async move {
        // The other validators can't ask the collators.
        let honest = |index: usize| (2..7).contains(&index);
        let apart = |from, to| honest(from) && to >= 7;
        world
            .connect(|from, to| !apart(from, to) && !apart(to, from))
            .await;
        world
            .until(10, "something is backed", |world| {
                world.relay.ledger.pending().next().is_some()
            })
            .await;
        let first = world.relay.ledger.pending().next().unwrap().candidate;
        world
            .until(20, "it is discarded", |world| {
                let discards = world.discards();
                let reason = discards.iter().find(|(named, _)| named.candidate == first);
                reason.is_some_and(|(_, reason)| *reason == Discard::Unavailable)
            })
            .await;
        world.kill(world.collator(0));
        world.connect(|_, _| true).await;
        world
            .until(60, "it is final", |world| {
                world.finals(A).iter().any(|named| named.candidate == first)
            })
            .await;
        world.check_chains();
    });
}

#[test]
fn withheld_chunks_time_out_and_the_same_candidate_becomes_final_by_another() {
    SEEDS.for_each(withheld_chunks);
}

#[test]
#[ignore = "for the slow profile: minutes"]
fn withheld_chunks_time_out_and_the_same_candidate_becomes_final_by_another_slow() {
    SEEDS_SLOW.for_each(withheld_chunks);
}

#[test]
fn what_nobody_serves_is_restored_from_chunks() {
    for seed in SEEDS {
        let mut setup = groups(seed);
        setup.shards = vec![(A, 1)];
        setup.rules.rotation_blocks = 1_000;
        setup.real_chunks = true;
        // The group and the collators give no collation to anybody. Three approvals are too few.
        setup.silent = [0, 1, 2, 7, 8].into();
        simulate(setup, |mut world| async move {
            world.blocks(80).await;
            println!("seed {seed}: {} restored", world.final_number(A));
            assert!(world.final_number(A) >= 10);
            assert_eq!(world.discards(), []);
            assert_eq!(world.bans().await, []);
            world.check_chains();
        });
    }
}

#[test]
fn lost_messages_cost_only_time() {
    for seed in SEEDS {
        let mut setup = Setup::new(seed, 7);
        setup.lossy = true;
        setup.real_chunks = true;
        simulate(setup, |mut world| async move {
            world.blocks(100).await;
            let finals = (world.final_number(A), world.final_number(B));
            println!("seed {seed}: {finals:?} in 100");
            assert!(finals.0 >= 50 && finals.1 >= 50);
            assert_eq!(world.discards(), []);
            assert_eq!(world.bans().await, []);
            world.check_chains();
        });
    }
}

fn third_dead(seed: u64) {
    simulate(Setup::new(seed, 7), |mut world| async move {
        world.blocks(8).await;
        world.kill(2);
        world.kill(5);
        let before = world.final_number(A);
        world.blocks(40).await;
        println!(
            "seed {seed}: {} blocks in 40",
            world.final_number(A) - before
        );
        assert!(world.final_number(A) >= before + 30);
        assert_eq!(world.discards(), []);
        world.check_chains();
    });
}

#[test]
fn one_third_may_be_dead() {
    SEEDS.for_each(third_dead);
}

#[test]
#[ignore = "for the slow profile: minutes"]
fn one_third_may_be_dead_slow() {
    SEEDS_SLOW.for_each(third_dead);
}

#[test]
fn a_lagging_validator_catches_up() {
    for seed in SEEDS {
        simulate(Setup::new(seed, 4), |mut world| async move {
            world.blocks(8).await;
            world.pause(1, true);
            world.blocks(30).await;
            world.pause(1, false);
            world.kill(0);
            // Three are 2f+1: the one that lagged is needed.
            let before = world.final_number(A);
            world
                .until(30, "it votes again", |world| {
                    world.final_number(A) >= before + 10
                })
                .await;
            world.check_chains();
        });
    }
}

#[test]
fn a_partition_heals() {
    for seed in SEEDS {
        simulate(Setup::new(seed, 7), |mut world| async move {
            world.blocks(8).await;
            // Two validators and a collator are apart.
            let apart = |index: usize| index < 2 || index == 7;
            world.connect(|from, to| apart(from) == apart(to)).await;
            for index in [0, 1, 7] {
                world.pause(index, true);
            }
            let before = world.final_number(A);
            world
                .until(60, "most go on", |world| {
                    world.final_number(A) >= before + 10
                })
                .await;
            world.connect(|_, _| true).await;
            for index in [0, 1, 7] {
                world.pause(index, false);
            }
            let before = world.final_number(A);
            world
                .until(60, "all go on", |world| {
                    world.final_number(A) >= before + 20
                })
                .await;
            world.blocks(5).await;
            world.check_chains();
            world.check_followed(&[0, 1]);
            assert_eq!(world.bans().await, []);
        });
    }
}

#[test]
fn wrong_chunks_cost_the_connection_and_nothing_else() {
    let mut setup = groups(4);
    setup.cutting = [(0, Cutting::WrongProofs)].into();
    simulate(setup, |mut world| async move {
        world.blocks(40).await;
        let bans = world.bans().await;
        assert!(!bans.is_empty() && bans.iter().all(|(_, who)| *who == 0));
        assert!(world.final_number(A) >= 20 && world.final_number(B) >= 20);
        world.check_chains();
    });
}

#[test]
fn a_wrong_coding_is_invalid() {
    let mut setup = groups(3);
    setup.cutting = [0, 1].map(|index| (index, Cutting::WrongCoding)).into();
    setup.rules.rotation_blocks = 12;
    simulate(setup, |mut world| async move {
        world
            .until(40, "it is discarded", |world| {
                let mut discards = world.discards().into_iter();
                discards.any(|(_, reason)| reason == Discard::Invalid)
            })
            .await;
        let offences = offences(&world);
        assert!(offences.contains(&(0, "backed")) && offences.contains(&(1, "backed")));
        assert!(offences.iter().all(|(validator, _)| *validator < 2));
        assert!(world.discards().iter().all(|(named, _)| named.shard == A));
        world.blocks(20).await;
        assert!(world.final_number(B) >= 20);
        world.check_chains();
    });
}

pub(super) fn envelope(world: &World, salt: u8, height: u64) -> Envelope {
    let newest = world.relay.ledger.shard(A).unwrap().newest();
    let rules = world.relay.ledger.rules();
    Envelope {
        descriptor: Descriptor {
            shard: A,
            number: newest.number + 1,
            parent: newest.hash,
            head: B256::repeat_byte(salt),
            state_root: B256::ZERO,
            anchor: RelayAnchor {
                height,
                digest: super::relay::digest_of(height),
            },
            rules: B256::repeat_byte(3),
            collation_hash: B256::repeat_byte(salt),
            collation_bytes: 5,
            gas_used: 0,
            timestamp_ms: world.now_ms(),
            collator: PrivateKey::from_seed(100).public_key(),
        },
        coding: Coding {
            epoch: 0,
            total: rules.validators,
            minimum: u16::try_from(rules.witnesses()).unwrap(),
            root: B256::repeat_byte(salt),
        },
        schedule: Schedule { core: 0, height },
    }
}

#[test]
fn a_backer_of_two_for_one_place_is_convicted() {
    for seed in SEEDS {
        let mut setup = Setup::new(seed, 4);
        setup.puppets = [3].into();
        simulate(setup, |mut world| async move {
            let (mut small, _large) = world.ends(3).await;
            world.blocks(6).await;
            let height = world.relay.ledger.height() - 2;
            let envelopes = [envelope(&world, 1, height), envelope(&world, 2, height)];
            let send = |small: &mut Ends, to: usize, message: &Bytes| {
                let to = Recipients::One(world.public(to));
                assert!(!small.0.send(to, message.clone(), true).is_empty());
            };
            for (envelope, to) in envelopes.into_iter().zip([0, 1]) {
                let signature = envelope.statement().sign(&world.namespace, &world.keys[3]);
                let signed = SignedStatement {
                    envelope,
                    validator: 3,
                    signature,
                };
                let message = SmallMessage::Statement(Box::new(signed)).encode();
                // The first to some, the second to others, and both to one.
                send(&mut small, to, &message);
                send(&mut small, 2, &message);
            }
            world
                .until(20, "it is convicted", |world| {
                    offences(world).contains(&(3, "equivocation"))
                })
                .await;
            let before = world.final_number(A);
            world
                .until(40, "the shard goes on", |world| {
                    world.final_number(A) >= before + 10
                })
                .await;
            world.check_chains();
        });
    }
}

#[test]
fn a_replayed_envelope_does_nothing() {
    simulate(Setup::new(6, 4), |mut world| async move {
        world.blocks(6).await;
        let pending: Vec<_> = world.relay.ledger.pending().cloned().collect();
        assert!(!pending.is_empty());
        world.blocks(2).await;
        for one in pending {
            let statement = one.envelope.statement();
            let sign = |index: usize| statement.sign(&world.namespace, &world.keys[index]);
            let replayed = primitives::shard::BackedEnvelope {
                signatures: one.backers.iter().map(sign).collect(),
                backers: one.backers,
                envelope: one.envelope,
            };
            for inclusion in world.inclusions() {
                inclusion.add_backed(replayed.clone());
            }
        }
        world.blocks(20).await;
        assert_eq!(world.discards(), []);
        world.check_chains();
    });
}
