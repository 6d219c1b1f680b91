//! Ethereum's own answers: blocks of mainnet, and the public state tests.
//!
//! Everything is executed in order and by engines of several sizes; all have to agree.
//!
//! Everything runs in the default profile but the few files that loop for a minute each; those are
//! for the slow one.

use alloy_primitives::keccak256;
use executor::{Engine, execute_sequential};
use std::{num::NonZeroUsize, path::Path};
use testkit::{
    fixtures::{ETHEREUM_TESTS, MAINNET_BLOCKS, json_files, unpack},
    mainnet::{MainnetBlock, chain, read_codes},
    state_tests::Report,
};

/// Files that take longer than all others together.
const LONG: [&str; 3] = ["CALLBlake2f_MaxRounds", "loopExp", "loopMul"];

#[test]
fn mainnet_blocks_conformance() {
    let Some(folder) = unpack(MAINNET_BLOCKS) else {
        return;
    };
    let codes = read_codes(&folder.join("codes.json")).unwrap();
    let chain = chain();
    let engines = engines(&[1, 2, 4]);
    let mut differences = Vec::new();
    let (mut blocks, mut transactions) = (0, 0);
    for path in json_files(&folder.join("blocks")) {
        let block = MainnetBlock::read(&path, &codes).unwrap();
        let input = block.input(&chain);
        let executed = execute_sequential(&input, block.state()).unwrap();
        differences.extend(block.differences(&executed));
        for engine in &engines {
            // The second time, it knows the code and the conflicts of the block.
            for time in 0..2 {
                let other = engine.execute(&input, block.state()).unwrap();
                let height = block.height();
                assert!(other == executed, "{engine:?} height={height} time={time}");
            }
        }
        blocks += 1;
        transactions += executed.receipts.len();
    }
    println!("blocks={blocks} transactions={transactions}");
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!((blocks, transactions), (50, 13_958));
}

#[test]
fn state_tests_0_conformance() {
    let report = run_state_tests(|name| !is_long(name) && keccak256(name)[0] % 2 == 0);
    assert_passed(report, 9_000);
}

#[test]
fn state_tests_1_conformance() {
    let report = run_state_tests(|name| !is_long(name) && keccak256(name)[0] % 2 == 1);
    assert_passed(report, 9_000);
}

#[test]
fn long_state_tests_slow() {
    assert_passed(run_state_tests(is_long), LONG.len());
}

fn is_long(name: &str) -> bool {
    LONG.iter().any(|long| name.contains(long))
}

fn run_state_tests(takes: impl Fn(&str) -> bool) -> Option<Report> {
    let folder = unpack(ETHEREUM_TESTS)?.join("GeneralStateTests");
    let mut report = Report::new(engines(&[1, 4]));
    for path in json_files(&folder) {
        if takes(&name(&folder, &path)) {
            report.run_file(&path);
        }
    }
    Some(report)
}

/// Engines with so many workers, which use all of them even for one transaction.
fn engines(workers: &[usize]) -> Vec<Engine> {
    let workers = workers.iter().map(|workers| NonZeroUsize::new(*workers));
    workers
        .map(|workers| Engine::new(workers.unwrap()).unwrap().always_parallel())
        .collect()
}

/// The path below the set's folder, so that it is the same on every machine.
fn name(folder: &Path, path: &Path) -> String {
    let inner = path.strip_prefix(folder).unwrap();
    inner.to_string_lossy().into_owned()
}

fn assert_passed(report: Option<Report>, least: usize) {
    let Some(report) = report else {
        return;
    };
    println!("run={} skipped={}", report.run, report.skipped);
    assert!(report.failures.is_empty(), "{:#?}", report.failures);
    assert!(report.run >= least, "only {} ran", report.run);
}
