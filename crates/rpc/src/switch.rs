//! Which backend calls go to: one for ever, or on a development chain that can go back, one after another.
//!
//! ```text
//!  call ─▶ settled ─▶ backend 1            sockets, filters, subscriptions stay
//!             ┊          │ revert
//!             ┊ waits    ▼
//!             └──────▶ backend 2           another chain, another pool
//! ```
//! A call has one backend from its beginning to its end. Those that come while backends are exchanged wait;
//! those that began before end on the chain that they began on.

use crate::backend::Backend;
use std::{
    fmt::{Debug, Formatter},
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::watch;

/// The backend that is served now. Cheap to clone.
#[derive(Clone)]
pub struct Switch {
    shared: Arc<Shared>,
}

struct Shared {
    current: RwLock<Arc<Backend>>,
    phase: watch::Sender<Phase>,
}

#[derive(Clone, Copy, Default)]
struct Phase {
    /// How often backends were exchanged.
    version: u64,
    is_changing: bool,
}

impl From<Arc<Backend>> for Switch {
    fn from(backend: Arc<Backend>) -> Self {
        Self {
            shared: Arc::new(Shared {
                current: RwLock::new(backend),
                phase: watch::Sender::default(),
            }),
        }
    }
}

impl Switch {
    /// The backend that is served now.
    #[must_use]
    pub fn current(&self) -> Arc<Backend> {
        let current = self.shared.current.read();
        Arc::clone(&current.unwrap_or_else(PoisonError::into_inner))
    }

    /// The backend that is served now, or next while they are exchanged.
    pub(crate) async fn settled(&self) -> Arc<Backend> {
        if self.shared.phase.borrow().is_changing {
            let mut phase = self.shared.phase.subscribe();
            // An error means that the switch is gone, and then nobody calls it.
            drop(phase.wait_for(|phase| !phase.is_changing).await);
        }
        self.current()
    }

    /// Lets calls wait from now on.
    pub fn begin_change(&self) {
        self.shared
            .phase
            .send_modify(|phase| phase.is_changing = true);
    }

    /// Serves another backend, and the calls that wait.
    pub fn finish_change(&self, backend: Arc<Backend>) {
        let mut current = self
            .shared
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = backend;
        drop(current);
        self.shared.phase.send_modify(|phase| {
            phase.version += 1;
            phase.is_changing = false;
        });
    }

    /// Tells when backends were exchanged.
    pub(crate) fn changes(&self) -> Changes {
        let phase = self.shared.phase.subscribe();
        let seen = phase.borrow().version;
        Changes { phase, seen }
    }
}

impl Debug for Switch {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "Switch({:?})", self.current())
    }
}

/// Follows the exchanges of a switch.
pub(crate) struct Changes {
    phase: watch::Receiver<Phase>,
    seen: u64,
}

impl Changes {
    /// Resolves when another backend is served than at the last time, or than in the beginning.
    pub(crate) async fn next(&mut self) {
        let seen = self.seen;
        let changed = self.phase.wait_for(|phase| phase.version != seen).await;
        let version = changed.ok().map(|phase| phase.version);
        match version {
            Some(version) => self.seen = version,
            // The switch is gone, and nothing changes any more.
            None => std::future::pending().await,
        }
    }
}
