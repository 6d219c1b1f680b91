//! From bytes of anyone to a manifest of a trusted root, or an error.

use super::leaf::{AccountLeaf, Malformed, Reader};
use super::manifest::{
    ACCOUNT, BRANCH, Chunk, EMPTY, EXTENSION, Manifest, UNIT, UNIT_FIRST, Unit, VERSION,
};
use super::{CHUNK_BYTES_MAX, MANIFEST_BYTES_MAX};
use crate::sparse::subtrie::{self, KEY_NIBBLES, Reference, Subtries};
use crate::sparse::{AccountRow, Lanes};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;

/// The most units of a manifest: as many as fit when each is known by a hash.
pub(super) const UNITS_MAX: usize = MANIFEST_BYTES_MAX / 34;

/// Bytes that are not the manifest that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Longer than any manifest.
    #[error("manifest too long: bytes={0} bytes_max={MANIFEST_BYTES_MAX}")]
    TooLong(usize),
    /// Of another version.
    #[error("unknown manifest version={0}")]
    Version(u8),
    /// With another digest than it was offered with.
    #[error("manifest digest={found}, not digest={offered}")]
    Digest {
        /// The digest that was offered.
        offered: B256,
        /// The digest of the bytes.
        found: B256,
    },
    /// Not the encoding of a top.
    #[error("malformed manifest at byte={0}")]
    Malformed(usize),
    /// A chunk that is empty or longer than any.
    #[error("chunk={chunk} in manifest has bytes={bytes}")]
    ChunkBytes {
        /// Number of the chunk.
        chunk: usize,
        /// Its length.
        bytes: usize,
    },
    /// More units than any manifest has.
    #[error("too many units in manifest: units_max={UNITS_MAX}")]
    Units,
    /// The top of a state with another root.
    #[error("manifest of root={found}, not of root={trusted}")]
    Root {
        /// The root that was asked for.
        trusted: B256,
        /// The root of this top.
        found: B256,
    },
}

impl From<Malformed> for ManifestError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}

impl Manifest {
    /// Reads the manifest of a trusted root that a peer offered by its digest. Every node of the top is
    /// checked against the root.
    ///
    /// # Errors
    ///
    /// Any of them says that the peer lied.
    pub fn decode(bytes: Bytes, trusted: B256, offered: B256) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong(bytes.len()));
        }
        let found = keccak256(&bytes);
        if found != offered {
            return Err(ManifestError::Digest { offered, found });
        }
        Self::read(bytes, trusted)
    }

    /// Reads the manifest of a trusted root.
    pub(super) fn read(bytes: Bytes, trusted: B256) -> Result<Self, ManifestError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLong(bytes.len()));
        }
        let mut decoder = Decoder {
            manifest: Self::new(bytes.clone(), trusted),
            reader: Reader::new(&bytes),
            subtries: Subtries::new(Lanes::Widest),
            is_continued: false,
        };
        let found = decoder.top()?;
        match found == trusted {
            true => Ok(decoder.manifest),
            false => Err(ManifestError::Root { trusted, found }),
        }
    }
}

struct Decoder<'a> {
    manifest: Manifest,
    reader: Reader<'a>,
    subtries: Subtries,
    /// Whether the next unit may belong to the last chunk.
    is_continued: bool,
}

/// Where in the tries the decoder is.
#[derive(Clone, Copy)]
struct Spot {
    key: B256,
    depth: usize,
    /// Whose storage it is in.
    account: Option<usize>,
}

impl Spot {
    fn root(account: Option<usize>) -> Self {
        Self {
            key: B256::ZERO,
            depth: 0,
            account,
        }
    }

    fn below(mut self, nibble: u8) -> Self {
        let shift = 4 * (1 - self.depth % 2);
        self.key[self.depth / 2] |= nibble << shift;
        self.depth += 1;
        self
    }
}

