//! Collators of one shard that build different blocks for one number.

use super::{A, each_seed, load, network, settle, transfers};
use std::time::Duration;
use testkit::{cluster::simulate, oracle};

const WHILE: Duration = Duration::from_secs(3);
const APART: Duration = Duration::from_secs(12);

/// A collator hears nobody for a while and builds on its own; the others go on without it.
fn fork(seed: u64) -> String {
    simulate(network(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        let before = cluster.final_heads();
        cluster.partition(&[0]).await;
        load(&cluster, &mut transfers, APART).await;
        let alone = cluster.shard_chain(0, A).heads();
        assert!(
            alone.executed_height > alone.verified_height,
            "the lonely collator built nothing: {alone:?}"
        );
        assert!(
            cluster.final_number(1, A) > alone.verified_height,
            "the others did not go on"
        );
        cluster.heal().await;
        load(&cluster, &mut transfers, WHILE).await;
        settle(&cluster, &transfers).await;
        oracle::finality_kept(&before, &cluster.final_heads());
    })
}

#[test]
fn the_loser_of_a_fork_takes_its_blocks_back() {
    each_seed(fork);
}
