//! How far a node is, for whoever waits for it.
//!
//! A watch holds the newest value only: a reader that is late sees where the node is now, not the
//! steps in between. Readers are woken in the order in which they began to wait; tokio's watch
//! channel wakes them in a random one, and then one seed would not replay a network.

use primitives::Heads;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// How far a node is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The three heads.
    pub heads: Heads,
    /// Height of the newest certified result known, carried by a header or not.
    pub certified_height: u64,
    /// Execution has stopped for good: divergence or a failed write.
    pub stopped: bool,
}

#[derive(Debug)]
struct Shared {
    newest: Mutex<Progress>,
    moved: Notify,
}

impl Shared {
    fn newest(&self) -> Progress {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where progress is published.
#[derive(Debug)]
pub(crate) struct ProgressSender {
    shared: Arc<Shared>,
}

impl ProgressSender {
    pub(crate) fn new(newest: Progress) -> Self {
        Self {
            shared: Arc::new(Shared {
                newest: Mutex::new(newest),
                moved: Notify::new(),
            }),
        }
    }

    pub(crate) fn newest(&self) -> Progress {
        self.shared.newest()
    }

    /// Wakes every reader, if this is not what they know.
    pub(crate) fn send(&self, progress: Progress) {
        let newest = &self.shared.newest;
        let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *newest, progress);
        drop(newest);
        if before != progress {
            self.shared.moved.notify_waiters();
        }
    }

    pub(crate) fn watch(&self) -> ProgressWatch {
        ProgressWatch {
            seen: self.newest(),
            shared: Arc::clone(&self.shared),
        }
    }
}

/// Follows the progress of a node.
#[derive(Clone, Debug)]
pub struct ProgressWatch {
    shared: Arc<Shared>,
    seen: Progress,
}

impl ProgressWatch {
    /// The newest progress, which counts as seen from now on.
    pub fn look(&mut self) -> Progress {
        self.seen = self.shared.newest();
        self.seen
    }

    /// Resolves once the progress is another than the one seen last.
    pub async fn changed(&mut self) -> Progress {
        let seen = self.seen;
        self.wait_for(|progress| *progress != seen).await
    }

    /// Resolves once something holds of the newest progress.
    pub async fn wait_for(&mut self, holds: impl Fn(&Progress) -> bool) -> Progress {
        let shared = Arc::clone(&self.shared);
        loop {
            // Made before looking: a change in between wakes it.
            let moved = shared.moved.notified();
            if holds(&self.look()) {
                return self.seen;
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{FutureExt as _, task::noop_waker_ref};
    use std::{pin::pin, task::Context};

    fn at(executed_height: u64) -> Progress {
        let heads = Heads {
            executed_height,
            ..Heads::default()
        };
        Progress {
            heads,
            ..Progress::default()
        }
    }

    #[test]
    fn wakes_at_a_change_and_not_before() {
        let sender = ProgressSender::new(at(1));
        let mut watch = sender.watch();
        let mut changed = pin!(watch.changed());
        let mut context = Context::from_waker(noop_waker_ref());
        assert!(changed.as_mut().poll(&mut context).is_pending());
        sender.send(at(1));
        assert!(changed.as_mut().poll(&mut context).is_pending());
        sender.send(at(2));
        assert!(changed.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn sees_what_came_before_it_waited() {
        let sender = ProgressSender::new(at(1));
        let mut watch = sender.watch();
        sender.send(at(2));
        assert_eq!(watch.changed().now_or_never(), Some(at(2)));
        assert_eq!(watch.changed().now_or_never(), None);
        let beyond = watch.wait_for(|progress| progress.heads.executed_height > 2);
        assert_eq!(beyond.now_or_never(), None);
    }
}
