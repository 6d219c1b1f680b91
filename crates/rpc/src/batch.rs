//! What happens between the transport and the methods: batches, unknown names, transports without
//! subscriptions.
//!
//! Consecutive `eth_sendRawTransaction` calls of a batch are handled at once: one blocking job
//! decodes and recovers them, one admission takes them in. A batch of 500 transfers then costs about
//! what its 500 signatures cost, and two batches use two cores.

use crate::{
    backend::{Backend, run},
    config::{NAME_BYTES_MAX, SOCKET_UNREAD_BYTES_MAX},
    eth::submit::{SEND_RAW, Sent, send_many},
    flow::Flow,
    metrics::Outcome,
    switch::Switch,
};
use jsonrpsee::{
    BatchResponseBuilder, MethodResponse, ResponsePayload,
    core::middleware::{Batch, BatchEntry, Notification, RpcServiceT},
    types::{
        ErrorObjectOwned, Id, Params, Request,
        error::{INVALID_REQUEST_CODE, METHOD_NOT_FOUND_CODE},
    },
};
use std::{borrow::Cow, future::Future, sync::Arc, time::Duration};
use tokio::time::Instant;

/// geth's code for a batch whose answer is too large.
const RESPONSE_TOO_LARGE_CODE: i32 = -32003;

/// How a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// One answer to one request.
    Http,
    /// Messages both ways.
    WebSocket,
}

/// Wraps jsonrpsee's dispatch.
#[derive(Clone, Debug)]
pub(crate) struct Dispatch<S> {
    pub(crate) inner: S,
    pub(crate) switch: Switch,
}

impl<S> RpcServiceT for Dispatch<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            NotificationResponse = MethodResponse,
            BatchResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        let flow = request.extensions().get::<Arc<Flow>>().cloned();
        async move { told(flow, this.answer(request)).await }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        let entries = batch.iter().flatten();
        let mut extensions = entries.map(BatchEntry::extensions);
        let flow = extensions.find_map(|extensions| extensions.get::<Arc<Flow>>().cloned());
        drop(extensions);
        let answer = async move { this.answer_batch(batch).await.unwrap_or_else(too_large) };
        told(flow, answer)
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}

/// Answers when there is room for it, and counts the answer: over a WebSocket nothing else waits for the reader.
async fn told(
    flow: Option<Arc<Flow>>,
    answer: impl Future<Output = MethodResponse>,
) -> MethodResponse {
    let Some(flow) = flow else {
        return answer.await;
    };
    let open = flow.call();
    flow.until_unread(SOCKET_UNREAD_BYTES_MAX).await;
    let response = answer.await;
    // A subscription tells of itself.
    if response.is_method_call() || response.is_batch() {
        flow.answered(response.as_ref().len());
    }
    drop(open);
    response
}

/// Calls to `eth_sendRawTransaction` that follow each other in a batch.
#[derive(Default)]
struct Sends {
    ids: Vec<Id<'static>>,
    params: Vec<Params<'static>>,
}

