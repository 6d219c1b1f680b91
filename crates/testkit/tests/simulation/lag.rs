//! One validator executes slowly: the chain's order does not notice, and the validator catches up.

use super::{config, each_seed, load, many_seeds, settle};
use std::{collections::BTreeMap, time::Duration};
use testkit::{
    cluster::{ClusterConfig, simulate},
    oracle,
    workload::Workload,
};

const SLOW: usize = 3;
const DELAY: Duration = Duration::from_millis(500);
const LOADED: Duration = Duration::from_secs(8);

/// Runs the load with one validator this slow; says how many blocks were finalized meanwhile.
fn finalized_under_load(seed: u64, delay: Duration) -> (u64, String) {
    let config = ClusterConfig {
        execution_delays: BTreeMap::from([(SLOW, delay)]),
        ..config(seed)
    };
    let mut finalized = 0;
    let counted = &mut finalized;
    let fingerprint = simulate(config, |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        load(&cluster, &mut workload, &[0, 1, 2, 3], LOADED).await;
        *counted = cluster.chain(0).heads().finalized_height;
        let behind = *counted - cluster.chain(SLOW).heads().executed_height;
        assert_eq!(behind > 20, !delay.is_zero(), "executes {behind} behind");
        settle(&cluster, &workload).await;
        oracle::verified_height_at_least(&cluster, *counted);
    });
    (finalized, fingerprint)
}

fn run(seed: u64) -> String {
    let (alone, _) = finalized_under_load(seed, Duration::ZERO);
    let (beside, fingerprint) = finalized_under_load(seed, DELAY);
    assert!(
        beside * 10 >= alone * 9,
        "a slow validator costs order: {beside} blocks instead of {alone}"
    );
    fingerprint
}

#[test]
fn lag() {
    each_seed(run);
}

#[test]
fn many_seeds_slow() {
    many_seeds(run);
}
