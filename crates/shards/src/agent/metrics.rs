//! What an agent counts, for Prometheus.

use super::duties::Duties;
use commonware_runtime::{
    Metrics as RuntimeMetrics,
    telemetry::metrics::{Counter, Gauge, MetricsExt as _},
};

/// Metrics of an agent; they are exposed while this value lives.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) offers: Counter,
    pub(crate) refused_offers: Counter,
    pub(crate) signed_statements: Counter,
    pub(crate) received_statements: Counter,
    pub(crate) backable: Counter,
    pub(crate) equivocations: Counter,
    pub(crate) valid_candidates: Counter,
    pub(crate) invalid_candidates: Counter,
    pub(crate) undecided_candidates: Counter,
    pub(crate) wrong_codings: Counter,
    pub(crate) votes: Counter,
    pub(crate) received_votes: Counter,
    pub(crate) sent_chunks: Counter,
    pub(crate) received_chunks: Counter,
    pub(crate) kept_chunks: Counter,
    pub(crate) requests: Counter,
    pub(crate) received_collations: Counter,
    pub(crate) restored_collations: Counter,
    pub(crate) served: Counter,
    pub(crate) refused_requests: Counter,
    pub(crate) built: Counter,
    pub(crate) renewed: Counter,
    pub(crate) followed: Counter,
    pub(crate) bans: Counter,
    pub(crate) looks: Counter,
    known_candidates: Gauge,
    known_statements: Gauge,
    waiting_offers: Gauge,
    fetches: Gauge,
    held_chunk_bytes: Gauge,
}

impl Metrics {
    pub(crate) fn new(runtime: &impl RuntimeMetrics) -> Self {
        let counter = |name: &str, meaning: &str| runtime.counter(name, meaning);
        let gauge = |name: &str, meaning: &str| runtime.gauge(name, meaning);
        Self {
            offers: counter("offers", "Candidates offered to this validator"),
            refused_offers: counter("refused_offers", "Offers that can't enter the ledger"),
            signed_statements: counter("signed_statements", "Candidates that it backed"),
            received_statements: counter("received_statements", "Statements of other backers"),
            backable: counter("backable", "Envelopes put forward with enough backers"),
            equivocations: counter("equivocations", "Validators that backed two for one place"),
            valid_candidates: counter("valid_candidates", "Candidates found valid"),
            invalid_candidates: counter("invalid_candidates", "Candidates found invalid"),
            undecided_candidates: counter("undecided_candidates", "Checks that failed"),
            wrong_codings: counter("wrong_codings", "Chunks that are of no collation"),
            votes: counter("votes", "Votes sent"),
            received_votes: counter("received_votes", "Votes of other validators"),
            sent_chunks: counter("sent_chunks", "Chunks sent to their validators"),
            received_chunks: counter("received_chunks", "Chunks received, with a right proof"),
            kept_chunks: counter("kept_chunks", "Own chunks made durable"),
            requests: counter("requests", "Collations and chunks asked for"),
            received_collations: counter("received_collations", "Collations received on demand"),
            restored_collations: counter("restored_collations", "Collations made of chunks"),
            served: counter("served", "Collations and chunks given to peers"),
            refused_requests: counter("refused_requests", "Requests over a peer's allowance"),
            built: counter("built", "Candidates built"),
            renewed: counter("renewed", "Candidates put forward again"),
            followed: counter("followed", "Blocks of other collators followed"),
            bans: counter("bans", "Peers banned"),
            looks: counter("looks", "Times that everything was looked at"),
            known_candidates: gauge("known_candidates", "Candidates that are remembered"),
            known_statements: gauge("known_statements", "Statements that are remembered"),
            waiting_offers: gauge("waiting_offers", "Offers that wait to be backed"),
            fetches: gauge("fetches", "Collations that are being asked for"),
            held_chunk_bytes: gauge("held_chunk_bytes", "Own chunks that are not on disk"),
        }
    }
}

impl Duties {
    /// Says how much there is of what others can make more of.
    pub(crate) fn measure(&self) {
        let metrics = &self.metrics;
        let gauges = [
            (&metrics.known_candidates, self.shelf.len()),
            (&metrics.known_statements, self.statements.len()),
            (&metrics.waiting_offers, self.offers.len()),
            (&metrics.fetches, self.fetches.len()),
            (&metrics.held_chunk_bytes, self.held_chunk_bytes()),
        ];
        for (gauge, size) in gauges {
            gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
        }
    }
}
