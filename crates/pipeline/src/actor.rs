//! The thread that executes: one finalized block after the other, in order.
//!
//! ```text
//!                                               ┌─commit─▶ state root ─┐
//! job ─▶ snapshot(N-1) ─execute─▶ ExecutedBlock ┼─other roots──────────┼▶ header ─seal─▶ observers, events
//!                                               └─access list──────────┘           └▶ acknowledge, flush
//! ```
//! The three in the middle are side by side if there are several workers; with one there is no thread but
//! the pipeline's own. A flush goes up to the verified height, on a thread of its own (`flush`).
//!
//! A block is acknowledged once it is executed. Its state becomes durable later, with a flush; after
//! a crash the blocks in between are replayed from the archive of consensus, which never loses one.
//! It stops for good at the first divergence and at the first failed write. After a divergence it
//! keeps the unacknowledged blocks, so that consensus is not disturbed: ordering goes on without
//! this node's results.

use crate::{
    BlockExecution, Chain, DivergenceReport, ExecutedRecord, Ledger, Pipeline, PipelineConfig,
    RecordError, StageTimes,
    chain::{ChainError, ChainParts},
    divergence::TransactionOutcome,
    environment,
    fault::PipelineFault,
    flush::{Flusher, WRITES_FLUSHED_MIN, WRITES_WAITING_MAX},
    indexer,
    mailbox::{Job, announce},
    metrics::{FlushMetrics, Metrics},
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{B256, Bytes};
use commonware_runtime::{Clock, Handle, Metrics as RuntimeMetrics, Spawner};
use commonware_utils::Acknowledgement as _;
use executor::{Engine, ExecutedBlock, ExecutionInput, Fork, Roots};
use primitives::{
    BlockLimits, ChainConfig, ExecutionResult, FinalizedBlock, RecoveredBlock, crypto::PublicKey,
};
use state::{AskedHashes, Postings, StateReader as _, Store, StoreError};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::mpsc;

/// Called with every executed block, in order, before anybody else is told.
pub type Observer = Box<dyn FnMut(&Arc<ExecutedRecord>) + Send>;

/// Called with every block that was executed and is not in the state yet: the state is its parent's. The number
/// is the lowest height whose hash the block asked for.
pub type Collating = Box<dyn FnMut(&RecoveredBlock, &ExecutedBlock, Option<u64>, &Store) + Send>;

/// What a pipeline runs on.
#[derive(Debug)]
pub struct Foundation {
    /// The rules.
    pub chain: ChainConfig,
    /// Bounds for decoding stored blocks.
    pub limits: BlockLimits,
    /// Who orders and signs.
    pub validators: Vec<PublicKey>,
    /// The fork of a chain that came from elsewhere, and only grew there.
    pub ethereum: Option<Fork>,
    /// The block at height 0.
    pub genesis: ExecutedRecord,
    /// The state.
    pub store: Store,
    /// The lowest height executed here, genesis aside: 1, or the one above a state that came from peers.
    pub first_height: u64,
}

/// What follows from a block's execution, without what the execution took.
struct Conclusion {
    roots: Roots,
    access_list: Bytes,
    times: StageTimes,
}

/// The executing half of a pipeline.
pub struct Actor<E> {
    runtime: E,
    chain: Chain,
    config: PipelineConfig,
    jobs: mpsc::Receiver<Job>,
    observers: Vec<Observer>,
    collating: Option<Collating>,
    /// Kept after a divergence, for as long as the node runs.
    unacknowledged: Vec<Job>,
    flush_requested_at: SystemTime,
    flusher: Flusher,
    metrics: Metrics,
    /// The highest block whose verification is in the metrics.
    counted_height: u64,
    engine: Engine,
}

impl<E> fmt::Debug for Actor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl<E: Clock + Spawner + RuntimeMetrics> Actor<E> {
    /// A pipeline that goes on where its store stands.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn new(
        runtime: E,
        foundation: Foundation,
        config: PipelineConfig,
        observers: Vec<Observer>,
    ) -> Result<(Self, Pipeline), PipelineFault> {
        let ledger = restore_ledger(&foundation.store)?;
        let postings = open_postings(&foundation, &config)?;
        let chain = Chain::new(ChainParts {
            config: foundation.chain,
            limits: foundation.limits,
            validators: foundation.validators,
            ethereum: foundation.ethereum,
            genesis: foundation.genesis,
            store: foundation.store,
            ledger,
            first_height: foundation.first_height,
            postings: postings.clone(),
            recent_records_max: config.recent_records_max,
        });
        let (sender, jobs) = mpsc::channel(config.queue_blocks_max.max(1));
        let pipeline = Pipeline::new(chain.clone(), sender);
        let flush_requested_at = runtime.current();
        let counted_height = chain.heads().verified_height;
        let metrics = Metrics::new(&runtime);
        let flush_metrics = FlushMetrics::new(&runtime);
        let flusher = Flusher::start(runtime.child("flusher"), chain.clone(), flush_metrics);
        if let Some(postings) = postings {
            let runtime = runtime.child("indexer");
            indexer::start(runtime, chain.clone(), postings, flusher.flushed());
        }
        let mut engine = Engine::new(config.workers)?;
        if config.spans {
            let clock = runtime.child("spans");
            engine = engine.with_clock(Arc::new(move || since_epoch(clock.current())));
        }
        let actor = Self {
            runtime,
            chain,
            config,
            jobs,
            observers,
            collating: None,
            unacknowledged: Vec::new(),
            flush_requested_at,
            flusher,
            metrics,
            counted_height,
            engine,
        };
        Ok((actor, pipeline))
    }

    /// The same, for a shard's chain: what is executed is shown before it is committed.
    #[must_use]
    pub fn with_collating(mut self, collating: Collating) -> Self {
        self.collating = Some(collating);
        self
    }

    /// Starts it on a thread of its own; the handle resolves when it stops.
    pub fn start(mut self) -> Handle<Result<(), PipelineFault>>
    where
        E: Spawner,
    {
        let runtime = self.runtime.child("executor");
        runtime.dedicated().spawn(move |_| async move {
            let outcome = self.run().await;
            if let Err(fault) = &outcome {
                tracing::error!(%fault, "execution stopped");
                self.chain.halt(fault.to_string());
            }
            outcome
        })
    }

    async fn run(&mut self) -> Result<(), PipelineFault> {
        let mut stopped = self.runtime.stopped();
        let mut progress = self.chain.progress();
        let mut reported = false;
        loop {
            progress.look();
            self.count_stages();
            if !reported && let Some(report) = self.chain.diverged() {
                self.report(report);
                reported = true;
            }
            if self.collating.is_some() {
                // A shard's block becomes final some time after it was executed, and may be the last for long.
                self.flush_if_due().await?;
            }
            let job = tokio::select! {
                biased;
                _ = &mut stopped => return self.flush(),
                error = self.flusher.failed() => return Err(error.into()),
                job = self.jobs.recv() => job,
                _ = progress.changed() => continue,
            };
            let Some(job) = job else { return self.flush() };
            if reported || self.chain.diverged().is_some() {
                self.unacknowledged.push(job);
                continue;
            }
            self.process(&job.block).await?;
            if let Some(acknowledgement) = job.acknowledgement {
                acknowledgement.acknowledge();
            }
            self.flush_if_due().await?;
        }
    }

    async fn process(&mut self, block: &FinalizedBlock) -> Result<(), PipelineFault> {
        let height = block.header().height;
        let expected = self.chain.heads().executed_height.saturating_add(1);
        if height < expected {
            return Ok(());
        }
        if height > expected {
            return Err(PipelineFault::OutOfOrder { height, expected });
        }
        if !self.config.execution_delay.is_zero() && !block.transactions().is_empty() {
            self.runtime.sleep(self.config.execution_delay).await;
        }
        let started = self.runtime.current();
        let (record, execution) = self.execute(block)?;
        let record = Arc::new(record);
        let elapsed = self.runtime.current().duration_since(started);
        self.metrics.executed(&record, elapsed.unwrap_or_default());
        self.metrics.execution(&execution);
        self.chain.shared.executions.remember(height, execution);
        self.chain.remember(&record);
        for observer in &mut self.observers {
            observer(&record);
        }
        let result = ExecutionResult {
            height,
            block_hash: record.hash,
        };
        let now_ms = unix_ms(self.runtime.current());
        self.chain.apply(|ledger| ledger.executed(result, now_ms));
        if let Some(stages) = self.chain.stages(height) {
            self.metrics.stages_to_executed(&stages);
        }
        announce(&self.chain, &record);
        Ok(())
    }

    fn execute(
        &mut self,
        block: &FinalizedBlock,
    ) -> Result<(ExecutedRecord, BlockExecution), PipelineFault> {
        let chain = self.chain.clone();
        let shared = &chain.shared;
        let height = block.header().height;
        let parent_height = height.saturating_sub(1);
        let snapshot = shared.store.snapshot(parent_height)?;
        let parent_hash = self.hash_at(parent_height)?;
        let rules = chain.rules();
        let environment = environment(block.header(), parent_hash, &rules);
        let mut input = ExecutionInput::new(
            &rules,
            environment,
            block.transactions(),
            block.block().directives(),
        );
        input.code_cache = Some(&shared.code_cache);
        let start = since_epoch(self.runtime.current());
        let snapshot = AskedHashes::new(snapshot);
        let (executed, time) = timed(&self.runtime, || self.engine.execute(&input, &snapshot));
        let mut executed = executed.map_err(|fault| PipelineFault::Execution { height, fault })?;
        if let Some(collating) = &mut self.collating {
            collating(
                block.recovered(),
                &executed,
                snapshot.oldest(),
                &shared.store,
            );
        }
        self.count_faults(height, &executed);
        let mut conclusion = self.conclude(block, &mut executed)?;
        conclusion.times.execute = time;
        let ordering_digest = B256::from_slice(block.block().digest().as_ref());
        let environment = &input.environment;
        let header =
            executor::ethereum_header(environment, &executed, conclusion.roots, ordering_digest);
        let execution = BlockExecution::new(executed.report, start, conclusion.times);
        let record = ExecutedRecord {
            hash: header.hash_slow(),
            header,
            block: block.block().clone(),
            transactions: block.recovered().shared_transactions(),
            receipts: executed.receipts,
            withdrawals: Withdrawals::default(),
        };
        let stored = record.to_stored(conclusion.access_list);
        shared.store.seal(stored)?;
        Ok((record, execution))
    }

    /// Heads as they are, and what became verified since the last time.
    fn count_stages(&mut self) {
        let heads = self.chain.heads();
        self.metrics.heads(heads);
        for height in self.counted_height.saturating_add(1)..=heads.verified_height {
            if let Some(stages) = self.chain.stages(height) {
                self.metrics.stage_verified(&stages);
            }
        }
        self.counted_height = self.counted_height.max(heads.verified_height);
    }

    fn count_faults(&self, height: u64, executed: &ExecutedBlock) {
        let faults = &executed.inclusion_faults;
        self.metrics.inclusion_faults(faults.len());
        for fault in faults {
            let count = &self.chain.shared.inclusion_faults;
            count.fetch_add(1, Relaxed);
            tracing::error!(
                height,
                ?fault,
                "inclusion fault: the affordability rule let it pass"
            );
        }
    }

    /// Commits what a block wrote, and computes beside it what needs no state.
    fn conclude(
        &self,
        block: &FinalizedBlock,
        executed: &mut ExecutedBlock,
    ) -> Result<Conclusion, StoreError> {
        let (runtime, engine, store) = (&self.runtime, &self.engine, &self.chain.shared.store);
        let height = block.header().height;
        let transactions = block.transactions();
        let diff = std::mem::take(&mut executed.diff);
        let executed = &*executed;
        let commit = || timed(runtime, || store.commit(height, diff));
        let roots = || timed(runtime, || executed.roots(transactions));
        let list = || timed(runtime, || executed.access_list().encode());
        let (committed, (roots, list)) = engine.join(commit, || engine.join(roots, list));
        let times = StageTimes {
            execute: Duration::ZERO,
            commit: committed.1,
            roots: roots.1,
            access_list: list.1,
        };
        let roots = Roots {
            state_root: *committed.0?,
            block: roots.0,
        };
        Ok(Conclusion {
            roots,
            access_list: list.0.into(),
            times,
        })
    }

    fn hash_at(&self, height: u64) -> Result<B256, PipelineFault> {
        if let Some(hash) = self.chain.own_result(height) {
            return Ok(hash);
        }
        let missing = || {
            ChainError::Record(RecordError {
                height,
                part: "record",
            })
        };
        let record = self
            .chain
            .shared
            .store
            .record(height)?
            .ok_or_else(missing)?;
        Ok(record.hash)
    }

    /// Asks for a flush when enough waits for one, or when the last one is long ago; waits itself when
    /// far too much does.
    async fn flush_if_due(&mut self) -> Result<(), PipelineFault> {
        let target = self.flush_target();
        let store = &self.chain.shared.store;
        let waiting = target.saturating_sub(store.flushed_height());
        let writes = store.unflushed_writes(target);
        let now = self.runtime.current();
        let elapsed = now
            .duration_since(self.flush_requested_at)
            .unwrap_or_default();
        let is_late = waiting > 0 && elapsed >= self.config.flush_interval;
        if waiting >= self.config.flush_blocks || writes >= WRITES_FLUSHED_MIN || is_late {
            self.flush_requested_at = now;
            self.flusher.request(target);
        }
        while store.unflushed_writes(target) > WRITES_WAITING_MAX {
            self.flusher.progress().await?;
        }
        Ok(())
    }

    /// Nothing above the newest result carried by a finalized header may leave the overlays: a
    /// voter needs the state at that height after a crash.
    fn flush_target(&self) -> u64 {
        self.chain.heads().verified_height
    }

    /// Makes durable what may be, before the node stops.
    fn flush(&self) -> Result<(), PipelineFault> {
        let target = self.flush_target();
        let store = &self.chain.shared.store;
        if target > store.flushed_height() {
            store.flush(target)?;
        }
        Ok(())
    }

    /// Completes the evidence, writes it where people find it, and says so.
    fn report(&self, mut report: DivergenceReport) {
        if let Ok(Some(record)) = self.chain.own_record(report.height) {
            report.own_header = serde_json::to_value(&record.header).ok();
            let outcomes = record.transactions.iter().zip(&record.receipts);
            report.transactions = outcomes
                .map(|(transaction, receipt)| TransactionOutcome {
                    hash: transaction.hash(),
                    success: receipt.is_success(),
                    gas_used: receipt.gas_used,
                })
                .collect();
        }
        tracing::error!(%report, "diverged: execution stops");
        let Some(directory) = &self.config.report_directory else {
            return;
        };
        let path = directory.join(format!("divergence-{}.json", report.height));
        let written = serde_json::to_vec_pretty(&report)
            .map_err(std::io::Error::from)
            .and_then(|bytes| std::fs::write(&path, bytes));
        match written {
            Ok(()) => tracing::error!(path = %path.display(), "divergence report written"),
            Err(error) => tracing::error!(%error, "divergence report could not be written"),
        }
    }
}

