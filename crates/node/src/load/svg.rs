//! The report as one drawing: rates over time, and latencies by percentile.
//!
//! ```text
//! ┌ title ──────────────────────────┐
//! │ offered, accepted, included / s │   x: seconds
//! ├─────────────────────────────────┤
//! │ milliseconds until each stage   │   x: percentile, each nine as wide as the one before
//! └─────────────────────────────────┘
//! ```
//! Readable on a light and on a dark page, by colour and by dashes, with a description for those who do not
//! see it. Nothing is loaded from elsewhere.

use super::{latency::Latency, report::LoadReport};
use crate::chart::{Axis, escape, grouped, short};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 640.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 936.0;
/// Upper and lower end of the two plots.
const RATES: (f64, f64) = (104.0, 290.0);
const LATENCIES: (f64, f64) = (388.0, 580.0);
/// Percentiles with a label.
const LABELS: [f64; 6] = [0.0, 50.0, 90.0, 99.0, 99.9, 99.99];
/// Of 1 - p, so that the last percentile has a place.
const NINES_MAX: f64 = 6.0;

const STYLE: &str = r#"
svg { color-scheme: light dark; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.page { fill: #fbfbfc; stroke: #d5dae1; }
text { fill: #4d5866; font-variant-numeric: tabular-nums; }
.title { fill: #17202b; font-size: 17px; font-weight: 600; }
.strong { fill: #17202b; font-weight: 600; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.grid { stroke: #e2e6ec; }
.line { fill: none; stroke: var(--ink); stroke-width: 2; stroke-linejoin: round; }
.a { --ink: #6a7684; } .b { --ink: #1f63c6; } .c { --ink: #b8560a; } .d { --ink: #00735a; } .e { --ink: #a8326f; }
.a { stroke-dasharray: 2 4; } .c { stroke-dasharray: 9 4; } .d { stroke-dasharray: 10 4 2 4; } .e { stroke-dasharray: 4 3; }
@media (prefers-color-scheme: dark) {
  .page { fill: #14191f; stroke: #303a46; }
  text { fill: #a7b3c1; }
  .title, .strong { fill: #eaeef3; }
  .grid { stroke: #29323d; }
  .a { --ink: #a7b3c1; } .b { --ink: #6ea8ff; } .c { --ink: #f0a050; } .d { --ink: #4fc9a4; } .e { --ink: #f08cbc; }
}
"#;

/// The whole file.
pub(super) fn draw(report: &LoadReport) -> String {
    let title = format!(
        "{}: {} transactions of {} senders, {} a second mined",
        report.workload.name(),
        grouped(report.transactions),
        grouped(report.senders),
        grouped(format!("{:.0}", report.transactions_per_second)),
    );
    let (title, description) = (escape(&title), escape(&describe(report)));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-labelledby=\"title description\">\n<title id=\"title\">{title}</title>\n<desc id=\"description\">{description}</desc>\n<style>{STYLE}</style>\n<rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n{}{}{}{}</svg>\n",
        WIDTH - 1.0,
        HEIGHT - 1.0,
        text("title", 20.0, 34.0, &title),
        rates(report),
        latencies(report),
        text("", 20.0, HEIGHT - 14.0, &escape(&foot(report))),
    )
}

fn describe(report: &LoadReport) -> String {
    let mut words = format!(
        "Upper chart: transactions a second over {:.1} seconds. Lower chart: latency by percentile.",
        report.seconds
    );
    for (name, latency) in report.latencies.named() {
        words.push_str(&format!(
            " Half were {name} within {:.1} ms, 99 of 100 within {:.1} ms.",
            latency.p50_ms, latency.p99_ms
        ));
    }
    words
}

fn foot(report: &LoadReport) -> String {
    let offered = report.rate.map_or_else(
        || "as fast as they were taken".to_owned(),
        |rate| format!("{} a second offered", grouped(rate)),
    );
    let (refused, failed) = (grouped(report.refused), grouped(report.failed));
    let (missing, late) = (grouped(report.missing), grouped(report.late_sends));
    format!("{offered}; {refused} refused, {failed} failed, {missing} missing, {late} sent late")
}

fn rates(report: &LoadReport) -> String {
    let series = &report.series;
    let (top, bottom) = RATES;
    let lines = [
        ("a", "offered", &series.offered),
        ("b", "accepted", &series.accepted),
        ("c", "included", &series.included),
    ];
    let values = lines
        .iter()
        .flat_map(|(_, _, values)| values.iter().copied());
    let y = Axis::new(values.fold(1.0, f64::max) * 1.05, bottom, top);
    let seconds = series.offered.len() as f64 * series.step_seconds;
    let x = Axis::new(seconds, LEFT, RIGHT);
    let mut drawing = text("strong", 20.0, top - 34.0, "Transactions a second");
    drawing.push_str(&grid(&y));
    for second in x.ticks() {
        let label = format!("{} s", short(second));
        drawing.push_str(&text("middle", x.at(second), bottom + 20.0, &label));
    }
    for (class, _, values) in lines {
        let points = values.iter().enumerate().map(|(point, value)| {
            let seconds = (point as f64 + 0.5) * series.step_seconds;
            (x.at(seconds), y.at(*value))
        });
        drawing.push_str(&line(class, points));
    }
    drawing
        + &legend(
            lines.map(|(class, name, _)| (class, name)).as_slice(),
            top - 14.0,
        )
}

fn latencies(report: &LoadReport) -> String {
    let (top, bottom) = LATENCIES;
    let named = report.latencies.named();
    let classes = ["b", "c", "d", "a", "e"];
    let most = named.iter().map(|(_, latency)| latency.max_ms);
    let y = Axis::new(most.fold(0.001, f64::max) * 1.05, bottom, top);
    let last = named.iter().map(|(_, latency)| last_nines(latency));
    let x = Axis::new(last.fold(1.0, f64::max), LEFT, RIGHT);
    let mut drawing = text(
        "strong",
        20.0,
        top - 34.0,
        "Milliseconds until, by percentile",
    );
    drawing.push_str(&grid(&y));
    for percentile in LABELS {
        let at = x.at(nines(percentile));
        if at < RIGHT - 30.0 {
            let label = format!("{percentile} %");
            drawing.push_str(&text("middle", at, bottom + 20.0, &label));
        }
    }
    drawing.push_str(&text("end", RIGHT, bottom + 20.0, "slowest"));
    for ((_, latency), class) in named.iter().zip(classes) {
        drawing.push_str(&line(class, curve(latency, &x, &y).into_iter()));
    }
    let entries = named
        .iter()
        .zip(classes)
        .map(|((name, _), class)| (class, *name));
    drawing + &legend(&entries.collect::<Vec<_>>(), top - 14.0)
}

fn curve(latency: &Latency, x: &Axis, y: &Axis) -> Vec<(f64, f64)> {
    let last = last_nines(latency);
    let points = latency.curve.iter();
    let points = points.filter(|(percentile, _)| *percentile == 100.0 || nines(*percentile) < last);
    points
        .map(|(percentile, ms)| (x.at(nines(*percentile).min(last)), y.at(*ms)))
        .collect()
}

/// How many nines a percentile has: 1 for 90, 2 for 99.
fn nines(percentile: f64) -> f64 {
    let rest = 1.0 - percentile / 100.0;
    match rest > 0.0 {
        true => (-rest.log10()).min(NINES_MAX),
        false => NINES_MAX,
    }
}

/// Where the slowest of so many stands.
fn last_nines(latency: &Latency) -> f64 {
    (latency.count.max(10) as f64).log10().min(NINES_MAX)
}

fn grid(axis: &Axis) -> String {
    let lines = axis.ticks().into_iter().map(|value| {
        let y = axis.at(value);
        let label = match value >= 1_000.0 {
            true => grouped(format!("{value:.0}")),
            false => short(value),
        };
        let label = text("end", LEFT - 8.0, y + 4.0, &label);
        format!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n{label}")
    });
    lines.collect()
}

fn line(class: &str, points: impl Iterator<Item = (f64, f64)>) -> String {
    let points: Vec<String> = points.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    format!(
        "<polyline class=\"line {class}\" points=\"{}\"/>\n",
        points.join(" ")
    )
}

fn legend(entries: &[(&str, &str)], y: f64) -> String {
    let mut x = LEFT;
    let mut drawing = String::new();
    for (class, name) in entries {
        drawing.push_str(&line(
            class,
            [(x, y - 4.0), (x + 26.0, y - 4.0)].into_iter(),
        ));
        drawing.push_str(&text("", x + 32.0, y, name));
        x += 56.0 + 8.0 * name.len() as f64;
    }
    drawing
}

/// Words that are escaped already.
fn text(class: &str, x: f64, y: f64, words: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{
        Latencies, LoadReport, Preparation, Refusal, Workload, report::EndpointReport,
        series::Series,
    };

    fn report(latencies: Latencies, series: Series) -> LoadReport {
        LoadReport {
            workload: Workload::Mixed,
            transactions: 3,
            senders: 1,
            rate: None,
            sent: 3,
            accepted: 3,
            refused: 0,
            first_refusal: None,
            refusals: vec![Refusal {
                message: "<b>".to_owned(),
                count: 1,
            }],
            resent: 0,
            mined: 3,
            failed: 0,
            included: 3,
            missing: 0,
            blocks: 1,
            seconds: 0.2,
            transactions_per_second: 15.0,
            submission_seconds: 0.1,
            submissions_per_second: 30.0,
            late_sends: 0,
            latest_send_ms: 0.0,
            interrupted: false,
            preparation: Preparation::default(),
            endpoints: vec![EndpointReport {
                url: "http://localhost".to_owned(),
                sent: 3,
                accepted: 3,
                mined: 3,
                lost: None,
            }],
            latencies,
            checks: Vec::new(),
            series,
        }
    }

    /// The points of every line, legends left out.
    fn lines(drawing: &str) -> Vec<Vec<(f64, f64)>> {
        let points = drawing
            .lines()
            .filter_map(|line| line.split_once("points=\""));
        let points = points.map(|(_, rest)| {
            let list = rest.split('"').next().unwrap();
            let pairs = list.split_whitespace().map(|pair| {
                let (x, y) = pair.split_once(',').unwrap();
                (x.parse().unwrap(), y.parse().unwrap())
            });
            pairs.collect::<Vec<(f64, f64)>>()
        });
        points.filter(|points| points.len() > 2).collect()
    }

    #[test]
    fn lines_stay_in_their_plots_and_rise_with_their_values() {
        let latencies = Latencies {
            accepted: Latency::of([1_000, 2_000, 9_000].into_iter()),
            verified: Latency::of((1..=100_000_u64).map(|us| us * 10)),
            ..Latencies::default()
        };
        let series = Series {
            step_seconds: 0.1,
            offered: vec![30.0, 0.0, 0.0],
            accepted: vec![10.0, 20.0, 0.0],
            included: vec![0.0, 10.0, 20.0],
        };
        let drawing = draw(&report(latencies, series));
        let lines = lines(&drawing);
        assert_eq!(lines.len(), 5);
        for (index, points) in lines.iter().enumerate() {
            let (top, bottom) = if index < 3 { RATES } else { LATENCIES };
            for (x, y) in points {
                assert!(
                    (LEFT..=RIGHT).contains(x) && (top..=bottom).contains(y),
                    "{x} {y}"
                );
            }
            assert!(points.is_sorted_by(|one, other| one.0 <= other.0));
        }
        assert!(lines[0][0].1 < lines[1][0].1, "30 stands above 10");
        assert!(lines[4].is_sorted_by(|one, other| one.1 >= other.1));
        assert!(
            lines[4].last().unwrap().0 > lines[3].last().unwrap().0,
            "more nines"
        );
        assert!(drawing.contains(">99.9 %<") && !drawing.contains("<b>"));
    }

    #[test]
    fn of_nothing_there_is_a_drawing_too() {
        let drawing = draw(&report(Latencies::default(), Series::default()));
        assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"));
    }
}
