//! Signatures about shards, many at once: a batch takes about half the time of its parts.

use crate::crypto::{PublicKey, Signature};
use commonware_cryptography::{BatchEntry, BatchVerifier as _, Verifier as _};
use commonware_parallel::Sequential;
use rand_core::CryptoRng;

/// A signature, and what it has to be of.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    pub(super) namespace: &'a [u8],
    pub(super) message: Vec<u8>,
    pub(super) key: &'a PublicKey,
    pub(super) signature: &'a Signature,
}

impl Signed<'_> {
    /// Whether the key made it.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.key
            .verify(self.namespace, &self.message, self.signature)
    }

    /// The first that is wrong. The randomness decides nothing but which forgeries would slip through a batch: nobody
    /// may know it before the signatures are made.
    pub fn first_wrong(all: &[Self], random: &mut impl CryptoRng) -> Option<usize> {
        let entry = |_, one| Self::entry(one);
        if all.is_empty() || PublicKey::verify_batch(random, all, entry, &Sequential) {
            return None;
        }
        all.iter().position(|one| !one.is_right())
    }

    fn entry(&self) -> BatchEntry<'_, PublicKey> {
        BatchEntry {
            namespace: self.namespace,
            message: &self.message,
            public_key: self.key,
            signature: self.signature,
        }
    }
}
