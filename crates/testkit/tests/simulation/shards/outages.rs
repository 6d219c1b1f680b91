//! Power failures of everybody at once, under load, and collators that were away for long.

use super::{A, B, ROUND, SETTLE_MAX, each_seed, load, network, settle, transfers};
use primitives::shard::ShardId;
use std::time::Duration;
use testkit::{
    cluster::{Cluster, ClusterConfig, simulate},
    oracle,
    workload::Transfers,
};

const WHILE: Duration = Duration::from_secs(2);
/// Between the moments at which the power fails.
const MOMENT: Duration = Duration::from_millis(37);
/// Power failures in one history.
const OUTAGES: u32 = 4;
/// Blocks that a shard makes final to show that it goes on.
const MORE: u64 = 10;
/// How long a shard may take for that after everybody has started again.
const RESUMED_MAX: Duration = Duration::from_secs(120);
/// More numbers than an agent keeps candidates for in memory.
const MANY: u64 = 280;

/// The number of the newest final block of a shard that any node has seen.
fn newest_final(cluster: &Cluster, shard: ShardId) -> u64 {
    let heads = cluster.final_heads();
    let numbers = heads.keys().filter(|(of, _)| *of == shard);
    numbers.map(|(_, number)| *number).max().unwrap_or_default()
}

/// Lets a shard make more blocks final than anybody has seen of it.
async fn resumes(cluster: &Cluster, transfers: &mut Transfers, blocks: u64) {
    let shard = transfers.shard();
    let target = newest_final(cluster, shard) + blocks;
    let deadline = cluster.now() + RESUMED_MAX;
    while newest_final(cluster, shard) < target {
        let number = newest_final(cluster, shard);
        assert!(
            cluster.now() < deadline,
            "shard {shard} does not go on: number={number} target={target}; {cluster:?}"
        );
        transfers.submit(cluster, 1);
        cluster.run_for(ROUND).await;
    }
}

/// Everybody goes down in the same moment, and comes back; several times, each at another moment of what they do.
fn everybody(config: ClusterConfig) -> String {
    let seed = u32::try_from(config.seed).expect("a small seed");
    simulate(config, |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        for outage in 0..OUTAGES {
            load(&cluster, &mut transfers, WHILE).await;
            cluster.run_for(MOMENT * (seed + 3 * outage)).await;
            let before = cluster.final_heads();
            cluster.crash_all().await;
            cluster.start_all().await;
            for one in &mut transfers {
                resumes(&cluster, one, MORE).await;
            }
            oracle::finality_kept(&before, &cluster.final_heads());
        }
        settle(&cluster, &transfers).await;
    })
}

#[test]
fn everybody_restarts_at_once() {
    each_seed(|seed| everybody(network(seed)));
}

/// Whoever collates a shard is the only one who had all of its blocks.
#[test]
fn everybody_restarts_where_each_shard_has_one_collator() {
    each_seed(|seed| {
        everybody(ClusterConfig {
            shards: vec![vec![0], vec![0]],
            ..network(seed)
        })
    });
}

/// Everybody goes down again while what was lost is being made up for.
fn again(seed: u64) -> String {
    simulate(network(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        let before = cluster.final_heads();
        for step in 1..=8 {
            cluster.crash_all().await;
            cluster.start_all().await;
            cluster.run_for(MOMENT * step * 4).await;
        }
        for one in &mut transfers {
            resumes(&cluster, one, MORE).await;
        }
        settle(&cluster, &transfers).await;
        oracle::finality_kept(&before, &cluster.final_heads());
    })
}

#[test]
fn everybody_restarts_while_restarting() {
    each_seed(again);
}

/// A collator is away for more blocks than anybody keeps in memory, and everybody restarts while it catches up.
fn away(seed: u64) -> String {
    simulate(network(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        cluster.crash(0).await;
        while newest_final(&cluster, A) < MANY {
            load(&cluster, &mut transfers, WHILE).await;
        }
        let missed = newest_final(&cluster, A);
        cluster.start(0).await;
        cluster.run_for(WHILE / 2).await;
        let reached = cluster.shard_chain(0, A).heads().verified_height;
        cluster.crash_all().await;
        cluster.start_all().await;
        cluster
            .until("it has what it missed", SETTLE_MAX, |cluster| {
                cluster.shard_chain(0, A).heads().verified_height >= missed
            })
            .await;
        assert!(reached < missed, "it caught up before everybody restarted");
        load(&cluster, &mut transfers, WHILE).await;
        settle(&cluster, &transfers).await;
        assert!(newest_final(&cluster, B) > 0);
    })
}

#[test]
#[ignore = "for the slow profile: minutes"]
fn a_collator_was_away_for_long_slow() {
    away(1);
}
