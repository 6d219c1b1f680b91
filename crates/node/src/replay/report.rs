//! What a replay found, as numbers: the object that `--json` prints, and the table for people.

use super::{
    block::MainnetBlock,
    measure::{Measured, Mismatch},
    ways::{PredictorScore, Trace},
};
use serde::Serialize;
use std::{num::NonZeroUsize, time::Duration};

/// What a replay found.
#[derive(Debug, Serialize)]
pub struct ReplayReport {
    /// Blocks executed.
    pub blocks: usize,
    /// Their transactions.
    pub transactions: usize,
    /// Their gas.
    pub gas: u64,
    /// Blocks whose results are mainnet's in every way of executing them.
    pub receipts_matched: usize,
    /// Sum of the blocks' medians, one by one.
    pub sequential_ms: f64,
    /// The same in parallel, each block for the first time.
    pub parallel_ms: f64,
    /// Sequential over parallel.
    pub speedup: f64,
    /// The same in parallel by access lists.
    pub list_driven_ms: f64,
    /// Sequential over list-driven.
    pub list_driven_speedup: f64,
    /// Of what was predicted, how much was touched.
    pub predictor_precision: Option<f64>,
    /// Of what was touched, how much was predicted.
    pub predictor_recall: Option<f64>,
    /// Threads that execute.
    pub workers: NonZeroUsize,
    /// Timed runs of each way; times are their medians.
    pub runs: usize,
    /// The blocks, by height.
    pub per_block: Vec<BlockFigures>,
}

/// What a replay found about one block.
#[derive(Debug, Serialize)]
pub struct BlockFigures {
    /// Which.
    pub height: u64,
    /// The fork whose rules it ran under.
    pub fork: String,
    /// Its transactions.
    pub transactions: usize,
    /// Its gas.
    pub gas: u64,
    /// Whether its results are mainnet's in every way of executing it.
    pub receipts_matched: bool,
    /// What is not, and in which way of executing it.
    pub differences: Vec<Mismatch>,
    /// One by one.
    pub sequential_ms: f64,
    /// In parallel, for the first time.
    pub parallel_ms: f64,
    /// Sequential over parallel.
    pub speedup: f64,
    /// In parallel by its access list.
    pub list_driven_ms: f64,
    /// Sequential over list-driven.
    pub list_driven_speedup: f64,
    /// Executions of transactions in parallel.
    pub executions: u64,
    /// Those made again.
    pub reexecutions: u64,
    /// The longest chain of transactions that wait for each other.
    pub critical_path_ms: f64,
    /// All parallel executions together.
    pub work_ms: f64,
    /// Of what was predicted, how much was touched.
    pub predictor_precision: Option<f64>,
    /// Of what was touched, how much was predicted.
    pub predictor_recall: Option<f64>,
    /// How the parallel execution went.
    #[serde(skip)]
    pub(super) trace: Trace,
}

impl ReplayReport {
    pub(super) fn new(
        blocks: &[MainnetBlock],
        measured: Vec<Measured>,
        workers: NonZeroUsize,
        runs: usize,
    ) -> Self {
        let mut times = [Duration::ZERO; 3];
        let mut score = PredictorScore::default();
        for one in &measured {
            for (sum, time) in times.iter_mut().zip(one.times) {
                *sum += time;
            }
            score.predicted += one.trace.predictor.predicted;
            score.touched += one.trace.predictor.touched;
            score.hits += one.trace.predictor.hits;
        }
        let pairs = blocks.iter().zip(measured);
        let per_block: Vec<_> = pairs
            .map(|(block, measured)| BlockFigures::new(block, measured))
            .collect();
        let [sequential, parallel, listed] = times;
        Self {
            blocks: per_block.len(),
            transactions: per_block.iter().map(|block| block.transactions).sum(),
            gas: per_block.iter().map(|block| block.gas).sum(),
            receipts_matched: per_block
                .iter()
                .filter(|block| block.receipts_matched)
                .count(),
            sequential_ms: ms(sequential),
            parallel_ms: ms(parallel),
            speedup: ratio(sequential, parallel),
            list_driven_ms: ms(listed),
            list_driven_speedup: ratio(sequential, listed),
            predictor_precision: share(score.hits, score.predicted),
            predictor_recall: share(score.hits, score.touched),
            workers,
            runs,
            per_block,
        }
    }

