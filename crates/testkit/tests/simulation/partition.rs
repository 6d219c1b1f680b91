//! Two and two can't hear each other: neither side may finalize, and both go on once they can.

use super::{SETTLE_MAX, config, each_seed, load, many_seeds, settle};
use std::time::Duration;
use testkit::{
    cluster::{Cluster, simulate},
    oracle,
    workload::Workload,
};

/// For what was on its way when the network broke.
const IN_TRANSIT: Duration = Duration::from_secs(1);
const APART: Duration = Duration::from_secs(15);

fn finalized(cluster: &Cluster) -> Vec<u64> {
    let heads = cluster.chains().map(|(_, chain)| chain.heads());
    heads.map(|heads| heads.finalized_height).collect()
}

fn run(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        load(
            &cluster,
            &mut workload,
            &[0, 1, 2, 3],
            Duration::from_secs(2),
        )
        .await;
        cluster.partition(&[0, 1]).await;
        cluster.run_for(IN_TRANSIT).await;
        let before = finalized(&cluster);
        load(&cluster, &mut workload, &[0, 3], APART).await;
        assert_eq!(
            finalized(&cluster),
            before,
            "half of the votes finalized a block"
        );
        oracle::same_order(&cluster);
        cluster.heal().await;
        load(
            &cluster,
            &mut workload,
            &[0, 1, 2, 3],
            Duration::from_secs(2),
        )
        .await;
        settle(&cluster, &workload).await;
        let highest = before.into_iter().max().unwrap_or_default();
        cluster.until_verified(highest + 10, SETTLE_MAX).await;
        oracle::same_results(&cluster);
    })
}

#[test]
fn partition() {
    each_seed(run);
}

#[test]
fn many_seeds_slow() {
    many_seeds(run);
}
