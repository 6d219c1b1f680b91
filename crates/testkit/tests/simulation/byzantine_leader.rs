//! A validator lies whenever it leads: its blocks are never finalized, and the others go on.

use super::{SETTLE_MAX, config, each_seed, load, many_seeds, settle};
use std::time::Duration;
use testkit::{cluster::simulate, oracle, workload::Workload};

const LIAR: usize = 3;
/// Each lie once, and room for turns that are skipped because the liar casts no votes.
const LIES_MIN: usize = 8;

fn run(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
        cluster.start_liar(LIAR).await;
        for honest in 0..LIAR {
            cluster.start(honest).await;
        }
        let mut workload = Workload::new(seed);
        while cluster.told().len() < LIES_MIN {
            load(&cluster, &mut workload, &[0, 1, 2], Duration::from_secs(1)).await;
        }
        settle(&cluster, &workload).await;
        let last = oracle::order_of(&cluster, 0).len() as u64;
        cluster.until_verified(last + 1, SETTLE_MAX).await;
        oracle::never_ordered(&cluster, &cluster.told());
    })
}

#[test]
fn byzantine_leader() {
    each_seed(run);
}

#[test]
fn many_seeds_slow() {
    many_seeds(run);
}
