//! Collations as bytes.
//!
//! ```text
//!   version 1 │ header │ ordering header │ block │ ancestors: count 1 │ header … │ witness: the rest
//!   header    length 2 │ RLP
//! ```
//! Ordering headers and blocks are in the encoding of consensus. The witness is opaque here. What decodes has
//! the right form and no more: a body belongs to its header, and nothing else is compared.

use super::{ANCESTORS_MAX, COLLATION_BYTES_MAX, Collation, HEADER_BYTES_MAX, Parent};
use alloy_consensus::Header as EthereumHeader;
use alloy_primitives::Bytes;
use alloy_rlp::{Decodable as _, Encodable as _};
use commonware_codec::{Read as _, Write as _};
use primitives::{Block, BlockLimits, ChainConfig, Header, limits};
use std::fmt;

const VERSION: u8 = 1;

/// One part of a collation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The parent's Ethereum header.
    Parent,
    /// The parent's ordering header.
    ParentOrdering,
    /// The block.
    Block,
    /// The headers below the parent.
    Ancestors,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parent => "parent",
            Self::ParentOrdering => "parent's ordering header",
            Self::Block => "block",
            Self::Ancestors => "ancestors",
        })
    }
}

/// Why a collation has no encoding, or bytes are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CollationError {
    /// Longer than any collation.
    #[error("collation is too long: bytes={bytes} max={max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// Of another version.
    #[error("unknown collation version={0}")]
    Version(u8),
    /// More headers below the parent than any block can ask for.
    #[error("too many ancestors: count={count} max={max}")]
    TooManyAncestors {
        /// How many.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// An Ethereum header longer than any.
    #[error("header is too long: part={part} bytes={bytes}")]
    HeaderTooLong {
        /// Where.
        part: Part,
        /// Its length.
        bytes: usize,
    },
    /// A part that does not decode.
    #[error("collation is malformed: part={0}")]
    Malformed(Part),
    /// Fewer bytes than a version.
    #[error("collation is empty")]
    Empty,
}

impl Collation {
    /// Its encoding, which chunks are cut of.
    ///
    /// # Errors
    /// When it is over a limit.
    pub fn encode(&self) -> Result<Bytes, CollationError> {
        let guess = self.witness.len().saturating_add(self.block.body_size());
        let mut out = Vec::with_capacity(guess.saturating_add(HEADER_BYTES_MAX));
        out.push(VERSION);
        write_header(&mut out, &self.parent.header, Part::Parent)?;
        self.parent.ordering.write(&mut out);
        self.block.write(&mut out);
        let count = self.ancestors.len();
        let too_many = CollationError::TooManyAncestors {
            count,
            max: ANCESTORS_MAX,
        };
        let counted = u8::try_from(count).ok();
        let counted = counted.filter(|_| count <= ANCESTORS_MAX).ok_or(too_many)?;
        out.push(counted);
        for ancestor in &self.ancestors {
            write_header(&mut out, ancestor, Part::Ancestors)?;
        }
        out.extend_from_slice(&self.witness);
        check_length(out.len())?;
        Ok(out.into())
    }

    /// Reads one of a shard with these rules. The witness shares the memory of the bytes.
    ///
    /// # Errors
    /// When the bytes have another form, or are over a limit.
    pub fn decode(encoded: &Bytes, chain: &ChainConfig) -> Result<Self, CollationError> {
        check_length(encoded.len())?;
        let limits = BlockLimits {
            body_bytes_max: chain.protocol.block_bytes_max,
            validators: limits::VALIDATORS_MAX,
            section: primitives::shard::SectionLimits::NONE,
        };
        let mut rest = encoded.0.clone();
        let version = take(&mut rest, 1).ok_or(CollationError::Empty)?;
        match version.first() {
            Some(&VERSION) => {}
            Some(&other) => return Err(CollationError::Version(other)),
            None => return Err(CollationError::Empty),
        }
        let header = read_header(&mut rest, Part::Parent)?;
        let ordering = Header::read_cfg(&mut rest, &limits)
            .map_err(|_| CollationError::Malformed(Part::ParentOrdering))?;
        let block = Block::read_cfg(&mut rest, &limits)
            .map_err(|_| CollationError::Malformed(Part::Block))?;
        let ancestors = read_ancestors(&mut rest)?;
        Ok(Self {
            parent: Parent { header, ordering },
            block,
            ancestors,
            witness: rest.into(),
        })
    }
}

const fn check_length(bytes: usize) -> Result<(), CollationError> {
    if bytes > COLLATION_BYTES_MAX {
        return Err(CollationError::TooLong {
            bytes,
            max: COLLATION_BYTES_MAX,
        });
    }
    Ok(())
}

fn write_header(
    out: &mut Vec<u8>,
    header: &EthereumHeader,
    part: Part,
) -> Result<(), CollationError> {
    let bytes = header.length();
    let too_long = CollationError::HeaderTooLong { part, bytes };
    let length = u16::try_from(bytes).ok();
    let length = length.filter(|_| bytes <= HEADER_BYTES_MAX);
    out.extend_from_slice(&length.ok_or(too_long)?.to_be_bytes());
    header.encode(out);
    Ok(())
}

fn read_ancestors(rest: &mut bytes::Bytes) -> Result<Vec<EthereumHeader>, CollationError> {
    let malformed = CollationError::Malformed(Part::Ancestors);
    let count = take(rest, 1).and_then(|count| count.first().copied());
    let count = usize::from(count.ok_or(malformed)?);
    if count > ANCESTORS_MAX {
        let max = ANCESTORS_MAX;
        return Err(CollationError::TooManyAncestors { count, max });
    }
    let ancestors = (0..count).map(|_| read_header(rest, Part::Ancestors));
    ancestors.collect()
}

fn read_header(rest: &mut bytes::Bytes, part: Part) -> Result<EthereumHeader, CollationError> {
    let malformed = CollationError::Malformed(part);
    let length = take(rest, 2).and_then(|length| length.as_ref().try_into().ok());
    let bytes = usize::from(u16::from_be_bytes(length.ok_or(malformed)?));
    if bytes > HEADER_BYTES_MAX {
        return Err(CollationError::HeaderTooLong { part, bytes });
    }
    let header = take(rest, bytes).ok_or(malformed)?;
    let mut header = header.as_ref();
    let decoded = EthereumHeader::decode(&mut header).map_err(|_| malformed)?;
    match header.is_empty() {
        true => Ok(decoded),
        false => Err(malformed),
    }
}

fn take(rest: &mut bytes::Bytes, length: usize) -> Option<bytes::Bytes> {
    (rest.len() >= length).then(|| rest.split_to(length))
}
