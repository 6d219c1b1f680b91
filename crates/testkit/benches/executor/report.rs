//! What the rounds gave: a table for people, an object for scripts, and where it was measured.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench talks to people and scripts"
)]

use crate::{
    options::Options,
    rounds::Samples,
    scaling::Scaling,
    subject::{Subject, Way},
};
use serde::Serialize;
use std::{fs, thread};

/// Width of the first column, and of the others.
const NAME_WIDTH: usize = 44;
const CELL_WIDTH: usize = 19;

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: String,
    /// Load averages over 1, 5 and 15 minutes.
    load_before: String,
    load_after: String,
    rounds: usize,
    benches: Vec<Figures>,
    /// In virtual time.
    scaling: Vec<Scaling>,
    #[serde(skip)]
    is_json: bool,
}

/// One way of executing one block.
#[derive(Debug, Serialize)]
struct Figures {
    name: String,
    workload: String,
    transactions: usize,
    gas_used: u64,
    way: &'static str,
    workers: usize,
    median_ms: f64,
    min_ms: f64,
    /// Median time of sequential execution over this one.
    speedup: f64,
    reexecutions: usize,
}

impl Report {
    /// Says where and how it is measured, and heads the table.
    pub(crate) fn begin(options: &Options, ways: &[Way]) -> Self {
        let report = Self {
            machine: machine(),
            load_before: load(),
            load_after: String::new(),
            rounds: options.rounds,
            benches: Vec::new(),
            scaling: Vec::new(),
            is_json: options.is_json,
        };
        report.line(&format!("machine  {}", report.machine));
        report.line(&format!("load     {}", report.load_before));
        report.line(&format!(
            "rounds   {}; cells: median / minimum in ms, and how often the median is in the sequential one\n",
            report.rounds
        ));
        let head = ways
            .iter()
            .map(|way| format!("{:>CELL_WIDTH$}", way.to_string()));
        report.line(&format!(
            "{:NAME_WIDTH$}{}",
            "bench",
            head.collect::<String>()
        ));
        report
    }

    /// Adds what was measured of one block; gives its workload's name.
    pub(crate) fn add(&mut self, name: &str, subject: &Subject, samples: Vec<Samples>) -> String {
        let sequential = samples.iter().find(|one| one.way == Way::Sequential);
        let sequential = sequential.map_or(f64::NAN, Samples::median_ms);
        let (operation, _) = name.split_once('/').unwrap_or_default();
        let (_, workload) = operation.split_once("::").unwrap_or_default();
        let figures: Vec<_> = samples
            .iter()
            .map(|one| Figures {
                name: match one.way {
                    Way::First(workers) | Way::Listed(workers) => {
                        format!("{name} way={} workers={workers}", one.way.word())
                    }
                    Way::Plain | Way::PlainWithResult | Way::Sequential => {
                        format!("{name} way={}", one.way.word())
                    }
                },
                workload: workload.to_owned(),
                transactions: subject.block.transactions.len(),
                gas_used: subject.gas_used,
                way: one.way.word(),
                workers: one.way.workers(),
                median_ms: rounded(one.median_ms()),
                min_ms: rounded(one.min_ms()),
                speedup: rounded(sequential / one.median_ms()),
                reexecutions: one.reexecutions,
            })
            .collect();
        self.line(&format!(
            "{name:NAME_WIDTH$}{}",
            figures.iter().map(Figures::times).collect::<String>()
        ));
        self.line(&format!(
            "{:NAME_WIDTH$}{}",
            "",
            figures.iter().map(Figures::ratio).collect::<String>()
        ));
        self.benches.extend(figures);
        workload.to_owned()
    }

    /// Adds what more workers would bring to the block that was added last.
    pub(crate) fn add_scaling(&mut self, scaling: Scaling) {
        self.line(&format!("{:NAME_WIDTH$}{}", "", scaling.line()));
        self.scaling.push(scaling);
    }

    /// Ends the table; prints the object if it is wanted.
    pub(crate) fn finish(mut self) {
        self.load_after = load();
        self.line(&format!("\nload     {}", self.load_after));
        if self.is_json {
            let text = serde_json::to_string(&self).expect("numbers and words are JSON");
            println!("{text}");
        }
    }

    fn line(&self, text: &str) {
        match self.is_json {
            true => eprintln!("{text}"),
            false => println!("{text}"),
        }
    }
}

impl Figures {
    fn times(&self) -> String {
        let cell = format!("{:.1} / {:.1}", self.median_ms, self.min_ms);
        format!("{cell:>CELL_WIDTH$}")
    }

    fn ratio(&self) -> String {
        let cell = match self.reexecutions {
            0 => format!("{:.2}×", self.speedup),
            again => format!("{again} again  {:.2}×", self.speedup),
        };
        format!("{cell:>CELL_WIDTH$}")
    }
}

/// Prints what was asked for.
pub(crate) fn say(text: &str) {
    print!("{text}");
}

/// Prints what went wrong.
pub(crate) fn say_aside(text: &str) {
    eprint!("{text}");
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// Where it runs, as far as the operating system says.
fn machine() -> String {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let model = find("/proc/cpuinfo", "model name");
    let memory = find("/proc/meminfo", "MemTotal");
    let memory = memory.trim_end_matches(" kB").parse().map_or(0, gib);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{cores} x {model}, {memory} GiB, {} {}",
        std::env::consts::OS,
        kernel.trim()
    )
}

/// From kibibytes, to the nearest.
const fn gib(kib: u64) -> u64 {
    const KIB: u64 = 1 << 20;
    (kib + KIB / 2) / KIB
}

fn load() -> String {
    let text = read("/proc/loadavg");
    let words: Vec<_> = text.split_whitespace().take(3).collect();
    words.join(" ")
}

/// What follows a key and a colon in a file.
fn find(path: &str, key: &str) -> String {
    let text = read(path);
    let found = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    });
    found.unwrap_or_else(|| "unknown".to_owned())
}

/// Nothing where the operating system keeps no such file.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
