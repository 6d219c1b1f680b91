//! The cryptography of the chain, named once.
//!
//! ed25519 certificates: attributable (a double vote is evidence), cheap, no key ceremony.
//! Changing the scheme means changing these aliases.

use commonware_consensus::{
    simplex::{scheme::ed25519 as simplex_ed25519, types},
    types::{Epoch, Round, View},
};
use commonware_cryptography::{Digest as _, Sha256, Signer as _, ed25519, sha256};

/// A validator's public key.
pub type PublicKey = ed25519::PublicKey;
/// A validator's private key.
pub type PrivateKey = ed25519::PrivateKey;
/// A signature by one key.
pub type Signature = ed25519::Signature;
/// The hash that identifies ordering blocks.
pub type BlockDigest = sha256::Digest;
/// The hasher behind [`BlockDigest`].
pub type BlockHasher = Sha256;
/// The scheme of notarize and finalize votes.
pub type Scheme = simplex_ed25519::Scheme;
/// What consensus knows of a proposal: its round, its leader and its parent.
pub type ProposalContext = types::Context<BlockDigest, PublicKey>;
/// 2f+1 notarize votes.
pub type Notarization = types::Notarization<Scheme, BlockDigest>;
/// 2f+1 finalize votes.
pub type Finalization = types::Finalization<Scheme, BlockDigest>;

/// Nobody proposed genesis; its context still names a leader, of this well-known key.
const GENESIS_LEADER_SEED: u64 = 0;

/// The context of the block at height 0.
#[must_use]
pub fn genesis_context() -> ProposalContext {
    ProposalContext {
        round: Round::new(Epoch::zero(), View::zero()),
        leader: PrivateKey::from_seed(GENESIS_LEADER_SEED).public_key(),
        parent: (View::zero(), BlockDigest::EMPTY),
    }
}