impl<S> Dispatch<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            NotificationResponse = MethodResponse,
            BatchResponse = MethodResponse,
        > + Sync,
{
    async fn answer(&self, request: Request<'_>) -> MethodResponse {
        let name = request.method_name();
        let is_push = name.ends_with("_subscribe") || name.ends_with("_unsubscribe");
        if is_push && request.extensions().get() != Some(&Transport::WebSocket) {
            let message = "notifications not supported: subscribe over a WebSocket";
            let error = ErrorObjectOwned::owned::<()>(METHOD_NOT_FOUND_CODE, message, None);
            return MethodResponse::error(request.id, error);
        }
        let (id, name) = (request.id.clone(), name.to_owned());
        let started = Instant::now();
        let _settled = self.switch.settled().await;
        let response = self.inner.call(request).await;
        self.count(&name, &response, started.elapsed());
        if response.as_error_code() != Some(METHOD_NOT_FOUND_CODE) || !is_bare(&response) {
            return response;
        }
        let name = shortened(&name);
        let message = format!("the method {name} does not exist/is not available");
        let error = ErrorObjectOwned::owned::<()>(METHOD_NOT_FOUND_CODE, message, None);
        MethodResponse::error(id, error)
    }

    fn count(&self, name: &str, response: &MethodResponse, took: Duration) {
        let is_unknown =
            response.as_error_code() == Some(METHOD_NOT_FOUND_CODE) && is_bare(response);
        let outcome = match (response.is_success(), is_unknown) {
            (true, _) => Outcome::Answered,
            (false, true) => Outcome::Unknown,
            (false, false) => Outcome::Refused,
        };
        self.switch.current().calls.count(name, outcome, 1, took);
    }

    /// Answers every call in order; an error is that the answers are too large together.
    async fn answer_batch(&self, batch: Batch<'_>) -> Result<MethodResponse, MethodResponse> {
        let backend = self.switch.current();
        let config = &backend.config;
        let max = config.batch_length_max;
        if batch.len() > max {
            let message = "batch too large";
            let error = ErrorObjectOwned::owned(INVALID_REQUEST_CODE, message, Some(max));
            return Ok(MethodResponse::error(Id::Null, error));
        }
        let limit = usize::try_from(config.response_bytes_max).unwrap_or(usize::MAX);
        let mut answers = BatchResponseBuilder::new_with_limit(limit);
        let mut sends = Sends::default();
        let mut notified = false;
        for entry in batch {
            let entry = match entry {
                Ok(BatchEntry::Call(request)) if request.method_name() == SEND_RAW => {
                    sends.push(request);
                    continue;
                }
                other => other,
            };
            self.send(std::mem::take(&mut sends), &mut answers).await?;
            match entry {
                Ok(BatchEntry::Call(request)) => answers.append(self.answer(request).await)?,
                Ok(BatchEntry::Notification(_)) => notified = true,
                Err(error) => {
                    let (error, id) = error.into_parts();
                    answers.append(MethodResponse::error(id, error))?;
                }
            }
        }
        self.send(sends, &mut answers).await?;
        if answers.is_empty() && notified {
            return Ok(MethodResponse::notification());
        }
        Ok(MethodResponse::from_batch(answers.finish()))
    }

    async fn send(
        &self,
        sends: Sends,
        answers: &mut BatchResponseBuilder,
    ) -> Result<(), MethodResponse> {
        if sends.ids.is_empty() {
            return Ok(());
        }
        let Sends { ids, params } = sends;
        let started = Instant::now();
        let calls = Arc::clone(&self.switch.current().calls);
        let work = move |backend: &Arc<Backend>| send_many(backend, &params);
        match run(self.switch.settled().await, work).await {
            Ok(hashes) => {
                // They share one piece of work, which each of them waited for.
                let took = started.elapsed();
                let refused = hashes.iter().filter(|hash| hash.is_err()).count() as u64;
                let answered = hashes.len() as u64 - refused;
                for (outcome, count) in [(Outcome::Answered, answered), (Outcome::Refused, refused)]
                {
                    calls.count(SEND_RAW, outcome, count, took);
                }
                for (id, hash) in ids.into_iter().zip(hashes) {
                    answers.append(respond(id, hash))?;
                }
            }
            Err(error) => {
                let error = ErrorObjectOwned::from(error);
                calls.count(
                    SEND_RAW,
                    Outcome::Refused,
                    ids.len() as u64,
                    started.elapsed(),
                );
                for id in ids {
                    answers.append(MethodResponse::error(id, error.clone()))?;
                }
            }
        }
        Ok(())
    }
}

impl Sends {
    fn push(&mut self, request: Request<'_>) {
        let params = request.params.as_ref().map(|params| params.get());
        self.params.push(Params::new(params).into_owned());
        self.ids.push(request.id.into_owned());
    }
}

fn respond(id: Id<'_>, hash: Sent) -> MethodResponse {
    match hash {
        Ok(hash) => MethodResponse::response(id, ResponsePayload::success(hash), usize::MAX),
        Err(error) => MethodResponse::error(id, ErrorObjectOwned::from(error)),
    }
}

/// Whether it is jsonrpsee's own word for an unknown method, not ours for one only in dev.
fn is_bare(response: &MethodResponse) -> bool {
    response
        .as_ref()
        .contains(r#""message":"Method not found""#)
}

/// A name that somebody made up, not so long that many of them are a load to tell.
fn shortened(name: &str) -> Cow<'_, str> {
    match name.get(..name.floor_char_boundary(NAME_BYTES_MAX)) {
        Some(begin) if begin.len() < name.len() => Cow::Owned(format!("{begin}…")),
        _ => Cow::Borrowed(name),
    }
}

fn too_large(_: MethodResponse) -> MethodResponse {
    let message = "response too large";
    let error = ErrorObjectOwned::owned::<()>(RESPONSE_TOO_LARGE_CODE, message, None);
    MethodResponse::error(Id::Null, error)
}
