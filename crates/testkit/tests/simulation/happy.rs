//! Nothing goes wrong: four validators under load.

use super::SEEDS;
use std::time::Duration;
use testkit::{
    cluster::{ClusterConfig, simulate},
    oracle,
    workload::{self, Workload},
};

pub(super) fn run(seed: u64) -> String {
    let config = ClusterConfig {
        accounts: workload::accounts(),
        ..ClusterConfig::new(seed)
    };
    simulate(config, |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        for round in 0..20 {
            workload.submit(&cluster, round % 4, 20);
            cluster.run_for(Duration::from_millis(200)).await;
        }
        let submitted = workload.submitted();
        cluster
            .until_settled(&submitted, Duration::from_secs(30))
            .await;
        oracle::healthy(&cluster, &submitted);
        oracle::verified_height_at_least(&cluster, 20);
    })
}

#[test]
fn happy() {
    for seed in SEEDS {
        run(seed);
    }
}
