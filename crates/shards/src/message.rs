//! What travels on the two links of shards.
//!
//! ```text
//! statements, small                               collations, large
//! 0 Statement      envelope │ validator │ sig     0 Offer       offered │ collation
//! 1 Vote           votes │ validator │ sig        1 Chunk       candidate │ coding │ index │ chunk
//! 2 Renewal        offered                        2 Collation   candidate │ collator's sig? │ collation
//! 3 GetCollation   candidate
//! 4 GetChunk       candidate │ root │ index       offered = descriptor │ schedule │ collator's sig
//! ```
//! Votes and chunks have no place on the same link: a vote must not wait behind megabytes. Byte strings have a
//! length of four bytes, and no message holds more than one. A message that reads is well-formed and nothing
//! more; nobody honest sends bytes that do not read.
//!
//! Limits: a small message is at most [`SMALL_BYTES_MAX`] long, a large one [`message_bytes_max`].

use alloy_primitives::B256;
use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error, FixedSize, Read, ReadExt, Write};
use primitives::{
    crypto::Signature,
    shard::{CandidateId, Coding, Descriptor, Schedule, ShardVote, SignedStatement},
};

/// Candidate, root and index.
const GET_CHUNK_SIZE: usize = CandidateId::SIZE + B256::len_bytes() + u16::SIZE;
/// More than any message takes beside a collation or a chunk.
const FIXED_BYTES: usize = 1024;
/// More than the proof of a chunk takes, and the framing of its bytes.
pub(crate) const PROOF_BYTES_MAX: usize = 4096;
/// No message on the statements link is longer.
pub const SMALL_BYTES_MAX: usize = 2048;

/// The longest message on the collations link, for collations of at most so many bytes.
#[must_use]
pub fn message_bytes_max(collation_bytes_max: u32) -> u32 {
    let fixed = u32::try_from(FIXED_BYTES.saturating_add(PROOF_BYTES_MAX)).unwrap_or(u32::MAX);
    collation_bytes_max.saturating_add(fixed)
}

/// A candidate as its collator, or somebody who holds it, puts it forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// What it is.
    pub descriptor: Descriptor,
    /// The group that is asked to back it.
    pub schedule: Schedule,
    /// Its collator's, over its identity.
    pub signature: Signature,
}

/// On the statements link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SmallMessage {
    /// A backer to all.
    Statement(Box<SignedStatement>),
    /// A validator to all validators.
    Vote(Box<ShardVote>),
    /// A candidate is put forward again; whoever does not hold its collation asks for it.
    Renewal(Box<Offered>),
    /// Asks for a collation.
    GetCollation(CandidateId),
    /// Asks for a chunk: that of `index`, or else the one that the peer itself holds.
    GetChunk {
        /// Of which candidate.
        candidate: CandidateId,
        /// Under which root.
        root: B256,
        /// Whose.
        index: u16,
    },
}

/// On the collations link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LargeMessage {
    /// A collator to a group, and to its fellow collators.
    Offer(Box<Offered>, Bytes),
    /// A backer to a validator, or an answer.
    Chunk {
        /// Of which candidate.
        candidate: CandidateId,
        /// How it is cut.
        coding: Coding,
        /// Whose.
        index: u16,
        /// The chunk and its proof.
        chunk: Bytes,
    },
    /// An answer. Who restored the collation from chunks has no signature of its collator.
    Collation {
        /// Which.
        candidate: CandidateId,
        /// Its collator's, over its identity.
        signature: Option<Signature>,
        /// The collation.
        collation: Bytes,
    },
}

/// Bounds under which large messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollationLimit(
    /// Largest collation, in bytes.
    pub u32,
);

pub(crate) fn write_bytes(bytes: &Bytes, buf: &mut impl BufMut) {
    u32::try_from(bytes.len())
        .expect("collations and chunks are bounded far below when they are made")
        .write(buf);
    buf.put_slice(bytes);
}

/// Reads bytes whose length is at most this and not more than there is, so that nothing is reserved in vain.
pub(crate) fn read_bytes(buf: &mut impl Buf, max: usize) -> Result<Bytes, Error> {
    let length = usize::try_from(u32::read(buf)?).map_err(|_| Error::InvalidUsize)?;
    if length > max {
        return Err(Error::InvalidLength(length));
    }
    if buf.remaining() < length {
        return Err(Error::EndOfBuffer);
    }
    Ok(buf.copy_to_bytes(length))
}

pub(crate) const fn bytes_size(bytes: &Bytes) -> usize {
    u32::SIZE.saturating_add(bytes.len())
}

impl Write for Offered {
    fn write(&self, buf: &mut impl BufMut) {
        self.descriptor.write(buf);
        self.schedule.write(buf);
        self.signature.write(buf);
    }
}

