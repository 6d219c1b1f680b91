//! What a run found, and how it reads as text.

use super::{Workload, check::Check, latency::Latency, refusal::Refusal, series::Series};
use crate::chart::grouped;
use serde::Serialize;
use std::fmt::Write as _;

/// What became of the transactions.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadReport {
    /// What they did.
    pub workload: Workload,
    /// How many there were to send.
    pub transactions: usize,
    /// Accounts that sent them.
    pub senders: usize,
    /// Transactions per second offered after the ramp; none = as fast as they were taken.
    pub rate: Option<u32>,
    /// Transactions a node was asked to take.
    pub sent: usize,
    /// Those it said it took, or had.
    pub accepted: usize,
    /// Those it would not take, for good.
    pub refused: usize,
    /// The first error.
    pub first_refusal: Option<String>,
    /// Errors by their kind, those after which a transaction was sent again included.
    pub refusals: Vec<Refusal>,
    /// Times that a transaction was sent again, because a pool was full or no answer came.
    pub resent: usize,
    /// Those with a receipt, failed ones included.
    pub mined: usize,
    /// Those whose receipt says that they failed.
    pub failed: usize,
    /// Those seen in blocks, whether or not their receipts could be read.
    pub included: usize,
    /// Those without a receipt.
    pub missing: usize,
    /// Blocks that held any of them.
    pub blocks: usize,
    /// From the first send until the last of them was in an executed block.
    pub seconds: f64,
    /// Mined transactions per second of that time.
    pub transactions_per_second: f64,
    /// From the first send to the answer to the last.
    pub submission_seconds: f64,
    /// Sent transactions per second of that time.
    pub submissions_per_second: f64,
    /// Transactions that went out more than 10 ms after they were due: this client fell behind.
    pub late_sends: usize,
    /// The most that one of them was late.
    pub latest_send_ms: f64,
    /// Stopped by hand.
    pub interrupted: bool,
    /// Transactions that prepared the run, and how long that and signing took.
    pub preparation: Preparation,
    /// Each node by itself.
    pub endpoints: Vec<EndpointReport>,
    /// From when transactions were due.
    pub latencies: Latencies,
    /// What the chain holds at the end; empty if a transaction is missing.
    pub checks: Vec<Check>,
    /// Rates over time.
    pub series: Series,
}

/// What came before the clock started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preparation {
    /// Transactions that deployed, paid, minted and approved.
    pub transactions: usize,
    /// How long they took.
    pub seconds: f64,
    /// How long signing took.
    pub signing_seconds: f64,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointReport {
    /// Where it is.
    pub url: String,
    /// Transactions it was asked to take.
    pub sent: usize,
    /// Those it took.
    pub accepted: usize,
    /// Those it had a receipt of.
    pub mined: usize,
    /// Why it was given up.
    pub lost: Option<String>,
}

/// Latencies up to each stage; none where nothing got there or nobody says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latencies {
    /// The answer to the request.
    pub accepted: Option<Latency>,
    /// In the block that the node calls latest, as seen from here.
    pub included: Option<Latency>,
    /// Of a shard: noted in a relay block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backed: Option<Latency>,
    /// Of a shard: included, so that the tag `safe` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safe: Option<Latency>,
    /// Ordered for ever; of a shard, final.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finalized: Option<Latency>,
    /// Executed by the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executed: Option<Latency>,
    /// Its result signed by two thirds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Latency>,
    /// The node's clock is another one, so that its stages can't be compared.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clocks_differ: bool,
}

impl Latencies {
    /// Those there are, by name, in the order of the chain's stages.
    pub(super) fn named(&self) -> Vec<(&'static str, &Latency)> {
        let mut named = vec![
            ("accepted", &self.accepted),
            ("included", &self.included),
            ("finalized", &self.finalized),
            ("executed", &self.executed),
            ("verified", &self.verified),
        ];
        if self.safe.is_some() {
            // A shard's block is final at last.
            let finalized = named.remove(2);
            named.extend([("backed", &self.backed), ("safe", &self.safe), finalized]);
        }
        let named = named.into_iter();
        named
            .filter_map(|(name, latency)| Some((name, latency.as_ref()?)))
            .collect()
    }
}

