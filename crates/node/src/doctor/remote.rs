//! A running node, by what it answers.

use super::Finding;
use crate::{
    init::now_seconds,
    load::{LoadError, client::Client},
};
use alloy_primitives::{B256, U64};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest wait for one answer.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// A newest block that is older may mean that no block is final any more.
const AGE_WARN_SECONDS: u64 = 60;
/// How far a block's time may lie ahead of this clock.
const AHEAD_SECONDS: u64 = 2;
/// Blocks that execution or verification may be behind without a word.
const LAG_WARN: u64 = 64;

#[derive(Debug, Deserialize)]
struct Health {
    heads: Heads,
    syncing: Option<Value>,
    diverged: Option<Value>,
    stopped: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Heads {
    verified: U64,
    executed: U64,
    finalized: U64,
}

#[derive(Debug, Deserialize)]
struct Block {
    hash: B256,
    timestamp: U64,
}

pub(super) async fn examine(url: &str, genesis: Option<B256>) -> Vec<Finding> {
    let client = match Client::new(url, ANSWER_WAIT) {
        Ok(client) => client,
        Err(error) => return vec![unreachable(&error)],
    };
    let health = match health(&client).await {
        Ok(health) => health,
        Err(error) => return vec![unreachable(&error)],
    };
    let mut findings = vec![state(&health), lag(&health)];
    findings.extend(version(&client).await);
    findings.extend(age(&client).await);
    if let Some(genesis) = genesis {
        findings.extend(same_chain(&client, genesis).await);
    }
    findings
}

fn unreachable(error: &LoadError) -> Finding {
    Finding::fail(
        "node",
        error.to_string(),
        "start it, or give the address of its JSON-RPC",
    )
}

async fn health(client: &Client) -> Result<Health, LoadError> {
    let (_, body) = client.get("/health").await?;
    serde_json::from_slice(&body).map_err(|error| LoadError::Answer {
        method: "/health",
        problem: format!("{error}; is it a Headway node?"),
    })
}

fn state(health: &Health) -> Finding {
    let name = "node";
    let executed = health.heads.executed.to::<u64>();
    if health.diverged.is_some() {
        return Finding::fail(
            name,
            "its result contradicts what 2f+1 validators signed",
            "keep its data directory and report it; begin again in an empty one with --sync state",
        );
    }
    if let Some(reason) = &health.stopped {
        return Finding::fail(
            name,
            format!("stopped: {reason}"),
            "see its log, mend the cause, start it again",
        );
    }
    match &health.syncing {
        Some(_) => Finding::warn(name, format!("catches up, executed {executed}"), "wait"),
        None => Finding::ok(name, format!("serves block {executed}")),
    }
}

fn lag(health: &Health) -> Finding {
    let Heads {
        verified,
        executed,
        finalized,
    } = &health.heads;
    let behind = |height: &U64| finalized.to::<u64>().saturating_sub(height.to());
    let (executed, verified) = (behind(executed), behind(verified));
    let text = format!("execution {executed} blocks behind, verification {verified}");
    match executed.max(verified) > LAG_WARN {
        true => Finding::warn(
            "lag",
            text,
            "see with `headway top` what is slow; blocks shrink until execution keeps up",
        ),
        false => Finding::ok("lag", text),
    }
}

async fn version(client: &Client) -> Option<Finding> {
    let version: String = client
        .call("web3_clientVersion", json!([]))
        .await
        .ok()
        .flatten()?;
    let finding = match is_this_version(&version) {
        true => Finding::ok("version", version),
        false => Finding::warn(
            "version",
            format!("the node is {version}, this is {}", rpc::CLIENT_VERSION),
            "use the same version on all nodes of a network",
        ),
    };
    Some(finding)
}

/// A development chain says first what it is compatible with, and then who it is.
pub(super) fn is_this_version(version: &str) -> bool {
    let own = version
        .split_once("(compatible; ")
        .map_or(version, |(_, own)| own.trim_end_matches(')'));
    own == rpc::CLIENT_VERSION
}

/// How old the newest block is by this machine's clock.
async fn age(client: &Client) -> Option<Finding> {
    let name = "newest";
    let params = json!(["latest", false]);
    let block: Block = client
        .call("eth_getBlockByNumber", params)
        .await
        .ok()
        .flatten()?;
    let (then, now) = (block.timestamp.to::<u64>(), now_seconds());
    if then > now.saturating_add(AHEAD_SECONDS) {
        return Some(Finding::fail(
            name,
            format!("the newest block is {} s ahead of this clock", then - now),
            "set the clock: headers from the future are refused",
        ));
    }
    let age = now.saturating_sub(then);
    let text = format!("the newest block is {age} s old");
    Some(match age > AGE_WARN_SECONDS {
        true => Finding::warn(name, text, "are 2f+1 validators up, and this clock right?"),
        false => Finding::ok(name, text),
    })
}

async fn same_chain(client: &Client, genesis: B256) -> Option<Finding> {
    let params = json!(["0x0", false]);
    let block: Block = client
        .call("eth_getBlockByNumber", params)
        .await
        .ok()
        .flatten()?;
    Some(match block.hash == genesis {
        true => Finding::ok("chain", "the node serves the chain of the genesis file"),
        false => Finding::fail(
            "chain",
            format!(
                "the node's block 0 is {}, the genesis file's {genesis}",
                block.hash
            ),
            "use one genesis file on all nodes",
        ),
    })
}
