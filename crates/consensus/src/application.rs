//! The adapter between commonware's `Application` and our rules.
//!
//! ```text
//! propose: wait for a transaction, a result to carry, or the heartbeat ─▶ build on parent
//! verify:  header rules ─▶ certificate ─▶ wait until executed ≥ e ─▶ body rules ─▶ true / false
//! ```
//! `verify` answers `false` only for what is wrong by the block's own bytes or the state at `e`.
//! Everything that depends on this node alone is waited for: its clock, its execution. A node
//! whose own result at `e` differs from the certified one never answers: it has diverged.

mod occasion;

use crate::{
    ancestry::{AncestryError, RecentBlocks},
    config::leader_timeout,
    ledgers::{Ledgers, ShardParts},
    orders,
    propose::{Foundation, ShardNews},
    verify::{self, Rejection},
};
use alloy_primitives::Address;
use commonware_consensus::{Application, marshal::ancestry::Ancestry};
use commonware_cryptography::Digested;
use commonware_runtime::{Clock, Metrics, Spawner};
use futures::StreamExt;
use mempool::Mempool;
use occasion::{IDLE, Occasion, is_late};
use pipeline::{Chain, DevControl, Draft, Pipeline};
use primitives::{
    Block, ExecutedRef, ExecutionCertificate, Header, RecoveredBlock, certificate::ResultScheme,
    crypto::ProposalContext, crypto::Scheme, recovery::SenderCache, shard::CarriedOrders,
    transaction::Impersonation,
};
use rand_core::CryptoRng;
use shards::ledger::Ledger;
use std::{
    future::pending,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::Notify;

/// What ordering works with.
#[derive(Debug)]
pub struct OrderingParts {
    /// Where stages are reported and results are read.
    pub pipeline: Pipeline,
    /// Where transactions come from.
    pub mempool: Mempool,
    /// Senders recovered before.
    pub senders: SenderCache,
    /// Who receives the fees of this node's blocks.
    pub proposer: Address,
    /// Verifies certified results.
    pub results: ResultScheme,
    /// Requests of a development chain.
    pub control: Option<DevControl>,
    /// The shards of the chain, if it has any.
    pub shards: Option<ShardParts>,
}

#[derive(Debug)]
struct Shared {
    parts: OrderingParts,
    recent: RecentBlocks,
    ledgers: Option<Ledgers>,
    wake: Arc<Notify>,
    /// Changes of the pool so far.
    pool_changes: Arc<AtomicU64>,
    /// What the pool and the certified height were when the pool had nothing that may be ordered;
    /// until one of them moves, looking again would only make empty blocks.
    barren: Mutex<Option<(u64, u64)>>,
}

/// Proposes and verifies blocks of one node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ordering {
    shared: Arc<Shared>,
}

impl Ordering {
    /// Ordering over these parts.
    #[must_use]
    pub fn new(parts: OrderingParts) -> Self {
        let dev = parts.pipeline.chain().config().protocol.dev;
        let recent = RecentBlocks::new(parts.senders.clone(), Impersonation::from(dev));
        let wake = Arc::new(Notify::new());
        let pool_changes = Arc::new(AtomicU64::new(0));
        let (waker, changes) = (Arc::clone(&wake), Arc::clone(&pool_changes));
        parts.mempool.listen(Box::new(move |_| {
            changes.fetch_add(1, Relaxed);
            waker.notify_one();
        }));
        let barren = Mutex::default();
        let ledgers = parts.shards.clone().map(Ledgers::new);
        if let Some(ledgers) = &ledgers {
            let waker = Arc::clone(&wake);
            ledgers.inclusion().listen(move || waker.notify_one());
        }
        Self {
            shared: Arc::new(Shared {
                parts,
                recent,
                ledgers,
                wake,
                pool_changes,
                barren,
            }),
        }
    }

    pub(crate) fn recent(&self) -> &RecentBlocks {
        &self.shared.recent
    }

    pub(crate) fn ledgers(&self) -> Option<&Ledgers> {
        self.shared.ledgers.as_ref()
    }

