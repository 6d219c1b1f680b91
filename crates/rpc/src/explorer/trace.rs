//! The calls that a transaction made, as rows of a tree, outermost first.
//!
//! Limits: [`CALLS_SHOWN`] calls; the trace itself has those of the `debug` methods, and where it can't be had, the
//! page says why.

use super::{
    decode, format,
    html::{self, Html},
    token,
};
use crate::{backend::Backend, debug, error::RpcError};
use alloy_primitives::B256;
use alloy_rpc_types_trace::geth::CallFrame;

/// Calls of one transaction that are shown.
const CALLS_SHOWN: usize = 200;

/// One call.
#[derive(Debug)]
pub(super) struct CallRow {
    /// How deep it is.
    pub(super) depth: usize,
    /// `CALL`, `STATICCALL`, `CREATE`, …
    pub(super) kind: String,
    pub(super) to: Option<Html>,
    /// What the contract calls itself.
    pub(super) name: Option<String>,
    pub(super) method: String,
    pub(super) value: String,
    pub(super) gas_used: String,
    /// Why it failed, if it did.
    pub(super) error: Option<String>,
}

/// The calls of a transaction.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) rows: Vec<CallRow>,
    pub(super) count: usize,
    /// Why they are not known.
    pub(super) missing: Option<String>,
}

/// The calls of an executed transaction.
pub(super) fn of(backend: &Backend, hash: &B256) -> Result<Calls, RpcError> {
    let mut calls = Calls::default();
    match debug::call_trace(backend, hash) {
        Ok(Some(frame)) => calls.add(backend, &frame, 0),
        Ok(None) => {}
        Err(error) => calls.missing = Some(error.to_string()),
    }
    Ok(calls)
}

impl Calls {
    /// A call and those that it made; there are as many levels as the machine has, at most 1,024.
    fn add(&mut self, backend: &Backend, frame: &CallFrame, depth: usize) {
        self.count += 1;
        if self.rows.len() < CALLS_SHOWN {
            self.rows.push(CallRow::new(backend, frame, depth));
        }
        for call in &frame.calls {
            self.add(backend, call, depth + 1);
        }
    }
}

impl CallRow {
    fn new(backend: &Backend, frame: &CallFrame, depth: usize) -> Self {
        let abi = frame.to.and_then(|to| backend.explorer.abis.of(&to));
        let name = frame.to.and_then(|to| token::token(backend, &to));
        let is_creation = frame.typ.starts_with("CREATE");
        let error = frame.revert_reason.as_ref().or(frame.error.as_ref());
        Self {
            depth: depth.min(24),
            kind: frame.typ.to_lowercase(),
            to: frame.to.as_ref().map(html::address),
            name: name.map(|token| token.symbol.clone()),
            method: match (is_creation, frame.input.as_ref()) {
                (true, _) | (false, []) => String::new(),
                (false, input) => decode::method_name(abi.as_deref(), input),
            },
            value: match frame.value.filter(|value| !value.is_zero()) {
                Some(value) => format::value(value),
                None => String::new(),
            },
            gas_used: format::count(frame.gas_used),
            error: error.map(|error| token::plain(error)),
        }
    }
}
