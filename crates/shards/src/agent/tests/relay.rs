//! A relay chain without consensus: leaders in turn, each from its own node's `Inclusion`; every block is checked
//! like any other, and told to all nodes once it is taken to be final.

use crate::{
    feed::{LedgerFeed, RelayUpdate},
    inclusion::{Inclusion, RelayPlace},
    ledger::{Authority, CheckedSection, Ledger, LedgerEvent, RelayStep, ShardOrder},
};
use alloy_primitives::B256;
use primitives::{
    crypto::PublicKey,
    shard::{BackedEnvelope, CarriedOrders},
};
use rand::{SeedableRng as _, rngs::StdRng};
use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex},
};

/// What relay blocks backed, by height: as nodes have it on disk.
pub(super) type Archive = Arc<Mutex<BTreeMap<u64, Vec<BackedEnvelope>>>>;

/// Digest of the relay block at a height.
pub(super) fn digest_of(height: u64) -> B256 {
    crate::agent::backing::hash_of(&height.to_be_bytes())
}

/// The chain.
pub(super) struct Relay {
    pub(super) authority: Arc<Authority>,
    /// Who the validators are after the next block, if they are others.
    next: Option<Arc<Authority>>,
    pub(super) ledger: Ledger,
    pub(super) events: Vec<(u64, LedgerEvent)>,
    /// Relay height at which each sequence number was backed, and the final ones' distances.
    backed: BTreeMap<u64, u64>,
    pub(super) distances: Vec<u64>,
    /// What the next block orders.
    pub(super) orders: Vec<ShardOrder>,
    random: StdRng,
    pub(super) archive: Archive,
}

impl Relay {
    pub(super) fn new(ledger: Ledger, authority: Authority) -> Self {
        Self {
            authority: Arc::new(authority),
            next: None,
            ledger,
            events: Vec::new(),
            backed: BTreeMap::new(),
            distances: Vec::new(),
            orders: Vec::new(),
            random: StdRng::seed_from_u64(0),
            archive: Archive::default(),
        }
    }

    /// The feed of a node that starts now.
    pub(super) fn feed(&self) -> LedgerFeed {
        let height = self.ledger.height();
        LedgerFeed::new(RelayUpdate {
            height,
            digest: digest_of(height),
            ledger: Arc::new(self.ledger.clone()),
            authority: Arc::clone(&self.authority),
            events: Vec::new(),
        })
    }

    /// The next block is the last of its epoch.
    pub(super) fn end_epoch(&mut self, validators: Vec<PublicKey>) {
        self.next = Some(Arc::new(Authority {
            namespace: self.authority.namespace.clone(),
            validators,
        }));
    }

    /// The next block, by this leader.
    pub(super) fn lead(&mut self, inclusion: &Inclusion, timestamp_ms: u64) -> RelayUpdate {
        let height = self.ledger.height() + 1;
        let place = RelayPlace {
            height,
            parent_digest: digest_of(height - 1),
            timestamp_ms,
            executed_height: height - 1,
        };
        let orders = self.carried(place.executed_height);
        let assembled = inclusion.assemble(&self.ledger, place, &orders);
        let assembled = assembled.expect("the leader has the parent's ledger");
        let backed = assembled.section.backed.clone();
        self.archive.lock().unwrap().insert(height, backed);
        let section = CheckedSection::check(
            assembled.section,
            &self.ledger,
            &self.authority,
            &mut self.random,
        )
        .expect("agents hand over what is signed");
        let step = RelayStep {
            height,
            parent_digest: place.parent_digest,
            timestamp_ms,
            executed_height: place.executed_height,
            section: &section,
        };
        let (mut ledger, mut events) = self
            .ledger
            .apply(&step)
            .expect("a leader tries what it says");
        assert_eq!(ledger, assembled.ledger, "all come to the same ledger");
        if let Some(authority) = self.next.take() {
            let validators = u16::try_from(authority.validators.len()).unwrap();
            let (next, dropped) = ledger.begin_epoch(validators).unwrap();
            ledger = next;
            events.extend(dropped);
            self.authority = authority;
        }
        for event in &events {
            self.note(height, *event);
        }
        self.ledger = ledger.clone();
        RelayUpdate {
            height,
            digest: digest_of(height),
            ledger: Arc::new(ledger),
            authority: Arc::clone(&self.authority),
            events,
        }
    }

    fn carried(&mut self, height: u64) -> CarriedOrders {
        let orders = mem::take(&mut self.orders);
        if orders.is_empty() {
            return CarriedOrders::default();
        }
        let list = orders.iter().map(ShardOrder::to_bytes).collect();
        CarriedOrders { height, list }
    }

    fn note(&mut self, height: u64, event: LedgerEvent) {
        match event {
            LedgerEvent::Backed(named) => drop(self.backed.insert(named.sequence, height)),
            LedgerEvent::Final(named, _) => {
                let backed = self.backed[&named.sequence];
                self.distances.push(height - backed);
            }
            LedgerEvent::Included(_)
            | LedgerEvent::Discarded(..)
            | LedgerEvent::Offended(_)
            | LedgerEvent::Escalated(..)
            | LedgerEvent::Ordered(..)
            | LedgerEvent::Refused(..)
            | LedgerEvent::Moved { .. } => {}
        }
        self.events.push((height, event));
    }
}
