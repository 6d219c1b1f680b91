//! Bodies of requests: in time, and not too much of them at once.

use crate::{backend::Clock, flow::Arriving};
use futures::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use jsonrpsee::{
    core::BoxError,
    server::{HttpBody, HttpRequest},
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// Starts a timer.
type Begin = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// A body that has to arrive within some time of being waited for.
pub(crate) struct InTime {
    body: HttpBody,
    begin: Option<Begin>,
    deadline: Option<BoxFuture<'static, ()>>,
}

impl InTime {
    /// The same request, whose body fails when it takes longer to arrive.
    pub(crate) fn request(request: HttpRequest, clock: &Clock, wait_ms: u64) -> HttpRequest {
        let sleep = Arc::clone(&clock.sleep);
        let wait = Duration::from_millis(wait_ms);
        request.map(|body| {
            HttpBody::new(Self {
                body,
                begin: Some(Box::new(move || sleep(wait))),
                deadline: None,
            })
        })
    }
}

impl Body for InTime {
    type Data = bytes::Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if frame.is_ready() {
            return frame;
        }
        // Most bodies are there at once and need no timer.
        if let Some(begin) = this.begin.take() {
            this.deadline = Some(begin());
        }
        let deadline = this.deadline.as_mut();
        if deadline.is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Some(Err("the body did not arrive in time".into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that fails when, with those of all others, it is too much.
pub(crate) struct Metered {
    body: HttpBody,
    arriving: Arc<Arriving>,
    bytes_max: usize,
}

impl Metered {
    /// The same request, with its body metered.
    pub(crate) fn request(
        request: HttpRequest,
        arriving: Arc<Arriving>,
        bytes_max: usize,
    ) -> HttpRequest {
        request.map(|body| {
            HttpBody::new(Self {
                body,
                arriving,
                bytes_max,
            })
        })
    }
}

impl Body for Metered {
    type Data = bytes::Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, BoxError>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
            && !this.arriving.add(data.len(), this.bytes_max)
        {
            return Poll::Ready(Some(Err("too much is being sent".into())));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