impl LoadReport {
    /// Transactions that did what they were to do.
    #[must_use]
    pub const fn succeeded(&self) -> usize {
        self.mined - self.failed
    }

    /// The report for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        [
            self.counts(),
            self.problems(),
            self.latency_table(),
            self.check_list(),
        ]
        .concat()
    }

    fn counts(&self) -> String {
        let rate = |rate: f64| grouped(format!("{rate:.0}"));
        let mut text = format!(
            "prepared {} transactions in {:.1} s, signed {} in {:.1} s\n",
            grouped(self.preparation.transactions),
            self.preparation.seconds,
            grouped(self.transactions),
            self.preparation.signing_seconds,
        );
        let lines = [
            format!(
                "sent     {} in {:.3} s, {} a second",
                grouped(self.sent),
                self.submission_seconds,
                rate(self.submissions_per_second)
            ),
            format!("accepted {}", grouped(self.accepted)),
            format!("refused  {}", grouped(self.refused)),
            format!(
                "mined    {} in {:.3} s, {} a second, {} blocks",
                grouped(self.mined),
                self.seconds,
                rate(self.transactions_per_second),
                grouped(self.blocks)
            ),
            format!("failed   {}", grouped(self.failed)),
        ];
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        if self.endpoints.len() > 1 {
            for endpoint in &self.endpoints {
                let (sent, accepted, mined) = (endpoint.sent, endpoint.accepted, endpoint.mined);
                let url = &endpoint.url;
                add(
                    &mut text,
                    format_args!("         {url}: sent {sent}, accepted {accepted}, mined {mined}"),
                );
            }
        }
        text
    }

    fn problems(&self) -> String {
        let mut text = String::new();
        for Refusal { message, count } in &self.refusals {
            add(
                &mut text,
                format_args!("         {} x {message}", grouped(*count)),
            );
        }
        if self.resent > 0 {
            add(&mut text, format_args!("resent   {}", grouped(self.resent)));
        }
        if self.missing > 0 {
            add(
                &mut text,
                format_args!("missing  {}", grouped(self.missing)),
            );
        }
        let unread = self.included.saturating_sub(self.mined);
        if unread > 0 {
            let unread = grouped(unread);
            add(
                &mut text,
                format_args!(
                    "unread   {unread} were in blocks, but their receipts could not be read"
                ),
            );
        }
        for endpoint in &self.endpoints {
            if let Some(lost) = &endpoint.lost {
                add(&mut text, format_args!("lost     {lost}"));
            }
        }
        if self.late_sends > 0 && self.rate.is_some() {
            let (late, most) = (grouped(self.late_sends), self.latest_send_ms);
            add(
                &mut text,
                format_args!(
                    "late     {late} sends, by up to {most:.0} ms: this client fell behind"
                ),
            );
        }
        if self.interrupted {
            add(&mut text, format_args!("stopped by hand"));
        }
        text
    }

    fn latency_table(&self) -> String {
        let named = self.latencies.named();
        if named.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "\n{:9} {:>10} {:>10} {:>10} {:>10} {:>10}\n",
            "ms until", "p50", "p90", "p99", "p99.9", "max"
        );
        for (name, latency) in named {
            add(
                &mut text,
                format_args!(
                    "{name:9} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>10.1}",
                    latency.p50_ms,
                    latency.p90_ms,
                    latency.p99_ms,
                    latency.p99_9_ms,
                    latency.max_ms
                ),
            );
        }
        if self.latencies.clocks_differ {
            add(
                &mut text,
                format_args!("the node's clock differs from this machine's: no stages"),
            );
        }
        text
    }

    fn check_list(&self) -> String {
        let mut text = String::new();
        for check in &self.checks {
            let mark = if check.holds() { "ok   " } else { "WRONG" };
            let (found, expected) = (grouped(check.found), grouped(check.expected));
            let start = if text.is_empty() { "\n" } else { "" };
            add(
                &mut text,
                format_args!("{start}{mark}    {}: {found} of {expected}", check.name),
            );
        }
        text
    }
}

fn add(text: &mut String, line: std::fmt::Arguments<'_>) {
    let written = writeln!(text, "{line}");
    written.expect("a string takes whatever is written to it");
}
