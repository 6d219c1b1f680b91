//! Where a node without a history may begin: the evidence for the state at one height `s`, judged with
//! nothing but the genesis.
//!
//! ```text
//!  Ethereum headers   s-255 ◀── … ◀── s ◀── … ◀── e       linked by parent hash; s names the state root,
//!                                     │           │       and all before it are what BLOCKHASH may ask for
//!                            extra_data           └──────── certificate: 2f+1 signed the hash at e
//!                                     ▼
//!  ordering blocks                    s ◀── … ◀── f        linked by parent digest
//!                                                 └──────── finalization: 2f+1 voted for the digest at f
//! ```
//! - [`AnchorHead`] is what a peer says at once: everything but the ordering blocks. Nothing in it can be
//!   read before [`AnchorHead::verify`].
//! - [`AnchorDraft`] is a verified head that gathers the ordering blocks, from `f` down to `s`.
//! - [`Anchor`] is the whole, verified. [`SyncAnchor`] is the same as bytes that prove nothing.
//!
//! Soundness: 2f+1 of 3f+1 signed both ends, so f+1 honest validators executed up to `e` and no other block
//! can be finalized at `f`. Everything else hangs on these two by hashes. `e` is at or above `s`, so the
//! state root at `s` is in the history that they signed.
//!
//! Limits: [`ANCESTORS_MAX`] headers up to `s`, [`LAG_MAX`] above it, [`ORDER_BLOCKS_MAX`] ordering blocks.

mod encoding;
mod error;
#[cfg(test)]
mod tests;

pub use error::AnchorError;

use crate::{
    Block, BlockLimits, ExecutionCertificate, ExecutionResult,
    certificate::{ResultScheme, result_scheme},
    crypto::{BlockDigest, Finalization, PublicKey, Scheme},
};
use alloy_consensus::Header;
use alloy_primitives::B256;
use commonware_consensus::{Block as _, Epochable as _, Viewable as _, types::Epoch};
use commonware_cryptography::certificate::Verifier as _;
use commonware_parallel::Sequential;
use commonware_utils::ordered::Set;
use rand_core::CryptoRng;

/// Ethereum headers up to `s`: as far as BLOCKHASH of the next block sees.
pub const ANCESTORS_MAX: u64 = 256;
/// Heights that the certificate may lie above `s`.
pub const LAG_MAX: u64 = 256;
/// Ordering blocks from `s` to the finalized one.
pub const ORDER_BLOCKS_MAX: usize = 64;
/// Largest encoded Ethereum header, in bytes. Only the one of a genesis can come near.
pub const HEADER_BYTES_MAX: usize = 8 * 1024;

/// All that a node knows before it has heard of anybody: what follows from the genesis.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Hash of the Ethereum header at height 0.
    pub genesis_hash: B256,
    /// Checks finalizations.
    pub votes: Scheme,
    /// Checks certificates of results.
    pub results: ResultScheme,
}

impl Trust {
    /// What follows from a genesis with this hash and this digest.
    #[must_use]
    pub fn new(genesis_hash: B256, genesis_digest: &B256, validators: Set<PublicKey>) -> Self {
        let namespace = crate::certificate::consensus_namespace(genesis_digest);
        Self {
            genesis_hash,
            votes: Scheme::verifier(&namespace, validators.clone()),
            results: result_scheme(genesis_digest, validators, None),
        }
    }
}

/// What an anchor consists of, without its ordering blocks.
#[derive(Clone, Debug)]
pub struct AnchorParts {
    /// The height `s` whose state is anchored.
    pub height: u64,
    /// 2f+1 signatures over the newest header.
    pub certificate: ExecutionCertificate,
    /// Ethereum headers, oldest first, from `s - 255` or the genesis on.
    pub headers: Vec<Header>,
    /// 2f+1 votes for the newest ordering block.
    pub finalization: Finalization,
}

/// An offered anchor without its ordering blocks; proves nothing yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnchorHead {
    height: u64,
    certificate: ExecutionCertificate,
    headers: Vec<Header>,
    finalization: Finalization,
}

impl From<AnchorParts> for AnchorHead {
    fn from(parts: AnchorParts) -> Self {
        Self {
            height: parts.height,
            certificate: parts.certificate,
            headers: parts.headers,
            finalization: parts.finalization,
        }
    }
}

