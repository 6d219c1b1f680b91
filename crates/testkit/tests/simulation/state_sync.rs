//! A fifth node has nothing and takes the state from four others, one of which lies: it ends on the right
//! root, names the liar, and never executes what is below. Killed on the way, it goes on where it was.

use super::{SEEDS, SETTLE_MAX, config, load, many_seeds, settle};
use std::time::Duration;
use testkit::{
    cluster::{Cluster, ClusterConfig, STATE_LIES, Seen, StateLie, simulate},
    workload::Workload,
};

const WHILE: Duration = Duration::from_secs(6);
const FRESH: usize = 4;
const OTHERS: [usize; 4] = [0, 1, 2, 3];
/// Heights between two states that are given away.
const SERVED_BLOCKS: u64 = 8;

fn serving(seed: u64) -> ClusterConfig {
    ClusterConfig {
        followers: 1,
        served_blocks: SERVED_BLOCKS,
        ..config(seed)
    }
}

/// Starts the four, one of them a liar if there is a lie, and gives them a history.
async fn loaded(cluster: &mut Cluster, workload: &mut Workload, lie: Option<StateLie>) -> usize {
    let liar = cluster.first_asked(&OTHERS).expect("there are some");
    if let Some(lie) = lie {
        cluster.lie_about_state(liar, lie);
    }
    for index in OTHERS {
        cluster.start(index).await;
    }
    load(cluster, workload, &OTHERS, WHILE).await;
    liar
}

/// The fresh node has the state of the others, and the history from there on.
async fn check_joined(cluster: &mut Cluster, workload: &mut Workload) {
    let level = cluster.chain(0).heads().finalized_height;
    cluster
        .until("the fresh node has caught up", SETTLE_MAX, |cluster| {
            cluster.chain(FRESH).heads().verified_height >= level
        })
        .await;
    let first = cluster.chain(FRESH).first_height();
    assert!(first > SERVED_BLOCKS, "it began at a state: {first}");
    assert_eq!((first - 1) % SERVED_BLOCKS, 0);
    load(cluster, workload, &[0, FRESH, 2, 3, 1], WHILE).await;
    settle(cluster, workload).await;
}

fn check_blamed(cluster: &Cluster, seen: &Seen, liar: usize, lie: StateLie) {
    let blamed = seen.blamed();
    if lie == StateLie::Stall {
        assert_eq!(blamed, [], "being slow is no lie");
        return;
    }
    assert_eq!(blamed.len(), 1, "{lie:?}: {blamed:?}");
    let (peer, reason) = &blamed[0];
    assert_eq!(*peer, cluster.name(liar), "{lie:?}: {reason}");
}

fn one_lies(seed: u64, lie: StateLie) -> String {
    simulate(serving(seed), |mut cluster| async move {
        let mut workload = Workload::new(seed);
        let liar = loaded(&mut cluster, &mut workload, Some(lie)).await;
        let seen = cluster.begin_sync(FRESH).await;
        cluster.synced(FRESH).await.expect("three are honest");
        check_blamed(&cluster, &seen, liar, lie);
        let (done, all) = seen.pieces();
        assert!(done == all && all > 4, "{lie:?}: {done} of {all}");
        check_joined(&mut cluster, &mut workload).await;
    })
}

fn honest(seed: u64) -> String {
    simulate(serving(seed), |mut cluster| async move {
        let mut workload = Workload::new(seed);
        loaded(&mut cluster, &mut workload, None).await;
        let seen = cluster.begin_sync(FRESH).await;
        cluster.synced(FRESH).await.expect("all are honest");
        assert_eq!(seen.blamed(), []);
        check_joined(&mut cluster, &mut workload).await;

        // A state that is there is not taken again.
        cluster.crash(FRESH).await;
        load(&cluster, &mut workload, &OTHERS, WHILE).await;
        let again = cluster.begin_sync(FRESH).await;
        cluster.synced(FRESH).await.expect("it has a state");
        assert_eq!(again.progress(), []);
        check_joined(&mut cluster, &mut workload).await;
    })
}

/// Killed at a random point, a few times.
fn killed(seed: u64) -> String {
    simulate(serving(seed), |mut cluster| async move {
        let mut workload = Workload::new(seed);
        loaded(&mut cluster, &mut workload, Some(StateLie::Stall)).await;
        let first = cluster.begin_sync(FRESH).await;
        let some = 2 + usize::try_from(seed % 3).expect("small");
        cluster
            .until("a part of the state is there", SETTLE_MAX, |_| {
                first.pieces().0 >= some
            })
            .await;
        cluster.crash(FRESH).await;
        let (had, all) = first.pieces();
        assert!(had < all, "killed too late: {had} of {all}");
        let second = cluster.begin_sync(FRESH).await;
        cluster.synced(FRESH).await.expect("three are honest");
        let progress = second.progress();
        let resumed = progress.first().expect("it tells how far it is");
        let height = first.progress().last().map(|progress| progress.height);
        assert_eq!(Some(resumed.height), height, "the same state");
        assert!(resumed.pieces.0 > 0, "what was there is there: {resumed:?}");
        check_joined(&mut cluster, &mut workload).await;
    })
}

/// Nobody has the rest of the state any more: another one is begun.
fn gone(seed: u64) -> String {
    simulate(serving(seed), |mut cluster| async move {
        let mut workload = Workload::new(seed);
        loaded(&mut cluster, &mut workload, Some(StateLie::Stall)).await;
        let first = cluster.begin_sync(FRESH).await;
        cluster
            .until("a part of the state is there", SETTLE_MAX, |_| {
                first.pieces().0 > 1
            })
            .await;
        for index in [FRESH, 0, 1, 2, 3] {
            cluster.crash(index).await;
        }
        for index in OTHERS {
            cluster.start(index).await;
        }
        load(&cluster, &mut workload, &OTHERS, WHILE).await;
        let second = cluster.begin_sync(FRESH).await;
        cluster.synced(FRESH).await.expect("three are honest");
        let heights = |seen: &Seen| seen.progress().last().map(|progress| progress.height);
        assert!(heights(&second) > heights(&first), "a later state");
        check_joined(&mut cluster, &mut workload).await;
    })
}

#[test]
fn from_honest_peers() {
    for seed in SEEDS {
        honest(seed);
    }
}

#[test]
fn while_one_lies() {
    for (seed, lie) in SEEDS.into_iter().cycle().zip(STATE_LIES) {
        one_lies(seed, lie);
    }
}

#[test]
fn killed_on_the_way() {
    for seed in SEEDS {
        killed(seed);
    }
}

#[test]
fn gone_on_the_way() {
    for seed in SEEDS {
        gone(seed);
    }
}

#[test]
fn lies_many_seeds_slow() {
    for seed in 0..32 {
        for lie in STATE_LIES {
            println!("seed={seed} lie={lie:?} {}", one_lies(seed, lie));
        }
    }
}

#[test]
fn many_seeds_slow() {
    many_seeds(killed);
}
