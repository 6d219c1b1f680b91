//! `headway bench`: how fast the parts of a node are, one at a time.

pub mod cores;
pub mod e2e;
pub mod signatures;
pub mod state;

use std::{collections::BTreeMap, fs};

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

/// CPU by kind of thread: `executor-0` and `executor-1` are one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads {
    ticks: BTreeMap<String, u64>,
}

impl Threads {
    /// As of now; nothing on a system without `/proc`. What has ended is not counted.
    pub(crate) fn now() -> Self {
        let mut ticks = BTreeMap::new();
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
        for task in tasks.flatten() {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            let Some((_, named)) = stat.split_once('(') else {
                continue;
            };
            let Some((name, fields)) = named.rsplit_once(')') else {
                continue;
            };
            let kind =
                name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
            let mut fields = fields.split_whitespace().skip(11);
            let mut field = || {
                fields
                    .next()
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0u64)
            };
            let spent = field().saturating_add(field());
            *ticks.entry(kind.to_owned()).or_insert(0u64) += spent;
        }
        Self { ticks }
    }

    /// Seconds of CPU of each kind since an earlier moment.
    pub(crate) fn since(&self, earlier: &Self) -> Vec<(String, f64)> {
        let spent = self.ticks.iter().map(|(name, ticks)| {
            let before = earlier.ticks.get(name).copied().unwrap_or(0);
            (name.clone(), seconds(ticks.saturating_sub(before)))
        });
        spent.filter(|(_, seconds)| *seconds > 0.0).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}
