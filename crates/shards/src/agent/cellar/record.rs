//! What a cellar holds, and how it reads.
//!
//! ```text
//! slip     kind │ candidate │ root │ shard │ number │ where its record is
//! record   0 chunk       descriptor's place │ coding │ index │ chunk
//!          1 collation   descriptor │ collator's sig? │ collation
//!          2 final       descriptor │ coding
//! ```
//! Slips are read when a cellar opens, records when somebody asks for them.

use crate::message::{bytes_size, read_bytes, write_bytes};
use alloy_primitives::B256;
use bytes::{BufMut, Bytes};
use commonware_codec::{Buf, EncodeSize, Error, FixedSize, Read, ReadExt, Write};
use commonware_storage::journal::segmented::oversized;
use primitives::{
    crypto::Signature,
    shard::{CandidateId, Coding, Descriptor, ShardId},
};

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Chunk,
    Collation,
    Final,
}

/// By what a record is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Label {
    pub(crate) kind: Kind,
    pub(crate) candidate: CandidateId,
    /// Of a chunk: the root that commits to it. Zero otherwise.
    pub(crate) root: B256,
}

impl Label {
    pub(crate) const fn chunk(candidate: CandidateId, root: B256) -> Self {
        Self {
            kind: Kind::Chunk,
            candidate,
            root,
        }
    }

    pub(crate) const fn collation(candidate: CandidateId) -> Self {
        Self {
            kind: Kind::Collation,
            candidate,
            root: B256::ZERO,
        }
    }

    pub(crate) const fn finality(candidate: CandidateId) -> Self {
        Self {
            kind: Kind::Final,
            candidate,
            root: B256::ZERO,
        }
    }
}

/// A chunk that its validator answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptChunk {
    pub(crate) candidate: CandidateId,
    pub(crate) shard: ShardId,
    pub(crate) number: u64,
    pub(crate) coding: Coding,
    pub(crate) index: u16,
    pub(crate) chunk: Bytes,
}

/// A collation that a collator built or followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptCollation {
    pub(crate) descriptor: Descriptor,
    /// Its collator's.
    pub(crate) signature: Option<Signature>,
    pub(crate) collation: Bytes,
}

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Chunk(KeptChunk),
    Collation(Box<KeptCollation>),
    /// A candidate is final that this collator's files do not have yet.
    Final(Box<Descriptor>, Coding),
}

impl Record {
    pub(crate) fn label(&self) -> Label {
        match self {
            Self::Chunk(chunk) => Label::chunk(chunk.candidate, chunk.coding.root),
            Self::Collation(kept) => Label::collation(kept.descriptor.id()),
            Self::Final(descriptor, _) => Label::finality(descriptor.id()),
        }
    }

    /// The shard and the number that it is of.
    pub(crate) const fn place(&self) -> (ShardId, u64) {
        match self {
            Self::Chunk(chunk) => (chunk.shard, chunk.number),
            Self::Collation(kept) => (kept.descriptor.shard, kept.descriptor.number),
            Self::Final(descriptor, _) => (descriptor.shard, descriptor.number),
        }
    }
}

/// Says of a record what it is and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slip {
    pub(crate) label: Label,
    pub(crate) shard: ShardId,
    pub(crate) number: u64,
    pub(crate) offset: u64,
    pub(crate) size: u32,
}

impl Slip {
    /// The slip of a record that has no place yet.
    pub(crate) fn of(record: &Record) -> Self {
        let (shard, number) = record.place();
        Self {
            label: record.label(),
            shard,
            number,
            offset: 0,
            size: 0,
        }
    }
}

impl oversized::Record for Slip {
    fn value_location(&self) -> (u64, u32) {
        (self.offset, self.size)
    }

    fn with_location(self, offset: u64, size: u32) -> Self {
        Self {
            offset,
            size,
            ..self
        }
    }
}

