//! One validator's verdicts about pending candidates.
//!
//! Candidates are named by the places that the ledger gave them. The signature covers the ledger's digest at the
//! height that the vote names, so it says which candidates those are. There are as many places as candidates may
//! be pending, so one vote can always name all of them.

use super::{Bits, ShardNamespace, Signed};
use crate::crypto::{PrivateKey, PublicKey, Signature};
use alloy_primitives::B256;
use bytes::BufMut;
use commonware_codec::{Buf, Encode, EncodeSize, Error, FixedSize, Read, ReadExt, Write};
use commonware_cryptography::Signer as _;

/// Which candidates a validator says what of; bit `i` is the candidate at place `i` of the ledger that is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Votes {
    /// The relay height whose ledger names the candidates.
    pub height: u64,
    /// It holds its chunk, with a proof that checks.
    pub held: Bits,
    /// It executed the candidate and got what the descriptor says.
    pub valid: Bits,
    /// It executed the candidate and got something else, or the coding is wrong.
    pub invalid: Bits,
}

/// Verdicts with their author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardVote {
    /// Its index among the validators.
    pub validator: u16,
    /// What it says.
    pub votes: Votes,
    /// Over the ledger's digest and the verdicts.
    pub signature: Signature,
}

/// Why a vote can't be counted, whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VoteFault {
    /// Nothing is said.
    #[error("vote says nothing")]
    Empty,
    /// A candidate is called valid and invalid.
    #[error("vote contradicts itself")]
    Contradiction,
}

impl Votes {
    /// Whether another vote on the same ledger says nothing beyond these.
    #[must_use]
    pub fn say_all_of(&self, other: &Self) -> bool {
        self.height == other.height
            && other.held.without(&self.held).is_empty()
            && other.valid.without(&self.valid).is_empty()
            && other.invalid.without(&self.invalid).is_empty()
    }

    /// Whether it says something, and nothing twice.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), VoteFault> {
        if self.held.is_empty() && self.valid.is_empty() && self.invalid.is_empty() {
            return Err(VoteFault::Empty);
        }
        if self.valid.and(&self.invalid).is_empty() {
            Ok(())
        } else {
            Err(VoteFault::Contradiction)
        }
    }

    fn message(&self, ledger_digest: &B256) -> Vec<u8> {
        [ledger_digest.as_slice(), &self.encode()].concat()
    }

    /// Signs the verdicts about what the ledger with this digest names.
    #[must_use]
    pub fn sign(
        self,
        validator: u16,
        ledger_digest: &B256,
        namespace: &ShardNamespace,
        key: &PrivateKey,
    ) -> ShardVote {
        ShardVote {
            validator,
            votes: self,
            signature: key.sign(&namespace.vote, &self.message(ledger_digest)),
        }
    }
}

impl ShardVote {
    /// Whether this key signed these verdicts about what the ledger with this digest names.
    #[must_use]
    pub fn is_signed(
        &self,
        ledger_digest: &B256,
        namespace: &ShardNamespace,
        key: &PublicKey,
    ) -> bool {
        self.signed(ledger_digest, namespace, key).is_right()
    }

    /// Its signature, to be checked with others: that this key signed these verdicts about what the ledger with
    /// this digest names.
    #[must_use]
    pub fn signed<'a>(
        &'a self,
        ledger_digest: &B256,
        namespace: &'a ShardNamespace,
        key: &'a PublicKey,
    ) -> Signed<'a> {
        Signed {
            namespace: &namespace.vote,
            message: self.votes.message(ledger_digest),
            key,
            signature: &self.signature,
        }
    }
}

impl Write for Votes {
    fn write(&self, buf: &mut impl BufMut) {
        self.height.write(buf);
        self.held.write(buf);
        self.valid.write(buf);
        self.invalid.write(buf);
    }
}

impl EncodeSize for Votes {
    fn encode_size(&self) -> usize {
        u64::SIZE
            .saturating_add(self.held.encode_size())
            .saturating_add(self.valid.encode_size())
            .saturating_add(self.invalid.encode_size())
    }
}

impl Read for Votes {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            height: u64::read(buf)?,
            held: Bits::read(buf)?,
            valid: Bits::read(buf)?,
            invalid: Bits::read(buf)?,
        })
    }
}

impl Write for ShardVote {
    fn write(&self, buf: &mut impl BufMut) {
        self.validator.write(buf);
        self.votes.write(buf);
        self.signature.write(buf);
    }
}

impl EncodeSize for ShardVote {
    fn encode_size(&self) -> usize {
        (u16::SIZE + Signature::SIZE).saturating_add(self.votes.encode_size())
    }
}

impl Read for ShardVote {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            validator: u16::read(buf)?,
            votes: Votes::read(buf)?,
            signature: Signature::read(buf)?,
        })
    }
}
