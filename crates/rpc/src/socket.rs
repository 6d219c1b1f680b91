//! One connection's bytes, and when it has had its time.
//!
//! ```text
//! nothing asked for                idle_ms, a twelfth of it when connections get few      closed
//! answer waits, reader takes less than STALL_BYTES in stall_ms                            closed
//! ```
//! Its place among the connections is held by this value, so it is free when the socket is closed, whatever
//! became of it meanwhile: HTTP, a WebSocket, a stream of events.

use crate::{
    config::{IDLE_CROWDED_SHARE, RpcConfig, STALL_BYTES},
    flow::{CanRead, Flow},
};
use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep},
};

/// The places of all connections.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    room: Arc<Semaphore>,
    max: usize,
    idle: Duration,
    stall: Duration,
}

impl Places {
    pub(crate) fn new(config: &RpcConfig) -> Self {
        let max = usize::try_from(config.connections_max).unwrap_or(Semaphore::MAX_PERMITS);
        let max = max.min(Semaphore::MAX_PERMITS);
        Self {
            room: Arc::new(Semaphore::new(max)),
            max,
            idle: Duration::from_millis(config.idle_ms),
            stall: Duration::from_millis(config.stall_ms),
        }
    }

    /// A place for one more connection, if there is one.
    pub(crate) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// How long a connection may do nothing: not long when few places are left.
    fn idle(&self) -> Duration {
        match self.room.available_permits() < self.max / 4 {
            true => self.crowded(),
            false => self.idle,
        }
    }

    fn crowded(&self) -> Duration {
        self.idle / IDLE_CROWDED_SHARE
    }
}

/// A connection that is counted and closes itself.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    flow: Arc<Flow>,
    places: Places,
    /// When bytes went through it last.
    active: Instant,
    /// Looks at `active` from time to time.
    look: Pin<Box<Sleep>>,
    stalled: Option<Stalled>,
    _place: OwnedSemaphorePermit,
}

/// A reader that does not keep up.
#[derive(Debug)]
struct Stalled {
    taken: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Socket {
    pub(crate) fn new(
        stream: TcpStream,
        flow: Arc<Flow>,
        places: Places,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            stream,
            flow,
            active: Instant::now(),
            look: Box::pin(sleep(places.crowded())),
            places,
            stalled: None,
            _place: place,
        }
    }

    /// Whether it has done nothing for too long; looked at again when it may have.
    fn is_given_up(&mut self, cx: &mut Context<'_>) -> bool {
        while self.look.as_mut().poll(cx).is_ready() {
            if !self.flow.is_idle() {
                self.active = Instant::now();
            }
            if self.active.elapsed() >= self.places.idle() {
                return true;
            }
            let next = Instant::now() + self.places.crowded();
            self.look.as_mut().reset(next);
        }
        false
    }

    /// Whether the reader has had its time; called while it takes nothing.
    fn is_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let stall = self.places.stall;
        let stalled = self.stalled.get_or_insert_with(|| Stalled {
            taken: 0,
            deadline: Box::pin(sleep(stall)),
        });
        stalled.deadline.as_mut().poll(cx).is_ready()
    }

    fn wrote(&mut self, bytes: usize) {
        self.active = Instant::now();
        self.flow.written(bytes);
        if let Some(stalled) = &mut self.stalled {
            stalled.taken = stalled.taken.saturating_add(bytes);
            if stalled.taken >= STALL_BYTES {
                self.stalled = None;
            }
        }
    }

    /// Nothing can be written any more; whoever waits to read is told too, who may be another task.
    fn fail(&self, error: io::Error) -> Poll<io::Result<usize>> {
        self.flow.close();
        Poll::Ready(Err(error))
    }

    /// What a write came to.
    fn after(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                self.wrote(bytes);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => self.fail(error),
            Poll::Pending if self.is_stalled(cx) => self.fail(timed_out()),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.flow.can_read(cx) {
            CanRead::Yes => {}
            CanRead::Later => return Poll::Pending,
            CanRead::Never => return Poll::Ready(Err(timed_out())),
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if read.is_pending() && this.is_given_up(cx) {
            return Poll::Ready(Err(timed_out()));
        }
        ready!(read)?;
        this.active = Instant::now();
        this.flow.read(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.after(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, parts);
        this.after(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.flow.close();
    }
}
