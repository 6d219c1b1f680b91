//! A shard's chain, as seen from the relay chain: what is included and final there, and how this node keeps up.
//!
//! ```text
//! relay chain   included ──── final                    the ledger, the same for everybody
//! here          latest ≥ safe ≥ finalized              is what is final there the same block here? ─no─▶ behind
//!                                                      is the final block as young as heartbeats?  ─no─▶ stalled
//! ```
//! A collator that is *behind* lacks a block that is final, or has another one for its number. A shard that is
//! *stalled* had no final block for [`STALLED_HEARTBEATS`] heartbeats, though an idle one has a block in each.

use alloy_primitives::{B256, U64};
use pipeline::{Chain, SyncProgress};
use primitives::shard::ShardId;
use serde::Serialize;
use shards::{
    feed::{LedgerFeed, RelayUpdate},
    ledger::{Segment, ShardHead, Status},
    passage::Passage,
};
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;

/// Heartbeats that a shard may be without a final block.
pub(crate) const STALLED_HEARTBEATS: u64 = 5;

/// Which shard a chain is, and the relay chain's word on it.
#[derive(Clone, Debug)]
pub struct ShardPlace {
    shard: ShardId,
    feed: LedgerFeed,
}

/// What the relay chain says of a shard.
#[derive(Clone, Copy, Debug)]
struct Word {
    finalized: ShardHead,
    included: u64,
    status: Status,
}

/// How a shard's chain on this node stands to the relay chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Standing {
    /// The shard.
    pub(crate) id: u32,
    /// `active`, `paused` or `retired`.
    pub(crate) status: &'static str,
    /// The newest block here.
    pub(crate) latest: U64,
    /// The newest that is included, as far as it is here.
    pub(crate) safe: U64,
    /// The newest that is final, as far as it is here.
    pub(crate) finalized: U64,
    /// The newest that the relay chain calls final.
    pub(crate) relay_finalized: U64,
    /// How old that one is.
    pub(crate) finalized_age_ms: u64,
    /// A block that is final is not here, or another one is.
    pub(crate) behind: bool,
    /// No block became final for several heartbeats.
    pub(crate) stalled: bool,
}

impl ShardPlace {
    /// A chain is this shard's.
    #[must_use]
    pub const fn new(shard: ShardId, feed: LedgerFeed) -> Self {
        Self { shard, feed }
    }

    /// The shard's number.
    pub(crate) const fn id(&self) -> u32 {
        self.shard.0
    }

    /// Whether it is over, so that no transaction can be in a block of it any more. A paused one may go on.
    pub(crate) fn is_retired(&self) -> bool {
        self.word()
            .is_some_and(|word| word.status == Status::Retired)
    }

    /// The newest number that is included.
    pub(crate) fn included(&self) -> u64 {
        self.word().map_or(0, |word| word.included)
    }

    /// What became of the candidate that is this block, if it is in the ledger or was lately.
    pub(crate) fn passage(&self, hash: &B256) -> Option<Passage> {
        let found = self
            .feed
            .passages(|passages| passages.of_block(self.shard, hash));
        found.filter(|passage| passage.discarded.is_none())
    }

    /// Every relay block from now on.
    pub(crate) fn updates(&self) -> Receiver<Arc<RelayUpdate>> {
        self.feed.subscribe()
    }

    /// How far the chain has come on its way to what is final; none if it is there.
    pub(crate) fn progress(&self, chain: &Chain) -> Option<SyncProgress> {
        let word = self.word()?;
        is_behind(&word, chain).then(|| {
            let executed = chain.heads().executed_height;
            SyncProgress {
                starting_height: executed,
                current_height: executed,
                target_height: word.finalized.number.max(executed),
                state: None,
            }
        })
    }

    /// How the chain stands at a time.
    pub(crate) fn standing(&self, chain: &Chain, now_ms: u64) -> Option<Standing> {
        let word = self.word()?;
        let heads = chain.heads();
        let finalized_age_ms = now_ms.saturating_sub(word.finalized.timestamp_ms);
        let heartbeat_ms = chain.config().protocol.heartbeat_ms.max(1);
        let patience_ms = heartbeat_ms.saturating_mul(STALLED_HEARTBEATS);
        Some(Standing {
            id: self.shard.0,
            status: name(word.status),
            latest: U64::from(heads.executed_height),
            safe: U64::from(word.included.min(heads.executed_height)),
            finalized: U64::from(heads.verified_height),
            relay_finalized: U64::from(word.finalized.number),
            finalized_age_ms,
            behind: is_behind(&word, chain),
            stalled: word.status == Status::Active && finalized_age_ms > patience_ms,
        })
    }

    fn word(&self) -> Option<Word> {
        let newest = self.feed.newest();
        let segment: &Segment = newest.ledger.shard(self.shard)?;
        Some(Word {
            finalized: *segment.finalized(),
            included: segment.included().number,
            status: segment.status(),
        })
    }
}

/// What answers call a status.
pub(crate) const fn name(status: Status) -> &'static str {
    match status {
        Status::Active => "active",
        Status::Paused => "paused",
        Status::Retired => "retired",
    }
}

fn is_behind(word: &Word, chain: &Chain) -> bool {
    // What can't be read is not there.
    let own = chain.record(word.finalized.number).ok().flatten();
    own.is_none_or(|record| record.hash != word.finalized.hash)
}
