//! A candidate: its permanent part, and the part that schedules it.

use super::{ShardNamespace, Signed};
use crate::{
    codec,
    crypto::{BlockHasher, PrivateKey, PublicKey, Signature},
};
use alloy_primitives::B256;
use bytes::BufMut;
use commonware_codec::{Buf, Encode, Error, FixedSize, Read, ReadExt, Write};
use commonware_cryptography::{Hasher as _, Signer as _, Verifier as _};

/// A shard's number; the relay chain itself has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u32);

impl std::fmt::Display for ShardId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The relay block that a candidate is built against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayAnchor {
    /// Its height.
    pub height: u64,
    /// Its digest.
    pub digest: B256,
}

/// The hash of a descriptor: a candidate's identity, whenever and however often it is put forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CandidateId(pub B256);

impl CandidateId {
    /// What its collator signs before it offers it. Whoever puts it forward again shows the same signature.
    #[must_use]
    pub fn sign(&self, namespace: &ShardNamespace, key: &PrivateKey) -> Signature {
        key.sign(&namespace.offer, &self.encode())
    }

    /// Whether this collator signed it.
    #[must_use]
    pub fn is_signed(
        &self,
        namespace: &ShardNamespace,
        key: &PublicKey,
        signature: &Signature,
    ) -> bool {
        key.verify(&namespace.offer, &self.encode(), signature)
    }
}

impl std::fmt::Display for CandidateId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a candidate is. Nothing in it says who checks it, when, or how it is coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The shard.
    pub shard: ShardId,
    /// Position in the shard's chain; one above the parent's.
    pub number: u64,
    /// Hash of the parent's Ethereum header.
    pub parent: B256,
    /// Hash of its own Ethereum header: state, receipts and the whole history of the shard.
    pub head: B256,
    /// Root of the state after it; the header names the same.
    pub state_root: B256,
    /// The relay block it is built against.
    pub anchor: RelayAnchor,
    /// Digest of the rules it was executed under.
    pub rules: B256,
    /// Hash of the collation: block, parent headers, witness.
    pub collation_hash: B256,
    /// Length of the collation, in bytes.
    pub collation_bytes: u32,
    /// Gas charged to its transactions.
    pub gas_used: u64,
    /// Milliseconds since the Unix epoch; above the parent's.
    pub timestamp_ms: u64,
    /// Who built it.
    pub collator: PublicKey,
}

impl Descriptor {
    /// The candidate's identity.
    #[must_use]
    pub fn id(&self) -> CandidateId {
        CandidateId(B256::from_slice(
            BlockHasher::hash(&[&self.encode()]).as_ref(),
        ))
    }
}

/// How a collation is cut into chunks: any `minimum` of `total` give it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coding {
    /// The epoch whose validators hold a chunk each.
    pub epoch: u64,
    /// Chunks, one for each validator of the epoch.
    pub total: u16,
    /// Chunks that are enough.
    pub minimum: u16,
    /// Commits to all chunks.
    pub root: B256,
}

/// Where and when a candidate is backed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The core whose group backs it.
    pub core: u16,
    /// The relay height that decides which validators that group has.
    pub height: u64,
}

/// A candidate as it is put forward now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What it is.
    pub descriptor: Descriptor,
    /// How its chunks are made.
    pub coding: Coding,
    /// Who backs it.
    pub schedule: Schedule,
}

/// What a backer signs: this candidate, coded so, for this group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The candidate.
    pub candidate: CandidateId,
    /// How its chunks are made.
    pub coding: Coding,
    /// Who backs it.
    pub schedule: Schedule,
}

impl Envelope {
    /// What a backer of this envelope signs.
    #[must_use]
    pub fn statement(&self) -> Statement {
        Statement {
            candidate: self.descriptor.id(),
            coding: self.coding,
            schedule: self.schedule,
        }
    }
}

impl Statement {
    /// Signs it.
    #[must_use]
    pub fn sign(&self, namespace: &ShardNamespace, key: &PrivateKey) -> Signature {
        key.sign(&namespace.statement, &self.encode())
    }

    /// Whether this key signed it.
    #[must_use]
    pub fn is_signed(
        &self,
        namespace: &ShardNamespace,
        key: &PublicKey,
        signature: &Signature,
    ) -> bool {
        self.signed(namespace, key, signature).is_right()
    }

    /// A signature over it, to be checked with others.
    #[must_use]
    pub fn signed<'a>(
        &self,
        namespace: &'a ShardNamespace,
        key: &'a PublicKey,
        signature: &'a Signature,
    ) -> Signed<'a> {
        Signed {
            namespace: &namespace.statement,
            message: self.encode().to_vec(),
            key,
            signature,
        }
    }
}

