//! Polling filters: what is new since the last poll.
//!
//! ```text
//! newBlockFilter, newFilter           a cursor: the next height to tell
//! newPendingTransactionFilter         a bounded queue of what became executable
//! ```
//! Blocks and logs never get lost, however late the poll: a cursor reads them from the chain. When a
//! development chain goes back, so do the cursors. Hashes
//! of pending transactions beyond `ADMISSIONS_MAX` do. A filter nobody polls for `filter_idle_ms` is
//! dropped; more than `filters_max` are refused. Ids can't be guessed, because HTTP callers share
//! one namespace.

use crate::{
    args::Args, backend::Backend, config::RpcConfig, error::RpcError, eth::log, registry::Registry,
};
use alloy_primitives::{B256, U128, U256, keccak256};
use alloy_rpc_types_eth::{Filter, Log};
use primitives::RecoveredTransaction;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("eth_newFilter", new_filter);
    methods.quick("eth_newBlockFilter", new_block_filter);
    methods.quick("eth_newPendingTransactionFilter", new_pending_filter);
    methods.heavy("eth_getFilterChanges", changes);
    methods.heavy("eth_getFilterLogs", all_logs);
    methods.quick("eth_uninstallFilter", uninstall);
}

/// What a poll answers.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Changes {
    /// Of blocks or transactions.
    Hashes(Vec<B256>),
    /// Logs.
    Logs(Vec<Log>),
}

#[derive(Debug)]
enum Kind {
    Blocks {
        next: u64,
    },
    Logs {
        next: u64,
        filter: Box<Filter>,
    },
    Pending {
        queue: Receiver<RecoveredTransaction>,
    },
}

#[derive(Debug)]
struct Installed {
    kind: Kind,
    polled_ms: u64,
}

#[derive(Debug)]
struct Table {
    installed: BTreeMap<U128, Installed>,
    created: u64,
}

/// All polling filters of a node.
#[derive(Debug)]
pub(crate) struct Filters {
    table: Mutex<Table>,
    seed: u64,
    max: usize,
    idle_ms: u64,
}

impl Filters {
    pub(crate) fn new(config: &RpcConfig) -> Self {
        let table = Table {
            installed: BTreeMap::new(),
            created: 0,
        };
        Self {
            table: Mutex::new(table),
            seed: config.filter_seed,
            max: config.filters_max,
            idle_ms: config.filter_idle_ms,
        }
    }

    fn lock(&self, now_ms: u64) -> MutexGuard<'_, Table> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let is_polled = |filter: &Installed| now_ms.saturating_sub(filter.polled_ms) < self.idle_ms;
        table.installed.retain(|_, filter| is_polled(filter));
        table
    }

    fn install(&self, kind: Kind, now_ms: u64) -> Result<U128, RpcError> {
        let mut table = self.lock(now_ms);
        if table.installed.len() >= self.max {
            let max = self.max;
            return Err(RpcError::LimitExceeded(format!(
                "too many filters, at most {max}"
            )));
        }
        table.created += 1;
        let seed = [self.seed.to_be_bytes(), table.created.to_be_bytes()].concat();
        let id = U128::from(U256::from_be_bytes(keccak256(seed).0) >> 128);
        table.installed.insert(
            id,
            Installed {
                kind,
                polled_ms: now_ms,
            },
        );
        Ok(id)
    }

    /// Does something with a filter, which counts as a poll.
    fn poll<T>(
        &self,
        id: &U128,
        now_ms: u64,
        read: impl FnOnce(&mut Kind) -> T,
    ) -> Result<T, RpcError> {
        let mut table = self.lock(now_ms);
        let filter = table
            .installed
            .get_mut(id)
            .ok_or(RpcError::FilterNotFound)?;
        filter.polled_ms = now_ms;
        Ok(read(&mut filter.kind))
    }

    /// The chain goes on at this height, below which some filters may be already.
    pub(crate) fn rewind(&self, height: u64) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        for filter in table.installed.values_mut() {
            match &mut filter.kind {
                Kind::Blocks { next } | Kind::Logs { next, .. } => {
                    *next = height.saturating_add(1).min(*next);
                }
                Kind::Pending { .. } => {}
            }
        }
    }

    fn uninstall(&self, id: &U128, now_ms: u64) -> bool {
        self.lock(now_ms).installed.remove(id).is_some()
    }
}

