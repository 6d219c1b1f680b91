//! How well the predictor foresaw what each block touches.

use super::figure::{Axis, Figure, LEFT, Table, WIDTH, block_labels, grid, percent};
use crate::replay::report::ReplayReport;

/// Where the plot ends, above its labels.
const BOTTOM: f64 = 200.0;
const HEIGHT: f64 = 270.0;
const TOP: f64 = 12.0;
/// From a mark's middle to its edge.
const RADIUS: f64 = 4.5;

pub(super) fn section(report: &ReplayReport) -> String {
    let scored = report
        .per_block
        .iter()
        .filter(|block| block.trace.predictor.touched > 0);
    let body = match scored.count() {
        0 => "<p class=\"none\">Nothing was predicted.</p>\n".to_owned(),
        _ => figure(report),
    };
    format!(
        "<section aria-labelledby=\"predictor\">\n<h2 id=\"predictor\">Predictor</h2>\n<p>Precision is how much of what was predicted was touched, recall how much of what was touched was predicted. It learns from the blocks before, in the order of the page.</p>\n{body}</section>\n"
    )
}

fn figure(report: &ReplayReport) -> String {
    let axis = Axis::new(100.0, BOTTOM, TOP);
    let mut drawing = grid(&axis, "%");
    let heights: Vec<_> = report.per_block.iter().map(|block| block.height).collect();
    let step = (WIDTH - LEFT) / heights.len().max(1) as f64;
    for (index, block) in report.per_block.iter().enumerate() {
        let x = LEFT + step * (index as f64 + 0.5);
        if let Some(share) = block.predictor_precision {
            let (y, height, text) = (axis.at(share * 100.0), block.height, percent(Some(share)));
            drawing.push_str(&format!(
                "<circle class=\"first\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{RADIUS}\"><title>Block {height}, precision {text}</title></circle>\n"
            ));
        }
        if let Some(share) = block.predictor_recall {
            let (y, height, text) = (axis.at(share * 100.0), block.height, percent(Some(share)));
            drawing.push_str(&format!(
                "<path class=\"listed\" d=\"M{x:.1} {y:.1}m0 -{RADIUS}l{RADIUS} {RADIUS}l-{RADIUS} {RADIUS}l-{RADIUS} -{RADIUS}z\"><title>Block {height}, recall {text}</title></path>\n"
            ));
        }
    }
    drawing.push_str(&block_labels(&heights, BOTTOM));
    Figure {
        id: "foreseen",
        description: format!(
            "Precision and recall for each of {} blocks; of all blocks together precision is {} and recall {}.",
            report.blocks,
            percent(report.predictor_precision),
            percent(report.predictor_recall)
        ),
        height: HEIGHT,
        drawing,
        legend: &[("first", "precision (circle)"), ("listed", "recall (diamond)")],
        table: table(report),
    }
    .render()
}

fn table(report: &ReplayReport) -> Table<'static> {
    let rows = report.per_block.iter().map(|block| {
        let score = block.trace.predictor;
        vec![
            block.height.to_string(),
            score.predicted.to_string(),
            score.touched.to_string(),
            score.hits.to_string(),
            percent(block.predictor_precision),
            percent(block.predictor_recall),
        ]
    });
    Table {
        caption: "Predictor by block".to_owned(),
        head: &[
            "block",
            "predicted",
            "touched",
            "both",
            "precision",
            "recall",
        ],
        rows: rows.collect(),
    }
}