    pub(crate) fn parts(&self) -> &OrderingParts {
        &self.shared.parts
    }

    fn chain(&self) -> &Chain {
        self.shared.parts.pipeline.chain()
    }

    /// Milliseconds since the Unix epoch, as block production of this chain counts them.
    fn now_ms(&self, runtime: &impl Clock) -> u64 {
        let offset = self
            .shared
            .parts
            .control
            .as_ref()
            .map_or(0, DevControl::time_offset);
        unix_ms(runtime.current()).saturating_add_signed(offset)
    }

    async fn build<E: Clock + CryptoRng>(
        &self,
        runtime: &mut E,
        context: ProposalContext,
        ancestry: impl Ancestry<Block>,
    ) -> Result<Option<Block>, AncestryError> {
        let Some(parent) = ancestry.peek().map(|block| block.inner().clone()) else {
            return Ok(None);
        };
        let ledger = self
            .ledger_after(&parent, ancestry.clone(), runtime)
            .await?;
        let runtime = &*runtime;
        let above_parent_reference = self
            .shared
            .recent
            .above(parent.header().executed.height, &parent, ancestry)
            .await?;
        let draft = self
            .hold(runtime, parent.header(), &above_parent_reference)
            .await;
        if self.chain().stopped().is_some() {
            return Ok(None);
        }
        let executed = self.newest_result(parent.header());
        let reference = executed.height;
        let Some(orders) = self.orders_due(ledger.as_deref(), reference) else {
            return Ok(None);
        };
        let in_flight: Vec<RecoveredBlock> = above_parent_reference
            .into_iter()
            .filter(|block| block.header().height > reference)
            .collect();
        let foundation = Foundation {
            chain: self.chain().config(),
            context,
            parent: parent.header(),
            in_flight: &in_flight,
            executed,
            proposer: draft.proposer.unwrap_or(self.shared.parts.proposer),
            timestamp_ms: draft.timestamp_ms,
            base_fee: draft.base_fee,
            shards: self
                .ledgers()
                .zip(ledger.as_deref())
                .map(|(ledgers, ledger)| ShardNews {
                    ledger,
                    inclusion: ledgers.inclusion(),
                    orders: &orders,
                }),
        };
        let block = self.fill(&foundation, draft, reference);
        if let Some(control) = &self.shared.parts.control {
            control.built(block.header().height);
        }
        Ok(Some(block))
    }

    /// The orders about shards that the next block has to carry; none if this node can't tell.
    fn orders_due(&self, ledger: Option<&Ledger>, executed_height: u64) -> Option<CarriedOrders> {
        let Some(ledger) = ledger else {
            return Some(CarriedOrders::default());
        };
        match orders::due(self.chain(), ledger, executed_height) {
            Ok(due) => Some(due),
            Err(fault) => {
                tracing::error!(%fault, "orders about shards could not be read");
                None
            }
        }
    }

