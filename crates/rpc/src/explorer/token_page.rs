//! `/token/0x…`: what a token says of itself, its newest transfers, and who holds it.
//!
//! There are at most [`TRANSFERS_MAX`] transfers, and holders are the parties of those, at most [`HOLDERS_MAX`], each
//! asked of the contract. The page says so.

use super::{
    format,
    frame::{self, Frame, Page},
    history::{self, Wanted},
    html::{self, Html},
    lists::Place,
    token::{self, Token, Transfer},
    transaction::TransferRow,
    visit::Visit,
};
use crate::{backend::Backend, error::RpcError};
use alloy_primitives::{Address, U256};
use askama::Template;
use pipeline::ExecutedRecord;
use state::PostingKey;
use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

/// Transfers found.
const TRANSFERS_MAX: usize = 50;
/// Holders asked for.
const HOLDERS_MAX: usize = 25;

#[derive(Template)]
#[template(path = "token.html")]
struct TokenPage {
    frame: Frame,
    address: Html,
    name: String,
    symbol: String,
    kind: &'static str,
    decimals: u8,
    supply: Option<String>,
    rows: Vec<Row>,
    holders: Vec<Holder>,
}

/// A transfer and where it was made.
struct Row {
    transaction: Html,
    block: Html,
    transfer: TransferRow,
}

/// Somebody who has some.
struct Holder {
    address: Html,
    amount: String,
    share: String,
    bar: String,
}

pub(super) fn page(backend: &Arc<Backend>, visit: &Visit) -> Result<Page, RpcError> {
    let Ok(address) = visit.argument.parse::<Address>() else {
        return frame::absent(backend, "token", &visit.argument);
    };
    backend.require_ready()?;
    let Some(token) = token::token(backend, &address) else {
        return frame::absent(backend, "token", &visit.argument);
    };
    let supply = token::supply(backend, &address)?;
    let (rows, parties) = transfers(backend, &address)?;
    Page::new(&TokenPage {
        frame: Frame::new(backend, "", format!("{} token", token.symbol)),
        address: html::address(&address),
        name: token.name.clone(),
        symbol: token.symbol.clone(),
        kind: match token.is_collection {
            true => "collection (ERC-721)",
            false => "coin (ERC-20)",
        },
        decimals: token.decimals,
        supply: supply.map(|supply| amount(&token, supply)),
        holders: holders(
            backend,
            (&address, &token),
            &parties,
            supply.unwrap_or_default(),
        )?,
        rows,
    })
}

fn amount(token: &Token, amount: U256) -> String {
    match token.is_collection {
        true => amount.to_string(),
        false => token.amount(amount),
    }
}

/// Rows, and who took part in them.
type Transfers = (Vec<Row>, BTreeSet<Address>);

/// The newest transfers, and who took part.
fn transfers(backend: &Backend, address: &Address) -> Result<Transfers, RpcError> {
    let own = |record: &ExecutedRecord, index: usize| {
        let receipt = record.receipts.get(index);
        let logs = receipt.map_or(&[][..], |receipt| receipt.envelope.logs());
        let own = logs.iter().filter(|log| log.address == *address);
        own.filter_map(Transfer::of).collect::<Vec<_>>()
    };
    let wanted = Wanted {
        key: PostingKey::Emitter(*address),
        meets: &|record, index| !own(record, index).is_empty(),
    };
    let newest = Place::up_to(backend.latest_height()?);
    let found = history::newest(backend, &wanted, newest, TRANSFERS_MAX)?;
    let (mut rows, mut parties) = (Vec::new(), BTreeSet::new());
    for (record, index) in found.transactions {
        let hash = record.transactions.get(index).map(|tx| tx.hash());
        for transfer in own(&record, index).into_iter().rev() {
            if rows.len() >= TRANSFERS_MAX {
                return Ok((rows, parties));
            }
            parties.extend([transfer.from, transfer.to]);
            rows.push(Row {
                transaction: html::transaction(&hash.unwrap_or_default()),
                block: html::block(record.height()),
                transfer: TransferRow::new(backend, &transfer),
            });
        }
    }
    Ok((rows, parties))
}

fn holders(
    backend: &Backend,
    (address, token): (&Address, &Token),
    parties: &BTreeSet<Address>,
    supply: U256,
) -> Result<Vec<Holder>, RpcError> {
    let mut balances = Vec::new();
    for party in parties
        .iter()
        .filter(|party| !party.is_zero())
        .take(HOLDERS_MAX)
    {
        let balance = token::balance(backend, address, party)?.unwrap_or_default();
        if !balance.is_zero() {
            balances.push((balance, party));
        }
    }
    balances.sort_by_key(|(balance, _)| Reverse(*balance));
    // Both parts are made small enough to be compared.
    let shift = supply.bit_len().saturating_sub(100);
    let small = |value: U256| u128::try_from(value >> shift).unwrap_or(u128::MAX);
    let row = |(balance, party): (U256, &Address)| Holder {
        address: html::address(party),
        amount: amount(token, balance),
        share: format::percent(small(balance), small(supply)),
        bar: format::length(small(balance), small(supply)),
    };
    Ok(balances.into_iter().map(row).collect())
}
