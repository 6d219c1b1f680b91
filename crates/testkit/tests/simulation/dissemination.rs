//! Blocks are rebuilt from the names of their transactions, whatever is in the pools and whoever lies: all agree,
//! nobody waits long, and who provably lies is banned.

use super::{SEEDS, SETTLE_MAX, config, each_seed, many_seeds, settle};
use alloy_primitives::B256;
use std::time::Duration;
use testkit::{
    cluster::{BLOCK_LIES, BlockLie, Cluster, ClusterConfig, simulate},
    faults, oracle,
    workload::Workload,
};

const LOADED: Duration = Duration::from_secs(5);
const ROUND: Duration = Duration::from_millis(25);
/// Transactions of one round: a block holds more than what is sent whole.
const ROUND_TRANSACTIONS: usize = 3;
const VALIDATORS: usize = 4;
/// Lies, if anybody does, and is loaded by nobody.
const LIAR: usize = 3;
/// Height that a loaded network of honest nodes reaches at least.
const HEIGHT_MIN: u64 = 25;
/// Height that one with a liar reaches at least, in twice the time: once the liar is banned, its views end with
/// a timeout, as those of a validator that is gone.
const HEIGHT_LYING_MIN: u64 = 8;

/// Loads the first two validators, while others lose a part of their pools.
async fn load(
    cluster: &Cluster,
    workload: &mut Workload,
    time: Duration,
    loses: impl Fn(usize, &B256) -> bool,
) {
    let end = cluster.now() + time;
    for validator in [0, 1].into_iter().cycle() {
        if cluster.now() >= end {
            return;
        }
        workload.submit(cluster, validator, ROUND_TRANSACTIONS);
        cluster.run_for(ROUND).await;
        let submitted = workload.submitted();
        for (index, _) in cluster.chains().filter(|(index, _)| *index > 1) {
            for hash in submitted.iter().filter(|hash| loses(index, hash)) {
                drop(cluster.mempool(index).remove(hash));
            }
        }
    }
}

fn nobody(_: usize, _: &B256) -> bool {
    false
}

/// A third of the transactions, another one on each node.
fn a_third(index: usize, hash: &B256) -> bool {
    (usize::from(hash[31]) + index).is_multiple_of(3)
}

fn total(cluster: &Cluster, counter: &str) -> u64 {
    let counts = (0..VALIDATORS).map(|index| cluster.relay_count(index, counter));
    counts.sum()
}

async fn require_nobody_banned(cluster: &Cluster) {
    assert_eq!(cluster.banned().await, []);
}

fn rebuilt(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        load(&cluster, &mut workload, LOADED, nobody).await;
        oracle::verified_height_at_least(&cluster, HEIGHT_MIN);
        settle(&cluster, &workload).await;
        let (rebuilt, missing) = (
            total(&cluster, "rebuilt_blocks"),
            total(&cluster, "missing_transactions"),
        );
        let submitted = workload.submitted().len() as u64;
        assert!(rebuilt > 30, "{rebuilt} blocks were rebuilt");
        assert!(
            missing < submitted,
            "{missing} of {submitted} were asked for"
        );
        assert_eq!(total(&cluster, "given_up_blocks"), 0);
        require_nobody_banned(&cluster).await;
    })
}

/// A pool that is always empty takes whole blocks, one that lacks some asks for them.
fn poor(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        let loses = |index: usize, hash: &B256| index == 2 || a_third(index, hash);
        load(&cluster, &mut workload, LOADED, loses).await;
        oracle::verified_height_at_least(&cluster, HEIGHT_MIN);
        let missing = cluster.relay_count(3, "missing_transactions");
        assert!(missing > 30, "{missing} were asked for");
        let [poorest, poor] = [2, 3].map(|index| cluster.relay_count(index, "whole_blocks"));
        assert!(poorest > poor, "{poorest} and {poor} were received whole");
        let answered = total(&cluster, "transactions_bytes");
        assert!(answered > 30 * 100, "{answered} bytes of transactions");
        settle(&cluster, &workload).await;
        require_nobody_banned(&cluster).await;
    })
}

/// Killed under load, a validator begins again with an empty pool.
fn restarted(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        load(&cluster, &mut workload, LOADED / 2, nobody).await;
        cluster.crash(2).await;
        load(&cluster, &mut workload, LOADED / 2, nobody).await;
        cluster.start(2).await;
        load(&cluster, &mut workload, LOADED / 2, nobody).await;
        settle(&cluster, &workload).await;
        let rebuilt = cluster.relay_count(2, "rebuilt_blocks");
        assert!(rebuilt > 10, "{rebuilt} blocks were rebuilt");
        require_nobody_banned(&cluster).await;
    })
}

/// Links that lose messages, and pools that lack transactions.
fn lossy(seed: u64) -> String {
    let config = ClusterConfig {
        link: faults::lossy_link(),
        ..config(seed)
    };
    simulate(config, |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        load(&cluster, &mut workload, LOADED, a_third).await;
        settle(&cluster, &workload).await;
        cluster.until_verified(10, SETTLE_MAX).await;
        require_nobody_banned(&cluster).await;
    })
}

/// One validator lies, and the others lack a part of what it names.
fn one_lies(seed: u64, lie: BlockLie) -> String {
    simulate(config(seed), |mut cluster| async move {
        cluster.lie_about_blocks(LIAR, lie);
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        load(&cluster, &mut workload, 2 * LOADED, a_third).await;
        // What the liar thinks of those who believe it counts for nothing.
        let mut banned = cluster.banned().await;
        banned.retain(|(by, _)| *by != LIAR);
        assert!(
            banned.iter().all(|(_, peer)| *peer == LIAR),
            "{lie:?}: {banned:?}"
        );
        assert_eq!(!banned.is_empty(), lie.is_provable(), "{lie:?}: {banned:?}");
        cluster.crash(LIAR).await;
        let heads = cluster.chains().map(|(_, chain)| chain.heads());
        let height = heads.map(|heads| heads.verified_height).min();
        assert!(height >= Some(HEIGHT_LYING_MIN), "{lie:?}: {height:?}");
        settle(&cluster, &workload).await;
    })
}

#[test]
fn rebuilt_from_pools() {
    each_seed(rebuilt);
}

#[test]
fn with_poor_pools() {
    each_seed(poor);
}

#[test]
fn after_a_restart() {
    each_seed(restarted);
}

#[test]
fn over_lossy_links() {
    each_seed(lossy);
}

#[test]
fn while_one_lies() {
    for (seed, lie) in SEEDS.into_iter().cycle().zip(BLOCK_LIES) {
        one_lies(seed, lie);
    }
}

#[test]
fn lies_many_seeds_slow() {
    for seed in 0..32 {
        for lie in BLOCK_LIES {
            println!("seed={seed} lie={lie:?} {}", one_lies(seed, lie));
        }
    }
}

#[test]
fn many_seeds_slow() {
    many_seeds(poor);
}
