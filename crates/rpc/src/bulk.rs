//! Bulk submission: many signed transactions in one request, without JSON around each.
//!
//! ```text
//! POST /bulk   application/octet-stream   Bundle                      ─┐
//! headway_sendRawTransactions             [[raw, …], [key, …]?]       ─┴▶ decode ─▶ recover ─▶ pool
//!                                  ◀── {"accepted": n, "errors": [{"index", "code", "message"}, …]}
//! ```
//! Each transaction has its own fate; one that is refused does not hold up the others. The keys of senders are
//! hints, as [`primitives::bundle`] describes them: without them, or with false ones, the result is the same.
//! A body has to arrive in time (`RpcConfig::body_wait_ms`), and is at most [`limits::BUNDLE_BYTES_MAX`] long. Only
//! so many bundles are read or worked on at a time ([`BUNDLES_MAX`]), however many requests a connection carries.

use crate::{
    args::Args,
    backend::{Backend, run_bundle},
    config::BUNDLES_MAX,
    error::RpcError,
    eth::submit::{Sent, decode, send_decoded},
    registry::Registry,
};
use alloy_primitives::{Bytes, FixedBytes};
use futures::future::{Either, select};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jsonrpsee::{
    core::BoxError,
    server::{HttpBody, HttpRequest},
    types::ErrorObjectOwned,
};
use primitives::{
    bundle::{Bundle, BundleError},
    limits,
    signature::{KEY_BYTES, SenderKey},
};
use serde::Serialize;
use std::{pin::pin, sync::Arc, time::Duration};

/// Where bundles are posted.
pub(crate) const PATH: &str = "/bulk";
/// What a bundle's content type is.
pub(crate) const CONTENT_TYPE: &str = "application/octet-stream";

/// What became of the transactions of one request.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct BulkAnswer {
    /// How many are in the pool.
    accepted: usize,
    /// Why the others are not.
    errors: Vec<ItemError>,
}

/// Why one transaction is not in the pool.
#[derive(Clone, Debug, Serialize)]
struct ItemError {
    /// Its place in the request.
    index: usize,
    /// As `eth_sendRawTransaction` says it.
    code: i32,
    message: String,
}

/// Why nothing of a request was looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BulkError {
    /// Another method than POST.
    #[error("post a bundle to {PATH}")]
    Method,
    /// Not announced as a bundle.
    #[error("the content type of a bundle is {CONTENT_TYPE}")]
    ContentType,
    /// Too long.
    #[error("bundle is too large: max={}", limits::BUNDLE_BYTES_MAX)]
    TooLarge,
    /// It did not arrive in time.
    #[error("the body did not arrive in time: wait_ms={0}")]
    Slow(u64),
    /// The connection broke.
    #[error("the body could not be read: {0}")]
    Broken(BoxError),
    /// Not a bundle.
    #[error(transparent)]
    Malformed(#[from] BundleError),
    /// This node can't answer now.
    #[error(transparent)]
    Node(#[from] RpcError),
}

impl BulkError {
    /// The HTTP status that says so.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::Method => 405,
            Self::ContentType => 415,
            Self::TooLarge => 413,
            Self::Slow(_) => 408,
            Self::Broken(_) | Self::Malformed(_) => 400,
            Self::Node(_) => 503,
        }
    }
}

pub(crate) fn register(methods: &mut Registry) {
    methods.heavy("headway_sendRawTransactions", send_raw_transactions);
}

/// Takes one posted bundle; the answer is JSON.
pub(crate) async fn post(backend: Arc<Backend>, request: HttpRequest) -> Result<String, BulkError> {
    if request.method() != "POST" {
        return Err(BulkError::Method);
    }
    let content_type = request.headers().get("content-type");
    if content_type.is_none_or(|kind| kind.as_bytes() != CONTENT_TYPE.as_bytes()) {
        return Err(BulkError::ContentType);
    }
    let wait_ms = backend.config.body_wait_ms;
    let timer = (backend.clock.sleep)(Duration::from_millis(wait_ms));
    let (held, body, timer) = match select(pin!(backend.bundles.hold()), timer).await {
        Either::Left((held, timer)) => (held?, request.into_body(), timer),
        Either::Right(_) => return Err(RpcError::Busy(BUNDLES_MAX).into()),
    };
    let body = match select(pin!(read(body)), timer).await {
        Either::Left((body, _)) => body?,
        Either::Right(_) => return Err(BulkError::Slow(wait_ms)),
    };
    let bundle = Bundle::decode(body)?;
    let work = move |backend: &Arc<Backend>| send_bundle(backend, &bundle).map(|sent| sent.json());
    let answer = run_bundle(Arc::clone(&backend), work).await;
    drop(held);
    Ok(answer?)
}

/// The whole body, if it is not too long.
async fn read(body: HttpBody) -> Result<bytes::Bytes, BulkError> {
    match Limited::new(body, limits::BUNDLE_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BulkError::TooLarge),
        Err(error) => Err(BulkError::Broken(error)),
    }
}

fn send_bundle(backend: &Backend, bundle: &Bundle) -> Result<BulkAnswer, RpcError> {
    // Copied: a part of the body would keep all of it in memory for as long as the pool keeps one transaction.
    let items = bundle.items().iter();
    let decoded = items.map(|item| {
        let raw = Bytes::copy_from_slice(&item.raw);
        (decode(raw), bundle.key_of(item))
    });
    let sent = send_decoded(backend, decoded.collect())?;
    Ok(BulkAnswer::new(sent))
}

fn send_raw_transactions(backend: &Backend, args: &Args) -> Result<BulkAnswer, RpcError> {
    args.at_most(2)?;
    let raw: Vec<Bytes> = args.get(0)?;
    let max = limits::BUNDLE_TRANSACTIONS_MAX;
    if raw.len() > max {
        return Err(RpcError::LimitExceeded(format!(
            "too many transactions in one call: max={max}"
        )));
    }
    let keys: Option<Vec<Option<FixedBytes<KEY_BYTES>>>> = args.get(1)?;
    let keys = keys.unwrap_or_else(|| vec![None; raw.len()]);
    if keys.len() != raw.len() {
        return Err(RpcError::ArgumentsConflict(format!(
            "{} keys for {} transactions: name one or null for each",
            keys.len(),
            raw.len()
        )));
    }
    let keys = keys.into_iter();
    let keys: Vec<_> = keys
        .map(|key| key.map(|key| SenderKey::new(key.0)))
        .collect();
    let decoded = raw.into_iter().map(decode);
    let sent = send_decoded(
        backend,
        decoded.zip(keys.iter().map(Option::as_ref)).collect(),
    )?;
    Ok(BulkAnswer::new(sent))
}

impl BulkAnswer {
    fn json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings are JSON")
    }

    fn new(sent: Vec<Sent>) -> Self {
        let mut answer = Self::default();
        for (index, sent) in sent.into_iter().enumerate() {
            match sent {
                Ok(_) => answer.accepted += 1,
                Err(error) => {
                    let error = ErrorObjectOwned::from(error);
                    answer.errors.push(ItemError {
                        index,
                        code: error.code(),
                        message: error.message().to_owned(),
                    });
                }
            }
        }
        answer
    }
}
