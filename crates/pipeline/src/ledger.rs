//! The pure core: which stage each block has reached, and whether results agree.
//!
//! ```text
//! proposed/notarized(digest) ─┐
//! finalized(block)            ├─▶ Ledger ─▶ effects: stage reached, diverged
//! executed(height, hash)      │
//! certificate                 ┘
//! ```
//! It knows no clock (times are arguments), no channel and no disk. `verified` advances when a
//! finalized header carries a result for that height or a later one *and* this node has computed
//! the same; the first difference is a divergence, after which nothing advances any more.
//! Bounded: stages and digests of the last [`STAGES_MAX`] heights, own results down to the
//! verified height.

use crate::DivergenceReport;
use alloy_primitives::B256;
use primitives::{
    BlockStages, ExecutionCertificate, ExecutionResult, FinalizedBlock, Heads, RecoveredBlock,
    crypto::BlockDigest, stage::Stage,
};
use std::collections::BTreeMap;

/// Heights whose stage times are kept.
pub(crate) const STAGES_MAX: usize = 4_096;

/// What follows from an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A block reached a stage for the first time here.
    Reached {
        /// Its height.
        height: u64,
        /// The stage.
        stage: Stage,
        /// When, in milliseconds since the Unix epoch.
        now_ms: u64,
    },
    /// Own result and certified result differ; execution must stop.
    Diverged(DivergenceReport),
}

/// Stages, results and agreement of one node.
#[derive(Debug)]
pub struct Ledger {
    heads: Heads,
    stages: BTreeMap<u64, BlockStages>,
    heights: BTreeMap<BlockDigest, u64>,
    own: BTreeMap<u64, B256>,
    carried: ExecutionResult,
    /// Results that finalized headers carry for heights not verified here yet.
    awaited: BTreeMap<u64, B256>,
    certificate: Option<ExecutionCertificate>,
    ordered: BTreeMap<u64, RecoveredBlock>,
    diverged: Option<DivergenceReport>,
    durable_height: u64,
}

impl Ledger {
    /// A ledger that starts at an executed height with the result its header carried.
    #[must_use]
    pub fn new(executed: ExecutionResult, carried: ExecutionResult) -> Self {
        Self {
            heads: Heads {
                verified_height: carried.height.min(executed.height),
                executed_height: executed.height,
                finalized_height: executed.height,
            },
            stages: BTreeMap::new(),
            heights: BTreeMap::new(),
            own: BTreeMap::from([(executed.height, executed.block_hash)]),
            carried,
            awaited: BTreeMap::new(),
            certificate: None,
            ordered: BTreeMap::new(),
            diverged: None,
            durable_height: executed.height,
        }
    }

    /// The three heads.
    #[must_use]
    pub const fn heads(&self) -> Heads {
        self.heads
    }

    /// When a block reached its stages.
    #[must_use]
    pub fn stages(&self, height: u64) -> Option<BlockStages> {
        self.stages.get(&height).copied()
    }

    /// Why this node has stopped, if it diverged.
    #[must_use]
    pub const fn diverged(&self) -> Option<&DivergenceReport> {
        self.diverged.as_ref()
    }

    /// The newest certified result known here, from gossip or from a header.
    #[must_use]
    pub const fn certificate(&self) -> Option<&ExecutionCertificate> {
        self.certificate.as_ref()
    }

    /// The newest result that a finalized header carries.
    #[must_use]
    pub const fn carried(&self) -> ExecutionResult {
        self.carried
    }

    /// The newest result known to be certified, carried by a header or not.
    #[must_use]
    pub fn certified_floor(&self) -> ExecutionResult {
        self.certificate
            .as_ref()
            .map(|certificate| certificate.result)
            .filter(|result| result.height > self.carried.height)
            .unwrap_or(self.carried)
    }

    /// This node's own result at a height, while it is kept.
    #[must_use]
    pub fn own_result(&self, height: u64) -> Option<B256> {
        self.own.get(&height).copied()
    }

    /// Finalized blocks that wait for execution, in order.
    #[must_use]
    pub fn ordered(&self) -> Vec<RecoveredBlock> {
        self.ordered.values().cloned().collect()
    }

    /// A proposal was made or seen.
    pub fn proposed(&mut self, digest: BlockDigest, height: u64, now_ms: u64) -> Vec<Effect> {
        if height.saturating_add(STAGES_MAX as u64) <= self.heads.finalized_height {
            return Vec::new();
        }
        self.heights.insert(digest, height);
        while self.heights.len() > STAGES_MAX {
            self.heights.pop_first();
        }
        self.reach(height, Stage::Proposed, now_ms)
    }

    /// A notarization was seen.
    pub fn notarized(&mut self, digest: &BlockDigest, now_ms: u64) -> Vec<Effect> {
        match self.heights.get(digest).copied() {
            Some(height) => self.reach(height, Stage::Notarized, now_ms),
            None => Vec::new(),
        }
    }

    /// The next block in order was finalized.
    pub fn finalized(&mut self, block: &FinalizedBlock, now_ms: u64) -> Vec<Effect> {
        let header = block.header();
        if header.height <= self.heads.finalized_height {
            return Vec::new();
        }
        let mut effects = self.ordered_next(block, now_ms);
        if header.executed.height > self.carried.height {
            self.carried = ExecutionResult {
                height: header.executed.height,
                block_hash: header.executed.block_hash,
            };
            self.awaited
                .insert(self.carried.height, self.carried.block_hash);
            if let Some(signatures) = header.executed.certificate.clone() {
                self.adopt(ExecutionCertificate {
                    result: self.carried,
                    signatures,
                });
            }
            effects.extend(self.settle(now_ms));
        }
        effects
    }

