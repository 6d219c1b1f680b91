//! Dissemination: a block names its transactions by short ids, and its receivers rebuild it from their pools.
//!
//! ```text
//!  leader                                     peer
//!  send ─▶ Compact: header, names ──────────▶ look the names up in the pool
//!                                               │ all found, and the digest is the header's ─▶ ready
//!  holds the block? ◀── Missing: indices ───────┤ some missing
//!        └──▶ Transactions ────────────────────▶│ fill, and compare the digest
//!  holds the block? ◀── GetWhole ───────────────┘ most missing, the digest differs, or no answer
//!        └──▶ Whole ───────────────────────────▶ decode, which compares the digest ─▶ ready
//! ```
//! Gossip has brought nearly all transactions to everybody before a block orders them, so that a block of
//! 110-byte transactions costs its leader an eleventh of its size for each peer. A body of one packet is sent
//! whole at once. What is ready was compared with the digest in its header, so nobody behind this module sees
//! the difference: marshal asks, subscribes and sends as it does with the broadcast of whole blocks.
//!
//! A *name* is the first eight bytes of a transaction's hash, by which pools find it, and two more from a place
//! that the block's digest chooses. Whoever makes two transactions with the same first bytes, and gives one to
//! each half of the network, does not know that place: the other transaction is seen to be a wrong one and asked
//! for, and not the whole block.
//!
//! What a message is for is read from its first bytes. Transactions and whole blocks are answers: from a peer that
//! was not asked they are dropped as they are, and it is banned when it goes on. Everything else is read when the
//! peer may still spend so many bytes.
//!
//! A peer is banned for bytes that are no message, for answers that contradict what it asked or said, for answers
//! to nothing, and, once the block is known, for a compact block that named other transactions. Silence costs nobody but the leader:
//! what was notarized is found by its digest through marshal's backfill. A block that is sent again (to voters
//! that were silent) is sent compact again: most of them have it, and all who hold it send it at once.
//!
//! Limits are in `config`. A peer holds a few rebuilds, the newest win; it has bytes to spend every second for
//! what it sends, for what is looked up and hashed on its behalf, and for what it is answered.

mod actor;
mod cache;
pub mod config;
mod exchange;
mod mailbox;
pub mod message;
mod metrics;
mod opening;
mod rebuild;
mod rebuilds;
mod source;
#[cfg(test)]
mod tests;

pub(crate) use actor::Relay;
pub use message::{Compact, Message, Name, Placed};
pub(crate) use source::PoolSource;
