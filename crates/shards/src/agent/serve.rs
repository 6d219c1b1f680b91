//! Giving collations and chunks to others: from memory, or else from the cellar.
//!
//! A peer is answered so many bytes a second; what it asks for beyond that it asks for again.

use super::{
    cellar::{Reader, record::Label},
    config::PEERS_MAX,
    duties::Duties,
};
use crate::message::LargeMessage;
use alloy_primitives::B256;
use commonware_p2p::Recipients;
use primitives::{crypto::PublicKey, shard::CandidateId};

/// Bytes that any answer counts for at least.
const ANSWER_BYTES_MIN: usize = 1024;
const SECOND_MS: u64 = 1_000;

/// What a peer has been given in the second that began then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allowance {
    since_ms: u64,
    bytes: usize,
}

impl Duties {
    pub(crate) fn serve_collation(&mut self, peer: &PublicKey, id: CandidateId) {
        let entry = self.shelf.get(&id);
        let known =
            entry.and_then(|entry| Some((entry.signature.clone(), entry.collation.clone()?)));
        let Some((signature, collation)) = known else {
            if !self.config.collates.is_empty() {
                self.look_up_for(peer, Label::collation(id));
            }
            return;
        };
        let answer = LargeMessage::Collation {
            candidate: id,
            signature,
            collation,
        };
        self.answer(peer, answer);
    }

    pub(crate) fn serve_chunk(
        &mut self,
        peer: &PublicKey,
        (id, root): (CandidateId, B256),
        index: u16,
    ) {
        let cut = self.shelf.get(&id).and_then(|entry| {
            let coding = entry.coding.filter(|coding| coding.root == root)?;
            let chunk = entry.chunks.get(usize::from(index))?.clone();
            Some((coding, index, chunk))
        });
        let held = self.held.get(&(id, root)).and_then(|one| {
            let own = self.epochs.own(one.coding.epoch)?;
            Some((one.coding, own, one.chunk.clone()))
        });
        for (coding, index, chunk) in [cut, held].into_iter().flatten() {
            let answer = LargeMessage::Chunk {
                candidate: id,
                coding,
                index,
                chunk,
            };
            self.answer(peer, answer);
        }
        if self.memory.holds(id, root) {
            self.look_up_for(peer, Label::chunk(id, root));
        }
    }

    /// Has something read for a peer, if it has not had its fill.
    fn look_up_for(&mut self, peer: &PublicKey, label: Label) {
        if !self.is_sated(peer) {
            self.look_up(label, Reader::Peer(peer.clone()));
        }
    }

    fn is_sated(&self, peer: &PublicKey) -> bool {
        let (now_ms, max) = (self.now_ms, self.config.served_bytes_max);
        let allowance = self.allowances.get(peer).copied().unwrap_or_default();
        let begins = now_ms.saturating_sub(allowance.since_ms) >= SECOND_MS;
        max == 0 || (!begins && allowance.bytes >= max)
    }

    /// Gives a peer what it asked for, if it has not had its fill.
    pub(crate) fn answer(&mut self, peer: &PublicKey, answer: LargeMessage) {
        let bytes = match &answer {
            LargeMessage::Offer(_, bytes)
            | LargeMessage::Chunk { chunk: bytes, .. }
            | LargeMessage::Collation {
                collation: bytes, ..
            } => bytes.len(),
        };
        if self.allows(peer, bytes) {
            self.metrics.served.inc();
            self.send_large(Recipients::One(peer.clone()), answer);
        }
    }

    /// Whether a peer may be given so many bytes more in this second.
    fn allows(&mut self, peer: &PublicKey, bytes: usize) -> bool {
        if self.allowances.len() >= PEERS_MAX && !self.allowances.contains_key(peer) {
            self.allowances.clear();
        }
        let (now_ms, max) = (self.now_ms, self.config.served_bytes_max);
        let allowance = self.allowances.entry(peer.clone()).or_default();
        if now_ms.saturating_sub(allowance.since_ms) >= SECOND_MS {
            *allowance = Allowance {
                since_ms: now_ms,
                bytes: 0,
            };
        }
        let more = allowance.bytes.saturating_add(bytes.max(ANSWER_BYTES_MIN));
        if more > max {
            self.metrics.refused_requests.inc();
            return false;
        }
        allowance.bytes = more;
        true
    }
}
