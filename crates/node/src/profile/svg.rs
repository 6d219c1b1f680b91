//! A profile as one drawing: who executes what, and where in the block the hot places are touched.
//!
//! ```text
//! ┌ title ──────────────────────────┐
//! │ worker 0 ▇▇▇▇ ▇▇▇▇▇▇  ▇▇▇       │   what workers did, in microseconds; or would do, in gas
//! ├─────────────────────────────────┤
//! │ 0x… slot 0x0  ░▒▓█▓▒░           │   a row for each place, a column for each part of the block
//! └─────────────────────────────────┘
//! ```
//! Readable on a light and on a dark page; what ran again is told apart by its outline too, and heat by the
//! numbers beside it. Nothing is loaded from elsewhere. Limit: [`PLACES_MAX`] places.

use super::{Profiled, text};
use crate::chart::{Axis, escape, grouped, short};
use rpc::RpcHotPlace;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 936.0;
const TOP: f64 = 92.0;
/// Of one worker.
const LANE: f64 = 20.0;
/// Of one place.
const ROW: f64 = 24.0;
/// Where the parts of a block begin, right of a place's name, and end, left of its numbers.
const HEAT: (f64, f64) = (344.0, 800.0);
const PLACES_MAX: usize = 16;

const STYLE: &str = r#"
svg { color-scheme: light dark; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.page { fill: #fbfbfc; stroke: #d5dae1; }
text { fill: #4d5866; font-variant-numeric: tabular-nums; }
.mono { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 12px; }
.title { fill: #17202b; font-size: 17px; font-weight: 600; }
.strong { fill: #17202b; font-weight: 600; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.grid { stroke: #e2e6ec; }
.ran { fill: #1f63c6; }
.again { fill: #f0b27a; stroke: #b8560a; }
.heat { fill: #c2410c; }
.cold { fill: #e9ecf1; }
@media (prefers-color-scheme: dark) {
  .page { fill: #14191f; stroke: #303a46; }
  text { fill: #a7b3c1; }
  .title, .strong { fill: #eaeef3; }
  .grid { stroke: #29323d; }
  .ran { fill: #6ea8ff; }
  .again { fill: #6b4420; stroke: #f0a050; }
  .heat { fill: #ff8a4c; }
  .cold { fill: #222b35; }
}
"#;

/// What a worker does without pause.
struct Bar {
    worker: usize,
    transaction: usize,
    count: usize,
    start: f64,
    end: f64,
    again: bool,
}

/// Who executes what.
struct Lanes {
    heading: &'static str,
    unit: &'static str,
    workers: usize,
    bars: Vec<Bar>,
}

/// The whole file.
pub(super) fn draw(profiled: &Profiled) -> String {
    let lanes = Lanes::new(profiled);
    let places = profiled.profile.hot_places.iter().take(PLACES_MAX);
    let places: Vec<&RpcHotPlace> = places.collect();
    let heat_top = TOP + LANE * lanes.workers.max(1) as f64 + 84.0;
    let height = heat_top + ROW * places.len().max(1) as f64 + 30.0;
    let title = escape(&title(profiled));
    let description = escape(&profiled.profile.advice.join(" "));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title description\">\n<title id=\"title\">{title}</title>\n<desc id=\"description\">{description}</desc>\n<style>{STYLE}</style>\n<rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"10\"/>\n{}{}{}</svg>\n",
        WIDTH - 1.0,
        height - 1.0,
        words("title", 20.0, 34.0, &title),
        lanes.draw(),
        heat(&places, heat_top),
    )
}

fn title(profiled: &Profiled) -> String {
    let profile = &profiled.profile;
    let what = match profile.hash.is_zero() {
        true => profiled.source.clone(),
        false => format!("Block {}", grouped(profile.height.to::<u64>())),
    };
    format!(
        "{what}: {} of {} transactions wait, longest chain {} of the gas",
        grouped(profile.waiting_count),
        grouped(profile.transaction_count),
        text::percent(profile.critical_path.gas_permille)
    )
}

impl Lanes {
    /// What was kept of the execution; without it what the schedule would do.
    fn new(profiled: &Profiled) -> Self {
        if !profiled.spans.is_empty() {
            let bars = profiled.spans.iter().map(|span| Bar {
                worker: span.worker,
                transaction: span.transaction,
                count: 1,
                start: span.start_us as f64,
                end: span.end_us as f64,
                again: span.again,
            });
            return Self::of(
                "Executed by worker, in microseconds; outlined is what was executed again",
                " µs",
                bars.collect(),
            );
        }
        let schedule = profiled.profile.schedule.iter();
        let bars = schedule
            .flat_map(|schedule| &schedule.spans)
            .map(|span| Bar {
                worker: span.worker,
                transaction: span.transaction,
                count: span.transaction_count,
                start: span.start_gas as f64,
                end: span.end_gas as f64,
                again: false,
            });
        Self::of(
            "Schedule by worker, if each transaction took as long as its gas is much",
            " gas",
            bars.collect(),
        )
    }

    fn of(heading: &'static str, unit: &'static str, bars: Vec<Bar>) -> Self {
        let workers = bars.iter().map(|bar| bar.worker + 1).max();
        Self {
            heading,
            unit,
            workers: workers.unwrap_or(0),
            bars,
        }
    }

    fn draw(&self) -> String {
        let mut drawing = words("strong", 20.0, TOP - 26.0, self.heading);
        if self.bars.is_empty() {
            return drawing
                + &words(
                    "",
                    LEFT,
                    TOP + 14.0,
                    "Nothing but plain transfers was executed.",
                );
        }
        let last = self.bars.iter().map(|bar| bar.end).fold(0.0, f64::max);
        let axis = Axis::new(last, LEFT, RIGHT);
        let bottom = TOP + LANE * self.workers as f64;
        for tick in axis.ticks() {
            let x = axis.at(tick);
            let label = match tick >= 10_000.0 {
                true => grouped(format!("{tick:.0}")),
                false => short(tick),
            };
            drawing.push_str(&format!(
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\n"
            ));
            drawing.push_str(&words(
                "middle",
                x,
                bottom + 18.0,
                &format!("{label}{}", self.unit),
            ));
        }
        for worker in 0..self.workers {
            let y = TOP + LANE * worker as f64 + 14.0;
            drawing.push_str(&words("end", LEFT - 10.0, y, &format!("worker {worker}")));
        }
        let bars = self.bars.iter().map(|bar| bar.draw(&axis));
        drawing.extend(bars);
        drawing
    }
}

impl Bar {
    fn draw(&self, axis: &Axis) -> String {
        let (from, to) = (axis.at(self.start), axis.at(self.end));
        let y = TOP + LANE * self.worker as f64 + 3.0;
        let class = if self.again { "again" } else { "ran" };
        let (width, height) = ((to - from - 0.4).max(0.6), LANE - 6.0);
        let name = match self.count {
            1 => format!("transaction {}", self.transaction),
            count => format!(
                "transactions {} to {}",
                self.transaction,
                self.transaction + count - 1
            ),
        };
        let again = if self.again { ", again" } else { "" };
        format!(
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\"><title>{name}{again}</title></rect>\n"
        )
    }
}

fn heat(places: &[&RpcHotPlace], top: f64) -> String {
    let heading = "Hot places, and where in the block they are touched, first transaction to last";
    let mut drawing = words("strong", 20.0, top - 20.0, heading);
    if places.is_empty() {
        return drawing + &words("", 20.0, top + 16.0, "No transaction waits for another.");
    }
    let counts = places.iter().flat_map(|place| &place.spread);
    let most = counts.copied().max().unwrap_or(1).max(1) as f64;
    for (index, place) in places.iter().enumerate() {
        drawing.push_str(&heat_row(place, top + ROW * index as f64, most));
    }
    drawing
}

fn heat_row(place: &RpcHotPlace, y: f64, most: f64) -> String {
    let (from, to) = HEAT;
    let name = text::where_is(place.address, place.slot);
    let name = format!("{name} {}", text::kind(&place.kind));
    let mut row = words("mono", 20.0, y + 15.0, &escape(&name));
    let step = (to - from) / place.spread.len().max(1) as f64;
    for (part, count) in place.spread.iter().enumerate() {
        let x = from + step * part as f64;
        let (width, height) = ((step - 1.0).max(0.5), ROW - 6.0);
        let style = match count {
            0 => "class=\"cold\"".to_owned(),
            count => format!(
                "class=\"heat\" fill-opacity=\"{:.2}\"",
                0.15 + 0.85 * *count as f64 / most
            ),
        };
        row.push_str(&format!(
            "<rect {style} x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\"><title>{count} transactions</title></rect>\n"
        ));
    }
    let numbers = format!(
        "{} wait, {}",
        grouped(place.waiting_count),
        text::percent(place.waiting_permille)
    );
    row + &words("end", RIGHT, y + 15.0, &numbers)
}

/// Words that are escaped already.
fn words(class: &str, x: f64, y: f64, words: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{words}</text>\n")
}
