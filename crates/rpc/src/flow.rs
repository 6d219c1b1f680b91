//! What passes through one connection: calls that are open, answers that its reader has not taken.
//!
//! ```text
//!  socket ─read─▶ open calls ─▶ unread answers ─written─▶ reader
//!    ▲                │               │
//!    └─ waits while either is full ───┘
//!
//!  Traffic, of all connections: unread answers ─▶ above UNREAD_BYTES_MAX nothing is computed
//!                               requests ───────▶ above REQUESTS_MAX refused, as above a connection's own
//!                               arriving bodies ▶ above bodies_bytes_max refused, beyond their first bytes
//!                               WebSockets ─────▶ above websockets_max refused, which leaves places for HTTP
//! ```
//! A WebSocket is answered as fast as its calls come, whether somebody reads or not. So this node stops reading
//! what a connection sends while too much of what it got is unread, and forgets all of it when it closes.
//! HTTP/2 carries many requests over one connection, so that places for connections do not bound them.

use crate::config::{
    BODIES_BYTES_MAX, BODY_BYTES_MAX, BODY_FREE_BYTES, REQUESTS_MAX, SOCKET_CALLS_MAX,
    SOCKET_READ_BYTES_MAX, SOCKET_REQUESTS_MAX, SOCKET_UNREAD_BYTES_MAX,
};
use futures::task::AtomicWaker;
use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Context,
};
use tokio::sync::Notify;

/// What is open on all connections.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Bytes of answers that nobody has taken yet.
    unread: AtomicUsize,
    /// Requests that are not answered yet.
    requests: AtomicUsize,
    /// Bytes of their bodies, and of messages over WebSockets that are no calls yet.
    arriving: AtomicUsize,
    websockets: AtomicUsize,
}

