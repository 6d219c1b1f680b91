//! Going back: `evm_snapshot`, `evm_revert`, `hardhat_reset`.
//!
//! ```text
//! method ─ TimelineRequest ─▶ whoever runs the chain: stops it, begins another one ─▶ Switch
//! ```
//! The order of blocks is final on every chain. So a chain does not go back: it ends, and another one that
//! begins with the same blocks takes its place. Only who runs the chain can do that, and only where it is the
//! only validator and nobody else keeps the blocks.

use super::{Dev, require};
use crate::{args::Args, backend::Backend, error::RpcError, registry::Registry};
use alloy_primitives::{U64, U256};
use jsonrpsee::types::Params;
use serde_json::Value;
use std::{fmt::Debug, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait; each is answered before the next one is looked at.
const REQUESTS_MAX: usize = 64;

/// Why a chain could not be copied or go back.
#[derive(Debug, thiserror::Error)]
pub enum TravelError {
    /// Blocks that are under way did not end in time.
    #[error("the chain did not come to rest within {0} ms, try again")]
    Restless(u64),
    /// The copy could not be made.
    #[error("the snapshot could not be made: {0}")]
    Copy(String),
    /// The chain has ended.
    #[error("the chain stopped")]
    Stopped,
}

/// What whoever runs the chain is asked.
#[derive(Debug)]
pub enum TimelineRequest {
    /// Keep the chain as it is; the answer is the name of what is kept.
    Snapshot(oneshot::Sender<Result<u64, TravelError>>),
    /// Go back to what is kept under a name; whether there is such a thing.
    Revert(u64, oneshot::Sender<Result<bool, TravelError>>),
    /// Go back to genesis.
    Reset(oneshot::Sender<Result<(), TravelError>>),
}

/// A handle to whoever runs the chain.
#[derive(Clone, Debug)]
pub struct Timelines {
    requests: mpsc::Sender<TimelineRequest>,
}

impl Timelines {
    /// A handle, and where its requests come out.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<TimelineRequest>) {
        let (requests, received) = mpsc::channel(REQUESTS_MAX);
        (Self { requests }, received)
    }

    async fn ask<T: Debug>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, TravelError>>) -> TimelineRequest,
    ) -> Result<T, RpcError> {
        let (answer, answered) = oneshot::channel();
        let stopped = |_| TravelError::Stopped;
        let sent = self.requests.send(request(answer)).await;
        sent.map_err(|_| TravelError::Stopped)?;
        Ok(answered.await.map_err(stopped)??)
    }
}

pub(crate) fn register(methods: &mut Registry) {
    methods.waiting("evm_snapshot", snapshot);
    methods.waiting("evm_revert", revert);
    methods.waiting("hardhat_reset", reset_hardhat);
    methods.waiting("anvil_reset", reset_anvil);
    methods.alias("anvil_snapshot", "evm_snapshot");
    methods.alias("anvil_revert", "evm_revert");
}

fn timelines<'a>(dev: &'a Dev, method: &'static str) -> Result<&'a Timelines, RpcError> {
    if let Some(timelines) = &dev.timelines {
        return Ok(timelines);
    }
    let why = if dev.control.supported() {
        "the chain in --data-dir is kept and can't go back; run dev without it"
    } else {
        "several validators have finalized the order of blocks and can't go back; run dev with one"
    };
    Err(RpcError::Unsupported { method, why })
}

async fn snapshot(backend: Arc<Backend>, params: Params<'static>) -> Result<U64, RpcError> {
    Args::parse(&params)?.none()?;
    let timelines = timelines(require(&backend)?, "evm_snapshot")?;
    let id = timelines.ask(TimelineRequest::Snapshot).await?;
    Ok(U64::from(id))
}

async fn revert(backend: Arc<Backend>, params: Params<'static>) -> Result<bool, RpcError> {
    let id: U256 = Args::parse(&params)?.one()?;
    let timelines = timelines(require(&backend)?, "evm_revert")?;
    let Ok(id) = u64::try_from(id) else {
        return Ok(false);
    };
    timelines
        .ask(|answer| TimelineRequest::Revert(id, answer))
        .await
}

async fn reset_hardhat(backend: Arc<Backend>, params: Params<'static>) -> Result<bool, RpcError> {
    reset(&backend, &params, "hardhat_reset").await?;
    Ok(true)
}

async fn reset_anvil(backend: Arc<Backend>, params: Params<'static>) -> Result<(), RpcError> {
    reset(&backend, &params, "anvil_reset").await
}

async fn reset(
    backend: &Backend,
    params: &Params<'_>,
    method: &'static str,
) -> Result<(), RpcError> {
    let options: Option<Value> = Args::parse(params)?.one()?;
    let fork = options.as_ref().and_then(|options| options.get("forking"));
    if fork.is_some_and(|fork| !fork.is_null()) {
        let why = "this chain has no fork of another one; call it without `forking`";
        return Err(RpcError::Unsupported { method, why });
    }
    let timelines = timelines(require(backend)?, method)?;
    timelines.ask(TimelineRequest::Reset).await
}
