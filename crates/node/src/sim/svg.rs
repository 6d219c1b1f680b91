//! Reports as drawings: panels side by side, each with a line for each series.
//!
//! ```text
//! ┌ title ──────────────┬─────────────────────┐
//! │   ╱── 64            │        what a panel │
//! │ ╱──── 16            │        shows        │
//! └─────────────────────┴─────────────────────┘
//! ```
//! Readable on a light and on a dark page, by colour and by dashes. Nothing is loaded from elsewhere.

use super::{
    execution::ExecutionReport,
    scaling::{ScalingReport, ScalingRow},
};
use crate::chart::{Axis, escape, short};
use std::collections::BTreeSet;

const WIDTH: f64 = 960.0;
const TOP: f64 = 84.0;
/// How high a plot is, and a row of panels.
const PLOT: f64 = 200.0;
const PANEL: f64 = 276.0;
/// Left and right ends of the plots of both columns.
const COLUMNS: [(f64, f64); 2] = [(64.0, 460.0), (540.0, 936.0)];
/// Kinds of lines.
const INKS: usize = 5;

const STYLE: &str = r#"
svg { color-scheme: light dark; font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.page { fill: #fbfbfc; stroke: #d5dae1; }
text { fill: #4d5866; font-variant-numeric: tabular-nums; }
.title { fill: #17202b; font-size: 17px; font-weight: 600; }
.strong { fill: #17202b; font-weight: 600; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: #e2e6ec; }
.line { fill: none; stroke: var(--ink); stroke-width: 1.8; stroke-linejoin: round; }
.dot { fill: var(--ink); }
.i0 { --ink: #1f63c6; } .i1 { --ink: #b8560a; stroke-dasharray: 6 3; } .i2 { --ink: #2c7a4b; stroke-dasharray: 2 3; }
.i3 { --ink: #8a3ab9; stroke-dasharray: 8 3 2 3; } .i4 { --ink: #6b7480; stroke-dasharray: 1 4; }
@media (prefers-color-scheme: dark) {
  .page { fill: #14191f; stroke: #303a46; }
  text { fill: #a7b3c1; }
  .title, .strong { fill: #eaeef3; }
  .grid { stroke: #29323d; }
  .i0 { --ink: #6ea8ff; } .i1 { --ink: #f0a050; } .i2 { --ink: #6fcf97; } .i3 { --ink: #cf9bf0; } .i4 { --ink: #9aa5b1; }
}
"#;

struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

struct Panel {
    what: String,
    along: &'static str,
    series: Vec<Series>,
}

/// Throughput, processors and wires by the number of shards, a line for each number of validators.
#[must_use]
pub fn draw_scaling(report: &ScalingReport) -> String {
    let panel = |what: &str, pick: &dyn Fn(&ScalingRow) -> f64| Panel {
        what: what.to_owned(),
        along: "shards",
        series: series_of(&report.rows, pick),
    };
    let title = format!(
        "Shards and validators: {} cores, {} Mbit/s a node, a relay block each {} ms",
        report.model.node_cores, report.model.bandwidth_mbit, report.model.block_ms
    );
    draw(
        &title,
        &[
            panel("thousand final transactions a second, all shards", &|row| {
                row.figures.transactions_per_second / 1_000.0
            }),
            panel("a validator's processor, percent busy", &|row| {
                row.figures.usage.cpu_mean * 100.0
            }),
            panel("a validator receives, MB/s", &|row| {
                row.figures.usage.received_mb_mean
            }),
            panel("the validator that sends most, MB/s", &|row| {
                row.figures.usage.sent_mb_max
            }),
        ],
    )
}

/// Block rates by how long a block takes to execute.
#[must_use]
pub fn draw_execution(report: &ExecutionReport) -> String {
    let series = |name: &str, pick: &dyn Fn(&super::RatePoint) -> f64| Series {
        name: name.to_owned(),
        points: report
            .curve
            .iter()
            .map(|point| (point.execution_ms, pick(point)))
            .collect(),
    };
    let title = format!(
        "Execution after ordering and before the vote: {} validators, {} ms a hop",
        report.model.validators, report.model.hop_ms
    );
    let rates = Panel {
        what: "blocks a second".to_owned(),
        along: "execution of a block, ms",
        series: vec![
            series("after", &|point| point.block_rate_async),
            series("before", &|point| point.block_rate_interleaved),
        ],
    };
    draw(&title, &[rates])
}

fn series_of(rows: &[ScalingRow], pick: &dyn Fn(&ScalingRow) -> f64) -> Vec<Series> {
    let sizes: BTreeSet<u16> = rows.iter().map(|row| row.validators).collect();
    let series = sizes.into_iter().map(|validators| {
        let of = rows.iter().filter(|row| row.validators == validators);
        Series {
            name: validators.to_string(),
            points: of.map(|row| (f64::from(row.shards), pick(row))).collect(),
        }
    });
    series.collect()
}

fn draw(title: &str, panels: &[Panel]) -> String {
    let height = TOP + PANEL * panels.len().div_ceil(COLUMNS.len()) as f64;
    let drawn = panels.iter().enumerate().map(|(index, one)| {
        let row = (index / COLUMNS.len()) as f64;
        panel(one, COLUMNS[index % COLUMNS.len()], TOP + PANEL * row)
    });
    let drawn: String = drawn.collect();
    let description: Vec<&str> = panels.iter().map(|one| one.what.as_str()).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title description\">\n<title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n<style>{STYLE}</style>\n<rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n{}{drawn}</svg>\n",
        escape(title),
        escape(&description.join("; ")),
        WIDTH - 1.0,
        height - 1.0,
        text("title", (20.0, 34.0), &escape(title)),
    )
}

fn panel(panel: &Panel, (left, right): (f64, f64), top: f64) -> String {
    let points = || panel.series.iter().flat_map(|one| &one.points);
    let widest = points().map(|point| point.0).fold(0.0, f64::max);
    let highest = points().map(|point| point.1).fold(0.0, f64::max);
    let bottom = top + PLOT;
    let y = Axis::new(highest * 1.08, bottom, top);
    let x = Axis::new(widest, left, right - 40.0);
    let mut drawing = text("strong", (left, top - 14.0), &escape(&panel.what));
    for value in y.ticks() {
        let at = y.at(value);
        drawing.push_str(&text("end", (left - 6.0, at + 4.0), &short(value)));
        drawing.push_str(&format!(
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\n"
        ));
    }
    for value in x.ticks() {
        drawing.push_str(&text("middle", (x.at(value), bottom + 18.0), &short(value)));
    }
    drawing.push_str(&text(
        "middle",
        ((left + right) / 2.0, bottom + 36.0),
        panel.along,
    ));
    for (index, one) in panel.series.iter().enumerate() {
        drawing.push_str(&line(one, index % INKS, (&x, &y)));
    }
    drawing
}

fn line(series: &Series, ink: usize, (x, y): (&Axis, &Axis)) -> String {
    let places = series
        .points
        .iter()
        .map(|(along, up)| (x.at(*along), y.at(*up)));
    let places: Vec<(f64, f64)> = places.collect();
    let points: Vec<String> = places
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let mut drawing = format!(
        "<polyline class=\"line i{ink}\" points=\"{}\"/>\n",
        points.join(" ")
    );
    for (x, y) in &places {
        drawing.push_str(&format!(
            "<circle class=\"dot i{ink}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.6\"/>\n"
        ));
    }
    if let Some((x, y)) = places.last() {
        drawing.push_str(&text("", (x + 8.0, y + 4.0), &escape(&series.name)));
    }
    drawing
}

/// Words that are escaped already.
fn text(class: &str, (x, y): (f64, f64), words: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>\n")
}
