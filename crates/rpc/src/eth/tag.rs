//! Which block a caller means.
//!
//! | tag | block |
//! |---|---|
//! | `latest` | the newest executed one; its order is final, so it never reorgs. On a shard, executed by its collator |
//! | `safe` | the same. On a shard, the newest that the relay chain includes |
//! | `finalized` | the newest verified one: 2f+1 validators signed its result. On a shard, approved |
//! | `pending` | what is ordered or waits, on top of `latest` |
//! | `earliest` | the genesis |
//!
//! Whatever depends on `latest` fails while the node is syncing or stopped.

use crate::{backend::Backend, error::RpcError};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::B256;
use pipeline::ExecutedRecord;
use state::Snapshot;
use std::sync::Arc;

/// A block that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// The executed block at a height.
    Executed(u64),
    /// On top of `latest`.
    Pending,
}

/// The block with this number or tag; none for a number that is not executed.
pub(crate) fn by_number(
    backend: &Backend,
    tag: BlockNumberOrTag,
) -> Result<Option<Selected>, RpcError> {
    let heads = backend.chain.heads();
    let height = match tag {
        BlockNumberOrTag::Latest => backend.latest_height()?,
        BlockNumberOrTag::Safe => backend.safe_height()?,
        BlockNumberOrTag::Finalized => {
            backend.require_ready()?;
            heads.verified_height
        }
        BlockNumberOrTag::Pending => {
            backend.require_ready()?;
            return Ok(Some(Selected::Pending));
        }
        BlockNumberOrTag::Earliest => 0,
        BlockNumberOrTag::Number(height) if height > heads.executed_height => {
            // It may have been served before a restart.
            backend.require_ready()?;
            return Ok(None);
        }
        BlockNumberOrTag::Number(height) => height,
    };
    Ok(Some(Selected::Executed(height)))
}

/// The block with this number, tag or hash.
pub(crate) fn by_id(backend: &Backend, id: BlockId) -> Result<Option<Selected>, RpcError> {
    match id {
        BlockId::Number(tag) => by_number(backend, tag),
        BlockId::Hash(hash) => {
            let height = height_of(backend, &hash.block_hash)?;
            Ok(height.map(Selected::Executed))
        }
    }
}

fn height_of(backend: &Backend, hash: &B256) -> Result<Option<u64>, RpcError> {
    let height = backend.chain.height_of_block(hash)?;
    if height.is_none() {
        backend.require_ready()?;
    }
    Ok(height)
}

/// The executed block with this hash.
pub(crate) fn record_by_hash(
    backend: &Backend,
    hash: &B256,
) -> Result<Option<Arc<ExecutedRecord>>, RpcError> {
    match height_of(backend, hash)? {
        Some(height) => Ok(backend.chain.record(height)?),
        None => Ok(None),
    }
}

/// The executed block on which a call for this block runs: for `pending` that is `latest`.
///
/// # Errors
/// geth's "header not found" if there is none.
pub(crate) fn require_record(
    backend: &Backend,
    id: Option<BlockId>,
) -> Result<Arc<ExecutedRecord>, RpcError> {
    let id = id.unwrap_or_default();
    let height = match by_id(backend, id)? {
        Some(Selected::Executed(height)) => height,
        Some(Selected::Pending) => backend.latest_height()?,
        None => return Err(absent(id)),
    };
    backend.chain.record(height)?.ok_or_else(|| absent(id))
}

/// The state after this block: for `pending` that after `latest`.
///
/// # Errors
/// Also when that state is not kept any more.
pub(crate) fn require_state(backend: &Backend, id: Option<BlockId>) -> Result<Snapshot, RpcError> {
    let id = id.unwrap_or_default();
    let height = match by_id(backend, id)? {
        Some(Selected::Executed(height)) => height,
        Some(Selected::Pending) => backend.latest_height()?,
        None => return Err(absent(id)),
    };
    Ok(backend.chain.snapshot(height)?)
}

const fn absent(id: BlockId) -> RpcError {
    match id {
        BlockId::Hash(_) => RpcError::HashNotFound,
        BlockId::Number(_) => RpcError::HeaderNotFound,
    }
}
