//! When a block reached its stages: those of the relay chain, or those of a shard.

use crate::{
    args::Args,
    backend::Backend,
    error::RpcError,
    eth::tag::{self, Selected},
};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::U64;
use primitives::BlockStages;
use serde::Serialize;
use shards::ledger::Moment;

/// A block and when it reached its stages.
#[derive(Clone, Debug, Serialize)]
pub(super) struct HeightStages {
    height: U64,
    #[serde(flatten)]
    stages: Stages,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Stages {
    Relay(BlockStages),
    Shard(ShardStages),
}

/// When a shard's block reached each stage, in milliseconds since the Unix epoch, and in which relay block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ShardStages {
    /// Its own time: when its collator began it.
    pub(crate) collated_ms: Option<u64>,
    /// Receipts and root known here.
    pub(crate) executed_ms: Option<u64>,
    /// Noted in a relay block.
    pub(crate) backed_ms: Option<u64>,
    /// Held by 2f+1.
    pub(crate) included_ms: Option<u64>,
    /// Found valid by 2f+1, and in order.
    pub(crate) finalized_ms: Option<u64>,
    /// On this node's disk.
    pub(crate) durable_ms: Option<u64>,
    /// The relay block it is built against.
    anchor_height: Option<U64>,
    /// The relay blocks that said so.
    backed_height: Option<U64>,
    included_height: Option<U64>,
    finalized_height: Option<U64>,
}

pub(super) fn block_stages(
    backend: &Backend,
    args: &Args,
) -> Result<Option<HeightStages>, RpcError> {
    let height = match args.one()? {
        // A number may be one that is not executed yet.
        BlockNumberOrTag::Number(height) => height,
        tag => match tag::by_number(backend, tag)? {
            Some(Selected::Executed(height)) => height,
            Some(Selected::Pending) | None => backend.latest_height()?.saturating_add(1),
        },
    };
    let stages = match backend.shard {
        None => backend.chain.stages(height).map(Stages::Relay),
        Some(_) => of_shard(backend, height)?.map(Stages::Shard),
    };
    Ok(stages.map(|stages| HeightStages {
        height: U64::from(height),
        stages,
    }))
}

/// Of a shard's block that is here; none on the relay chain, and of one that was never seen or long ago.
pub(crate) fn of_shard(backend: &Backend, height: u64) -> Result<Option<ShardStages>, RpcError> {
    let Some((place, here)) = backend.shard.as_ref().zip(backend.chain.stages(height)) else {
        return Ok(None);
    };
    let Some(record) = backend.chain.record(height)? else {
        return Ok(None);
    };
    let passage = place.passage(&record.hash);
    let backed = passage.map(|passage| passage.backed);
    let included = passage.and_then(|passage| passage.included);
    let finalized = passage.and_then(|passage| passage.finalized);
    let ms = |moment: Option<Moment>| moment.map(|moment| moment.ms);
    let at = |moment: Option<Moment>| moment.map(|moment| U64::from(moment.height));
    Ok(Some(ShardStages {
        collated_ms: Some(record.block.header().timestamp_ms),
        executed_ms: here.executed_ms,
        backed_ms: ms(backed),
        included_ms: ms(included),
        finalized_ms: ms(finalized),
        durable_ms: here.durable_ms,
        anchor_height: passage.map(|passage| U64::from(passage.anchor_height)),
        backed_height: at(backed),
        included_height: at(included),
        finalized_height: at(finalized),
    }))
}