    /// The shard ledger after a block; none on a chain without shards.
    async fn ledger_after(
        &self,
        block: &Block,
        ancestry: impl Ancestry<Block>,
        random: &mut impl CryptoRng,
    ) -> Result<Option<Arc<Ledger>>, AncestryError> {
        match self.ledgers() {
            Some(ledgers) => {
                let after = ledgers.after(block, &self.shared.recent, ancestry, random);
                after.await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Fills the block, or leaves it empty where this node has not executed far enough to judge.
    fn fill(&self, foundation: &Foundation<'_>, draft: Draft, reference: u64) -> Block {
        if !draft.transactions {
            return foundation.seal(Vec::new(), draft.directives);
        }
        let pool = (self.shared.pool_changes.load(Relaxed), reference);
        let filled = match self.chain().snapshot(reference) {
            Ok(state) => foundation
                .fill(&self.shared.parts.mempool, draft.directives, &state)
                .ok(),
            Err(unknown) => {
                tracing::debug!(%unknown, "proposing an empty block: execution lags");
                None
            }
        };
        let block = filled.unwrap_or_else(|| foundation.empty());
        let barren = block.is_empty().then_some(pool);
        *self
            .shared
            .barren
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = barren;
        block
    }

    /// The newest certified result this node can stand behind, never older than the parent's.
    fn newest_result(&self, parent: &Header) -> ExecutedRef {
        let usable = |certificate: &ExecutionCertificate| {
            let result = certificate.result;
            result.height > parent.executed.height
                && result.height <= parent.height
                && self.chain().own_result(result.height) == Some(result.block_hash)
        };
        self.chain()
            .certificate()
            .filter(usable)
            .map_or_else(|| parent.executed.clone(), ExecutedRef::from)
    }

    /// Waits until a block is worth proposing; what is asked of it.
    async fn hold<E: Clock>(
        &self,
        runtime: &E,
        parent: &Header,
        in_flight: &[RecoveredBlock],
    ) -> Draft {
        let mut progress = self.chain().progress();
        let began = runtime.current();
        let leader_timeout = leader_timeout(&self.chain().config().protocol);
        if let Some(control) = &self.shared.parts.control {
            // A chain whose clock was moved ahead keeps that time when it is started again.
            control.catch_up(unix_ms(runtime.current()), parent.timestamp_ms);
        }
        loop {
            // Before deciding: what moves while this decides is a reason to decide again.
            progress.look();
            let now_ms = self.now_ms(runtime);
            let wait = match self.occasion(runtime, parent, in_flight) {
                // The view is about to end, and a block with it: what was asked for is for the next view.
                Occasion::Now
                    if self.shared.parts.control.is_some()
                        && is_late(runtime.current(), began, leader_timeout) =>
                {
                    leader_timeout
                }
                Occasion::Now => match self.begin(runtime, parent) {
                    Some(draft) => return draft,
                    None => IDLE,
                },
                Occasion::At(next_ms) => {
                    Duration::from_millis(next_ms.saturating_sub(now_ms).max(1))
                }
            };
            tokio::select! {
                biased;
                () = self.shared.wake.notified() => {}
                () = self.requested() => {}
                _ = progress.changed() => {}
                () = runtime.sleep(wait) => {}
            }
        }
    }

    /// What the block is to have; none while somebody holds block production.
    fn begin(&self, runtime: &impl Clock, parent: &Header) -> Option<Draft> {
        let now_ms = unix_ms(runtime.current());
        match &self.shared.parts.control {
            Some(control) => control.begin(now_ms, parent.timestamp_ms),
            None => Some(Draft {
                timestamp_ms: now_ms,
                transactions: true,
                directives: Vec::new(),
                base_fee: None,
                proposer: None,
            }),
        }
    }

    async fn requested(&self) {
        match &self.shared.parts.control {
            Some(control) => control.woken().await,
            None => pending().await,
        }
    }

    async fn judge<E: Clock + CryptoRng>(
        &self,
        mut runtime: E,
        mut ancestry: impl Ancestry<Block>,
    ) -> Result<Result<(), Rejection>, AncestryError> {
        let block = next(&mut ancestry).await?;
        let parent = next(&mut ancestry).await?;
        let (header, chain) = (block.header(), self.chain().config());
        let now_ms = unix_ms(runtime.current());
        self.shared
            .parts
            .pipeline
            .proposed(block.digest(), header.height, now_ms);
        let results = &self.shared.parts.results;
        let checked =
            verify::check_header(header, parent.header(), chain, self.ledgers().is_some())
                .and_then(|()| {
                    let parent = &parent.header().executed;
                    verify::check_certificate(&header.executed, parent, results, &mut runtime)
                });
        if let Err(rejection) = checked {
            return Ok(Err(rejection));
        }
        let before = self
            .ledger_after(&parent, ancestry.clone(), &mut runtime)
            .await?;
        if let Some((ledgers, before)) = self.ledgers().zip(before.as_deref())
            && let Err(rejection) = ledgers.apply(before, &block, &mut runtime)
        {
            return Ok(Err(rejection));
        }
        self.wait_for_clock(&runtime, header).await;
        let Ok(recovered) = self.shared.recent.recover(&block) else {
            return Ok(Err(Rejection::Signature));
        };
        let reference = header.executed.height;
        let in_flight = self
            .shared
            .recent
            .above(reference, &parent, ancestry)
            .await?;
        self.wait_for_execution(&header.executed).await;
        let Some(due) = self.orders_due(before.as_deref(), reference) else {
            return pending().await;
        };
        if let Err(rejection) = orders::check(&block, &due) {
            return Ok(Err(rejection));
        }
        let Ok(state) = self.chain().snapshot(reference) else {
            return pending().await;
        };
        match verify::check_body(&recovered, &in_flight, chain, &state) {
            Ok(verdict) => Ok(verdict),
            Err(fault) => {
                tracing::error!(%fault, "state could not be read; this vote stays pending");
                pending().await
            }
        }
    }

    /// A header from the future is not invalid: this node's clock may be behind.
    async fn wait_for_clock(&self, runtime: &impl Clock, header: &Header) {
        let protocol = &self.chain().config().protocol;
        if protocol.dev {
            return;
        }
        let allowed = header.timestamp_ms.saturating_sub(protocol.clock_drift_ms);
        runtime
            .sleep_until(UNIX_EPOCH + Duration::from_millis(allowed))
            .await;
    }

    /// Waits until this node has executed the referenced height; for ever if it has diverged.
    async fn wait_for_execution(&self, executed: &ExecutedRef) {
        let mut progress = self.chain().progress();
        let reached = progress
            .wait_for(|progress| {
                progress.stopped || progress.heads.executed_height >= executed.height
            })
            .await;
        let own = self.chain().own_result(executed.height);
        let agrees = own.is_none_or(|own| own == executed.block_hash);
        if !reached.stopped && agrees {
            return;
        }
        if let Some(certificate) = certificate_of(executed) {
            self.shared.parts.pipeline.certified(certificate);
        }
        pending::<()>().await;
    }
}

fn certificate_of(executed: &ExecutedRef) -> Option<ExecutionCertificate> {
    let result = primitives::ExecutionResult {
        height: executed.height,
        block_hash: executed.block_hash,
    };
    executed
        .certificate
        .clone()
        .map(|signatures| ExecutionCertificate { result, signatures })
}

async fn next(ancestry: &mut impl Ancestry<Block>) -> Result<Block, AncestryError> {
    let block = ancestry.next().await.ok_or(AncestryError::Missing)?;
    Ok(block.inner().clone())
}

pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

impl<E: Clock + Spawner + Metrics + CryptoRng> Application<E> for Ordering {
    type SigningScheme = Scheme;
    type Context = ProposalContext;
    type Block = Block;
    type Input = ();

    async fn propose(
        &mut self,
        (mut runtime, context): (E, ProposalContext),
        ancestry: impl Ancestry<Block>,
        (): (),
    ) -> Option<Digested<Block>> {
        let block = match self.build(&mut runtime, context, ancestry).await {
            Ok(block) => block?,
            Err(error) => {
                tracing::debug!(%error, "nothing to build on");
                return None;
            }
        };
        let (digest, height) = (block.digest(), block.header().height);
        if let Err(error) = self.shared.recent.recover(&block) {
            tracing::error!(%error, "own block does not recover");
            return None;
        }
        self.shared
            .parts
            .pipeline
            .proposed(digest, height, unix_ms(runtime.current()));
        Some(Digested::precomputed(block, digest))
    }

    async fn verify(
        &mut self,
        (runtime, _): (E, ProposalContext),
        ancestry: impl Ancestry<Block>,
    ) -> bool {
        match self.judge(runtime, ancestry).await {
            Ok(Ok(())) => true,
            Ok(Err(rejection)) => {
                tracing::warn!(%rejection, "refused a block");
                false
            }
            Err(error) => {
                tracing::debug!(%error, "cannot judge a block");
                pending().await
            }
        }
    }
}