impl FixedSize for Offered {
    const SIZE: usize = Descriptor::SIZE + Schedule::SIZE + Signature::SIZE;
}

impl Read for Offered {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            descriptor: Descriptor::read(buf)?,
            schedule: Schedule::read(buf)?,
            signature: Signature::read(buf)?,
        })
    }
}

impl Write for SmallMessage {
    fn write(&self, buf: &mut impl BufMut) {
        match self {
            Self::Statement(statement) => {
                0_u8.write(buf);
                statement.write(buf);
            }
            Self::Vote(vote) => {
                1_u8.write(buf);
                vote.write(buf);
            }
            Self::Renewal(offered) => {
                2_u8.write(buf);
                offered.write(buf);
            }
            Self::GetCollation(candidate) => {
                3_u8.write(buf);
                candidate.write(buf);
            }
            Self::GetChunk {
                candidate,
                root,
                index,
            } => {
                4_u8.write(buf);
                candidate.write(buf);
                root.0.write(buf);
                index.write(buf);
            }
        }
    }
}

impl EncodeSize for SmallMessage {
    fn encode_size(&self) -> usize {
        let rest = match self {
            Self::Statement(_) => SignedStatement::SIZE,
            Self::Vote(vote) => vote.encode_size(),
            Self::Renewal(_) => Offered::SIZE,
            Self::GetCollation(_) => CandidateId::SIZE,
            Self::GetChunk { .. } => GET_CHUNK_SIZE,
        };
        u8::SIZE.saturating_add(rest)
    }
}

impl Read for SmallMessage {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        match u8::read(buf)? {
            0 => SignedStatement::read(buf).map(|one| Self::Statement(Box::new(one))),
            1 => ShardVote::read(buf).map(|one| Self::Vote(Box::new(one))),
            2 => Offered::read(buf).map(|one| Self::Renewal(Box::new(one))),
            3 => CandidateId::read(buf).map(Self::GetCollation),
            4 => Ok(Self::GetChunk {
                candidate: CandidateId::read(buf)?,
                root: B256::from(<[u8; 32]>::read(buf)?),
                index: u16::read(buf)?,
            }),
            tag => Err(Error::InvalidEnum(tag)),
        }
    }
}

impl Write for LargeMessage {
    fn write(&self, buf: &mut impl BufMut) {
        match self {
            Self::Offer(offered, collation) => {
                0_u8.write(buf);
                offered.write(buf);
                write_bytes(collation, buf);
            }
            Self::Chunk {
                candidate,
                coding,
                index,
                chunk,
            } => {
                1_u8.write(buf);
                candidate.write(buf);
                coding.write(buf);
                index.write(buf);
                write_bytes(chunk, buf);
            }
            Self::Collation {
                candidate,
                signature,
                collation,
            } => {
                2_u8.write(buf);
                candidate.write(buf);
                signature.write(buf);
                write_bytes(collation, buf);
            }
        }
    }
}

impl EncodeSize for LargeMessage {
    fn encode_size(&self) -> usize {
        let rest = match self {
            Self::Offer(_, collation) => Offered::SIZE.saturating_add(bytes_size(collation)),
            Self::Chunk { chunk, .. } => {
                (CandidateId::SIZE + Coding::SIZE + u16::SIZE).saturating_add(bytes_size(chunk))
            }
            Self::Collation {
                signature,
                collation,
                ..
            } => CandidateId::SIZE
                .saturating_add(signature.encode_size())
                .saturating_add(bytes_size(collation)),
        };
        u8::SIZE.saturating_add(rest)
    }
}

impl Read for LargeMessage {
    type Cfg = CollationLimit;
    fn read_cfg(buf: &mut impl Buf, limit: &CollationLimit) -> Result<Self, Error> {
        let max = usize::try_from(limit.0).map_err(|_| Error::InvalidUsize)?;
        match u8::read(buf)? {
            0 => Ok(Self::Offer(
                Box::new(Offered::read(buf)?),
                read_bytes(buf, max)?,
            )),
            1 => Ok(Self::Chunk {
                candidate: CandidateId::read(buf)?,
                coding: Coding::read(buf)?,
                index: u16::read(buf)?,
                chunk: read_bytes(buf, max.saturating_add(PROOF_BYTES_MAX))?,
            }),
            2 => Ok(Self::Collation {
                candidate: CandidateId::read(buf)?,
                signature: Option::<Signature>::read(buf)?,
                collation: read_bytes(buf, max)?,
            }),
            tag => Err(Error::InvalidEnum(tag)),
        }
    }
}

#[cfg(test)]
mod tests;
