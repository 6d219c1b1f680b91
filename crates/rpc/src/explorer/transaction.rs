//! `/tx/HASH`: what a transaction is, how far it has come, what it called, told and changed.
//!
//! ```text
//! executed: receipt, logs, changes, calls │ ordered: its block's stages │ waiting: pending or queued
//! ```
//! Limits: [`LOGS_SHOWN`] logs, [`RAW_BYTES_SHOWN`] bytes of what is shown raw; the rest is counted.

use super::{
    changes::{self, Changes},
    decode::{self, Decoded},
    format,
    frame::{self, Frame, Page},
    history::{self, Whereabouts},
    html::{self, Html},
    lists::method,
    stages::{self, Step, Way},
    token::{self, Transfer},
    trace::{self, Calls},
    visit::Visit,
};
use crate::{backend::Backend, error::RpcError, revert};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Log, U256, hex};
use askama::Template;
use executor::Receipt;
use pipeline::ExecutedRecord;
use primitives::RecoveredTransaction;
use std::sync::Arc;

/// Logs shown of one transaction.
const LOGS_SHOWN: usize = 100;
/// Transfers of tokens shown of one transaction.
const TRANSFERS_SHOWN: usize = 50;
/// Bytes shown of an input, an output or a whole transaction.
const RAW_BYTES_SHOWN: usize = 4_096;

#[derive(Template)]
#[template(path = "tx.html")]
struct TransactionPage {
    frame: Frame,
    hash: Html,
    status: Status,
    /// Its block, and how many have been executed since.
    block: Option<(Html, usize)>,
    steps: Vec<Step>,
    time: Option<String>,
    from: Html,
    to: Option<Html>,
    to_name: Option<String>,
    created: Option<Html>,
    value: String,
    fee: Option<Fee>,
    nonce: u64,
    kind: &'static str,
    gas_limit: String,
    max_fee: String,
    priority_cap: Option<String>,
    method: String,
    call: Option<Decoded>,
    input: Raw,
    authorizations: Vec<Delegation>,
    outcome: Option<Outcome>,
    raw: Raw,
}

/// How far it has come, in a word.
struct Status {
    class: &'static str,
    word: &'static str,
    /// Why it failed.
    reason: Option<String>,
}

/// What was paid.
struct Fee {
    coins: String,
    price: String,
    used: String,
    used_share: String,
    used_bar: String,
}

/// What came of it.
struct Outcome {
    transfers: Vec<TransferRow>,
    logs: Vec<LogRow>,
    log_count: usize,
    changes: Changes,
    calls: Calls,
}

/// A token that changed hands.
pub(super) struct TransferRow {
    pub(super) from: Html,
    pub(super) to: Html,
    pub(super) amount: String,
    pub(super) symbol: String,
    pub(super) token: Html,
}

impl TransferRow {
    pub(super) fn new(backend: &Backend, transfer: &Transfer) -> Self {
        let (amount, symbol) = transfer.amount(backend);
        Self {
            from: html::address(&transfer.from),
            to: html::address(&transfer.to),
            amount,
            symbol,
            token: html::token(&transfer.token),
        }
    }
}

struct LogRow {
    index: usize,
    address: Html,
    decoded: Option<Decoded>,
    topics: Vec<Html>,
    raw: Raw,
}

/// Bytes, as many as are shown.
pub(super) struct Raw {
    pub(super) digits: String,
    pub(super) count: usize,
    pub(super) is_cut: bool,
}

impl Raw {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let shown = bytes.get(..RAW_BYTES_SHOWN);
        Self {
            digits: hex::encode_prefixed(shown.unwrap_or(bytes)),
            count: bytes.len(),
            is_cut: shown.is_some_and(|shown| shown.len() < bytes.len()),
        }
    }
}

