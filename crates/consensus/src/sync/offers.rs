//! What peers offer, and which of it to take. Pure.
//!
//! The state that most peers offer is taken, of those the highest: who lies is then not the one to set the
//! target, and a target with many peers does not go away with one. An offer is here only after its evidence
//! was checked.

use alloy_primitives::B256;
use primitives::anchor::AnchorDraft;
use std::collections::BTreeMap;

/// One peer's offer, with verified evidence.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) draft: AnchorDraft,
    pub(crate) manifest: B256,
    pub(crate) manifest_bytes: usize,
    /// Digests of the manifests of older states that the peer still serves.
    pub(crate) older: Vec<B256>,
}

/// Which state: equal states have equal manifests.
pub(crate) type Target = (u64, B256);

impl Offer {
    pub(crate) fn target(&self) -> Target {
        (self.draft.height(), self.manifest)
    }

    /// Whether the peer serves a state, offered or older.
    pub(crate) fn serves(&self, (_, manifest): Target) -> bool {
        self.manifest == manifest || self.older.contains(&manifest)
    }
}

/// What peers offer; one offer each.
#[derive(Debug)]
pub(crate) struct Offers<P> {
    by_peer: BTreeMap<P, Offer>,
}

impl<P: Ord + Clone> Offers<P> {
    pub(crate) const fn new() -> Self {
        Self {
            by_peer: BTreeMap::new(),
        }
    }

    pub(crate) fn insert(&mut self, peer: P, offer: Offer) {
        self.by_peer.insert(peer, offer);
    }

    pub(crate) fn remove(&mut self, peer: &P) {
        self.by_peer.remove(peer);
    }

    pub(crate) fn clear(&mut self) {
        self.by_peer.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_peer.is_empty()
    }

    pub(crate) fn get(&self, peer: &P) -> Option<&Offer> {
        self.by_peer.get(peer)
    }

    /// Who offers a state.
    pub(crate) fn peers_of(&self, target: Target) -> Vec<P> {
        let offers = self.by_peer.iter();
        let same = offers.filter(|(_, offer)| offer.target() == target);
        same.map(|(peer, _)| peer.clone()).collect()
    }

    /// Who serves a state, whether or not they would offer it now.
    pub(crate) fn servers_of(&self, target: Target) -> Vec<P> {
        let offers = self.by_peer.iter();
        let serving = offers.filter(|(_, offer)| offer.serves(target));
        serving.map(|(peer, _)| peer.clone()).collect()
    }

    /// The state to take.
    pub(crate) fn best(&self) -> Option<Target> {
        let mut counts: BTreeMap<Target, usize> = BTreeMap::new();
        for offer in self.by_peer.values() {
            *counts.entry(offer.target()).or_default() += 1;
        }
        let best = counts
            .into_iter()
            .max_by_key(|(target, count)| (*count, *target));
        best.map(|(target, _)| target)
    }
}
