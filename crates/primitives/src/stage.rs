//! Where a block is in the pipeline, and when it got there.
//!
//! ```text
//! proposed ─▶ notarized ─▶ finalized ─▶ executed ─▶ verified ─▶ durable
//! ```
//! Times are wall-clock milliseconds of this node since the Unix epoch; a stage that was not
//! seen here (for example `notarized` of a block fetched later) has none.

use serde::{Deserialize, Serialize};

/// The stages a block passes, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// A leader sent it.
    Proposed,
    /// 2f+1 notarize votes: speculative finality.
    Notarized,
    /// Ordered for ever; may not be executed yet.
    Finalized,
    /// This node ran it and has its receipts and root.
    Executed,
    /// 2f+1 signed its result, and a finalized header carries that certificate.
    Verified,
    /// It and the state after it are on this node's disk.
    Durable,
}

/// When one block reached each stage, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockStages {
    /// First seen as a proposal.
    pub proposed_ms: Option<u64>,
    /// Notarization seen.
    pub notarized_ms: Option<u64>,
    /// Delivered in order by consensus.
    pub finalized_ms: Option<u64>,
    /// Receipts and root known here.
    pub executed_ms: Option<u64>,
    /// Certified result seen in a finalized header.
    pub verified_ms: Option<u64>,
    /// On this node's disk.
    pub durable_ms: Option<u64>,
}

impl BlockStages {
    /// Notes the first time a stage was reached; later calls for the same stage change nothing.
    pub fn reach(&mut self, stage: Stage, now_ms: u64) {
        let time = match stage {
            Stage::Proposed => &mut self.proposed_ms,
            Stage::Notarized => &mut self.notarized_ms,
            Stage::Finalized => &mut self.finalized_ms,
            Stage::Executed => &mut self.executed_ms,
            Stage::Verified => &mut self.verified_ms,
            Stage::Durable => &mut self.durable_ms,
        };
        time.get_or_insert(now_ms);
    }
}

/// The three heads of a node; always `verified ≤ executed ≤ finalized`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heads {
    /// Highest height whose result is certified in a finalized header.
    pub verified_height: u64,
    /// Highest height executed here.
    pub executed_height: u64,
    /// Highest height delivered as finalized.
    pub finalized_height: u64,
}
