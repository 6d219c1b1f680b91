//! Giving collations and chunks to others: from memory, or else from the cellar.
//!
//! A peer is answered so many bytes a second, and all together so many times as much; what it asks for beyond that it
//! asks for again. What is not there to be read counts like the shortest answer.

use super::{
    cellar::{Reader, record::Label},
    config::{PEERS_MAX, SERVED_PEERS},
    duties::Duties,
};
use crate::message::LargeMessage;
use alloy_primitives::B256;
use commonware_p2p::Recipients;
use primitives::{crypto::PublicKey, shard::CandidateId};
use std::collections::BTreeMap;

/// Bytes that any answer counts for at least.
const ANSWER_BYTES_MIN: usize = 1024;
const SECOND_MS: u64 = 1_000;

/// What has been given in the second that began then.
#[derive(Clone, Copy, Debug, Default)]
struct Allowance {
    since_ms: u64,
    bytes: usize,
}

impl Allowance {
    /// As it is now.
    fn at(self, now_ms: u64) -> Self {
        match now_ms.saturating_sub(self.since_ms) >= SECOND_MS {
            true => Self {
                since_ms: now_ms,
                bytes: 0,
            },
            false => self,
        }
    }

    const fn add(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// What each peer has been given, and all together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowances {
    peers: BTreeMap<PublicKey, Allowance>,
    all: Allowance,
}

impl Allowances {
    /// What a peer and all together have been given in this second.
    fn at(&mut self, peer: &PublicKey, now_ms: u64) -> (&mut Allowance, &mut Allowance) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(peer) {
            self.peers.clear();
        }
        let own = self.peers.entry(peer.clone()).or_default();
        (*own, self.all) = (own.at(now_ms), self.all.at(now_ms));
        (own, &mut self.all)
    }
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
        // One chunk for one request: it is the own one that whoever restores a collation asks for.
        if let Some((coding, index, chunk)) = cut.or(held) {
            let answer = LargeMessage::Chunk {
                candidate: id,
                coding,
                index,
                chunk,
            };
            self.answer(peer, answer);
        } else if self.memory.holds(id, root) {
            self.look_up_for(peer, Label::chunk(id, root));
        }
    }

    /// Has something read for a peer, if it has not had its fill.
    fn look_up_for(&mut self, peer: &PublicKey, label: Label) {
        let sated = self.allowances.at(peer, self.now_ms).0.bytes >= self.config.served_bytes_max;
        if sated || !self.look_up(label, Reader::Peer(peer.clone())) {
            self.metrics.refused_requests.inc();
        }
    }

    /// What was read for a peer is not there.
    pub(crate) fn charge_miss(&mut self, peer: &PublicKey) {
        let (own, all) = self.allowances.at(peer, self.now_ms);
        own.add(ANSWER_BYTES_MIN);
        all.add(ANSWER_BYTES_MIN);
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

    /// Whether a peer may be given so many bytes more in this second. When all have had what there is, a validator
    /// still gets one answer: others may have taken it all to keep it from checking anything.
    fn allows(&mut self, peer: &PublicKey, bytes: usize) -> bool {
        let (bytes, max) = (bytes.max(ANSWER_BYTES_MIN), self.config.served_bytes_max);
        let is_validator = self.relay.authority.validators.contains(peer);
        let (own, all) = self.allowances.at(peer, self.now_ms);
        let spent = all.bytes.saturating_add(bytes) > max.saturating_mul(SERVED_PEERS);
        let owed = is_validator && own.bytes == 0;
        let allowed = own.bytes.saturating_add(bytes) <= max && (!spent || owed);
        if allowed {
            own.add(bytes);
            all.add(bytes);
        } else {
            self.metrics.refused_requests.inc();
        }
        allowed
    }
}