impl Decoder<'_> {
    /// The root of the whole.
    fn top(&mut self) -> Result<B256, ManifestError> {
        let version = self.reader.byte()?;
        if version != VERSION {
            return Err(ManifestError::Version(version));
        }
        let tag = self.reader.byte()?;
        let root = match tag {
            EMPTY => EMPTY_ROOT_HASH,
            tag => self.root(tag, None)?,
        };
        self.reader.ensure(self.reader.left() == 0)?;
        Ok(root)
    }

    /// The root of a trie, which is known by its hash.
    fn root(&mut self, tag: u8, account: Option<usize>) -> Result<B256, ManifestError> {
        match self.node(tag, Spot::root(account))? {
            Reference::Hash(hash) => Ok(hash.into()),
            Reference::Embedded(_) | Reference::Stale => {
                Err(ManifestError::Malformed(self.reader.at()))
            }
        }
    }

    fn node(&mut self, tag: u8, spot: Spot) -> Result<Reference, ManifestError> {
        match tag {
            UNIT if self.is_continued => self.unit(spot),
            UNIT_FIRST => {
                self.chunk(spot)?;
                self.unit(spot)
            }
            BRANCH if spot.depth < KEY_NIBBLES => self.branch(spot),
            EXTENSION => self.extension(spot),
            ACCOUNT if spot.account.is_none() => self.account(spot),
            _ => Err(ManifestError::Malformed(self.reader.at() - 1)),
        }
    }

    /// The beginning of a chunk.
    fn chunk(&mut self, spot: Spot) -> Result<(), ManifestError> {
        let bytes = self.reader.count()?;
        let chunks = &mut self.manifest.chunks;
        if !(1..=CHUNK_BYTES_MAX).contains(&bytes) {
            let chunk = chunks.len();
            return Err(ManifestError::ChunkBytes { chunk, bytes });
        }
        let first = self.manifest.units.len();
        chunks.push(Chunk {
            account: spot.account,
            bytes,
            units: first..first,
        });
        self.manifest.chunk_bytes += bytes as u64;
        self.is_continued = true;
        Ok(())
    }

    fn unit(&mut self, spot: Spot) -> Result<Reference, ManifestError> {
        let reference = self.reference()?;
        let units = &mut self.manifest.units;
        if units.len() == UNITS_MAX {
            return Err(ManifestError::Units);
        }
        units.push(Unit {
            first: spot.key,
            depth: u8::try_from(spot.depth).expect("a key has 64 nibbles"),
            reference,
        });
        let chunk = self.manifest.chunks.last_mut();
        chunk.expect("a unit is in a chunk").units.end += 1;
        Ok(reference)
    }

    fn reference(&mut self) -> Result<Reference, Malformed> {
        let length = self.reader.byte()?;
        if length == 32 {
            return Ok(Reference::Hash(self.reader.array()?));
        }
        let encoding = self.reader.take(usize::from(length))?;
        // A short list: its first byte tells its length.
        let is_list = encoding.len() > 1 && usize::from(encoding[0]) == 0xbf + encoding.len();
        self.reader.ensure(is_list)?;
        let embedded = Reference::embed(encoding);
        embedded.ok_or(Malformed(self.reader.at()))
    }

    fn branch(&mut self, spot: Spot) -> Result<Reference, ManifestError> {
        let bits = u16::from_le_bytes(self.reader.array()?);
        self.reader.ensure(bits.count_ones() >= 2)?;
        let mut children = [None; 16];
        for nibble in (0u8..16).filter(|nibble| bits >> nibble & 1 == 1) {
            let tag = self.reader.byte()?;
            children[usize::from(nibble)] = Some(self.node(tag, spot.below(nibble))?);
        }
        Ok(subtrie::branch(&children))
    }

    fn extension(&mut self, spot: Spot) -> Result<Reference, ManifestError> {
        let length = usize::from(self.reader.byte()?);
        self.reader
            .ensure(length > 0 && spot.depth + length < KEY_NIBBLES)?;
        let packed = self.reader.take(length.div_ceil(2))?;
        let path = (0..length).map(|index| packed[index / 2] >> (4 * (1 - index % 2)) & 0x0f);
        let path: Vec<u8> = path.collect();
        let unused = length % 2 == 1 && packed[length / 2] & 0x0f != 0;
        self.reader.ensure(!unused)?;
        let below = path.iter().fold(spot, |spot, nibble| spot.below(*nibble));
        let tag = self.reader.byte()?;
        self.reader.ensure(tag == BRANCH)?;
        let child = self.node(tag, below)?;
        Ok(subtrie::extension(&path, &child))
    }

    fn account(&mut self, spot: Spot) -> Result<Reference, ManifestError> {
        let head = self.reader.account()?;
        let key = keccak256(head.address);
        let inside = subtrie::shared(&key, &spot.key) >= spot.depth;
        self.reader.ensure(inside && head.has_storage)?;
        let number = self.manifest.accounts.len();
        self.manifest.accounts.push(AccountLeaf {
            key,
            address: head.address,
            account: head.account,
            storage_root: EMPTY_ROOT_HASH,
        });
        self.is_continued = false;
        let tag = self.reader.byte()?;
        let storage_root = self.root(tag, Some(number))?;
        self.is_continued = false;
        self.manifest.accounts[number].storage_root = storage_root;
        let row = AccountRow {
            key,
            account: head.account,
            storage_root,
        };
        let unit = std::iter::once((0..1, spot.depth));
        Ok(self.subtries.accounts(&[row], unit)[0])
    }
}
