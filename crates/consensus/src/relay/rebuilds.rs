//! All rebuilds that are not finished: few for each peer, and few in all. Pure.
//!
//! The newest of a peer pushes out its oldest; when there are too many in all, the peer with the most loses its
//! oldest. So no peer pushes out what another one, with fewer, has sent.

use super::{
    config::{REBUILDS_MAX, REBUILDS_PER_PEER_MAX},
    message::Compact,
    rebuild::Rebuild,
};
use primitives::crypto::{BlockDigest, PublicKey};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

/// Whose compact block, and of which block.
pub(super) type Key = (PublicKey, BlockDigest);

/// Rebuilds by peer and block.
#[derive(Debug, Default)]
pub(super) struct Rebuilds {
    by_key: BTreeMap<Key, Rebuild>,
}

impl Rebuilds {
    pub(super) fn get(&self, key: &Key) -> Option<&Rebuild> {
        self.by_key.get(key)
    }

    pub(super) fn remove(&mut self, key: &Key) -> Option<Rebuild> {
        self.by_key.remove(key)
    }

    /// Puts one in, and returns the blocks of which a rebuild was pushed out.
    pub(super) fn insert(&mut self, peer: PublicKey, rebuild: Rebuild) -> BTreeSet<BlockDigest> {
        self.by_key
            .insert((peer.clone(), rebuild.digest()), rebuild);
        let mut pushed_out = BTreeSet::new();
        if self.of_peer(&peer).count() > REBUILDS_PER_PEER_MAX {
            pushed_out.extend(self.push_out(&peer));
        }
        if self.by_key.len() > REBUILDS_MAX {
            let peers: BTreeSet<_> = self.by_key.keys().map(|(peer, _)| peer.clone()).collect();
            let most = peers
                .into_iter()
                .max_by_key(|peer| self.of_peer(peer).count());
            pushed_out.extend(most.and_then(|peer| self.push_out(&peer)));
        }
        pushed_out
    }

    fn of_peer<'a>(&'a self, peer: &'a PublicKey) -> impl Iterator<Item = (&'a Key, &'a Rebuild)> {
        self.by_key.iter().filter(move |((of, _), _)| of == peer)
    }

    fn push_out(&mut self, peer: &PublicKey) -> Option<BlockDigest> {
        let oldest = self.of_peer(peer).min_by_key(|(_, rebuild)| rebuild.number);
        let key = oldest.map(|(key, _)| key.clone())?;
        self.by_key.remove(&key);
        Some(key.1)
    }

    /// Removes all of a block.
    pub(super) fn finish(&mut self, digest: &BlockDigest) -> Vec<(PublicKey, Rebuild)> {
        let of_block = self.by_key.extract_if(.., |(_, of), _| of == digest);
        of_block
            .map(|((peer, _), rebuild)| (peer, rebuild))
            .collect()
    }

    /// Removes all of a peer; the blocks they were of.
    pub(super) fn forget(&mut self, peer: &PublicKey) -> Vec<BlockDigest> {
        let of_peer = self.by_key.extract_if(.., |(of, _), _| of == peer);
        of_peer.map(|((_, digest), _)| digest).collect()
    }

    /// Whether a peer is asked about this block.
    pub(super) fn is_asked(&self, digest: &BlockDigest) -> bool {
        self.of_block(digest).any(|(_, rebuild)| rebuild.is_asked())
    }

    /// Whether a peer is asked about this block that named the same body.
    pub(super) fn is_asked_alike(&self, digest: &BlockDigest, compact: &Compact) -> bool {
        self.of_block(digest)
            .any(|(_, rebuild)| rebuild.is_asked() && rebuild.agrees(compact))
    }

    /// The oldest of a block whose peer was not asked.
    pub(super) fn standby(&self, digest: &BlockDigest) -> Option<Key> {
        let standby = self
            .of_block(digest)
            .filter(|(_, rebuild)| rebuild.is_standby());
        let oldest = standby.min_by_key(|(_, rebuild)| rebuild.number);
        oldest.map(|(key, _)| key.clone())
    }

    fn of_block<'a>(
        &'a self,
        digest: &'a BlockDigest,
    ) -> impl Iterator<Item = (&'a Key, &'a Rebuild)> {
        self.by_key.iter().filter(move |((_, of), _)| of == digest)
    }

    /// Those whose peers have had long enough.
    pub(super) fn overdue(&self, now: SystemTime) -> Vec<Key> {
        let overdue = self
            .by_key
            .iter()
            .filter(|(_, rebuild)| rebuild.deadline().is_some_and(|until| until <= now));
        overdue.map(|(key, _)| key.clone()).collect()
    }

    /// When the next one will be.
    pub(super) fn next_deadline(&self) -> Option<SystemTime> {
        self.by_key.values().filter_map(Rebuild::deadline).min()
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}
