//! Whole networks in simulation: one file per scenario, each ending in named properties.
//!
//! A scenario is a function of a seed that returns a fingerprint of everything that happened; a
//! failure prints the seed that shows it again. Times are simulated, so a minute costs what its
//! messages cost.

mod byzantine_leader;
mod crash;
mod determinism;
mod dissemination;
mod divergence;
mod happy;
mod joining;
mod lag;
mod late_joiner;
mod lossy;
mod partition;
mod shards;
mod slow_executor;
mod state_sync;

use std::time::Duration;
use testkit::{
    cluster::{Cluster, ClusterConfig},
    oracle,
    workload::{self, Workload},
};

/// Seeds that every test run tries with every scenario.
const SEEDS: [u64; 4] = [1, 2, 3, 4];
/// Seeds that the slow tests try with every scenario.
const SEEDS_MANY: u64 = 1_000;
/// Between two submissions of the usual load.
const ROUND: Duration = Duration::from_millis(200);
/// Random transactions of one submission.
const ROUND_TRANSACTIONS: usize = 12;
/// Simulated time in which a network without faults has to be done with what it was given.
const SETTLE_MAX: Duration = Duration::from_secs(120);

/// A scenario: runs the network of a seed and returns a fingerprint of its history.
type Scenario = fn(u64) -> String;

fn each_seed(run: Scenario) {
    for seed in SEEDS {
        run(seed);
    }
}

fn many_seeds(run: Scenario) {
    for seed in 0..SEEDS_MANY {
        println!("seed={seed} {}", run(seed));
    }
}

/// The usual chain under the usual accounts.
fn config(seed: u64) -> ClusterConfig {
    ClusterConfig {
        accounts: workload::accounts(),
        ..ClusterConfig::new(seed)
    }
}

/// Loads some validators in turn, for some time.
async fn load(cluster: &Cluster, workload: &mut Workload, validators: &[usize], time: Duration) {
    let end = cluster.now() + time;
    for validator in validators.iter().cycle() {
        if cluster.now() >= end {
            return;
        }
        workload.submit(cluster, *validator, ROUND_TRANSACTIONS);
        cluster.run_for(ROUND).await;
    }
}

/// Lets every running validator execute and verify everything, sending again what a crash lost.
async fn settle(cluster: &Cluster, workload: &Workload) {
    for (validator, _) in cluster.chains() {
        workload.resubmit(cluster, validator);
    }
    cluster
        .until_settled(&workload.submitted(), SETTLE_MAX)
        .await;
    oracle::healthy(cluster, &workload.submitted());
}
