//! What passes through one connection: calls that are open, answers that its reader has not taken.
//!
//! ```text
//!  socket ─read─▶ open calls ─▶ unread answers ─written─▶ reader
//!    ▲                │               │    └─▶ Unread: the sum over all connections
//!    └─ waits while either is full ───┘            └─▶ above UNREAD_BYTES_MAX nothing is computed
//! ```
//! A WebSocket is answered as fast as its calls come, whether somebody reads or not. So this node stops reading
//! what a connection sends while too much of what it got is unread, and forgets all of it when it closes.

use crate::config::{SOCKET_CALLS_MAX, SOCKET_READ_BYTES_MAX, SOCKET_UNREAD_BYTES_MAX};
use futures::task::AtomicWaker;
use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Context,
};
use tokio::sync::Notify;

/// Bytes of answers that nobody has taken yet, of all connections.
#[derive(Debug, Default)]
pub(crate) struct Unread(AtomicUsize);

impl Unread {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether what a connection sends is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CanRead {
    /// It is.
    Yes,
    /// When something was answered or taken.
    Later,
    /// It is given up.
    Never,
}

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    total: Arc<Unread>,
    state: Mutex<State>,
    reader: AtomicWaker,
    taken: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of answers that were not written yet.
    unread: usize,
    /// Calls over a WebSocket that are not answered yet.
    calls: usize,
    /// Bytes read since there were no such calls.
    read: usize,
    /// Requests that are not answered yet.
    requests: usize,
    /// It became a WebSocket or a stream, and is not over when a request is.
    is_kept: bool,
    is_closed: bool,
}

impl State {
    const fn is_full(&self) -> bool {
        self.unread > SOCKET_UNREAD_BYTES_MAX
            || self.calls >= SOCKET_CALLS_MAX
            || (self.calls > 0 && self.read > SOCKET_READ_BYTES_MAX)
    }
}

impl Flow {
    pub(crate) fn new(total: Arc<Unread>) -> Arc<Self> {
        Arc::new(Self {
            total,
            ..Self::default()
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call over a WebSocket until what it returns is dropped.
    pub(crate) fn call(self: &Arc<Self>) -> OpenCall {
        self.lock().calls += 1;
        OpenCall(Arc::clone(self))
    }

    /// Counts a request until what it returns is dropped.
    pub(crate) fn request(self: &Arc<Self>) -> OpenRequest {
        self.lock().requests += 1;
        OpenRequest(Arc::clone(self))
    }

    /// It is not over when nothing is asked for.
    pub(crate) fn keep(&self) {
        self.lock().is_kept = true;
    }

    /// Whether it may be closed if nothing comes.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.requests == 0 && !state.is_kept
    }

    /// Counts bytes of an answer that will be written.
    pub(crate) fn answered(&self, bytes: usize) {
        let mut state = self.lock();
        if !state.is_closed {
            state.unread = state.unread.saturating_add(bytes);
            self.total.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Takes off bytes that were written; those that are no answers are more than none in vain.
    pub(crate) fn written(&self, bytes: usize) {
        let mut state = self.lock();
        let paid = state.unread.min(bytes);
        state.unread -= paid;
        self.total.0.fetch_sub(paid, Ordering::Relaxed);
        drop(state);
        self.wake();
    }

    /// Counts bytes that were read.
    pub(crate) fn read(&self, bytes: usize) {
        let mut state = self.lock();
        state.read = match state.calls {
            0 => 0,
            _ => state.read.saturating_add(bytes),
        };
    }

    /// Whether more is to be read now; if later, the reader is woken then.
    pub(crate) fn can_read(&self, cx: &Context<'_>) -> CanRead {
        self.reader.register(cx.waker());
        let state = self.lock();
        match (state.is_closed, state.is_full()) {
            (true, _) => CanRead::Never,
            (false, true) => CanRead::Later,
            (false, false) => CanRead::Yes,
        }
    }

    /// Resolves when so little is unread, or the connection is closed.
    pub(crate) async fn until_unread(&self, bytes_max: usize) {
        loop {
            let mut taken = pin!(self.taken.notified());
            taken.as_mut().enable();
            if self.lock().unread <= bytes_max {
                return;
            }
            taken.await;
        }
    }

    /// Nobody will read any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let rest = std::mem::take(&mut state.unread);
        self.total.0.fetch_sub(rest, Ordering::Relaxed);
        drop(state);
        self.wake();
    }

    fn wake(&self) {
        self.reader.wake();
        self.taken.notify_waiters();
    }
}

/// A call over a WebSocket that is not answered yet.
#[derive(Debug)]
pub(crate) struct OpenCall(Arc<Flow>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.lock().calls -= 1;
        self.0.wake();
    }
}

/// A request that is not answered yet.
#[derive(Debug)]
pub(crate) struct OpenRequest(Arc<Flow>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.lock().requests -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn a_connection_is_full_until_its_answers_are_taken() {
        let total = Arc::new(Unread::default());
        let flow = Flow::new(Arc::clone(&total));
        let cx = Context::from_waker(Waker::noop());
        flow.answered(SOCKET_UNREAD_BYTES_MAX + 1);
        assert_eq!(flow.can_read(&cx), CanRead::Later);
        assert_eq!(total.bytes(), SOCKET_UNREAD_BYTES_MAX + 1);
        flow.written(1);
        assert_eq!(flow.can_read(&cx), CanRead::Yes);
        flow.written(usize::MAX);
        assert_eq!(total.bytes(), 0, "more is written than answers");
    }

    #[test]
    fn what_a_closed_connection_had_is_forgotten() {
        let total = Arc::new(Unread::default());
        let flow = Flow::new(Arc::clone(&total));
        flow.answered(5);
        flow.close();
        flow.answered(7);
        assert_eq!(total.bytes(), 0);
        let cx = Context::from_waker(Waker::noop());
        assert_eq!(flow.can_read(&cx), CanRead::Never);
        futures::executor::block_on(flow.until_unread(0));
    }

    #[test]
    fn open_calls_keep_from_reading_too_many_or_too_long_ones() {
        let flow = Flow::new(Arc::default());
        let cx = Context::from_waker(Waker::noop());
        flow.read(SOCKET_READ_BYTES_MAX + 1);
        assert_eq!(
            flow.can_read(&cx),
            CanRead::Yes,
            "one long call comes to its end"
        );
        let call = flow.call();
        flow.read(SOCKET_READ_BYTES_MAX + 1);
        assert_eq!(flow.can_read(&cx), CanRead::Later);
        drop(call);
        assert_eq!(flow.can_read(&cx), CanRead::Yes);
        let calls: Vec<_> = (0..SOCKET_CALLS_MAX).map(|_| flow.call()).collect();
        assert_eq!(flow.can_read(&cx), CanRead::Later);
        drop(calls);
        assert_eq!(flow.can_read(&cx), CanRead::Yes);
    }
}
