//! What one pipeline counts, for Prometheus.

use crate::{BlockExecution, ExecutedRecord};
use commonware_runtime::{
    Metrics as RuntimeMetrics,
    telemetry::metrics::{
        Counter, CounterFamily, EncodeLabelSet, Gauge, Histogram, MetricsExt as _,
        histogram::Buckets,
    },
};
use executor::Way;
use primitives::{BlockStages, Heads};
use state::StoreUsage;
use std::time::Duration;

/// How long a block may be on its way from stage to stage, in seconds.
const STAGE_SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];
const FLUSH_BLOCKS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

/// Metrics of one pipeline; they are exposed while this value lives.
#[derive(Debug)]
pub(crate) struct Metrics {
    verified_height: Gauge,
    executed_height: Gauge,
    finalized_height: Gauge,
    transactions: Counter,
    gas: Counter,
    inclusion_faults: Counter,
    execution_seconds: Histogram,
    commit_seconds: Histogram,
    stage_finalized_seconds: Histogram,
    stage_executed_seconds: Histogram,
    stage_verified_seconds: Histogram,
    blocks: CounterFamily<ByWay>,
    reexecutions: Counter,
    conflicts: Counter,
    storage_slots_predicted: Counter,
    storage_slots_touched: Counter,
    storage_slots_hit: Counter,
}

/// Which way blocks were executed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWay {
    way: &'static str,
}

impl Metrics {
    pub(crate) fn new(runtime: &impl RuntimeMetrics) -> Self {
        Self {
            verified_height: runtime.gauge(
                "verified_height",
                "Highest height whose result is certified in a finalized header",
            ),
            executed_height: runtime.gauge("executed_height", "Highest height executed here"),
            finalized_height: runtime.gauge("finalized_height", "Highest height ordered for ever"),
            transactions: runtime.counter("transactions", "Transactions executed"),
            gas: runtime.counter("gas", "Gas charged"),
            inclusion_faults: runtime.counter(
                "inclusion_faults",
                "Transactions that could not pay when they executed; always 0",
            ),
            execution_seconds: runtime.histogram(
                "execution_seconds",
                "Time to execute and commit one block",
                Buckets::LOCAL,
            ),
            commit_seconds: runtime.histogram(
                "commit_seconds",
                "Time to apply what one block wrote and compute the state root",
                Buckets::LOCAL,
            ),
            stage_finalized_seconds: runtime.histogram(
                "stage_finalized_seconds",
                "Time from the first sight of a block's proposal to its finalization, where both were seen here",
                STAGE_SECONDS,
            ),
            stage_executed_seconds: runtime.histogram(
                "stage_executed_seconds",
                "Time from a block's finalization to the end of its execution",
                STAGE_SECONDS,
            ),
            stage_verified_seconds: runtime.histogram(
                "stage_verified_seconds",
                "Time from the end of a block's execution to a finalized header with its certified result",
                STAGE_SECONDS,
            ),
            blocks: runtime.family("blocks", "Blocks executed, by the way they were executed"),
            reexecutions: runtime.counter(
                "reexecutions",
                "Transactions executed again, because what they had seen ahead of their turn changed",
            ),
            conflicts: runtime.counter(
                "conflicts",
                "Locations that made transactions of a block execute again",
            ),
            storage_slots_predicted: runtime.counter(
                "storage_slots_predicted",
                "Storage slots that transactions were predicted to touch",
            ),
            storage_slots_touched: runtime.counter(
                "storage_slots_touched",
                "Storage slots that transactions with predictions touched",
            ),
            storage_slots_hit: runtime.counter(
                "storage_slots_hit",
                "Storage slots both predicted and touched: over storage_slots_predicted it is the precision, \
                 over storage_slots_touched the recall",
            ),
        }
    }

    pub(crate) fn heads(&self, heads: Heads) {
        set(&self.verified_height, heads.verified_height);
        set(&self.executed_height, heads.executed_height);
        set(&self.finalized_height, heads.finalized_height);
    }

    /// A block was executed; what came before is known by then.
    pub(crate) fn stages_to_executed(&self, stages: &BlockStages) {
        observe(
            &self.stage_finalized_seconds,
            stages.proposed_ms,
            stages.finalized_ms,
        );
        observe(
            &self.stage_executed_seconds,
            stages.finalized_ms,
            stages.executed_ms,
        );
    }

    /// A block was verified.
    pub(crate) fn stage_verified(&self, stages: &BlockStages) {
        observe(
            &self.stage_verified_seconds,
            stages.executed_ms,
            stages.verified_ms,
        );
    }

    pub(crate) fn executed(&self, record: &ExecutedRecord, elapsed: Duration) {
        add(&self.transactions, record.transactions.len());
        self.gas.inc_by(record.header.gas_used);
        self.execution_seconds.observe(elapsed.as_secs_f64());
    }

    pub(crate) fn execution(&self, execution: &BlockExecution) {
        let way = match execution.way {
            Way::InOrder => "in_order",
            Way::First => "first",
            Way::Listed => "listed",
        };
        self.blocks.get_or_create(&ByWay { way }).inc();
        self.commit_seconds
            .observe(execution.times.commit.as_secs_f64());
        add(&self.reexecutions, execution.reexecutions);
        add(&self.conflicts, execution.conflict_count);
        self.storage_slots_predicted
            .inc_by(execution.predictions.predicted);
        self.storage_slots_touched
            .inc_by(execution.predictions.touched);
        self.storage_slots_hit.inc_by(execution.predictions.hits);
    }

    pub(crate) fn inclusion_faults(&self, count: usize) {
        add(&self.inclusion_faults, count);
    }
}

/// Metrics of what becomes durable.
#[derive(Debug)]
pub(crate) struct FlushMetrics {
    durable_height: Gauge,
    flush_seconds: Histogram,
    flush_blocks: Histogram,
    disk_bytes: Gauge,
    files: Gauge,
}

impl FlushMetrics {
    pub(crate) fn new(runtime: &impl RuntimeMetrics) -> Self {
        Self {
            durable_height: runtime.gauge("durable_height", "Highest height on this node's disk"),
            flush_seconds: runtime.histogram(
                "flush_seconds",
                "Time to make blocks and their state durable, beside execution",
                Buckets::LOCAL,
            ),
            flush_blocks: runtime.histogram(
                "flush_blocks",
                "Blocks made durable at once",
                FLUSH_BLOCKS,
            ),
            disk_bytes: runtime.gauge("state_disk_bytes", "Bytes of the state's files"),
            files: runtime.gauge("state_files", "Files of the state"),
        }
    }

    pub(crate) fn used(&self, usage: StoreUsage) {
        set(&self.disk_bytes, usage.disk_bytes);
        set(&self.files, usage.files as u64);
    }

    pub(crate) fn flushed(&self, height: u64, blocks: u64, elapsed: Duration) {
        set(&self.durable_height, height);
        self.flush_seconds.observe(elapsed.as_secs_f64());
        self.flush_blocks
            .observe(f64::from(u32::try_from(blocks).unwrap_or(u32::MAX)));
    }
}

/// The time between two stages; nothing if one was not seen here.
fn observe(histogram: &Histogram, from_ms: Option<u64>, to_ms: Option<u64>) {
    if let (Some(from), Some(to)) = (from_ms, to_ms) {
        let took = Duration::from_millis(to.saturating_sub(from));
        histogram.observe(took.as_secs_f64());
    }
}

fn add(counter: &Counter, count: usize) {
    counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
}

fn set(gauge: &Gauge, height: u64) {
    gauge.set(i64::try_from(height).unwrap_or(i64::MAX));
}
