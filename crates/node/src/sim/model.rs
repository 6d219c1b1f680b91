//! What is simulated: how many nodes with which cores and links, the relay chain's times, and what fits into a block.
//!
//! ```text
//! relay block h:   proposed ── 3 hops and the section's check ──▶ final, seen by all       δ
//! synchronous:     seen ▶ execute ▶ send ▶ check ▶ statement │ proposal of the next relay block
//!                                                            └ then included, seen: two windows for one block
//! asynchronous:    |◀─────── execute, for a whole τ ───────▶| ▶ send ▶ check ▶ statement │ proposal
//!                    the next one meanwhile; all within the relay blocks that a schedule is good for but one
//! ```
//! Both budgets follow from the same times and the same costs: [`Model::budget`].

use super::costs::{Costs, RECORDED};
use primitives::limits::SHARD_GAS_MAX;
use serde::Serialize;
use shards::ledger::LedgerRules;

const US_PER_MS: u64 = 1_000;
const NS_PER_MS: u64 = 1_000_000;
/// Hops from a proposal to everybody seeing it final: the block, notarize votes, finalize votes.
const FINALITY_HOPS: u64 = 3;
/// Share of its budget that a block is filled to: timers and messages need the rest.
const FILL_PERCENT: u64 = 95;
/// What a synchronous block leaves of its window, for timers: an agent looks at least so often.
const MARGIN_MS: u64 = 20;
/// Windows that synchronous rules are given at most, in relay blocks.
const WINDOW_MAX: u64 = 64;
/// Bytes of a modelled collation for each that is really sent, cut and hashed.
pub(super) const SCALE: u64 = 128;

/// What is simulated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// Validators.
    pub validators: u16,
    /// Shards, each on one core of the relay chain.
    pub shards: u16,
    /// Collators of each shard.
    pub collators: u16,
    /// Time between two relay blocks, in milliseconds.
    pub block_ms: u64,
    /// Time of a message from one node to another, in milliseconds.
    pub hop_ms: u64,
    /// How much longer it may take, in milliseconds, evenly distributed.
    pub jitter_ms: u64,
    /// What a node can send, and receive, in megabits a second.
    pub bandwidth_mbit: u64,
    /// Relay blocks that synchronous backing may take for a block; without it as few as possible.
    pub synchronous_window_blocks: Option<u64>,
    /// Validators that are drawn to check a candidate under asynchronous backing; without it all check it.
    pub checkers: Option<u16>,
    /// Processor cores of a node. One is for messages, the others check, cut and build.
    pub node_cores: u16,
    /// What work takes.
    pub costs: Costs,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            validators: 16,
            shards: 2,
            collators: 1,
            block_ms: 400,
            hop_ms: 20,
            jitter_ms: 5,
            bandwidth_mbit: 1_000,
            synchronous_window_blocks: None,
            checkers: None,
            node_cores: 16,
            costs: RECORDED,
        }
    }
}

/// How shards are backed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// On candidates that wait for inclusion.
    Asynchronous,
    /// On included parents only, one candidate at a time.
    Synchronous,
}

/// What a block of a shard may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Execution of one block at its collator, in milliseconds.
    pub execution_ms: u64,
    /// Transactions that fit into it.
    pub transactions: u64,
    /// Relay blocks from the one that is seen when its execution begins to the one that it enters.
    pub window_blocks: u64,
    /// What keeps it from being larger.
    pub bound: Bound,
}

/// What keeps a block from being larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The next one has to be executed.
    BlockTime,
    /// It has to be sent, checked and proposed.
    Window,
    /// Its collation would be too large.
    Bytes,
    /// It would take more gas than a shard's block may.
    Gas,
}

impl Model {
    /// How long after its proposal a relay block is final and seen, in milliseconds.
    #[must_use]
    pub fn finality_ms(&self) -> u64 {
        let group = u64::from(LedgerRules::asynchronous(self.validators).group_size);
        let votes = u64::from(self.validators);
        let signatures = votes.saturating_add(group.saturating_mul(self.shards.into()));
        let section_us = signatures.saturating_mul(self.costs.batch_signature_ns) / US_PER_MS;
        let hop_ms = self.hop_ms.saturating_add(self.jitter_ms);
        FINALITY_HOPS
            .saturating_mul(hop_ms)
            .saturating_add(section_us.div_ceil(US_PER_MS))
    }

