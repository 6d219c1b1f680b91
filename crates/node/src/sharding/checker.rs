//! Candidates, checked from what they bring along.

use bytes::Bytes;
use primitives::{
    ChainConfig, Genesis,
    shard::{Descriptor, ShardId},
};
use shards::{
    ShardRules, Verdict,
    agent::{Checker, Finding},
    check,
};
use std::{collections::BTreeMap, sync::atomic::AtomicBool};

/// The rules of all shards of a relay chain.
#[derive(Debug)]
pub(crate) struct Rules(BTreeMap<ShardId, (ChainConfig, alloy_primitives::B256)>);

impl Rules {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let rules = genesis.shards.iter().map(|shard| {
            let chain = shard.genesis.chain.clone();
            (shard.shard, (chain, shard.genesis.rules_digest()))
        });
        Self(rules.collect())
    }
}

impl Checker for Rules {
    fn check(&self, descriptor: &Descriptor, collation: &Bytes) -> Finding {
        let Some((chain, digest)) = self.0.get(&descriptor.shard) else {
            return Finding::Invalid;
        };
        let rules = ShardRules {
            shard: descriptor.shard,
            chain,
            digest: *digest,
        };
        let encoded = collation.clone().into();
        match check(descriptor, &encoded, &rules, &AtomicBool::new(false)) {
            Ok(_) => Finding::Valid,
            Err(Verdict::Invalid(reason)) => {
                let (shard, number) = (descriptor.shard, descriptor.number);
                tracing::warn!(%shard, number, %reason, "a candidate is invalid");
                Finding::Invalid
            }
            Err(verdict) => {
                tracing::debug!(%verdict, "a candidate could not be checked");
                Finding::Undecided
            }
        }
    }
}
