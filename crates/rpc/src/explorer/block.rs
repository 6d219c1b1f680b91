//! `/block/N` or `/block/HASH`: a block's header, its way through the stages, its transactions, its parallelism.
//!
//! A block that is ordered and not executed yet has a page too, with what is known of it. Limit:
//! [`TRANSACTIONS_SHOWN`] transactions a page.

use super::{
    format,
    frame::{self, Frame, Page},
    html::{self, Html},
    lists::{TransactionRow, oldest},
    parallelism::Parallelism,
    stages::{self, Step, Way},
    visit::Visit,
};
use crate::{
    backend::Backend,
    error::RpcError,
    eth::tag::{self, Selected},
    headway::profile,
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::B256;
use askama::Template;
use pipeline::ExecutedRecord;
use primitives::Header;
use std::sync::Arc;

/// Transactions on one page.
const TRANSACTIONS_SHOWN: usize = 50;

#[derive(Template)]
#[template(path = "block.html")]
struct BlockPage {
    frame: Frame,
    height: u64,
    newer: Option<u64>,
    older: Option<u64>,
    stage: (usize, &'static str),
    steps: Vec<Step>,
    age: String,
    time: String,
    ordering: Ordering,
    result: Option<Outcome>,
    rows: Vec<TransactionRow>,
    transaction_count: usize,
    first: usize,
    pages: Turn,
    parallelism: Option<Parallelism>,
}

/// What was agreed on.
struct Ordering {
    proposer: Html,
    leader: Html,
    view: u64,
    base_fee: String,
    gas_budget: String,
    gas_limits_sum: String,
    budget_bar: String,
    digest: Html,
    carries: Option<Html>,
    directives: usize,
}

/// What came of it here.
struct Outcome {
    hash: Html,
    parent: Html,
    state_root: Html,
    transactions_root: Html,
    receipts_root: Html,
    gas_used: String,
    gas_share: String,
    gas_bar: String,
}

/// Where the pages before and after begin.
struct Turn {
    before: Option<usize>,
    after: Option<usize>,
    last: usize,
}

pub(super) fn page(backend: &Arc<Backend>, visit: &Visit) -> Result<Page, RpcError> {
    let asked = visit.argument.as_str();
    let Some(id) = block_id(asked) else {
        return frame::absent(backend, "block", asked);
    };
    if let BlockId::Number(BlockNumberOrTag::Number(height)) = id
        && let Some(page) = ordered(backend, height)?
    {
        return Ok(page);
    }
    let height = match tag::by_id(backend, id)? {
        Some(Selected::Executed(height)) => height,
        Some(Selected::Pending) => {
            let next = backend.chain.heads().executed_height.saturating_add(1);
            return match ordered(backend, next)? {
                Some(page) => Ok(page),
                None => Ok(Page::elsewhere("/pool".to_owned())),
            };
        }
        None => return frame::absent(backend, "block", asked),
    };
    let Some(record) = backend.chain.record(height)? else {
        return frame::absent(backend, "block", asked);
    };
    executed(backend, &record, visit)
}

/// The block that a path or a search means.
pub(super) fn block_id(text: &str) -> Option<BlockId> {
    if let Ok(hash) = text.parse::<B256>()
        && text.len() >= 64
    {
        return Some(hash.into());
    }
    let digits = text.replace(',', "");
    if let Ok(height) = digits.parse::<u64>() {
        return Some(height.into());
    }
    // Hexadecimal numbers and tags, as the methods take them.
    text.parse::<BlockNumberOrTag>().ok().map(BlockId::Number)
}

fn executed(backend: &Backend, record: &ExecutedRecord, visit: &Visit) -> Result<Page, RpcError> {
    let height = record.height();
    let count = record.transactions.len();
    let asked = visit
        .number("from")
        .and_then(|from| usize::try_from(from).ok());
    let first = asked.unwrap_or(0).min(count.saturating_sub(1));
    let now_ms = backend.now_ms();
    let indices = first..first.saturating_add(TRANSACTIONS_SHOWN).min(count);
    let rows = indices.filter_map(|index| TransactionRow::executed(backend, record, index, now_ms));
    let execution = backend.chain.execution(height);
    let mut page = BlockPage::new(backend, record.block.header())?;
    page.rows = rows.collect();
    page.transaction_count = count;
    page.first = first;
    page.pages = Turn::new(first, count);
    page.time = format::utc(record.header.timestamp);
    page.ordering.directives = record.block.directives().len();
    page.ordering.digest = html::short(record.block.digest().as_ref());
    page.result = Some(Outcome::new(record));
    if count > 0 {
        // A block without an access list, or with one too large, has no profile and still a page.
        let profile = profile::of_block(backend, height, None).ok().flatten();
        let execution = execution.as_deref();
        page.parallelism = Some(Parallelism::new(
            backend,
            execution,
            profile.as_ref(),
            count,
        ));
    }
    Page::new(&page)
}

/// The page of a block that is finalized here and not executed yet, if there is one at this height.
fn ordered(backend: &Backend, height: u64) -> Result<Option<Page>, RpcError> {
    let blocks = backend.chain.ordered();
    let Some(block) = blocks.iter().find(|block| block.header().height == height) else {
        return Ok(None);
    };
    let transactions = block.transactions();
    let mut page = BlockPage::new(backend, block.header())?;
    let rows = transactions.iter().take(TRANSACTIONS_SHOWN);
    page.rows = rows
        .map(|tx| TransactionRow::waiting(backend, tx))
        .collect();
    page.transaction_count = transactions.len();
    Page::new(&page).map(Some)
}

impl BlockPage {
    /// What is known of a block as it was ordered.
    fn new(backend: &Backend, header: &Header) -> Result<Self, RpcError> {
        let height = header.height;
        let times = stages::times(backend, height)?;
        let (way, heads) = (Way::of(backend), backend.chain.heads());
        // The times of old blocks are forgotten; how far they have come is not.
        let stage = match height {
            _ if height <= heads.verified_height => way.end(),
            _ if height <= heads.executed_height => {
                stages::reached(&times).max(way.executed.unwrap_or_default())
            }
            _ => stages::reached(&times).max(2),
        };
        let first = oldest(backend);
        Ok(Self {
            frame: Frame::new(backend, "blocks", format!("Block {height}")),
            height,
            newer: (height < heads.finalized_height).then(|| height + 1),
            older: (height > first).then(|| height.saturating_sub(1)),
            stage: (stage, way.name(stage)),
            steps: match stages::first(&times) {
                Some(_) => stages::steps(way, &times),
                None => Vec::new(),
            },
            age: format::age(backend.now_ms(), header.timestamp_ms),
            time: format::utc(header.timestamp_ms / 1_000),
            ordering: Ordering::new(header),
            result: None,
            rows: Vec::new(),
            transaction_count: 0,
            first: 0,
            pages: Turn::new(0, 0),
            parallelism: None,
        })
    }
}

impl Ordering {
    fn new(header: &Header) -> Self {
        let (sum, budget) = (
            u128::from(header.gas_limits_sum),
            u128::from(header.gas_budget),
        );
        let carried = &header.executed;
        Self {
            proposer: html::address(&header.proposer),
            leader: html::key(&header.context.leader),
            view: header.context.round.view().get(),
            base_fee: format::price(header.base_fee),
            gas_budget: format::count(header.gas_budget),
            gas_limits_sum: format::count(header.gas_limits_sum),
            budget_bar: format::length(sum, budget),
            digest: html::short(header.digest().as_ref()),
            carries: (header.height > 0).then(|| html::block(carried.height)),
            directives: 0,
        }
    }
}

impl Outcome {
    fn new(record: &ExecutedRecord) -> Self {
        let header = &record.header;
        let (used, limit) = (u128::from(header.gas_used), u128::from(header.gas_limit));
        Self {
            hash: html::whole(record.hash.as_slice()),
            parent: html::block_hash(&header.parent_hash),
            state_root: html::short(header.state_root.as_slice()),
            transactions_root: html::short(header.transactions_root.as_slice()),
            receipts_root: html::short(header.receipts_root.as_slice()),
            gas_used: format::count(header.gas_used),
            gas_share: format::percent(used, limit),
            gas_bar: format::length(used, limit),
        }
    }
}

impl Turn {
    fn new(first: usize, count: usize) -> Self {
        let after = first.saturating_add(TRANSACTIONS_SHOWN);
        Self {
            before: (first > 0).then(|| first.saturating_sub(TRANSACTIONS_SHOWN)),
            after: (after < count).then_some(after),
            last: after.min(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_block() {
        let number = |height: u64| Some(BlockId::from(height));
        assert_eq!(block_id("12"), number(12));
        assert_eq!(block_id("1,234"), number(1_234));
        assert_eq!(block_id("0x10"), number(16));
        assert_eq!(block_id("latest"), Some(BlockId::latest()));
        assert_eq!(
            block_id(&B256::repeat_byte(7).to_string()),
            Some(B256::repeat_byte(7).into())
        );
        for bad in ["", "-1", "x", "0x", "0xzz", "99999999999999999999"] {
            assert_eq!(block_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn pages_turn_without_overlap() {
        let turn = Turn::new(50, 120);
        assert_eq!(
            (turn.before, turn.after, turn.last),
            (Some(0), Some(100), 100)
        );
        let turn = Turn::new(0, 50);
        assert_eq!((turn.before, turn.after, turn.last), (None, None, 50));
    }
}