impl AnchorHead {
    /// The height it is offered for.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.height
    }

    /// Checks everything that can be checked without the ordering blocks.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(
        self,
        trust: &Trust,
        rng: &mut impl CryptoRng,
    ) -> Result<AnchorDraft, AnchorError> {
        if self.height == 0 {
            return Err(AnchorError::Genesis);
        }
        let hashes = self.check_headers(trust)?;
        let certified = self.certificate.result;
        let proved = trust.results.verify_certificate::<_, BlockDigest>(
            rng,
            &certified,
            &self.certificate.signatures,
            &Sequential,
        );
        if !proved {
            let height = certified.height;
            return Err(AnchorError::Certificate { height });
        }
        let finalization = &self.finalization;
        if finalization.epoch() != Epoch::zero()
            || finalization.view().is_zero()
            || !finalization.verify(rng, &trust.votes, &Sequential)
        {
            let view = finalization.view().get();
            return Err(AnchorError::Finalization { view });
        }
        Ok(AnchorDraft {
            head: self,
            hashes,
            order: Vec::new(),
        })
    }

    /// The headers are one chain from where it has to begin up to what was signed; their hashes.
    fn check_headers(&self, trust: &Trust) -> Result<Vec<B256>, AnchorError> {
        let expected = first_ancestor(self.height);
        let first = self.headers.first().map(|header| header.number);
        if first != Some(expected) {
            return Err(AnchorError::Range { first, expected });
        }
        let mut hashes: Vec<B256> = Vec::with_capacity(self.headers.len());
        // The headers lead: a range up to the last height there is would overflow one step later.
        for (header, height) in self.headers.iter().zip(expected..) {
            let follows = hashes.last().is_none_or(|hash| *hash == header.parent_hash);
            if header.number != height || !follows {
                return Err(AnchorError::Link { height });
            }
            hashes.push(header.hash_slow());
        }
        let (last, hash) = (self.last_height(), hashes.last().copied());
        let hash = hash.unwrap_or_default();
        if last < self.height || last > self.height.saturating_add(LAG_MAX) {
            let anchor = self.height;
            return Err(AnchorError::End { last, anchor });
        }
        let result = ExecutionResult {
            height: last,
            block_hash: hash,
        };
        if result != self.certificate.result {
            return Err(AnchorError::NotCertified { height: last, hash });
        }
        match hashes.first() {
            Some(hash) if expected == 0 && *hash != trust.genesis_hash => {
                Err(AnchorError::OtherGenesis { hash: *hash })
            }
            Some(_) | None => Ok(hashes),
        }
    }

    fn last_height(&self) -> u64 {
        self.headers.last().map_or(0, |header| header.number)
    }

    /// The header at a height, and its place.
    fn header_at(&self, height: u64) -> Option<(usize, &Header)> {
        let place = height.checked_sub(first_ancestor(self.height))?;
        let place = usize::try_from(place).ok()?;
        Some((place, self.headers.get(place)?))
    }
}

/// Where the headers of an anchor begin.
#[must_use]
pub const fn first_ancestor(height: u64) -> u64 {
    height.saturating_sub(ANCESTORS_MAX.saturating_sub(1))
}

/// A verified head that gathers its ordering blocks, newest first.
#[derive(Clone, Debug)]
pub struct AnchorDraft {
    head: AnchorHead,
    /// Of the headers, in the same order.
    hashes: Vec<B256>,
    /// Newest first.
    order: Vec<Block>,
}

impl AnchorDraft {
    /// The height it is for.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.head.height
    }

    /// The state root at its height.
    #[must_use]
    pub fn state_root(&self) -> B256 {
        let header = self.head.header_at(self.head.height);
        header.map_or(B256::ZERO, |(_, header)| header.state_root)
    }

    /// The ordering block to be added next; none once it is complete.
    #[must_use]
    pub fn missing(&self) -> Option<BlockDigest> {
        match self.order.last() {
            None => Some(self.head.finalization.proposal.payload),
            Some(block) if block.header().height > self.head.height => Some(block.parent()),
            Some(_) => None,
        }
    }

    /// Adds the block that is missing.
    ///
    /// # Errors
    /// When it is another one, or one that no honest node would have offered.
    pub fn add(&mut self, block: Block) -> Result<(), AnchorError> {
        let (digest, height, anchor) = (block.digest(), block.header().height, self.head.height);
        let Some(expected) = self.missing() else {
            return Err(AnchorError::OrderHeight { height, anchor });
        };
        if digest != expected {
            return Err(AnchorError::Order { digest, expected });
        }
        let blocks_max = ORDER_BLOCKS_MAX as u64;
        let follows = match self.order.last() {
            None => height >= anchor && height < anchor.saturating_add(blocks_max),
            Some(above) => height.checked_add(1) == Some(above.header().height),
        };
        if !follows {
            return Err(AnchorError::OrderHeight { height, anchor });
        }
        let executed = self.head.header_at(height);
        if executed.is_some_and(|(_, header)| header.extra_data != *digest.as_ref()) {
            return Err(AnchorError::OrderExecuted { height });
        }
        self.order.push(block);
        Ok(())
    }

    /// The anchor, once nothing is missing.
    ///
    /// # Errors
    /// Names the block that is.
    pub fn finish(mut self) -> Result<Anchor, AnchorError> {
        if let Some(expected) = self.missing() {
            return Err(AnchorError::OrderMissing { expected });
        }
        self.order.reverse();
        Ok(Anchor {
            whole: SyncAnchor {
                head: self.head,
                order: self.order,
            },
            hashes: self.hashes,
        })
    }
}

