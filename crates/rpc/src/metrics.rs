//! What this node tells Prometheus beside what its parts count themselves: heads, lag, pool, calls.
//!
//! ```text
//! call ─▶ Calls: by method and status, with how long it took ─┐
//! chain, mempool, peers ─ read when somebody asks ────────────┴▶ GET /metrics, before what the parts count
//! ```
//! Names begin with `headway_`. Only methods that exist have a name of their own; whatever else is asked for is
//! `unknown`, so that callers can't make series. Limits: one series for each method, transport aside, and one for
//! each shard.

mod shards;

use crate::{accept::Rooms, backend::Backend, net::CLIENT_VERSION};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Upper ends of the buckets of latencies, in seconds.
const SECONDS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];
/// The name of methods that do not exist.
const UNKNOWN: &str = "unknown";
/// Where the runtime says of each peer since when it is connected; 0 if it is not.
const CONNECTED: &str = "node_network_tracker_directory_connected";
/// The label of the nodes that one process runs; RPC is served by the first.
const FIRST_NODE: &str = "index=\"0\"";

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has a result.
    Answered,
    /// It has an error.
    Refused,
    /// There is no such method.
    Unknown,
}

/// Calls since the node started.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    by_method: Mutex<BTreeMap<String, Series>>,
}

/// Calls of one method.
#[derive(Clone, Debug, Default)]
struct Series {
    answered: u64,
    refused: u64,
    seconds: f64,
    /// By bucket, not added up; the last one is for what is slower than all.
    buckets: [u64; SECONDS.len() + 1],
}

impl Calls {
    /// Counts calls that took this long together.
    pub(crate) fn count(&self, method: &str, outcome: Outcome, calls: u64, took: Duration) {
        let name = match outcome {
            Outcome::Unknown => UNKNOWN,
            Outcome::Answered | Outcome::Refused => method,
        };
        let mut by_method = self.lock();
        if !by_method.contains_key(name) {
            by_method.insert(name.to_owned(), Series::default());
        }
        if let Some(series) = by_method.get_mut(name) {
            series.add(outcome, calls, took);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Series>> {
        self.by_method
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, page: &mut Page) {
        let by_method = self.lock().clone();
        page.head(
            "rpc_requests_total",
            "counter",
            "Calls, by method and whether they have a result",
        );
        for (method, series) in &by_method {
            for (status, count) in [("ok", series.answered), ("error", series.refused)] {
                let labels = format!("method=\"{method}\",status=\"{status}\"");
                page.value("rpc_requests_total", &labels, count);
            }
        }
        page.head("rpc_seconds", "histogram", "How long calls took, by method");
        for (method, series) in &by_method {
            let method = format!("method=\"{method}\"");
            let mut sum = 0;
            for (count, bound) in series.buckets.iter().zip(SECONDS) {
                sum += count;
                page.value(
                    "rpc_seconds_bucket",
                    &format!("{method},le=\"{bound}\""),
                    sum,
                );
            }
            sum += series.buckets[SECONDS.len()];
            page.value("rpc_seconds_bucket", &format!("{method},le=\"+Inf\""), sum);
            page.value("rpc_seconds_sum", &method, series.seconds);
            page.value("rpc_seconds_count", &method, sum);
        }
    }
}

impl Series {
    fn add(&mut self, outcome: Outcome, calls: u64, took: Duration) {
        match outcome {
            Outcome::Answered => self.answered += calls,
            Outcome::Refused | Outcome::Unknown => self.refused += calls,
        }
        let seconds = took.as_secs_f64();
        self.seconds += seconds * calls as f64;
        let bucket = SECONDS.iter().position(|bound| seconds <= *bound);
        self.buckets[bucket.unwrap_or(SECONDS.len())] += calls;
    }
}

/// Everything in the form of Prometheus.
pub(crate) fn page(backend: &Backend, rooms: &Rooms) -> String {
    let parts = (backend.metrics)();
    let mut page = Page::default();
    write_chain(backend, &mut page);
    write_node(backend, &mut page, &parts);
    shards::write(backend, rooms, &mut page);
    backend.calls.write(&mut page);
    page.text + &parts
}

fn write_chain(backend: &Backend, page: &mut Page) {
    let chain = &backend.chain;
    let heads = chain.heads();
    let stages = [
        ("finalized", heads.finalized_height),
        ("executed", heads.executed_height),
        ("verified", heads.verified_height),
        ("durable", chain.durable_height()),
    ];
    page.head(
        "height",
        "gauge",
        "Highest height that reached a stage here",
    );
    for (stage, height) in stages {
        page.value("height", &format!("stage=\"{stage}\""), height);
    }
    page.head(
        "lag_blocks",
        "gauge",
        "Blocks between the finalized order and a later stage",
    );
    for (stage, height) in stages.into_iter().skip(1) {
        let lag = heads.finalized_height.saturating_sub(height);
        page.value("lag_blocks", &format!("stage=\"{stage}\""), lag);
    }
    page.head(
        "block_age_seconds",
        "gauge",
        "Time since the timestamp of the newest executed block",
    );
    if let Ok(latest) = chain.latest() {
        let age_ms = backend
            .now_ms()
            .saturating_sub(latest.block.header().timestamp_ms);
        page.value("block_age_seconds", "", age_ms as f64 / 1_000.0);
        page.gauge(
            "base_fee_wei",
            "Base fee of the newest executed block",
            latest.block.header().base_fee,
        );
    }
    let syncing = chain.syncing();
    page.gauge(
        "syncing",
        "1 while the node takes or executes again what it needs before it serves latest",
        u8::from(syncing.is_some()),
    );
    let left = syncing.map_or(0, |sync| {
        sync.target_height.saturating_sub(sync.current_height)
    });
    page.gauge(
        "sync_blocks_left",
        "Blocks until the node serves latest again",
        left,
    );
    page.gauge(
        "diverged",
        "1 once this node's result contradicted a certificate",
        u8::from(chain.diverged().is_some()),
    );
    page.gauge(
        "stopped",
        "1 once this node stopped executing, by a divergence or a failed write",
        u8::from(chain.stopped().is_some()),
    );
}

fn write_node(backend: &Backend, page: &mut Page, parts: &str) {
    page.head(
        "version",
        "gauge",
        "Always 1; the label says which version runs",
    );
    page.value("version", &format!("version=\"{CLIENT_VERSION}\""), 1);
    let counts = backend.mempool.counts();
    page.head(
        "pool_transactions",
        "gauge",
        "Transactions in the pool: executable now, behind a nonce gap",
    );
    for (state, count) in [("pending", counts.pending), ("queued", counts.queued)] {
        page.value("pool_transactions", &format!("state=\"{state}\""), count);
    }
    page.gauge(
        "pool_bytes",
        "Encoded bytes of the transactions in the pool",
        counts.bytes,
    );
    let connected = connected(parts).unwrap_or_default();
    page.gauge("peers", "Peers that are connected", connected);
    page.gauge(
        "peers_known",
        "Peers that the configuration names",
        (backend.peers)(),
    );
    page.gauge(
        "rpc_calls_waiting",
        "Calls that wait to compute",
        backend.waiting_calls(),
    );
}

/// Peers that are connected; those of the configuration where nothing says which of them are.
pub(crate) fn peers(backend: &Backend) -> usize {
    let connected = connected(&(backend.metrics)());
    connected.unwrap_or_else(|| (backend.peers)())
}

/// Peers of the node that serves RPC that are connected, out of what the runtime says of each; none if it says
/// nothing.
fn connected(parts: &str) -> Option<usize> {
    let lines = parts.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.filter_map(|line| line.rsplit_once(' '));
    let told = lines.filter(|(series, _)| {
        let name = series.split('{').next().unwrap_or_default();
        let is_other = series.contains("index=\"") && !series.contains(FIRST_NODE);
        name == CONNECTED && !is_other
    });
    let mut told = told.map(|(_, since)| usize::from(since != "0")).peekable();
    told.peek()?;
    Some(told.sum())
}

/// Lines as they are put together.
#[derive(Debug, Default)]
struct Page {
    text: String,
}

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // A counter's head is without the suffix in what the parts write; here it is as Prometheus wants it.
        self.line(format_args!("# HELP headway_{name} {help}."));
        self.line(format_args!("# TYPE headway_{name} {kind}"));
    }

