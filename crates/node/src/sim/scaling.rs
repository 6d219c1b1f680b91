//! `headway sim scaling`: what all shards together carry, with more shards and more validators.
//!
//! ```text
//! for each number of validators, for each number of shards: endless demand ─▶ final transactions, processors, wires
//! ```

use super::{
    backing::{SimFault, run},
    demand::Demand,
    model::{Mode, Model},
    watch::Figures,
    world::Setup,
};
use crate::bench::state::{OnProgress, Progress};
use serde::Serialize;

/// A shard stands still that makes less than this share of its blocks.
const KEEPS_UP: f64 = 0.95;

/// Many networks.
#[derive(Clone, Debug)]
pub struct ScalingSim {
    /// Everything but validators and shards.
    pub model: Model,
    /// Numbers of validators.
    pub validators: Vec<u16>,
    /// Numbers of shards.
    pub shards: Vec<u16>,
    /// Relay blocks that are looked at.
    pub blocks: u64,
    /// Decides everything that is random.
    pub seed: u64,
}

/// One network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScalingRow {
    /// Validators.
    pub validators: u16,
    /// Shards.
    pub shards: u16,
    /// Blocks of all shards, of those that there could be.
    pub block_share: f64,
    /// Whether the network carries so many shards.
    pub keeps_up: bool,
    /// Its figures.
    pub figures: Figures,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScalingReport {
    /// Decided everything that is random.
    pub seed: u64,
    /// What was simulated, but for validators and shards.
    pub model: Model,
    /// All networks, by validators and then by shards.
    pub rows: Vec<ScalingRow>,
}

impl ScalingSim {
    /// Simulates one network after the other.
    ///
    /// # Errors
    /// When a property does not hold, or there is no such network.
    pub fn run(&self, progress: OnProgress<'_>) -> Result<ScalingReport, SimFault> {
        let networks = self.validators.iter();
        let networks = networks.flat_map(|n| self.shards.iter().map(|shards| (*n, *shards)));
        let networks: Vec<(u16, u16)> = networks.collect();
        let total = networks.len() as u64;
        let mut rows = Vec::new();
        for (validators, shards) in networks {
            let (step, done) = ("networks", rows.len() as u64);
            progress(Progress { step, done, total });
            rows.push(self.one(validators, shards)?);
        }
        Ok(ScalingReport {
            seed: self.seed,
            model: self.model.clone(),
            rows,
        })
    }

    fn one(&self, validators: u16, shards: u16) -> Result<ScalingRow, SimFault> {
        let model = Model {
            validators,
            shards,
            ..self.model.clone()
        };
        let setup = Setup {
            seed: self.seed,
            model,
            mode: Mode::Asynchronous,
            demand: Demand::Endless,
            transactions_max: None,
            ends_ms: u64::MAX,
        };
        let figures = run(setup, self.blocks)?;
        let possible = figures.relay_blocks as f64 * f64::from(shards);
        let block_share = figures.final_blocks as f64 / possible.max(1.0);
        Ok(ScalingRow {
            validators,
            shards,
            block_share,
            keeps_up: block_share >= KEEPS_UP,
            figures,
        })
    }
}
