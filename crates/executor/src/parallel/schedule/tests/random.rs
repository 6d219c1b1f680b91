//! Thousands of seeds, each a block, some workers and an order of events.

use super::{Model, Step, Worker};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

const SEEDS: u64 = 4_000;
const TRANSACTIONS_MAX: usize = 800;
const WORKERS_MAX: usize = 16;

/// What one seed gave.
#[derive(Debug, Default)]
struct Tally {
    steps: usize,
    kept: usize,
    lost: usize,
    asleep: usize,
}

#[test]
fn every_order_of_events_commits_everything_in_order() {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        run(seed, &mut tally);
    }
    // Otherwise nothing was tested.
    assert!(tally.kept > 100_000 && tally.lost > 100_000, "{tally:?}");
    assert!(tally.asleep > 30_000, "{tally:?}");
}

fn run(seed: u64, tally: &mut Tally) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut model = random_model(&mut rng);
    let conflicts = [0.0, 0.02, 0.3, 1.0][rng.random_range(0..4)];
    // A worker that is slow keeps what it has for long.
    let slow = rng
        .random_bool(0.3)
        .then(|| rng.random_range(0..model.workers.len()));
    let steps_max = 20 * model.ahead.len() * model.workers.len() + 100;
    for _ in 0..steps_max {
        if model.is_over() {
            assert_eq!(model.committed, model.ahead.len());
            return;
        }
        let step = choose(&mut rng, &model, slow);
        let step = judge(&mut rng, &model, step, conflicts, tally);
        model.take(step);
        tally.steps += 1;
        tally.asleep += usize::from(model.workers.contains(&Worker::Asleep));
    }
    panic!(
        "seed={seed} no end after {steps_max} steps: {:?}",
        model.schedule
    );
}

fn random_model(rng: &mut StdRng) -> Model {
    let count = match rng.random_range(0..4) {
        0 => rng.random_range(0..8),
        1 => rng.random_range(0..80),
        _ => rng.random_range(0..=TRANSACTIONS_MAX),
    };
    let workers = rng.random_range(1..=WORKERS_MAX);
    let gas_max = [1, 30_000, 1_000_000, u64::MAX][rng.random_range(0..4)];
    let gas = (0..count).map(|_| rng.random_range(0..=gas_max)).collect();
    let waiting = [0.0, 0.05, 0.5, 1.0][rng.random_range(0..4)];
    let distance = [1, 4, 600][rng.random_range(0..3)];
    let waits_for = (0..u32::try_from(count).unwrap())
        .map(|index| match index > 0 && rng.random_bool(waiting) {
            true => Some(rng.random_range(index.saturating_sub(distance)..index)),
            false => None,
        })
        .collect();
    Model::new(gas, waits_for, workers)
}

/// One of the steps that are possible; the slow worker's only if there is no other.
fn choose(rng: &mut StdRng, model: &Model, slow: Option<usize>) -> Step {
    let steps = model.steps();
    assert!(!steps.is_empty(), "nothing can happen: {model:?}");
    for _ in 0..4 {
        let step = steps[rng.random_range(0..steps.len())];
        match step {
            Step::Finish(worker, _) if Some(worker) == slow => {}
            step => return step,
        }
    }
    steps[rng.random_range(0..steps.len())]
}

fn judge(rng: &mut StdRng, model: &Model, step: Step, lost: f64, tally: &mut Tally) -> Step {
    let Step::Finish(worker, _) = step else {
        return step;
    };
    let endings = model.endings(worker);
    let mut more = 0;
    while more + 1 < endings && !rng.random_bool(lost) {
        more += 1;
    }
    tally.kept += more;
    tally.lost += usize::from(more + 1 < endings);
    Step::Finish(worker, u64::try_from(more).unwrap())
}
