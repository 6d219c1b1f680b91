//! The curves as one drawing: demand, and the cores that follow it.
//!
//! ```text
//! ┌ title ────────────────┬───────────────────────┐
//! │ ▒▒▟█▙▒ demand         │                       │   a panel for each curve; x: windows, y: cores
//! │ ┌─┐ cores held        │                       │
//! └───────────────────────┴───────────────────────┘
//! ```
//! Readable on a light and on a dark page, by colour and by dashes. Nothing is loaded from elsewhere.

use super::report::{CoresReport, CurveReport};
use crate::chart::{Axis, escape, grouped, short};

const WIDTH: f64 = 960.0;
const TOP: f64 = 96.0;
/// Of a panel, with its title and the room below it.
const PANEL: f64 = 148.0;
/// Of a panel's plot: from its top, and how high.
const PLOT: (f64, f64) = (24.0, 84.0);
/// Left and right ends of the plots of both columns.
const COLUMNS: [(f64, f64); 2] = [(52.0, 464.0), (520.0, 932.0)];

const STYLE: &str = r#"
svg { color-scheme: light dark; font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.page { fill: #fbfbfc; stroke: #d5dae1; }
text { fill: #4d5866; font-variant-numeric: tabular-nums; }
.title { fill: #17202b; font-size: 17px; font-weight: 600; }
.strong { fill: #17202b; font-weight: 600; }
.end { text-anchor: end; }
.grid { stroke: #e2e6ec; }
.demand { fill: #cdd5df; }
.line { fill: none; stroke: var(--ink); stroke-width: 1.6; stroke-linejoin: round; }
.a { --ink: #1f63c6; } .b { --ink: #b8560a; stroke-dasharray: 3 3; stroke-width: 1.2; }
@media (prefers-color-scheme: dark) {
  .page { fill: #14191f; stroke: #303a46; }
  text { fill: #a7b3c1; }
  .title, .strong { fill: #eaeef3; }
  .grid { stroke: #29323d; }
  .demand { fill: #3a4552; }
  .a { --ink: #6ea8ff; } .b { --ink: #f0a050; }
}
"#;

/// The whole file.
pub(super) fn draw(report: &CoresReport) -> String {
    let rows = report.curves.len().div_ceil(COLUMNS.len()).max(1);
    let height = TOP + PANEL * rows as f64;
    let title = format!(
        "Cores that follow load: {} curves, {} relay blocks each",
        report.curves.len(),
        grouped(report.blocks)
    );
    let panels = report.curves.iter().enumerate().map(|(index, curve)| {
        let row = (index / COLUMNS.len()) as f64;
        panel(curve, COLUMNS[index % COLUMNS.len()], TOP + PANEL * row)
    });
    let panels: String = panels.collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title description\">\n<title id=\"title\">{}</title>\n<desc id=\"description\">{}</desc>\n<style>{STYLE}</style>\n<rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n{}{}{panels}</svg>\n",
        escape(&title),
        escape(&describe(report)),
        WIDTH - 1.0,
        height - 1.0,
        text("title", 20.0, 34.0, &escape(&title)),
        legend(),
    )
}

fn describe(report: &CoresReport) -> String {
    let names: Vec<_> = report.curves.iter().map(|curve| curve.name).collect();
    format!(
        "For each of these curves the cores demanded and the cores held, by window: {}.",
        names.join("; ")
    )
}

fn legend() -> String {
    let y = 62.0;
    let entry = |class: &str, x: f64, words: &str| {
        line(class, [(x, y - 4.0), (x + 26.0, y - 4.0)].into_iter()) + &text("", x + 32.0, y, words)
    };
    format!(
        "<rect class=\"demand\" x=\"20\" y=\"{:.1}\" width=\"26\" height=\"10\"/>\n{}{}{}",
        y - 9.0,
        text("", 52.0, y, "cores demanded"),
        entry("a", 176.0, "cores held, standard rules"),
        entry("b", 380.0, "cores held, last value"),
    )
}

fn panel(curve: &CurveReport, (left, right): (f64, f64), top: f64) -> String {
    let (offset, height) = PLOT;
    let (top_plot, bottom) = (top + offset, top + offset + height);
    let drawn = &curve.drawn;
    let held = drawn.level.iter().chain(&drawn.last).copied().max();
    let most = curve.peak().max(f64::from(held.unwrap_or(0)));
    let y = Axis::new(most.max(1.0) * 1.08, bottom, top_plot);
    let x = Axis::new(drawn.demand.len() as f64, left, right);
    let (name, what) = (escape(curve.name), escape(curve.what));
    let words = format!("<tspan class=\"strong\">{name}</tspan><tspan dx=\"8\">{what}</tspan>");
    let mut drawing = text("", left, top + 12.0, &words);
    // Every other tick is enough in so low a plot.
    for value in y.ticks().into_iter().step_by(2) {
        let at = y.at(value);
        drawing.push_str(&text("end", left - 6.0, at + 4.0, &short(value)));
        drawing.push_str(&format!(
            "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\n"
        ));
    }
    drawing.push_str(&area(&drawn.demand, &x, &y));
    for (class, held) in [("b", &drawn.last), ("a", &drawn.level)] {
        drawing.push_str(&line(class, steps(held, &x, &y).into_iter()));
    }
    drawing
}

fn area(demand: &[f64], x: &Axis, y: &Axis) -> String {
    let points = demand.iter().zip(0_u32..).map(|(value, window)| {
        let at = x.at(f64::from(window) + 0.5);
        format!("{at:.1},{:.1}", y.at(*value))
    });
    let points: Vec<_> = points.collect();
    let (left, right, bottom) = (x.at(0.0), x.at(demand.len() as f64), y.at(0.0));
    format!(
        "<polygon class=\"demand\" points=\"{left:.1},{bottom:.1} {} {right:.1},{bottom:.1}\"/>\n",
        points.join(" ")
    )
}

/// Corners of a line of steps; what stays has none.
fn steps(held: &[u16], x: &Axis, y: &Axis) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (cores, window) in held.iter().zip(0_u32..) {
        let level = y.at(f64::from(*cores));
        let start = x.at(f64::from(window));
        let before = points.last().map(|(_, level)| *level);
        if before == Some(level) {
            continue;
        }
        points.extend(before.map(|before| (start, before)));
        points.push((start, level));
    }
    let end = points
        .last()
        .map(|(_, level)| (x.at(held.len() as f64), *level));
    points.extend(end);
    points
}

fn line(class: &str, points: impl Iterator<Item = (f64, f64)>) -> String {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    format!(
        "<polyline class=\"line {class}\" points=\"{}\"/>\n",
        points.join(" ")
    )
}

/// Words that are escaped already.
fn text(class: &str, x: f64, y: f64, words: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>\n")
}
