//! What must hold of shards, whatever happens to collators and validators.

use super::records;
use crate::{cluster::Cluster, workload::Transfers};
use alloy_primitives::B256;
use primitives::shard::ShardId;
use std::collections::BTreeMap;

/// All that must hold of one shard, whoever lies: every transfer is final once, on all collators that run; their
/// chains are what the ledger made final; nothing has stopped.
///
/// # Panics
/// If one of the properties does not hold.
pub fn shard_healthy(cluster: &Cluster, transfers: &Transfers) {
    let shard = transfers.shard();
    collators_follow_the_ledger(cluster, shard);
    transfers_final_once(cluster, transfers);
    ledgers_named(cluster);
    super::heads_ordered(cluster);
}

/// Nobody has committed an offence that anybody who runs knows of: so it must be where nobody lies.
///
/// # Panics
/// If it does not hold.
pub fn nobody_accused(cluster: &Cluster) {
    for (validator, _) in cluster.chains() {
        let ledger = cluster.shard_ledger(validator);
        let offences: Vec<_> = ledger.offences().collect();
        assert!(
            offences.is_empty(),
            "nobody_accused: validator={validator} {offences:?}"
        );
    }
}

/// Every finalized relay block names the digest of the ledger after it.
///
/// # Panics
/// If it does not hold.
pub fn ledgers_named(cluster: &Cluster) {
    for (validator, chain) in cluster.chains() {
        for record in records(chain) {
            let (height, header) = (record.height(), record.block.header());
            let Some(digest) = cluster.ledger_digest(height) else {
                panic!("ledgers_named: nobody saw the ledger at height={height}");
            };
            assert_eq!(
                header.ledger_digest, digest,
                "ledgers_named: validator={validator} height={height}"
            );
        }
    }
}

/// The chain of every collator that runs is, up to what is verified there, what the ledger made final.
///
/// # Panics
/// If it does not hold.
pub fn collators_follow_the_ledger(cluster: &Cluster, shard: ShardId) {
    let finals = cluster.final_heads();
    for collator in cluster.collators(shard) {
        let chain = cluster.shard_chain(collator, shard);
        let place = format!("collators_follow_the_ledger: collator={collator} shard={shard}");
        assert_eq!(chain.stopped(), None, "{place}");
        assert_eq!(chain.inclusion_faults(), 0, "{place}");
        let verified_height = chain.heads().verified_height;
        for number in 1..=verified_height {
            let record = chain.record(number).expect("a simulated disk reads");
            let own = record.map(|record| record.hash);
            let known = finals.get(&(shard, number)).copied();
            assert!(known.is_some(), "{place} number={number} is not final");
            assert_eq!(own, known, "{place} number={number}");
        }
        let ledger = cluster.shard_ledger(collator);
        let segment = ledger.shard(shard).expect("a scenario asks for its shards");
        let finalized = segment.finalized();
        if verified_height == finalized.number && verified_height > 0 {
            let head = finals.get(&(shard, verified_height));
            assert_eq!(head, Some(&finalized.hash), "{place}");
        }
    }
}

/// Every transfer that was sent stands in one final block of the shard, on all collators that run.
///
/// # Panics
/// If it does not hold.
pub fn transfers_final_once(cluster: &Cluster, transfers: &Transfers) {
    let shard = transfers.shard();
    for collator in cluster.collators(shard) {
        let chain = cluster.shard_chain(collator, shard);
        let verified_height = chain.heads().verified_height;
        let mut places: BTreeMap<B256, u64> = BTreeMap::new();
        let verified = records(chain).filter(|record| record.height() <= verified_height);
        for record in verified {
            for transaction in record.transactions.iter() {
                let earlier = places.insert(transaction.hash(), record.height());
                let (hash, number) = (transaction.hash(), record.height());
                assert_eq!(
                    earlier, None,
                    "transfers_final_once: collator={collator} shard={shard} {hash} again in {number}"
                );
            }
        }
        for hash in transfers.sent() {
            assert!(
                places.contains_key(&hash),
                "transfers_final_once: collator={collator} shard={shard} lacks {hash}"
            );
        }
    }
}

/// No block that was final before is another one now, and none has gone.
///
/// # Panics
/// If it does not hold.
pub fn finality_kept(
    before: &BTreeMap<(ShardId, u64), B256>,
    after: &BTreeMap<(ShardId, u64), B256>,
) {
    for ((shard, number), hash) in before {
        assert_eq!(
            after.get(&(*shard, *number)),
            Some(hash),
            "finality_kept: shard={shard} number={number}"
        );
    }
}
