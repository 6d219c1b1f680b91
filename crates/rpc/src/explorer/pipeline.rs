//! The pipeline of recent blocks as a drawing: a lane for each stage, a strand for each block.
//!
//! ```text
//!            ◀── window_ms ──▶ now
//! proposed   •   •   •   •   •
//! notarized   \•  \•  \•  \•          a block goes down and right; a slope is the time between two stages,
//! finalized     \•  \•  \•            and what is cut off at the right is in flight
//! executed       ▬•  ▬•  ▬•           ▬ the time that its execution took
//! verified           \•  \•            a bar at the end of a strand: it left the pipeline there
//! ```
//! The lanes are the stages of a [`Way`]. Pure: times in, coordinates out. The drawing is 1000 wide and as high as its
//! lanes whatever its size on the screen; dots are lines without a length, so they stay round. Limit:
//! [`STRANDS_MAX`] blocks, by a shorter window.

use super::{
    format,
    stages::{self, Times, Way},
};
use std::{fmt::Write as _, time::Duration};

/// Blocks drawn at the same time.
pub(super) const STRANDS_MAX: usize = 96;
/// The longest time that is drawn.
const WINDOW_MS_MAX: u64 = 8_000;
/// The shortest.
const WINDOW_MS_MIN: u64 = 1_000;
/// Steps in which the window grows, so that it does not breathe.
const WINDOW_STEP_MS: u64 = 1_000;
/// Width of the drawing.
const WIDTH: u64 = 1_000;
/// Height of a lane.
const LANE: u64 = 44;
/// Half of the length of the bar where a strand ends before its time.
const BAR: u64 = 9;
/// Seconds from which on only every second one is marked.
const MARKED_SECONDS: u64 = 4;

/// One block.
#[derive(Clone, Debug)]
pub(super) struct Strand {
    pub(super) height: u64,
    pub(super) times: Times,
    /// How long its execution took.
    pub(super) executed_for: Option<Duration>,
    /// When it left the pipeline before its end.
    pub(super) left_ms: Option<u64>,
}

/// One stage.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) number: usize,
    /// The middle of it.
    pub(super) y: u64,
    /// The newest block that reached it.
    pub(super) newest: Option<u64>,
    /// Blocks that are in it now.
    pub(super) here: usize,
    /// Median time since the stage before.
    pub(super) since: Option<String>,
    /// Its dots.
    pub(super) dots: String,
}

/// The drawing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Drawing {
    pub(super) window_ms: u64,
    pub(super) height: u64,
    pub(super) lanes: Vec<Lane>,
    /// Strands of blocks that reached the last stage, and of those in flight.
    pub(super) settled: String,
    pub(super) in_flight: String,
    pub(super) executions: String,
    /// Bars where strands end before their time.
    pub(super) left: String,
    /// Blocks that are on their way.
    pub(super) in_flight_count: usize,
    /// Where a second begins, and what it is called.
    pub(super) ticks: Vec<(u64, String)>,
}

/// Draws blocks, oldest first.
pub(super) fn draw(way: &Way, now_ms: u64, strands: &[Strand]) -> Drawing {
    let strands = strands.get(strands.len().saturating_sub(STRANDS_MAX)..);
    let strands = strands.unwrap_or_default();
    let window_ms = window(now_ms, strands);
    let scale = Scale { now_ms, window_ms };
    let mut drawing = Drawing {
        window_ms,
        height: y(way.names.len()).saturating_sub(LANE / 2),
        lanes: lanes(way, &scale, strands),
        settled: String::new(),
        in_flight: String::new(),
        executions: String::new(),
        left: String::new(),
        in_flight_count: 0,
        ticks: ticks(window_ms),
    };
    for strand in strands {
        let reached = stages::reached(&strand.times);
        let is_over = reached == way.end() || strand.left_ms.is_some();
        drawing.in_flight_count += usize::from(!is_over);
        let path = match is_over {
            true => &mut drawing.settled,
            false => &mut drawing.in_flight,
        };
        scale.strand(path, &strand.times);
        if let Some(left_ms) = strand.left_ms {
            let (x, y) = (scale.x(left_ms), y(reached));
            push(path, format_args!("H{x}"));
            push(
                &mut drawing.left,
                format_args!("M{x} {}V{}", y - BAR, y + BAR),
            );
        }
        drawing.executions += &scale.execution(way, strand);
    }
    drawing
}

fn ticks(window_ms: u64) -> Vec<(u64, String)> {
    let seconds = window_ms / 1_000;
    let step = if seconds > MARKED_SECONDS { 2 } else { 1 };
    let ticks = (1..seconds).filter(|second| second.is_multiple_of(step));
    let ticks = ticks.map(|second| {
        let x = WIDTH.saturating_sub(second * WIDTH / seconds.max(1));
        (x, format!("−{second} s"))
    });
    ticks.collect()
}

/// How far back the drawing goes: as far as the blocks that are drawn at most, within limits.
fn window(now_ms: u64, strands: &[Strand]) -> u64 {
    let oldest = strands
        .iter()
        .find_map(|strand| stages::first(&strand.times));
    let is_full = strands.len() >= STRANDS_MAX;
    let span = match oldest {
        Some(oldest) if is_full => now_ms.saturating_sub(oldest),
        _ => WINDOW_MS_MAX,
    };
    let steps = (span / WINDOW_STEP_MS).saturating_mul(WINDOW_STEP_MS);
    steps.clamp(WINDOW_MS_MIN, WINDOW_MS_MAX)
}

