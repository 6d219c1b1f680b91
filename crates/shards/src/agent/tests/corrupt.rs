//! Groups with corrupt members, and what a wholly corrupt one may sign.

use super::{
    faults::envelope,
    relay::digest_of,
    toy::Cutting,
    world::{A, Setup, World, simulate},
};
use crate::{
    ledger::{LedgerEvent, LedgerRules},
    message::SmallMessage,
};
use commonware_codec::Encode as _;
use commonware_p2p::{Recipients, Sender as _};
use primitives::shard::{CandidateId, Envelope, RelayAnchor, SignedStatement};
use std::sync::atomic::Ordering::Relaxed;

const SEEDS: std::ops::Range<u64> = 0..3;

#[test]
fn a_group_with_f_corrupt_goes_on_and_lets_nothing_wrong_in() {
    for seed in SEEDS {
        let mut setup = Setup::new(seed, 7);
        setup.shards = vec![(A, 1)];
        setup.collators = 3;
        setup.rules.rotation_blocks = 1_000;
        // Of 0 to 4, which back: one finds everything valid and sends wrong chunks, one sends none.
        setup.liars = [0].into();
        setup.cutting = [(0, Cutting::WrongProofs), (1, Cutting::Withheld)].into();
        simulate(setup, |mut world| async move {
            world.blocks(10).await;
            world.builder(0).poisons.store(true, Relaxed);
            let before = world.final_number(A);
            world.blocks(60).await;
            world.builder(0).poisons.store(false, Relaxed);
            println!("seed {seed}: {} in 60", world.final_number(A) - before);
            // A third of the turns is the poisoner's.
            assert!(world.final_number(A) >= before + 25);
            assert_eq!(world.discards(), []);
            assert!(world.bans().await.iter().all(|(_, who)| *who == 0));
            world.check_chains();
        });
    }
}

/// Three of ten, which back shard A at first and which the test speaks for.
const GROUP: [usize; 3] = [0, 1, 2];

fn corrupt_group(seed: u64) -> Setup {
    let mut setup = Setup::new(seed, 10);
    setup.shards = vec![(A, 1)];
    setup.rules.group_size = 3;
    setup.rules.rotation_blocks = 30;
    setup.rules.anchor_window = 16;
    setup.puppets = GROUP.into();
    setup
}

/// The whole group signs it, and tells everybody.
async fn sign(world: &World, envelope: &Envelope) {
    for index in GROUP {
        let (mut small, _large) = world.ends(index).await;
        let signed = SignedStatement {
            envelope: envelope.clone(),
            validator: u16::try_from(index).unwrap(),
            signature: envelope
                .statement()
                .sign(&world.namespace, &world.keys[index]),
        };
        let message = SmallMessage::Statement(Box::new(signed)).encode();
        let sent = small.0.send(Recipients::All, message, true);
        assert!(!sent.is_empty());
    }
}

fn is_named(world: &World, id: CandidateId) -> bool {
    let events = world.events(|event| match event {
        LedgerEvent::Backed(named) => Some(named.candidate),
        _ => None,
    });
    events.contains(&id)
}

/// A group signs what the rules do not allow, and then what they allow: only that enters.
fn signed_by_all(seed: u64, spoil: impl Fn(&mut Envelope)) {
    simulate(corrupt_group(seed), |mut world| async move {
        world.blocks(20).await;
        assert_eq!(
            world.final_number(A),
            0,
            "the group backs nothing of others"
        );
        let mut wrong = envelope(&world, 1, world.relay.ledger.height() - 2);
        spoil(&mut wrong);
        sign(&world, &wrong).await;
        world.blocks(2).await;
        // It is kept out by nothing else: this one enters.
        let right = envelope(&world, 2, world.relay.ledger.height() - 2);
        sign(&world, &right).await;
        world
            .until(4, "what the rules allow enters", |world| {
                is_named(world, right.descriptor.id())
            })
            .await;
        // Nobody has its chunks; the groups move on, and so does the shard.
        world
            .until(120, "the shard goes on", |world| {
                world.final_number(A) >= 10
            })
            .await;
        assert!(!is_named(&world, wrong.descriptor.id()));
        let mut finals = world.finals(A).into_iter();
        assert!(finals.all(|one| one.candidate != right.descriptor.id()));
        world.check_chains();
    });
}

#[test]
fn what_is_too_large_too_old_or_has_no_place_does_not_enter_though_a_whole_group_signs_it() {
    let most = LedgerRules::asynchronous(10).collation_bytes_max;
    signed_by_all(0, |oversize| oversize.descriptor.collation_bytes = most + 1);
    signed_by_all(1, |stale| {
        stale.descriptor.anchor = RelayAnchor {
            height: 1,
            digest: digest_of(1),
        };
    });
    signed_by_all(2, |misplaced| misplaced.descriptor.number += 1);
    signed_by_all(3, |miscoded| miscoded.coding.minimum += 1);
}
