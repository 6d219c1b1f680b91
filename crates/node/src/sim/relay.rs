//! The relay chain: leaders in turn, each from what waits at its own node; every block is checked as validators do.
//!
//! ```text
//! Inclusion of the leader ─▶ assemble on the parent's ledger ─▶ check signatures ─▶ apply ─▶ the same ledger?
//! ```
//! Consensus itself is not simulated here: a block is final a fixed time after its proposal.

use super::shard::hash_of;
use alloy_primitives::B256;
use primitives::shard::CarriedOrders;
use rand::{SeedableRng as _, rngs::StdRng};
use shards::{
    feed::{LedgerFeed, RelayUpdate},
    inclusion::{Inclusion, RelayPlace},
    ledger::{Authority, CheckedSection, Ledger, LedgerEvent, RelayStep, SectionFault},
};
use std::sync::Arc;

/// What must never happen on the relay chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayFault {
    /// A leader could not follow the newest block.
    #[error("a leader does not follow the newest relay block: height={0}")]
    Parent(u64),
    /// What agents handed to a leader breaks a rule.
    #[error("a section breaks a rule: height={height} {fault}")]
    Section {
        /// Of the relay block.
        height: u64,
        /// Which.
        fault: SectionFault,
    },
    /// The leader and the validators come to other ledgers.
    #[error("a leader's ledger is not the validators': height={0}")]
    Differs(u64),
}

/// Something happened in a relay block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// The block's height.
    pub(super) height: u64,
    /// When it was proposed, in milliseconds.
    pub(super) at_ms: u64,
    pub(super) event: LedgerEvent,
}

/// The chain.
#[derive(Debug)]
pub(super) struct Relay {
    authority: Arc<Authority>,
    pub(super) ledger: Ledger,
    pub(super) seen: Vec<Seen>,
    random: StdRng,
}

fn digest_of(height: u64) -> B256 {
    hash_of(&height.to_be_bytes())
}

impl Relay {
    pub(super) fn new(ledger: Ledger, authority: Authority, seed: u64) -> Self {
        Self {
            authority: Arc::new(authority),
            ledger,
            seen: Vec::new(),
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// What every node begins with.
    pub(super) fn feed(&self) -> LedgerFeed {
        let feed = LedgerFeed::new(RelayUpdate {
            height: 0,
            digest: digest_of(0),
            ledger: Arc::new(self.ledger.clone()),
            authority: Arc::clone(&self.authority),
            events: Vec::new(),
        });
        feed.resume(0);
        feed
    }

    /// The next block, by whoever has this to say.
    pub(super) fn lead(&mut self, from: &Inclusion, at_ms: u64) -> Result<RelayUpdate, RelayFault> {
        let before = self.ledger.height();
        let height = before.saturating_add(1);
        let place = RelayPlace {
            height,
            parent_digest: digest_of(before),
            timestamp_ms: at_ms,
            executed_height: before,
        };
        let assembled = from.assemble(&self.ledger, place, &CarriedOrders::default());
        let assembled = assembled.ok_or(RelayFault::Parent(height))?;
        let refuse = |fault| RelayFault::Section { height, fault };
        let section = CheckedSection::check(
            assembled.section,
            &self.ledger,
            &self.authority,
            &mut self.random,
        );
        let section = section.map_err(refuse)?;
        let step = RelayStep {
            height,
            parent_digest: place.parent_digest,
            timestamp_ms: at_ms,
            executed_height: before,
            section: &section,
        };
        let (ledger, events) = self.ledger.apply(&step).map_err(refuse)?;
        if ledger != assembled.ledger {
            return Err(RelayFault::Differs(height));
        }
        let seen = events.iter();
        self.seen.extend(seen.map(|event| Seen {
            height,
            at_ms,
            event: *event,
        }));
        self.ledger = ledger.clone();
        Ok(RelayUpdate {
            height,
            digest: digest_of(height),
            ledger: Arc::new(ledger),
            authority: Arc::clone(&self.authority),
            events,
        })
    }
}
