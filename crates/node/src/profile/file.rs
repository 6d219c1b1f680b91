//! A block made of the transactions of a file, executed here.
//!
//! ```text
//! line ─hex─▶ bytes ─decode─▶ Transaction ─recover─▶ sender ─▶ block 1 over the genesis of `headway dev` ─▶ profile
//! ```
//! Nothing is ordered and nobody votes: the block is the file. Empty lines and those that begin with `#` are
//! left out.

use super::{
    FILE_BYTES_MAX, FILE_TRANSACTIONS_MAX, ProfileError, Profiled, SCHEDULE_WORKERS, WorkerSpan,
};
use crate::{dev, replay};
use alloy_primitives::{Bytes, hex};
use executor::{Engine, ExecutedBlock, ExecutionInput, Profile};
use pipeline::{BlockExecution, StageTimes};
use primitives::{Genesis, RecoveredTransaction, Transaction, transaction::Impersonation};
use rpc::RpcProfile;
use state::{Location, MemoryDisk, Store, StoreConfig};
use std::{fs, num::NonZeroUsize, path::Path, sync::Arc, time::Duration};

pub(super) fn profile(path: &Path, workers: NonZeroUsize) -> Result<Profiled, ProfileError> {
    let transactions = read(path)?;
    let genesis =
        dev::default_genesis().map_err(|error| ProfileError::Execution(error.to_string()))?;
    let (executed, execution) = execute(&genesis, &transactions, workers)?;
    if let Some(fault) = executed.inclusion_faults.first() {
        return Err(ProfileError::Line {
            path: path.to_owned(),
            line: line_of(path, fault.index)?,
            problem: format!(
                "{}: the file is one block on a new chain of `headway dev`, nonces begin at 0",
                fault.reason
            ),
        });
    }
    let profile = Profile::new(&executed.access_list(), &transactions, &executed.receipts);
    let spans = execution.spans.iter().map(|span| WorkerSpan {
        worker: span.worker,
        transaction: span.transaction,
        start_us: microseconds(span.start),
        end_us: microseconds(span.end),
        again: span.again,
    });
    Ok(Profiled {
        source: path.display().to_string(),
        profile: RpcProfile::new(&profile, Some(&execution), Some(SCHEDULE_WORKERS)),
        spans: spans.collect(),
    })
}

fn execute(
    genesis: &Genesis,
    transactions: &[RecoveredTransaction],
    workers: NonZeroUsize,
) -> Result<(ExecutedBlock, BlockExecution), ProfileError> {
    let refuse = |problem: String| ProfileError::Execution(problem);
    let (state, block) = pipeline::genesis(genesis);
    let disk = Location::Memory(MemoryDisk::new());
    let store = Store::open(disk, &state, StoreConfig::default());
    let store = store.map_err(|error| refuse(error.to_string()))?;
    let snapshot = store
        .snapshot(0)
        .map_err(|error| refuse(error.to_string()))?;
    let parent = block.header();
    let header = primitives::Header {
        height: 1,
        base_fee: primitives::base_fee::next_base_fee(parent, &genesis.chain),
        ..parent.clone()
    };
    let environment = pipeline::environment(&header, state.hash, &genesis.chain);
    let input = ExecutionInput::new(&genesis.chain, environment, transactions, &[]);
    let clock = replay::wall_clock();
    let engine = Engine::new(workers).map_err(|error| refuse(error.to_string()))?;
    let engine = engine.with_clock(Arc::clone(&clock));
    let start = clock();
    let executed = engine.execute(&input, &snapshot);
    let mut executed = executed.map_err(|fault| refuse(fault.to_string()))?;
    let times = StageTimes {
        execute: clock().saturating_sub(start),
        ..StageTimes::default()
    };
    let report = std::mem::take(&mut executed.report);
    Ok((executed, BlockExecution::new(report, start, times)))
}

fn read(path: &Path) -> Result<Vec<RecoveredTransaction>, ProfileError> {
    let text = read_text(path)?;
    let mut transactions = Vec::new();
    for (number, line) in lines(&text) {
        let refuse = |problem: String| ProfileError::Line {
            path: path.to_owned(),
            line: number,
            problem,
        };
        let raw = hex::decode(line).map_err(|_| {
            refuse("not hex; write one raw signed transaction a line, as in 0x02f8…".to_owned())
        })?;
        let transaction = Transaction::decode(Bytes::from(raw));
        let transaction = transaction.map_err(|error| refuse(error.to_string()))?;
        let recovered = transaction.recover(Impersonation::Allowed);
        transactions.push(recovered.map_err(|error| refuse(error.to_string()))?);
        if transactions.len() > FILE_TRANSACTIONS_MAX {
            return Err(ProfileError::TooLarge {
                path: path.to_owned(),
                max: FILE_TRANSACTIONS_MAX as u64,
                unit: "transactions",
            });
        }
    }
    Ok(transactions)
}

fn read_text(path: &Path) -> Result<String, ProfileError> {
    let refuse = |problem| ProfileError::File {
        action: "cannot read",
        path: path.to_owned(),
        problem,
    };
    if fs::metadata(path).map_err(refuse)?.len() > FILE_BYTES_MAX {
        return Err(ProfileError::TooLarge {
            path: path.to_owned(),
            max: FILE_BYTES_MAX,
            unit: "bytes",
        });
    }
    fs::read_to_string(path).map_err(refuse)
}

/// The lines with a transaction, and their numbers from one.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines().map(str::trim));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// The line of a transaction by its place in the block.
fn line_of(path: &Path, transaction: usize) -> Result<usize, ProfileError> {
    let text = read_text(path)?;
    Ok(lines(&text).nth(transaction).map_or(0, |(line, _)| line))
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
