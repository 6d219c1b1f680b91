//! What one pipeline counts, for Prometheus.

use commonware_runtime::{
    Metrics as RuntimeMetrics,
    telemetry::metrics::{Counter, Gauge, Histogram, MetricsExt as _, histogram::Buckets},
};
use primitives::Heads;
use std::time::Duration;

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
        }
    }

    pub(crate) fn heads(&self, heads: Heads) {
        set(&self.verified_height, heads.verified_height);
        set(&self.executed_height, heads.executed_height);
        set(&self.finalized_height, heads.finalized_height);
    }

    pub(crate) fn executed(&self, transactions: usize, gas_used: u64, elapsed: Duration) {
        self.transactions
            .inc_by(u64::try_from(transactions).unwrap_or(u64::MAX));
        self.gas.inc_by(gas_used);
        self.execution_seconds.observe(elapsed.as_secs_f64());
    }

    pub(crate) fn inclusion_faults(&self, count: usize) {
        self.inclusion_faults
            .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

fn set(gauge: &Gauge, height: u64) {
    gauge.set(i64::try_from(height).unwrap_or(i64::MAX));
}
