//! How far the schedule is from what no schedule can beat.

use super::{SimulatedMachine, SimulatedTransaction, Timeline, critical_path, simulate};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::num::NonZeroUsize;

/// Asking the schedule under its lock, and waking a thread, on an ordinary server.
const ASK_NS: u64 = 150;
const WAKE_NS: u64 = 20_000;
const WORKERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const TRANSFER_GAS: u64 = 4_000;
const CALL_GAS: u64 = 60_000;

fn ideal(workers: usize) -> SimulatedMachine {
    SimulatedMachine::ideal(NonZeroUsize::new(workers).unwrap())
}

fn real(workers: usize) -> SimulatedMachine {
    SimulatedMachine {
        ask_ns: ASK_NS,
        wake_ns: WAKE_NS,
        ..ideal(workers)
    }
}

fn call(execution_ns: u64, commit_ns: u64) -> SimulatedTransaction {
    SimulatedTransaction {
        gas: CALL_GAS,
        execution_ns,
        commit_ns,
        ..SimulatedTransaction::default()
    }
}

fn transfer() -> SimulatedTransaction {
    SimulatedTransaction {
        gas: TRANSFER_GAS,
        is_transfer: true,
        ..call(300, 150)
    }
}

fn tokens() -> Vec<SimulatedTransaction> {
    vec![call(4_200, 400); 10_000]
}

fn swaps() -> Vec<SimulatedTransaction> {
    vec![call(35_000, 1_000); 4_000]
}

/// Swaps over some pools; so many of a thousand are predicted to be swaps over their pool.
fn contended_swaps(pools: usize, predicted_permille: u32) -> Vec<SimulatedTransaction> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut swaps = swaps();
    swaps.truncate(2_000);
    let mut last = vec![None; pools];
    for (index, swap) in (0..).zip(&mut swaps) {
        let pool: &mut Option<u32> = &mut last[rng.random_range(0..pools)];
        depend(
            swap,
            pool.replace(index),
            rng.random_ratio(predicted_permille, 1_000),
        );
    }
    swaps
}

fn depend(transaction: &mut SimulatedTransaction, earlier: Option<u32>, is_predicted: bool) {
    transaction.depends_on.extend(earlier);
    if is_predicted {
        transaction.waits_for = transaction.waits_for.max(earlier);
    }
}

/// A third transfers, a third tokens, a third anything up to half a millisecond; half of the calls
/// go to few places, and half of those are foreseen.
fn mainnet(blocks: usize) -> Vec<SimulatedTransaction> {
    let mut rng = StdRng::seed_from_u64(2);
    let mut last = [None; 40];
    (0..u32::try_from(blocks * 250).unwrap())
        .map(|index| {
            let mut transaction = match rng.random_range(0..3) {
                0 => return transfer(),
                1 => call(rng.random_range(4_000..15_000), 500),
                _ => call(1_000 << rng.random_range(4..10), 1_500),
            };
            if rng.random_bool(0.5) {
                // The first places are the most popular.
                let place = rng.random_range(0..40).min(rng.random_range(0..40));
                let earlier: Option<u32> = Option::replace(&mut last[place], index);
                depend(&mut transaction, earlier, rng.random_bool(0.5));
            }
            transaction
        })
        .collect()
}

fn random(rng: &mut StdRng) -> Vec<SimulatedTransaction> {
    let conflicting = [0.0, 0.1, 0.9][rng.random_range(0..3)];
    (0..rng.random_range(0..300_u32))
        .map(|index| {
            let mut transaction = call(rng.random_range(0..50_000), rng.random_range(0..2_000));
            transaction.gas = rng.random_range(0..300_000);
            transaction.is_transfer = rng.random_bool(0.2);
            for _ in 0..2 {
                let earlier = (index > 0 && rng.random_bool(conflicting))
                    .then(|| rng.random_range(index.saturating_sub(20)..index));
                depend(&mut transaction, earlier, rng.random_bool(0.7));
            }
            transaction
        })
        .collect()
}

#[test]
fn one_worker_takes_as_long_as_everything() {
    for block in [tokens(), swaps(), vec![transfer(); 100], Vec::new()] {
        let timeline = simulate(&block, &ideal(1));
        assert_eq!(timeline.makespan_ns, timeline.total_ns);
        assert_eq!(timeline.reexecutions, 0);
    }
}

#[test]
fn independent_transactions_use_sixteen_workers() {
    for workers in WORKERS.into_iter().filter(|workers| *workers <= 16) {
        for machine in [ideal(workers), real(workers)] {
            let timeline = simulate(&swaps(), &machine);
            let reached = timeline.efficiency_permille();
            assert!(reached >= 800, "{machine:?}: {reached} of 1000");
        }
    }
}

