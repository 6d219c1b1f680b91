//! A collation cut into chunks, one for each validator, of which any f+1 give it back.
//!
//! ```text
//!               ┌ chunk 0 ── proof ─┐
//!   collation ──┤ chunk 1 ── proof ─┼─▶ root = Coding        any minimum of total ─▶ collation
//!     cut       └ …                 ┘                                              └▶ or WrongCoding
//! ```
//! Reed-Solomon over commonware's coding, under a Merkle tree of the chunks' hashes. A proof says that a chunk
//! is what the root commits to; it does not say that the chunks belong together. So [`restore`] makes *all*
//! chunks of what it decodes and compares the root: whoever restores from whichever chunks finds the same
//! bytes, or [`RestoreError::WrongCoding`]. The latter is a property of the coding, which everybody who has
//! enough chunks agrees on.
//!
//! `f` of n validators is `(n − 1) / 3`, so up to three validators need one chunk, which is the whole collation.
//! The code always has a chunk more than it needs: with one validator that is one nobody holds.
//!
//! Limits: [`VALIDATORS_MAX`] chunks of a collation of at most
//! [`COLLATION_BYTES_MAX`]; a chunk is bounded by its share of that before it is read.

#[cfg(test)]
mod tests;

use crate::COLLATION_BYTES_MAX;
use alloy_primitives::{B256, Bytes};
use bytes::BufMut;
use commonware_codec::{Buf, EncodeSize, Error, Read, Write};
use commonware_coding::{Config, ReedSolomon, Scheme};
use commonware_cryptography::Sha256;
use commonware_parallel::Sequential;
use commonware_utils::{Faults as _, N3f1};
use primitives::{crypto::BlockDigest, limits::VALIDATORS_MAX, shard::Coding};
use std::{collections::BTreeSet, num::NonZeroU16};

type Code = ReedSolomon<Sha256>;

/// One validator's piece of a collation, with its proof. Nothing is known of it before it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk(<Code as Scheme>::Shard);

/// A chunk that its coding's root commits to, at its validator's place.
#[derive(Clone, Debug)]
pub struct CheckedChunk {
    coding: Coding,
    index: u16,
    chunk: <Code as Scheme>::CheckedShard,
}

/// Why a collation cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// No validators, or more than a chain has.
    #[error("cannot cut for so many validators={0}")]
    Validators(u16),
    /// Longer than a collation is.
    #[error("too long to cut: bytes={0}")]
    TooLong(usize),
}

/// Why a chunk is not the one that a validator should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Not the numbers that any epoch's validators lead to.
    #[error("no coding has total={total} minimum={minimum}")]
    Coding {
        /// Its chunks.
        total: u16,
        /// Those that are enough.
        minimum: u16,
    },
    /// There is no such validator.
    #[error("no chunk has index={0}")]
    Index(u16),
    /// The root does not commit to this chunk at this place.
    #[error("the root does not commit to this chunk at index={0}")]
    Proof(u16),
}

/// Why chunks do not give a collation back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Fewer different ones than are enough.
    #[error("too few chunks: different={different} minimum={minimum}")]
    TooFew {
        /// How many different ones there are.
        different: usize,
        /// How many are enough.
        minimum: u16,
    },
    /// One of another coding is among them.
    #[error("a chunk of another coding: index={0}")]
    OtherCoding(u16),
    /// The root commits to chunks that do not belong together, or to what is no collation's length. Everybody
    /// finds so, from whichever chunks.
    #[error("the chunks under this root are no code")]
    WrongCoding,
}

/// How many chunks give a collation back, one of this many validators having each: f+1.
#[must_use]
pub fn minimum_of(validators: u16) -> u16 {
    let faults = match validators {
        0 => 0,
        some => N3f1::max_faults(some),
    };
    u16::try_from(faults).unwrap_or(u16::MAX).saturating_add(1)
}