impl Write for Kind {
    fn write(&self, buf: &mut impl BufMut) {
        let tag: u8 = match self {
            Self::Chunk => 0,
            Self::Collation => 1,
            Self::Final => 2,
        };
        tag.write(buf);
    }
}

impl FixedSize for Kind {
    const SIZE: usize = u8::SIZE;
}

impl Read for Kind {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        match u8::read(buf)? {
            0 => Ok(Self::Chunk),
            1 => Ok(Self::Collation),
            2 => Ok(Self::Final),
            tag => Err(Error::InvalidEnum(tag)),
        }
    }
}

impl Write for Slip {
    fn write(&self, buf: &mut impl BufMut) {
        self.label.kind.write(buf);
        self.label.candidate.write(buf);
        self.label.root.0.write(buf);
        self.shard.write(buf);
        self.number.write(buf);
        self.offset.write(buf);
        self.size.write(buf);
    }
}

impl FixedSize for Slip {
    const SIZE: usize = Kind::SIZE
        + CandidateId::SIZE
        + B256::len_bytes()
        + ShardId::SIZE
        + u64::SIZE
        + u64::SIZE
        + u32::SIZE;
}

impl Read for Slip {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        Ok(Self {
            label: Label {
                kind: Kind::read(buf)?,
                candidate: CandidateId::read(buf)?,
                root: B256::from(<[u8; 32]>::read(buf)?),
            },
            shard: ShardId::read(buf)?,
            number: u64::read(buf)?,
            offset: u64::read(buf)?,
            size: u32::read(buf)?,
        })
    }
}

impl Write for Record {
    fn write(&self, buf: &mut impl BufMut) {
        match self {
            Self::Chunk(kept) => {
                Kind::Chunk.write(buf);
                kept.candidate.write(buf);
                kept.shard.write(buf);
                kept.number.write(buf);
                kept.coding.write(buf);
                kept.index.write(buf);
                write_bytes(&kept.chunk, buf);
            }
            Self::Collation(kept) => {
                Kind::Collation.write(buf);
                kept.descriptor.write(buf);
                kept.signature.write(buf);
                write_bytes(&kept.collation, buf);
            }
            Self::Final(descriptor, coding) => {
                Kind::Final.write(buf);
                descriptor.write(buf);
                coding.write(buf);
            }
        }
    }
}

impl EncodeSize for Record {
    fn encode_size(&self) -> usize {
        const CHUNK: usize =
            CandidateId::SIZE + ShardId::SIZE + u64::SIZE + Coding::SIZE + u16::SIZE;
        let rest = match self {
            Self::Chunk(kept) => CHUNK.saturating_add(bytes_size(&kept.chunk)),
            Self::Collation(kept) => Descriptor::SIZE
                .saturating_add(kept.signature.encode_size())
                .saturating_add(bytes_size(&kept.collation)),
            Self::Final(..) => Descriptor::SIZE + Coding::SIZE,
        };
        Kind::SIZE.saturating_add(rest)
    }
}

/// Longest chunk or collation, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordLimit(pub(crate) usize);

impl Read for Record {
    type Cfg = RecordLimit;
    fn read_cfg(buf: &mut impl Buf, limit: &RecordLimit) -> Result<Self, Error> {
        match Kind::read(buf)? {
            Kind::Chunk => Ok(Self::Chunk(KeptChunk {
                candidate: CandidateId::read(buf)?,
                shard: ShardId::read(buf)?,
                number: u64::read(buf)?,
                coding: Coding::read(buf)?,
                index: u16::read(buf)?,
                chunk: read_bytes(buf, limit.0)?,
            })),
            Kind::Collation => Ok(Self::Collation(Box::new(KeptCollation {
                descriptor: Descriptor::read(buf)?,
                signature: Option::<Signature>::read(buf)?,
                collation: read_bytes(buf, limit.0)?,
            }))),
            Kind::Final => Ok(Self::Final(
                Box::new(Descriptor::read(buf)?),
                Coding::read(buf)?,
            )),
        }
    }
}
