//! What this node knows of its shards beside the ledger: the time, and whether there is work.

use super::chain::ShardChain;
use shards::passage::Observer;
use std::collections::BTreeMap;

/// Tells of the chains that are collated here. It holds what reads them, and nothing that would keep them going.
pub(super) fn observer(
    chains: &[ShardChain],
    now_ms: impl Fn() -> u64 + Send + Sync + 'static,
) -> Observer {
    let chains: BTreeMap<_, _> = chains
        .iter()
        .map(|one| (one.shard, (one.chain.clone(), one.mempool.clone())))
        .collect();
    Observer {
        now_ms: Box::new(now_ms),
        has_work: Box::new(move |shard, segment| {
            let (chain, mempool) = chains.get(&shard)?;
            let is_ahead = chain.heads().executed_height > segment.newest().number;
            Some(is_ahead || mempool.counts().pending > 0)
        }),
    }
}