/// Cuts a collation into a chunk for each validator of an epoch, in their order.
///
/// # Errors
/// When nobody could restore it: too long, or for no number of validators that a chain has.
pub fn cut(
    collation: &[u8],
    validators: u16,
    epoch: u64,
) -> Result<(Coding, Vec<Chunk>), CutError> {
    let minimum = minimum_of(validators);
    let config = config(validators, minimum).ok_or(CutError::Validators(validators))?;
    let too_long = CutError::TooLong(collation.len());
    if collation.len() > COLLATION_BYTES_MAX {
        return Err(too_long);
    }
    let cut = Code::encode(&config, collation, &Sequential);
    let (root, mut chunks) = cut.map_err(|_| too_long)?;
    // With one validator the code has a chunk that is nobody's.
    chunks.truncate(usize::from(validators));
    let coding = Coding {
        epoch,
        total: validators,
        minimum,
        root: B256::from_slice(root.as_ref()),
    };
    Ok((coding, chunks.into_iter().map(Chunk).collect()))
}

/// Gives a collation back from enough checked chunks of one coding; those of one validator count once.
///
/// # Errors
/// [`RestoreError::WrongCoding`] says that the coding is wrong, the others that these chunks are not enough.
pub fn restore(coding: &Coding, chunks: &[CheckedChunk]) -> Result<Bytes, RestoreError> {
    let mut seen = BTreeSet::new();
    let mut distinct = Vec::new();
    for chunk in chunks {
        if chunk.coding != *coding {
            return Err(RestoreError::OtherCoding(chunk.index));
        }
        if seen.insert(chunk.index) {
            distinct.push(&chunk.chunk);
        }
    }
    let minimum = coding.minimum;
    let different = distinct.len();
    let config = config(coding.total, minimum).filter(|_| different >= usize::from(minimum));
    let config = config.ok_or(RestoreError::TooFew { different, minimum })?;
    let root = root_of(coding);
    let restored = Code::decode(&config, &root, distinct.into_iter(), &Sequential);
    let restored = restored.map_err(|_| RestoreError::WrongCoding)?;
    match restored.len() > COLLATION_BYTES_MAX {
        true => Err(RestoreError::WrongCoding),
        false => Ok(restored.into()),
    }
}

impl Chunk {
    /// Checks that it is the chunk of the validator at this place.
    ///
    /// # Errors
    /// When the root does not commit to it there.
    pub fn check(&self, coding: &Coding, index: u16) -> Result<CheckedChunk, ChunkError> {
        let config = config_of(coding)?;
        if index >= coding.total {
            return Err(ChunkError::Index(index));
        }
        let checked = Code::check(&config, &root_of(coding), index, &self.0, &Sequential);
        Ok(CheckedChunk {
            coding: *coding,
            index,
            chunk: checked.map_err(|_| ChunkError::Proof(index))?,
        })
    }
}

impl CheckedChunk {
    /// The place of the validator whose chunk it is.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// What it is a chunk of.
    #[must_use]
    pub const fn coding(&self) -> &Coding {
        &self.coding
    }
}

impl Write for Chunk {
    fn write(&self, buf: &mut impl BufMut) {
        self.0.write(buf);
    }
}

impl EncodeSize for Chunk {
    fn encode_size(&self) -> usize {
        self.0.encode_size()
    }
}

impl Read for Chunk {
    type Cfg = Coding;
    fn read_cfg(buf: &mut impl Buf, coding: &Coding) -> Result<Self, Error> {
        let config = config_of(coding).map_err(|_| Error::Invalid("Chunk", "no such coding"))?;
        let bounds = (config, COLLATION_BYTES_MAX);
        <Code as Scheme>::Shard::read_cfg(buf, &bounds).map(Self)
    }
}

fn root_of(coding: &Coding) -> BlockDigest {
    BlockDigest::from(coding.root.0)
}

fn config_of(coding: &Coding) -> Result<Config, ChunkError> {
    let Coding { total, minimum, .. } = *coding;
    let config = config(total, minimum).filter(|_| minimum == minimum_of(total));
    config.ok_or(ChunkError::Coding { total, minimum })
}

/// The code for so many validators; it has at least one chunk more than are enough.
fn config(validators: u16, minimum: u16) -> Option<Config> {
    if validators == 0 || u32::from(validators) > VALIDATORS_MAX {
        return None;
    }
    let extra = validators.saturating_sub(minimum).max(1);
    Some(Config {
        minimum_shards: NonZeroU16::new(minimum)?,
        extra_shards: NonZeroU16::new(extra)?,
    })
}
