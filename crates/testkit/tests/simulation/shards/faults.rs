//! Validators that are away, for good or until the network heals.

use super::{A, SETTLE_MAX, each_seed, goes_on, load, many_seeds, network, settle, transfers};
use std::time::Duration;
use testkit::{
    cluster::{ClusterConfig, simulate},
    oracle,
};

const WHILE: Duration = Duration::from_secs(3);
const APART: Duration = Duration::from_secs(15);
/// Blocks that a shard makes final to show that it goes on.
const MORE: u64 = 20;

/// Seven validators, of whom two, collators of nothing, go down for good.
fn down_for_good(seed: u64) -> String {
    let config = ClusterConfig {
        validators: 7,
        ..network(seed)
    };
    simulate(config, |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        cluster.crash(5).await;
        cluster.crash(6).await;
        let before = cluster.final_heads();
        for one in &mut transfers {
            goes_on(&cluster, one, MORE, SETTLE_MAX).await;
        }
        settle(&cluster, &transfers).await;
        oracle::finality_kept(&before, &cluster.final_heads());
    })
}

#[test]
fn a_third_of_the_validators_is_down_for_good() {
    each_seed(down_for_good);
}

#[test]
fn a_third_of_the_validators_is_down_for_good_slow() {
    many_seeds(down_for_good);
}

/// A collator goes down for good in the middle of a segment.
fn collator(seed: u64) -> String {
    simulate(network(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        // Whoever built what is pending.
        let deadline = cluster.now() + SETTLE_MAX;
        let killed = loop {
            let ledger = cluster.shard_ledger(0);
            let segment = ledger.shard(A).expect("the chain has shard A");
            let named = segment.pending().last().map(|one| one.candidate);
            if let Some((_, builder)) = named.and_then(|one| cluster.candidate(one)) {
                break builder;
            }
            assert!(cluster.now() < deadline, "nothing is ever pending");
            load(&cluster, &mut transfers, Duration::from_millis(20)).await;
        };
        cluster.crash(killed).await;
        let before = cluster.final_heads();
        for one in &mut transfers {
            goes_on(&cluster, one, MORE, SETTLE_MAX).await;
        }
        settle(&cluster, &transfers).await;
        oracle::finality_kept(&before, &cluster.final_heads());
    })
}

#[test]
fn the_next_collator_takes_over_from_one_killed_in_a_segment() {
    each_seed(collator);
}

#[test]
fn the_next_collator_takes_over_from_one_killed_in_a_segment_slow() {
    many_seeds(collator);
}

/// One collator of each shard on either side, so that both sides may build and neither can make anything final.
fn partition(seed: u64) -> String {
    simulate(network(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, WHILE).await;
        cluster.partition(&[0, 1]).await;
        // What was on its way arrives.
        cluster.run_for(Duration::from_secs(1)).await;
        let before = cluster.final_heads();
        load(&cluster, &mut transfers, APART).await;
        assert_eq!(
            before,
            cluster.final_heads(),
            "half of the votes made a block final"
        );
        cluster.heal().await;
        load(&cluster, &mut transfers, WHILE).await;
        settle(&cluster, &transfers).await;
        oracle::finality_kept(&before, &cluster.final_heads());
    })
}

#[test]
fn a_partition_heals() {
    each_seed(partition);
}
