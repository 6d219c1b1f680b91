//! Does the generator do what it says?

use super::{TRANSACTIONS_MAX, random_block};
use crate::blocks::{Feature, probe};
use alloy_consensus::Transaction as _;
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: u64 = 300;
/// How the code of a delegated account begins.
const DELEGATION: &[u8] = &[0xef, 0x01, 0x00];

#[test]
fn every_feature_occurs() {
    let mut counts: BTreeMap<Feature, usize> = BTreeMap::new();
    for block in (0..SEEDS).map(random_block) {
        for feature in block.features {
            *counts.entry(feature).or_default() += 1;
        }
    }
    for feature in Feature::ALL {
        let count = counts.get(&feature).copied().unwrap_or_default();
        assert!(
            count >= 5,
            "{feature:?} occurs in {count} of {SEEDS} blocks"
        );
    }
    assert_eq!(counts.len(), Feature::ALL.len());
}

#[test]
fn a_seed_gives_one_block() {
    for seed in 0..20 {
        let (first, second) = (random_block(seed), random_block(seed));
        assert_eq!(first.transactions, second.transactions);
        assert_eq!(first.state, second.state);
        assert_eq!(first.environment, second.environment);
    }
}

#[test]
fn outcomes_are_mixed() {
    let (mut total, mut succeeded, mut faults, mut clean) = (0, 0, 0, 0);
    let (mut gone, mut wiped, mut delegated) = (0, 0, 0);
    for block in (0..SEEDS).map(random_block) {
        assert!((1..=TRANSACTIONS_MAX).contains(&block.transactions.len()));
        let executed = block.execute();
        let receipts = executed.receipts.iter();
        total += block.transactions.len();
        succeeded += receipts.filter(|receipt| receipt.envelope.status()).count();
        faults += executed.inclusion_faults.len();
        clean += u64::from(executed.inclusion_faults.is_empty());
        for diff in executed.diff.accounts.values() {
            gone += usize::from(diff.account.is_none());
            wiped += usize::from(diff.account.is_some() && diff.storage_wiped);
        }
        let codes = executed.diff.code.values();
        delegated += codes.filter(|code| code.starts_with(DELEGATION)).count();
    }
    assert!(succeeded * 2 > total, "{succeeded} of {total} succeed");
    assert!(faults * 5 < total, "{faults} of {total} are faults");
    assert!(clean * 4 > SEEDS, "{clean} of {SEEDS} have no fault");
    let rare = [gone, wiped, delegated];
    assert!(rare.iter().all(|count| *count >= 5), "{rare:?}");
}

/// Nothing is a probe that can't succeed, except for those that are there to fail.
#[test]
fn every_probe_works() {
    let mut working = BTreeSet::new();
    for block in (0..SEEDS).map(random_block) {
        let executed = block.execute();
        let pairs = block.transactions.iter().zip(&executed.receipts);
        let good = pairs.filter(|(_, receipt)| receipt.envelope.status());
        working.extend(good.filter_map(|(transaction, _)| transaction.to()));
    }
    for probe in probe::PROBES {
        // One is run only as somebody else's code.
        let fails = [probe::LOOP, probe::REVERT, probe::DRAIN].contains(&probe);
        let works = working.contains(&probe.address);
        assert_ne!(fails, works, "{probe:?}");
    }
}
