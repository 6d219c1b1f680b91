//! Every validator takes 300 ms to execute a block, and blocks come every 125 ms: order does not
//! wait for execution until what is in flight reaches its cap, and never exceeds that.

use super::{config, each_seed, many_seeds, settle};
use std::{collections::BTreeMap, time::Duration};
use testkit::{
    cluster::{Cluster, ClusterConfig, simulate},
    oracle,
    workload::Workload,
};

const DELAY: Duration = Duration::from_millis(300);
const LOADED: Duration = Duration::from_secs(12);
/// Gas limit of every transaction, of which a block holds a hundred.
const GAS: u64 = 300_000;
const ROUND: Duration = Duration::from_millis(25);

/// Runs a steady load with executors this slow; gives the times at which blocks of full budget were
/// proposed, from height 1, as the first validator saw them.
fn proposals(seed: u64, delay: Duration) -> (Vec<u64>, String) {
    let all = 0..usize::from(ClusterConfig::new(seed).validators);
    let config = ClusterConfig {
        execution_delays: all.map(|index| (index, delay)).collect::<BTreeMap<_, _>>(),
        ..config(seed)
    };
    let mut times = Vec::new();
    let seen = &mut times;
    let fingerprint = simulate(config, |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        let end = cluster.now() + LOADED;
        while cluster.now() < end {
            workload.submit_steady(&cluster, 0, 2, GAS);
            cluster.run_for(ROUND).await;
        }
        settle(&cluster, &workload).await;
        *seen = proposed_with_full_budget(&cluster);
        if !delay.is_zero() {
            order_ran_ahead(&cluster);
            budget_shrank(&cluster);
        }
    });
    (times, fingerprint)
}

fn proposed_with_full_budget(cluster: &Cluster) -> Vec<u64> {
    let chain = cluster.chain(0);
    oracle::records(chain)
        .take_while(|record| record.block.header().gas_budget == chain.config().gas_limit)
        .filter_map(|record| chain.stages(record.height())?.proposed_ms)
        .collect()
}

/// Block N+1 is proposed before N has executed.
fn order_ran_ahead(cluster: &Cluster) {
    let chain = cluster.chain(0);
    let ahead = oracle::records(chain).filter(|record| {
        let executed_ms = chain
            .stages(record.height())
            .and_then(|stages| stages.executed_ms);
        let next = chain.stages(record.height() + 1);
        let proposed_ms = next.and_then(|stages| stages.proposed_ms);
        !record.transactions.is_empty() && proposed_ms.is_some() && proposed_ms < executed_ms
    });
    let (ahead, loaded) = (ahead.count(), loaded(cluster));
    assert!(
        ahead * 10 >= loaded * 9,
        "{ahead} of {loaded} blocks were built upon before they executed"
    );
}

fn loaded(cluster: &Cluster) -> usize {
    let records = oracle::records(cluster.chain(0));
    records
        .filter(|record| !record.transactions.is_empty())
        .count()
}

fn budget_shrank(cluster: &Cluster) {
    let chain = cluster.chain(0);
    let budgets = oracle::records(chain).map(|record| record.block.header().gas_budget);
    let least = budgets.min().unwrap_or_default();
    assert!(
        least < chain.config().gas_limit,
        "back-pressure never began"
    );
}

fn run(seed: u64) -> String {
    let (idle, _) = proposals(seed, Duration::ZERO);
    let (slow, fingerprint) = proposals(seed, DELAY);
    let blocks = slow.len();
    assert!(blocks > 10, "back-pressure began after {blocks} blocks");
    let (idle, slow) = (idle[blocks - 1] - idle[0], slow[blocks - 1] - slow[0]);
    assert!(
        slow * 10 <= idle * 11,
        "{blocks} blocks took {slow} ms instead of {idle} ms"
    );
    fingerprint
}

#[test]
fn slow_executor() {
    each_seed(run);
}

#[test]
fn many_seeds_slow() {
    many_seeds(run);
}
