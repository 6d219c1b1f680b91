//! Nothing goes wrong: four validators under load.

use super::{config, each_seed, load, many_seeds, settle};
use std::time::Duration;
use testkit::{cluster::simulate, oracle, workload::Workload};

pub(super) fn run(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
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
        oracle::verified_height_at_least(&cluster, 30);
    })
}

#[test]
fn happy() {
    each_seed(run);
}

#[test]
fn many_seeds_slow() {
    many_seeds(run);
}
