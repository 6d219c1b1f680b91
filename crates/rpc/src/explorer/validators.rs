//! `/validators`: who is in the set, who proposed the newest blocks, and how far results are behind.
//!
//! The set is the genesis'. What each of them did is what is in the newest [`BLOCKS_SEARCHED`] blocks; whoever led
//! none of them is listed last, with nothing.

use super::{
    format,
    frame::{Frame, Page},
    html::{self, Html},
    visit::Visit,
};
use crate::{backend::Backend, error::RpcError, metrics};
use alloy_primitives::Address;
use askama::Template;
use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

/// Blocks whose leaders are counted.
const BLOCKS_SEARCHED: u64 = 256;

#[derive(Template)]
#[template(path = "validators.html")]
struct ValidatorsPage {
    frame: Frame,
    rows: Vec<Proposer>,
    blocks: u64,
    views: u64,
    missed: u64,
    validators: usize,
    peers: usize,
    certified_lag: u64,
    verified_lag: u64,
    newest: Html,
    certificate: Option<u64>,
}

/// Who proposed.
struct Proposer {
    key: Html,
    beneficiary: Option<Html>,
    blocks: u64,
    share: String,
    bar: String,
    newest: Option<Html>,
    transactions: String,
}

/// What is counted of one leader.
#[derive(Default)]
struct Tally {
    beneficiary: Address,
    blocks: u64,
    newest: u64,
    transactions: usize,
}

pub(super) fn page(backend: &Arc<Backend>, _: &Visit) -> Result<Page, RpcError> {
    let heads = backend.chain.heads();
    let latest = heads.executed_height;
    let first = backend.chain.first_height().max(1);
    let to = latest.saturating_sub(BLOCKS_SEARCHED - 1).max(first);
    let validators = backend.chain.validators();
    let silent = validators
        .iter()
        .map(|key| (key.to_string(), Tally::default()));
    let mut tallies: BTreeMap<String, Tally> = silent.collect();
    let (mut blocks, mut views) = (0, (u64::MAX, 0));
    for height in to..=latest {
        let Some(record) = backend.chain.record(height)? else {
            break;
        };
        let header = record.block.header();
        let view = header.context.round.view().get();
        views = (view.min(views.0), view.max(views.1));
        blocks += 1;
        let tally = tallies
            .entry(header.context.leader.to_string())
            .or_default();
        tally.beneficiary = header.proposer;
        tally.blocks += 1;
        tally.newest = height;
        tally.transactions += record.transactions.len();
    }
    let spanned = (views.1 + 1).saturating_sub(views.0);
    let mut rows: Vec<_> = tallies.into_iter().collect();
    rows.sort_by_key(|(_, tally)| Reverse(tally.blocks));
    let certified = backend.chain.certified_floor().height;
    Page::new(&ValidatorsPage {
        frame: Frame::new(backend, "validators", "Validators"),
        rows: rows.into_iter().map(|row| proposer(row, blocks)).collect(),
        blocks,
        views: spanned,
        missed: spanned.saturating_sub(blocks),
        validators: validators.len(),
        peers: metrics::peers(backend),
        certified_lag: latest.saturating_sub(certified),
        verified_lag: latest.saturating_sub(heads.verified_height),
        newest: html::block(latest),
        certificate: backend
            .chain
            .certificate()
            .map(|newest| newest.result.height),
    })
}

fn proposer((key, tally): (String, Tally), blocks: u64) -> Proposer {
    let (own, all) = (u128::from(tally.blocks), u128::from(blocks));
    let has_led = tally.blocks > 0;
    Proposer {
        key: html::key(&key),
        beneficiary: has_led.then(|| html::address(&tally.beneficiary)),
        blocks: tally.blocks,
        share: format::percent(own, all),
        bar: format::length(own, all),
        newest: has_led.then(|| html::block(tally.newest)),
        transactions: format::count(tally.transactions),
    }
}
