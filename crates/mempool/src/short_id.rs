//! Short names of transactions: what a block is rebuilt from by those who have its transactions.
//!
//! ```text
//! hash     0x1122334455667788 99aabb…
//! short id 0x1122334455667788
//! ```
//! Two transactions may share a short id, because anybody can search for such a pair: whoever
//! looks one up is told, and asks for the whole hash.

use alloy_primitives::{B64, B256};
use primitives::RecoveredTransaction;

/// The first eight bytes of a transaction's hash.
pub type ShortId = B64;

/// The short id of the transaction with this hash.
#[must_use]
pub fn short_id(hash: &B256) -> ShortId {
    ShortId::from_slice(&hash[..ShortId::len_bytes()])
}

/// What a pool has with a short id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Missing,
    /// This and no other.
    One(RecoveredTransaction),
    /// More than one: only the whole hash says which.
    Several,
}
