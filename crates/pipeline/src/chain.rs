//! What everybody may read: heads, stages, executed blocks, state snapshots, events.
//!
//! One [`Chain`] is shared by consensus, RPC and tests; it hands out immutable values and never
//! waits for execution. Events are broadcast without waiting for slow readers: a reader that
//! falls behind by more than [`EVENTS_MAX`] learns that it missed some.

use crate::{
    DivergenceReport, ExecutedRecord, Ledger, Progress, ProgressWatch, RecordError, actor::unix_ms,
    execution::Executions, ledger::Effect, progress::ProgressSender,
};
use alloy_primitives::{Address, B256};
use executor::{CodeCache, Fork};
use primitives::{
    Block, BlockLimits, BlockStages, ChainConfig, ExecutionCertificate, ExecutionResult, Heads,
    RecoveredBlock,
    affordability::{Budget, InFlight},
    crypto::PublicKey,
    stage::Stage,
};
use state::{
    Postings, PostingsError, ReadFault, Snapshot, Store, StoreError, UnknownHeight, account_view,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::SystemTime,
};
use tokio::sync::broadcast;

/// An executed block and the index in it of what was looked for.
pub type Located = (Arc<ExecutedRecord>, usize);

/// Events a slow subscriber may fall behind.
pub(crate) const EVENTS_MAX: usize = 4_096;

/// What happened to a block.
#[derive(Clone, Debug)]
pub enum ChainEvent {
    /// A block reached a stage here.
    Stage {
        /// Its height.
        height: u64,
        /// The stage.
        stage: Stage,
        /// When, in milliseconds since the Unix epoch.
        now_ms: u64,
    },
    /// A block was executed and is the new `latest`.
    Executed(Arc<ExecutedRecord>),
}

/// A node that executes again what it had served before it was restarted, or takes a state from peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncProgress {
    /// Height at which it started.
    pub starting_height: u64,
    /// Height it has reached.
    pub current_height: u64,
    /// Height known to be finalized when it started.
    pub target_height: u64,
    /// How much of the state is here, while it comes from peers.
    pub state: Option<StateProgress>,
}

/// How much of a state that comes from peers is here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateProgress {
    /// Bytes that are here.
    pub bytes_done: u64,
    /// All bytes.
    pub bytes: u64,
}

/// Why something stored could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
    /// The store holds something unreadable.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The state at a height is not kept.
    #[error(transparent)]
    State(UnknownHeight),
    /// The index failed.
    #[error(transparent)]
    Postings(#[from] PostingsError),
    /// Reading the state failed.
    #[error(transparent)]
    Read(#[from] ReadFault),
    /// The block is older than this node's history, which began with a state from peers.
    #[error("pruned history unavailable: height={height} first={first}")]
    Pruned {
        /// The block.
        height: u64,
        /// The lowest height there is, genesis aside.
        first: u64,
    },
    /// The block was computed by a node that had diverged.
    #[error("not served: this node {0}")]
    Diverged(Box<DivergenceReport>),
}

impl From<StoreError> for ChainError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::UnknownHeight(unknown) => Self::State(unknown),
            other => Self::Store(other),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: ChainConfig,
    /// Those that the next blocks have.
    rules: Mutex<Arc<ChainConfig>>,
    pub(crate) limits: BlockLimits,
    pub(crate) validators: Vec<PublicKey>,
    pub(crate) ethereum: Option<Fork>,
    pub(crate) genesis: Arc<ExecutedRecord>,
    pub(crate) store: Store,
    pub(crate) first_height: u64,
    pub(crate) postings: Option<Arc<Postings>>,
    pub(crate) progress: ProgressSender,
    pub(crate) events: broadcast::Sender<ChainEvent>,
    pub(crate) recent_records_max: usize,
    pub(crate) executions: Executions,
    pub(crate) code_cache: CodeCache,
    starting_height: u64,
    ledger: Mutex<Ledger>,
    pub(crate) recent: Mutex<BTreeMap<u64, Arc<ExecutedRecord>>>,
    halted: Mutex<Option<String>>,
    pub(crate) inclusion_faults: AtomicU64,
    sync_target: Mutex<u64>,
    pub(crate) state_progress: Mutex<Option<StateProgress>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a chain's handles are made of.
#[derive(Debug)]
pub(crate) struct ChainParts {
    /// The rules.
    pub config: ChainConfig,
    /// Bounds for decoding stored blocks.
    pub limits: BlockLimits,
    /// Who orders and signs.
    pub validators: Vec<PublicKey>,
    /// The fork of a chain that came from elsewhere.
    pub ethereum: Option<Fork>,
    /// The block at height 0.
    pub genesis: ExecutedRecord,
    /// The state.
    pub store: Store,
    /// The ledger, at the state's height.
    pub ledger: Ledger,
    /// The lowest height executed here, genesis aside.
    pub first_height: u64,
    /// The index of executed blocks.
    pub postings: Option<Arc<Postings>>,
    /// Decoded blocks kept for readers.
    pub recent_records_max: usize,
}

/// Read handle over one node's chain. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Chain {
    pub(crate) shared: Arc<Shared>,
}

