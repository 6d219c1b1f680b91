//! The agent: what a node does for shards, as a validator, as a collator, or as both.
//!
//! ```text
//!   collator              group of a core              all validators               leader
//!      │ build, sign            │                            │                         │
//!      ├──── Offer ────────────▶│ check, cut, sign           │                         │
//!      │◀─────────────────── Statement ─────────────────────▶│──── backed envelope ───▶│
//!      │                        ├─────────── Chunk ─────────▶│ hold                    │ relay block h
//!      │                        │                            │                         │
//!      │    finalized h: what it backed is pending           │                         │
//!      │                        │◀───── GetCollation ────────┤ check, cut again        │
//!      │                        ├────── Collation ──────────▶│                         │
//!      │                                                     ├──────── Vote ──────────▶│ h+1, h+2:
//!      │ follow, build on                                    │  held, valid, invalid   │ included, final
//! ```
//! Nothing here decides anything: the ledger does, and what an agent signs is what it found itself. Backing runs
//! ahead of the relay chain, chunks travel before a relay block names their candidate, and approval begins at
//! once, so a candidate that is backed at `h` can be final with the first block that carries votes about `h`.
//!
//! One actor (`actor`) carries; the duties are state machines without clocks: `backing`, `approval`, `fetch`, and
//! [`collator`](crate::collator) for whoever builds blocks. Checks, cuts and builds run elsewhere. Who the validators
//! are comes with every relay update; `epochs` remembers those whose chunks may still be needed.
//!
//! A peer is banned for what nobody honest sends: bytes that do not read, false signatures, chunks that their
//! root does not commit to, answers that are another collation. Silence and late messages cost nothing.
//!
//! Limits are in `config`. What has to survive a restart is in the `cellar`, and `memory` is what duties know of it. What a
//! collator missed, `search` has looked up in the relay chain.

mod actor;
mod answers;
mod approval;
mod backing;
pub(crate) mod cellar;
mod claims;
pub(crate) mod config;
mod cutter;
pub(crate) mod duties;
pub(crate) mod epochs;
mod fetch;
mod mailbox;
mod memory;
mod metrics;
mod offers;
mod own_chunk;
mod queue;
pub(crate) mod seams;
pub(crate) mod search;
mod serve;
mod share;
pub(crate) mod shelf;
pub(crate) mod standing;
pub(crate) mod statements;
#[cfg(test)]
mod tests;

pub use actor::Agent;
pub use cellar::CellarFault;
pub use config::AgentConfig;
pub use cutter::ReedSolomonCutter;
pub use seams::{BuildOrder, Builder, Built, Checker, Cutter, Finding, Restored};