    /// What a node can send in a second, in bytes.
    pub(super) const fn bandwidth_bytes(&self) -> u64 {
        let bytes = self.bandwidth_mbit.saturating_mul(1_000_000 / 8);
        if bytes == 0 { 1 } else { bytes }
    }

    /// The rules of the ledger.
    #[must_use]
    pub fn rules(&self, mode: Mode) -> LedgerRules {
        match mode {
            Mode::Asynchronous => match self.checkers {
                Some(checkers) => LedgerRules::sampled(self.validators, checkers),
                None => LedgerRules::asynchronous(self.validators),
            },
            Mode::Synchronous => {
                let window = self.budget(mode).window_blocks;
                let rules = LedgerRules::synchronous(self.validators);
                LedgerRules {
                    anchor_window: window,
                    schedule_window: window,
                    deadline_blocks: rules.deadline_blocks.max(window),
                    ..rules
                }
            }
        }
    }

    /// What fits into a block of a shard.
    #[must_use]
    pub fn budget(&self, mode: Mode) -> Budget {
        let rules = LedgerRules::asynchronous(self.validators);
        let (window_blocks, by_time, bound) = match mode {
            Mode::Asynchronous => {
                let window = rules.schedule_window.saturating_sub(1).max(1);
                let block_ns = self.block_ms.saturating_mul(NS_PER_MS) * FILL_PERCENT / 100;
                let in_block = block_ns / self.costs.build_ns.max(1);
                let in_window = self.fits(window).unwrap_or(1);
                let bound = match in_window < in_block {
                    true => Bound::Window,
                    false => Bound::BlockTime,
                };
                (window, in_block.min(in_window), bound)
            }
            Mode::Synchronous => {
                let (window, most) = self.synchronous_window();
                (window, most, Bound::Window)
            }
        };
        let by_bytes = u64::from(rules.collation_bytes_max) / self.costs.collation_bytes.max(1);
        let by_gas = SHARD_GAS_MAX / self.costs.gas.max(1);
        let transactions = by_time.min(by_bytes).min(by_gas).max(1);
        Budget {
            execution_ms: self.costs.build_us(transactions) / US_PER_MS,
            transactions,
            window_blocks,
            bound: match transactions {
                most if most == by_time => bound,
                most if most == by_gas => Bound::Gas,
                _ => Bound::Bytes,
            },
        }
    }

    /// The shortest window in which a block can be built, checked and proposed, or the one asked for; and what fits.
    fn synchronous_window(&self) -> (u64, u64) {
        let asked = self.synchronous_window_blocks.unwrap_or(1);
        let windows = asked.clamp(1, WINDOW_MAX)..=WINDOW_MAX;
        let mut found = windows.filter_map(|window| Some((window, self.fits(window)?)));
        found.next().unwrap_or((WINDOW_MAX, 1))
    }

    /// Transactions of a block that is built when a relay block is seen to be final, and proposed with the one that is
    /// so many after it; none if the messages alone take longer. Offer and statement take a hop each.
    fn fits(&self, window_blocks: u64) -> Option<u64> {
        let hops_ms = 2 * self.hop_ms.saturating_add(self.jitter_ms);
        let before_ms = self.finality_ms().saturating_add(hops_ms);
        let before_ms = before_ms.saturating_add(MARGIN_MS);
        let window_ms = window_blocks.saturating_mul(self.block_ms);
        let left_ns = window_ms.checked_sub(before_ms)?.saturating_mul(NS_PER_MS);
        let most = left_ns * FILL_PERCENT / 100 / self.window_ns().max(1);
        (most > 0).then_some(most)
    }

    /// What a transaction takes of such a window: executing, sending to enough of the group, hashing, checking, cutting.
    fn window_ns(&self) -> u64 {
        let costs = &self.costs;
        let rules = LedgerRules::asynchronous(self.validators);
        let backers = u64::from(rules.group_size.min(self.validators)).div_ceil(2);
        let sent = costs.collation_bytes.saturating_mul(backers);
        let second_ns = 1_000 * NS_PER_MS;
        let send_ns = sent.saturating_mul(second_ns) / self.bandwidth_bytes();
        let kib_ns = costs.hash_kib_ns.saturating_add(costs.cut_kib_ns);
        let bytes_ns = costs.collation_bytes.saturating_mul(kib_ns) / 1_024;
        costs.build_ns + costs.check_ns + send_ns + bytes_ns
    }
}