fn new_filter(backend: &Backend, args: &Args) -> Result<U128, RpcError> {
    let filter: Filter = args.one()?;
    log::check(&filter)?;
    let next = backend.latest_height()? + 1;
    let filter = Box::new(filter);
    backend
        .filters
        .install(Kind::Logs { next, filter }, backend.now_ms())
}

fn new_block_filter(backend: &Backend, args: &Args) -> Result<U128, RpcError> {
    args.none()?;
    let next = backend.latest_height()? + 1;
    backend
        .filters
        .install(Kind::Blocks { next }, backend.now_ms())
}

fn new_pending_filter(backend: &Backend, args: &Args) -> Result<U128, RpcError> {
    args.at_most(1)?;
    let queue = backend.subscribe_pending();
    backend
        .filters
        .install(Kind::Pending { queue }, backend.now_ms())
}

fn uninstall(backend: &Backend, args: &Args) -> Result<bool, RpcError> {
    Ok(backend.filters.uninstall(&args.one()?, backend.now_ms()))
}

/// The heights a filter has not told, as taken from it.
enum Unread {
    Blocks { from: u64 },
    Logs { from: u64, filter: Box<Filter> },
    Pending(Vec<B256>),
}

fn changes(backend: &Backend, args: &Args) -> Result<Changes, RpcError> {
    let id: U128 = args.one()?;
    let latest = backend.latest_height()?;
    // One poll tells what one query may span; the rest comes with the next poll.
    let advance = |next: &mut u64| {
        let from = *next;
        let span = u64::try_from(backend.config.logs_blocks_max).unwrap_or(u64::MAX);
        let to = latest.min(from.saturating_add(span.saturating_sub(1)));
        *next = from.max(to + 1);
        (from, to)
    };
    let (unread, to) = backend
        .filters
        .poll(&id, backend.now_ms(), |kind| match kind {
            Kind::Blocks { next } => {
                let (from, to) = advance(next);
                (Unread::Blocks { from }, to)
            }
            Kind::Logs { next, filter } => {
                let (from, to) = advance(next);
                let filter = filter.clone();
                (Unread::Logs { from, filter }, to)
            }
            Kind::Pending { queue } => (Unread::Pending(drain(queue)), 0),
        })?;
    match unread {
        Unread::Blocks { from } => Ok(Changes::Hashes(block_hashes(backend, from, to)?)),
        Unread::Logs { from, .. } if from > to => Ok(Changes::Logs(Vec::new())),
        Unread::Logs { from, filter } => Ok(Changes::Logs(log::scan(backend, &filter, from..=to)?)),
        Unread::Pending(hashes) => Ok(Changes::Hashes(hashes)),
    }
}

fn block_hashes(backend: &Backend, from: u64, to: u64) -> Result<Vec<B256>, RpcError> {
    let mut hashes = Vec::new();
    for height in from..=to {
        hashes.extend(backend.chain.record(height)?.map(|record| record.hash));
    }
    Ok(hashes)
}

/// Everything queued; what was overwritten while nobody polled is skipped.
fn drain(queue: &mut Receiver<RecoveredTransaction>) -> Vec<B256> {
    let mut hashes = Vec::new();
    loop {
        match queue.try_recv() {
            Ok(transaction) => hashes.push(transaction.hash()),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return hashes,
        }
    }
}

fn all_logs(backend: &Backend, args: &Args) -> Result<Vec<Log>, RpcError> {
    let id: U128 = args.one()?;
    let filter = backend
        .filters
        .poll(&id, backend.now_ms(), |kind| match kind {
            Kind::Logs { filter, .. } => Some(filter.clone()),
            Kind::Blocks { .. } | Kind::Pending { .. } => None,
        })?;
    let filter = filter.ok_or(RpcError::FilterNotFound)?;
    log::search(backend, &filter)
}
