//! What the pool tells its listeners.

use alloy_primitives::B256;
use primitives::RecoveredTransaction;

/// One change of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Became executable: newly admitted, or the gap before it closed.
    Pending(RecoveredTransaction),
    /// Admitted behind a nonce gap.
    Queued(RecoveredTransaction),
    /// Left the pool for another reason than that it was executed.
    Dropped {
        /// Which one.
        hash: B256,
        /// Why.
        reason: DropReason,
    },
}

/// The policies by which a transaction leaves the pool without being executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// The sender paid more for another one with this nonce.
    Replaced {
        /// The one that took its place.
        by: B256,
    },
    /// The sender's nonce moved past it: another transaction with its nonce was executed.
    NonceTooLow,
    /// The sender's balance no longer covers it alone.
    Unaffordable,
    /// The pool was full and it was the cheapest at the end of its lane, or its sender was at its
    /// limit and sent one with a lower nonce.
    Evicted,
    /// It waited for the whole lifetime.
    Expired,
    /// It was in an executed block without moving its sender's nonce, and would be there again.
    Faulted,
    /// The node was told to drop it.
    Removed,
}