#[test]
fn commits_one_after_the_other_are_the_only_other_limit() {
    for block in [tokens(), vec![transfer(); 20_000]] {
        for workers in [2, 4, 8, 16] {
            let timeline = simulate(&block, &ideal(workers));
            let reached = timeline.in_order_bound_ns * 1_000 / timeline.makespan_ns;
            assert!(reached >= 750, "workers={workers}: {reached} of 1000");
        }
    }
}

#[test]
fn a_chain_takes_as_long_as_the_chain() {
    let mut chain = swaps();
    for (index, swap) in (0_u32..).zip(&mut chain) {
        depend(swap, index.checked_sub(1), true);
    }
    assert_eq!(critical_path(&chain), 36_000 * 4_000);
    let timeline = simulate(&chain, &ideal(8));
    assert_eq!(timeline.makespan_ns, timeline.bound_ns);
    // What is not foreseen costs an execution in vain now and then, but not at the turn.
    chain.iter_mut().for_each(|swap| swap.waits_for = None);
    let timeline = simulate(&chain, &ideal(8));
    assert!(
        timeline.efficiency_permille() >= 990,
        "{}",
        timeline.makespan_ns
    );
}

#[test]
fn no_bound_is_beaten_and_no_worker_is_in_two_places() {
    let mut rng = StdRng::seed_from_u64(0);
    for _ in 0..1_000 {
        let block = random(&mut rng);
        let workers = rng.random_range(1..=64);
        let machine = [ideal(workers), real(workers)][rng.random_range(0..2)];
        let timeline = simulate(&block, &machine);
        assert_eq!(timeline, simulate(&block, &machine));
        check(&timeline, block.len());
    }
}

fn check(timeline: &Timeline, transactions: usize) {
    let mut next = 0;
    let mut busy_until = [0; 64];
    let mut turn_until = 0;
    for span in &timeline.spans {
        assert!(span.start_ns >= busy_until[span.worker]);
        busy_until[span.worker] = span.end_ns;
        if span.is_commit {
            assert!(span.start_ns >= turn_until && span.transactions.start == next);
            (turn_until, next) = (span.end_ns, span.transactions.end);
        }
    }
    assert_eq!(next, transactions);
    assert_eq!(turn_until, timeline.makespan_ns);
    let turns = timeline.spans.iter().filter(|span| span.is_commit);
    let turn_ns: u64 = turns.map(|span| span.end_ns - span.start_ns).sum();
    assert_eq!(turn_ns, timeline.turn_ns);
    // Each is executed at least once, so its share is a bound; transfers wait for nobody.
    let busy: u64 = timeline
        .spans
        .iter()
        .map(|span| span.end_ns - span.start_ns)
        .sum();
    assert!(busy >= timeline.total_ns);
}

/// Prints the table; run it with `--no-capture`.
#[test]
fn tables_of_speedup() {
    let blocks = [
        ("erc20", tokens()),
        ("swaps", swaps()),
        (
            "swaps over 1000 pools, foreseen",
            contended_swaps(1_000, 1_000),
        ),
        (
            "swaps over 1000 pools, unforeseen",
            contended_swaps(1_000, 0),
        ),
        (
            "swaps over 100 pools, foreseen",
            contended_swaps(100, 1_000),
        ),
        ("swaps over 100 pools, unforeseen", contended_swaps(100, 0)),
        ("swaps over 8 pools, foreseen", contended_swaps(8, 1_000)),
        ("swaps over 8 pools, unforeseen", contended_swaps(8, 0)),
        ("transfers", vec![transfer(); 20_000]),
        ("mainnet-like, one block", mainnet(1)),
        ("mainnet-like, forty blocks", mainnet(40)),
    ];
    for (name, block) in &blocks {
        for workers in WORKERS {
            let timeline = simulate(block, &real(workers));
            println!(
                "{name:34} workers={workers:2} speedup={:6.2} bound={:6.2} in_order={:6.2} \
                 efficiency={:3} % again={} late={} turn={:3} %",
                permille(timeline.total_ns, timeline.makespan_ns),
                permille(timeline.total_ns, timeline.bound_ns),
                permille(timeline.total_ns, timeline.in_order_bound_ns),
                timeline.efficiency_permille() / 10,
                timeline.reexecutions,
                timeline.late,
                timeline.turn_ns * 100 / timeline.makespan_ns,
            );
            assert!(timeline.makespan_ns >= timeline.total_ns / u64::try_from(workers).unwrap());
        }
    }
}

fn permille(whole: u64, part: u64) -> f64 {
    let permille = u32::try_from(whole * 1_000 / part.max(1)).unwrap();
    f64::from(permille) / 1_000.0
}
