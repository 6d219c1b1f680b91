//! `/blocks` and `/txs`, and the rows of their tables, which other pages show too.
//!
//! Limits: [`BLOCKS_SHOWN`] blocks and [`TRANSACTIONS_SHOWN`] transactions a page; the transactions are looked for
//! in at most [`BLOCKS_SEARCHED`] blocks a page, and the page goes on from there.

use super::{
    decode, format,
    frame::{Frame, Page},
    html::{self, Html},
    stages,
    visit::Visit,
};
use crate::{backend::Backend, error::RpcError};
use alloy_consensus::Transaction as _;
use askama::Template;
use pipeline::ExecutedRecord;
use primitives::RecoveredTransaction;
use std::sync::Arc;

/// Blocks on one page.
const BLOCKS_SHOWN: u64 = 50;
/// Transactions on one page.
const TRANSACTIONS_SHOWN: usize = 50;
/// Blocks searched for transactions, for one page.
const BLOCKS_SEARCHED: u64 = 512;

/// A block in a table.
#[derive(Debug)]
pub(super) struct BlockRow {
    pub(super) link: Html,
    pub(super) hash: Html,
    pub(super) age: String,
    pub(super) transactions: usize,
    pub(super) gas_used: String,
    pub(super) fullness: String,
    /// From the second stage on.
    pub(super) steps: Vec<stages::Step>,
    pub(super) proposer: Html,
}

impl BlockRow {
    pub(super) fn new(
        backend: &Backend,
        record: &ExecutedRecord,
        now_ms: u64,
    ) -> Result<Self, RpcError> {
        let header = &record.header;
        let times = stages::times(backend, header.number)?;
        let mut steps = stages::steps(stages::Way::of(backend), &times);
        steps.drain(..1);
        let (used, limit) = (u128::from(header.gas_used), u128::from(header.gas_limit));
        Ok(Self {
            link: html::block(header.number),
            hash: html::block_hash(&record.hash),
            age: format::age(now_ms, record.block.header().timestamp_ms),
            transactions: record.transactions.len(),
            gas_used: format::count(header.gas_used),
            fullness: format::percent(used, limit),
            steps,
            proposer: html::address(&header.beneficiary),
        })
    }
}

/// A transaction in a table.
#[derive(Debug)]
pub(super) struct TransactionRow {
    pub(super) hash: Html,
    /// Where it is; nothing while it waits.
    pub(super) block: Option<Html>,
    pub(super) age: String,
    pub(super) method: String,
    pub(super) from: Html,
    pub(super) to: Option<Html>,
    pub(super) value: String,
    pub(super) gas: String,
    pub(super) failed: bool,
}

impl TransactionRow {
    /// A transaction of an executed block.
    pub(super) fn executed(
        backend: &Backend,
        record: &ExecutedRecord,
        index: usize,
        now_ms: u64,
    ) -> Option<Self> {
        let transaction = record.transactions.get(index)?;
        let receipt = record.receipts.get(index);
        let mut row = Self::waiting(backend, transaction);
        row.block = Some(html::block(record.height()));
        row.age = format::age(now_ms, record.block.header().timestamp_ms);
        row.failed = receipt.is_some_and(|receipt| !receipt.is_success());
        row.gas = receipt.map_or_else(String::new, |receipt| format::count(receipt.gas_used));
        let created = receipt.and_then(|receipt| receipt.contract_address);
        row.to = row.to.or(created.as_ref().map(html::address));
        Some(row)
    }

    /// A transaction that is in no executed block.
    pub(super) fn waiting(backend: &Backend, transaction: &RecoveredTransaction) -> Self {
        let envelope = transaction.envelope();
        let to = envelope.to();
        Self {
            hash: html::transaction(&transaction.hash()),
            block: None,
            age: String::new(),
            method: method(backend, transaction),
            from: html::address(&transaction.sender()),
            to: to.as_ref().map(html::address),
            value: format::value(envelope.value()),
            gas: format::count(envelope.gas_limit()),
            failed: false,
        }
    }
}

/// What a transaction does, in a word.
pub(super) fn method(backend: &Backend, transaction: &RecoveredTransaction) -> String {
    match (transaction.to(), transaction.input().as_ref()) {
        (None, _) => "create".to_owned(),
        (Some(_), []) => "transfer".to_owned(),
        (Some(to), input) => decode::method_name(backend.explorer.abis.of(&to).as_deref(), input),
    }
}

