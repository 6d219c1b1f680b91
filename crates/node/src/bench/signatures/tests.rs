//! What is printed is what was measured.

use super::*;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A clock that moves on by a millisecond whenever it is read.
fn clock() -> Clock {
    let time = AtomicU64::new(0);
    Arc::new(move || Duration::from_millis(time.fetch_add(1, Ordering::Relaxed)))
}

#[test]
fn every_way_answers_for_every_batch_and_takes_what_the_clock_says() {
    let bench = SignatureBench {
        rounds: 3,
        batch_max: 256,
    };
    let steps = Mutex::new(Vec::new());
    let report = bench
        .run(&clock(), &|progress| {
            steps.lock().unwrap().push(progress.step);
        })
        .unwrap();
    let batches: Vec<_> = report.rows.iter().map(|row| row.batch).collect();
    assert_eq!(batches, [1, 16, 64, 256]);
    for row in &report.rows {
        let us = 1_000.0 / row.batch.max(TIMED_MIN) as f64;
        assert_eq!(row.us.lanes.is_some(), has_lanes());
        let others = [
            row.us.library,
            row.us.hinted,
            row.us.hinted_each,
            row.us.ed25519,
        ];
        assert_eq!(others, [Some(us); 4]);
    }
    let steps = steps.into_inner().unwrap();
    assert_eq!(steps.iter().filter(|step| **step == "measure").count(), 12);
    assert!(steps.contains(&"sign"));
}

#[test]
fn the_median_counts_and_a_way_that_is_not_there_has_none() {
    let mut samples = Samples::new(1);
    for cost in [9.0, 1.0, 5.25] {
        samples.push(0, Way::Library, Some(cost));
        samples.push(0, Way::Lanes, None);
        samples.push(0, Way::Ed25519, Some(cost + 1.0));
    }
    let report = samples.report(&[16], 3);
    let us = report.rows[0].us;
    assert_eq!(
        (us.library, us.lanes, us.ed25519),
        (Some(5.25), None, Some(6.25))
    );
    let table = report.table();
    let row: Vec<_> = table.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(row, ["16", "5.25", "-", "-", "-", "6.25"]);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["rows"][0]["batch"], 16);
    assert_eq!(json["rows"][0]["us"]["library"], 5.25);
    assert!(json["rows"][0]["us"]["lanes"].is_null());
    assert!(json["cores"].as_u64().unwrap() > 0);
}

#[test]
fn a_wrong_answer_is_an_error() {
    let mut subject = Subject::sign(TIMED_MIN, &|_| {});
    subject.keys.swap(0, 1);
    let fault = SignatureFault {
        way: Way::Hinted,
        batch: 16,
    };
    assert_eq!(subject.time(Way::Hinted, 16, &clock()), Err(fault));
    subject.ed25519[3].message = B256::ZERO;
    assert!(subject.time(Way::Ed25519, 16, &clock()).is_err());
    assert!(subject.time(Way::Library, 16, &clock()).is_ok());
}
