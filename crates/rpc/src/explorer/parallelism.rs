//! How parallel a block was: who executed what, which places held it up, and what to change.
//!
//! ```text
//! BlockExecution ─▶ Parallelism ─┬▶ a row of bars for each worker
//!  (or a profile)    plain values └▶ hot places, with a sentence for each of the hottest
//! ```
//! [`Parallelism`] is all that the page reads, so whoever knows more than this node's own execution fills it in.
//! Limits: [`BARS_MAX`] bars, after neighbours were joined; [`PLACES_MAX`] places; [`ADVICE_MAX`] sentences.

use super::{
    format,
    html::{self, Html},
    token,
};
use crate::backend::Backend;
use alloy_primitives::{Address, B256, U256};
use executor::{Span, Way};
use pipeline::{BlockConflict, BlockExecution};
use std::{fmt::Write as _, time::Duration};

/// Bars of one drawing.
const BARS_MAX: usize = 1_500;
/// Places shown.
const PLACES_MAX: usize = 24;
/// Sentences.
const ADVICE_MAX: usize = 5;
/// Transactions named with a place.
const NAMED_MAX: usize = 4;
/// Width of the drawing.
const WIDTH: u128 = 1_000;
/// Height of a worker's row.
pub(super) const ROW: usize = 22;

/// Everything about a block's execution that its page shows.
#[derive(Debug, Default)]
pub(super) struct Parallelism {
    pub(super) way: &'static str,
    pub(super) workers: usize,
    pub(super) executions: usize,
    pub(super) reexecutions: usize,
    pub(super) took: String,
    /// Time that workers executed, beside what they could have.
    pub(super) busy: Option<String>,
    pub(super) rows: Vec<WorkerRow>,
    pub(super) bars_left_out: usize,
    pub(super) places: Vec<HotPlace>,
    pub(super) place_count: usize,
    pub(super) advice: Vec<String>,
}

/// What one worker executed.
#[derive(Debug, Default)]
pub(super) struct WorkerRow {
    pub(super) y: usize,
    /// Executions, and those that came after one in vain.
    pub(super) first: String,
    pub(super) again: String,
    pub(super) count: usize,
}

/// A place that transactions met at.
#[derive(Debug)]
pub(super) struct HotPlace {
    pub(super) account: Html,
    pub(super) name: Option<String>,
    pub(super) storage_slot: Option<Html>,
    pub(super) transaction_count: usize,
    pub(super) share: String,
    pub(super) bar: String,
    /// Places in the block of some of them.
    pub(super) transactions: Vec<usize>,
}

impl Parallelism {
    /// What this node knows of how it executed a block of so many transactions.
    pub(super) fn new(backend: &Backend, execution: &BlockExecution, count: usize) -> Self {
        let took = execution.times.execute;
        let hottest = execution.conflicts.iter().take(PLACES_MAX);
        let places: Vec<_> = hottest
            .map(|place| HotPlace::new(backend, place, count))
            .collect();
        let pairs = execution.conflicts.iter().zip(&places).take(ADVICE_MAX);
        let (rows, bars_left_out) = rows(&execution.spans, execution.workers);
        Self {
            way: way(execution.way),
            workers: execution.workers,
            executions: execution.executions,
            reexecutions: execution.reexecutions,
            took: format::duration(took),
            busy: busy(&execution.spans, execution.workers, took),
            rows,
            bars_left_out,
            advice: pairs
                .map(|(conflict, place)| advice(conflict, place))
                .collect(),
            places,
            place_count: execution.conflict_count,
        }
    }

    /// Height of the drawing.
    pub(super) fn height(&self) -> usize {
        self.rows.len() * ROW
    }
}

const fn way(way: Way) -> &'static str {
    match way {
        Way::InOrder => "one after the other",
        Way::First => "in parallel, committed in order",
        Way::Listed => "in parallel, by access list",
    }
}

fn busy(spans: &[Span], workers: usize, took: Duration) -> Option<String> {
    let executed = spans.iter().map(|span| span.end.saturating_sub(span.start));
    let executed: Duration = executed.sum();
    let could = took.as_micros().saturating_mul(workers as u128);
    (!spans.is_empty()).then(|| format::percent(executed.as_micros(), could))
}

