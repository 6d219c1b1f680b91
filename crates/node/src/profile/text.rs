//! A profile as text: figures, hot places as a table, and what to do about them.
//!
//! Lines are at most as long as the terminal is wide; without one they are [`WIDTH_DEFAULT`] characters.
//! Colours are decoration: everything is said without them.

use super::Profiled;
use crate::chart::grouped;
use alloy_primitives::{Address, B256, U256};
use rpc::{RpcFunction, RpcHotPlace, RpcProfile};

/// Characters of a line where nobody says how wide the terminal is.
pub const WIDTH_DEFAULT: usize = 100;
/// Fewer make the table useless.
const WIDTH_MIN: usize = 60;
/// Places that are shown.
const PLACES_SHOWN: usize = 12;
/// Characters left of what the figures are called.
const NAME: usize = 14;

/// How to write for whoever reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Characters of a line.
    pub width: usize,
    /// Whether escape sequences are understood.
    pub color: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            width: WIDTH_DEFAULT,
            color: false,
        }
    }
}

pub(super) fn render(profiled: &Profiled, style: Style) -> String {
    let style = Style {
        width: style.width.max(WIDTH_MIN),
        ..style
    };
    let profile = &profiled.profile;
    let mut text = style.strong(&heading(profiled));
    text.push('\n');
    if profile.transaction_count > 0 {
        text.push_str(&figures(profile, style.width));
    }
    if !profile.hot_places.is_empty() {
        text.push('\n');
        text.push_str(&places(profile, style));
    }
    text.push('\n');
    text.push_str(&style.strong("What to do"));
    text.push('\n');
    for sentence in &profile.advice {
        text.push_str(&wrapped("  -", sentence, style.width));
    }
    text
}

fn heading(profiled: &Profiled) -> String {
    let profile = &profiled.profile;
    let counts = format!(
        "{} transactions, {} gas",
        grouped(profile.transaction_count),
        grouped(profile.gas_used)
    );
    match profile.hash.is_zero() {
        true => format!("{}: {counts}", profiled.source),
        false => format!(
            "Block {} {}: {counts}",
            grouped(profile.height.to::<u64>()),
            middle(&profile.hash.to_string(), 10)
        ),
    }
}

fn figures(profile: &RpcProfile, width: usize) -> String {
    let line = |name: &str, text: &str| wrapped(&format!("  {name:NAME$}"), text, width);
    let path = &profile.critical_path;
    let mut text = line(
        "Waiting",
        &format!(
            "{} transactions with {} of the gas, at {} places",
            grouped(profile.waiting_count),
            percent(profile.waiting_gas.saturating_mul(1_000) / profile.gas_used.max(1)),
            grouped(profile.place_count)
        ),
    );
    text.push_str(&line(
        "Longest chain",
        &format!(
            "{} transactions with {} of the gas ({} by count alone)",
            grouped(path.transaction_count),
            percent(path.gas_permille),
            grouped(path.transaction_count_max)
        ),
    ));
    let bounds = profile
        .speedups
        .iter()
        .map(|speedup| format!("{}: {}x", speedup.workers, times(speedup.bound_permille)));
    let bounds: Vec<String> = bounds.collect();
    text.push_str(&line("At best", &format!("workers {}", bounds.join("  "))));
    if let Some(run) = &profile.execution {
        let busy = run.busy_permille.map_or_else(String::new, |busy| {
            format!(", workers {} busy", percent(busy))
        });
        let way = match run.way.as_str() {
            "inOrder" => "one by one",
            "listed" => "by its access list",
            _ => "in parallel",
        };
        text.push_str(&line(
            "Executed here",
            &format!(
                "{way} on {} in {:.1} ms, {} again{busy}",
                plural(run.workers, "worker"),
                run.execute_us as f64 / 1_000.0,
                grouped(run.reexecutions)
            ),
        ));
    }
    text
}

fn places(profile: &RpcProfile, style: Style) -> String {
    let shown = profile.hot_places.iter().take(PLACES_SHOWN);
    let mut rows =
        vec![["waiting", "gas", "of path", "kind", "place", "called by"].map(str::to_owned)];
    rows.extend(shown.map(row));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::from("  ");
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = match column < 3 {
                true => format!("{cell:>width$}  "),
                false => format!("{cell:width$}  "),
            };
            line.push_str(&cell);
        }
        let line = cut(line.trim_end(), style.width);
        text.push_str(&match number {
            0 => style.strong(&line),
            _ => line,
        });
        text.push('\n');
    }
    let more = profile.place_count.saturating_sub(PLACES_SHOWN);
    if more > 0 {
        text.push_str(&format!("  and {} more places\n", grouped(more)));
    }
    text
}

fn row(place: &RpcHotPlace) -> [String; 6] {
    [
        grouped(place.waiting_count),
        percent(place.waiting_permille),
        percent(place.critical_permille),
        kind(&place.kind).to_owned(),
        where_is(place.address, place.slot),
        place.functions.first().map_or_else(String::new, |first| {
            let others = place.functions.len().saturating_sub(1);
            match others {
                0 => function(first),
                _ => format!("{} +{others}", function(first)),
            }
        }),
    ]
}

/// A kind in words.
pub(crate) fn kind(kind: &str) -> &str {
    match kind {
        "tokenBalance" => "token balance",
        "poolReserves" => "pool reserves",
        other => other,
    }
}

/// A place, short.
pub(crate) fn where_is(address: Address, slot: Option<B256>) -> String {
    let address = middle(&address.to_string(), 6);
    match slot {
        Some(slot) => {
            let slot = format!("{:#x}", U256::from_be_bytes(slot.0));
            format!("{address} slot {}", middle(&slot, 6))
        }
        None => format!("{address} code"),
    }
}

/// A function, short.
pub(crate) fn function(function: &RpcFunction) -> String {
    match (&function.name, function.to) {
        (Some(name), _) => name.clone(),
        (None, Some(_)) => "no input".to_owned(),
        (None, None) => "deployment".to_owned(),
    }
}

/// A paragraph behind what marks it, in lines of a width.
fn wrapped(mark: &str, paragraph: &str, width: usize) -> String {
    let indent = " ".repeat(mark.chars().count());
    let mut text = String::new();
    let mut line = mark.to_owned();
    let mut is_empty = true;
    for word in paragraph.split(' ') {
        let length = line.chars().count() + 1 + word.chars().count();
        if length > width && !is_empty {
            text.push_str(line.trim_end());
            text.push('\n');
            line.clone_from(&indent);
        }
        line.push(' ');
        line.push_str(word);
        is_empty = false;
    }
    text.push_str(line.trim_end());
    text.push('\n');
    text
}

fn cut(line: &str, width: usize) -> String {
    match line.chars().count() > width {
        true => {
            let kept: String = line.chars().take(width.saturating_sub(1)).collect();
            kept + "…"
        }
        false => line.to_owned(),
    }
}

/// Both ends of a long number.
pub(crate) fn middle(text: &str, kept: usize) -> String {
    let count = text.chars().count();
    if count <= 2 * kept + 1 {
        return text.to_owned();
    }
    let start: String = text.chars().take(kept).collect();
    let end: String = text.chars().skip(count - 4).collect();
    format!("{start}…{end}")
}

fn plural(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", grouped(count)),
    }
}

/// Thousandths as percent.
pub(crate) fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// Thousandths as a factor.
fn times(permille: u64) -> String {
    format!("{}.{}", permille / 1_000, permille % 1_000 / 100)
}

impl Style {
    fn strong(self, text: &str) -> String {
        match self.color {
            true => format!("\x1b[1m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}
