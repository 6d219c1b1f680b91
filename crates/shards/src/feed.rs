//! What the ledger says at every finalized relay block, for whoever acts on it.
//!
//! Readers never hold the writer up: one that falls behind by more than [`UPDATES_MAX`] is told so, and goes on
//! from the newest.

use crate::ledger::{Authority, Ledger, LedgerEvent};
use alloy_primitives::B256;
use std::sync::{Arc, Mutex, PoisonError};
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
    updates: broadcast::Sender<Arc<RelayUpdate>>,
}

impl LedgerFeed {
    /// A feed that begins here.
    #[must_use]
    pub fn new(first: RelayUpdate) -> Self {
        Self {
            newest: Arc::new(Mutex::new(Arc::new(first))),
            updates: broadcast::Sender::new(UPDATES_MAX),
        }
    }

    /// The newest update.
    #[must_use]
    pub fn newest(&self) -> Arc<RelayUpdate> {
        Arc::clone(&self.newest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All updates from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<RelayUpdate>> {
        self.updates.subscribe()
    }

    /// The next relay block is final.
    pub fn publish(&self, update: RelayUpdate) {
        let update = Arc::new(update);
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&update);
        // An error means that nobody listens.
        drop(self.updates.send(update));
    }
}
