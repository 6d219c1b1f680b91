//! `/address/0x…`: an account: what it has, what its code is, what it did, and a contract's functions.
//!
//! Limits: [`TRANSACTIONS_SHOWN`] transactions a page, found as [`history`] says; token balances are asked of at most
//! [`TOKENS_MAX`] tokens, those of the newest [`TRANSFERS_MAX`] transfers to the account and from it.

use super::{
    contract::{self, ContractPart},
    format,
    frame::{self, Frame, Page},
    history::{self, Wanted},
    html::{self, Html},
    lists::{Place, TransactionRow},
    token::{self, TRANSFER},
    visit::Visit,
};
use crate::{backend::Backend, error::RpcError};
use alloy_primitives::{Address, Bytes, Log};
use askama::Template;
use pipeline::ExecutedRecord;
use primitives::affordability::CodeKind;
use state::{PostingKey, StateReader as _};
use std::{collections::BTreeSet, sync::Arc};

/// Transactions on one page.
const TRANSACTIONS_SHOWN: usize = 25;
/// Tokens asked for a balance.
const TOKENS_MAX: usize = 16;
/// Transfers of tokens looked at, in each direction.
const TRANSFERS_MAX: usize = 64;

#[derive(Template)]
#[template(path = "address.html")]
struct AddressPage {
    frame: Frame,
    address: Html,
    plain: String,
    kind: &'static str,
    token: Option<String>,
    balance: String,
    nonce: u64,
    pending_nonce: u64,
    code: Option<Code>,
    delegate: Option<Html>,
    tokens: Vec<Holding>,
    rows: Vec<TransactionRow>,
    next: Option<Place>,
    oldest: u64,
    searched: u64,
    transfers_max: usize,
    contract: Option<ContractPart>,
}

struct Code {
    bytes: String,
    hash: Html,
}

/// How much of a token an account has.
struct Holding {
    token: Html,
    symbol: String,
    amount: String,
}

pub(super) fn page(backend: &Arc<Backend>, visit: &Visit) -> Result<Page, RpcError> {
    let Ok(address) = visit.argument.parse::<Address>() else {
        return frame::absent(backend, "account", &visit.argument);
    };
    let latest = backend.latest_height()?;
    let state = backend.latest_state()?;
    let account = state.account(&address)?.unwrap_or_default();
    let code = match account.has_code() {
        true => state.code(&account.code_hash)?.unwrap_or_default(),
        false => Bytes::new(),
    };
    let kind = CodeKind::of(&code);
    let place = Place::asked(visit, latest);
    let found = history::transactions_of(backend, &address, place, TRANSACTIONS_SHOWN)?;
    let now_ms = backend.now_ms();
    let rows = found.transactions.iter();
    let rows = rows
        .filter_map(|(record, index)| TransactionRow::executed(backend, record, *index, now_ms));
    let is_contract = kind == CodeKind::Contract;
    Page::new(&AddressPage {
        frame: Frame::new(backend, "", format!("Account {address}")),
        address: html::whole_address(&address),
        plain: address.to_checksum(None),
        kind: match kind {
            CodeKind::None => "account",
            CodeKind::Delegated => "delegated account",
            CodeKind::Contract => "contract",
        },
        token: token::token(backend, &address).map(|token| token.symbol.clone()),
        balance: format::coins(account.balance),
        nonce: account.nonce,
        pending_nonce: backend.pending_nonce(&address)?,
        code: (!code.is_empty()).then(|| Code {
            bytes: format::count(code.len()),
            hash: html::short(account.code_hash.as_slice()),
        }),
        delegate: delegate(kind, &code),
        tokens: holdings(backend, &address, latest)?,
        rows: rows.collect(),
        next: found.next,
        oldest: found.oldest,
        searched: history::BLOCKS_MAX,
        transfers_max: TRANSFERS_MAX,
        contract: is_contract.then(|| contract::part(backend, &address, visit.is_local)),
    })
}

/// The account whose code a delegated one runs.
fn delegate(kind: CodeKind, code: &Bytes) -> Option<Html> {
    if kind != CodeKind::Delegated {
        return None;
    }
    let address = code
        .get(3..)
        .and_then(|bytes| Address::try_from(bytes).ok())?;
    Some(html::address(&address))
}

/// What the account has of tokens that it was seen with.
fn holdings(backend: &Backend, owner: &Address, latest: u64) -> Result<Vec<Holding>, RpcError> {
    let mut holdings = Vec::new();
    for address in tokens_of(backend, owner, latest)? {
        let Some(token) = token::token(backend, &address) else {
            continue;
        };
        let Some(balance) = token::balance(backend, &address, owner)? else {
            continue;
        };
        holdings.push(Holding {
            token: html::token(&address),
            symbol: token.symbol.clone(),
            amount: match token.is_collection {
                true => format!("{balance} items"),
                false => token.amount(balance),
            },
        });
    }
    Ok(holdings)
}

/// Tokens whose newest transfers name the account, in the order of their addresses.
fn tokens_of(
    backend: &Backend,
    owner: &Address,
    latest: u64,
) -> Result<BTreeSet<Address>, RpcError> {
    let mut tokens = BTreeSet::new();
    for position in [1, 2] {
        let word = owner.into_word();
        let is_own = |log: &Log| {
            let topics = log.topics();
            topics.first() == Some(&TRANSFER) && topics.get(usize::from(position)) == Some(&word)
        };
        let logs_of = |record: &ExecutedRecord, index: usize| {
            let receipt = record.receipts.get(index);
            let logs = receipt.map_or(&[][..], |receipt| receipt.envelope.logs());
            logs.iter()
                .filter(|log| is_own(log))
                .map(|log| log.address)
                .collect::<Vec<_>>()
        };
        let wanted = Wanted {
            key: PostingKey::Topic(position, word),
            meets: &|record, index| !logs_of(record, index).is_empty(),
        };
        let found = history::newest(backend, &wanted, Place::up_to(latest), TRANSFERS_MAX)?;
        for (record, index) in found.transactions {
            tokens.extend(logs_of(&record, index));
        }
    }
    Ok(tokens.into_iter().take(TOKENS_MAX).collect())
}
