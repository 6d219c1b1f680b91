//! Callers that change their mind.

use super::{agree_on_fault, call, engines, place};
use crate::{
    ExecutionFault, execute_sequential,
    tests::{
        hostile::reads::Watched,
        world::{World, increment},
    },
};
use primitives::RecoveredTransaction;
use std::sync::atomic::{AtomicBool, Ordering};

fn transactions() -> Vec<RecoveredTransaction> {
    (0..40)
        .map(|nonce| call(nonce, place(nonce % 4), vec![]))
        .collect()
}

fn world() -> World {
    (0..4).fold(World::new(), |world, index| {
        world.with_code(place(index), increment())
    })
}

#[test]
fn nothing_is_executed_that_nobody_wants() {
    let (world, transactions) = (world(), transactions());
    let cancelled = AtomicBool::new(true);
    let mut input = world.input(&transactions);
    input.cancelled = Some(&cancelled);
    let fault = agree_on_fault(&input, &world.state);
    assert!(matches!(fault, ExecutionFault::Cancelled));
}

#[test]
fn a_change_of_mind_at_any_read_gives_the_result_or_the_fault() {
    let (world, transactions) = (world(), transactions());
    let expected = execute_sequential(&world.input(&transactions), &world.state).unwrap();
    let mut stopped = 0;
    for engine in engines() {
        for read in 0..60 {
            let cancelled = AtomicBool::new(false);
            let mut input = world.input(&transactions);
            input.cancelled = Some(&cancelled);
            let state = Watched::new(&world.state, |read_now, _| {
                cancelled.fetch_or(read_now == read, Ordering::Relaxed);
                true
            });
            match engine.execute(&input, &state) {
                Ok(executed) => assert_eq!(executed, expected),
                Err(ExecutionFault::Cancelled) => stopped += 1,
                Err(fault) => panic!("{engine:?} read={read}: {fault}"),
            }
            assert_eq!(
                engine.execute(&world.input(&transactions), &state).unwrap(),
                expected
            );
        }
    }
    assert!(stopped > 4, "{stopped}");
}