fn lanes(way: &Way, scale: &Scale, strands: &[Strand]) -> Vec<Lane> {
    let lane = |(number, name): (usize, &&'static str)| {
        let mut dots = String::new();
        let mut waits = Vec::new();
        let mut newest = None;
        for strand in strands {
            let Some(time) = strand.times.get(number).copied().flatten() else {
                continue;
            };
            newest = newest.max(Some(strand.height));
            push(
                &mut dots,
                format_args!("M{} {}h0", scale.x(time), y(number)),
            );
            let before = strand.times.iter().take(number).flatten().max();
            waits.extend(before.map(|before| time.saturating_sub(*before)));
        }
        let here =
            |strand: &&Strand| stages::reached(&strand.times) == number && strand.left_ms.is_none();
        Lane {
            name,
            number,
            y: y(number),
            newest,
            here: strands.iter().filter(here).count(),
            since: median(waits).map(format::milliseconds),
            dots,
        }
    };
    way.names.iter().enumerate().map(lane).collect()
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

const fn y(lane: usize) -> u64 {
    LANE * lane as u64 + LANE / 2
}

/// Where times are in a drawing.
pub(super) struct Scale {
    pub(super) now_ms: u64,
    pub(super) window_ms: u64,
}

impl Scale {
    /// Where a time is; what is older than the window is left of the drawing.
    pub(super) fn x(&self, time_ms: u64) -> i64 {
        let ago = self
            .now_ms
            .saturating_sub(time_ms)
            .min(self.window_ms.saturating_mul(4));
        let left = ago.saturating_mul(WIDTH) / self.window_ms.max(1);
        i64::try_from(WIDTH).unwrap_or(i64::MAX) - i64::try_from(left).unwrap_or(i64::MAX)
    }

    fn strand(&self, path: &mut String, times: &Times) {
        let mut letter = 'M';
        for (lane, time) in times.iter().enumerate() {
            let Some(time) = time else { continue };
            push(path, format_args!("{letter}{} {}", self.x(*time), y(lane)));
            letter = 'L';
        }
    }

    /// The bar of a block's execution, where that is a stage.
    fn execution(&self, way: &Way, strand: &Strand) -> String {
        let mut bar = String::new();
        let stage = way.executed.unwrap_or(usize::MAX);
        let executed = strand.times.get(stage).copied().flatten();
        if let Some((end, took)) = executed.zip(strand.executed_for) {
            let took = u64::try_from(took.as_millis()).unwrap_or(self.window_ms);
            let (from, to) = (self.x(end.saturating_sub(took)), self.x(end));
            push(&mut bar, format_args!("M{from} {}H{to}", y(stage)));
        }
        bar
    }
}

/// Adds to a path.
pub(super) fn push(path: &mut String, piece: std::fmt::Arguments<'_>) {
    path.write_fmt(piece)
        .expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strand(height: u64, times: [u64; stages::COUNT]) -> Strand {
        Strand {
            height,
            times: times.map(|time| (time > 0).then_some(time)),
            executed_for: None,
            left_ms: None,
        }
    }

    #[test]
    fn blocks_move_left_and_down() {
        let strands = [
            strand(1, [92_000, 92_800, 93_600, 94_400, 96_000]),
            strand(2, [96_000, 0, 98_000, 0, 0]),
        ];
        let drawing = draw(&stages::RELAY, 100_000, &strands);
        assert_eq!(drawing.window_ms, 8_000);
        assert_eq!(drawing.settled, "M0 22L100 66L200 110L300 154L500 198");
        assert_eq!(drawing.in_flight, "M500 22L750 110");
        assert_eq!(drawing.in_flight_count, 1);
        let finalized = &drawing.lanes[2];
        assert_eq!(finalized.newest, Some(2));
        assert_eq!(finalized.here, 1);
        assert_eq!(finalized.since.as_deref(), Some("2.00 s"));
        assert_eq!(finalized.dots, "M200 110h0M750 110h0");
    }

    #[test]
    fn many_blocks_shorten_the_window() {
        let strands: Vec<_> = (0..500)
            .map(|height| strand(height, [height * 25 + 1; stages::COUNT]))
            .collect();
        let drawing = draw(&stages::RELAY, 500 * 25, &strands);
        assert_eq!(drawing.window_ms, 2_000);
        assert_eq!(drawing.settled.matches('M').count(), STRANDS_MAX);
        assert_eq!(draw(&stages::RELAY, 1, &[]).window_ms, WINDOW_MS_MAX);
    }

    #[test]
    fn execution_is_drawn_as_long_as_it_took() {
        let mut slow = strand(1, [92_000, 92_000, 92_000, 96_000, 0]);
        slow.executed_for = Some(Duration::from_millis(800));
        let drawing = draw(&stages::RELAY, 100_000, &[slow]);
        assert_eq!(drawing.executions, "M400 154H500");
    }

    #[test]
    fn what_leaves_before_its_end_is_in_flight_no_more() {
        let mut gone = strand(7, [92_000, 94_000, 0, 0, 0]);
        gone.left_ms = Some(96_000);
        let drawing = draw(&stages::CANDIDATE, 100_000, &[gone]);
        assert_eq!(drawing.height, 4 * LANE);
        assert_eq!(
            (drawing.in_flight.as_str(), drawing.in_flight_count),
            ("", 0)
        );
        assert_eq!(drawing.settled, "M0 22L250 66H500");
        assert_eq!(drawing.left, "M500 57V75");
        assert_eq!(drawing.lanes.iter().map(|lane| lane.here).sum::<usize>(), 0);
    }

    #[test]
    fn the_last_stage_is_that_of_the_way() {
        let times = [96_000, 97_000, 98_000, 99_000, 0];
        let drawing = draw(&stages::CANDIDATE, 100_000, &[strand(1, times)]);
        assert_eq!(drawing.in_flight_count, 0);
        let drawing = draw(&stages::RELAY, 100_000, &[strand(1, times)]);
        assert_eq!(drawing.in_flight_count, 1);
    }
}
