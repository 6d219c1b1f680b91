//! How a block was executed on this node.
//!
//! ```text
//! { height, way, workers, executions, reexecutions,
//!   conflictCount, conflicts: [{ address, slot, transactionCount, transactions: [index] }],
//!   executeUs, commitUs, rootsUs, accessListUs,
//!   spans: [{ worker, transaction, startUs, endUs, again }] }
//! ```
//! `slot` is null where transactions met at an account's own balance, nonce or code. Transactions are named by
//! their index in the block. There are spans only if the node was asked to keep them. Other nodes may have
//! executed the same block in other ways. Limits are those of what the pipeline keeps.

use super::executed_height;
use crate::{args::Args, backend::Backend, error::RpcError};
use alloy_primitives::{Address, B256, U64};
use executor::{Span, Way};
use pipeline::{BlockConflict, BlockExecution};
use serde::Serialize;
use std::time::Duration;

/// How a block was executed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RpcExecution {
    height: U64,
    way: &'static str,
    workers: usize,
    executions: usize,
    reexecutions: usize,
    conflict_count: usize,
    conflicts: Vec<RpcConflict>,
    execute_us: u64,
    commit_us: u64,
    roots_us: u64,
    access_list_us: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<RpcSpan>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcConflict {
    address: Address,
    slot: Option<B256>,
    transaction_count: usize,
    transactions: Vec<usize>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RpcSpan {
    worker: usize,
    transaction: usize,
    start_us: u64,
    end_us: u64,
    again: bool,
}

pub(super) fn execution(backend: &Backend, args: &Args) -> Result<Option<RpcExecution>, RpcError> {
    let Some(height) = executed_height(backend, args.one()?)? else {
        return Ok(None);
    };
    let execution = backend.chain.execution(height);
    Ok(execution.map(|execution| format(height, &execution)))
}

fn format(height: u64, execution: &BlockExecution) -> RpcExecution {
    let times = &execution.times;
    RpcExecution {
        height: U64::from(height),
        way: way(execution.way),
        workers: execution.workers,
        executions: execution.executions,
        reexecutions: execution.reexecutions,
        conflict_count: execution.conflict_count,
        conflicts: execution.conflicts.iter().map(RpcConflict::from).collect(),
        execute_us: microseconds(times.execute),
        commit_us: microseconds(times.commit),
        roots_us: microseconds(times.roots),
        access_list_us: microseconds(times.access_list),
        spans: execution.spans.iter().map(RpcSpan::from).collect(),
    }
}

impl From<&BlockConflict> for RpcConflict {
    fn from(conflict: &BlockConflict) -> Self {
        Self {
            address: conflict.address,
            slot: conflict.storage_slot.map(B256::from),
            transaction_count: conflict.transaction_count,
            transactions: conflict.transactions.clone(),
        }
    }
}

impl From<&Span> for RpcSpan {
    fn from(span: &Span) -> Self {
        Self {
            worker: span.worker,
            transaction: span.transaction,
            start_us: microseconds(span.start),
            end_us: microseconds(span.end),
            again: span.again,
        }
    }
}

pub(super) const fn way(way: Way) -> &'static str {
    match way {
        Way::InOrder => "inOrder",
        Way::First => "first",
        Way::Listed => "listed",
    }
}

pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use pipeline::StageTimes;
    use serde_json::json;

    #[test]
    fn everything_known_is_told() {
        let conflict = BlockConflict {
            address: Address::repeat_byte(0x11),
            storage_slot: Some(U256::from(1)),
            transaction_count: 300,
            transactions: vec![4, 7],
        };
        let at_account = BlockConflict {
            storage_slot: None,
            ..conflict.clone()
        };
        let execution = BlockExecution {
            way: Way::First,
            workers: 2,
            executions: 9,
            reexecutions: 3,
            conflict_count: 70,
            conflicts: vec![conflict, at_account],
            spans: vec![Span {
                worker: 1,
                transaction: 4,
                start: Duration::from_micros(5),
                end: Duration::from_micros(8),
                again: true,
            }],
            times: StageTimes {
                execute: Duration::from_micros(1_500),
                commit: Duration::from_micros(2),
                roots: Duration::from_nanos(3_999),
                access_list: Duration::ZERO,
            },
            ..BlockExecution::default()
        };
        let address = "0x1111111111111111111111111111111111111111";
        let slot = B256::from(U256::from(1));
        let expected = json!({
            "height": "0x6", "way": "first", "workers": 2, "executions": 9, "reexecutions": 3,
            "conflictCount": 70,
            "conflicts": [
                { "address": address, "slot": slot, "transactionCount": 300, "transactions": [4, 7] },
                { "address": address, "slot": null, "transactionCount": 300, "transactions": [4, 7] },
            ],
            "executeUs": 1500, "commitUs": 2, "rootsUs": 3, "accessListUs": 0,
            "spans": [{ "worker": 1, "transaction": 4, "startUs": 5, "endUs": 8, "again": true }],
        });
        let answer = serde_json::to_value(format(6, &execution)).unwrap();
        assert_eq!(answer, expected);
    }
}
