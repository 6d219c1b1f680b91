//! What a validator pays for ordered blocks that it has seen nothing of before.
//!
//! ```text
//! bytes ─▶ decode ─▶ recover senders ─▶ affordable? ─▶ pipeline: execute, root, list ─▶ on disk
//!          └──────────── this thread ─────────────┘    └─ its threads, block N-1 ──┘
//! ```
//! No step is left out that a block takes on such a node, but for votes and the network.

use super::{E2eBench, Ordered, WayFigures};
use crate::{bench::Usage, error::NodeError, replay::Clock};
use commonware_codec::Decode as _;
use commonware_runtime::Handle;
use commonware_runtime::{Clock as _, Runner as _, Supervisor as _, tokio};
use consensus::check_body;
use futures::future::{Either, select};
use pipeline::{
    Actor, Chain, Foundation, Pipeline, PipelineConfig, PipelineFault, genesis, genesis_record,
};
use primitives::{
    Block, FinalizedBlock, RecoveredBlock, recovery::SenderCache, transaction::Impersonation,
};
use state::{Location, Store, StoreConfig};
use std::{collections::VecDeque, path::Path, pin::pin, time::UNIX_EPOCH};

/// Resolves when the pipeline has ended.
type Stopped = Handle<Result<(), PipelineFault>>;

pub(super) fn run(
    bench: &E2eBench,
    ordered: &Ordered,
    (directory, clock): (&Path, &Clock),
) -> Result<WayFigures, NodeError> {
    let config = tokio::Config::new().with_storage_directory(directory.join("consensus"));
    tokio::Runner::new(config).start(|runtime| async move {
        let replayed = Box::pin(replay(&runtime, bench, ordered, (directory, clock)));
        // The load has taken the signal over, for as long as the process lives.
        match select(replayed, pin!(::tokio::signal::ctrl_c())).await {
            Either::Left((figures, _)) => figures,
            Either::Right(_) => Err(NodeError::Bench("interrupted".to_owned())),
        }
    })
}

async fn replay(
    runtime: &tokio::Context,
    bench: &E2eBench,
    ordered: &Ordered,
    (directory, clock): (&Path, &Clock),
) -> Result<WayFigures, NodeError> {
    let (pipeline, stopped) = start(runtime, bench, ordered, directory)?;
    let (started, before) = (clock(), Usage::now());
    feed(runtime, ordered, &pipeline).await?;
    let chain = pipeline.chain().clone();
    wait_executed(&chain, ordered.blocks.len() as u64).await?;
    // Whose last handle is gone flushes what may be flushed, and ends.
    drop(pipeline);
    let ended = stopped
        .await
        .map_err(|error| NodeError::Bench(error.to_string()))?;
    ended?;
    let seconds = (clock() - started).as_secs_f64();
    let cpu_s = Usage::now().cpu_s - before.cpu_s;
    Ok(WayFigures::new(ordered.transactions, seconds, cpu_s))
}

fn start(
    runtime: &tokio::Context,
    bench: &E2eBench,
    ordered: &Ordered,
    directory: &Path,
) -> Result<(Pipeline, Stopped), NodeError> {
    let (state, block) = genesis(&ordered.genesis);
    let config = StoreConfig {
        commit_workers: bench.workers,
        ..StoreConfig::default()
    };
    let location = Location::Directory(directory.join("state"));
    let foundation = Foundation {
        chain: ordered.genesis.chain.clone(),
        limits: ordered.limits,
        validators: ordered.genesis.validators.iter().cloned().collect(),
        ethereum: None,
        genesis: genesis_record(&state, &block),
        store: Store::open(location, &state, config)?,
        first_height: 1,
    };
    let config = PipelineConfig {
        workers: bench.workers,
        ..PipelineConfig::default()
    };
    let (actor, pipeline) = Actor::new(runtime.child("pipeline"), foundation, config, Vec::new())?;
    Ok((pipeline, actor.start()))
}

async fn feed(
    runtime: &tokio::Context,
    ordered: &Ordered,
    pipeline: &Pipeline,
) -> Result<(), NodeError> {
    let senders = SenderCache::default();
    let chain = pipeline.chain();
    let mut in_flight: VecDeque<RecoveredBlock> = VecDeque::new();
    for encoded in &ordered.blocks {
        let failed = |problem: String| NodeError::Bench(problem);
        let block = Block::decode_cfg(encoded.clone(), &ordered.limits)
            .map_err(|error| failed(error.to_string()))?;
        let recovered = block
            .recover(&senders, Impersonation::Refused)
            .map_err(|error| failed(error.to_string()))?;
        let reference = recovered.header().executed.height;
        while in_flight
            .front()
            .is_some_and(|block| block.header().height <= reference)
        {
            in_flight.pop_front();
        }
        wait_executed(chain, reference).await?;
        let state = chain
            .snapshot(reference)
            .map_err(|error| failed(error.to_string()))?;
        check_body(
            &recovered,
            in_flight.make_contiguous(),
            chain.config(),
            &state,
        )
        .map_err(|fault| failed(fault.to_string()))?
        .map_err(|rejection| failed(rejection.to_string()))?;
        in_flight.push_back(recovered.clone());
        pipeline.room().await;
        let now = runtime.current().duration_since(UNIX_EPOCH);
        let now_ms = u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        pipeline.replayed(FinalizedBlock::delivered(recovered), now_ms);
    }
    Ok(())
}

async fn wait_executed(chain: &Chain, height: u64) -> Result<(), NodeError> {
    let mut progress = chain.progress();
    let reached = progress
        .wait_for(|progress| progress.stopped || progress.heads.executed_height >= height)
        .await;
    if reached.heads.executed_height >= height {
        return Ok(());
    }
    let reason = chain.stopped().unwrap_or_default();
    Err(NodeError::Bench(format!("execution stopped: {reason}")))
}
