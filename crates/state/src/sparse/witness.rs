//! The part of a state that a block reads and writes, and the root after it.
//!
//! ```text
//!   SparseTrie + touched keys + changes ─▶ bytes ──▶ Witness::decode(trusted root) ─▶ StateReader
//!                                                                               └─▶ apply(diff) ─▶ root
//!   bytes    version 1 │ trie │ codes: count 4 │ (length 4 │ code) …
//!   trie     5: empty, or a node
//!   node     0: hash 32                                    (what is not in the witness)
//!            1: children 2, one bit each │ node …
//!            2: nibbles 1 │ path │ node
//!            3: rest of the key │ length 1 │ value
//!            4: rest of the key │ flags 1 │ nonce │ balance │ code hash? 32 │ node of its storage?
//!   flags    1: has code   2: has storage   4 bits: length of the nonce; then length of the balance 1
//! ```
//!
//! Nodes come in the order of a walk, each once, so nothing is repeated and nothing refers elsewhere.
//! Decoding rebuilds the trie and computes the hash of every node from the leaves up: what arrives at
//! the trusted root is, node by node, what that root was made of. Integers are little-endian.
//!
//! Limits: [`WITNESS_BYTES_MAX`] of length, and [`memory_bytes_max`] of memory while decoding, which no
//! witness of hashed keys comes near: its leaves show most of their keys.

mod decode;
mod encode;

pub use decode::{Witness, WitnessError, WitnessGap};
pub use encode::Touched;

/// The longest witness that is decoded.
pub const WITNESS_BYTES_MAX: usize = 32 << 20;
/// How many bytes of memory one byte of a witness may take. A leaf that shares twenty nibbles with its
/// neighbour, which is more than anybody can search for, takes 9; one at the full depth of a trie, of
/// three bytes, would take 35.
const MEMORY_FACTOR_MAX: usize = 16;
/// What any witness may take.
const MEMORY_BYTES_MIN: usize = 1 << 20;

/// How much memory decoding so long a witness may take: for its nodes, its codes and the places where hashes
/// are computed; and as much again for a moment, while any of these grows.
pub const fn memory_bytes_max(length: usize) -> usize {
    MEMORY_BYTES_MIN + MEMORY_FACTOR_MAX * length
}

const VERSION: u8 = 1;
const HASH: u8 = 0;
const BRANCH: u8 = 1;
const EXTENSION: u8 = 2;
const SLOT: u8 = 3;
const ACCOUNT: u8 = 4;
const EMPTY: u8 = 5;
const HAS_CODE: u8 = 1;
const HAS_STORAGE: u8 = 2;
