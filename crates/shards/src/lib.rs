#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::wildcard_enum_match_arm,
        clippy::float_arithmetic
    )
)]

pub mod agent;
pub mod allocation;
pub mod arrears;
mod check;
mod chunks;
mod collation;
pub mod collator;
pub mod feed;
pub mod inclusion;
pub mod ledger;
pub mod message;
mod pace;
pub mod passage;
pub mod sampling;
#[cfg(test)]
mod tests;
pub mod turn;

pub use check::{Checked, Invalid, ShardRules, Verdict, check};
pub use chunks::{
    CheckedChunk, Chunk, ChunkError, CutError, RestoreError, cut, minimum_of, restore,
};
pub use collation::{
    ANCESTORS_MAX, BuildError, COLLATION_BYTES_MAX, Collation, CollationError, Parent, Part,
    Placement, seal,
};