/// The ledger of a node that starts, or starts again.
///
fn open_postings(
    foundation: &Foundation,
    config: &PipelineConfig,
) -> Result<Option<Arc<Postings>>, PipelineFault> {
    let Some(location) = &config.postings else {
        return Ok(None);
    };
    let (genesis, first) = (foundation.genesis.hash, foundation.first_height);
    let postings = Postings::open(location, genesis, first).map_err(ChainError::from)?;
    Ok(Some(Arc::new(postings)))
}

/// What is durable was verified: nothing else is flushed, and a state that came from peers is one that 2f+1
/// validators signed. So it begins as the newest certified result, whether or not this node has the block.
fn restore_ledger(store: &Store) -> Result<Ledger, PipelineFault> {
    let height = store.newest_height();
    let snapshot = store.snapshot(height)?;
    let hash = snapshot.block_hash(height).map_err(ChainError::Read)?;
    let result = ExecutionResult {
        height,
        block_hash: hash.ok_or(ChainError::Record(RecordError {
            height,
            part: "hash",
        }))?,
    };
    Ok(Ledger::new(result, result))
}

pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    u64::try_from(since_epoch(time).as_millis()).unwrap_or(u64::MAX)
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn timed<T>(clock: &impl Clock, work: impl FnOnce() -> T) -> (T, Duration) {
    let start = clock.current();
    let done = work();
    let elapsed = clock.current().duration_since(start);
    (done, elapsed.unwrap_or_default())
}
