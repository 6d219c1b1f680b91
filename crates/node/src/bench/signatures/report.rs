//! What was measured of signatures: the object that `--json` prints, and the table for people.

use super::{EACH, WAYS, Way};
use crate::workers::default_workers;
use serde::Serialize;
use std::fmt::Write as _;

/// What was measured; medians of the rounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SignatureReport {
    /// Cores of this machine; one of them worked.
    pub cores: usize,
    /// Timed rounds.
    pub rounds: usize,
    /// Signatures of one sender in the column that says so.
    pub each: usize,
    /// One for each batch size.
    pub rows: Vec<SignatureRow>,
}

/// One batch size.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SignatureRow {
    /// Signatures of a batch.
    pub batch: usize,
    /// Microseconds a signature.
    pub us: WayCosts,
}

/// Microseconds a signature by each way; none where the processor has not got it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct WayCosts {
    /// Recovery by the C library.
    pub library: Option<f64>,
    /// Recovery in lanes.
    pub lanes: Option<f64>,
    /// By hints, every sender another.
    pub hinted: Option<f64>,
    /// By hints, several signatures of a sender.
    pub hinted_each: Option<f64>,
    /// Ed25519 batch verification.
    pub ed25519: Option<f64>,
}

impl WayCosts {
    const fn all(&self) -> [Option<f64>; WAYS.len()] {
        [
            self.library,
            self.lanes,
            self.hinted,
            self.hinted_each,
            self.ed25519,
        ]
    }
}

impl SignatureReport {
    /// Lines for people.
    #[must_use]
    pub fn table(&self) -> String {
        let heads = [
            "C library".to_owned(),
            "lanes".to_owned(),
            "hinted".to_owned(),
            format!("hinted, {} each", self.each),
            "Ed25519".to_owned(),
        ];
        let mut out = format!(
            "us per signature on one of {} cores, median of {} rounds\n\n{:>6}",
            self.cores, self.rounds, "batch"
        );
        for head in &heads {
            write!(out, " {head:>15}").ok();
        }
        for row in &self.rows {
            write!(out, "\n{:>6}", row.batch).ok();
            for cost in row.us.all() {
                let cost = cost.map_or("-".to_owned(), |cost| format!("{cost:.2}"));
                write!(out, " {cost:>15}").ok();
            }
        }
        out.push('\n');
        out
    }
}

/// The costs of all rounds, by batch size and way.
#[derive(Debug)]
pub(super) struct Samples(Vec<[Vec<f64>; WAYS.len()]>);

impl Samples {
    pub(super) fn new(batches: usize) -> Self {
        Self(vec![Default::default(); batches])
    }

    /// Notes a cost; a way that the processor has not got has none.
    pub(super) fn push(&mut self, place: usize, way: Way, cost: Option<f64>) {
        let ways = self.0.get_mut(place).into_iter().flatten();
        for (costs, _) in ways.zip(WAYS).filter(|(_, each)| *each == way) {
            costs.extend(cost);
        }
    }

    pub(super) fn report(self, batches: &[usize], rounds: usize) -> SignatureReport {
        let rows = batches.iter().zip(self.0).map(|(batch, ways)| {
            let [library, lanes, hinted, hinted_each, ed25519] = ways.map(median);
            let us = WayCosts {
                library,
                lanes,
                hinted,
                hinted_each,
                ed25519,
            };
            SignatureRow { batch: *batch, us }
        });
        SignatureReport {
            cores: default_workers().get(),
            rounds,
            each: EACH,
            rows: rows.collect(),
        }
    }
}

fn median(mut costs: Vec<f64>) -> Option<f64> {
    costs.sort_by(f64::total_cmp);
    costs.get(costs.len() / 2).copied()
}
