//! Nodes that have no state and take it from the others, and what they tell while they do.

use super::{Cluster, StateLie, lock, lying::Subject};
use consensus::sync::{ClientConfig, SyncEvent, SyncProgress};
use node::{error::NodeError, sync::StateSync};
use primitives::crypto::PublicKey;
use std::sync::{Arc, Mutex};

/// What a node has told while it took a state.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    events: Arc<Mutex<Vec<SyncEvent>>>,
}

impl Seen {
    /// How far it was, each time it said so.
    #[must_use]
    pub fn progress(&self) -> Vec<SyncProgress> {
        let events = lock(&self.events);
        let progress = events.iter().filter_map(|event| match event {
            SyncEvent::Progress(progress) => Some(*progress),
            SyncEvent::Blamed(_) => None,
        });
        progress.collect()
    }

    /// Chunks and codes that it had, and how many it needed, when it spoke last.
    #[must_use]
    pub fn pieces(&self) -> (usize, usize) {
        let progress = self.progress();
        progress.last().map_or((0, 0), |progress| progress.pieces)
    }

    /// Who lied, and how.
    #[must_use]
    pub fn blamed(&self) -> Vec<(PublicKey, String)> {
        let events = lock(&self.events);
        let blamed = events.iter().filter_map(|event| match event {
            SyncEvent::Blamed(blamed) => Some((blamed.peer.clone(), blamed.reason.clone())),
            SyncEvent::Progress(_) => None,
        });
        blamed.collect()
    }
}

impl Cluster {
    /// Lets a node begin that takes its state from the others if it has none.
    ///
    /// # Panics
    /// If it runs.
    pub async fn begin_sync(&mut self, index: usize) -> Seen {
        let seen = Seen::default();
        let events = Arc::clone(&seen.events);
        let sync = StateSync {
            config: ClientConfig::default(),
            report: Box::new(move |event| lock(&events).push(event)),
        };
        self.begin(index, |parts| parts.sync = Some(sync)).await;
        seen
    }

    /// Waits until a node that was begun has its state and runs.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn synced(&mut self, index: usize) -> Result<(), NodeError> {
        self.validators[index].begun().await
    }

    /// Makes a node that does not run tell others something wrong about its state from now on.
    ///
    /// # Panics
    /// If it runs.
    pub fn lie_about_state(&mut self, index: usize, lie: StateLie) {
        self.lie(index, Subject::State(lie));
    }

    /// Of these nodes the one that is asked first, where only one is asked.
    #[must_use]
    pub fn first_asked(&self, nodes: &[usize]) -> Option<usize> {
        let nodes = nodes.iter().copied();
        nodes.min_by_key(|index| self.public_key(*index))
    }

    /// A node's name on the network.
    #[must_use]
    pub fn name(&self, index: usize) -> PublicKey {
        self.public_key(index)
    }
}
