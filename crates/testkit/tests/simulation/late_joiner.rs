//! The fourth validator starts when the others have a history: it fetches it, executes it, and
//! comes to the same roots.

use super::{config, each_seed, load, many_seeds, settle};
use std::time::Duration;
use testkit::{cluster::simulate, oracle, workload::Workload};

const HISTORY: u64 = 40;

fn run(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
        for early in 0..3 {
            cluster.start(early).await;
        }
        let mut workload = Workload::new(seed);
        while cluster.chain(0).heads().verified_height < HISTORY {
            load(&cluster, &mut workload, &[0, 1, 2], Duration::from_secs(1)).await;
        }
        let before = oracle::order_of(&cluster, 0);
        cluster.start(3).await;
        load(
            &cluster,
            &mut workload,
            &[0, 1, 2, 3],
            Duration::from_secs(2),
        )
        .await;
        settle(&cluster, &workload).await;
        oracle::nothing_lost(&before, &oracle::order_of(&cluster, 3));
        oracle::verified_height_at_least(&cluster, HISTORY);
    })
}

#[test]
fn late_joiner() {
    each_seed(run);
}

#[test]
fn many_seeds_slow() {
    many_seeds(run);
}
