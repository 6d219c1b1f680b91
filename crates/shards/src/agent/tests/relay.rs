//! A relay chain without consensus: leaders in turn, each from its own node's `Inclusion`; every block is checked
//! like any other, and told to all nodes once it is taken to be final.

use crate::{
    feed::{LedgerFeed, RelayUpdate},
    inclusion::{Inclusion, RelayPlace},
    ledger::{Authority, CheckedSection, Ledger, LedgerEvent, RelayStep},
};
use alloy_primitives::B256;
use rand::{SeedableRng as _, rngs::StdRng};
use std::{collections::BTreeMap, sync::Arc};

/// Digest of the relay block at a height.
pub(super) fn digest_of(height: u64) -> B256 {
    crate::agent::backing::hash_of(&height.to_be_bytes())
}

/// The chain.
pub(super) struct Relay {
    pub(super) authority: Authority,
    pub(super) ledger: Ledger,
    pub(super) events: Vec<(u64, LedgerEvent)>,
    /// Relay height at which each sequence number was backed, and the final ones' distances.
    backed: BTreeMap<u64, u64>,
    pub(super) distances: Vec<u64>,
    random: StdRng,
}

impl Relay {
    pub(super) fn new(ledger: Ledger, authority: Authority) -> Self {
        Self {
            authority,
            ledger,
            events: Vec::new(),
            backed: BTreeMap::new(),
            distances: Vec::new(),
            random: StdRng::seed_from_u64(0),
        }
    }

    pub(super) fn genesis(ledger: &Ledger) -> LedgerFeed {
        LedgerFeed::new(RelayUpdate {
            height: 0,
            digest: digest_of(0),
            ledger: Arc::new(ledger.clone()),
            events: Vec::new(),
        })
    }

    /// The next block, by this leader.
    pub(super) fn lead(&mut self, inclusion: &Inclusion, timestamp_ms: u64) -> RelayUpdate {
        let height = self.ledger.height() + 1;
        let place = RelayPlace {
            height,
            parent_digest: digest_of(height - 1),
            timestamp_ms,
        };
        let assembled = inclusion.assemble(&self.ledger, place);
        let assembled = assembled.expect("the leader has the parent's ledger");
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
            orders: &[],
            section: &section,
        };
        let (ledger, events) = self
            .ledger
            .apply(&step)
            .expect("a leader tries what it says");
        assert_eq!(ledger, assembled.ledger, "all come to the same ledger");
        for event in &events {
            self.note(height, *event);
        }
        self.ledger = ledger.clone();
        RelayUpdate {
            height,
            digest: digest_of(height),
            ledger: Arc::new(ledger),
            events,
        }
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
            | LedgerEvent::Ordered(..)
            | LedgerEvent::Refused(..)
            | LedgerEvent::Moved { .. } => {}
        }
        self.events.push((height, event));
    }
}
