//! State sync between peers: a node without a history takes the state at a recent height from nodes that it
//! does not trust, and begins there.
//!
//! ```text
//!  server   newest durable state ─▶ manifest, anchor ─▶ shelf ─▶ queue, in turn ─▶ answers
//!                                                                    ▲                │
//!                                                          requests  │  SYNC channel  │ bytes
//!                                                                    │                ▼
//!  client   offers of all peers ─▶ target ─▶ ordering blocks ─▶ manifest ─▶ chunks, codes ─▶ importer
//!                └── wrong: ban ─────┴────────── wrong: ban, ask another ─────┘
//! ```
//! What is taken is checked on arrival: the anchor by the signatures of the validators, the rest against the
//! state root in it. Whoever sends something that fails a check has lied and is banned; whoever does not answer
//! may be slow, and is asked less and then no more.
//!
//! The client writes every chunk through an [`Importer`] before it asks for more than a bounded number of
//! others, so a node that is killed goes on where it was.
//!
//! Limits: one message holds at most [`ANSWER_BYTES_MAX`] and what an anchor takes; a server keeps
//! [`STATES_MAX`] states, [`REQUESTS_PER_PEER_MAX`] requests of each peer, and sends [`SERVED_BYTES_PER_SECOND`].

mod client;
mod message;
mod offers;
mod queue;
mod seam;
mod server;
mod shelf;
mod store;

pub use client::{
    Blamed, Client, ClientConfig, Report, SyncEvent, SyncFault, SyncParts, SyncProgress,
};
pub use message::{Answer, Message, Want};
pub use seam::{Importer, ServedState, Source, Unfinished};
pub use server::{Server, ServerConfig};
pub(crate) use store::StoreSource;
pub use store::{ImportFault, StoreImporter};

use primitives::{BlockLimits, anchor};
use state::sync::{CHUNK_BYTES_MAX, CODE_BYTES_MAX, CODES_BYTES};

/// Bytes of a manifest in one answer.
pub const PAGE_BYTES: usize = 256 << 10;
/// Bytes of a message besides what it carries.
const MESSAGE_FIXED_BYTES: usize = 256;
/// Most bytes that one answer carries, unless it is an anchor or an ordering block.
pub const ANSWER_BYTES_MAX: usize = {
    let codes = CODES_BYTES + CODE_BYTES_MAX + MESSAGE_FIXED_BYTES;
    let pages = if PAGE_BYTES > CHUNK_BYTES_MAX {
        PAGE_BYTES
    } else {
        CHUNK_BYTES_MAX
    };
    if codes > pages { codes } else { pages }
};
/// States that a server keeps: the newest, and older ones that somebody is still taking.
pub const STATES_MAX: usize = 3;
/// Requests of one peer that wait; more are dropped.
pub const REQUESTS_PER_PEER_MAX: usize = 16;
/// What a server sends at most, all peers together.
pub const SERVED_BYTES_PER_SECOND: u64 = 64 << 20;

/// The largest message of the channel, for a chain with these limits.
#[must_use]
pub fn message_bytes_max(limits: &BlockLimits) -> usize {
    let block = <primitives::Block as commonware_consensus::BoundedBlock>::max_encode_size(limits);
    let carried = ANSWER_BYTES_MAX
        .max(anchor::head_bytes_max(limits))
        .max(block);
    carried.saturating_add(MESSAGE_FIXED_BYTES)
}
