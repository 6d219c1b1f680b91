//! `/pool`: what waits for a block.
//!
//! Limits: a pool of more than [`LISTED_MAX`] transactions is counted and not listed; [`SENDERS_SHOWN`] senders and
//! [`TRANSACTIONS_SHOWN`] transactions are shown.

use super::{
    format,
    frame::{Frame, Page},
    html::{self, Html},
    lists::TransactionRow,
    visit::Visit,
};
use crate::{backend::Backend, error::RpcError, eth::block::pending_transactions};
use alloy_consensus::Transaction as _;
use askama::Template;
use std::{cmp::Reverse, sync::Arc};

/// Transactions of a pool that is listed: listing copies all of them.
const LISTED_MAX: usize = 20_000;
/// Senders shown.
const SENDERS_SHOWN: usize = 25;
/// Transactions shown.
const TRANSACTIONS_SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "pool.html")]
struct PoolPage {
    frame: Frame,
    pending: String,
    queued: String,
    bytes: String,
    ordered: String,
    base_fee: String,
    senders: Vec<Sender>,
    sender_count: usize,
    rows: Vec<TransactionRow>,
    is_listed: bool,
    listed_max: usize,
}

/// What waits of one sender.
struct Sender {
    address: Html,
    pending: usize,
    queued: usize,
    next_nonce: Option<u64>,
    max_fee: String,
}

pub(super) fn page(backend: &Arc<Backend>, _: &Visit) -> Result<Page, RpcError> {
    let counts = backend.mempool.counts();
    let is_listed = counts.pending.saturating_add(counts.queued) <= LISTED_MAX;
    let mut content = match is_listed {
        true => backend.mempool.content(),
        false => Vec::new(),
    };
    content.sort_by_key(|sender| Reverse(sender.pending.len() + sender.queued.len()));
    let first = content.iter().filter_map(|sender| sender.pending.first());
    let rows = first
        .take(TRANSACTIONS_SHOWN)
        .map(|tx| TransactionRow::waiting(backend, tx));
    let rows: Vec<_> = rows.collect();
    let senders = content.iter().take(SENDERS_SHOWN).map(|sender| {
        let next = sender.pending.first().or(sender.queued.first());
        Sender {
            address: html::address(&sender.sender),
            pending: sender.pending.len(),
            queued: sender.queued.len(),
            next_nonce: next.map(|next| next.nonce()),
            max_fee: next.map_or_else(String::new, |next| format::price(next.max_fee_per_gas())),
        }
    });
    Page::new(&PoolPage {
        frame: Frame::new(backend, "pool", "Pool"),
        pending: format::count(counts.pending),
        queued: format::count(counts.queued),
        bytes: format::count(counts.bytes),
        ordered: format::count(pending_transactions(backend).len()),
        base_fee: format::price(backend.chain.next_base_fee()?),
        senders: senders.collect(),
        sender_count: content.len(),
        rows,
        is_listed,
        listed_max: LISTED_MAX,
    })
}
