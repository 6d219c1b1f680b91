//! What one peer may cost: bytes that come back with time. Pure.

use primitives::crypto::PublicKey;
use std::{collections::BTreeMap, time::SystemTime};

/// Seconds' worth of bytes that a peer may spend at once; several of the largest blocks.
pub(crate) const BURST_SECONDS: usize = 2;
/// Peers whose allowances are remembered; more are connected to no node.
const PEERS_MAX: usize = 1_024;

/// Bytes that one peer may spend.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    bytes_per_second: usize,
    left: usize,
    refilled_at: SystemTime,
}

impl Allowance {
    /// All of [`BURST_SECONDS`] to spend.
    pub(crate) const fn new(bytes_per_second: usize, now: SystemTime) -> Self {
        Self {
            bytes_per_second,
            left: bytes_per_second.saturating_mul(BURST_SECONDS),
            refilled_at: now,
        }
    }

    /// Whether so many bytes were there to be spent; none are spent if not.
    pub(crate) fn spend(&mut self, bytes: usize, now: SystemTime) -> bool {
        self.refill(now);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }

    fn refill(&mut self, now: SystemTime) {
        let Ok(elapsed) = now.duration_since(self.refilled_at) else {
            // A clock that was set back refills from there on.
            self.refilled_at = now;
            return;
        };
        let elapsed_ms = usize::try_from(elapsed.as_millis()).unwrap_or(usize::MAX);
        let refill = elapsed_ms.saturating_mul(self.bytes_per_second) / 1_000;
        if refill == 0 {
            // Less than a byte yet: what has elapsed counts later.
            return;
        }
        let full = self.bytes_per_second.saturating_mul(BURST_SECONDS);
        self.left = self.left.saturating_add(refill).min(full);
        self.refilled_at = now;
    }
}

/// What each peer may still spend.
#[derive(Debug)]
pub(crate) struct Allowances {
    bytes_per_second: usize,
    by_peer: BTreeMap<PublicKey, Allowance>,
}

impl Allowances {
    pub(crate) const fn new(bytes_per_second: usize) -> Self {
        Self {
            bytes_per_second,
            by_peer: BTreeMap::new(),
        }
    }

    /// Whether a peer had so many bytes to spend; none are spent if not.
    pub(crate) fn spend(&mut self, peer: &PublicKey, bytes: usize, now: SystemTime) -> bool {
        if self.by_peer.len() >= PEERS_MAX && !self.by_peer.contains_key(peer) {
            self.by_peer.clear();
        }
        let bytes_per_second = self.bytes_per_second;
        let allowance = self
            .by_peer
            .entry(peer.clone())
            .or_insert_with(|| Allowance::new(bytes_per_second, now));
        allowance.spend(bytes, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use commonware_cryptography::Signer as _;
    use primitives::crypto::PrivateKey;
    use std::time::UNIX_EPOCH;

    #[test]
    fn peers_do_not_spend_from_each_other_and_few_are_remembered() {
        let peer = |index| PrivateKey::from_seed(index).public_key();
        let mut allowances = Allowances::new(100);
        for index in 0..2 {
            assert!(allowances.spend(&peer(index), 200, UNIX_EPOCH));
            assert!(!allowances.spend(&peer(index), 1, UNIX_EPOCH));
        }
        for index in 0..2 * PEERS_MAX as u64 {
            allowances.spend(&peer(index), 1, UNIX_EPOCH);
            assert!(allowances.by_peer.len() <= PEERS_MAX);
        }
    }
}
