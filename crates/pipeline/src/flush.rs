//! The thread that writes to disk while the next blocks execute.
//!
//! ```text
//!   execution ─▶ target: the newest height that may be durable ─▶ flush ─▶ durable
//!       ▲                                                           │
//!       └────────── waits while more than WRITES_WAITING_MAX are not durable
//! ```
//! Targets do not queue: a flush that takes long is followed by one that writes all that has come
//! since. The first failed write ends it, and with it the pipeline.

use crate::{Chain, metrics::FlushMetrics};
use commonware_runtime::{Clock, Spawner};
use state::StoreError;
use tokio::sync::{mpsc, watch};

/// Accounts and slots that may wait to become durable, some 200 bytes each, before execution waits.
pub(crate) const WRITES_WAITING_MAX: usize = 2_000_000;
/// A flush follows once so many can be flushed.
pub(crate) const WRITES_FLUSHED_MIN: usize = 200_000;

/// The near end of the thread.
pub(crate) struct Flusher {
    targets: watch::Sender<u64>,
    flushed: watch::Receiver<u64>,
    failures: mpsc::Receiver<StoreError>,
}

impl Flusher {
    pub(crate) fn start<E: Clock + Spawner>(
        runtime: E,
        chain: Chain,
        metrics: FlushMetrics,
    ) -> Self {
        let (targets, requested) = watch::channel(0);
        let (reached, flushed) = watch::channel(0);
        let (failed, failures) = mpsc::channel(1);
        let thread = Thread {
            chain,
            metrics,
            requested,
            reached,
            failed,
        };
        let _ends_with_its_targets = runtime.dedicated().spawn(|runtime| thread.run(runtime));
        Self {
            targets,
            flushed,
            failures,
        }
    }

    /// Asks for everything up to a height to be made durable.
    pub(crate) fn request(&self, height: u64) {
        self.targets.send_if_modified(|target| {
            let is_new = height > *target;
            *target = height.max(*target);
            is_new
        });
    }

    /// Changes whenever something has become durable.
    pub(crate) fn flushed(&self) -> watch::Receiver<u64> {
        self.flushed.clone()
    }

    /// Resolves when a write fails.
    pub(crate) async fn failed(&mut self) -> StoreError {
        match self.failures.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Resolves when something has become durable.
    pub(crate) async fn progress(&mut self) -> Result<(), StoreError> {
        tokio::select! {
            biased;
            error = self.failures.recv() => Err(error.unwrap_or(StoreError::Poisoned)),
            _ = self.flushed.changed() => Ok(()),
        }
    }
}

/// The far end.
struct Thread {
    chain: Chain,
    metrics: FlushMetrics,
    requested: watch::Receiver<u64>,
    reached: watch::Sender<u64>,
    failed: mpsc::Sender<StoreError>,
}

impl Thread {
    async fn run(mut self, clock: impl Clock) {
        while self.requested.changed().await.is_ok() {
            let height = *self.requested.borrow_and_update();
            if let Err(error) = self.flush(&clock, height) {
                drop(self.failed.try_send(error));
                return;
            }
            self.reached.send_replace(height);
        }
    }

    fn flush(&self, clock: &impl Clock, height: u64) -> Result<(), StoreError> {
        let store = &self.chain.shared.store;
        let (before, started) = (store.flushed_height(), clock.current());
        store.flush(height)?;
        let now = clock.current();
        let elapsed = now.duration_since(started).unwrap_or_default();
        let blocks = height.saturating_sub(before);
        self.metrics.flushed(height, blocks, elapsed);
        self.metrics.used(store.usage());
        self.chain.durable(height, now);
        Ok(())
    }
}
