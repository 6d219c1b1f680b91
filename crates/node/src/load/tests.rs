//! Whole runs against a node that is not as it should be: what is counted, and that a run ends.

mod fake;

use super::{LoadError, LoadOptions, LoadReport, Workload, load, planned};
use fake::{Fake, Manners};
use futures::future::{Either, select};
use std::{pin::pin, time::Duration};

fn options(transactions: usize, senders: usize) -> LoadOptions {
    LoadOptions {
        transactions,
        senders,
        batch: 10,
        connections: 2,
        timeout: Duration::from_secs(20),
        ..LoadOptions::default()
    }
}

/// The report of a run against nodes of one chain.
fn run_against(
    mut options: LoadOptions,
    manners: Manners,
) -> (Result<LoadReport, LoadError>, Fake) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let fake = Fake::bind(manners).await;
        let urls = options.urls.len();
        options.urls = vec![fake.url(); urls];
        let outcome = {
            let (plan, schedule) = planned(&options).unwrap();
            let run = pin!(load(&options, plan, schedule, &|_| {}));
            match select(run, pin!(fake.serve())).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(((), run)) => run.await,
            }
        };
        (outcome, fake)
    })
}

fn report(options: LoadOptions, manners: Manners) -> (LoadReport, Fake) {
    let (outcome, fake) = run_against(options, manners);
    (outcome.unwrap(), fake)
}

#[test]
fn everything_is_mined_and_counted_once() {
    for urls in [1, 2] {
        let mut options = options(95, 4);
        options.urls = vec![String::new(); urls];
        let (report, fake) = report(options, Manners::default());
        assert_eq!((report.mined, report.failed, report.missing), (95, 0, 0));
        assert_eq!((report.sent, report.accepted, report.resent), (95, 95, 0));
        assert_eq!(report.refusals, []);
        assert_eq!(fake.mined(), 95 + report.preparation.transactions);
        assert_eq!(
            report.preparation.transactions, 3,
            "three senders without money"
        );
        assert_eq!(report.endpoints.len(), urls);
        let mined: usize = report.endpoints.iter().map(|endpoint| endpoint.mined).sum();
        assert_eq!(mined, 95);
        let [check] = report.checks.as_slice() else {
            panic!("{:?}", report.checks);
        };
        assert_eq!((check.expected, check.found), (95, 95));
        assert!(report.latencies.finalized.is_none(), "it has no stages");
        assert_eq!(report.latencies.included.unwrap().count, 95);
        let included: f64 = report.series.included.iter().sum();
        assert!((included * report.series.step_seconds - 95.0).abs() < 1e-6);
    }
}

#[test]
fn a_full_pool_is_waited_for() {
    let manners = Manners {
        pool_max: 7,
        ..Manners::default()
    };
    let (report, fake) = report(options(60, 3), manners);
    assert_eq!((report.mined, report.missing), (60, 0));
    assert!(report.resent > 0 && report.refused == 0);
    assert_eq!(report.sent, 60, "sending again is not counted as sending");
    assert_eq!(report.refusals[0].message, "txpool is full");
    assert_eq!(fake.mined(), 60 + report.preparation.transactions);
}

#[test]
fn garbage_and_lost_answers_are_asked_again() {
    // Taken and not said: the second time they are known.
    for deaf in [false, true] {
        let manners = Manners {
            garbage: 5,
            garbage_after_taking: deaf,
            ..Manners::default()
        };
        let (report, _) = report(options(60, 3), manners);
        assert_eq!((report.mined, report.missing, report.refused), (60, 0, 0));
        // What was taken may be in a block before it is sent again.
        assert!(deaf || report.resent > 0);
        let first = report.first_refusal.unwrap();
        assert!(
            first.contains("no usable answer") && first.contains("<html>"),
            "{first}"
        );
    }
}

#[test]
fn a_node_that_dies_ends_the_run_with_a_report() {
    let mut options = options(200, 4);
    options.timeout = Duration::from_secs(2);
    let manners = Manners {
        dies_after: Some(60),
        ..Manners::default()
    };
    let (outcome, fake) = run_against(options, manners);
    let report = outcome.unwrap();
    let lost = report.endpoints[0].lost.clone().unwrap();
    assert!(lost.contains("cannot reach"), "{lost}");
    assert!(report.sent >= 60 && report.sent < 200);
    assert_eq!(report.mined + report.missing, 200);
    assert!(report.missing > 0 && report.checks.is_empty());
    assert!(fake.is_dead());
}

