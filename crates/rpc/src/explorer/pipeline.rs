//! The pipeline of recent blocks as a drawing: a lane for each stage, a strand for each block.
//!
//! ```text
//!            ◀── window_ms ──▶ now
//! proposed   •   •   •   •   •
//! notarized   \•  \•  \•  \•          a block goes down and right; a slope is the time between two stages,
//! finalized     \•  \•  \•            and what is cut off at the right is in flight
//! executed       ▬•  ▬•  ▬•           ▬ the time that its execution took
//! verified           \•  \•
//! ```
//! Pure: times in, coordinates out. The drawing is 1000 wide and [`HEIGHT`] high whatever its size on the screen;
//! dots are lines without a length, so they stay round. Limit: [`STRANDS_MAX`] blocks, by a shorter window.

use super::{
    format,
    stages::{self, COUNT, Times},
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
/// Height of the drawing.
pub(super) const HEIGHT: u64 = LANE * COUNT as u64;
/// The lane where execution times are drawn.
const EXECUTED: usize = 3;

/// One block.
#[derive(Clone, Debug)]
pub(super) struct Strand {
    pub(super) height: u64,
    pub(super) times: Times,
    /// How long its execution took.
    pub(super) executed_for: Option<Duration>,
}

/// One stage.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) name: &'static str,
    pub(super) number: usize,
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
    pub(super) lanes: Vec<Lane>,
    /// Strands of blocks that are verified, and of those in flight.
    pub(super) settled: String,
    pub(super) in_flight: String,
    pub(super) executions: String,
    /// Blocks that are not verified.
    pub(super) in_flight_count: usize,
}

/// Draws blocks, oldest first.
pub(super) fn draw(now_ms: u64, strands: &[Strand]) -> Drawing {
    let strands = strands.get(strands.len().saturating_sub(STRANDS_MAX)..);
    let strands = strands.unwrap_or_default();
    let window_ms = window(now_ms, strands);
    let scale = Scale { now_ms, window_ms };
    let mut drawing = Drawing {
        window_ms,
        lanes: lanes(&scale, strands),
        settled: String::new(),
        in_flight: String::new(),
        executions: String::new(),
        in_flight_count: 0,
    };
    for strand in strands {
        let is_settled = stages::reached(&strand.times) + 1 == COUNT;
        drawing.in_flight_count += usize::from(!is_settled);
        let path = match is_settled {
            true => &mut drawing.settled,
            false => &mut drawing.in_flight,
        };
        scale.strand(path, &strand.times);
        let executed = strand.times.get(EXECUTED).copied().flatten();
        if let Some((end, took)) = executed.zip(strand.executed_for) {
            let took = u64::try_from(took.as_millis()).unwrap_or(window_ms);
            let (from, to) = (scale.x(end.saturating_sub(took)), scale.x(end));
            push(
                &mut drawing.executions,
                format_args!("M{from} {}H{to}", y(EXECUTED)),
            );
        }
    }
    drawing
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

fn lanes(scale: &Scale, strands: &[Strand]) -> Vec<Lane> {
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
        let here = |strand: &&Strand| stages::reached(&strand.times) == number;
        Lane {
            name,
            number,
            newest,
            here: strands.iter().filter(here).count(),
            since: median(waits).map(format::milliseconds),
            dots,
        }
    };
    stages::NAMES.iter().enumerate().map(lane).collect()
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

const fn y(lane: usize) -> u64 {
    LANE * lane as u64 + LANE / 2
}

struct Scale {
    now_ms: u64,
    window_ms: u64,
}

impl Scale {
    /// Where a time is; what is older than the window is left of the drawing.
    fn x(&self, time_ms: u64) -> i64 {
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
}

fn push(path: &mut String, piece: std::fmt::Arguments<'_>) {
    path.write_fmt(piece)
        .expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strand(height: u64, times: [u64; COUNT]) -> Strand {
        Strand {
            height,
            times: times.map(|time| (time > 0).then_some(time)),
            executed_for: None,
        }
    }

    #[test]
    fn blocks_move_left_and_down() {
        let strands = [
            strand(1, [92_000, 92_800, 93_600, 94_400, 96_000]),
            strand(2, [96_000, 0, 98_000, 0, 0]),
        ];
        let drawing = draw(100_000, &strands);
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
            .map(|height| strand(height, [height * 25 + 1; COUNT]))
            .collect();
        let drawing = draw(500 * 25, &strands);
        assert_eq!(drawing.window_ms, 2_000);
        assert_eq!(drawing.settled.matches('M').count(), STRANDS_MAX);
        assert_eq!(draw(1, &[]).window_ms, WINDOW_MS_MAX);
    }

    #[test]
    fn execution_is_drawn_as_long_as_it_took() {
        let mut slow = strand(1, [92_000, 92_000, 92_000, 96_000, 0]);
        slow.executed_for = Some(Duration::from_millis(800));
        let drawing = draw(100_000, &[slow]);
        assert_eq!(drawing.executions, "M400 154H500");
    }
}
