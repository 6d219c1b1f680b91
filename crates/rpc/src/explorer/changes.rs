//! What a transaction changed in the state, from its block's access list.
//!
//! ```text
//! access list: value after transaction i ─┬▶ after
//! value after the last one before it      ─┴▶ before; if none wrote it, the state before the block
//! ```
//! Limits: [`CHANGES_MAX`] changes are shown; the list itself is refused as `headway_getBlockAccessList` does.

use super::{
    format,
    html::{self, Html},
};
use crate::{
    backend::Backend,
    config::ACCESS_LIST_BYTES_MAX,
    error::RpcError,
    headway::access_list::{self, AccountAccess},
};
use alloy_primitives::{Address, B256, U64, U256};
use pipeline::ExecutedRecord;
use state::{Snapshot, StateReader as _};

/// Changes of one transaction that are shown.
const CHANGES_MAX: usize = 200;

/// One value that became another.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) account: Html,
    pub(super) what: &'static str,
    /// Which slot of the storage.
    pub(super) storage_slot: Option<Html>,
    pub(super) before: Html,
    pub(super) after: Html,
    /// By how much, if it is an amount.
    pub(super) delta: Option<Html>,
}

/// What a transaction changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) shown: Vec<Change>,
    /// How many there are.
    pub(super) count: usize,
    /// Why they are not known.
    pub(super) missing: Option<String>,
}

impl Changes {
    fn unknown(why: impl ToString) -> Self {
        Self {
            missing: Some(why.to_string()),
            ..Self::default()
        }
    }

    fn add(&mut self, change: impl FnOnce() -> Change) {
        self.count += 1;
        if self.shown.len() < CHANGES_MAX {
            self.shown.push(change());
        }
    }
}

/// The changes of a transaction of a block.
pub(super) fn of(backend: &Backend, record: &ExecutedRecord, index: usize) -> Changes {
    match read(backend, record, index) {
        Ok(changes) => changes,
        Err(error) => Changes::unknown(error),
    }
}

fn read(backend: &Backend, record: &ExecutedRecord, index: usize) -> Result<Changes, RpcError> {
    let height = record.height();
    let encoded = backend.chain.access_list(height)?.unwrap_or_default();
    if encoded.is_empty() {
        return Err(RpcError::AccessListUnavailable(height));
    }
    if encoded.len() > ACCESS_LIST_BYTES_MAX {
        return Ok(Changes::unknown(
            "the access list of this block is too large to be searched",
        ));
    }
    let accounts = access_list::decode(&encoded)?.list.accounts;
    let search = Search {
        // Index 0 is what comes before the first transaction.
        index: index as u64 + 1,
        before: backend.chain.snapshot(height.saturating_sub(1)).ok(),
    };
    let mut changes = Changes::default();
    for account in &accounts {
        search.account(account, &mut changes)?;
    }
    Ok(changes)
}

struct Search {
    index: u64,
    /// The state before the block, if it is kept.
    before: Option<Snapshot>,
}

impl Search {
    fn account(&self, account: &AccountAccess, changes: &mut Changes) -> Result<(), RpcError> {
        let address = &account.address;
        let old = self
            .before
            .as_ref()
            .map(|state| state.account(address))
            .transpose()?;
        let old = old.map(Option::unwrap_or_default);
        let row = |what, before, after| Change {
            account: html::address(address),
            what,
            storage_slot: None,
            before,
            after,
            delta: None,
        };
        let balances = account.balance_changes.iter();
        let balances = balances.map(|change| (change.index, change.value));
        if let Some((before, after)) = self.pick(balances) {
            let before = before.or(old.map(|old| old.balance));
            let delta = |before| html::text(&delta(before, after));
            changes.add(|| Change {
                delta: before.map(delta),
                ..row("balance", known(before, coins), coins(after))
            });
        }
        let nonces = account.nonce_changes.iter();
        let nonces = nonces.map(|change| (change.index, change.value));
        if let Some((before, after)) = self.pick(nonces) {
            let before = before.or(old.map(|old| U64::from(old.nonce)));
            changes.add(|| row("nonce", known(before, html::number), html::number(after)));
        }
        let codes = account.code_changes.iter();
        if let Some((before, after)) = self.pick(codes.map(|code| (code.index, code.code.len()))) {
            let bytes = |bytes| html::text(&format!("{} bytes", format::count(bytes)));
            changes.add(|| row("code", known(before, bytes), bytes(after)));
        }
        self.storage(account, changes)
    }

    fn storage(&self, account: &AccountAccess, changes: &mut Changes) -> Result<(), RpcError> {
        for storage_slot in &account.storage_changes {
            let key = storage_slot.key.0;
            let values = storage_slot.changes.iter();
            let values = values.map(|change| (change.index, change.value.0));
            let Some((before, after)) = self.pick(values) else {
                continue;
            };
            let before = match (before, &self.before) {
                (None, Some(state)) => Some(state.storage(&account.address, &key)?),
                (before, _) => before,
            };
            changes.add(|| storage_change(&account.address, key, (before, after)));
        }
        Ok(())
    }

    /// The value that this transaction wrote, and what an earlier one of the block wrote.
    fn pick<T: Copy>(&self, values: impl Iterator<Item = (U64, T)>) -> Option<(Option<T>, T)> {
        let mut before = None;
        for (index, value) in values {
            match index.to::<u64>().cmp(&self.index) {
                std::cmp::Ordering::Less => before = Some(value),
                std::cmp::Ordering::Equal => return Some((before, value)),
                std::cmp::Ordering::Greater => return None,
            }
        }
        None
    }
}

fn storage_change(address: &Address, key: U256, (before, after): (Option<U256>, U256)) -> Change {
    let word = |value: U256| html::word(&B256::from(value));
    Change {
        account: html::address(address),
        what: "storage",
        storage_slot: Some(word(key)),
        before: known(before, word),
        after: word(after),
        delta: None,
    }
}

fn coins(wei: U256) -> Html {
    html::text(&format::coins(wei))
}

/// By how much an amount grew or shrank.
fn delta(before: U256, after: U256) -> String {
    match after.checked_sub(before) {
        Some(more) => format!("+{}", format::value(more)),
        None => format!("−{}", format::value(before.saturating_sub(after))),
    }
}

/// What was before, unless that is not kept any more.
fn known<T>(before: Option<T>, show: impl Fn(T) -> Html) -> Html {
    before.map_or_else(|| html::text("not kept"), show)
}
