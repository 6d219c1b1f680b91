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
//! Limits: [`WITNESS_BYTES_MAX`]; decoding takes at most [`MEMORY_FACTOR_MAX`] times the length.

mod decode;
mod encode;

pub use decode::{Witness, WitnessError, WitnessGap};
pub use encode::Touched;

/// The longest witness that is decoded.
pub const WITNESS_BYTES_MAX: usize = 32 << 20;
/// How many bytes of memory one byte of a witness can take, by count: at the full depth of a trie the
/// shortest leaf is three bytes, and takes a block, a reference in its parent and places in the queues of
/// the hash; twice that while an arena grows.
pub const MEMORY_FACTOR_MAX: usize = 64;

const VERSION: u8 = 1;
const HASH: u8 = 0;
const BRANCH: u8 = 1;
const EXTENSION: u8 = 2;
const SLOT: u8 = 3;
const ACCOUNT: u8 = 4;
const EMPTY: u8 = 5;
const HAS_CODE: u8 = 1;
const HAS_STORAGE: u8 = 2;
