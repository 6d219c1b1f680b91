//! Every way of executing a block gives what executing it in order gives.

mod stress;

use executor::{Engine, ExecutedBlock, Way, execute_sequential};
use std::num::NonZeroUsize;
use testkit::blocks::{GeneratedBlock, benchmark, random_block};

/// Random blocks that every run compares; the slow profile compares more.
const SEEDS: u64 = 1_000;
const SEEDS_SLOW: u64 = 12_000;

#[test]
fn random_blocks_are_executed_alike() {
    compare_all(0..SEEDS);
}

#[test]
fn many_random_blocks_are_executed_alike_slow() {
    compare_all(SEEDS..SEEDS_SLOW);
}

#[test]
fn a_chain_is_executed_in_order_as_soon_as_it_is_known() {
    let engine = Engine::new(NonZeroUsize::new(2).unwrap()).unwrap();
    let chain = benchmark::votes(400);
    let independent = benchmark::transfers(2_000);
    let way = |block: &GeneratedBlock| {
        let executed = engine.execute(&block.input(), &block.state).unwrap();
        let expected = execute_sequential(&block.input(), &block.state).unwrap();
        assert_alike(0, block, &executed, &expected);
        (executed.report.way, executed.report.reexecutions)
    };
    assert_eq!(way(&chain).0, Way::First);
    // How much a block teaches is left to the threads: one that nobody helps with teaches nothing.
    let known = (0..200).find(|_| way(&chain) == (Way::InOrder, 0));
    assert!(known.is_some());
    assert_eq!(way(&independent), (Way::First, 0));
}

fn compare_all(seeds: std::ops::Range<u64>) {
    let engines = engines();
    for seed in seeds {
        let block = random_block(seed);
        let expected = execute_sequential(&block.input(), &block.state).unwrap();
        for engine in &engines {
            let executed = engine.execute(&block.input(), &block.state).unwrap();
            assert_alike(seed, &block, &executed, &expected);
        }
    }
}

fn engines() -> Vec<Engine> {
    let engine = |workers| Engine::new(NonZeroUsize::new(workers).unwrap()).unwrap();
    vec![
        engine(1),
        engine(2).always_parallel(),
        engine(4).always_parallel(),
        engine(3).always_parallel().with_false_predictions(7),
        engine(2).always_parallel().with_false_predictions(8),
    ]
}

/// Panics with the first difference.
fn assert_alike(
    seed: u64,
    block: &GeneratedBlock,
    executed: &ExecutedBlock,
    expected: &ExecutedBlock,
) {
    if executed == expected {
        // What a block read and wrote when is no part of its result, but is stored and served.
        let (list, expected) = (executed.access_list(), expected.access_list());
        assert!(
            list == expected,
            "seed={seed}: another access list {:?}",
            block.features
        );
        return;
    }
    let features = &block.features;
    let receipts = executed.receipts.iter().zip(&expected.receipts);
    for (index, (left, right)) in receipts.enumerate() {
        assert_eq!(left, right, "seed={seed} transaction={index} {features:?}");
    }
    assert_eq!(
        executed.inclusion_faults, expected.inclusion_faults,
        "seed={seed}"
    );
    for (address, diff) in &expected.diff.accounts {
        let found = executed.diff.accounts.get(address);
        assert_eq!(
            found,
            Some(diff),
            "seed={seed} address={address} {features:?}"
        );
    }
    assert_eq!(executed.diff, expected.diff, "seed={seed} {features:?}");
    assert_eq!(executed.access, expected.access, "seed={seed} {features:?}");
    panic!("seed={seed}: another difference");
}
