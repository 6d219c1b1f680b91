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

pub mod affordability;
pub mod anchor;
pub mod base_fee;
pub mod block;
pub mod bundle;
pub mod certificate;
pub mod chain;
pub mod codec;
pub mod crypto;
pub mod genesis;
pub mod limits;
pub mod recovery;
pub mod shard;
pub mod signature;
pub mod stage;
pub mod static_check;
pub mod transaction;

pub use anchor::{Anchor, AnchorError, SyncAnchor};
pub use block::{
    Block, BlockLimits, Directive, ExecutedRef, FinalizedBlock, Header, RecoveredBlock,
};
pub use bundle::{Bundle, BundleBuilder, BundleError, BundleFull, BundleItem};
pub use certificate::{ExecutionCertificate, ExecutionResult, SignedResult};
pub use chain::ChainConfig;
pub use genesis::Genesis;
pub use stage::{BlockStages, Heads};
pub use transaction::{RecoveredTransaction, Transaction, TransactionError};
