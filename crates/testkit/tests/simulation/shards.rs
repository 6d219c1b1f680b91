//! Shards of a simulated network: what their collators and validators live through, and what holds after it.
//!
//! Every scenario sends transfers to two shards while it disturbs the network, and ends when all of them are final
//! everywhere.

mod collators;
mod corrupt;
mod faults;
mod joins;
mod large;
mod outages;
mod quiet;
mod registry;
mod restarts;

use super::{SETTLE_MAX, config};
use primitives::shard::ShardId;
use std::time::Duration;
use testkit::{
    cluster::{Cluster, ClusterConfig},
    oracle,
    workload::Transfers,
};

/// Seeds that every test run tries with every scenario.
const SEEDS: [u64; 3] = [1, 2, 3];
/// Seeds that the slow tests try: each is a network of up to ten nodes.
const SEEDS_SLOW: u64 = 100;
/// Between two submissions.
const ROUND: Duration = Duration::from_millis(250);
/// Transfers of one submission to one shard.
const ROUND_TRANSFERS: usize = 4;

const A: ShardId = ShardId(1);
const B: ShardId = ShardId(2);

/// Four validators; shard A is collated by the first two, shard B by the next two.
fn network(seed: u64) -> ClusterConfig {
    ClusterConfig {
        shards: vec![vec![0, 1], vec![2, 3]],
        ..config(seed)
    }
}

fn each_seed(run: fn(u64) -> String) {
    for seed in SEEDS {
        run(seed);
    }
}

fn many_seeds(run: fn(u64) -> String) {
    for seed in 0..SEEDS_SLOW {
        println!("seed={seed} {}", run(seed));
    }
}

/// Transfers on both shards.
fn transfers() -> [Transfers; 2] {
    [Transfers::new(A), Transfers::new(B)]
}

/// Sends to all shards for some time.
async fn load(cluster: &Cluster, transfers: &mut [Transfers], time: Duration) {
    let end = cluster.now() + time;
    while cluster.now() < end {
        for one in transfers.iter_mut() {
            one.submit(cluster, ROUND_TRANSFERS);
        }
        cluster.run_for(ROUND).await;
    }
}

/// Lets all transfers become final on all collators that run, sending again what a crash lost.
async fn settle(cluster: &Cluster, transfers: &[Transfers]) {
    settle_among_liars(cluster, transfers).await;
    oracle::nobody_accused(cluster);
}

/// The same where somebody has lied, and may be known to have.
async fn settle_among_liars(cluster: &Cluster, transfers: &[Transfers]) {
    for one in transfers {
        one.resubmit(cluster);
        let hashes = one.sent();
        let what = format!(
            "{} transfers of shard {} are final",
            hashes.len(),
            one.shard()
        );
        cluster
            .until(&what, SETTLE_MAX, |cluster| {
                is_final(cluster, one.shard(), &hashes)
            })
            .await;
    }
    for one in transfers {
        oracle::shard_healthy(cluster, one);
        same_finality(cluster, one.shard()).await;
    }
    oracle::same_order(cluster);
    oracle::same_results(cluster);
}

fn is_final(cluster: &Cluster, shard: ShardId, hashes: &[alloy_primitives::B256]) -> bool {
    cluster.collators(shard).all(|collator| {
        let chain = cluster.shard_chain(collator, shard);
        let verified_height = chain.heads().verified_height;
        hashes.iter().rev().all(|hash| {
            let location = chain.transaction(hash).expect("a simulated disk reads");
            location.is_some_and(|(record, _)| record.height() <= verified_height)
        })
    })
}

/// Every node that runs comes to know what is final on the shard now.
async fn same_finality(cluster: &Cluster, shard: ShardId) {
    let numbers = |cluster: &Cluster| -> Vec<u64> {
        let running: Vec<usize> = cluster.chains().map(|(index, _)| index).collect();
        let numbers = running.into_iter();
        numbers
            .map(|index| cluster.final_number(index, shard))
            .collect()
    };
    let highest = numbers(cluster).into_iter().max().unwrap_or_default();
    assert!(highest > 0, "shard {shard} has made nothing final");
    cluster
        .until("all know what is final", SETTLE_MAX, |cluster| {
            numbers(cluster).iter().all(|number| *number >= highest)
        })
        .await;
}

/// Lets a shard make so many blocks more final, as whoever knows most of it sees it: a node may be cut off.
async fn goes_on(cluster: &Cluster, transfers: &mut Transfers, blocks: u64, limit: Duration) {
    let shard = transfers.shard();
    let newest = || {
        let running = cluster.chains().map(|(index, _)| index);
        let numbers = running.map(|index| cluster.final_number(index, shard));
        numbers.max().expect("somebody runs")
    };
    let target = newest() + blocks;
    let deadline = cluster.now() + limit;
    while newest() < target {
        assert!(
            cluster.now() < deadline,
            "shard {shard} does not go on: number={} target={target}; {cluster:?}",
            newest()
        );
        transfers.submit(cluster, 1);
        cluster.run_for(ROUND).await;
    }
}
