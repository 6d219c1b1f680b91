//! Where transactions wait for each other: by contract, and by the place inside it.
//!
//! At most [`ROWS_SHOWN`] of each, those with most waiting.

use super::figure::{Axis, Figure, Table, WIDTH, escape, grouped};
use crate::replay::{report::ReplayReport, ways::Conflict};
use alloy_primitives::{Address, U256};
use std::{cmp::Reverse, collections::BTreeMap};

const ROWS_SHOWN: usize = 15;
const ROW: f64 = 26.0;
/// Where bars begin, right of their names.
const NAMES: f64 = 300.0;
/// Room for the number behind the longest bar.
const NUMBERS: f64 = 70.0;

/// A contract, or a place inside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Contract(Address),
    Account(Address),
    Storage(Address, U256),
}

#[derive(Default)]
struct Sum {
    waits: u64,
    transactions: u64,
    blocks: u64,
}

pub(super) fn section(report: &ReplayReport) -> String {
    let by_contract = figure(report, "contracts", "Conflicts by contract", &|conflict| {
        Place::Contract(conflict.address)
    });
    let by_place = figure(
        report,
        "places",
        "Conflicts by storage slot",
        &|conflict| match conflict.storage_slot {
            Some(key) => Place::Storage(conflict.address, key),
            None => Place::Account(conflict.address),
        },
    );
    let body = match by_contract.is_empty() {
        true => "<p class=\"none\">No transaction waited for another.</p>\n".to_owned(),
        false => format!("<h3>By contract</h3>\n{by_contract}<h3>By storage slot</h3>\n{by_place}"),
    };
    format!(
        "<section aria-labelledby=\"conflicts\">\n<h2 id=\"conflicts\">Conflicts</h2>\n<p>How often a transaction of a first execution had to wait for, or run again because of, an earlier one, all blocks together.</p>\n{body}</section>\n"
    )
}

fn figure(
    report: &ReplayReport,
    id: &str,
    caption: &str,
    place_of: &dyn Fn(&Conflict) -> Place,
) -> String {
    let rows = most(report, place_of);
    let Some((place, first)) = rows.first() else {
        return String::new();
    };
    let axis = Axis::new(first.waits as f64, NAMES, WIDTH - NUMBERS);
    let drawing = rows.iter().enumerate();
    let drawing = drawing.map(|(index, (place, sum))| bar(place, sum, &axis, ROW * index as f64));
    let figure = Figure {
        id,
        description: format!(
            "{} bars, the longest for {} with {} waits.",
            rows.len(),
            place.full(),
            grouped(first.waits)
        ),
        height: ROW * rows.len() as f64,
        drawing: drawing.collect(),
        legend: &[],
        table: Table {
            caption: caption.to_owned(),
            head: &["place", "waits", "transactions", "blocks"],
            rows: rows
                .iter()
                .map(|(place, sum)| {
                    vec![
                        place.full(),
                        grouped(sum.waits),
                        grouped(sum.transactions),
                        grouped(sum.blocks),
                    ]
                })
                .collect(),
        },
    };
    figure.render()
}

/// The places with most waits, most first.
fn most(report: &ReplayReport, place_of: &dyn Fn(&Conflict) -> Place) -> Vec<(Place, Sum)> {
    let mut sums: BTreeMap<Place, Sum> = BTreeMap::new();
    for block in &report.per_block {
        let mut of_block: BTreeMap<Place, Sum> = BTreeMap::new();
        for conflict in &block.trace.conflicts {
            let sum = of_block.entry(place_of(conflict)).or_default();
            sum.waits = sum.waits.saturating_add(conflict.waits);
            sum.transactions = sum.transactions.saturating_add(conflict.transactions);
        }
        for (place, of_block) in of_block {
            let sum = sums.entry(place).or_default();
            sum.waits = sum.waits.saturating_add(of_block.waits);
            sum.transactions = sum.transactions.saturating_add(of_block.transactions);
            sum.blocks += 1;
        }
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(place, sum)| (Reverse(sum.waits), *place));
    sums.truncate(ROWS_SHOWN);
    sums
}

fn bar(place: &Place, sum: &Sum, axis: &Axis, y: f64) -> String {
    let (from, to) = (axis.at(0.0), axis.at(sum.waits as f64));
    let (name, full) = (escape(&place.short()), escape(&place.full()));
    let (width, text_y, bar_y) = ((to - from).max(1.0), y + 17.0, y + 4.0);
    let (name_x, number_x, waits) = (NAMES - 10.0, to + 8.0, grouped(sum.waits));
    format!(
        "<text class=\"end mono\" x=\"{name_x}\" y=\"{text_y}\">{name}</text><rect class=\"first\" x=\"{from}\" y=\"{bar_y}\" width=\"{width:.1}\" height=\"18\" rx=\"2\"><title>{full}: {waits} waits</title></rect><text x=\"{number_x:.1}\" y=\"{text_y}\">{waits}</text>\n"
    )
}

impl Place {
    fn full(&self) -> String {
        match self {
            Self::Contract(address) => address.to_string(),
            Self::Account(address) => format!("{address} balance, nonce or code"),
            Self::Storage(address, key) => format!("{address} slot {key:#x}"),
        }
    }

    fn short(&self) -> String {
        match self {
            Self::Contract(address) => address.to_string(),
            Self::Account(address) => format!("{} account", middle(&address.to_string())),
            Self::Storage(address, key) => {
                let address = middle(&address.to_string());
                format!("{address} slot {}", middle(&format!("{key:#x}")))
            }
        }
    }
}

/// Both ends of a long number.
fn middle(text: &str) -> String {
    match (text.get(..6), text.len().checked_sub(4)) {
        (Some(start), Some(end)) if text.len() > 14 => {
            format!("{start}…{}", text.get(end..).unwrap_or_default())
        }
        _ => text.to_owned(),
    }
}
