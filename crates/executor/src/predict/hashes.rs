//! Hashes of pairs of words, by which contracts find what lies in a mapping.

use alloy_primitives::{B256, U256, keccak256};

/// Preimages of one transaction that are looked at.
const PREIMAGES_MAX: usize = 64;
/// Hashes of one prediction.
const HASHES_MAX: usize = 16;
/// How far from its hash a member of a struct may lie, in slots.
const OFFSET_MAX: u8 = 16;

/// A key and the slot of the mapping that it is looked up in.
pub(super) type Pair = [U256; 2];

/// Hashes each pair once, and not too many of them.
#[derive(Debug)]
pub(super) struct Hasher<'h> {
    hot: &'h [(Pair, U256)],
    known: [Option<(Pair, U256)>; HASHES_MAX],
}

impl<'h> Hasher<'h> {
    /// One that has been told some hashes.
    pub(super) const fn new(hot: &'h [(Pair, U256)]) -> Self {
        Self {
            hot,
            known: [None; HASHES_MAX],
        }
    }

    /// The hash; nothing after too many other ones.
    pub(super) fn hash(&mut self, pair: Pair) -> Option<U256> {
        if let Some((_, hash)) = self.hot.iter().find(|(known, _)| *known == pair) {
            return Some(*hash);
        }
        for known in &mut self.known {
            match known {
                Some((earlier, hash)) if *earlier == pair => return Some(*hash),
                Some(_) => {}
                None => {
                    let hash = hash(pair);
                    *known = Some((pair, hash));
                    return Some(hash);
                }
            }
        }
        None
    }

    /// How many there were.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.iter().flatten().count()
    }
}

/// What one transaction has hashed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preimages<'o> {
    all: &'o [(B256, Pair)],
}

impl<'o> Preimages<'o> {
    pub(super) fn new(all: &'o [(B256, Pair)]) -> Self {
        let all = all.get(..PREIMAGES_MAX).unwrap_or(all);
        Self { all }
    }

    /// The hash of a pair, if the transaction has asked for it.
    pub(super) fn hash(&self, pair: Pair) -> Option<U256> {
        let found = self.all.iter().find(|(_, known)| *known == pair);
        found.map(|(hash, _)| U256::from_be_bytes(hash.0))
    }

    /// The pair whose hash is at a slot or shortly before it, and how far.
    pub(super) fn explain(&self, slot: U256) -> Option<(Pair, u8)> {
        let near = self.all.iter().filter_map(|(hash, pair)| {
            let offset = slot.wrapping_sub(U256::from_be_bytes(hash.0));
            let offset = u8::try_from(offset).ok()?;
            (offset <= OFFSET_MAX).then_some((*pair, offset))
        });
        near.min_by_key(|(_, offset)| *offset)
    }
}

/// The hash of a pair.
pub(super) fn hash(pair: Pair) -> U256 {
    let bytes = pair.map(|word| word.to_be_bytes::<32>());
    keccak256(bytes.as_flattened()).into()
}
