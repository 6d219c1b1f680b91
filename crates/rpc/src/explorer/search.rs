//! `/search?q=`: sends a visitor to the page about what was typed.
//!
//! ```text
//! number, tag ─▶ block   32 bytes ─▶ transaction, else block   20 bytes ─▶ account   else ─▶ nothing found, 404
//! ```

use super::{
    block::block_id,
    frame::{self, Page},
    history,
    visit::Visit,
};
use crate::{backend::Backend, error::RpcError, eth::tag};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256};
use std::sync::Arc;

pub(super) fn page(backend: &Arc<Backend>, visit: &Visit) -> Result<Page, RpcError> {
    let asked = visit.field("q");
    if asked.is_empty() {
        return Ok(Page::elsewhere("/".to_owned()));
    }
    match place(backend, asked)? {
        Some(location) => Ok(Page::elsewhere(location)),
        None => frame::absent(backend, "block, transaction or account", asked),
    }
}

fn place(backend: &Backend, asked: &str) -> Result<Option<String>, RpcError> {
    let digits = asked.strip_prefix("0x").unwrap_or(asked);
    if digits.len() == 64
        && let Ok(hash) = asked.parse::<B256>()
    {
        if history::find(backend, &hash)?.is_some() {
            return Ok(Some(format!("/tx/{hash}")));
        }
        let record = tag::record_by_hash(backend, &hash)?;
        return Ok(record.map(|_| format!("/block/{hash}")));
    }
    if digits.len() == 40
        && let Ok(address) = asked.parse::<Address>()
    {
        return Ok(Some(format!("/address/{address}")));
    }
    let heads = backend.chain.heads();
    Ok(match block_id(&asked.to_lowercase()) {
        Some(BlockId::Number(BlockNumberOrTag::Number(height))) => {
            (height <= heads.finalized_height).then(|| format!("/block/{height}"))
        }
        Some(BlockId::Number(tag)) => Some(format!("/block/{tag}")),
        Some(BlockId::Hash(_)) | None => None,
    })
}
