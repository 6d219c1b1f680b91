//! How parallel a block was: who executed what, which places held it up, and what to change.
//!
//! ```text
//! RpcProfile       what waits for what, by the block's access list ─┐
//! BlockExecution   who executed what here, of recent blocks        ─┴▶ Parallelism: plain values for the page
//! ```
//! Where there is no profile (no access list, or one too large), the places are those at which this node had to
//! execute something again. Limits: [`BARS_MAX`] bars, after neighbours were joined; [`PLACES_MAX`] places.

use super::{
    decode, format,
    html::{self, Html},
    token,
};
use crate::{
    backend::Backend,
    headway::profile::{RpcHotPlace, RpcProfile},
};
use alloy_primitives::{Address, B256};
use executor::{Span, Way};
use pipeline::{BlockConflict, BlockExecution};
use std::{fmt::Write as _, time::Duration};

/// Bars of one drawing.
const BARS_MAX: usize = 1_500;
/// Places shown.
const PLACES_MAX: usize = 24;
/// Transactions named with a place.
const NAMED_MAX: usize = 4;
/// Width of the drawing.
const WIDTH: u128 = 1_000;
/// Height of a worker's row.
pub(super) const ROW: usize = 22;

/// Everything about a block's execution that its page shows.
#[derive(Debug, Default)]
pub(super) struct Parallelism {
    pub(super) run: Option<Run>,
    pub(super) waiting: Option<Waiting>,
    pub(super) rows: Vec<WorkerRow>,
    pub(super) bars_left_out: usize,
    pub(super) places: Vec<HotPlace>,
    pub(super) place_count: usize,
    pub(super) advice: Vec<Html>,
}

/// How this node executed it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) way: &'static str,
    pub(super) workers: usize,
    pub(super) executions: usize,
    pub(super) reexecutions: usize,
    pub(super) took: String,
    /// Time that workers executed, beside what they could have.
    pub(super) busy: Option<String>,
}

/// What waits for what, on any node.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) count: String,
    pub(super) share: String,
    /// The longest chain, in transactions and as a share of the gas.
    pub(super) path: String,
    pub(super) path_share: String,
    /// At best so many times faster, by workers.
    pub(super) speedups: Vec<(usize, String)>,
}

impl Waiting {
    fn new(profile: &RpcProfile) -> Self {
        let (waiting, all) = (
            profile.waiting_count as u128,
            profile.transaction_count as u128,
        );
        let path = &profile.critical_path;
        let mut speedups: Vec<_> = profile.speedups.iter().collect();
        // More workers that make nothing faster say nothing more.
        speedups.dedup_by_key(|speedup| speedup.bound_permille);
        Self {
            count: format::count(profile.waiting_count),
            share: format::percent(waiting, all),
            path: format::count(path.transaction_count),
            path_share: format::percent(u128::from(path.gas_permille), 1_000),
            speedups: speedups
                .into_iter()
                .map(|speedup| {
                    let bound = speedup.bound_permille;
                    (
                        speedup.workers,
                        format!("{}.{}×", bound / 1_000, bound % 1_000 / 100),
                    )
                })
                .collect(),
        }
    }
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
    pub(super) kind: String,
    pub(super) storage_slot: Option<Html>,
    pub(super) transaction_count: usize,
    pub(super) share: String,
    pub(super) bar: String,
    /// Who touches it: functions and how many calls of each.
    pub(super) functions: Vec<(String, usize)>,
    /// Places in the block of some of them.
    pub(super) transactions: Vec<usize>,
}

impl Parallelism {
    /// What is known of a block of so many transactions.
    pub(super) fn new(
        backend: &Backend,
        execution: Option<&BlockExecution>,
        profile: Option<&RpcProfile>,
        count: usize,
    ) -> Self {
        let mut parallelism = execution.map_or_else(Self::default, Self::executed);
        match (profile, execution) {
            (Some(profile), _) => {
                let places = profile.hot_places.iter().take(PLACES_MAX);
                let places = places.map(|place| HotPlace::waiting(backend, place));
                parallelism.places = places.collect();
                parallelism.place_count = profile.place_count;
                let sentences = profile.advice.iter();
                let said = sentences.map(|said| html::sentence(said, |place| name(backend, place)));
                parallelism.advice = said.collect();
                parallelism.waiting = Some(Waiting::new(profile));
            }
            (None, Some(execution)) => {
                let places = execution.conflicts.iter().take(PLACES_MAX);
                let places = places.map(|place| HotPlace::again(backend, place, count));
                parallelism.places = places.collect();
                parallelism.place_count = execution.conflict_count;
            }
            (None, None) => {}
        }
        parallelism
    }

    /// How this node executed it.
    fn executed(execution: &BlockExecution) -> Self {
        let took = execution.times.execute;
        let (rows, bars_left_out) = rows(&execution.spans, execution.workers);
        Self {
            run: Some(Run {
                way: way(execution.way),
                workers: execution.workers,
                executions: execution.executions,
                reexecutions: execution.reexecutions,
                took: format::duration(took),
                busy: busy(&execution.spans, execution.workers, took),
            }),
            rows,
            bars_left_out,
            ..Self::default()
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
    /// A place where transactions wait.
    fn waiting(backend: &Backend, place: &RpcHotPlace) -> Self {
        let share = u128::from(place.waiting_permille);
        let functions = place.functions.iter().take(NAMED_MAX);
        Self {
            account: html::address(&place.address),
            name: name(backend, &place.address),
            kind: kind(&place.kind).to_owned(),
            storage_slot: place.slot.as_ref().map(html::word),
            transaction_count: place.waiting_count,
            share: format::percent(share, 1_000),
            bar: format::length(share, 1_000),
            functions: functions
                .map(|function| {
                    let abi = function.to.and_then(|to| backend.explorer.abis.of(&to));
                    let selector = function.selector.clone().unwrap_or_default();
                    let name = decode::method_name(abi.as_deref(), &selector);
                    (name, function.transaction_count)
                })
                .collect(),
            transactions: place.transactions.iter().copied().take(NAMED_MAX).collect(),
        }
    }

    /// A place because of which transactions were executed again here.
    fn again(backend: &Backend, conflict: &BlockConflict, count: usize) -> Self {
        let (met, all) = (conflict.transaction_count as u128, count as u128);
        let named = conflict.transactions.iter().copied();
        Self {
            account: html::address(&conflict.address),
            name: name(backend, &conflict.address),
            kind: String::new(),
            storage_slot: conflict
                .storage_slot
                .map(|key| html::word(&B256::from(key))),
            transaction_count: conflict.transaction_count,
            share: format::percent(met, all),
            bar: format::length(met, all),
            functions: Vec::new(),
            transactions: named.take(NAMED_MAX).collect(),
        }
    }
}

/// What a place is, in words.
fn kind(kind: &str) -> &str {
    match kind {
        "tokenBalance" => "token balance",
        "poolReserves" => "pool reserves",
        other => other,
    }
}

fn name(backend: &Backend, address: &Address) -> Option<String> {
    token::token(backend, address).map(|token| token.symbol.clone())
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
