//! Collators that come to a shard which has final blocks already.

use super::{A, SETTLE_MAX, goes_on, load, network, settle, transfers};
use primitives::shard::ShardId;
use state::{Location, MemoryDisk};
use std::time::Duration;
use testkit::{
    cluster::{Cluster, ClusterConfig, simulate},
    oracle,
    workload::Transfers,
};

const WHILE: Duration = Duration::from_secs(3);
/// More relay blocks than a node goes through again when it restarts.
const MANY: u64 = 144;
/// Blocks that a shard makes final to show that it goes on.
const MORE: u64 = 20;

/// Lets so many relay blocks pass that a restart does not see all of them.
async fn pass_many(cluster: &Cluster, transfers: &mut [Transfers]) {
    while cluster.shard_ledger(1).height() < MANY {
        load(cluster, transfers, WHILE).await;
    }
}

/// A collator comes to have all that is final now, and goes on alone while the other one is down.
async fn takes_over(
    cluster: &mut Cluster,
    (shard, late, other): (ShardId, usize, usize),
    transfers: &mut [Transfers],
) {
    let missed = cluster.final_number(other, shard);
    cluster
        .until("it has what it missed", SETTLE_MAX, |cluster| {
            cluster.shard_chain(late, shard).heads().verified_height >= missed
        })
        .await;
    let before = cluster.final_heads();
    cluster.crash(other).await;
    goes_on(cluster, &mut transfers[0], MORE, SETTLE_MAX).await;
    cluster.start(other).await;
    load(cluster, transfers, WHILE).await;
    settle(cluster, transfers).await;
    oracle::finality_kept(&before, &cluster.final_heads());
}

/// A collator loses its shard's folder, and nothing else, when it goes through few of the relay blocks again.
fn emptied(seed: u64) -> String {
    simulate(network(seed), |mut cluster| async move {
        const EMPTIED: usize = 0;
        cluster.start_all().await;
        let mut transfers = transfers();
        pass_many(&cluster, &mut transfers).await;
        cluster.crash(EMPTIED).await;
        let started = cluster.try_start(EMPTIED, |parts| {
            for collated in &mut parts.collated {
                collated.location = Location::Memory(MemoryDisk::new());
            }
        });
        started.await.expect("it begins with nothing");
        assert_eq!(cluster.shard_chain(EMPTIED, A).heads().executed_height, 0);
        takes_over(&mut cluster, (A, EMPTIED, 1), &mut transfers).await;
    })
}

#[test]
fn a_collator_with_an_empty_folder_joins() {
    emptied(1);
}

/// A collator that is a new node begins when its shard has final blocks.
fn newcomer(seed: u64) -> String {
    const NEW: usize = 4;
    let config = ClusterConfig {
        followers: 1,
        shards: vec![vec![0, NEW], vec![2, 3]],
        ..network(seed)
    };
    simulate(config, |mut cluster| async move {
        for index in 0..NEW {
            cluster.start(index).await;
        }
        let mut transfers = transfers();
        pass_many(&cluster, &mut transfers).await;
        cluster.start(NEW).await;
        takes_over(&mut cluster, (A, NEW, 0), &mut transfers).await;
    })
}

#[test]
fn a_collator_on_a_new_node_joins() {
    newcomer(1);
}
