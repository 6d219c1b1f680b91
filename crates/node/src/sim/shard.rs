//! A shard as far as backing sees it: blocks that are ranges of transactions, and take as long as real ones.
//!
//! ```text
//! demand ─▶ build: wait for the time, execute ─▶ collation: header, filler ─▶ check, cut ─▶ follow
//!             └ charged to the node's processor ──────────────────────────────┴──────────┘
//! ```
//! A block says which transactions are in it and which block is before it, so it can be checked and nothing can be
//! lost unnoticed. A collation has one byte for [`SCALE`] of a real one; everything else about it is real.

use super::{
    clock::Time,
    costs::Costs,
    cpu::Cpu,
    demand::Demand,
    model::{Budget, Mode, SCALE},
};
use alloy_primitives::B256;
use bytes::Bytes;
use commonware_cryptography::Hasher as _;
use primitives::{
    crypto::{BlockHasher, PublicKey},
    limits::SHARD_GAS_MAX,
    shard::{Coding, Descriptor, ShardId},
};
use shards::{
    agent::{BuildOrder, Builder, Built, Checker, Cutter, Finding, ReedSolomonCutter, Restored},
    arrears::{Arrears, FinalCandidate, RelayGap},
    feed::LedgerFeed,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

const US_PER_MS: u64 = 1_000;
/// Number, parent, first transaction, how many, whose.
const HEADER_BYTES: usize = 8 + 32 + 8 + 8 + 8;
/// Bytes of a collation beside its transactions: header, parent, ancestors.
const COLLATION_FIXED: u64 = 2_048;
/// The rules of every shard.
pub(super) const RULES: B256 = B256::repeat_byte(3);

pub(super) fn hash_of(bytes: &[u8]) -> B256 {
    B256::from_slice(BlockHasher::hash(&[bytes]).as_ref())
}

/// A block of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SimBlock {
    pub(super) number: u64,
    pub(super) parent: B256,
    /// Its first transaction, and how many there are.
    pub(super) first: u64,
    pub(super) count: u64,
    /// The node that built it: blocks of two collators differ, as real ones do.
    pub(super) node: u64,
}

impl SimBlock {
    /// Bytes of the collation that it stands for.
    pub(super) const fn collation_bytes(count: u64, costs: &Costs) -> u64 {
        COLLATION_FIXED.saturating_add(count.saturating_mul(costs.collation_bytes))
    }

    fn encode(&self, costs: &Costs) -> Bytes {
        let sent = Self::collation_bytes(self.count, costs) / SCALE;
        let sent = usize::try_from(sent)
            .unwrap_or(usize::MAX)
            .max(HEADER_BYTES);
        let mut bytes = Vec::with_capacity(sent);
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.parent.0);
        bytes.extend(self.first.to_be_bytes());
        bytes.extend(self.count.to_be_bytes());
        bytes.extend(self.node.to_be_bytes());
        bytes.resize(sent, 0);
        bytes.into()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| {
            let eight = bytes.get(at..at.checked_add(8)?)?;
            Some(u64::from_be_bytes(eight.try_into().ok()?))
        };
        Some(Self {
            number: word(0)?,
            parent: B256::from_slice(bytes.get(8..40)?),
            first: word(40)?,
            count: word(48)?,
            node: word(56)?,
        })
    }

    fn describe(
        &self,
        order: &BuildOrder,
        (key, now_ms): (&PublicKey, u64),
        costs: &Costs,
    ) -> Built {
        let collation = self.encode(costs);
        let head = hash_of(&collation);
        let descriptor = Descriptor {
            shard: order.shard,
            number: self.number,
            parent: self.parent,
            head,
            state_root: head,
            anchor: order.anchor,
            rules: RULES,
            collation_hash: head,
            collation_bytes: u32::try_from(collation.len()).unwrap_or(u32::MAX),
            // Models of machines that are faster than any are not held to what the ledger allows.
            gas_used: self.count.saturating_mul(costs.gas).min(SHARD_GAS_MAX),
            timestamp_ms: now_ms.max(order.parent.timestamp_ms.saturating_add(1)),
            collator: key.clone(),
        };
        Built {
            descriptor,
            collation,
        }
    }
}

