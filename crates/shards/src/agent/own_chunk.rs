//! The own chunk of a candidate that this validator need not check, when no backer has sent it.
//!
//! ```text
//! backed ─a moment─▶ ask its backers ─silent─▶ again, a few times ─▶ the whole collation, and cut it here
//! ```
//! Whoever checks a candidate cuts it and has its chunk by that. The others depend on two backers; a lost message
//! must not cost a chunk, and backers that send none must not be able to choose who holds one.
//!
//! Limits: chunks of what is not pending are as many bytes as may be held; whoever sent most of them gives way.

use super::{duties::Duties, fetch::HeldChunk, share::gives_way};
use crate::{ledger::Pending, message::SmallMessage};
use alloy_primitives::B256;
use commonware_p2p::Recipients;
use primitives::{crypto::PublicKey, shard::CandidateId};
use std::collections::BTreeSet;

/// How long a chunk is kept for what is not pending, in milliseconds.
const CHUNK_KEEP_MS: u64 = 10_000;
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
        let now_ms = self.now_ms;
        let answer_ms = self.answers.wait_ms(self.config.answer_ms, 1);
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

    pub(crate) fn held_chunk_bytes(&self) -> usize {
        let chunks = self.held.values().map(|one| one.chunk.len());
        chunks.fold(0, usize::saturating_add)
    }

    /// Holds a chunk that is this validator's, if there is room or it is pending.
    pub(crate) fn hold(&mut self, key: (CandidateId, B256), held: HeldChunk) {
        let (bytes, bytes_max) = (held.chunk.len(), self.config.held_bytes_max);
        // Most of the time there is room even if everything is counted.
        if self.held_chunk_bytes().saturating_add(bytes) > bytes_max {
            let pending = self.ledger().pending();
            let pending: BTreeSet<(CandidateId, B256)> = pending
                .map(|one| (one.candidate, one.envelope.coding.root))
                .collect();
            let from = held.from.as_ref().unwrap_or(&self.public_key).clone();
            if !pending.contains(&key) && !self.make_room_to_hold(&pending, &from, bytes) {
                return;
            }
        }
        self.held.insert(key, held);
    }

    /// Room for so many bytes more of a peer, beside what is pending.
    fn make_room_to_hold(
        &mut self,
        pending: &BTreeSet<(CandidateId, B256)>,
        from: &PublicKey,
        bytes: usize,
    ) -> bool {
        loop {
            let own = &self.public_key;
            let waiting = || self.held.iter().filter(|(key, _)| !pending.contains(key));
            let taken =
                || waiting().map(|(_, one)| (one.from.as_ref().unwrap_or(own), one.chunk.len()));
            let sum = taken()
                .map(|(_, bytes)| bytes)
                .fold(bytes, usize::saturating_add);
            if sum <= self.config.held_bytes_max {
                return true;
            }
            let Some(greedy) = gives_way(taken(), from, bytes) else {
                return false;
            };
            let of_greedy = waiting().filter(|(_, one)| one.from.as_ref().unwrap_or(own) == greedy);
            let oldest = of_greedy.min_by_key(|(_, one)| one.since_ms);
            let Some(key) = oldest.map(|(key, _)| *key) else {
                return false;
            };
            self.held.remove(&key);
        }
    }

    /// Keeps the chunks of what is pending, and young ones of what may become so.
    pub(crate) fn prune_chunks(&mut self) {
        let pending = self.ledger().pending();
        let keys: BTreeSet<(CandidateId, B256)> = pending
            .map(|one| (one.candidate, one.envelope.coding.root))
            .collect();
        let now_ms = self.now_ms;
        let (shelf, statements) = (&self.shelf, &self.statements);
        self.held.retain(|key, held| {
            // What was vouched for may be put forward again, and nobody sends its chunks again then. One signature
            // may be a liar's: whoever signs once more sends once more.
            let named = shelf.get(&key.0).is_some_and(|entry| entry.backed);
            let vouched = named || statements.is_backable(&key.0);
            let new = now_ms.saturating_sub(held.since_ms) < CHUNK_KEEP_MS;
            keys.contains(key) || vouched || new
        });
        self.prune_missing(&keys);
        for (key, held) in &mut self.held {
            if keys.contains(key) {
                held.from = None;
            }
        }
    }

    /// Forgets what is not pending any more.
    fn prune_missing(&mut self, pending: &BTreeSet<(CandidateId, B256)>) {
        self.missing.retain(|key, _| pending.contains(key));
    }
}
