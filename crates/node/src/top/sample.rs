//! One look at a node: what it answers at one moment.
//!
//! What a node can't tell just now (it catches up, it has diverged) is missing and nothing more; without its
//! `/health` there is no sample.

use super::exposition::Exposition;
use crate::load::{LoadError, client::Client};
use alloy_primitives::{B256, U64};
use futures::future::join4;
use primitives::BlockStages;
use rpc::RpcProfile;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Blocks whose stages are asked for at once.
const STAGES_ASKED_MAX: u64 = 16;

/// Blocks among which one with transactions is looked for at first.
const LOOK_BACK_MAX: u64 = 32;

pub(super) const TRANSACTIONS: &str = "node_pipeline_transactions_total";
pub(super) const GAS: &str = "node_pipeline_gas_total";
pub(super) const EXECUTION_SECONDS: &str = "node_pipeline_execution_seconds_sum";
pub(super) const BLOCKS: &str = "node_pipeline_execution_seconds_count";
pub(super) const REEXECUTIONS: &str = "node_pipeline_reexecutions_total";
pub(super) const DURABLE_HEIGHT: &str = "node_pipeline_durable_height";
pub(super) const DISK_BYTES: &str = "node_pipeline_state_disk_bytes";
pub(super) const MEMORY_BYTES: &str = "runtime_process_rss";
/// What is taken out of the metrics.
const WANTED: [&str; 8] = [
    TRANSACTIONS,
    GAS,
    EXECUTION_SECONDS,
    BLOCKS,
    REEXECUTIONS,
    DURABLE_HEIGHT,
    DISK_BYTES,
    MEMORY_BYTES,
];

/// What is known already and need not be asked again.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Who serves which chain.
    pub(super) identity: Option<Identity>,
    /// Stages up to this height.
    pub(super) staged_height: u64,
    /// The block whose profile is here.
    pub(super) profiled: Option<B256>,
}

/// Who serves which chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) client: String,
    pub(super) chain_id: u64,
}

/// What a node says at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) identity: Option<Identity>,
    pub(super) health: Health,
    pub(super) pool: Option<Pool>,
    pub(super) peers: Option<u64>,
    pub(super) block: Option<NewestBlock>,
    /// Of verified blocks, as far as they are new.
    pub(super) stages: Vec<BlockStages>,
    pub(super) staged_height: u64,
    /// Of the newest block, if it holds transactions and is new.
    pub(super) profile: Option<RpcProfile>,
    pub(super) metrics: Exposition,
}

/// What `/health` answers.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Health {
    pub(super) heads: Heads,
    pub(super) syncing: Option<Syncing>,
    pub(super) diverged: Option<Value>,
    pub(super) stopped: Option<String>,
    /// Those that the node collates.
    #[serde(default)]
    pub(super) shards: Vec<ShardHealth>,
}

/// One shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct ShardHealth {
    pub(super) id: u32,
    pub(super) latest: U64,
    pub(super) behind: bool,
    pub(super) stalled: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Heads {
    pub(super) verified: U64,
    pub(super) executed: U64,
    pub(super) finalized: U64,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Syncing {
    pub(super) current: U64,
    pub(super) target: U64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Pool {
    pub(super) pending: U64,
    pub(super) queued: U64,
}

/// The newest executed block.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewestBlock {
    pub(super) hash: B256,
    pub(super) gas_used: U64,
    pub(super) gas_limit: U64,
    pub(super) base_fee_per_gas: Option<U64>,
    pub(super) transactions: Vec<B256>,
}

pub(super) async fn take(client: &Client, known: &Known) -> Result<Sample, LoadError> {
    let (_, health) = client.get("/health").await?;
    let health: Health = serde_json::from_slice(&health).map_err(|error| LoadError::Answer {
        method: "/health",
        problem: format!("{error}; is it a Headway node?"),
    })?;
    let identity = match &known.identity {
        Some(identity) => Some(identity.clone()),
        None => identity(client).await,
    };
    let (metrics, pool, peers, block) = join4(
        client.get("/metrics"),
        ask::<Pool>(client, "txpool_status", json!([])),
        ask::<U64>(client, "net_peerCount", json!([])),
        ask::<NewestBlock>(client, "eth_getBlockByNumber", json!(["latest", false])),
    )
    .await;
    let metrics = match metrics {
        Ok((_, text)) => Exposition::read(&String::from_utf8_lossy(&text), &WANTED),
        Err(_) => Exposition::default(),
    };
    let verified = health.heads.verified.to();
    let stages = stages(client, known.staged_height, verified).await;
    let wanted = match &block {
        Some(block) if !block.transactions.is_empty() => {
            (known.profiled != Some(block.hash)).then(|| json!(block.hash))
        }
        // Whoever has just begun to watch a quiet node wants to see something too.
        _ if known.profiled.is_none() => last_filled(client, health.heads.executed.to()).await,
        _ => None,
    };
    let profile = match wanted {
        Some(block) => ask(client, "headway_getBlockProfile", json!([block])).await,
        None => None,
    };
    Ok(Sample {
        identity,
        health,
        pool,
        peers: peers.map(|peers| peers.to()),
        block,
        stages,
        staged_height: verified,
        profile,
        metrics,
    })
}

async fn identity(client: &Client) -> Option<Identity> {
    let version = ask::<String>(client, "web3_clientVersion", json!([])).await?;
    let chain_id = ask::<U64>(client, "eth_chainId", json!([])).await?;
    Some(Identity {
        client: version,
        chain_id: chain_id.to(),
    })
}

/// When the blocks up to a height, those above another one only, reached their stages.
async fn stages(client: &Client, known: u64, verified: u64) -> Vec<BlockStages> {
    let first = known.max(verified.saturating_sub(STAGES_ASKED_MAX)) + 1;
    let heights = (first..=verified).map(|height| json!([U64::from(height)]));
    let params: Vec<Value> = heights.collect();
    if params.is_empty() {
        return Vec::new();
    }
    let stages = client.batch("headway_getBlockStages", params).await;
    stages.map_or_else(
        |_| Vec::new(),
        |found| found.into_iter().flatten().collect(),
    )
}

/// The newest block that holds transactions, if it is not far back.
async fn last_filled(client: &Client, executed: u64) -> Option<Value> {
    let heights = (executed.saturating_sub(LOOK_BACK_MAX)..=executed).rev();
    let heights: Vec<Value> = heights.map(|height| json!(U64::from(height))).collect();
    let params = heights.iter().map(|height| json!([height])).collect();
    let method = "eth_getBlockTransactionCountByNumber";
    let counts: Vec<Option<U64>> = client.batch(method, params).await.ok()?;
    let filled = counts
        .iter()
        .position(|count| count.is_some_and(|count| !count.is_zero()))?;
    heights.into_iter().nth(filled)
}

/// A result, unless the node has none to give just now.
async fn ask<T: DeserializeOwned>(
    client: &Client,
    method: &'static str,
    params: Value,
) -> Option<T> {
    client.call(method, params).await.ok().flatten()
}
