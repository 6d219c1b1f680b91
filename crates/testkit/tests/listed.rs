//! Executing by access lists: the result is that of executing in order, and a false list is found out.

mod falsify;
mod reader;
mod tree;

use alloy_primitives::{Address, U256};
use executor::{
    AccessList, AccessListError, Engine, ExecutedBlock, ExecutionFault, ExecutionInput, Falsehood,
    Fork, Listed, Way, execute_sequential,
};
use falsify::{Falsified, falsify};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use reader::FailingReader;
use state::StateReader;
use std::{
    num::NonZeroUsize,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use testkit::{
    blocks::{GeneratedBlock, benchmark, random_block},
    fixtures::{MAINNET_BLOCKS, json_files, unpack},
    mainnet::{MainnetBlock, chain, read_codes},
};
use tree::Tree;

/// Random blocks that every run executes; the slow profile executes more.
const SEEDS: u64 = 2_000;
const SEEDS_SLOW: u64 = 12_000;
/// Random blocks of which the lists of all ways are compared.
const LIST_SEEDS: u64 = 1_000;
/// Random blocks whose lists are falsified, and how often each.
const FALSE_SEEDS: u64 = 300;
const FALSE_TIMES: u64 = 6;

#[test]
fn random_blocks_are_executed_alike() {
    compare_all(0..SEEDS);
}

#[test]
fn many_random_blocks_are_executed_alike_slow() {
    compare_all(SEEDS..SEEDS_SLOW);
}

fn compare_all(seeds: std::ops::Range<u64>) {
    let engines = engines();
    for seed in seeds {
        let block = random_block(seed);
        assert_listed(
            &format!("seed={seed}"),
            &engines,
            &block.input(),
            &block.state,
        );
    }
}

/// Asserts that every engine executes a block by its list as it is executed in order.
fn assert_listed(
    name: &str,
    engines: &[Engine],
    input: &ExecutionInput<'_>,
    state: &(impl StateReader + Sync),
) {
    let expected = execute_sequential(input, state).unwrap();
    let list = expected.access_list();
    let list = AccessList::decode(&list.encode()).unwrap();
    let fork = input.ethereum.unwrap_or_default().fork;
    for engine in engines {
        let executed = match engine.execute_listed(input, state, &list).unwrap() {
            Listed::Executed(executed) => executed,
            Listed::False { fraud, .. } => panic!("{name}: {fraud}"),
        };
        assert_alike(name, &executed, &expected);
        assert_eq!(executed.access_list(), list, "{name}");
        let is_listed = executed.report.way == Way::Listed;
        assert!(is_listed || fork < Fork::SpuriousDragon, "{name}");
    }
}

/// Panics with the first difference.
fn assert_alike(name: &str, executed: &ExecutedBlock, expected: &ExecutedBlock) {
    if executed == expected {
        return;
    }
    let receipts = executed.receipts.iter().zip(&expected.receipts);
    for (index, (left, right)) in receipts.enumerate() {
        assert_eq!(left, right, "{name} transaction={index}");
    }
    for (address, diff) in &expected.diff.accounts {
        let found = executed.diff.accounts.get(address);
        assert_eq!(found, Some(diff), "{name} address={address}");
    }
    assert_eq!(executed.diff, expected.diff, "{name}");
    assert_eq!(executed.access, expected.access, "{name}");
    assert_eq!(
        executed.inclusion_faults, expected.inclusion_faults,
        "{name}"
    );
    panic!("{name}: another difference");
}

#[test]
fn lists_of_all_ways_are_equal() {
    let engines = engines();
    for seed in 0..LIST_SEEDS {
        let block = random_block(seed);
        assert_equal_lists(
            &format!("seed={seed}"),
            &engines,
            &block.input(),
            &block.state,
        );
    }
}

fn assert_equal_lists(
    name: &str,
    engines: &[Engine],
    input: &ExecutionInput<'_>,
    state: &(impl StateReader + Sync),
) {
    let expected = execute_sequential(input, state).unwrap().access_list();
    for engine in engines {
        let found = engine.execute(input, state).unwrap().access_list();
        let workers = engine.workers();
        assert!(found == expected, "{name} workers={workers}: {}", {
            let [found, expected] = [found, expected].map(|list| Tree::of(&list));
            found.difference(&expected)
        });
    }
}

#[test]
fn mainnet_blocks_are_executed_alike_conformance() {
    let Some(folder) = unpack(MAINNET_BLOCKS) else {
        return;
    };
    let codes = read_codes(&folder.join("codes.json")).unwrap();
    let chain = chain();
    let engines = engines();
    let mut bytes = 0;
    for path in json_files(&folder.join("blocks")) {
        let block = MainnetBlock::read(&path, &codes).unwrap();
        let name = format!("height={}", block.height());
        let input = block.input(&chain);
        assert_listed(&name, &engines, &input, block.state());
        assert_equal_lists(&name, &engines, &input, block.state());
        let executed = execute_sequential(&input, block.state()).unwrap();
        bytes += executed.access_list().encode().len();
    }
    println!("bytes={bytes}");
}

#[test]
fn benchmark_blocks_are_executed_alike() {
    let engines = engines();
    for (name, make) in benchmark::BLOCKS {
        let block = make(300);
        assert_listed(name, &engines, &block.input(), &block.state);
        assert_equal_lists(name, &engines, &block.input(), &block.state);
    }
}

#[test]
fn false_lists_are_found_out() {
    let engines = engines();
    let mut found = std::collections::BTreeMap::<_, usize>::new();
    for seed in 0..FALSE_SEEDS {
        let block = random_block(seed);
        let fork = block.input().ethereum.unwrap_or_default().fork;
        if fork < Fork::SpuriousDragon {
            continue;
        }
        let expected = execute_sequential(&block.input(), &block.state).unwrap();
        let list = Tree::of(&expected.access_list());
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..FALSE_TIMES {
            let falsified = falsify(&mut rng, &list);
            let Ok(false_list) = AccessList::decode(&falsified.list.encode()) else {
                continue;
            };
            if false_list == expected.access_list() {
                continue;
            }
            let what = assert_found_out(seed, &engines, &block, &expected, &falsified);
            *found
                .entry(format!("{} as {what}", falsified.how))
                .or_default() += 1;
        }
    }
    println!("{found:#?}");
    assert!(found.values().sum::<usize>() > 1_000);
}

/// Asserts that all engines find the same first falsehood; says which.
fn assert_found_out(
    seed: u64,
    engines: &[Engine],
    block: &GeneratedBlock,
    expected: &ExecutedBlock,
    falsified: &Falsified,
) -> Falsehood {
    let name = format!("seed={seed} {}", falsified.how);
    let false_list = AccessList::decode(&falsified.list.encode()).unwrap();
    let index = first_false(block, expected, &falsified.list);
    let mut frauds = Vec::new();
    for engine in engines {
        let listed = engine.execute_listed(&block.input(), &block.state, &false_list);
        match listed.unwrap() {
            Listed::Executed(_) => panic!("{name}: not found out"),
            Listed::False { fraud, executed } => {
                assert_eq!(fraud.index, index, "{name}: {fraud}");
                assert_alike(&name, &executed, expected);
                frauds.push(fraud);
            }
        }
    }
    assert!(
        frauds.windows(2).all(|two| two[0] == two[1]),
        "{name} {frauds:?}"
    );
    frauds[0].what
}

/// The index of the first transaction that does not do what a list says.
fn first_false(block: &GeneratedBlock, expected: &ExecutedBlock, false_list: &Tree) -> u32 {
    let list = Tree::of(&expected.access_list());
    let count = u32::try_from(block.transactions.len()).unwrap();
    let fragments = (0..=count).find(|at| list.fragment(*at) != false_list.fragment(*at));
    let (locations, left) = (list.locations(), false_list.locations());
    let lacks = |location: &(Address, Option<U256>)| !left.contains(location);
    let missing = locations
        .iter()
        .filter(|location| lacks(location))
        .map(|location| {
            let reads = |at: &u32| locations_read(block, *at).contains(location);
            (0..=count).find(reads).unwrap()
        });
    let first = fragments.into_iter().chain(missing).min();
    first.unwrap_or(count + 1)
}

/// What the first so many transactions of a block read.
fn locations_read(
    block: &GeneratedBlock,
    count: u32,
) -> std::collections::BTreeSet<(Address, Option<U256>)> {
    let count = usize::try_from(count).unwrap();
    let input = ExecutionInput {
        transactions: &block.transactions[..count],
        ..block.input()
    };
    let executed = execute_sequential(&input, &block.state).unwrap();
    Tree::of(&executed.access_list()).locations()
}

#[test]
fn a_list_of_another_block_is_malformed() {
    let block = benchmark::mixed(50);
    let other = benchmark::mixed(51);
    let list = execute_sequential(&other.input(), &other.state)
        .unwrap()
        .access_list();
    for engine in engines() {
        let listed = engine.execute_listed(&block.input(), &block.state, &list);
        let Listed::False { fraud, executed } = listed.unwrap() else {
            panic!("not found out");
        };
        assert_eq!((fraud.what, fraud.index), (Falsehood::Malformed, 0));
        assert_eq!(
            executed,
            execute_sequential(&block.input(), &block.state).unwrap()
        );
    }
}

#[test]
fn a_list_survives_its_encoding_and_no_other_bytes_do() {
    let (mut decoded, mut rejected) = (0, 0);
    for seed in 0..200 {
        let block = random_block(seed);
        let executed = execute_sequential(&block.input(), &block.state).unwrap();
        let list = executed.access_list();
        let bytes = list.encode();
        let again = AccessList::decode(&bytes).unwrap();
        assert_eq!(again, list, "seed={seed}");
        assert_eq!(again.hash(), list.hash(), "seed={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        for _ in 0..200 {
            let mut mutated = bytes.clone();
            let place = rng.random_range(0..mutated.len());
            match rng.random_range(0..4) {
                0 => mutated[place] = rng.random(),
                1 => mutated[place] ^= 1 << rng.random_range(0..8),
                2 => drop(mutated.remove(place)),
                _ => mutated.insert(place, rng.random()),
            }
            // Whatever decodes is the encoding of what it decodes to.
            match AccessList::decode(&mutated) {
                Ok(other) => {
                    assert_eq!(other.encode(), mutated, "seed={seed}");
                    decoded += 1;
                }
                Err(_) => rejected += 1,
            }
        }
    }
    println!("decoded={decoded} rejected={rejected}");
    assert!(decoded > 1_000 && rejected > 1_000);
}

#[test]
fn trailing_bytes_are_rejected() {
    let block = benchmark::mixed(5);
    let executed = execute_sequential(&block.input(), &block.state).unwrap();
    let mut bytes = executed.access_list().encode();
    bytes.push(0x80);
    assert_eq!(AccessList::decode(&bytes), Err(AccessListError::Trailing));
    let too_long = vec![0; executor::LIST_BYTES_MAX + 1];
    let bytes = too_long.len();
    let error = AccessListError::TooLong { bytes };
    assert_eq!(AccessList::decode(&too_long), Err(error));
}

#[test]
fn a_state_that_cannot_be_read_is_a_fault() {
    let block = benchmark::mixed(200);
    let list = execute_sequential(&block.input(), &block.state)
        .unwrap()
        .access_list();
    for engine in engines() {
        for reads in [0, 1, 10, 100, 300] {
            let state = FailingReader::new(&block.state, reads);
            let fault = engine.execute_listed(&block.input(), &state, &list);
            assert!(matches!(fault, Err(ExecutionFault::Read(_))), "{reads}");
        }
        let state = FailingReader::new(&block.state, usize::MAX);
        assert!(engine.execute_listed(&block.input(), &state, &list).is_ok());
    }
}

#[test]
fn a_cancelled_block_is_a_fault() {
    let block = benchmark::mixed(200);
    let list = execute_sequential(&block.input(), &block.state)
        .unwrap()
        .access_list();
    let cancelled = AtomicBool::new(true);
    let input = ExecutionInput {
        cancelled: Some(&cancelled),
        ..block.input()
    };
    for engine in engines() {
        let fault = engine.execute_listed(&input, &block.state, &list);
        assert!(matches!(fault, Err(ExecutionFault::Cancelled)));
    }
}

#[test]
fn spans_show_who_executed_what() {
    let block = benchmark::swaps_disjoint(100);
    let list = execute_sequential(&block.input(), &block.state)
        .unwrap()
        .access_list();
    let clock: executor::ReportClock = Arc::new(|| Duration::from_secs(1));
    for engine in engines() {
        let engine = engine.with_clock(Arc::clone(&clock));
        let listed = engine.execute_listed(&block.input(), &block.state, &list);
        let report = listed.unwrap().into_executed().report;
        assert_eq!((report.way, report.executions), (Way::Listed, 100));
        assert_eq!(
            (report.workers, report.reexecutions),
            (engine.workers().get(), 0)
        );
        let mut places: Vec<_> = report.spans.iter().map(|span| span.transaction).collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..100));
    }
}

fn engines() -> Vec<Engine> {
    let engine = |workers| Engine::new(NonZeroUsize::new(workers).unwrap()).unwrap();
    vec![
        engine(1),
        engine(2).always_parallel(),
        engine(4).always_parallel(),
    ]
}