impl Traffic {
    pub(crate) fn unread_bytes(&self) -> usize {
        self.unread.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn arriving_bytes(&self) -> usize {
        self.arriving.load(Ordering::Relaxed)
    }
}

/// The largest message over a WebSocket.
const MESSAGE_BYTES_MAX: usize = BODY_BYTES_MAX as usize;

/// How much of a body counts: most have less than what is free.
const fn counted(bytes: usize) -> usize {
    bytes.saturating_sub(BODY_FREE_BYTES)
}

/// The body of one request, as far as it is here, until the request is answered.
#[derive(Debug)]
pub(crate) struct Arriving {
    total: Arc<Traffic>,
    bytes: AtomicUsize,
    is_refused: AtomicBool,
}

impl Arriving {
    /// More of it is here; false if that is too much for all.
    pub(crate) fn add(&self, bytes: usize, bytes_max: usize) -> bool {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let more = counted(before.saturating_add(bytes)) - counted(before);
        let all = self.total.arriving.fetch_add(more, Ordering::Relaxed);
        let is_taken = more == 0 || all.saturating_add(more) <= bytes_max;
        self.is_refused.fetch_or(!is_taken, Ordering::Relaxed);
        is_taken
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let bytes = counted(*self.bytes.get_mut());
        self.total.arriving.fetch_sub(bytes, Ordering::Relaxed);
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
    total: Arc<Traffic>,
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
    /// Bytes read since the last call over a WebSocket: the beginning of another one.
    arriving: usize,
    /// Requests that are not answered yet.
    requests: usize,
    /// It became a WebSocket or a stream, and is not over when a request is.
    is_kept: bool,
    is_websocket: bool,
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
    pub(crate) fn new(total: Arc<Traffic>) -> Arc<Self> {
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
        let mut state = self.lock();
        state.calls += 1;
        self.arrived(&mut state);
        drop(state);
        OpenCall(Arc::clone(self))
    }

    /// Counts a request until what it returns is dropped; none if there are too many.
    pub(crate) fn request(self: &Arc<Self>) -> Option<OpenRequest> {
        let own = {
            let mut state = self.lock();
            state.requests += 1;
            state.requests
        };
        let all = self.total.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let open = OpenRequest(Arc::clone(self));
        (own <= SOCKET_REQUESTS_MAX && all <= REQUESTS_MAX).then_some(open)
    }

    /// The body of a request on it.
    pub(crate) fn arriving(&self) -> Arc<Arriving> {
        Arc::new(Arriving {
            total: Arc::clone(&self.total),
            bytes: AtomicUsize::new(0),
            is_refused: AtomicBool::new(false),
        })
    }

    /// It becomes a WebSocket, until it closes; false if there are so many already.
    pub(crate) fn upgrade(&self, websockets_max: usize) -> bool {
        let mut state = self.lock();
        if state.is_closed || state.is_websocket {
            return false;
        }
        let before = self.total.websockets.fetch_add(1, Ordering::Relaxed);
        if before >= websockets_max {
            self.total.websockets.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        state.is_websocket = true;
        state.is_kept = true;
        true
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
            self.total.unread.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Takes off bytes that were written; those that are no answers are more than none in vain.
    pub(crate) fn written(&self, bytes: usize) {
        let mut state = self.lock();
        let paid = state.unread.min(bytes);
        state.unread -= paid;
        self.total.unread.fetch_sub(paid, Ordering::Relaxed);
        drop(state);
        self.wake();
    }

    /// Counts bytes that were read; it is given up if all connections together send too much.
    pub(crate) fn read(&self, bytes: usize) {
        let mut state = self.lock();
        state.read = match state.calls {
            0 => 0,
            _ => state.read.saturating_add(bytes),
        };
        if state.is_websocket {
            let before = counted(state.arriving);
            state.arriving = state.arriving.saturating_add(bytes).min(MESSAGE_BYTES_MAX);
            let more = counted(state.arriving) - before;
            let all = self.total.arriving.fetch_add(more, Ordering::Relaxed);
            state.is_closed |= more > 0 && all.saturating_add(more) > BODIES_BYTES_MAX;
        }
    }

    /// What was read has become a call, or will not.
    fn arrived(&self, state: &mut State) {
        let bytes = counted(std::mem::take(&mut state.arriving));
        self.total.arriving.fetch_sub(bytes, Ordering::Relaxed);
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
        self.total.unread.fetch_sub(rest, Ordering::Relaxed);
        self.arrived(&mut state);
        let was_websocket = std::mem::take(&mut state.is_websocket);
        self.total
            .websockets
            .fetch_sub(was_websocket.into(), Ordering::Relaxed);
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
        self.0.total.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn a_connection_is_full_until_its_answers_are_taken() {
        let total = Arc::new(Traffic::default());
        let flow = Flow::new(Arc::clone(&total));
        let cx = Context::from_waker(Waker::noop());
        flow.answered(SOCKET_UNREAD_BYTES_MAX + 1);
        assert_eq!(flow.can_read(&cx), CanRead::Later);
        assert_eq!(total.unread_bytes(), SOCKET_UNREAD_BYTES_MAX + 1);
        flow.written(1);
        assert_eq!(flow.can_read(&cx), CanRead::Yes);
        flow.written(usize::MAX);
        assert_eq!(total.unread_bytes(), 0, "more is written than answers");
    }

    #[test]
    fn what_a_closed_connection_had_is_forgotten() {
        let total = Arc::new(Traffic::default());
        let flow = Flow::new(Arc::clone(&total));
        flow.answered(5);
        flow.close();
        flow.answered(7);
        assert_eq!(total.unread_bytes(), 0);
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

    #[test]
    fn one_connection_and_all_together_have_few_requests_open() {
        let total = Arc::new(Traffic::default());
        let flows: Vec<_> = (0..=REQUESTS_MAX / SOCKET_REQUESTS_MAX)
            .map(|_| Flow::new(Arc::clone(&total)))
            .collect();
        let mut open = Vec::new();
        for flow in &flows {
            open.extend((0..2 * SOCKET_REQUESTS_MAX).filter_map(|_| flow.request()));
            assert!(flow.lock().requests <= SOCKET_REQUESTS_MAX);
        }
        assert_eq!(open.len(), REQUESTS_MAX);
        open.clear();
        assert!(flows[0].request().is_some());
        assert_eq!(total.requests.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn large_bodies_are_bounded_together_and_small_ones_always_taken() {
        let flow = Flow::new(Arc::default());
        let max = 3 * BODY_FREE_BYTES;
        let large: Vec<_> = (0..3).map(|_| flow.arriving()).collect();
        for body in &large {
            assert!(body.add(BODY_FREE_BYTES, max) && body.add(BODY_FREE_BYTES, max));
        }
        let next = flow.arriving();
        assert!(next.add(BODY_FREE_BYTES, max), "it is small yet");
        assert!(!next.add(1, max) && next.is_refused());
        assert!(!large[0].is_refused());
        drop(next);
        drop(large);
        assert_eq!(flow.total.arriving_bytes(), 0);
    }

    #[test]
    fn messages_that_are_no_calls_yet_are_bounded_together() {
        let total = Arc::new(Traffic::default());
        let cx = Context::from_waker(Waker::noop());
        let many = BODIES_BYTES_MAX / counted(MESSAGE_BYTES_MAX) + 1;
        let flows: Vec<_> = (0..many).map(|_| Flow::new(Arc::clone(&total))).collect();
        for flow in &flows {
            assert!(flow.upgrade(many));
            flow.read(MESSAGE_BYTES_MAX);
            flow.read(MESSAGE_BYTES_MAX);
        }
        let can_read: Vec<_> = flows.iter().map(|flow| flow.can_read(&cx)).collect();
        assert_eq!(
            can_read[many - 1],
            CanRead::Never,
            "the last one is too much"
        );
        assert!(can_read[..many - 1].iter().all(|can| *can == CanRead::Yes));
        let calls: Vec<_> = flows.iter().map(Flow::call).collect();
        assert_eq!(total.arriving_bytes(), 0, "calls are bounded otherwise");
        drop(calls);
        let small = Flow::new(Arc::clone(&total));
        assert!(small.upgrade(usize::MAX));
        small.read(BODY_FREE_BYTES + 7);
        small.close();
        assert_eq!(total.arriving_bytes(), 0);
    }

    #[test]
    fn a_websocket_is_counted_until_it_closes() {
        let total = Arc::new(Traffic::default());
        let [first, second, third] = [(); 3].map(|()| Flow::new(Arc::clone(&total)));
        assert!(first.upgrade(2) && second.upgrade(2));
        assert!(!third.upgrade(2) && third.is_idle());
        assert!(!first.upgrade(9), "it is one already");
        first.close();
        first.close();
        assert!(third.upgrade(2) && !third.is_idle());
    }
}
