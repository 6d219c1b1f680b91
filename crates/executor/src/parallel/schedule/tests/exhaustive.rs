//! Every order of events of small blocks, with every outcome of every check.
//!
//! Windows and chunks are larger than these blocks; so the schedule is made smaller by its own fields.

use super::{Model, Step};
use std::collections::BTreeSet;

const TRANSACTIONS_MAX: usize = 4;
/// Gas with which a chunk is one transaction, two, or everything.
const GAS: [u64; 3] = [200_000, 100_000, 1];

#[test]
fn every_small_block_is_committed_in_order_whatever_happens() {
    let mut states = 0;
    for count in 0..=TRANSACTIONS_MAX {
        for waits_for in all_dependencies(count) {
            for gas in GAS {
                states += explore_shapes(&vec![gas; count], &waits_for);
            }
        }
    }
    println!("states={states}");
    assert!(states > 20_000, "only {states} states");
}

/// Each transaction waits for none, or for any earlier one.
fn all_dependencies(count: usize) -> Vec<Vec<Option<u32>>> {
    let mut all = vec![Vec::new()];
    for index in 0..u32::try_from(count).unwrap() {
        let choices: Vec<Option<u32>> = std::iter::once(None).chain((0..index).map(Some)).collect();
        all = all
            .iter()
            .flat_map(|before| {
                choices
                    .iter()
                    .map(|choice| [before.as_slice(), &[*choice]].concat())
            })
            .collect();
    }
    all
}

fn explore_shapes(gas: &[u64], waits_for: &[Option<u32>]) -> usize {
    let mut states = 0;
    for workers in 2..=3 {
        for window in [1, 2, TRANSACTIONS_MAX] {
            let mut model = Model::new(gas.to_vec(), waits_for.to_vec(), workers);
            model.schedule = model.schedule.with_window(window);
            states += explore(model);
        }
    }
    states
}

/// Visits every state that can be reached; says how many there are.
fn explore(start: Model) -> usize {
    let mut seen = BTreeSet::new();
    let mut waiting = vec![start];
    while let Some(model) = waiting.pop() {
        let steps = all_steps(&model);
        if steps.is_empty() {
            assert!(model.is_over(), "stuck: {model:?}");
            assert_eq!(model.committed, model.ahead.len());
        }
        for step in steps {
            let mut next = model.clone();
            next.take(step);
            if seen.insert(fingerprint(&next)) {
                waiting.push(next);
            }
        }
    }
    seen.len()
}

fn all_steps(model: &Model) -> Vec<Step> {
    model
        .steps()
        .into_iter()
        .flat_map(|step| match step {
            Step::Finish(worker, _) => (0..model.endings(worker).max(1) as u64)
                .map(|kept| Step::Finish(worker, kept))
                .collect(),
            ask @ Step::Ask(_) => vec![ask],
        })
        .collect()
}

/// What tells two states apart. Workers are alike, so their order does not.
fn fingerprint(model: &Model) -> (Vec<String>, String) {
    let schedule = &model.schedule;
    let mut workers: Vec<String> = model
        .workers
        .iter()
        .map(|worker| format!("{worker:?}"))
        .collect();
    workers.sort_unstable();
    (
        workers,
        format!("{schedule:?} {:?} {:?}", model.ahead, model.executed),
    )
}
