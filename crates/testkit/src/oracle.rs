//! The named properties that scenarios end in. Each asserts; the message says which, where and why.
//!
//! They read only what every user of a node may read, so they hold of real networks too.

mod shards;

pub use shards::{
    collators_follow_the_ledger, finality_kept, ledgers_named, nobody_accused, shard_healthy,
    transfers_final_once,
};

use crate::cluster::{Cluster, Lie};
use alloy_primitives::B256;
use pipeline::{Chain, ExecutedRecord};
use std::{collections::BTreeMap, sync::Arc};

/// All that must hold after any scenario in which no validator lies or breaks.
///
/// # Panics
/// If one of the properties does not hold.
pub fn healthy(cluster: &Cluster, submitted: &[B256]) {
    same_order(cluster);
    same_results(cluster);
    heads_ordered(cluster);
    no_inclusion_fault(cluster);
    inflight_gas_bounded(cluster);
    transactions_executed_once(cluster, submitted);
}

/// The same block digest at every height that several validators have executed.
///
/// # Panics
/// If it does not hold.
pub fn same_order(cluster: &Cluster) {
    agree(cluster, "same_order", |record| {
        record.block.digest().to_string()
    });
}

/// The same Ethereum block hash and state root at every height that several validators have executed.
///
/// # Panics
/// If it does not hold.
pub fn same_results(cluster: &Cluster) {
    agree(cluster, "same_results", |record| {
        format!(
            "hash={} state_root={}",
            record.hash, record.header.state_root
        )
    });
}

/// Every running validator has verified this height.
///
/// # Panics
/// If it does not hold.
pub fn verified_height_at_least(cluster: &Cluster, height: u64) {
    for (validator, chain) in cluster.chains() {
        let verified_height = chain.heads().verified_height;
        assert!(
            verified_height >= height,
            "verified_height_at_least({height}): validator={validator} verified_height={verified_height}"
        );
    }
}

/// At every moment of every life: `verified <= executed <= finalized`, and none ever fell. Nor did
/// any validator fail.
///
/// # Panics
/// If it does not hold.
pub fn heads_ordered(cluster: &Cluster) {
    let violations = cluster.violations();
    assert!(violations.is_empty(), "heads_ordered: {violations:?}");
}

/// No transaction that could not pay, or had the wrong nonce, was ever executed.
///
/// # Panics
/// If it does not hold.
pub fn no_inclusion_fault(cluster: &Cluster) {
    for (validator, chain) in cluster.chains() {
        let faults = chain.inclusion_faults();
        assert_eq!(faults, 0, "no_inclusion_fault: validator={validator}");
    }
}

/// No transaction stands in two places of the chain, and each of these stands in one.
///
/// # Panics
/// If it does not hold.
pub fn transactions_executed_once(cluster: &Cluster, submitted: &[B256]) {
    for (validator, chain) in cluster.chains() {
        let mut heights: BTreeMap<B256, u64> = BTreeMap::new();
        for record in records(chain) {
            for transaction in record.transactions.iter() {
                let earlier = heights.insert(transaction.hash(), record.height());
                assert_eq!(
                    earlier,
                    None,
                    "transactions_executed_once: validator={validator} transaction={} again at height={}",
                    transaction.hash(),
                    record.height()
                );
            }
        }
        // A history that begins later need not hold them all.
        let whole = chain.first_height() == 1;
        for hash in submitted {
            assert!(
                !whole || heights.contains_key(hash),
                "transactions_executed_once: validator={validator} never executed {hash}"
            );
        }
    }
}

/// Back-pressure holds: with every block, what is ordered and not certified stays below the cap.
///
/// # Panics
/// If it does not hold.
pub fn inflight_gas_bounded(cluster: &Cluster) {
    for (validator, chain) in cluster.chains() {
        let cap = chain.config().inflight_cap();
        let headers: Vec<_> = records(chain)
            .map(|record| record.block.header().clone())
            .collect();
        for (position, header) in headers.iter().enumerate() {
            let in_flight = headers[..=position].iter().rev();
            let in_flight = in_flight.take_while(|earlier| earlier.height > header.executed.height);
            let gas: u64 = in_flight.map(|earlier| earlier.gas_limits_sum).sum();
            assert!(
                gas <= cap,
                "inflight_gas_bounded: validator={validator} height={} gas={gas} cap={cap}",
                header.height
            );
        }
    }
}

/// The block digest at every height a validator has executed.
#[must_use]
pub fn order_of(cluster: &Cluster, validator: usize) -> BTreeMap<u64, String> {
    let records = records(cluster.chain(validator));
    records
        .map(|record| (record.height(), record.block.digest().to_string()))
        .collect()
}

/// What was known of the order before is still so.
///
/// # Panics
/// If it does not hold.
pub fn nothing_lost(before: &BTreeMap<u64, String>, after: &BTreeMap<u64, String>) {
    for (height, digest) in before {
        assert_eq!(
            after.get(height),
            Some(digest),
            "nothing_lost: height={height}"
        );
    }
}

/// None of these blocks, by digest, stands in any chain.
///
/// # Panics
/// If it does not hold.
pub fn never_ordered(cluster: &Cluster, told: &BTreeMap<String, Lie>) {
    for (validator, _) in cluster.chains() {
        for (height, digest) in order_of(cluster, validator) {
            let lie = told.get(&digest);
            assert_eq!(
                lie, None,
                "never_ordered: validator={validator} height={height}"
            );
        }
    }
}

fn agree(cluster: &Cluster, property: &str, answer: impl Fn(&ExecutedRecord) -> String) {
    let mut known: BTreeMap<u64, (usize, String)> = BTreeMap::new();
    for (validator, chain) in cluster.chains() {
        for record in records(chain) {
            let own = answer(&record);
            let (other, expected) = known
                .entry(record.height())
                .or_insert_with(|| (validator, own.clone()));
            assert_eq!(
                *expected,
                own,
                "{property}: height={} validators {other} and {validator}",
                record.height()
            );
        }
    }
}

/// Every executed block that a validator has, genesis aside.
pub fn records(chain: &Chain) -> impl Iterator<Item = Arc<ExecutedRecord>> {
    (chain.first_height()..=chain.heads().executed_height).map(|height| {
        let record = chain.record(height).expect("a simulated disk reads");
        record.expect("every executed height has a record")
    })
}