/// The lowest block that can be read, in a chain without a gap above it: genesis, unless the state came from peers.
pub(super) fn oldest(backend: &Backend) -> u64 {
    match backend.chain.first_height() {
        0 | 1 => 0,
        first => first,
    }
}

#[derive(Template)]
#[template(path = "blocks.html")]
struct BlocksPage {
    frame: Frame,
    way: &'static stages::Way,
    rows: Vec<BlockRow>,
    newer: Option<u64>,
    older: Option<u64>,
    now_at: u64,
}

pub(super) fn blocks(backend: &Arc<Backend>, visit: &Visit) -> Result<Page, RpcError> {
    let latest = backend.chain.heads().executed_height;
    let from = visit.number("from").unwrap_or(latest).min(latest);
    let first = oldest(backend);
    let to = from.saturating_sub(BLOCKS_SHOWN - 1).max(first);
    let now_ms = backend.now_ms();
    let mut rows = Vec::new();
    for height in (to..=from).rev() {
        let Some(record) = backend.chain.record(height)? else {
            break;
        };
        rows.push(BlockRow::new(backend, &record, now_ms)?);
    }
    Page::new(&BlocksPage {
        frame: Frame::new(backend, "blocks", "Blocks"),
        way: stages::Way::of(backend),
        rows,
        newer: (from < latest).then(|| from.saturating_add(BLOCKS_SHOWN).min(latest)),
        older: (to > first).then(|| to - 1),
        now_at: from,
    })
}

#[derive(Template)]
#[template(path = "txs.html")]
struct TransactionsPage {
    frame: Frame,
    rows: Vec<TransactionRow>,
    from: u64,
    is_newest: bool,
    next: Option<Place>,
    searched: u64,
}

/// The transactions of a block before an index, and those of all blocks before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) height: u64,
    pub(super) index: usize,
}

impl Place {
    /// All transactions up to a block.
    pub(super) const fn up_to(height: u64) -> Self {
        Self {
            height,
            index: usize::MAX,
        }
    }

    /// What a visitor asks to go on from, at most `latest`.
    pub(super) fn asked(visit: &Visit, latest: u64) -> Self {
        let index = visit
            .number("index")
            .and_then(|index| usize::try_from(index).ok());
        Self {
            height: visit.number("from").unwrap_or(latest).min(latest),
            index: index.unwrap_or(usize::MAX),
        }
    }

    /// What comes before a transaction; nothing if that is below a height.
    pub(super) fn before(height: u64, index: usize, first: u64) -> Option<Self> {
        match index {
            0 if height <= first => None,
            0 => Some(Self::up_to(height - 1)),
            index => Some(Self { height, index }),
        }
    }
}

pub(super) fn transactions(backend: &Arc<Backend>, visit: &Visit) -> Result<Page, RpcError> {
    let latest = backend.chain.heads().executed_height;
    let place = Place::asked(visit, latest);
    let found = newest_transactions(backend, place, TRANSACTIONS_SHOWN)?;
    Page::new(&TransactionsPage {
        frame: Frame::new(backend, "txs", "Transactions"),
        rows: found.rows,
        from: place.height,
        is_newest: place == Place::up_to(latest),
        next: found.next,
        searched: BLOCKS_SEARCHED,
    })
}

/// Some transactions, newest first.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) rows: Vec<TransactionRow>,
    /// Where to go on; nothing if there are no older blocks.
    pub(super) next: Option<Place>,
}

/// At most so many transactions before a place.
pub(super) fn newest_transactions(
    backend: &Backend,
    place: Place,
    count: usize,
) -> Result<Newest, RpcError> {
    let now_ms = backend.now_ms();
    let first = oldest(backend);
    let to = place.height.saturating_sub(BLOCKS_SEARCHED).max(first);
    let mut rows = Vec::new();
    for height in (to..=place.height).rev() {
        let Some(record) = backend.chain.record(height)? else {
            break;
        };
        let end = match height == place.height {
            true => place.index.min(record.transactions.len()),
            false => record.transactions.len(),
        };
        let missing = count.saturating_sub(rows.len());
        let start = end.saturating_sub(missing);
        let of_block = (start..end).rev();
        rows.extend(
            of_block.filter_map(|index| TransactionRow::executed(backend, &record, index, now_ms)),
        );
        if rows.len() >= count {
            let next = Place::before(height, start, first);
            return Ok(Newest { rows, next });
        }
    }
    Ok(Newest {
        rows,
        next: (to > first).then(|| Place::up_to(to - 1)),
    })
}
