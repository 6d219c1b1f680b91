//! `headway bench`: how fast the parts of a node are, one at a time.

pub mod signatures;
pub mod state;

use std::fs;

/// What the operating system says of this process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Seconds of CPU, all threads.
    pub(crate) cpu_s: f64,
    /// Bytes given to the disk.
    pub(crate) written_bytes: u64,
    /// Bytes of memory.
    pub(crate) rss_bytes: u64,
}

/// Ticks of a second in what Linux says of CPU time.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: u64 = 4_096;

impl Usage {
    /// As of now; zeros on a system without `/proc`.
    pub(crate) fn now() -> Self {
        let read =
            |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0u64);
        let stat = read("stat");
        // The name of the program, in parentheses, may have spaces.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |index| number(fields.split_whitespace().nth(index));
        let io = read("io");
        let written = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes: "));
        let statm = read("statm");
        Self {
            cpu_s: seconds(ticks(11).saturating_add(ticks(12))),
            written_bytes: number(written),
            rss_bytes: number(statm.split_whitespace().nth(1)).saturating_mul(PAGE_BYTES),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}
