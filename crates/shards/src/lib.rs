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
pub mod collator;
pub mod feed;
pub mod inclusion;
pub mod ledger;
pub mod message;
pub mod turn;
