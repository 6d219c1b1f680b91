//! `/`: the pipeline at work, what it achieves, and the newest blocks and transactions.
//!
//! ```text
//! Chain: heads, stages, records, executions ─▶ look ─▶ Overview ─┬▶ the page
//!                                                                └▶ its live parts, see `live`
//! ```
//! Limits: [`STRANDS_MAX`] blocks are drawn; rates count what was executed in the last [`RATE_WINDOW_MS`], or in the
//! last [`RATE_BLOCKS_MAX`] blocks if that is less.

use super::{
    format,
    frame::{Frame, Page, render},
    lists::{BlockRow, Place, TransactionRow, newest_transactions, oldest},
    live::Texts,
    pipeline::{Drawing, STRANDS_MAX, Strand, draw},
    stages,
    visit::Visit,
};
use crate::{backend::Backend, error::RpcError};
use askama::{Template, filters::HtmlSafe};
use pipeline::ExecutedRecord;
use std::{sync::Arc, time::Duration};

/// Rates are over this long.
const RATE_WINDOW_MS: u64 = 10_000;
/// And at most so many blocks.
const RATE_BLOCKS_MAX: u64 = 200;
/// Newest blocks shown.
const BLOCKS_SHOWN: u64 = 12;
/// Newest transactions shown.
const TRANSACTIONS_SHOWN: usize = 12;
/// Heights above `latest` that are looked for: as many as may wait for execution.
const ORDERED_MAX: u64 = 64;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    pipeline: PipelinePart,
    figures: FiguresPart,
    newest: NewestPart,
}

/// The drawing.
#[derive(Template)]
#[template(path = "part_pipeline.html")]
pub(super) struct PipelinePart {
    drawing: Drawing,
    first_stage: &'static str,
    last_stage: &'static str,
}

/// Numbers about the chain now.
#[derive(Template)]
#[template(path = "part_figures.html")]
pub(super) struct FiguresPart {
    transactions_per_second: String,
    gas_per_second: String,
    blocks_per_second: String,
    lag_blocks: String,
    lag_time: String,
    verified_lag: u64,
    last_stage: &'static str,
    budget_used: String,
    budget_bar: String,
    execution_time: String,
    pressure: String,
    pressure_bar: String,
    gas_budget: String,
    gas_limit: String,
    pending: String,
    queued: String,
    base_fee: String,
    peers: usize,
}

/// The newest blocks and transactions.
#[derive(Template)]
#[template(path = "part_newest.html")]
pub(super) struct NewestPart {
    way: &'static stages::Way,
    blocks: Vec<BlockRow>,
    transactions: Vec<TransactionRow>,
}

// Each was escaped when it was rendered itself.
impl HtmlSafe for PipelinePart {}
impl HtmlSafe for FiguresPart {}
impl HtmlSafe for NewestPart {}

pub(super) fn page(backend: &Arc<Backend>, _: &Visit) -> Result<Page, RpcError> {
    Page::new(&OverviewPage {
        frame: Frame::new(backend, "overview", "Overview"),
        pipeline: pipeline(backend)?,
        figures: figures(backend)?,
        newest: newest(backend)?,
    })
}

/// The drawing, by the name of its event.
pub(super) fn pipeline_text(backend: &Backend) -> Result<Texts, RpcError> {
    let text = render(&pipeline(backend)?)?;
    Ok(vec![("pipeline".to_owned(), text)])
}

/// The numbers and the newest blocks, by the names of their events.
pub(super) fn slow_texts(backend: &Backend) -> Result<Texts, RpcError> {
    Ok(vec![
        ("figures".to_owned(), render(&figures(backend)?)?),
        ("newest".to_owned(), render(&newest(backend)?)?),
    ])
}

fn pipeline(backend: &Backend) -> Result<PipelinePart, RpcError> {
    let way = stages::Way::of(backend);
    Ok(PipelinePart {
        drawing: draw(way, backend.now_ms(), &strands(backend)?),
        first_stage: way.name(0),
        last_stage: way.name(way.end()),
    })
}

/// The newest blocks that any stage is known of, oldest first.
fn strands(backend: &Backend) -> Result<Vec<Strand>, RpcError> {
    let chain = &backend.chain;
    let executed = chain.heads().executed_height;
    let mut newest = executed;
    while newest < executed + ORDERED_MAX && chain.stages(newest + 1).is_some() {
        newest += 1;
    }
    let oldest = newest.saturating_sub(STRANDS_MAX as u64).max(1);
    let known = (oldest..=newest).filter(|height| chain.stages(*height).is_some());
    let strand = |height| {
        let execution = chain.execution(height);
        Ok(Strand {
            height,
            times: stages::times(backend, height)?,
            executed_for: execution.map(|execution| execution.times.execute),
            left_ms: None,
        })
    };
    known.map(strand).collect()
}

