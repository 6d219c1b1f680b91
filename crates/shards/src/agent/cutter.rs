//! Chunks by Reed-Solomon codes.

use super::{Cutter, Restored};
use crate::{CheckedChunk, Chunk, RestoreError, cut, restore};
use bytes::Bytes;
use commonware_codec::{Decode as _, Encode as _};
use primitives::shard::Coding;

/// Cuts collations by the code that every validator knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReedSolomonCutter;

fn checked(coding: &Coding, index: u16, chunk: &Bytes) -> Option<CheckedChunk> {
    let chunk = Chunk::decode_cfg(chunk.clone(), coding).ok()?;
    chunk.check(coding, index).ok()
}

impl Cutter for ReedSolomonCutter {
    fn cut(&self, collation: &Bytes, validators: u16, epoch: u64) -> Option<(Coding, Vec<Bytes>)> {
        let (coding, chunks) = cut(collation, validators, epoch).ok()?;
        Some((coding, chunks.iter().map(|chunk| chunk.encode()).collect()))
    }

    fn check(&self, coding: &Coding, index: u16, chunk: &Bytes) -> bool {
        checked(coding, index, chunk).is_some()
    }

    fn restore(&self, coding: &Coding, chunks: &[(u16, Bytes)]) -> Restored {
        let checked: Vec<_> = chunks
            .iter()
            .filter_map(|(index, chunk)| checked(coding, *index, chunk))
            .collect();
        match restore(coding, &checked) {
            Ok(collation) => Restored::Collation(collation.0),
            Err(RestoreError::WrongCoding) => Restored::WrongCoding,
            Err(RestoreError::TooFew { .. } | RestoreError::OtherCoding(_)) => Restored::TooFew,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReedSolomonCutter;
    use crate::agent::{Cutter as _, Restored};
    use bytes::Bytes;

    #[test]
    fn enough_chunks_give_the_collation_back() {
        let collation = Bytes::from(vec![7; 5_000]);
        let (coding, chunks) = ReedSolomonCutter.cut(&collation, 4, 0).unwrap();
        assert_eq!(chunks.len(), 4);
        let indexed: Vec<_> = (0..).zip(chunks).collect();
        for (index, chunk) in &indexed {
            assert!(ReedSolomonCutter.check(&coding, *index, chunk));
            assert!(!ReedSolomonCutter.check(&coding, (index + 1) % 4, chunk));
        }
        let restored = ReedSolomonCutter.restore(&coding, &indexed[2..]);
        assert_eq!(restored, Restored::Collation(collation));
        let few = ReedSolomonCutter.restore(&coding, &indexed[..1]);
        assert_eq!(few, Restored::TooFew);
    }
}
