//! The report as one page: no script, nothing loaded from elsewhere, light or dark as the reader's
//! system, and a table beside every chart.
//!
//! ```text
//! report ─┬▶ tiles                     text ─escape─▶ page
//!         ├▶ speedup     by block
//!         ├▶ timeline    of the slowest blocks
//!         ├▶ conflicts   by contract, by storage slot
//!         └▶ predictor   by block
//! ```
//! Invariant: text that is not written here passes [`figure::escape`].

mod conflicts;
mod figure;
mod predictor;
mod speedup;
mod timeline;

use super::report::{ReplayReport, mgas};
use figure::{escape, grouped, percent};

const STYLE: &str = include_str!("html/style.css");

/// The whole page.
pub(super) fn page(report: &ReplayReport) -> String {
    let (first, last) = match report.per_block.as_slice() {
        [first, .., last] => (first.height, last.height),
        [only] => (only.height, only.height),
        [] => (0, 0),
    };
    let sections = [
        tiles(report),
        problems(report),
        speedup::section(report),
        timeline::section(report),
        conflicts::section(report),
        predictor::section(report),
    ]
    .concat();
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Headway: {blocks} mainnet blocks replayed</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<h1>{blocks} mainnet blocks, sequentially and in parallel</h1>
<p>{range}; {transactions} transactions, {gas:.1} Mgas. Times are medians of {runs}, on {workers}.</p>
</header>
<main>
{sections}</main>
<footer><p>Made by <code>headway replay</code>. <em>First</em> executes a block of which nothing is known but what earlier
blocks taught; <em>list-driven</em> has the block's access list, as a node that synchronizes has it. A block's state is
in memory. Roots are not part of the times.</p></footer>
</body>
</html>
"#,
        blocks = report.blocks,
        range = match first == last {
            true => format!("Block {first}"),
            false => format!("Blocks {first} to {last}"),
        },
        transactions = grouped(report.transactions),
        gas = mgas(report.gas),
        runs = counted(report.runs, "run"),
        workers = counted(report.workers.get(), "worker"),
    )
}

fn tiles(report: &ReplayReport) -> String {
    let speed = |ms: f64| match ms > 0.0 {
        true => format!("{:.0} Mgas/s", mgas(report.gas) / ms * 1_000.0),
        false => "too short to measure".to_owned(),
    };
    let tiles = [
        (
            "First execution",
            format!("{:.2}×", report.speedup),
            speed(report.parallel_ms),
        ),
        (
            "List-driven",
            format!("{:.2}×", report.list_driven_speedup),
            speed(report.list_driven_ms),
        ),
        (
            "Sequential",
            format!("{:.1} ms", report.sequential_ms),
            speed(report.sequential_ms),
        ),
        (
            "Results as on mainnet",
            format!("{} of {}", report.receipts_matched, report.blocks),
            "blocks, in every run of every way".to_owned(),
        ),
        (
            "Predictor",
            percent(report.predictor_precision),
            format!("precise; recall {}", percent(report.predictor_recall)),
        ),
    ];
    let tiles = tiles.map(|(name, value, note)| {
        let (name, value, note) = (escape(name), escape(&value), escape(&note));
        format!("<div><dt>{name}</dt><dd><strong>{value}</strong><span>{note}</span></dd></div>\n")
    });
    format!("<dl class=\"tiles\">\n{}</dl>\n", tiles.concat())
}

/// What is not as on mainnet, first and loud.
fn problems(report: &ReplayReport) -> String {
    let items: String = report
        .mismatches()
        .map(|mismatch| format!("<li>{}</li>\n", escape(&mismatch.to_string())))
        .collect();
    match items.is_empty() {
        true => String::new(),
        false => format!(
            "<section class=\"problems\" aria-labelledby=\"problems\">\n<h2 id=\"problems\">Not as on mainnet</h2>\n<ul>\n{items}</ul>\n</section>\n"
        ),
    }
}

fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}
