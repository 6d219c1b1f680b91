//! Power failures of validators and collators under load.

use super::{A, B, SETTLE_MAX, each_seed, goes_on, load, network, settle, transfers};
use std::time::Duration;
use testkit::{
    cluster::{ClusterConfig, simulate},
    oracle,
};

const WHILE: Duration = Duration::from_secs(3);
/// Relay blocks after which a node stores its ledger.
const REMEMBERED_EVERY: u64 = 64;
/// Blocks that a shard makes final to show that it goes on.
const MORE: u64 = 20;

/// Five validators, of whom the last collates nothing.
fn five(seed: u64) -> ClusterConfig {
    ClusterConfig {
        validators: 5,
        ..network(seed)
    }
}

/// A validator that collates nothing goes down in the middle of what it stores and comes back.
fn validator(seed: u64) -> String {
    simulate(five(seed), |mut cluster| async move {
        const RESTARTED: usize = 4;
        const OTHER: usize = 3;
        cluster.start_all().await;
        let mut transfers = transfers();
        while cluster.shard_ledger(RESTARTED).height() < REMEMBERED_EVERY + seed * 7 {
            load(&cluster, &mut transfers, WHILE / 4).await;
        }
        cluster.crash(RESTARTED).await;
        load(&cluster, &mut transfers, WHILE).await;
        cluster.start(RESTARTED).await;
        let behind = cluster.shard_ledger(0).height();
        let mut transfers_on = transfers;
        load(&cluster, &mut transfers_on, WHILE).await;
        cluster
            .until("it has the others' ledger", SETTLE_MAX, |cluster| {
                cluster.shard_ledger(RESTARTED).height() >= behind
            })
            .await;
        // Four are 2f+1: without another, nothing is final but by its votes.
        cluster.crash(OTHER).await;
        for one in &mut transfers_on {
            goes_on(&cluster, one, MORE, SETTLE_MAX).await;
        }
        cluster.start(OTHER).await;
        settle(&cluster, &transfers_on).await;
    })
}

#[test]
fn a_validator_restarts() {
    each_seed(validator);
}

/// One of two collators goes down and comes back; the other goes on meanwhile.
fn one_of_two(seed: u64) -> String {
    simulate(five(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        let before = cluster.final_heads();
        cluster.crash(0).await;
        goes_on(&cluster, &mut transfers[0], MORE, SETTLE_MAX).await;
        cluster.start(0).await;
        load(&cluster, &mut transfers, WHILE).await;
        settle(&cluster, &transfers).await;
        oracle::finality_kept(&before, &cluster.final_heads());
    })
}

#[test]
fn one_of_two_collators_restarts() {
    each_seed(one_of_two);
}

/// The only collator of a shard goes down and comes back.
fn only_one(seed: u64) -> String {
    let config = ClusterConfig {
        shards: vec![vec![0], vec![2, 3]],
        ..five(seed)
    };
    simulate(config, |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        let before = cluster.final_heads();
        cluster.crash(0).await;
        goes_on(&cluster, &mut transfers[1], MORE, SETTLE_MAX).await;
        let stalled = cluster.final_number(1, A);
        cluster.start(0).await;
        load(&cluster, &mut transfers, WHILE).await;
        goes_on(&cluster, &mut transfers[0], MORE, SETTLE_MAX).await;
        assert!(cluster.final_number(1, A) > stalled && cluster.final_number(1, B) > 0);
        settle(&cluster, &transfers).await;
        oracle::finality_kept(&before, &cluster.final_heads());
    })
}

#[test]
fn the_only_collator_restarts() {
    each_seed(only_one);
}

/// Half of the validators, one collator of each shard among them, go down at once, and the relay chain with them.
fn half(seed: u64) -> String {
    simulate(network(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        let before = cluster.final_heads();
        for index in [0, 2] {
            cluster.crash(index).await;
        }
        load(&cluster, &mut transfers, WHILE).await;
        cluster.start_all().await;
        load(&cluster, &mut transfers, WHILE).await;
        settle(&cluster, &transfers).await;
        oracle::finality_kept(&before, &cluster.final_heads());
    })
}

#[test]
fn half_of_the_validators_restart() {
    each_seed(half);
}