impl Write for ShardId {
    fn write(&self, buf: &mut impl BufMut) {
        self.0.write(buf);
    }
}

impl FixedSize for ShardId {
    const SIZE: usize = u32::SIZE;
}

impl Read for ShardId {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        u32::read(buf).map(Self)
    }
}

impl Write for CandidateId {
    fn write(&self, buf: &mut impl BufMut) {
        codec::write_b256(&self.0, buf);
    }
}

impl FixedSize for CandidateId {
    const SIZE: usize = codec::WORD_SIZE;
}

impl Read for CandidateId {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        codec::read_b256(buf).map(Self)
    }
}

impl Write for RelayAnchor {
    fn write(&self, buf: &mut impl BufMut) {
        self.height.write(buf);
        codec::write_b256(&self.digest, buf);
    }
}

impl FixedSize for RelayAnchor {
    const SIZE: usize = u64::SIZE + codec::WORD_SIZE;
}

impl Read for RelayAnchor {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            height: u64::read(buf)?,
            digest: codec::read_b256(buf)?,
        })
    }
}

impl Write for Descriptor {
    fn write(&self, buf: &mut impl BufMut) {
        self.shard.write(buf);
        self.number.write(buf);
        codec::write_b256(&self.parent, buf);
        codec::write_b256(&self.head, buf);
        codec::write_b256(&self.state_root, buf);
        self.anchor.write(buf);
        codec::write_b256(&self.rules, buf);
        codec::write_b256(&self.collation_hash, buf);
        self.collation_bytes.write(buf);
        self.gas_used.write(buf);
        self.timestamp_ms.write(buf);
        self.collator.write(buf);
    }
}

impl FixedSize for Descriptor {
    const SIZE: usize = ShardId::SIZE
        + 3 * u64::SIZE
        + 5 * codec::WORD_SIZE
        + RelayAnchor::SIZE
        + u32::SIZE
        + PublicKey::SIZE;
}

impl Read for Descriptor {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            shard: ShardId::read(buf)?,
            number: u64::read(buf)?,
            parent: codec::read_b256(buf)?,
            head: codec::read_b256(buf)?,
            state_root: codec::read_b256(buf)?,
            anchor: RelayAnchor::read(buf)?,
            rules: codec::read_b256(buf)?,
            collation_hash: codec::read_b256(buf)?,
            collation_bytes: u32::read(buf)?,
            gas_used: u64::read(buf)?,
            timestamp_ms: u64::read(buf)?,
            collator: PublicKey::read(buf)?,
        })
    }
}

impl Write for Coding {
    fn write(&self, buf: &mut impl BufMut) {
        self.epoch.write(buf);
        self.total.write(buf);
        self.minimum.write(buf);
        codec::write_b256(&self.root, buf);
    }
}

impl FixedSize for Coding {
    const SIZE: usize = u64::SIZE + 2 * u16::SIZE + codec::WORD_SIZE;
}

impl Read for Coding {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            epoch: u64::read(buf)?,
            total: u16::read(buf)?,
            minimum: u16::read(buf)?,
            root: codec::read_b256(buf)?,
        })
    }
}

impl Write for Schedule {
    fn write(&self, buf: &mut impl BufMut) {
        self.core.write(buf);
        self.height.write(buf);
    }
}

impl FixedSize for Schedule {
    const SIZE: usize = u16::SIZE + u64::SIZE;
}

impl Read for Schedule {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            core: u16::read(buf)?,
            height: u64::read(buf)?,
        })
    }
}

impl Write for Envelope {
    fn write(&self, buf: &mut impl BufMut) {
        self.descriptor.write(buf);
        self.coding.write(buf);
        self.schedule.write(buf);
    }
}

impl FixedSize for Envelope {
    const SIZE: usize = Descriptor::SIZE + Coding::SIZE + Schedule::SIZE;
}

impl Read for Envelope {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            descriptor: Descriptor::read(buf)?,
            coding: Coding::read(buf)?,
            schedule: Schedule::read(buf)?,
        })
    }
}

impl Write for Statement {
    fn write(&self, buf: &mut impl BufMut) {
        self.candidate.write(buf);
        self.coding.write(buf);
        self.schedule.write(buf);
    }
}

impl FixedSize for Statement {
    const SIZE: usize = CandidateId::SIZE + Coding::SIZE + Schedule::SIZE;
}