pub(super) fn page(backend: &Arc<Backend>, visit: &Visit) -> Result<Page, RpcError> {
    let Ok(hash) = visit.argument.parse::<B256>() else {
        return frame::absent(backend, "transaction", &visit.argument);
    };
    match history::find(backend, &hash)? {
        Some(Whereabouts::Executed(record, index)) => executed(backend, &record, index),
        Some(Whereabouts::Ordered(transaction, height)) => {
            let mut page = TransactionPage::new(backend, &transaction);
            page.block = Some((html::block(height), 0));
            page.steps = stages::steps(Way::of(backend), &stages::times(backend, height)?);
            page.status = Status::new("s2", "finalized, not executed yet");
            Page::new(&page)
        }
        Some(Whereabouts::Pooled(transaction, pending)) => {
            let mut page = TransactionPage::new(backend, &transaction);
            page.status = match pending {
                true => Status::new("s0", "waiting in the pool"),
                false => Status::new("s0", "queued: an earlier nonce is missing"),
            };
            Page::new(&page)
        }
        None => frame::absent(backend, "transaction", &visit.argument),
    }
}

fn executed(backend: &Backend, record: &ExecutedRecord, index: usize) -> Result<Page, RpcError> {
    let Some(transaction) = record.transactions.get(index) else {
        return frame::absent(backend, "transaction", "");
    };
    let mut page = TransactionPage::new(backend, transaction);
    let times = stages::times(backend, record.height())?;
    page.block = Some((html::block(record.height()), index));
    page.steps = stages::steps(Way::of(backend), &times);
    page.time = Some(format::utc(record.header.timestamp));
    if let Some(receipt) = record.receipts.get(index) {
        let is_verified = backend.chain.heads().verified_height >= record.height();
        page.status = Status::of(backend, transaction, receipt, is_verified);
        page.created = receipt.contract_address.as_ref().map(html::address);
        page.fee = Some(Fee::new(receipt, transaction.gas_limit()));
        page.outcome = Some(outcome(backend, record, index)?);
    }
    Page::new(&page)
}

impl TransactionPage {
    /// A page about a transaction that has not been executed.
    fn new(backend: &Backend, transaction: &RecoveredTransaction) -> Self {
        let envelope = transaction.envelope();
        let hash = transaction.hash();
        let to = envelope.to();
        let abi = to.and_then(|to| backend.explorer.abis.of(&to));
        let input = envelope.input();
        Self {
            frame: Frame::new(backend, "txs", format!("Transaction {hash}")),
            hash: html::whole(hash.as_slice()),
            status: Status::new("s0", "waiting"),
            block: None,
            steps: Vec::new(),
            time: None,
            from: html::address(&transaction.sender()),
            to: to.as_ref().map(html::address),
            to_name: to
                .and_then(|to| token::token(backend, &to))
                .map(|token| token.symbol.clone()),
            created: None,
            value: with_unit(envelope.value()),
            fee: None,
            nonce: envelope.nonce(),
            kind: kind(transaction),
            gas_limit: format::count(envelope.gas_limit()),
            max_fee: format::price(envelope.max_fee_per_gas()),
            priority_cap: envelope.max_priority_fee_per_gas().map(format::price),
            method: method(backend, transaction),
            call: to.and_then(|_| decode::call(abi.as_deref(), input)),
            input: Raw::new(input),
            authorizations: authorizations(transaction),
            outcome: None,
            raw: Raw::new(transaction.raw()),
        }
    }
}

/// An amount that says its unit.
fn with_unit(wei: U256) -> String {
    let value = format::value(wei);
    match value.ends_with("wei") {
        true => value,
        false => format!("{value} coins"),
    }
}

/// To whom, by whom if the signature is good, and at which nonce.
type Delegation = (Html, Option<Html>, u64);

/// Delegations that a transaction asks for.
fn authorizations(transaction: &RecoveredTransaction) -> Vec<Delegation> {
    let list = transaction.envelope().authorization_list();
    let signed = list.unwrap_or_default().iter();
    let pairs = signed.zip(transaction.authorities());
    pairs
        .take(LOGS_SHOWN)
        .map(|(signed, authority)| {
            let by = authority.as_ref().map(html::address);
            (html::address(signed.address()), by, signed.nonce())
        })
        .collect()
}