/// Checks and cuts, and is charged for it.
#[derive(Debug)]
pub(super) struct Workshop {
    pub(super) cpu: Arc<Cpu>,
    pub(super) time: Time,
    pub(super) costs: Costs,
}

/// Bytes that a collation stands for.
fn modelled(collation: &Bytes) -> u64 {
    let bytes = u64::try_from(collation.len()).unwrap_or(u64::MAX);
    bytes.saturating_mul(SCALE)
}

impl Checker for Workshop {
    fn check(&self, descriptor: &Descriptor, collation: &Bytes, _: &AtomicBool) -> Finding {
        let block = SimBlock::decode(collation);
        let count = block.map_or(0, |block| block.count);
        self.cpu.owe(self.costs.check_us(count));
        let right = block.is_some_and(|block| {
            block.number == descriptor.number
                && block.parent == descriptor.parent
                && hash_of(collation) == descriptor.head
        });
        match right {
            true => Finding::Valid,
            false => Finding::Invalid,
        }
    }

    fn remaining(&self) -> Duration {
        let now_us = self.time.now_us();
        Duration::from_micros(self.cpu.pay(now_us).saturating_sub(now_us))
    }
}

impl Cutter for Workshop {
    fn cut(&self, collation: &Bytes, validators: u16, epoch: u64) -> Option<(Coding, Vec<Bytes>)> {
        self.cpu.owe(self.costs.cut_us(modelled(collation)));
        ReedSolomonCutter.cut(collation, validators, epoch)
    }

    fn check(&self, coding: &Coding, index: u16, chunk: &Bytes) -> bool {
        ReedSolomonCutter.check(coding, index, chunk)
    }

    fn restore(&self, coding: &Coding, chunks: &[(u16, Bytes)]) -> Restored {
        let restored = ReedSolomonCutter.restore(coding, chunks);
        if let Restored::Collation(collation) = &restored {
            self.cpu.owe(self.costs.restore_us(modelled(collation)));
        }
        restored
    }
}

/// A block that somebody built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made {
    pub(super) block: SimBlock,
    /// When its collator had it, in milliseconds.
    pub(super) done_ms: u64,
}

/// Blocks, by shard and head.
type MadeBlocks = BTreeMap<(ShardId, B256), Made>;

/// All blocks that were built.
#[derive(Clone, Debug, Default)]
pub(super) struct Journal(Arc<Mutex<MadeBlocks>>);

impl Journal {
    fn lock(&self) -> MutexGuard<'_, MadeBlocks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, shard: ShardId, head: B256) -> Option<Made> {
        self.lock().get(&(shard, head)).copied()
    }

    pub(super) fn note(&self, shard: ShardId, head: B256, made: Made) {
        self.lock().insert((shard, head), made);
    }
}

/// What a collator works by.
#[derive(Clone, Debug)]
pub(super) struct Trade {
    pub(super) node: u64,
    pub(super) key: PublicKey,
    pub(super) mode: Mode,
    pub(super) budget: Budget,
    /// Least time between two blocks, in milliseconds.
    pub(super) pace_ms: u64,
    pub(super) costs: Costs,
    pub(super) demand: Demand,
    /// When transactions begin to come, and cease to.
    pub(super) begins_ms: u64,
    pub(super) ends_ms: u64,
}

#[derive(Debug, Default)]
struct Blocks {
    /// The transaction that comes next after each block that it has.
    next: BTreeMap<(ShardId, B256), u64>,
    newest: BTreeMap<ShardId, (u64, B256)>,
}

/// A collator's chains.
#[derive(Clone, Debug)]
pub(super) struct SimBuilder {
    trade: Arc<Trade>,
    blocks: Arc<Mutex<Blocks>>,
    journal: Journal,
    cpu: Arc<Cpu>,
    time: Time,
    feed: LedgerFeed,
}

