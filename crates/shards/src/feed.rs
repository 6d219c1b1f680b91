//! What the ledger says at every finalized relay block, for whoever acts on it.
//!
//! Beside the newest ledger it keeps [`Passages`]: what became of the newest candidates, and when.
//!
//! Readers never hold the writer up: one that falls behind by more than [`UPDATES_MAX`] is told so, and goes on
//! from the newest.

use crate::{
    ledger::{Authority, Ledger, LedgerEvent},
    passage::{Observer, Passages},
};
use alloy_primitives::B256;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::broadcast;

/// Updates that a reader may fall behind.
pub const UPDATES_MAX: usize = 1_024;

/// The ledger after a finalized relay block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayUpdate {
    /// The relay block's height.
    pub height: u64,
    /// Its digest.
    pub digest: B256,
    /// The ledger after it.
    pub ledger: Arc<Ledger>,
    /// The validators of that ledger's epoch.
    pub authority: Arc<Authority>,
    /// What it did; empty when the ledger was read back after a restart.
    pub events: Vec<LedgerEvent>,
}

/// The newest update, and the stream of them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LedgerFeed {
    newest: Arc<Mutex<Arc<RelayUpdate>>>,
    resumed: Arc<OnceLock<u64>>,
    updates: broadcast::Sender<Arc<RelayUpdate>>,
    followed: Arc<Mutex<Followed>>,
}

/// What was made of all updates, and with whose help.
#[derive(Debug, Default)]
struct Followed {
    passages: Passages,
    observer: Option<Observer>,
}

impl LedgerFeed {
    /// A feed that begins here.
    #[must_use]
    pub fn new(first: RelayUpdate) -> Self {
        Self {
            newest: Arc::new(Mutex::new(Arc::new(first))),
            resumed: Arc::default(),
            updates: broadcast::Sender::new(UPDATES_MAX),
            followed: Arc::default(),
        }
    }

    /// The newest update.
    #[must_use]
    pub fn newest(&self) -> Arc<RelayUpdate> {
        Arc::clone(&self.newest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The height up to which this node's relay blocks were final on disk when it started: every ledger that an
    /// earlier life of it was told of is of such a height. None until that is known.
    #[must_use]
    pub fn resumed_height(&self) -> Option<u64> {
        self.resumed.get().copied()
    }

    /// Says so, once, before the first update.
    pub fn resume(&self, height: u64) {
        // What was said first stays.
        self.resumed.get_or_init(|| height);
    }

    /// All updates from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<RelayUpdate>> {
        self.updates.subscribe()
    }

    /// Asks this from now on what the ledger doesn't know.
    pub fn observe(&self, observer: Observer) {
        self.followed().observer = Some(observer);
    }

    /// Reads what candidates and chances there were.
    pub fn passages<T>(&self, read: impl FnOnce(&Passages) -> T) -> T {
        read(&self.followed().passages)
    }

    fn followed(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next relay block is final.
    pub fn publish(&self, update: RelayUpdate) {
        let update = Arc::new(update);
        {
            let mut followed = self.followed();
            let Followed { passages, observer } = &mut *followed;
            passages.note(&update, observer.as_ref());
        }
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&update);
        // An error means that nobody listens.
        drop(self.updates.send(update));
    }
}
