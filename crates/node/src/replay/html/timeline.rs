//! What each worker did when: the slowest blocks of the first execution.
//!
//! At most [`BLOCKS_SHOWN`] blocks and [`SPANS_SHOWN`] spans of each, so that a page stays a page.

use super::figure::{Axis, Figure, LEFT, Table, WIDTH, short};
use crate::replay::{
    report::{BlockFigures, ReplayReport, ms},
    ways::Span,
};
use std::{collections::BTreeMap, time::Duration};

const BLOCKS_SHOWN: usize = 5;
const SPANS_SHOWN: usize = 5_000;
/// From one worker's lane to the next.
const LANE: f64 = 22.0;
/// Above and below a mark of a first execution.
const MARGIN: f64 = 3.5;
/// Below the lanes, for the axis.
const FOOT: f64 = 24.0;

pub(super) fn section(report: &ReplayReport) -> String {
    let mut blocks: Vec<_> = report
        .per_block
        .iter()
        .filter(|block| !block.trace.spans.is_empty())
        .collect();
    blocks.sort_by(|one, other| other.parallel_ms.total_cmp(&one.parallel_ms));
    blocks.truncate(BLOCKS_SHOWN);
    let figures: String = blocks.into_iter().map(block_figure).collect();
    let figures = match figures.is_empty() {
        true => "<p class=\"none\">No block was executed by several workers.</p>\n".to_owned(),
        false => figures,
    };
    format!(
        "<section aria-labelledby=\"timeline\">\n<h2 id=\"timeline\">Workers of the slowest blocks</h2>\n<p>One line for each worker of a first execution, one mark for each execution of a transaction. Gaps are waiting; what ran again had read something that an earlier transaction then changed.</p>\n{figures}</section>\n"
    )
}

fn block_figure(block: &BlockFigures) -> String {
    let spans = &block.trace.spans;
    let zero = spans.iter().map(|span| span.start).min();
    let zero = zero.unwrap_or_default();
    let end = spans.iter().map(|span| span.end).max();
    let end = ms(end.unwrap_or_default().saturating_sub(zero));
    let lanes = lanes(spans);
    let bottom = LANE * lanes.len() as f64;
    let axis = Axis::new(end, LEFT, WIDTH - 4.0);
    let mut drawing = time_grid(&axis, bottom);
    for (lane, (worker, spans)) in lanes.iter().enumerate() {
        let y = LANE * lane as f64;
        let (label_x, label_y) = (LEFT - 8.0, y + 14.0);
        drawing.push_str(&format!(
            "<text class=\"end\" x=\"{label_x}\" y=\"{label_y}\">{worker}</text>\n"
        ));
        let marks = spans.iter().map(|span| mark(span, zero, &axis, y));
        drawing.extend(marks);
    }
    let id = format!("timeline-{}", block.height);
    let figure = Figure {
        id: &id,
        description: format!(
            "{} executions of the transactions of block {} on {} workers within {} ms; {} of them again.",
            spans.len(),
            block.height,
            lanes.len(),
            short(end),
            block.reexecutions,
        ),
        height: bottom + FOOT,
        drawing,
        legend: &[
            ("span", "executed"),
            ("span again", "executed again (taller)"),
        ],
        table: table(block, &lanes, end),
    };
    let left_out = spans.len().saturating_sub(SPANS_SHOWN);
    let note = match left_out {
        0 => String::new(),
        left_out => format!("; {left_out} executions not drawn"),
    };
    format!(
        "<h3>Block {}: {} transactions, {} ms, {:.2}×{note}</h3>\n{}",
        block.height,
        block.transactions,
        short(block.parallel_ms),
        block.speedup,
        figure.render()
    )
}

/// The spans of each worker.
fn lanes(spans: &[Span]) -> BTreeMap<usize, Vec<&Span>> {
    let mut lanes: BTreeMap<usize, Vec<&Span>> = BTreeMap::new();
    for span in spans.iter().take(SPANS_SHOWN) {
        lanes.entry(span.worker).or_default().push(span);
    }
    lanes
}

fn time_grid(axis: &Axis, bottom: f64) -> String {
    let (label_y, ticks) = (bottom + 17.0, axis.ticks());
    let lines = ticks.iter().map(|value| {
        let (x, label) = (axis.at(*value), short(*value));
        format!("<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{bottom}\"/><text class=\"middle\" x=\"{x:.1}\" y=\"{label_y}\">{label} ms</text>\n")
    });
    lines.collect()
}

fn mark(span: &Span, zero: Duration, axis: &Axis, y: f64) -> String {
    let start = axis.at(ms(span.start.saturating_sub(zero)));
    let end = axis.at(ms(span.end.saturating_sub(zero)));
    // What ran again is taller too, for who can't tell the colours apart.
    let (class, again, margin) = match span.again {
        true => ("span again", ", again", 0.0),
        false => ("span", "", MARGIN),
    };
    let time = short(ms(span.end.saturating_sub(span.start)));
    let (y, height) = (y + 1.0 + margin, LANE - 2.0 - 2.0 * margin);
    let (width, transaction) = ((end - start).max(0.6), span.transaction);
    format!(
        "<rect class=\"{class}\" x=\"{start:.2}\" y=\"{y}\" width=\"{width:.2}\" height=\"{height}\"><title>Transaction {transaction}{again}: {time} ms</title></rect>\n"
    )
}

fn table(block: &BlockFigures, lanes: &BTreeMap<usize, Vec<&Span>>, end: f64) -> Table<'static> {
    let rows = lanes.iter().map(|(worker, spans)| {
        let times = spans.iter().map(|span| span.end.saturating_sub(span.start));
        let busy = ms(times.sum());
        let share = match end > 0.0 {
            true => format!("{:.0}%", busy / end * 100.0),
            false => "–".to_owned(),
        };
        let again = spans.iter().filter(|span| span.again).count();
        vec![
            worker.to_string(),
            spans.len().to_string(),
            again.to_string(),
            short(busy),
            share,
        ]
    });
    Table {
        caption: format!("Workers of block {}", block.height),
        head: &["worker", "executions", "of them again", "busy ms", "busy"],
        rows: rows.collect(),
    }
}