impl SimBuilder {
    pub(super) fn new(
        trade: Trade,
        (cpu, time): (Arc<Cpu>, Time),
        (feed, journal): (LedgerFeed, Journal),
    ) -> Self {
        let mut blocks = Blocks::default();
        for (shard, segment) in feed.newest().ledger.shards() {
            let genesis = segment.finalized();
            blocks.next.insert((shard, genesis.hash), 0);
            blocks.newest.insert(shard, (genesis.number, genesis.hash));
        }
        Self {
            trade: Arc::new(trade),
            blocks: Arc::new(Mutex::new(blocks)),
            journal,
            cpu,
            time,
            feed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a block may be built on it: under synchronous backing only once it is included.
    fn may_follow(&self, order: &BuildOrder) -> bool {
        if self.trade.mode == Mode::Asynchronous {
            return true;
        }
        let newest = self.feed.newest();
        let Some(segment) = newest.ledger.shard(order.shard) else {
            return false;
        };
        let head = order.parent.hash;
        let included = |one: &shards::ledger::Pending| one.is_included() && one.head().hash == head;
        segment.newest().hash == head
            && (segment.finalized().hash == head || segment.pending().any(included))
    }

    /// Transactions that have come by now.
    fn arrived(&self) -> u64 {
        let now_ms = self.time.now_ms().min(self.trade.ends_ms);
        let elapsed_ms = now_ms.saturating_sub(self.trade.begins_ms);
        self.trade.demand.arrived(elapsed_ms)
    }

    fn made(&self, descriptor: &Descriptor, block: &SimBlock) {
        let mut blocks = self.lock();
        let next = block.first.saturating_add(block.count);
        blocks
            .next
            .insert((descriptor.shard, descriptor.head), next);
        let newest = (descriptor.number, descriptor.head);
        blocks.newest.insert(descriptor.shard, newest);
    }
}

impl Builder for SimBuilder {
    async fn build(&self, order: BuildOrder) -> Option<Built> {
        if !self.may_follow(&order) {
            return None;
        }
        let first = *self.lock().next.get(&(order.shard, order.parent.hash))?;
        let due_ms = order.parent.timestamp_ms.saturating_add(self.trade.pace_ms);
        self.time.until(due_ms.saturating_mul(US_PER_MS)).await;
        let count = self.arrived().saturating_sub(first);
        let count = count.min(self.trade.budget.transactions);
        if count == 0 {
            return None;
        }
        let began_us = self.time.now_us();
        let cost_us = self.trade.costs.build_us(count);
        self.time.until(self.cpu.job(began_us, cost_us)).await;
        let block = SimBlock {
            number: order.parent.number.saturating_add(1),
            parent: order.parent.hash,
            first,
            count,
            node: self.trade.node,
        };
        let by = (&self.trade.key, began_us / US_PER_MS);
        let built = block.describe(&order, by, &self.trade.costs);
        self.made(&built.descriptor, &block);
        let done_ms = self.time.now_ms();
        let made = Made { block, done_ms };
        self.journal.note(order.shard, built.descriptor.head, made);
        Some(built)
    }

    fn newest(&self, shard: ShardId) -> Option<(u64, B256)> {
        self.lock().newest.get(&shard).copied()
    }

    fn durable(&self, shard: ShardId) -> u64 {
        self.newest(shard).map_or(0, |(number, _)| number)
    }

    async fn follow(&self, descriptor: Descriptor, collation: Bytes) -> Finding {
        let Some(block) = SimBlock::decode(&collation) else {
            return Finding::Invalid;
        };
        let cost_us = self.trade.costs.follow_us(block.count);
        let now_us = self.time.now_us();
        self.time.until(self.cpu.job(now_us, cost_us)).await;
        let known = self
            .lock()
            .next
            .get(&(descriptor.shard, block.parent))
            .copied();
        match known {
            None => Finding::Undecided,
            Some(next) if next != block.first => Finding::Invalid,
            Some(_) => {
                self.made(&descriptor, &block);
                Finding::Valid
            }
        }
    }

    /// Nobody restarts here.
    async fn name(&self, arrears: Arrears) -> Result<Vec<FinalCandidate>, RelayGap> {
        Err(RelayGap {
            height: arrears.height,
        })
    }
}
