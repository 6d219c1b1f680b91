//! Blocks seen recently, so that they are found, given to those who ask, and not rebuilt again. Pure.
//!
//! ```text
//! peer ─▶ its newest digests ─┐
//! peer ─▶ its newest digests ─┴▶ blocks, each once
//! ```
//! A block stays while it is among the newest [`BLOCKS_PER_PEER_MAX`] of some validator; what others send is not
//! kept. So a peer pushes out nothing but what it sent itself.

use super::config::BLOCKS_PER_PEER_MAX;
use commonware_utils::ordered::Set;
use primitives::{
    Block,
    crypto::{BlockDigest, PublicKey},
};
use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

#[derive(Debug)]
struct Cached {
    block: Block,
    /// Peers among whose newest it is.
    references: usize,
}

/// Blocks seen recently.
#[derive(Debug, Default)]
pub(super) struct BlockCache {
    primary: Set<PublicKey>,
    newest: BTreeMap<PublicKey, VecDeque<BlockDigest>>,
    blocks: BTreeMap<BlockDigest, Cached>,
}

impl BlockCache {
    /// Takes a peer's blocks in from now on, or forgets them.
    pub(super) fn follow(&mut self, primary: Set<PublicKey>) {
        let gone: Vec<_> = self
            .newest
            .extract_if(.., |peer, _| primary.position(peer).is_none())
            .collect();
        for digest in gone.into_iter().flat_map(|(_, digests)| digests) {
            self.release(&digest);
        }
        self.primary = primary;
    }

    pub(super) fn get(&self, digest: &BlockDigest) -> Option<&Block> {
        self.blocks.get(digest).map(|cached| &cached.block)
    }

    /// Remembers that a peer has sent a block, which is kept on its account.
    pub(super) fn insert(&mut self, peer: &PublicKey, block: &Block) {
        if self.primary.position(peer).is_none() {
            return;
        }
        let digest = block.digest();
        let newest = self.newest.entry(peer.clone()).or_default();
        let known = newest.iter().position(|known| *known == digest);
        if let Some(known) = known {
            newest.remove(known);
            newest.push_front(digest);
            return;
        }
        newest.push_front(digest);
        let oldest = (newest.len() > BLOCKS_PER_PEER_MAX).then(|| newest.pop_back());
        self.blocks
            .entry(digest)
            .and_modify(|cached| cached.references = cached.references.saturating_add(1))
            .or_insert_with(|| Cached {
                block: block.clone(),
                references: 1,
            });
        if let Some(oldest) = oldest.flatten() {
            self.release(&oldest);
        }
    }

    fn release(&mut self, digest: &BlockDigest) {
        let Entry::Occupied(mut entry) = self.blocks.entry(*digest) else {
            return;
        };
        let cached = entry.get_mut();
        cached.references = cached.references.saturating_sub(1);
        if cached.references == 0 {
            entry.remove();
        }
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }
}
