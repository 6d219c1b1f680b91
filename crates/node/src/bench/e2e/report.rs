//! What was measured from end to end: the object that `--json` prints, and the lines for people.

use super::{E2eBench, Ordered};
use crate::load::{LoadReport, Workload};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write as _, thread, time::Duration};

/// Cores for which the throughput is projected.
const PROJECTED_CORES: [usize; 3] = [4, 8, 16];

/// What was measured.
#[derive(Debug, Serialize)]
pub struct E2eReport {
    /// What the transactions do.
    pub workload: Workload,
    /// How many.
    pub transactions: usize,
    /// Accounts that sent them.
    pub senders: usize,
    /// Accounts that transfers went to; none = each to one of its own.
    pub recipients: Option<usize>,
    /// Transactions in one request.
    pub batch: usize,
    /// Whether they came in bulk.
    pub bulk: bool,
    /// Cores of this machine.
    pub cores: usize,
    /// Blocks that held them.
    pub blocks: usize,
    /// Encoded bytes of those blocks, for one transaction.
    pub bytes_per_transaction: f64,
    /// Transactions a second of the live run, from the first byte sent to the last executed.
    pub tps: f64,
    /// The live run.
    pub live: WayFigures,
    /// From the last executed to all of it on disk.
    pub durable_s: f64,
    /// CPU of the node in the live run by kind of thread, in microseconds for one transaction.
    pub threads_us: BTreeMap<String, f64>,
    /// Transactions a second of the replay, the median round.
    pub replay_tps: f64,
    /// The rounds of the replay.
    pub replay: Vec<WayFigures>,
    /// Each step alone on one core, in microseconds for one transaction.
    #[serde(rename = "stage_us")]
    pub stages: StageCosts,
    /// Transactions a second that so many cores would execute at the live run's CPU for one, if nothing else
    /// limits them: arithmetic, not a measurement.
    pub projected_tps: BTreeMap<usize, f64>,
}

/// One way through.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct WayFigures {
    /// Transactions.
    pub transactions: usize,
    /// On the clock.
    pub seconds: f64,
    /// Transactions a second.
    pub tps: f64,
    /// CPU of the node for one transaction, all threads.
    pub cpu_us: f64,
}

/// What each step takes: sums first, then for one transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct StageCosts {
    /// Decoding the block and hashing its transactions.
    pub decode: Duration,
    /// Recovering senders.
    pub signature: Duration,
    /// Taking them into the pool.
    pub admit: Duration,
    /// Choosing them for a block.
    pub select: Duration,
    /// Checking nonces and funds before a vote.
    pub check: Duration,
    /// Executing.
    pub execute: Duration,
    /// Committing the writes, with the state root.
    pub root: Duration,
    /// The roots of transactions and receipts, and the access list.
    pub derive: Duration,
    /// Writing state, history and block to disk.
    pub store: Duration,
    /// The pool's following of the executed block.
    pub follow: Duration,
}

