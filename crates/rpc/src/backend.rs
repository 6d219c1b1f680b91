//! What every method reads: the chain, the pool, the keys of a development chain, a clock.
//!
//! One [`Backend`] serves all connections. Methods ask it, format, and are done; those that compute
//! go through [`run`], which bounds how many do so at once and keeps them off the async workers.

use crate::{
    brief::Brief,
    config::{
        ADMISSIONS_MAX, BUNDLES_MAX, BUNDLES_WORKED_MAX, RpcConfig, UNREAD_BYTES_MAX,
        WAITING_CALLS_MAX,
    },
    dev::Dev,
    error::RpcError,
    eth::filter::Filters,
    explorer::Explorer,
    flow::Traffic,
    metrics::Calls,
    shard::{ShardPlace, Standing},
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};
use futures::future::BoxFuture;
use mempool::{Event, Mempool};
use pipeline::{Chain, DevControl, ExecutedRecord, SyncProgress};
use primitives::{RecoveredTransaction, recovery::SenderCache};
use rand::{SeedableRng as _, rngs::StdRng};
use shards::feed::LedgerFeed;
use state::{Snapshot, StateReader};
use std::{
    fmt::{Debug, Formatter},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{
    AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit, broadcast, watch,
};

/// Time as the node's runtime tells it.
#[derive(Clone)]
pub struct Clock {
    /// Milliseconds since the Unix epoch.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Resolves after a duration.
    pub sleep: Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
}

/// An executed block and the place of a transaction in it.
pub(crate) type Located = (Arc<ExecutedRecord>, usize);

/// What a node hands over to be served.
pub struct BackendParts {
    /// Executed blocks, heads, stages, events.
    pub chain: Chain,
    /// Waiting transactions.
    pub mempool: Mempool,
    /// Senders known already.
    pub senders: SenderCache,
    /// Keys and block production of a development chain.
    pub dev: Option<Dev>,
    /// Time.
    pub clock: Clock,
    /// Prometheus text of all metrics.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Peers that the configuration names.
    pub peers: Arc<dyn Fn() -> usize + Send + Sync>,
    /// Unpredictable for callers: weighs signatures that are checked together.
    pub random: StdRng,
    /// This node's choices.
    pub config: RpcConfig,
    /// What the relay chain says of shards, on a chain that has any.
    pub shards: Option<LedgerFeed>,
    /// Which shard the chain is, if it is one's.
    pub shard: Option<ShardPlace>,
}

/// What of a development chain is new when it has gone back.
#[derive(Debug)]
pub struct Successor {
    /// Executed blocks, heads, stages, events.
    pub chain: Chain,
    /// Waiting transactions.
    pub mempool: Mempool,
    /// Senders known already.
    pub senders: SenderCache,
    /// Block production.
    pub control: DevControl,
}

/// What methods are called on.
pub struct Backend {
    pub(crate) chain: Chain,
    pub(crate) mempool: Mempool,
    pub(crate) senders: SenderCache,
    pub(crate) dev: Option<Dev>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<dyn Fn() -> String + Send + Sync>,
    pub(crate) peers: Arc<dyn Fn() -> usize + Send + Sync>,
    pub(crate) config: RpcConfig,
    pub(crate) shards: Option<LedgerFeed>,
    pub(crate) shard: Option<ShardPlace>,
    pub(crate) filters: Arc<Filters>,
    pub(crate) explorer: Explorer,
    random: Mutex<StdRng>,
    admissions: broadcast::Sender<RecoveredTransaction>,
    computing: Arc<Semaphore>,
    executing: Arc<Semaphore>,
    pub(crate) bundles: Arc<Bundles>,
    pub(crate) calls: Arc<Calls>,
    waiting: Arc<AtomicUsize>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) brief: Brief,
    /// Whether another one has taken its place.
    ended: watch::Sender<bool>,
}

impl Backend {
    /// A backend over the parts of a node.
    #[must_use]
    pub fn new(parts: BackendParts) -> Arc<Self> {
        let admissions = broadcast::Sender::new(ADMISSIONS_MAX);
        announce_pending(&parts.mempool, admissions.clone());
        Arc::new(Self {
            filters: Arc::new(Filters::new(&parts.config)),
            explorer: Explorer::default(),
            admissions,
            computing: Arc::new(Semaphore::new(parts.config.blocking_calls_max.max(1))),
            executing: Arc::new(Semaphore::new(executing_max(&parts.config))),
            bundles: Arc::default(),
            calls: Arc::default(),
            waiting: Arc::default(),
            traffic: Arc::default(),
            brief: Brief::default(),
            ended: watch::Sender::default(),
            chain: parts.chain,
            mempool: parts.mempool,
            senders: parts.senders,
            dev: parts.dev,
            clock: parts.clock,
            metrics: parts.metrics,
            peers: parts.peers,
            random: Mutex::new(parts.random),
            config: parts.config,
            shards: parts.shards,
            shard: parts.shard,
        })
    }