/// A whole anchor as it is stored or sent; proves nothing yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncAnchor {
    head: AnchorHead,
    /// From `s` to the finalized one.
    order: Vec<Block>,
}

impl SyncAnchor {
    /// An anchor of these parts.
    #[must_use]
    pub fn new(head: AnchorHead, order: Vec<Block>) -> Self {
        Self { head, order }
    }

    /// Checks all of it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(self, trust: &Trust, rng: &mut impl CryptoRng) -> Result<Anchor, AnchorError> {
        let mut draft = self.head.verify(trust, rng)?;
        for block in self.order.into_iter().rev() {
            draft.add(block)?;
        }
        draft.finish()
    }

    /// Its parts, as if by a peer that sends them one by one.
    #[must_use]
    pub fn into_parts(self) -> (AnchorHead, Vec<Block>) {
        (self.head, self.order)
    }
}

/// What 2f+1 validators vouch for at one height: the state, and the order from there on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    whole: SyncAnchor,
    hashes: Vec<B256>,
}

impl Anchor {
    /// The height `s` whose state is anchored.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.whole.head.height
    }

    /// The Ethereum header at that height.
    ///
    /// # Panics
    /// Never: a verified anchor holds it.
    #[must_use]
    pub fn header(&self) -> &Header {
        let header = self.whole.head.header_at(self.height());
        header
            .expect("a verified anchor holds the header at its height")
            .1
    }

    /// The hash of that header, as executed and certified.
    #[must_use]
    pub fn result(&self) -> ExecutionResult {
        let place = self.whole.head.header_at(self.height());
        let hash = place.and_then(|(place, _)| self.hashes.get(place));
        ExecutionResult {
            height: self.height(),
            block_hash: hash.copied().unwrap_or_default(),
        }
    }

    /// The state root at that height.
    #[must_use]
    pub fn state_root(&self) -> B256 {
        self.header().state_root
    }

    /// Heights and hashes of the Ethereum headers below, oldest first: what BLOCKHASH of the next
    /// blocks may ask for.
    pub fn ancestors(&self) -> impl Iterator<Item = (u64, B256)> {
        let height = self.height();
        let hashes = self.hashes.iter().copied();
        (first_ancestor(height)..height).zip(hashes)
    }

    /// The result that 2f+1 validators signed, at that height or above.
    #[must_use]
    pub const fn certified(&self) -> ExecutionResult {
        self.whole.head.certificate.result
    }

    /// The ordering blocks from that height on, oldest first; never empty. The last is the finalized one.
    #[must_use]
    pub fn order(&self) -> &[Block] {
        &self.whole.order
    }

    /// The ordering block at that height.
    ///
    /// # Panics
    /// Never: a verified anchor holds it.
    #[must_use]
    pub fn block(&self) -> &Block {
        let first = self.whole.order.first();
        first.expect("a verified anchor holds the block at its height")
    }

    /// The newest ordering block, which the finalization is of.
    ///
    /// # Panics
    /// Never: a verified anchor holds it.
    #[must_use]
    pub fn finalized(&self) -> &Block {
        let last = self.whole.order.last();
        last.expect("a verified anchor holds the block at its height")
    }

    /// 2f+1 votes for that block.
    #[must_use]
    pub const fn finalization(&self) -> &Finalization {
        &self.whole.head.finalization
    }

    /// As it is stored or sent.
    #[must_use]
    pub const fn whole(&self) -> &SyncAnchor {
        &self.whole
    }
}

/// Largest encoding of an [`AnchorHead`] of a chain with these limits, in bytes.
#[must_use]
pub fn head_bytes_max(limits: &BlockLimits) -> usize {
    encoding::head_bytes_max(limits)
}