impl StageCosts {
    const fn rows(&self) -> [(&'static str, Duration); 10] {
        [
            ("decode", self.decode),
            ("signature", self.signature),
            ("admit", self.admit),
            ("select", self.select),
            ("check", self.check),
            ("execute", self.execute),
            ("root", self.root),
            ("derive", self.derive),
            ("store", self.store),
            ("follow", self.follow),
        ]
    }

    pub(super) fn per_transaction(self, transactions: usize) -> Self {
        let count = u32::try_from(transactions.max(1)).unwrap_or(u32::MAX);
        Self {
            decode: self.decode / count,
            signature: self.signature / count,
            admit: self.admit / count,
            select: self.select / count,
            check: self.check / count,
            execute: self.execute / count,
            root: self.root / count,
            derive: self.derive / count,
            store: self.store / count,
            follow: self.follow / count,
        }
    }
}

impl Serialize for StageCosts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.rows();
        serializer.collect_map(rows.map(|(name, time)| (name, micros(time))))
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
const fn float(count: usize) -> f64 {
    count as f64
}

impl WayFigures {
    pub(super) fn new(transactions: usize, seconds: f64, cpu_s: f64) -> Self {
        let count = float(transactions.max(1));
        Self {
            transactions,
            seconds,
            tps: count / seconds.max(1e-9),
            cpu_us: cpu_s * 1e6 / count,
        }
    }
}

impl E2eReport {
    pub(super) fn new(bench: &E2eBench) -> Self {
        Self {
            workload: bench.workload,
            transactions: bench.transactions,
            senders: bench.senders,
            recipients: bench.recipients,
            batch: bench.batch,
            bulk: bench.bulk,
            cores: thread::available_parallelism().map_or(1, Into::into),
            blocks: 0,
            bytes_per_transaction: 0.0,
            tps: 0.0,
            live: WayFigures::default(),
            durable_s: 0.0,
            threads_us: BTreeMap::new(),
            replay_tps: 0.0,
            replay: Vec::new(),
            stages: StageCosts::default(),
            projected_tps: BTreeMap::new(),
        }
    }

    /// The live run, and the seconds of CPU of each kind of thread.
    pub(super) fn live(&mut self, load: &LoadReport, threads: &[(String, f64)], durable_s: f64) {
        let cpu_s = threads.iter().map(|(_, seconds)| seconds).sum();
        self.live = WayFigures::new(load.mined, load.seconds, cpu_s);
        self.tps = self.live.tps;
        self.durable_s = durable_s;
        let count = float(load.mined.max(1));
        for (name, seconds) in threads {
            self.threads_us.insert(name.clone(), seconds * 1e6 / count);
        }
        for cores in PROJECTED_CORES {
            let tps = float(cores) * 1e6 / self.live.cpu_us.max(1e-9);
            self.projected_tps.insert(cores, tps);
        }
    }

    pub(super) fn ordered(&mut self, ordered: &Ordered) {
        let bytes: usize = ordered.blocks.iter().map(bytes::Bytes::len).sum();
        self.blocks = ordered.blocks.len();
        self.bytes_per_transaction = float(bytes) / float(ordered.transactions.max(1));
    }

    pub(super) fn replayed(&mut self, figures: WayFigures) {
        self.replay.push(figures);
        let mut rates: Vec<f64> = self.replay.iter().map(|round| round.tps).collect();
        rates.sort_by(f64::total_cmp);
        self.replay_tps = rates[rates.len() / 2];
    }

    /// The lines for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        let way = if self.bulk { "bulk" } else { "JSON-RPC" };
        let live = &self.live;
        let mut line = |words: String| {
            // Writing to a string cannot fail.
            writeln!(text, "{words}").unwrap_or_default();
        };
        line(format!(
            "live     {:.0}/s by {way}: {} transactions in {:.3} s and {} blocks, {:.1} us of CPU each; on disk {:.2} s later",
            live.tps, live.transactions, live.seconds, self.blocks, live.cpu_us, self.durable_s
        ));
        for (name, cost) in &self.threads_us {
            line(format!("         {cost:6.2} us  {name}"));
        }
        for replay in &self.replay {
            line(format!(
                "replay   {:.0}/s: {} transactions in {:.3} s, {:.1} us of CPU each",
                replay.tps, replay.transactions, replay.seconds, replay.cpu_us
            ));
        }
        let sum: Duration = self.stages.rows().iter().map(|(_, time)| *time).sum();
        line(format!(
            "stages   {:6.2} us each, alone on one core",
            micros(sum)
        ));
        for (name, time) in self.stages.rows() {
            line(format!("         {:6.2} us  {name}", micros(time)));
        }
        for (cores, tps) in &self.projected_tps {
            line(format!(
                "{cores:2} cores {tps:.0}/s, if the CPU of the live run were the only limit"
            ));
        }
        text
    }
}
