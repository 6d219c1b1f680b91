//! Power failures under load: of one validator, and then of all four at once.

use super::{config, each_seed, load, many_seeds, settle};
use std::time::Duration;
use testkit::{cluster::simulate, oracle, workload::Workload};

const WHILE: Duration = Duration::from_secs(3);

pub(super) fn run(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        load(&cluster, &mut workload, &[0, 1, 2, 3], WHILE).await;
        let before = oracle::order_of(&cluster, 1);
        cluster.crash(1).await;
        load(&cluster, &mut workload, &[0, 2, 3], WHILE).await;
        cluster.start(1).await;
        load(&cluster, &mut workload, &[0, 1, 2, 3], WHILE).await;
        settle(&cluster, &workload).await;
        oracle::nothing_lost(&before, &oracle::order_of(&cluster, 1));

        load(&cluster, &mut workload, &[0, 1, 2, 3], WHILE).await;
        let before: Vec<_> = cluster
            .indices()
            .map(|index| oracle::order_of(&cluster, index))
            .collect();
        for index in cluster.indices() {
            cluster.crash(index).await;
        }
        cluster.start_all().await;
        load(&cluster, &mut workload, &[0, 1, 2, 3], WHILE).await;
        settle(&cluster, &workload).await;
        for (index, before) in before.iter().enumerate() {
            oracle::nothing_lost(before, &oracle::order_of(&cluster, index));
        }
    })
}

#[test]
fn crash() {
    each_seed(run);
}

#[test]
fn many_seeds_slow() {
    many_seeds(run);
}