/// What was executed lately.
#[derive(Default)]
struct Recent {
    span_ms: u64,
    blocks: u64,
    transactions: u64,
    gas: u64,
    /// Executing and hashing.
    busy: Duration,
    /// From final order to result.
    waits: Vec<u64>,
}

impl Recent {
    fn look(backend: &Backend) -> Result<Self, RpcError> {
        let now_ms = backend.now_ms();
        let latest = backend.chain.heads().executed_height;
        let mut recent = Self::default();
        let last = latest.saturating_sub(RATE_BLOCKS_MAX).max(oldest(backend));
        for height in (last..=latest).rev() {
            let stages = backend.chain.stages(height).unwrap_or_default();
            let (Some(executed), Some(record)) =
                (stages.executed_ms, backend.chain.record(height)?)
            else {
                break;
            };
            let ago = now_ms.saturating_sub(executed);
            if ago > RATE_WINDOW_MS {
                break;
            }
            recent.span_ms = ago;
            recent.add(&record);
            let finalized = stages.finalized_ms;
            recent
                .waits
                .extend(finalized.map(|finalized| executed.saturating_sub(finalized)));
            let times = backend.chain.execution(height);
            recent.busy += times.map_or(Duration::ZERO, |execution| {
                execution.times.execute + execution.times.commit
            });
        }
        recent.waits.sort_unstable();
        Ok(recent)
    }

    fn add(&mut self, record: &ExecutedRecord) {
        self.blocks += 1;
        self.transactions += record.transactions.len() as u64;
        self.gas = self.gas.saturating_add(record.header.gas_used);
    }

    /// So many per second, with one decimal where that matters.
    fn rate(&self, amount: u64) -> String {
        let tenths = amount.saturating_mul(10_000) / self.span_ms.max(1_000);
        match tenths {
            0..1_000 => format!("{}.{}", tenths / 10, tenths % 10),
            _ => format::count(tenths / 10),
        }
    }
}

fn figures(backend: &Backend) -> Result<FiguresPart, RpcError> {
    let recent = Recent::look(backend)?;
    let (way, heads) = (stages::Way::of(backend), backend.chain.heads());
    let lag = heads.finalized_height.saturating_sub(heads.executed_height);
    let wait = recent.waits.get(recent.waits.len() / 2);
    let (busy, span) = (recent.busy.as_micros(), u128::from(recent.span_ms) * 1_000);
    let gas_limit = backend.chain.config().gas_limit;
    let gas_budget = newest_budget(backend)?;
    let held = u128::from(gas_limit.saturating_sub(gas_budget));
    let counts = backend.mempool.counts();
    Ok(FiguresPart {
        transactions_per_second: recent.rate(recent.transactions),
        gas_per_second: format::count(recent.gas.saturating_mul(1_000) / recent.span_ms.max(1_000)),
        blocks_per_second: recent.rate(recent.blocks),
        lag_blocks: format::count(lag),
        lag_time: wait.map_or_else(|| "–".to_owned(), |wait| format::milliseconds(*wait)),
        verified_lag: heads.executed_height.saturating_sub(heads.verified_height),
        last_stage: way.name(way.end()),
        budget_used: format::percent(busy, span),
        budget_bar: format::length(busy, span),
        execution_time: match u32::try_from(recent.blocks) {
            Ok(blocks) if blocks > 0 => format::duration(recent.busy / blocks),
            _ => "–".to_owned(),
        },
        pressure: format::percent(held, u128::from(gas_limit)),
        pressure_bar: format::length(held, u128::from(gas_limit)),
        gas_budget: format::count(gas_budget),
        gas_limit: format::count(gas_limit),
        pending: format::count(counts.pending),
        queued: format::count(counts.queued),
        base_fee: format::price(backend.chain.next_base_fee()?),
        peers: (backend.peers)(),
    })
}

/// The gas budget of the newest header that is ordered.
fn newest_budget(backend: &Backend) -> Result<u64, RpcError> {
    if let Some(block) = backend.chain.ordered().last() {
        return Ok(block.header().gas_budget);
    }
    Ok(backend.chain.latest()?.block.header().gas_budget)
}

fn newest(backend: &Backend) -> Result<NewestPart, RpcError> {
    let latest = backend.chain.heads().executed_height;
    let now_ms = backend.now_ms();
    let mut blocks = Vec::new();
    let last = latest.saturating_sub(BLOCKS_SHOWN - 1).max(oldest(backend));
    for height in (last..=latest).rev() {
        let Some(record) = backend.chain.record(height)? else {
            break;
        };
        blocks.push(BlockRow::new(backend, &record, now_ms)?);
    }
    Ok(NewestPart {
        way: stages::Way::of(backend),
        blocks,
        transactions: newest_transactions(backend, Place::up_to(latest), TRANSACTIONS_SHOWN)?.rows,
    })
}