impl Chain {
    pub(crate) fn new(parts: ChainParts) -> Self {
        let starting_height = parts.ledger.heads().executed_height;
        let progress = Progress {
            heads: parts.ledger.heads(),
            certified_height: parts.ledger.carried().height,
            stopped: false,
        };
        Self {
            shared: Arc::new(Shared {
                rules: Mutex::new(Arc::new(parts.config.clone())),
                config: parts.config,
                limits: parts.limits,
                validators: parts.validators,
                ethereum: parts.ethereum,
                genesis: Arc::new(parts.genesis),
                store: parts.store,
                first_height: parts.first_height,
                postings: parts.postings,
                progress: ProgressSender::new(progress),
                events: broadcast::Sender::new(EVENTS_MAX),
                recent_records_max: parts.recent_records_max,
                executions: Executions::new(parts.recent_records_max),
                code_cache: CodeCache::default(),
                starting_height,
                ledger: Mutex::new(parts.ledger),
                recent: Mutex::default(),
                halted: Mutex::default(),
                inclusion_faults: AtomicU64::new(0),
                sync_target: Mutex::new(starting_height),
                state_progress: Mutex::default(),
            }),
        }
    }

    /// The rules of the chain; of a shard, those that it began with.
    #[must_use]
    pub fn config(&self) -> &ChainConfig {
        &self.shared.config
    }

    /// The rules of the next block: the chain's, but for a shard that was told others.
    #[must_use]
    pub fn rules(&self) -> Arc<ChainConfig> {
        Arc::clone(&lock(&self.shared.rules))
    }

    /// The next blocks have these rules: those of a shard change by an order of the relay chain. Whoever orders
    /// blocks says so between two of them.
    pub fn adopt(&self, rules: &ChainConfig) {
        let mut current = lock(&self.shared.rules);
        if **current != *rules {
            *current = Arc::new(rules.clone());
        }
    }

    /// Who orders its blocks and signs their results.
    #[must_use]
    pub fn validators(&self) -> &[PublicKey] {
        &self.shared.validators
    }

    /// Hash of the Ethereum header at height 0.
    #[must_use]
    pub fn genesis_hash(&self) -> B256 {
        self.shared.genesis.hash
    }

    /// The ordering block at height 0.
    #[must_use]
    pub fn genesis_block(&self) -> &Block {
        &self.shared.genesis.block
    }

    /// The three heads.
    #[must_use]
    pub fn heads(&self) -> Heads {
        self.with_ledger(|ledger| ledger.heads())
    }

    /// The height whose state is on this node's disk.
    #[must_use]
    pub fn durable_height(&self) -> u64 {
        self.shared.store.flushed_height()
    }

    /// Follows how far this node is.
    #[must_use]
    pub fn progress(&self) -> ProgressWatch {
        self.shared.progress.watch()
    }

    /// How far a restarted node has to go before it serves again what it served before.
    #[must_use]
    pub fn syncing(&self) -> Option<SyncProgress> {
        let target_height = *lock(&self.shared.sync_target);
        let current_height = self.heads().executed_height;
        (current_height < target_height).then_some(SyncProgress {
            starting_height: self.shared.starting_height,
            current_height,
            target_height,
            state: *lock(&self.shared.state_progress),
        })
    }

    pub(crate) fn set_sync_target(&self, height: u64) {
        let mut target = lock(&self.shared.sync_target);
        *target = height.max(*target);
    }

    /// The lowest height whose block is here, genesis aside: 1, unless the state came from peers.
    #[must_use]
    pub fn first_height(&self) -> u64 {
        self.shared.first_height
    }

    /// When a block reached its stages; none for heights that were not seen or long ago.
    #[must_use]
    pub fn stages(&self, height: u64) -> Option<BlockStages> {
        self.with_ledger(|ledger| ledger.stages(height))
    }

    /// The newest certified result known here, with its signatures.
    #[must_use]
    pub fn certificate(&self) -> Option<ExecutionCertificate> {
        self.with_ledger(|ledger| ledger.certificate().cloned())
    }

    /// The newest result known to be certified, carried by a header or not.
    #[must_use]
    pub fn certified_floor(&self) -> ExecutionResult {
        self.with_ledger(Ledger::certified_floor)
    }