    fn value(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        match labels {
            "" => self.line(format_args!("headway_{name} {value}")),
            _ => self.line(format_args!("headway_{name}{{{labels}}} {value}")),
        }
    }

    /// One value without labels.
    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, "gauge", help);
        self.value(name, "", value);
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(line)
            .expect("writing to a string cannot fail");
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_method_and_unknown_ones_together() {
        let calls = Calls::default();
        calls.count("eth_call", Outcome::Answered, 1, Duration::from_micros(700));
        calls.count("eth_call", Outcome::Refused, 1, Duration::from_secs(60));
        calls.count(
            "eth_sendRawTransaction",
            Outcome::Answered,
            500,
            Duration::from_millis(30),
        );
        for index in 0..1_000 {
            let made_up = format!("made_up{index}");
            calls.count(&made_up, Outcome::Unknown, 1, Duration::ZERO);
        }
        let mut page = Page::default();
        calls.write(&mut page);
        let has = |line: &str| assert!(page.text.lines().any(|one| one == line), "{line}");
        has("headway_rpc_requests_total{method=\"eth_call\",status=\"ok\"} 1");
        has("headway_rpc_requests_total{method=\"eth_call\",status=\"error\"} 1");
        has("headway_rpc_requests_total{method=\"unknown\",status=\"error\"} 1000");
        has("headway_rpc_seconds_bucket{method=\"eth_call\",le=\"0.0005\"} 0");
        has("headway_rpc_seconds_bucket{method=\"eth_call\",le=\"0.001\"} 1");
        has("headway_rpc_seconds_bucket{method=\"eth_call\",le=\"10\"} 1");
        has("headway_rpc_seconds_bucket{method=\"eth_call\",le=\"+Inf\"} 2");
        has("headway_rpc_seconds_count{method=\"eth_sendRawTransaction\"} 500");
        has("headway_rpc_seconds_sum{method=\"eth_sendRawTransaction\"} 15");
        assert!(!page.text.contains("made_up"));
    }

    #[test]
    fn only_connected_peers_of_the_first_node_count() {
        let parts = "\
            # TYPE node_network_tracker_directory_connected gauge\n\
            node_network_tracker_directory_connected{index=\"0\",peer=\"a\"} 1700000000000\n\
            node_network_tracker_directory_connected{index=\"0\",peer=\"b\"} 0\n\
            node_network_tracker_directory_connected{index=\"1\",peer=\"a\"} 1700000000000\n";
        assert_eq!(connected(parts), Some(1));
        let alone = "node_network_tracker_directory_connected{peer=\"a\"} 5\n";
        assert_eq!(connected(alone), Some(1));
        let lonely = "node_network_tracker_directory_connected{peer=\"a\"} 0\n";
        assert_eq!(connected(lonely), Some(0));
        assert_eq!(connected("node_height 7\n"), None, "nobody says");
    }
}
