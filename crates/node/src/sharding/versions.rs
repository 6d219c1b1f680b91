//! Stops a node before a shard has rules that it does not know.
//!
//! ```text
//! ledger after every finalized relay block ─▶ charters of versions that are not known here
//!        an upgrade's: said at once ─▶ STOP_BLOCKS before the height: the node ends and says what to do
//!        a new shard's: said at once ─▶ the node goes on, and finds nothing of the shard valid or invalid
//! ```
//! Only the governor of the registry lets shards name a version at all. From then on anybody can create a shard with it,
//! so that stops nobody: such a shard has final blocks as soon as 2f+1 validators know its rules. An upgrade is known an
//! anchor window ahead. Whoever neither checks nor builds blocks of the shard goes on.

use crate::error::NodeError;
use primitives::shard::{Charter, CharterError, ShardId};
use shards::{
    feed::LedgerFeed,
    ledger::{Ledger, Segment, Status},
};
use std::collections::BTreeMap;
use tokio::sync::broadcast::error::RecvError;

/// Relay blocks before the height from which on a node can't do its work: what it would sign there is on its way
/// before.
pub(crate) const STOP_BLOCKS: u64 = 8;

/// Rules that this node does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    /// Whose they are.
    pub(crate) shard: ShardId,
    /// Their version.
    pub(crate) version: u32,
    /// The first relay height at which candidates may name them.
    pub(crate) height: u64,
}

/// The first rules that these shards go over to and that this node does not know; all shards are looked at if none are
/// named. Those that a shard has already are not among them: whoever creates a shard would stop this node at once.
pub(crate) fn first_unknown(ledger: &Ledger, shards: Option<&[ShardId]>) -> Option<Unknown> {
    let upgrades = living(ledger, shards).filter_map(|(shard, segment)| {
        let upgrade = segment.upgrade()?;
        let version = unknown_version(&upgrade.charter)?;
        let height = upgrade.height;
        Some(Unknown {
            shard,
            version,
            height,
        })
    });
    upgrades.min_by_key(|unknown| unknown.height)
}

/// The shards among these whose rules this node does not know, with their versions: it checks nothing of them.
fn unchecked(ledger: &Ledger, shards: Option<&[ShardId]>) -> BTreeMap<ShardId, u32> {
    let unchecked = living(ledger, shards).filter_map(|(shard, segment)| {
        let version = unknown_version(&segment.terms().charter)?;
        Some((shard, version))
    });
    unchecked.collect()
}

fn living<'a>(
    ledger: &'a Ledger,
    shards: Option<&'a [ShardId]>,
) -> impl Iterator<Item = (ShardId, &'a Segment)> {
    ledger.shards().filter(move |(shard, segment)| {
        let is_ours = shards.is_none_or(|shards| shards.contains(shard));
        is_ours && segment.status() != Status::Retired
    })
}

fn unknown_version(charter: &[u8]) -> Option<u32> {
    match Charter::read(charter) {
        Err(CharterError::Version(version)) => Some(version),
        Ok(_) | Err(CharterError::Malformed(_) | CharterError::OutOfRange(_)) => None,
    }
}

/// Resolves when this node has to stop for rules that it does not know.
pub(crate) async fn outdated(feed: LedgerFeed, shards: Option<Vec<ShardId>>) -> NodeError {
    let mut updates = feed.subscribe();
    let mut said = None;
    let mut known = BTreeMap::new();
    loop {
        let update = feed.newest();
        let unchecked = unchecked(&update.ledger, shards.as_deref());
        for (shard, version) in &unchecked {
            if known.get(shard) != Some(version) {
                tracing::error!(%shard, version, "this node checks nothing of a shard, whose rules it does not know");
            }
        }
        known = unchecked;
        let unknown = first_unknown(&update.ledger, shards.as_deref());
        if let Some(unknown) = unknown {
            let error = NodeError::Outdated {
                shard: unknown.shard.0,
                version: unknown.version,
                height: unknown.height,
            };
            if update.height.saturating_add(STOP_BLOCKS) >= unknown.height {
                return error;
            }
            if said != Some(unknown) {
                tracing::error!(%error, "this node will stop");
            }
        }
        said = unknown;
        if matches!(updates.recv().await, Err(RecvError::Closed)) {
            return std::future::pending().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{first_unknown, unchecked};
    use alloy_primitives::B256;
    use primitives::shard::{CHARTER_VERSION, ShardId};
    use shards::ledger::{Ledger, LedgerRules, ShardTerms, rules::CORES_UNLIMITED};

    #[test]
    fn who_creates_a_shard_of_an_unknown_version_stops_nobody() {
        let terms = ShardTerms {
            genesis_hash: B256::ZERO,
            genesis_root: B256::ZERO,
            genesis_ms: 0,
            rules: B256::ZERO,
            gas_limit: 1,
            collators: Vec::new(),
            charter: (CHARTER_VERSION + 1).to_be_bytes().into(),
            cores_max: CORES_UNLIMITED,
        };
        let shard = ShardId(1);
        let ledger = Ledger::genesis(LedgerRules::asynchronous(4), 0, [(shard, terms, 1)]).unwrap();
        assert_eq!(first_unknown(&ledger, None), None);
        assert_eq!(
            unchecked(&ledger, None),
            [(shard, CHARTER_VERSION + 1)].into()
        );
        assert!(unchecked(&ledger, Some(&[])).is_empty());
    }
}