    /// The backend of what follows when a development chain has gone back: limits, filters and
    /// subscriptions are shared with this one, and who waits for a block of this one is told that none comes.
    #[must_use]
    pub fn succeed(&self, successor: Successor) -> Arc<Self> {
        self.ended.send_replace(true);
        announce_pending(&successor.mempool, self.admissions.clone());
        self.filters.rewind(successor.chain.heads().executed_height);
        let dev = self.dev.as_ref();
        Arc::new(Self {
            filters: Arc::clone(&self.filters),
            explorer: self.explorer.succeed(),
            admissions: self.admissions.clone(),
            computing: Arc::clone(&self.computing),
            executing: Arc::clone(&self.executing),
            bundles: Arc::clone(&self.bundles),
            calls: Arc::clone(&self.calls),
            waiting: Arc::clone(&self.waiting),
            traffic: Arc::clone(&self.traffic),
            brief: Brief::default(),
            ended: watch::Sender::default(),
            chain: successor.chain,
            mempool: successor.mempool,
            senders: successor.senders,
            dev: dev.map(|dev| dev.succeed(successor.control)),
            clock: self.clock.clone(),
            metrics: Arc::clone(&self.metrics),
            peers: Arc::clone(&self.peers),
            random: Mutex::new(self.random()),
            config: self.config.clone(),
            shards: self.shards.clone(),
            shard: self.shard.clone(),
        })
    }

    /// Tells when the chain has gone back, and this one makes no blocks any more.
    pub(crate) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    /// Height of the block that can't go away: the newest one, but for a shard's chain, where it is the newest that
    /// the relay chain includes.
    pub(crate) fn safe_height(&self) -> Result<u64, RpcError> {
        let latest = self.latest_height()?;
        let shard = self.shard.as_ref();
        Ok(shard.map_or(latest, |shard| shard.included().min(latest)))
    }

    /// How far this node is on its way to what it has to have; none if it is there.
    pub(crate) fn syncing(&self) -> Option<SyncProgress> {
        let behind = || self.shard.as_ref()?.progress(&self.chain);
        self.chain.syncing().or_else(behind)
    }

    /// How a shard's chain stands to the relay chain.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.shard.as_ref()?.standing(&self.chain, self.now_ms())
    }

    pub(crate) fn subscribe_pending(&self) -> broadcast::Receiver<RecoveredTransaction> {
        self.admissions.subscribe()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock.now_ms)()
    }

    /// The time at which a block on top of this one would be made now, in milliseconds.
    pub(crate) fn next_block_ms(&self, parent: &ExecutedRecord) -> u64 {
        let now_ms = self.now_ms();
        let parent_ms = parent.block.header().timestamp_ms;
        let dev = self.dev.as_ref();
        dev.map_or(now_ms, |dev| dev.control().next_ms(now_ms, parent_ms))
    }

    /// Calls that wait to compute.
    pub(crate) fn waiting_calls(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A source of randomness for one call.
    pub(crate) fn random(&self) -> StdRng {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        StdRng::from_rng(&mut *random)
    }

    /// Fails while `latest` would be older than what was served before, or can't be trusted.
    pub(crate) fn require_ready(&self) -> Result<(), RpcError> {
        if let Some(report) = self.chain.diverged() {
            return Err(RpcError::Diverged(report.to_string()));
        }
        if let Some(reason) = self.chain.stopped() {
            return Err(RpcError::Stopped(reason));
        }
        match self.chain.syncing() {
            Some(progress) => Err(RpcError::Syncing {
                executed: progress.current_height,
                target: progress.target_height,
            }),
            None => Ok(()),
        }
    }

    /// Height of `latest`.
    pub(crate) fn latest_height(&self) -> Result<u64, RpcError> {
        self.require_ready()?;
        Ok(self.chain.heads().executed_height)
    }

    /// `latest`.
    pub(crate) fn latest(&self) -> Result<Arc<ExecutedRecord>, RpcError> {
        self.require_ready()?;
        Ok(self.chain.latest()?)
    }

    /// The state after `latest`.
    pub(crate) fn latest_state(&self) -> Result<Snapshot, RpcError> {
        Ok(self.chain.snapshot(self.latest_height()?)?)
    }

    /// The executed transaction with this hash.
    ///
    /// While the node has not reached again what it served before, "none" would be a lie.
    pub(crate) fn executed(&self, hash: &B256) -> Result<Option<Located>, RpcError> {
        let found = self.chain.transaction(hash)?;
        if found.is_none() {
            self.require_ready()?;
        }
        Ok(found)
    }

    /// The nonce of an account's next transaction, counting those ordered and waiting.
    pub(crate) fn pending_nonce(&self, address: &Address) -> Result<u64, RpcError> {
        let account = self.latest_state()?.account(address)?.unwrap_or_default();
        let waiting = self.mempool.pending_nonce(address).unwrap_or_default();
        let ordered = self.chain.ordered().into_iter().filter_map(|block| {
            let own = |tx: &&RecoveredTransaction| tx.sender() == *address;
            let last = block.transactions().iter().rev().find(own)?;
            Some(last.nonce().saturating_add(1))
        });
        Ok(ordered.fold(account.nonce.max(waiting), u64::max))
    }
}

