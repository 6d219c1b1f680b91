//! `GET /health`: whether a node can be relied on, for load balancers and for people.
//!
//! ```text
//! /health            the relay chain: heads, syncing, diverged, stopped; the shards that this node collates
//! /shard/<n>/health  one of those shards
//!
//! ok         200
//! degraded   200   the chain is fine, and a shard that this node collates is not
//! failing    503   what is asked of this chain can't be answered, or is old
//! ```

use crate::{accept::Rooms, backend::Backend, headway::RpcHeads, shard::Standing};
use alloy_primitives::U64;
use serde_json::{Value, json};

/// An answer, with its HTTP status.
pub(crate) type Health = (u16, String);

/// The relay chain, and what this node collates.
pub(crate) fn of_node(backend: &Backend, rooms: &Rooms) -> Health {
    let standings: Vec<Standing> = rooms
        .values()
        .filter_map(|room| room.backend().standing())
        .collect();
    let is_fine = standings.iter().all(|one| !one.behind && !one.stalled);
    let shards = backend.shards.is_some().then_some(standings);
    let mut body = chain(backend);
    if let Some(shards) = shards {
        body["shards"] = json!(shards);
    }
    let (status, word) = match (is_serving(backend), is_fine) {
        (true, true) => (200, "ok"),
        (true, false) => (200, "degraded"),
        (false, _) => (503, "failing"),
    };
    body["status"] = json!(word);
    (status, body.to_string())
}

/// A shard's chain.
pub(crate) fn of_shard(backend: &Backend) -> Health {
    let standing = backend.standing();
    let is_fine = standing.is_some_and(|one| !one.behind && !one.stalled);
    let mut body = chain(backend);
    body["shard"] = json!(standing);
    let (status, word) = match is_serving(backend) && is_fine {
        true => (200, "ok"),
        false => (503, "failing"),
    };
    body["status"] = json!(word);
    (status, body.to_string())
}

fn is_serving(backend: &Backend) -> bool {
    backend.syncing().is_none() && backend.chain.stopped().is_none()
}

fn chain(backend: &Backend) -> Value {
    let syncing = backend.syncing().map(|progress| {
        json!({
            "current": U64::from(progress.current_height),
            "target": U64::from(progress.target_height),
        })
    });
    json!({
        "heads": RpcHeads::from(backend.chain.heads()),
        "syncing": syncing,
        "diverged": backend.chain.diverged(),
        "stopped": backend.chain.stopped(),
    })
}
