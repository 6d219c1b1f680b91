//! State sync: the whole state at one height, obtained from peers that nobody trusts.
//!
//! ```text
//!   server   LeafScan ─▶ Manifest::scan(root) ─▶ bytes ──┐        one pass, one chunk in memory
//!                  └───▶ Manifest::serve(chunk) ─▶ bytes ─┤        leaves with their preimages
//!                  └───▶ serve_codes(hashes) ────▶ bytes ─┤
//!                                                        ▼
//!   client   Manifest::decode(bytes, root) ─▶ Download ─▶ next: ask this peer for this chunk
//!                                                └─ answer ─▶ check ─▶ rows to store, or blame
//!   file     write_file ─▶ header, evidence, manifest, chunks, codes ─▶ FileReader      the same checks
//! ```
//!
//! A [`Manifest`] is the top of the state's trie. What lies below it are *units*: subtries known by what
//! their parent holds of them. A chunk is a run of neighbouring units of one trie, with at most
//! [`CHUNK_BYTES_MAX`] of leaves; the storage of an account travels with the account while both fit into
//! one chunk, and has a top and chunks of its own when they do not. So everything is checked on arrival
//! against one verified root: the manifest as it is decoded, a chunk by rebuilding its units, code by
//! its hash.
//!
//! Invariants: equal states have equal manifests, byte by byte, and equal chunks. A chunk that passes its
//! check holds exactly the leaves of the state in its range. Nothing here reads a clock, a disk or a
//! network.
//!
//! The root says nothing about where chunks begin or how long they are, so a manifest is known by its
//! digest as well, which honest peers agree on: a peer is asked only for chunks of the manifest that it
//! offered itself, and what it can't answer then is its own lie.
//!
//! Limits: [`CHUNK_BYTES_MAX`], [`MANIFEST_BYTES_MAX`], [`CODE_BYTES_MAX`], [`CODES_MAX`]; checking a
//! chunk takes some ten times its length in memory, of the shortest leaves 150 times; a decoded manifest
//! five times. The hashes of all codes that were met are held in memory.

mod chunk;
mod code;
mod decode;
mod download;
mod file;
mod leaf;
mod manifest;
mod scan;

pub use chunk::{CheckedAccount, CheckedChunk, ChunkError, ServeError};
pub use code::{CodeError, check_codes, serve_codes};
pub use decode::ManifestError;
pub use download::{Ask, Blame, Download, Limits, Progress, Reason, Request, Settled, Starved};
pub use file::{
    EVIDENCE_BYTES_MAX, FileError, FileHeader, FileItem, FileReader, OpenFile, Place, Problem,
    WriteError, write_file,
};
pub use leaf::{AccountLeaf, SlotLeaf};
pub use manifest::{Chunk, Manifest};
pub use scan::ScanError;

use crate::reader::ReadFault;
use alloy_primitives::{B256, Bytes};

/// The most that a chunk holds, in bytes.
pub const CHUNK_BYTES_MAX: usize = 256 << 10;
/// The least that a chunk may be limited to, in bytes: more than the largest leaf without its storage.
pub const CHUNK_BYTES_MIN: usize = 128;
/// The longest manifest, in bytes: enough for 16 GiB of leaves at the worst, and for 200 GiB at best.
pub const MANIFEST_BYTES_MAX: usize = 32 << 20;
/// The longest code that is taken, in bytes.
pub const CODE_BYTES_MAX: usize = 1 << 20;
/// Codes that are asked for at once.
pub const CODES_MAX: usize = 64;
/// An answer with codes ends with the one that reaches this, in bytes.
pub const CODES_BYTES: usize = 256 << 10;

/// The leaves of one immutable state in the order of its tries: by hashed key, ascending.
pub trait LeafScan {
    /// The accounts whose key is `from` or above.
    fn accounts(&self, from: &B256) -> impl Iterator<Item = Result<AccountLeaf, ReadFault>>;

    /// The slots of the account with this key whose own key is `from` or above.
    fn slots(
        &self,
        account: &B256,
        from: &B256,
    ) -> impl Iterator<Item = Result<SlotLeaf, ReadFault>>;

    /// The code with this hash; `None` for one that no account of this state has.
    fn code(&self, hash: &B256) -> Result<Option<Bytes>, ReadFault>;
}

#[cfg(test)]
mod tests;
