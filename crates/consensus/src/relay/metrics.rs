//! What dissemination counts, for Prometheus. Bytes count once for each peer they are sent to.

use super::message::Message;
use commonware_runtime::{
    Metrics as RuntimeMetrics,
    telemetry::metrics::{Counter, MetricsExt as _},
};

/// Metrics of dissemination; they are exposed while this value lives.
#[derive(Debug)]
pub(super) struct Metrics {
    compact_bytes: Counter,
    transactions_bytes: Counter,
    whole_bytes: Counter,
    request_bytes: Counter,
    pub(super) missing_transactions: Counter,
    pub(super) rebuilt_blocks: Counter,
    pub(super) whole_blocks: Counter,
    pub(super) given_up_blocks: Counter,
    pub(super) refused_messages: Counter,
}

impl Metrics {
    pub(super) fn new(runtime: &impl RuntimeMetrics) -> Self {
        Self {
            compact_bytes: runtime.counter("compact_bytes", "Bytes of compact blocks sent"),
            transactions_bytes: runtime.counter(
                "transactions_bytes",
                "Bytes of transactions sent to peers that lacked them",
            ),
            whole_bytes: runtime.counter("whole_bytes", "Bytes of whole blocks sent"),
            request_bytes: runtime.counter(
                "request_bytes",
                "Bytes of requests for transactions and whole blocks sent",
            ),
            missing_transactions: runtime.counter(
                "missing_transactions",
                "Transactions of compact blocks that peers were asked for one by one",
            ),
            rebuilt_blocks: runtime.counter(
                "rebuilt_blocks",
                "Blocks rebuilt from the names of their transactions",
            ),
            whole_blocks: runtime.counter("whole_blocks", "Blocks received whole"),
            given_up_blocks: runtime.counter(
                "given_up_blocks",
                "Compact blocks whose senders did not send what was missing",
            ),
            refused_messages: runtime.counter(
                "refused_messages",
                "Messages that were not read: nobody had asked for them, or their peer sends too much",
            ),
        }
    }

    pub(super) fn sent(&self, message: &Message, bytes: usize, peers: usize) {
        let counter = match message {
            Message::Compact(_) => &self.compact_bytes,
            Message::Transactions { .. } => &self.transactions_bytes,
            Message::Whole(_) => &self.whole_bytes,
            Message::Missing { .. } | Message::GetWhole { .. } => &self.request_bytes,
        };
        counter.inc_by(u64::try_from(bytes.saturating_mul(peers)).unwrap_or(u64::MAX));
        if let Message::Missing { indices, .. } = message {
            self.missing_transactions
                .inc_by(u64::try_from(indices.len()).unwrap_or(u64::MAX));
        }
    }
}
