//! The validators of the epochs that an agent has to do with: today's, and those in which something was backed
//! that is not final yet.
//!
//! ```text
//! epoch e    │ backed, not included ─▶ back to its collator, a new envelope in e+1
//!            │ included             ─▶ its chunks stay e's, by e's indices; e+1 gets them there, checks, votes
//! ```
//! A validator has one index in each epoch, or none. What is coded for an epoch is about that epoch's indices,
//! whoever votes now; so a validator that has left gives its chunks as long as somebody may need them.
//!
//! An agent that starts after the change does not know who was before, and asks today's validators instead.

use crate::ledger::{Authority, Ledger};
use primitives::{crypto::PublicKey, shard::Coding};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Clone, Debug)]
struct Term {
    authority: Arc<Authority>,
    /// The node's index among them.
    own: Option<u16>,
}

/// Who they were, and which of them this node was.
#[derive(Clone, Debug)]
pub(crate) struct Epochs {
    key: PublicKey,
    terms: BTreeMap<u64, Term>,
}

impl Epochs {
    pub(crate) const fn new(key: PublicKey) -> Self {
        Self {
            key,
            terms: BTreeMap::new(),
        }
    }

    /// Learns who the validators of this ledger's epoch are, and forgets those that nothing pending needs.
    pub(crate) fn follow(&mut self, ledger: &Ledger, authority: &Arc<Authority>) {
        self.terms.entry(ledger.epoch()).or_insert_with(|| {
            let mut validators = authority.validators.iter();
            let own = validators.position(|key| *key == self.key);
            Term {
                authority: Arc::clone(authority),
                own: own.and_then(|index| u16::try_from(index).ok()),
            }
        });
        self.terms.retain(|epoch, _| {
            let mut pending = ledger.pending();
            *epoch == ledger.epoch() || pending.any(|one| one.envelope.coding.epoch == *epoch)
        });
    }

    /// This node's index in an epoch.
    pub(crate) fn own(&self, epoch: u64) -> Option<u16> {
        self.terms.get(&epoch).and_then(|term| term.own)
    }

    /// Those for whom something was coded, in the order of their indices; nobody if that is not known here.
    pub(crate) fn coded_for(&self, coding: &Coding) -> &[PublicKey] {
        let term = self.terms.get(&coding.epoch);
        term.map_or(&[], |term| term.authority.validators.as_slice())
    }
}
