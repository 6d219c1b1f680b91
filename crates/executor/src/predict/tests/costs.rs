//! What predictions cost: prints times, and asserts nothing.

use super::{
    B256, CODE, Method, Observation, PAIR, Predictor, Trace, U256, Wanted, after, hash,
    limits::{lie, maze},
    swap, transfer,
};
use crate::predict::{call::Call, hashes::Preimages, method::FIRST_CALLS};
use std::time::{Duration, Instant};

/// Run them optimised, with `--include-ignored --nocapture`.
#[test]
#[ignore = "prints how long it takes"]
fn prints_the_cost_of_predicting_slow() {
    let transfers: Vec<_> = (0..500)
        .map(|index| transfer(index, index + 9, 5))
        .collect();
    let hot: Vec<_> = (0..500).map(|index| transfer(index, 3, 5)).collect();
    let swaps: Vec<_> = (0..500).map(|index| swap(index, index, 5)).collect();
    let mazes: Vec<_> = (1..50).map(maze).collect();
    let (all, conflicting) = (Wanted::All, Wanted::Conflicting);
    measure("keccak of a pair", |round| {
        let hash = hash([U256::from(round), U256::ONE]);
        usize::from(hash.bit(0))
    });
    let mut predictor = after(&transfers);
    swaps.iter().for_each(|trace| trace.teach(&mut predictor));
    measure_predict("transfer, all", &predictor, &transfers, all);
    measure_predict("swap, all", &predictor, &swaps, all);
    measure_predict("maze, all", &after(&mazes), &mazes, all);
    measure_predict("transfer, no conflict", &predictor, &transfers, conflicting);
    measure_predict("swap, no conflict", &predictor, &swaps, conflicting);
    predictor.conflicted(&swaps[0].observation(), PAIR, U256::from(2));
    measure_predict("swap, reserves", &predictor, &swaps, conflicting);
    let (address, slot, _) = hot[0].touched[1];
    predictor.conflicted(&hot[0].observation(), address, slot);
    measure_predict("transfer, recipient", &predictor, &transfers, conflicting);
    measure_predict("transfer, hot recipient", &predictor, &hot, conflicting);
    measure("an unknown method", |round| {
        let mut out = Vec::new();
        let transaction = &transfers[round % 500].transaction;
        predictor.predict(transaction, B256::ZERO, all, &mut out);
        out.len()
    });
}

#[test]
#[ignore = "prints how long it takes"]
fn prints_the_cost_of_learning_slow() {
    let transfers: Vec<_> = (0..500)
        .map(|index| transfer(index, index + 9, 5))
        .collect();
    let swaps: Vec<_> = (0..500).map(|index| swap(index, index, 5)).collect();
    let lies: Vec<_> = (0..50).map(lie).collect();
    let mazes: Vec<_> = (1..50).map(maze).collect();
    measure_learn("learn a transfer", &transfers);
    measure_learn("learn a swap", &swaps);
    measure_learn("learn a lie", &lies);
    measure_learn("learn a maze", &mazes);
    let mut predictor = after(&transfers);
    measure("learn when enough is known", |round| {
        transfers[round % 500].teach(&mut predictor);
        round
    });
    measure("wants_to_learn", |_| {
        usize::from(predictor.wants_to_learn(CODE, [1; 4]))
    });
    measure("learn_gas", |round| {
        predictor.learn_gas(CODE, [1; 4], 50_000);
        round
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "measuring wall time is what this is for"
)]
fn measure(name: &str, mut work: impl FnMut(usize) -> usize) {
    const ROUNDS: usize = 100_000;
    let mut best = Duration::MAX;
    let mut sum = 0;
    for _ in 0..7 {
        let start = Instant::now();
        sum += (0..ROUNDS).map(&mut work).sum::<usize>();
        best = best.min(start.elapsed());
    }
    let nanos = best.as_nanos() / u128::try_from(ROUNDS).unwrap();
    println!("{name}: {nanos} ns ({sum})");
}

fn measure_predict(name: &str, predictor: &Predictor, traces: &[Trace], wanted: Wanted) {
    let mut out = Vec::new();
    measure(name, |round| {
        out.clear();
        let transaction = &traces[round % traces.len()].transaction;
        predictor.predict(transaction, CODE, wanted, &mut out);
        out.len()
    });
}

fn measure_learn(name: &str, traces: &[Trace]) {
    let mut method = Method::default();
    let mut learned = 0;
    measure(name, |round| {
        let Observation {
            transaction,
            touched,
            preimages,
            ..
        } = traces[round % traces.len()].observation();
        if learned % FIRST_CALLS == 0 {
            method = Method::default();
        }
        learned += 1;
        let touched = touched.get(..64).unwrap_or(touched);
        let preimages = Preimages::new(preimages);
        method.learn(&Call::new(transaction).unwrap(), touched, preimages);
        method.templates()
    });
}
