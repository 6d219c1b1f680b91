//! A snapshot in a file: everything that a fresh node needs, checked as strictly as what peers send.
//!
//! ```text
//!   file      magic 8 │ version 4 │ genesis 32 │ height 8 │ root 32 │ checksum 16 │ record …
//!   record    kind 1 │ length 4 │ payload │ checksum 16
//!   records   evidence, manifest, chunk 0, chunk 1, …, codes (length 4 │ code …) …, end
//! ```
//!
//! Each checksum is the beginning of a hash over the record and over the hash before it, so it covers
//! everything up to there: a record that is changed, missing, added or moved is found at its place.
//! Checksums find accidents. Against lies there are the checks of state sync: the manifest against the
//! root, which the caller has to verify by the evidence, the chunks against the manifest, and codes by
//! their hashes.
//!
//! Reading and writing hold one record in memory, the manifest, and the hashes of codes. Integers are
//! little-endian. Limits: [`EVIDENCE_BYTES_MAX`] and those of [`sync`](super).

mod error;
mod read;
mod write;

pub use error::{FileError, Place, Problem, WriteError};
pub use read::{FileItem, FileReader, OpenFile};
pub use write::write_file;

#[cfg(test)]
pub(super) use write::tests_write;

use alloy_primitives::{B256, Keccak256};

/// The longest evidence, in bytes.
pub const EVIDENCE_BYTES_MAX: usize = 16 << 20;

const MAGIC: [u8; 8] = *b"HEADWAY\x1a";
const VERSION: u32 = 1;
const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = 8 + 4 + 32 + 8 + 32;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Evidence = 1,
    Manifest = 2,
    Chunk = 3,
    Codes = 4,
    End = 5,
}

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Hash of the chain's genesis.
    pub genesis: B256,
    /// Height of the state.
    pub height: u64,
    /// Root of the state.
    pub root: B256,
}

impl FileHeader {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let parts: [&[u8]; 5] = [
            &MAGIC,
            &VERSION.to_le_bytes(),
            self.genesis.as_slice(),
            &self.height.to_le_bytes(),
            self.root.as_slice(),
        ];
        let bytes = parts.concat().try_into();
        bytes.expect("as long as its parts")
    }
}

/// The hash over everything so far.
#[derive(Clone, Copy, Debug, Default)]
struct Chain(B256);

impl Chain {
    /// Takes some more; the checksum that stands behind it.
    fn extend(&mut self, parts: &[&[u8]]) -> [u8; CHECKSUM_BYTES] {
        let mut hasher = Keccak256::new();
        hasher.update(self.0);
        for part in parts {
            hasher.update(part);
        }
        self.0 = hasher.finalize();
        let (checksum, _) = self.0.split_first_chunk().expect("a hash has 32 bytes");
        *checksum
    }
}
