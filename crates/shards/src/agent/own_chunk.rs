//! The own chunk of a candidate that this validator need not check, when no backer has sent it.
//!
//! ```text
//! backed ─a moment─▶ ask its backers ─silent─▶ again, a few times ─▶ the whole collation, and cut it here
//! ```
//! Whoever checks a candidate cuts it and has its chunk by that. The others depend on two backers; a lost message
//! must not cost a chunk, and backers that send none must not be able to choose who holds one.

use super::duties::Duties;
use crate::{ledger::Pending, message::SmallMessage};
use alloy_primitives::B256;
use commonware_p2p::Recipients;
use primitives::shard::CandidateId;
use std::collections::BTreeSet;

/// Times that backers are asked for a chunk before the collation is.
const ASKED_MAX: u64 = 3;

/// A chunk that has not come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MissingChunk {
    asked: u64,
    next_ms: u64,
}

impl Duties {
    /// Sees to it that the own chunk of something pending comes.
    pub(crate) fn want_chunk(&mut self, pending: &Pending) {
        let key = (pending.candidate, pending.envelope.coding.root);
        let Some(own) = self.own else {
            return;
        };
        let has = self.held.contains_key(&key) || self.memory.holds(key.0, key.1);
        if pending.is_included() || has {
            return;
        }
        let (now_ms, answer_ms) = (self.now_ms, self.config.answer_ms);
        let missing = self.missing.entry(key).or_insert(MissingChunk {
            asked: 0,
            next_ms: now_ms.saturating_add(answer_ms),
        });
        if missing.asked >= ASKED_MAX {
            self.get_checked(pending.candidate);
            return;
        }
        if now_ms < missing.next_ms {
            return;
        }
        missing.asked = missing.asked.saturating_add(1);
        let wait_ms = answer_ms.saturating_mul(missing.asked);
        missing.next_ms = now_ms.saturating_add(wait_ms);
        let backers = self.audience_keys(pending.backers.iter());
        self.metrics.requests.inc();
        let message = SmallMessage::GetChunk {
            candidate: pending.candidate,
            root: pending.envelope.coding.root,
            index: own,
        };
        self.send_small(Recipients::Some(backers.into_iter().collect()), message);
    }

    /// Forgets what is not pending any more.
    pub(crate) fn prune_missing(&mut self, pending: &BTreeSet<(CandidateId, B256)>) {
        self.missing.retain(|key, _| pending.contains(key));
    }
}
