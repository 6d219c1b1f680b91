//! A validator's state is wrong by one wei: it stops executing and says at which height, and the
//! others go on without it.

use super::{SETTLE_MAX, config, each_seed, load, many_seeds};
use std::time::Duration;
use testkit::{cluster::simulate, faults, oracle, workload::Workload};

const WRONG: usize = 2;

fn run(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut workload = Workload::new(seed);
        load(
            &cluster,
            &mut workload,
            &[0, 1, 2, 3],
            Duration::from_secs(3),
        )
        .await;
        cluster.crash(WRONG).await;
        let victim = workload.rich_address();
        let honest = cluster.chain(0).clone();
        let height =
            faults::corrupt_state(cluster.disk(WRONG), cluster.genesis(), victim, |height| {
                let record = honest.record(height).expect("reads");
                record.expect("executed").as_ref().clone()
            });
        cluster.start(WRONG).await;
        cluster
            .until("the wrong validator has stopped", SETTLE_MAX, |cluster| {
                cluster.chain(WRONG).stopped().is_some()
            })
            .await;
        let stopped_at = cluster.chain(WRONG).heads();
        load(&cluster, &mut workload, &[0, 1, 3], Duration::from_secs(3)).await;

        let wrong = cluster.chain(WRONG);
        let report = wrong.diverged().expect("it stopped because it diverged");
        assert!(report.height > height, "{report}");
        assert_ne!(report.own_hash, report.certified_hash);
        let heads = wrong.heads();
        assert_eq!(heads.executed_height, stopped_at.executed_height);
        assert_eq!(heads.verified_height, stopped_at.verified_height);
        let right = honest
            .record(report.height)
            .expect("reads")
            .expect("executed");
        assert_eq!(right.hash, report.certified_hash, "{report}");
        oracle::heads_ordered(&cluster);

        cluster.crash(WRONG).await;
        super::settle(&cluster, &workload).await;
        assert!(honest.heads().verified_height > report.height);
    })
}

#[test]
fn divergence() {
    each_seed(run);
}

#[test]
fn many_seeds_slow() {
    many_seeds(run);
}