/// One row for each worker, and how many bars have no place.
fn rows(spans: &[Span], workers: usize) -> (Vec<WorkerRow>, usize) {
    let Some(end) = spans.iter().map(|span| span.end).max() else {
        return (Vec::new(), 0);
    };
    let whole = end.as_nanos().max(1);
    let x = |time: Duration| time.as_nanos().saturating_mul(WIDTH * 10) / whole;
    let mut rows: Vec<_> = (0..workers)
        .map(|worker| WorkerRow {
            y: worker * ROW + ROW / 2,
            ..WorkerRow::default()
        })
        .collect();
    let mut ends = vec![[None; 2]; workers];
    let (mut bars, mut left_out) = (0, 0);
    for span in spans {
        let (Some(row), Some(ends)) = (rows.get_mut(span.worker), ends.get_mut(span.worker)) else {
            continue;
        };
        row.count += 1;
        let (start, end) = (x(span.start), x(span.end).max(x(span.start) + 4));
        let [first_end, again_end] = ends;
        let (path, last) = match span.again {
            true => (&mut row.again, again_end),
            false => (&mut row.first, first_end),
        };
        // What is too close to see a gap is one bar.
        let joined = last.is_some_and(|last| start < last + 6);
        if !joined && bars >= BARS_MAX {
            left_out += 1;
            continue;
        }
        if !joined {
            bars += 1;
            write!(path, "M{} {}", tenths(start), row.y).expect("strings take all");
        }
        write!(path, "H{}", tenths(end)).expect("strings take all");
        *last = Some(end);
    }
    (rows, left_out)
}

fn tenths(tenths: u128) -> String {
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        rest => format!("{}.{rest}", tenths / 10),
    }
}

impl HotPlace {
    fn new(backend: &Backend, conflict: &BlockConflict, count: usize) -> Self {
        let (met, all) = (conflict.transaction_count as u128, count as u128);
        Self {
            account: html::address(&conflict.address),
            name: name(backend, &conflict.address),
            storage_slot: conflict
                .storage_slot
                .map(|key| html::word(&B256::from(key))),
            transaction_count: conflict.transaction_count,
            share: format::percent(met, all),
            bar: format::length(met, all),
            transactions: conflict
                .transactions
                .iter()
                .copied()
                .take(NAMED_MAX)
                .collect(),
        }
    }
}

fn name(backend: &Backend, address: &Address) -> Option<String> {
    token::token(backend, address).map(|token| token.symbol.clone())
}

/// What happened at a place, and what would help.
fn advice(conflict: &BlockConflict, place: &HotPlace) -> String {
    let count = format::count(conflict.transaction_count);
    let many = match conflict.transaction_count {
        1 => "1 transaction was".to_owned(),
        _ => format!("{count} transactions were"),
    };
    let whose = match &place.name {
        Some(name) => format!("{name} ({})", conflict.address),
        None => conflict.address.to_string(),
    };
    match conflict.storage_slot {
        Some(key) if key < U256::from(256) => format!(
            "{many} executed again because of storage slot {key} of {whose}. A slot with so low a number is a \
             variable of the contract itself, written by everybody: a counter, a total, a queue. Keep it per account \
             or per group, and add up where it is read; or derive it from the block instead of counting."
        ),
        Some(key) => format!(
            "{many} executed again because of storage slot {} of {whose}. A slot with such a number belongs to a \
             mapping or an array: everybody wrote the same entry. Spread what is written over several entries, or \
             let each sender write an own one.",
            B256::from(key)
        ),
        None => format!(
            "{many} executed again because of the balance, nonce or code of {whose} itself, which others changed \
             before them. Pay out to several accounts, or let recipients fetch what is theirs."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(worker: usize, start: u64, end: u64, again: bool) -> Span {
        Span {
            worker,
            transaction: 0,
            start: Duration::from_micros(start),
            end: Duration::from_micros(end),
            again,
        }
    }

    #[test]
    fn neighbours_are_one_bar() {
        let spans = [
            span(0, 0, 500, false),
            span(0, 500, 600, false),
            span(0, 800, 900, true),
            span(1, 500, 1_000, false),
            span(7, 0, 1, false),
        ];
        let (rows, left_out) = rows(&spans, 2);
        assert_eq!(rows[0].first, "M0 11H500H600");
        assert_eq!(rows[0].again, "M800 11H900");
        assert_eq!(rows[1].first, "M500 33H1000");
        assert_eq!((rows[0].count, left_out), (3, 0));
        assert_eq!(
            busy(&spans, 2, Duration::from_micros(1_000)).unwrap(),
            "60.0 %"
        );
    }

    #[test]
    fn so_many_bars_and_no_more() {
        // Far enough apart that none are joined, on four workers.
        let spans: Vec<_> = (0..3_200)
            .map(|n| span(n % 4, n as u64 / 4 * 12, n as u64 / 4 * 12 + 4, false))
            .collect();
        let (rows, left_out) = rows(&spans, 4);
        let bars: usize = rows.iter().map(|row| row.first.matches('M').count()).sum();
        assert_eq!(bars, BARS_MAX);
        assert_eq!(left_out, 3_200 - BARS_MAX);
        assert_eq!(rows[0].count, 800);
    }
}
