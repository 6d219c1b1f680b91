//! Candidates, checked from what they bring along, under the charters that the ledger has.
//!
//! ```text
//! descriptor: shard, rules ─▶ charter of the ledger, read once ─▶ check ─▶ finding
//!                                └ not there, or of a version that this node does not know: undecided
//! ```
//! A charter is not forgotten when the ledger forgets it: candidates may be pending that name it.
//!
//! Limits: [`CHARTERS_MAX`] charters.

use alloy_primitives::B256;
use bytes::Bytes;
use primitives::shard::{Charter, Descriptor, ShardId};
use shards::{
    ShardRules, Verdict,
    agent::{Checker, Finding},
    check,
    feed::LedgerFeed,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
};

/// Charters kept: the present and the next one of as many shards as there may be, and some of before.
const CHARTERS_MAX: usize = 1_024;

/// The rules of all shards of a relay chain.
#[derive(Debug)]
pub(crate) struct Rules {
    feed: LedgerFeed,
    known: Mutex<Charters>,
}

/// Charters, by shard and digest.
type Charters = BTreeMap<(ShardId, B256), Arc<Charter>>;

impl Rules {
    pub(crate) fn new(feed: LedgerFeed) -> Self {
        Self {
            feed,
            known: Mutex::default(),
        }
    }

    /// What a shard's candidates with these rules are executed under; none if this node does not know.
    pub(crate) fn charter(&self, shard: ShardId, rules: &B256) -> Option<Arc<Charter>> {
        let key = (shard, *rules);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(charter) = known.get(&key) {
            return Some(Arc::clone(charter));
        }
        let newest = self.feed.newest();
        let bytes = newest.ledger.shard(shard)?.charter(rules)?;
        let charter = Arc::new(Charter::read(bytes).ok()?);
        while known.len() >= CHARTERS_MAX {
            known.pop_first();
        }
        known.insert(key, Arc::clone(&charter));
        Some(charter)
    }
}

impl Checker for Rules {
    fn check(&self, descriptor: &Descriptor, collation: &Bytes, cancelled: &AtomicBool) -> Finding {
        let Some(charter) = self.charter(descriptor.shard, &descriptor.rules) else {
            let (shard, number) = (descriptor.shard, descriptor.number);
            tracing::debug!(%shard, number, "the charter of a candidate is not known here");
            return Finding::Undecided;
        };
        let rules = ShardRules {
            shard: descriptor.shard,
            chain: &charter.chain,
            digest: descriptor.rules,
            genesis: charter.genesis_rules,
        };
        let encoded = collation.clone().into();
        match check(descriptor, &encoded, &rules, cancelled) {
            Ok(_) => Finding::Valid,
            Err(Verdict::Invalid(reason)) => {
                let (shard, number) = (descriptor.shard, descriptor.number);
                tracing::warn!(%shard, number, %reason, "a candidate is invalid");
                Finding::Invalid
            }
            Err(verdict) => {
                tracing::debug!(%verdict, "a candidate could not be checked");
                Finding::Undecided
            }
        }
    }
}