/// Passes on what becomes executable to subscribers and filters, for as long as the pool lives.
fn announce_pending(mempool: &Mempool, admissions: broadcast::Sender<RecoveredTransaction>) {
    mempool.listen(Box::new(move |events| {
        for event in events {
            if let Event::Pending(transaction) = event {
                // An error means that nobody listens, which is nobody's fault.
                drop(admissions.send(transaction.clone()));
            }
        }
    }));
}

impl Debug for Backend {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "Backend(heads={:?})", self.chain.heads())
    }
}

impl Debug for BackendParts {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "BackendParts(heads={:?})", self.chain.heads())
    }
}

impl Debug for Clock {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", (self.now_ms)())
    }
}

/// Room for posted bundles: a connection may carry many requests, so connections bound nothing.
#[derive(Debug)]
pub(crate) struct Bundles {
    held: Semaphore,
    worked: Arc<Semaphore>,
}

impl Default for Bundles {
    fn default() -> Self {
        Self {
            held: Semaphore::new(BUNDLES_MAX),
            worked: Arc::new(Semaphore::new(BUNDLES_WORKED_MAX)),
        }
    }
}

impl Bundles {
    /// Room for one bundle until the permit is dropped; waits for it.
    pub(crate) async fn hold(&self) -> Result<SemaphorePermit<'_>, RpcError> {
        self.held.acquire().await.map_err(shutting_down)
    }
}

fn shutting_down(_: AcquireError) -> RpcError {
    RpcError::Internal("the node is shutting down".to_owned())
}

/// A place among those that compute; an error when too many wait for one.
async fn queue(backend: &Backend) -> Result<OwnedSemaphorePermit, RpcError> {
    let permit = wait_for_place(backend, &backend.computing).await?;
    // Looked at last: those that waited before may have been answered meanwhile.
    match backend.traffic.unread_bytes() {
        ..=UNREAD_BYTES_MAX => Ok(permit),
        bytes => Err(RpcError::Unread(bytes)),
    }
}

async fn wait_for_place(
    backend: &Backend,
    places: &Arc<Semaphore>,
) -> Result<OwnedSemaphorePermit, RpcError> {
    if let Ok(permit) = Arc::clone(places).try_acquire_owned() {
        return Ok(permit);
    }
    let place = Place(&backend.waiting);
    if place.0.fetch_add(1, Ordering::Relaxed) >= WAITING_CALLS_MAX {
        return Err(RpcError::Busy(WAITING_CALLS_MAX));
    }
    let permit = Arc::clone(places).acquire_owned().await;
    permit.map_err(shutting_down)
}

/// Counts one waiting call until it is dropped, served or not.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Computes off the async workers, at most `blocking_calls_max` at a time.
///
/// Without a tokio runtime, which is in the simulator, it computes in place: there is one thread
/// and no wall clock to lose.
pub(crate) async fn run<T: Send + 'static>(
    backend: Arc<Backend>,
    work: impl FnOnce(&Arc<Backend>) -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return work(&backend);
    };
    let permit = queue(&backend).await?;
    spawn(&runtime, (backend, permit), work).await
}

/// How many of those that compute may run somebody's code: one place is left for blocks, logs and transactions.
fn executing_max(config: &RpcConfig) -> usize {
    config.blocking_calls_max.saturating_sub(1).max(1)
}

/// Runs somebody's code off the async workers: it may take as long as its gas lasts, so never in all places.
pub(crate) async fn run_code<T: Send + 'static>(
    backend: Arc<Backend>,
    work: impl FnOnce(&Arc<Backend>) -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    if tokio::runtime::Handle::try_current().is_err() {
        return work(&backend);
    }
    let permit = wait_for_place(&backend, &backend.executing).await?;
    // Held until the work is done, even if nobody waits for it any more.
    let held = move |backend: &Arc<Backend>| {
        let answer = work(backend);
        drop(permit);
        answer
    };
    run(backend, held).await
}

/// Works on a bundle off the async workers, at most [`BUNDLES_WORKED_MAX`] at a time.
pub(crate) async fn run_bundle<T: Send + 'static>(
    backend: Arc<Backend>,
    work: impl FnOnce(&Arc<Backend>) -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return work(&backend);
    };
    let worked = Arc::clone(&backend.bundles.worked);
    let permit = worked.acquire_owned().await.map_err(shutting_down)?;
    spawn(&runtime, (backend, permit), work).await
}

async fn spawn<T: Send + 'static>(
    runtime: &tokio::runtime::Handle,
    (backend, permit): (Arc<Backend>, OwnedSemaphorePermit),
    work: impl FnOnce(&Arc<Backend>) -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    let answer = runtime.spawn_blocking(move || {
        let answer = work(&backend);
        drop(permit);
        answer
    });
    answer
        .await
        .unwrap_or_else(|error| Err(RpcError::Internal(error.to_string())))
}