    /// Everything that is not as on mainnet.
    pub fn mismatches(&self) -> impl Iterator<Item = &Mismatch> {
        self.per_block.iter().flat_map(|block| &block.differences)
    }

    /// A line for each block and one for their sum.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:>10} {:17} {:>6} {:>8} {:>13} {:>10} {:>7} {:>10} {:>7} {:>6}  receipts\n",
            "block",
            "fork",
            "txs",
            "Mgas",
            "sequential ms",
            "first ms",
            "×",
            "listed ms",
            "×",
            "again"
        );
        for block in &self.per_block {
            let receipts = if block.receipts_matched {
                "equal"
            } else {
                "DIFFER"
            };
            text.push_str(&format!(
                "{:>10} {:17} {:>6} {:>8.2} {:>13.3} {:>10.3} {:>7.2} {:>10.3} {:>7.2} {:>6}  {receipts}\n",
                block.height,
                block.fork,
                block.transactions,
                mgas(block.gas),
                block.sequential_ms,
                block.parallel_ms,
                block.speedup,
                block.list_driven_ms,
                block.list_driven_speedup,
                block.reexecutions,
            ));
        }
        let again: u64 = self.per_block.iter().map(|block| block.reexecutions).sum();
        let blocks = format!("{} blocks", self.blocks);
        let matched = format!("{} of {} equal", self.receipts_matched, self.blocks);
        text.push_str(&format!(
            "{:>10} {:17} {:>6} {:>8.2} {:>13.3} {:>10.3} {:>7.2} {:>10.3} {:>7.2} {:>6}  {matched}\n",
            "sum",
            blocks,
            self.transactions,
            mgas(self.gas),
            self.sequential_ms,
            self.parallel_ms,
            self.speedup,
            self.list_driven_ms,
            self.list_driven_speedup,
            again,
        ));
        text.push_str(&self.footer());
        text
    }

    fn footer(&self) -> String {
        let percent = |share: Option<f64>| {
            share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0))
        };
        format!(
            "\nworkers {}, timed runs of each way {}, times are medians; predictor precision {}, recall {}\n",
            self.workers,
            self.runs,
            percent(self.predictor_precision),
            percent(self.predictor_recall),
        )
    }
}

impl BlockFigures {
    fn new(block: &MainnetBlock, measured: Measured) -> Self {
        let Measured {
            times: [sequential, parallel, listed],
            trace,
            mismatches,
        } = measured;
        Self {
            height: block.height(),
            fork: format!("{:?}", block.fork()),
            transactions: block.transactions().len(),
            gas: block.gas_used(),
            receipts_matched: mismatches.is_empty(),
            differences: mismatches,
            sequential_ms: ms(sequential),
            parallel_ms: ms(parallel),
            speedup: ratio(sequential, parallel),
            list_driven_ms: ms(listed),
            list_driven_speedup: ratio(sequential, listed),
            executions: trace.executions,
            reexecutions: trace.reexecutions,
            critical_path_ms: ms(trace.critical_path),
            work_ms: ms(trace.work),
            predictor_precision: share(trace.predictor.hits, trace.predictor.predicted),
            predictor_recall: share(trace.predictor.hits, trace.predictor.touched),
            trace,
        }
    }
}

/// Milliseconds, to the microsecond.
pub(super) fn ms(time: Duration) -> f64 {
    rounded(time.as_secs_f64() * 1_000.0)
}

/// Millions of gas.
pub(super) fn mgas(gas: u64) -> f64 {
    gas as f64 / 1_000_000.0
}

fn ratio(one: Duration, other: Duration) -> f64 {
    match other.is_zero() {
        true => 0.0,
        false => rounded(one.as_secs_f64() / other.as_secs_f64()),
    }
}

/// None of nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| rounded(part as f64 / whole as f64))
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
