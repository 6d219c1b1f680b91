//! One message of ten is lost, and the others come early or late.

use super::{SETTLE_MAX, config, each_seed, load, many_seeds, settle};
use std::time::Duration;
use testkit::{
    cluster::{ClusterConfig, simulate},
    faults, oracle,
    workload::Workload,
};

pub(super) fn run(seed: u64) -> String {
    let config = ClusterConfig {
        link: faults::lossy_link(),
        ..config(seed)
    };
    simulate(config, |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        load(
            &cluster,
            &mut workload,
            &[0, 1, 2, 3],
            Duration::from_secs(5),
        )
        .await;
        settle(&cluster, &workload).await;
        // Votes are not sent again before a timeout, so that blocks are few and far between.
        cluster.until_verified(10, SETTLE_MAX).await;
        oracle::same_results(&cluster);
    })
}

#[test]
fn lossy() {
    each_seed(run);
}

#[test]
fn many_seeds_slow() {
    many_seeds(run);
}
