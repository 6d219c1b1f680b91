//! The Merkle-Patricia trie of the newest state, in memory and changed in place.
//!
//! ```text
//!   changes ─▶ check ─▶ warm ─▶ update ─▶ rehash ─▶ root
//!              who is    into    in place,  level by level,
//!              missing   cache   all stale  many nodes at a time
//! ```
//!
//! Nodes lie as bytes in arenas (`arena`, `node`, `leaf`). The trie of accounts and every large
//! storage trie are split by their first two nibbles into 256 parts that threads write side by side
//! (`split`); small storage tries lie in the arena of their account. Whatever is not in memory is
//! known by its hash: the same code computes the root of the full state, of one whose cold parts were
//! dropped (`residency`), and of a [`witness`].
//!
//! Invariant: the shape depends on the content alone, so equal contents have equal roots whatever the
//! history. Limit: keys are 32 bytes, as all keys of a state trie are.

mod arena;
mod changes;
mod check;
mod encode;
mod keccak;
mod leaf;
mod node;
mod read;
mod rehash;
mod residency;
mod split;
pub(crate) mod subtrie;
mod trie;
mod update;
mod warm;
pub mod witness;
mod write;

pub use changes::{AccountChange, Changes};
pub use keccak::Lanes;
pub use leaf::SlotWrite;
pub use residency::{AccountRow, Leaves, LimitTooLow, ResolveError};
pub use trie::{Missing, SparseTrie};

#[cfg(test)]
mod tests;
