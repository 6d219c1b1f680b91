//! Stops a node before a shard has rules that it does not know.
//!
//! ```text
//! ledger after every finalized relay block ─▶ charters of versions that are not known here
//!        ordered: said at once ────▶ STOP_BLOCKS before the height: the node ends and says what to do
//! ```
//! Only the governor of the registry lets shards name a version at all, so nobody else can stop a node by it.
//! Whoever neither checks nor builds blocks of the shard goes on.

use crate::error::NodeError;
use primitives::shard::{Charter, CharterError, ShardId};
use shards::{
    feed::LedgerFeed,
    ledger::{Ledger, Status},
};
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

/// The first rules of these shards that this node does not know; all shards are looked at if none are named.
pub(crate) fn first_unknown(ledger: &Ledger, shards: Option<&[ShardId]>) -> Option<Unknown> {
    let living = ledger.shards().filter(|(shard, segment)| {
        let is_ours = shards.is_none_or(|shards| shards.contains(shard));
        is_ours && segment.status() != Status::Retired
    });
    let charters = living.flat_map(|(shard, segment)| {
        let upgrade = segment.upgrade().map(|next| (next.height, &next.charter));
        let present = std::iter::once((0, &segment.terms().charter));
        let all = present.chain(upgrade);
        all.map(move |(height, charter)| (shard, height, charter))
    });
    let unknown = charters.filter_map(|(shard, height, charter)| match Charter::read(charter) {
        Err(CharterError::Version(version)) => Some(Unknown {
            shard,
            version,
            height,
        }),
        Ok(_) | Err(CharterError::Malformed(_) | CharterError::OutOfRange(_)) => None,
    });
    unknown.min_by_key(|unknown| unknown.height)
}

/// Resolves when this node has to stop for rules that it does not know.
pub(crate) async fn outdated(feed: LedgerFeed, shards: Option<Vec<ShardId>>) -> NodeError {
    let mut updates = feed.subscribe();
    let mut said = None;
    loop {
        let update = feed.newest();
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