const fn kind_name(kind: u8) -> &'static str {
    match kind {
        0 => "0, legacy",
        1 => "1, with access list",
        2 => "2, EIP-1559",
        4 => "4, EIP-7702",
        _ => "other",
    }
}

fn kind(transaction: &RecoveredTransaction) -> &'static str {
    kind_name(transaction.kind())
}

impl Status {
    const fn new(class: &'static str, word: &'static str) -> Self {
        Self {
            class,
            word,
            reason: None,
        }
    }

    fn of(
        backend: &Backend,
        transaction: &RecoveredTransaction,
        receipt: &Receipt,
        is_verified: bool,
    ) -> Self {
        match (receipt.is_success(), is_verified) {
            (true, true) if backend.shard.is_some() => Self::new("s4", "succeeded, final"),
            (true, true) => Self::new("s4", "succeeded, verified"),
            (true, false) => Self::new("s3", "succeeded, executed here"),
            (false, _) => Self {
                class: "bad",
                word: "failed",
                reason: reason(backend, transaction.to(), &receipt.output),
            },
        }
    }
}

/// Why a transaction reverted, as far as its output says.
pub(super) fn reason(backend: &Backend, to: Option<Address>, output: &[u8]) -> Option<String> {
    if output.is_empty() {
        return None;
    }
    if let Some(reason) = revert::reason(output) {
        return Some(reason);
    }
    let abi = to.and_then(|to| backend.explorer.abis.of(&to));
    if let Some(error) = decode::error(abi.as_deref(), output) {
        let values: Vec<_> = error.fields.into_iter().map(|field| field.text).collect();
        return Some(format!("{}({})", error.name, values.join(", ")));
    }
    let raw = Raw::new(output);
    Some(format!(
        "{}{}",
        raw.digits,
        if raw.is_cut { "…" } else { "" }
    ))
}

impl Fee {
    fn new(receipt: &Receipt, gas_limit: u64) -> Self {
        let price = receipt.effective_gas_price;
        let wei = U256::from(price).saturating_mul(U256::from(receipt.gas_used));
        let (used, limit) = (u128::from(receipt.gas_used), u128::from(gas_limit));
        Self {
            coins: with_unit(wei),
            price: format::price(price),
            used: format::count(receipt.gas_used),
            used_share: format::percent(used, limit),
            used_bar: format::length(used, limit),
        }
    }
}

fn outcome(backend: &Backend, record: &ExecutedRecord, index: usize) -> Result<Outcome, RpcError> {
    let receipt = record.receipts.get(index);
    let logs = receipt.map_or(&[][..], |receipt| receipt.envelope.logs());
    let before = record.receipts.iter().take(index);
    let first_log: usize = before.map(|receipt| receipt.envelope.logs().len()).sum();
    let transfers = logs.iter().filter_map(Transfer::of).take(TRANSFERS_SHOWN);
    let hash = record.transactions.get(index).map(|tx| tx.hash());
    let shown = logs.iter().enumerate().take(LOGS_SHOWN);
    Ok(Outcome {
        transfers: transfers
            .map(|transfer| TransferRow::new(backend, &transfer))
            .collect(),
        logs: shown
            .map(|(place, log)| log_row(backend, first_log + place, log))
            .collect(),
        log_count: logs.len(),
        changes: changes::of(backend, record, index),
        calls: match hash {
            Some(hash) => trace::of(backend, &hash)?,
            None => Calls::default(),
        },
    })
}

fn log_row(backend: &Backend, index: usize, log: &Log) -> LogRow {
    let abi = backend.explorer.abis.of(&log.address);
    LogRow {
        index,
        address: html::address(&log.address),
        decoded: decode::log(abi.as_deref(), log),
        topics: log
            .topics()
            .iter()
            .map(|topic| html::whole(topic.as_slice()))
            .collect(),
        raw: Raw::new(&log.data.data),
    }
}
