//! The table, and the same as JSON.

use crate::clock::Cost;
use serde::Serialize;
use std::fs;

/// What was measured where.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: String,
    pub(crate) load_before: String,
    pub(crate) load_after: String,
    pub(crate) updates: usize,
    pub(crate) rounds: usize,
    pub(crate) rows: Vec<Row>,
}

/// One trie, or one of the things that are measured of it.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) trie: String,
    pub(crate) keys: u64,
    /// The median of the rounds, as the next one.
    pub(crate) cpu_s: f64,
    pub(crate) wall_s: f64,
    pub(crate) rounds: Vec<Cost>,
    pub(crate) build: Cost,
}

impl Report {
    #[expect(clippy::print_stdout, reason = "a bench reports")]
    pub(crate) fn print(&self, json: bool) {
        match json {
            true => {
                eprint!("{}", self.table());
                println!(
                    "{}",
                    serde_json::to_string(self).expect("numbers and strings")
                );
            }
            false => print!("{}", self.table()),
        }
    }

    fn table(&self) -> String {
        let mut table = format!(
            "{}; load {} before, {} after; medians of {} rounds of {} updates\n\n",
            self.machine, self.load_before, self.load_after, self.rounds, self.updates
        );
        table += "| trie | keys | CPU s (least) | wall s (least) | CPU µs per update |\n";
        table += "|---|---:|---:|---:|---:|\n";
        for row in &self.rows {
            table += &row.line(self.updates);
        }
        table
    }
}

impl Row {
    #[expect(clippy::cast_precision_loss, reason = "a count of updates")]
    fn line(&self, updates: usize) -> String {
        let least = |of: fn(&Cost) -> f64| self.rounds.iter().map(of).fold(f64::NAN, f64::min);
        format!(
            "| {} | {} | {:.3} ({:.3}) | {:.3} ({:.3}) | {:.2} |\n",
            self.trie,
            self.keys,
            self.cpu_s,
            least(|cost| cost.cpu_s),
            self.wall_s,
            least(|cost| cost.wall_s),
            self.cpu_s * 1e6 / updates as f64,
        )
    }
}

/// The processor and how many of its cores there are.
pub(crate) fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = named.map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{name}, {cores} cores")
}

/// How many threads wanted to run in the last minute, on average.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
