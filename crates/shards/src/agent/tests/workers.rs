//! Checks that take long, that nobody waits for any more, and what limits them.

use super::{
    collators::{block, offer},
    relay::{Relay, digest_of},
    toy::{Cutting, EACH, GAS_LIMIT, ToyBlock, ToyCutter},
    world::{A, B, Setup, TAU_MS, World, simulate, terms},
};
use crate::{
    agent::{
        AgentConfig, BuildOrder, Built,
        config::{FORKS_MAX, OFFER_KEEP_MS},
        duties::{Duties, Effect, Job},
        metrics::Metrics,
        standing::Standing,
    },
    inclusion::Inclusion,
    ledger::{Authority, Ledger, LedgerRules, ShardOrder},
    message::Offered,
};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_cryptography::Signer as _;
use commonware_runtime::{Runner as _, Supervisor as _, deterministic};
use primitives::{
    crypto::PrivateKey,
    shard::{RelayAnchor, Schedule, ShardNamespace, charter::digest},
};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// Longer than any of these worlds lasts.
const LONG_MS: u64 = 20_000;

/// A collator of a shard with slow blocks offers as many of one number as are remembered of it.
fn slow_forks(seed: u64) {
    let mut setup = Setup::new(seed, 4);
    setup.puppets = [5].into();
    setup.slow = Some((A, LONG_MS));
    simulate(setup, |mut world: World| async move {
        let (_small, mut large) = world.ends(5).await;
        world.blocks(6).await;
        let height = world.relay.ledger.height() - 2;
        for salt in 0..u64::try_from(FORKS_MAX).unwrap() {
            let fork = block(&world, 1, salt, height);
            offer(&world, &mut large, 1, &fork, &[0, 1, 2, 3]);
        }
        let before = world.final_number(B);
        world.blocks(60).await;
        println!("seed {seed}: {} in 60", world.final_number(B) - before);
        assert!(world.final_number(B) >= before + 40);
        world.check_chains();
    });
}

#[test]
fn forks_that_take_long_to_check_do_not_hold_up_another_shard() {
    (0..3).for_each(slow_forks);
}

/// The duties of one of four validators, and the relay chain that it follows.
struct Desk {
    duties: Duties,
    relay: Relay,
    inclusion: Inclusion,
    collator: PrivateKey,
}

impl Desk {
    fn new(runtime: &deterministic::Context, rules: LedgerRules) -> Self {
        let keys: Vec<_> = (0..4).map(PrivateKey::from_seed).collect();
        let collator = PrivateKey::from_seed(100);
        let terms = terms(A, vec![collator.public_key()]);
        let ledger = Ledger::genesis(rules, 0, [(A, terms, 1)]).unwrap();
        let authority = Authority {
            namespace: ShardNamespace::new(&B256::ZERO),
            validators: keys.iter().map(PrivateKey::public_key).collect(),
        };
        let relay = Relay::new(ledger, authority);
        let mut duties = Duties::new(
            AgentConfig::new(keys[0].clone(), "desk".to_owned()),
            relay.feed().newest(),
            Inclusion::default(),
            Arc::new(ToyCutter(Cutting::Honest)),
            Metrics::new(&runtime.child("desk")),
        );
        duties.resumed_height = Some(0);
        Self {
            duties,
            relay,
            inclusion: Inclusion::default(),
            collator,
        }
    }

    fn blocks(&mut self, count: u64) {
        for _ in 0..count {
            let now_ms = self.duties.now_ms + TAU_MS;
            let update = self.relay.lead(&self.inclusion, now_ms);
            self.inclusion.settle(&update.ledger);
            self.duties.now_ms = now_ms;
            self.duties.update(Arc::new(update));
        }
    }

    /// A block on the newest one and against the newest relay block, as it is offered.
    fn offered(&self, change: impl Fn(&mut Built)) -> (Offered, Bytes) {
        let ledger = &self.relay.ledger;
        let parent = ledger.shard(A).unwrap().newest();
        let order = BuildOrder {
            shard: A,
            parent,
            anchor: RelayAnchor {
                height: ledger.height(),
                digest: digest_of(ledger.height()),
            },
            now_ms: self.duties.now_ms,
        };
        let block = ToyBlock {
            number: parent.number + 1,
            parent: parent.hash,
            first: 0,
            count: EACH,
            poisoned: false,
        };
        let mut built = block.describe(&order, &self.collator.public_key());
        change(&mut built);
        let id = built.descriptor.id();
        let offered = Offered {
            signature: id.sign(&self.relay.authority.namespace, &self.collator),
            descriptor: built.descriptor,
            schedule: Schedule {
                core: 0,
                height: ledger.height(),
            },
        };
        (offered, built.collation)
    }
}

#[test]
fn a_check_that_nobody_waits_for_is_cancelled() {
    deterministic::Runner::default().start(|runtime| async move {
        let mut desk = Desk::new(&runtime, LedgerRules::asynchronous(4));
        desk.blocks(5);
        let (offered, collation) = desk.offered(|_| {});
        let peer = desk.collator.public_key();
        desk.duties.take_offer(&peer, offered, Some(collation));
        desk.duties.advance();
        let effects = desk.duties.take_effects();
        let cancelled = effects.into_iter().find_map(|effect| match effect {
            Effect::Work(Job::Examine { cancelled, .. }) => Some(cancelled),
            _ => None,
        });
        let cancelled = cancelled.expect("what is offered is examined");
        assert!(!cancelled.load(Relaxed));
        desk.duties.now_ms += OFFER_KEEP_MS + 1;
        desk.duties.advance();
        // The offer is gone in this look, and its check with it.
        assert!(cancelled.load(Relaxed));
    });
}

#[test]
fn a_full_block_is_signed_after_an_upgrade_that_raises_the_gas_limit() {
    deterministic::Runner::default().start(|runtime| async move {
        let rules = LedgerRules {
            anchor_window: 4,
            ..LedgerRules::asynchronous(4)
        };
        let mut desk = Desk::new(&runtime, rules);
        desk.blocks(2);
        let charter = alloy_primitives::Bytes::from_static(&[0, 0, 0, 2]);
        desk.relay.orders.push(ShardOrder::Upgrade {
            shard: A,
            charter: charter.clone(),
            gas_limit: 2 * GAS_LIMIT,
            height: 10,
        });
        desk.blocks(10);
        let of_gas = |gas_used| {
            let (offered, _) = desk.offered(|built| {
                built.descriptor.rules = digest(&charter);
                built.descriptor.gas_used = gas_used;
            });
            desk.duties.standing(&offered, offered.descriptor.id())
        };
        assert_eq!(of_gas(2 * GAS_LIMIT), Standing::Sign);
        let refused = Standing::Refuse("over a limit");
        assert_eq!(of_gas(2 * GAS_LIMIT + 1), refused);
    });
}
