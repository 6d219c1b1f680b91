//! What was simulated: the object that `--json` prints, and the tables for people.

use super::{
    CANDIDATE_GAS, QUEUE_CANDIDATES, WINDOW_BLOCKS,
    curves::Curve,
    play::{Played, Policy, play},
};
use serde::Serialize;
use std::fmt::Write as _;

/// Core hours are counted as if a relay block took a second.
const BLOCKS_PER_HOUR: f64 = 3_600.0;

/// What was simulated.
#[derive(Clone, Debug, Serialize)]
pub struct CoresReport {
    /// Relay blocks of every curve.
    pub blocks: usize,
    /// What decided everything random.
    pub seed: u64,
    /// Relay blocks of a window.
    pub window_blocks: usize,
    /// Most gas of a candidate.
    pub candidate_gas: u64,
    /// Full candidates that may wait for a shard.
    pub queue_candidates: u64,
    /// Real blocks behind the recorded curves; with 0 there are no such curves.
    pub recorded_blocks: usize,
    /// One for each curve.
    pub curves: Vec<CurveReport>,
    /// All curves together: sums of core hours and of changes, means of the rest.
    pub together: Vec<PolicyRow>,
}

/// One curve.
#[derive(Clone, Debug, Serialize)]
pub struct CurveReport {
    /// Its name.
    pub name: &'static str,
    /// Its shape.
    pub what: &'static str,
    /// Shards.
    pub shards: usize,
    /// Cores that there are; the policies that are fixed do not keep to that.
    pub cores: u16,
    /// One for each policy.
    pub rows: Vec<PolicyRow>,
    /// What is drawn of it.
    #[serde(skip)]
    pub(super) drawn: Drawn,
}

/// By window.
#[derive(Clone, Debug, Default)]
pub(super) struct Drawn {
    /// Demand, in cores.
    pub(super) demand: Vec<f64>,
    /// Cores held under the standard rules, and by the last value.
    pub(super) level: Vec<u16>,
    pub(super) last: Vec<u16>,
}

/// One policy over one curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PolicyRow {
    /// Which.
    pub policy: Policy,
    /// Cores held, times hours, if a relay block took a second.
    pub core_hours: f64,
    /// How much of what these cores carry was used, 0 to 1.
    pub used: f64,
    /// Relay blocks until what waits would be carried: the mean over blocks and shards.
    pub wait_mean: f64,
    /// The same, which 99 of 100 do not exceed.
    pub wait_p99: f64,
    /// How much of the demand was turned away, 0 to 1.
    pub turned_away: f64,
    /// How often a core changed hands.
    pub changes: u64,
}

impl CoresReport {
    pub(super) const fn new(blocks: usize, seed: u64, recorded_blocks: usize) -> Self {
        Self {
            blocks,
            seed,
            window_blocks: WINDOW_BLOCKS,
            candidate_gas: CANDIDATE_GAS,
            queue_candidates: QUEUE_CANDIDATES,
            recorded_blocks,
            curves: Vec::new(),
            together: Vec::new(),
        }
    }

    /// Plays all policies over a curve.
    pub(super) fn add(&mut self, curve: &Curve) {
        let mut drawn = Drawn {
            demand: demand(curve),
            ..Drawn::default()
        };
        let rows = Policy::ALL.map(|policy| {
            let played = play(policy, curve);
            let row = PolicyRow::new(policy, &played);
            match policy {
                Policy::Level => drawn.level = played.held,
                Policy::LastValue => drawn.last = played.held,
                Policy::One | Policy::Peak | Policy::OneByOne | Policy::Trend => {}
            }
            row
        });
        self.curves.push(CurveReport {
            name: curve.name,
            what: curve.what,
            shards: curve.demand.len(),
            cores: curve.cores,
            rows: rows.to_vec(),
            drawn,
        });
        self.together = Policy::ALL.map(|policy| self.sum(policy)).to_vec();
    }

    fn sum(&self, policy: Policy) -> PolicyRow {
        let rows = self.curves.iter().flat_map(|curve| &curve.rows);
        let rows: Vec<_> = rows.filter(|row| row.policy == policy).collect();
        let sum = |of: fn(&PolicyRow) -> f64| rows.iter().map(|row| of(row)).sum::<f64>();
        let mean = |of| sum(of) / rows.len() as f64;
        PolicyRow {
            policy,
            core_hours: sum(|row| row.core_hours),
            used: mean(|row| row.used),
            wait_mean: mean(|row| row.wait_mean),
            wait_p99: mean(|row| row.wait_p99),
            turned_away: mean(|row| row.turned_away),
            changes: rows.iter().map(|row| row.changes).sum(),
        }
    }

    /// Tables of Markdown, one for each curve.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = String::new();
        if self.recorded_blocks == 0 {
            out.push_str(
                "SKIPPED SKIPPED SKIPPED: no recorded curves; name a folder of real blocks with --recorded DIR\n\n",
            );
        }
        writeln!(
            out,
            "{} relay blocks, windows of {}, seed {}; waits in relay blocks\n",
            self.blocks, self.window_blocks, self.seed
        )
        .ok();
        for curve in &self.curves {
            writeln!(out, "### {}: {}\n", curve.name, curve.what).ok();
            rows(&mut out, &curve.rows);
        }
        writeln!(out, "### all curves together\n").ok();
        rows(&mut out, &self.together);
        out
    }
}

impl PolicyRow {
    fn new(policy: Policy, played: &Played) -> Self {
        let mut waits = played.waits.clone();
        waits.sort_by(f64::total_cmp);
        let last = waits.len().saturating_sub(1);
        let carry = played.core_blocks as f64 * CANDIDATE_GAS as f64;
        Self {
            policy,
            core_hours: played.core_blocks as f64 / BLOCKS_PER_HOUR,
            used: played.carried as f64 / carry.max(1.0),
            wait_mean: waits.iter().sum::<f64>() / waits.len().max(1) as f64,
            wait_p99: waits.get(last * 99 / 100).copied().unwrap_or(0.0),
            turned_away: played.turned_away as f64 / played.demanded.max(1) as f64,
            changes: played.changes,
        }
    }
}

/// Cores' worth of gas that all shards together demand, by window.
fn demand(curve: &Curve) -> Vec<f64> {
    let blocks = curve.demand.first().map_or(0, Vec::len);
    let windows = (0..blocks).step_by(WINDOW_BLOCKS).map(|start| {
        let end = (start + WINDOW_BLOCKS).min(blocks);
        let gas: u64 = curve
            .demand
            .iter()
            .map(|gas| gas[start..end].iter().sum::<u64>())
            .sum();
        gas as f64 / CANDIDATE_GAS as f64 / (end - start) as f64
    });
    windows.collect()
}

fn rows(out: &mut String, rows: &[PolicyRow]) {
    out.push_str(
        "| policy | core hours | used | wait, mean | wait, p99 | turned away | changes |\n",
    );
    out.push_str("|---|---:|---:|---:|---:|---:|---:|\n");
    for row in rows {
        writeln!(
            out,
            "| {} | {:.1} | {:.0} % | {:.1} | {:.1} | {:.2} % | {} |",
            row.policy.name(),
            row.core_hours,
            row.used * 100.0,
            row.wait_mean,
            row.wait_p99,
            row.turned_away * 100.0,
            row.changes
        )
        .ok();
    }
    out.push('\n');
}

impl CurveReport {
    /// The most cores it demanded in a window.
    pub(super) fn peak(&self) -> f64 {
        self.drawn.demand.iter().copied().fold(0.0, f64::max)
    }
}
