//! How much faster each block was in parallel, and how much faster it could be at most.

use super::figure::{Axis, Figure, LEFT, Table, WIDTH, block_labels, grid, grouped, short};
use crate::replay::report::{BlockFigures, ReplayReport};

/// Where the plot ends, above its labels.
const BOTTOM: f64 = 300.0;
const HEIGHT: f64 = 370.0;
const TOP: f64 = 12.0;

pub(super) fn section(report: &ReplayReport) -> String {
    let limits: Vec<_> = report
        .per_block
        .iter()
        .map(|block| limit(block, report.workers.get()))
        .collect();
    let values = report
        .per_block
        .iter()
        .zip(&limits)
        .flat_map(|(block, limit)| {
            [
                block.speedup,
                block.list_driven_speedup,
                limit.unwrap_or_default(),
            ]
        });
    let axis = Axis::new(values.fold(1.0, f64::max) * 1.05, BOTTOM, TOP);
    let heights: Vec<_> = report.per_block.iter().map(|block| block.height).collect();
    let mut drawing = grid(&axis, "×");
    let step = (WIDTH - LEFT) / heights.len().max(1) as f64;
    for (index, (block, limit)) in report.per_block.iter().zip(&limits).enumerate() {
        let x = LEFT + step * index as f64;
        drawing.push_str(&group(block, *limit, &axis, (x, step)));
    }
    let one = axis.at(1.0);
    drawing.push_str(&format!(
        "<line class=\"one\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{one:.1}\" y2=\"{one:.1}\"/>\n"
    ));
    drawing.push_str(&block_labels(&heights, BOTTOM));
    let figure = Figure {
        id: "speedup",
        description: describe(report),
        height: HEIGHT,
        drawing,
        legend: &[
            ("first", "first execution"),
            ("listed", "list-driven"),
            (
                "limit",
                "most that the first execution's conflicts and workers allow",
            ),
        ],
        table: table(report, &limits),
    };
    format!(
        "<section aria-labelledby=\"by-block\">\n<h2 id=\"by-block\">Speed-up by block</h2>\n<p>Sequential time over parallel time, blocks by height. At the dashed line both take equally long.</p>\n{}</section>\n",
        figure.render()
    )
}

/// No schedule beats the longest chain of waiting transactions, nor the number of workers.
fn limit(block: &BlockFigures, workers: usize) -> Option<f64> {
    let by_conflicts = block.work_ms / block.critical_path_ms;
    let limit = by_conflicts.min(workers as f64);
    (block.critical_path_ms > 0.0 && limit.is_finite()).then_some(limit)
}

fn group(block: &BlockFigures, limit: Option<f64>, axis: &Axis, (x, step): (f64, f64)) -> String {
    let bar = step * 0.38;
    let mut marks = String::new();
    let series = [
        ("first", "first execution", block.speedup, step * 0.1),
        (
            "listed",
            "list-driven",
            block.list_driven_speedup,
            step * 0.1 + bar,
        ),
    ];
    for (class, name, value, offset) in series {
        let (x, y) = (x + offset, axis.at(value));
        let (height, title) = (BOTTOM - y, block.height);
        marks.push_str(&format!(
            "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.1}\" width=\"{bar:.2}\" height=\"{height:.1}\"><title>Block {title}, {name}: {value:.2}×</title></rect>\n"
        ));
    }
    if let Some(limit) = limit {
        let (from, to, y) = (x + step * 0.04, x + step * 0.92, axis.at(limit));
        let height = block.height;
        marks.push_str(&format!(
            "<line class=\"limit\" x1=\"{from:.2}\" x2=\"{to:.2}\" y1=\"{y:.1}\" y2=\"{y:.1}\"><title>Block {height}, at most {limit:.2}×</title></line>\n"
        ));
    }
    marks
}

fn describe(report: &ReplayReport) -> String {
    let slower = report.per_block.iter().filter(|block| block.speedup < 1.0);
    let best = report
        .per_block
        .iter()
        .max_by(|one, other| one.speedup.total_cmp(&other.speedup));
    let best = best.map_or_else(String::new, |block| {
        format!(
            " The largest is {:.2} times, of block {}.",
            block.speedup, block.height
        )
    });
    format!(
        "Two bars for each of {} blocks: its speed-up at first execution and by access list.{best} {} blocks are slower in parallel.",
        report.blocks,
        slower.count()
    )
}

fn table(report: &ReplayReport, limits: &[Option<f64>]) -> Table<'static> {
    let rows = report.per_block.iter().zip(limits).map(|(block, limit)| {
        vec![
            block.height.to_string(),
            block.fork.clone(),
            grouped(block.transactions),
            grouped(block.gas),
            short(block.sequential_ms),
            short(block.parallel_ms),
            format!("{:.2}", block.speedup),
            short(block.list_driven_ms),
            format!("{:.2}", block.list_driven_speedup),
            limit.map_or_else(|| "–".to_owned(), |limit| format!("{limit:.2}")),
            block.reexecutions.to_string(),
            if block.receipts_matched { "yes" } else { "no" }.to_owned(),
        ]
    });
    Table {
        caption: "Every block".to_owned(),
        head: &[
            "block",
            "fork",
            "transactions",
            "gas",
            "sequential ms",
            "first ms",
            "first ×",
            "list-driven ms",
            "list-driven ×",
            "at most ×",
            "executed again",
            "as on mainnet",
        ],
        rows: rows.collect(),
    }
}