#[test]
fn a_refused_nonce_is_not_waited_for() {
    let manners = Manners {
        refuses_nonce: Some(4),
        ..Manners::default()
    };
    let options = options(40, 4);
    let timeout = options.timeout;
    let start = tokio::time::Instant::now();
    let (report, _) = report(options, manners);
    // Sender 0 has used nonces for the others' money, so its fourth comes earlier.
    assert_eq!(report.refused, 4);
    assert_eq!(report.first_refusal.as_deref(), Some("no such luck"));
    assert!(report.missing > 4 && report.mined + report.missing == 40);
    assert!(start.elapsed() < timeout / 2);
}

#[test]
fn what_failed_and_what_is_not_there_is_found() {
    let manners = Manners {
        fails_every: 5,
        ..Manners::default()
    };
    let mut failing = options(50, 1);
    failing.connections = 1;
    let (report, _) = report(failing, manners);
    assert_eq!((report.mined, report.failed, report.missing), (50, 10, 0));
    assert!(
        report.checks.iter().all(super::Check::holds),
        "the failed paid nobody"
    );

    let manners = Manners {
        keeps_every: 10,
        ..Manners::default()
    };
    let (outcome, _) = run_against(options(50, 1), manners);
    let checks = outcome.unwrap().checks;
    assert_eq!((checks[0].expected, checks[0].found), (50, 45));
}

#[test]
fn a_block_that_is_served_twice_counts_once() {
    let manners = Manners {
        repeats_blocks: true,
        ..Manners::default()
    };
    let (report, _) = report(options(50, 2), manners);
    assert_eq!((report.mined, report.missing), (50, 0));
}

/// One connection, one at a time, a tenth of a second each, due at 100 a second: the last of 20 is due after
/// 0.19 s and answered after 2 s. Measured from when it was sent it would have taken 0.1 s.
#[test]
fn latency_counts_from_when_it_was_due() {
    let manners = Manners {
        send_delay: Duration::from_millis(100),
        ..Manners::default()
    };
    let mut options = options(20, 1);
    (options.batch, options.connections, options.rate) = (1, 1, Some(100));
    let (report, _) = report(options, manners);
    let accepted = report.latencies.accepted.unwrap();
    assert!(accepted.max_ms > 1_700.0, "{accepted:?}");
    assert!(accepted.p50_ms > 700.0, "{accepted:?}");
    assert!(report.late_sends >= 18, "{}", report.late_sends);
    assert!(report.latest_send_ms > 1_600.0);
}

#[test]
fn an_open_loop_keeps_its_times_with_a_node_that_keeps_up() {
    let mut options = options(1, 4);
    (options.rate, options.duration) = (Some(100), Some(Duration::from_secs(1)));
    options.ramp = Duration::from_millis(500);
    let (report, _) = report(options, Manners::default());
    // Half of the rate for half a second, all of it for another half.
    assert_eq!((report.transactions, report.mined), (75, 75));
    assert!(
        report.submission_seconds > 0.9,
        "{}",
        report.submission_seconds
    );
}

#[test]
fn bundles_are_sent_to_nodes_that_take_them() {
    let mut bulk = options(60, 3);
    bulk.bulk = true;
    let manners = Manners {
        takes_bundles: true,
        ..Manners::default()
    };
    let (report, fake) = report(bulk.clone(), manners);
    assert_eq!((report.mined, report.missing), (60, 0));
    assert!(fake.bundles() > 60 / 10, "one to ask, and the others");
    let (refused, _) = run_against(bulk, Manners::default());
    assert!(
        matches!(refused, Err(LoadError::NoBulk { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_poor_first_account_is_named() {
    let manners = Manners {
        owner_wei: 1_000_000,
        ..Manners::default()
    };
    let (outcome, _) = run_against(options(10, 3), manners);
    assert!(
        matches!(outcome, Err(LoadError::Funds { .. })),
        "{outcome:?}"
    );
}

#[test]
fn options_that_cannot_work_are_refused() {
    let refused = |change: fn(&mut LoadOptions)| {
        let mut options = options(10, 2);
        change(&mut options);
        planned(&options).is_err()
    };
    assert!(refused(|options| options.transactions = 0));
    assert!(refused(|options| options.senders = super::SENDERS_MAX + 1));
    assert!(refused(|options| options.batch = super::BATCH_MAX + 1));
    assert!(refused(|options| options.connections = 0));
    assert!(refused(|options| options.urls.clear()));
    assert!(refused(|options| options.recipients = Some(0)));
    assert!(refused(
        |options| options.duration = Some(Duration::from_secs(1))
    ));
    assert!(!refused(|options| options.workload = Workload::Mixed));
    assert!(!refused(|options| {
        (options.bulk, options.batch) = (true, super::BULK_BATCH_MAX);
    }));
}
