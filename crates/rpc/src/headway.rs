//! The `headway` namespace: what Ethereum has no words for.
//!
//! | method | answer |
//! |---|---|
//! | `headway_getHeads` | the verified, executed and finalized height |
//! | `headway_getBlockStages(block)` | when a block reached each stage here, in Unix milliseconds; on a shard its own stages, and their relay blocks; null for one never seen |
//! | `headway_getBlockAccessList(block)` | what a block read and wrote, with values; null for one that is not executed |
//! | `headway_getBlockExecution(block)` | how this node executed a block: workers, conflicts, times; null for one not recent |
//! | `headway_getBlockProfile(block[, workers])` | what kept a block's transactions from running at once, and what to do about it |
//! | `headway_getInclusionBudget(address)` | what an account's next transaction may cost now |
//! | `headway_getShards()` | what the relay chain says of its shards: heads, pending candidates, cores, offences; null on a chain without shards |
//!
//! A block is a number, a tag or a hash; for stages, which a block has before its hash, a number or a tag.
//! Heights are quantities; times and counts are numbers, because every language takes them as they are.

pub(crate) mod access_list;
mod execution;
pub(crate) mod profile;
pub(crate) mod shards;
pub(crate) mod stages;

use crate::{
    args::Args,
    backend::Backend,
    error::RpcError,
    eth::tag::{self, Selected},
    registry::Registry,
};
use alloy_eips::BlockId;
use alloy_primitives::{Address, U64, U256};
use primitives::Heads;
use serde::Serialize;

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("headway_getHeads", heads);
    methods.quick("headway_getBlockStages", stages::block_stages);
    methods.heavy("headway_getBlockAccessList", access_list::access_list);
    methods.heavy("eth_getBlockAccessList", access_list::accounts);
    methods.quick("headway_getBlockExecution", execution::execution);
    methods.heavy("headway_getBlockProfile", profile::profile);
    methods.heavy("headway_getInclusionBudget", inclusion_budget);
    methods.quick("headway_getShards", shards::shards);
}

/// Height of the executed block that a caller means; none for an unknown one and for `pending`.
fn executed_height(backend: &Backend, id: BlockId) -> Result<Option<u64>, RpcError> {
    Ok(match tag::by_id(backend, id)? {
        Some(Selected::Executed(height)) => Some(height),
        Some(Selected::Pending) | None => None,
    })
}

/// The three heads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RpcHeads {
    verified: U64,
    executed: U64,
    finalized: U64,
}

impl From<Heads> for RpcHeads {
    fn from(heads: Heads) -> Self {
        Self {
            verified: U64::from(heads.verified_height),
            executed: U64::from(heads.executed_height),
            finalized: U64::from(heads.finalized_height),
        }
    }
}

fn heads(backend: &Backend, args: &Args) -> Result<RpcHeads, RpcError> {
    args.none()?;
    Ok(backend.chain.heads().into())
}

/// What an account can commit to now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcBudget {
    nonce_next: U64,
    available: U256,
    delegated: bool,
    blocked_until_executed: bool,
}

fn inclusion_budget(backend: &Backend, args: &Args) -> Result<RpcBudget, RpcError> {
    let address: Address = args.one()?;
    backend.require_ready()?;
    let budget = backend.chain.inclusion_budget(&address)?;
    Ok(RpcBudget {
        nonce_next: U64::from(budget.nonce_next),
        available: budget.available_wei,
        delegated: budget.delegated,
        blocked_until_executed: budget.blocked_until_executed,
    })
}