    /// A collator made the next block of a shard's chain. What it says of results is a claim that nobody checked:
    /// see [`Self::settled`].
    pub fn collated(&mut self, block: &FinalizedBlock, now_ms: u64) -> Vec<Effect> {
        if block.header().height <= self.heads.finalized_height {
            return Vec::new();
        }
        self.ordered_next(block, now_ms)
    }

    fn ordered_next(&mut self, block: &FinalizedBlock, now_ms: u64) -> Vec<Effect> {
        let header = block.header();
        self.heads.finalized_height = header.height;
        self.heights.remove(&block.block().digest());
        self.ordered
            .insert(header.height, block.recovered().clone());
        self.reach(header.height, Stage::Finalized, now_ms)
    }

    /// This node executed the next block.
    pub fn executed(&mut self, result: ExecutionResult, now_ms: u64) -> Vec<Effect> {
        debug_assert_eq!(
            result.height,
            self.heads.executed_height + 1,
            "executed in order"
        );
        self.heads.executed_height = result.height;
        self.own.insert(result.height, result.block_hash);
        self.ordered.remove(&result.height);
        let mut effects = self.reach(result.height, Stage::Executed, now_ms);
        effects.extend(self.settle(now_ms));
        effects
    }

    /// Everything up to a height is on this node's disk.
    pub fn durable(&mut self, height: u64, now_ms: u64) -> Vec<Effect> {
        let from = self.durable_height.saturating_add(1);
        self.durable_height = height.max(self.durable_height);
        let first = self
            .stages
            .first_key_value()
            .map_or(from, |(first, _)| from.max(*first));
        let reached = |height| self.reach(height, Stage::Durable, now_ms);
        (first..=height).flat_map(reached).collect()
    }

    /// A result is agreed on, by other means than a header of this chain.
    pub fn settled(&mut self, result: ExecutionResult, now_ms: u64) -> Vec<Effect> {
        if result.height <= self.carried.height {
            return Vec::new();
        }
        self.carried = result;
        self.awaited.insert(result.height, result.block_hash);
        self.settle(now_ms)
    }

    /// What was executed above a height was taken back; the height is not below the verified one.
    pub fn taken_back(&mut self, newest: ExecutionResult) {
        self.heads.executed_height = newest.height;
        self.heads.finalized_height = newest.height;
        let above = newest.height.saturating_add(1);
        drop(self.own.split_off(&above));
        self.own.insert(newest.height, newest.block_hash);
        drop(self.ordered.split_off(&above));
        drop(self.stages.split_off(&above));
    }

    /// 2f+1 validators signed a result; its signatures have been checked.
    pub fn certified(&mut self, certificate: ExecutionCertificate) -> Vec<Effect> {
        let result = certificate.result;
        self.adopt(certificate);
        self.compare(result)
    }

    fn adopt(&mut self, certificate: ExecutionCertificate) {
        let newest = self
            .certificate
            .as_ref()
            .map_or(0, |known| known.result.height);
        if certificate.result.height > newest {
            self.certificate = Some(certificate);
        }
    }

    /// Compares what can be compared, then lets `verified` follow.
    fn settle(&mut self, now_ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(certificate) = &self.certificate {
            effects.extend(self.compare(certificate.result));
        }
        let later = self
            .awaited
            .split_off(&self.heads.executed_height.saturating_add(1));
        for (height, block_hash) in std::mem::replace(&mut self.awaited, later) {
            effects.extend(self.compare(ExecutionResult { height, block_hash }));
            if self.diverged.is_none() {
                effects.extend(self.verify_to(height, now_ms));
            }
        }
        effects
    }

    fn verify_to(&mut self, height: u64, now_ms: u64) -> Vec<Effect> {
        let from = self.heads.verified_height.saturating_add(1);
        self.heads.verified_height = height.max(self.heads.verified_height);
        self.own = self.own.split_off(&self.heads.verified_height);
        let reached = |height| self.reach(height, Stage::Verified, now_ms);
        (from..=height).flat_map(reached).collect()
    }

    fn compare(&mut self, certified: ExecutionResult) -> Vec<Effect> {
        let own = match self.own.get(&certified.height) {
            Some(own) if *own != certified.block_hash && self.diverged.is_none() => *own,
            _ => return Vec::new(),
        };
        let report = DivergenceReport {
            height: certified.height,
            own_hash: own,
            certified_hash: certified.block_hash,
            last_equal_height: self.heads.verified_height,
            own_header: None,
            transactions: Vec::new(),
        };
        self.diverged = Some(report.clone());
        vec![Effect::Diverged(report)]
    }

    fn reach(&mut self, height: u64, stage: Stage, now_ms: u64) -> Vec<Effect> {
        let stages = self.stages.entry(height).or_default();
        let before = *stages;
        stages.reach(stage, now_ms);
        let reached = before != *stages;
        while self.stages.len() > STAGES_MAX {
            self.stages.pop_first();
        }
        if reached {
            vec![Effect::Reached {
                height,
                stage,
                now_ms,
            }]
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests;
