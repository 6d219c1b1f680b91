//! Nothing goes wrong, or links are bad.

use super::{each_seed, load, network, settle, transfers};
use std::time::Duration;
use testkit::{
    cluster::{ClusterConfig, simulate},
    faults,
};

const LOADED: Duration = Duration::from_secs(5);

fn run_with(config: ClusterConfig) -> String {
    simulate(config, |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        load(&cluster, &mut transfers, LOADED).await;
        settle(&cluster, &transfers).await;
    })
}

fn happy(seed: u64) -> String {
    run_with(network(seed))
}

#[test]
fn transfers_on_two_shards_are_final_everywhere() {
    each_seed(happy);
}

#[test]
fn one_seed_gives_one_history() {
    let first = happy(1);
    assert_eq!(first, happy(1), "one seed, two histories");
    assert_ne!(first, happy(2), "two seeds, one history");
}

#[test]
fn links_that_lose_one_message_of_ten() {
    each_seed(|seed| {
        run_with(ClusterConfig {
            link: faults::lossy_link(),
            ..network(seed)
        })
    });
}

#[test]
fn slow_links() {
    each_seed(|seed| {
        let mut config = network(seed);
        config.link.latency = Duration::from_millis(250);
        run_with(config)
    });
}
