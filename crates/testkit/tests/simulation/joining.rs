//! A node begins with the state of another one, an anchor and no history: it fetches what was ordered above,
//! never executes what is below, and goes on like everybody else, also after a power failure.

use super::{SETTLE_MAX, config, each_seed, load, many_seeds, settle};
use primitives::{Anchor, Block};
use std::time::Duration;
use testkit::{
    cluster::{Cluster, ClusterConfig, simulate},
    oracle,
    workload::Workload,
};

const WHILE: Duration = Duration::from_secs(3);
const FOLLOWER: usize = 4;

fn with_follower(seed: u64) -> ClusterConfig {
    ClusterConfig {
        followers: 1,
        ..config(seed)
    }
}

/// The evidence that a running node has for the state of one that does not run.
async fn anchor_of(cluster: &Cluster, from: usize, stopped: usize) -> Anchor {
    let height = cluster.flushed_height(stopped);
    assert!(height > 1, "something is durable");
    let anchor = cluster.anchor(from, height).await;
    anchor.expect("a network without losses finalizes every block")
}

/// Lets a node come to where another one is.
async fn until_level(cluster: &Cluster, behind: usize, with: usize) {
    let level = cluster.chain(with).heads().finalized_height;
    cluster
        .until("a node has caught up", SETTLE_MAX, |cluster| {
            cluster.chain(behind).heads().verified_height >= level
        })
        .await;
}

fn follows_from(cluster: &Cluster, index: usize, anchor: &Anchor) {
    let chain = cluster.chain(index);
    assert_eq!(chain.first_height(), anchor.height() + 1);
    assert!(chain.syncing().is_none());
    let record = |height| chain.record(height);
    assert!(record(0).expect("genesis is always there").is_some());
    assert!(record(anchor.height()).is_err(), "what is below is pruned");
    let first = record(anchor.height() + 1).expect("reads");
    let first = first.expect("executed here");
    assert_eq!(first.header.parent_hash, anchor.result().block_hash);
    let last = anchor.order().last().map(Block::digest);
    assert_eq!(last, Some(anchor.finalized().digest()));
}

fn follower(seed: u64) -> String {
    simulate(with_follower(seed), |mut cluster| async move {
        for early in 0..4 {
            cluster.start(early).await;
        }
        let mut workload = Workload::new(seed);
        load(&cluster, &mut workload, &[0, 1, 2, 3], WHILE).await;
        cluster.crash(3).await;
        load(&cluster, &mut workload, &[0, 1, 2], WHILE).await;
        let anchor = anchor_of(&cluster, 0, 3).await;
        cluster.move_disk(3, FOLLOWER);
        let (given, height) = (anchor.clone(), anchor.height());
        let started = cluster.try_start(FOLLOWER, |parts| parts.anchor = Some(given));
        started.await.expect("it has a state and an anchor");
        let heads = cluster.chain(FOLLOWER).heads();
        assert_eq!(heads.verified_height, height, "2f+1 signed it");
        until_level(&cluster, FOLLOWER, 0).await;
        follows_from(&cluster, FOLLOWER, &anchor);
        load(&cluster, &mut workload, &[0, 1, 2, FOLLOWER], WHILE).await;
        settle(&cluster, &workload).await;
        let before = oracle::order_of(&cluster, FOLLOWER);

        cluster.crash(FOLLOWER).await;
        load(&cluster, &mut workload, &[0, 1, 2], WHILE).await;
        cluster.start(FOLLOWER).await;
        until_level(&cluster, FOLLOWER, 0).await;
        follows_from(&cluster, FOLLOWER, &anchor);
        load(&cluster, &mut workload, &[FOLLOWER, 0, 1, 2], WHILE).await;
        settle(&cluster, &workload).await;
        oracle::nothing_lost(&before, &oracle::order_of(&cluster, FOLLOWER));
    })
}

/// The fourth validator has never voted; it joins with the state of a follower, and then the others need it.
fn validator(seed: u64) -> String {
    simulate(with_follower(seed), |mut cluster| async move {
        for early in [0, 1, 2, FOLLOWER] {
            cluster.start(early).await;
        }
        let mut workload = Workload::new(seed);
        load(&cluster, &mut workload, &[0, 1, 2], WHILE).await;
        cluster.crash(FOLLOWER).await;
        let anchor = anchor_of(&cluster, 0, FOLLOWER).await;
        cluster.move_disk(FOLLOWER, 3);
        let given = anchor.clone();
        let refused = cluster
            .try_start(3, |parts| parts.anchor = Some(given))
            .await;
        let refused = refused.expect_err("it may have voted").to_string();
        assert!(refused.contains("may have voted"), "{refused}");
        let given = anchor.clone();
        let started = cluster.try_start(3, |parts| {
            parts.anchor = Some(given);
            parts.never_voted = true;
        });
        started.await.expect("its operator says so");
        until_level(&cluster, 3, 0).await;
        follows_from(&cluster, 3, &anchor);
        cluster.crash(0).await;
        load(&cluster, &mut workload, &[1, 2, 3], WHILE).await;
        settle(&cluster, &workload).await;

        // From now on it remembers its votes, and nobody has to say anything.
        cluster.crash(3).await;
        cluster.start(3).await;
        load(&cluster, &mut workload, &[1, 2], WHILE).await;
        settle(&cluster, &workload).await;
    })
}

/// A state without the order from there on is refused, whether or not there is an anchor.
fn refused(seed: u64) -> String {
    simulate(with_follower(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        load(&cluster, &mut workload, &[0, 1, 2, 3], WHILE).await;
        let early = cluster.chain(0).heads().verified_height;
        load(&cluster, &mut workload, &[0, 1, 2, 3], WHILE).await;
        cluster.crash(3).await;
        cluster.crash(FOLLOWER).await;
        let late = anchor_of(&cluster, 0, 3).await;
        assert!(late.height() > early, "one is later");
        cluster.move_disk(3, FOLLOWER);
        let lost = |parts: &mut node::run::NodeParts| parts.partition = "lost".to_owned();
        let error = cluster.try_start(FOLLOWER, lost).await;
        let error = error.expect_err("it has no order").to_string();
        assert!(
            error.contains("the stored order ends at height=0"),
            "{error}"
        );

        let given = late.clone();
        let error = cluster.try_start(3, |parts| {
            parts.partition = "empty".to_owned();
            parts.anchor = Some(given);
        });
        let error = error.await.expect_err("it has no state").to_string();
        assert!(error.contains("was not fetched to the end"), "{error}");
    })
}

#[test]
fn a_follower_joins_with_a_state() {
    each_seed(follower);
}

#[test]
fn a_validator_joins_with_a_state() {
    each_seed(validator);
}

#[test]
fn a_state_without_its_order_is_refused() {
    each_seed(refused);
}

#[test]
fn many_seeds_slow() {
    many_seeds(follower);
}