    /// This node's own result at a height, while it is kept.
    #[must_use]
    pub fn own_result(&self, height: u64) -> Option<B256> {
        self.with_ledger(|ledger| ledger.own_result(height))
    }

    /// Finalized blocks that wait for execution, in order.
    #[must_use]
    pub fn ordered(&self) -> Vec<RecoveredBlock> {
        self.with_ledger(Ledger::ordered)
    }

    /// Why this node stopped executing, if it did.
    #[must_use]
    pub fn stopped(&self) -> Option<String> {
        // A guard that lived on would be held while the ledger is locked: the other way round than elsewhere.
        let halted = lock(&self.shared.halted).clone();
        halted.or_else(|| self.diverged().map(|report| report.to_string()))
    }

    /// Transactions that could not pay, or had the wrong nonce, when they executed here. Any is a bug
    /// in the affordability rule.
    #[must_use]
    pub fn inclusion_faults(&self) -> u64 {
        self.shared.inclusion_faults.load(Relaxed)
    }

    /// The evidence, if this node diverged.
    #[must_use]
    pub fn diverged(&self) -> Option<DivergenceReport> {
        self.with_ledger(|ledger| ledger.diverged().cloned())
    }

    /// The state after the block at a height.
    ///
    /// # Errors
    /// Names the heights that are kept, or says how reading failed.
    pub fn snapshot(&self, height: u64) -> Result<Snapshot, ChainError> {
        Ok(self.shared.store.snapshot(height)?)
    }

    /// Analysed code of executed blocks, and of whoever runs calls beside them.
    #[must_use]
    pub fn code_cache(&self) -> &CodeCache {
        &self.shared.code_cache
    }

    /// What an account can commit now, given what is ordered above the newest certified result.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn inclusion_budget(&self, address: &Address) -> Result<Budget, ChainError> {
        let executed_height = self.heads().executed_height;
        let certified = self
            .shared
            .progress
            .newest()
            .certified_height
            .min(executed_height);
        let mut in_flight = InFlight::new(self.config().protocol.reserve, self.config().chain_id);
        let snapshot = self.snapshot(certified)?;
        let view = |address: &Address| account_view(&snapshot, address);
        for height in certified.saturating_add(1)..=executed_height {
            let Some(record) = self.record(height)? else {
                continue;
            };
            for transaction in record.transactions.iter() {
                in_flight.record_ordered(transaction, record.block.header().base_fee, view)?;
            }
        }
        for block in self.ordered() {
            for transaction in block.transactions() {
                in_flight.record_ordered(transaction, block.header().base_fee, view)?;
            }
        }
        Ok(in_flight.budget(address, &view(address)?))
    }

    /// Every stage of every block and every executed block, from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<ChainEvent> {
        self.shared.events.subscribe()
    }

    pub(crate) fn with_ledger<T>(&self, read: impl FnOnce(&Ledger) -> T) -> T {
        read(&lock(&self.shared.ledger))
    }

    /// Applies one event to the ledger and tells everybody what followed.
    pub(crate) fn apply(&self, event: impl FnOnce(&mut Ledger) -> Vec<Effect>) -> Vec<Effect> {
        let mut ledger = lock(&self.shared.ledger);
        let effects = event(&mut ledger);
        let progress = Progress {
            heads: ledger.heads(),
            certified_height: ledger.certified_floor().height,
            stopped: ledger.diverged().is_some() || lock(&self.shared.halted).is_some(),
        };
        // Still under the lock, so that nobody puts an older progress over a newer one.
        self.shared.progress.send(progress);
        drop(ledger);
        for effect in &effects {
            if let Effect::Reached {
                height,
                stage,
                now_ms,
            } = *effect
            {
                self.send(ChainEvent::Stage {
                    height,
                    stage,
                    now_ms,
                });
            }
        }
        effects
    }

    /// Notes that everything up to a height is on disk.
    pub(crate) fn durable(&self, height: u64, now: SystemTime) {
        let now_ms = unix_ms(now);
        self.apply(|ledger| ledger.durable(height, now_ms));
    }

    /// Keeps a decoded record for readers.
    pub(crate) fn remember(&self, record: &Arc<ExecutedRecord>) {
        let mut recent = lock(&self.shared.recent);
        recent.insert(record.height(), Arc::clone(record));
        while recent.len() > self.shared.recent_records_max {
            recent.pop_first();
        }
    }

    pub(crate) fn send(&self, event: ChainEvent) {
        // An error means that nobody listens, which is nobody's fault.
        drop(self.shared.events.send(event));
    }

    pub(crate) fn halt(&self, reason: String) {
        let _ledger = lock(&self.shared.ledger);
        lock(&self.shared.halted).get_or_insert(reason);
        self.shared.progress.send(Progress {
            stopped: true,
            ..self.shared.progress.newest()
        });
    }
}
