//! What takes the newest state back to an older one.
//!
//! ```text
//!   height asked ◀──────── history ──────── flushed ◀──── memory ──── newest
//! ```
//!
//! For every key that was written since, its value at the height: from the first row of the history
//! that is later, else from memory. Limit: [`WRITES_MAX`] writes.

use super::chain::Since;
use super::error::StoreError;
use super::files::{bad_row, decode_account};
use super::rows::{StateKey, decode_slot};
use crate::diff::StateDiff;
use crate::reader::Account;
use crate::runs::{Family, View};
use crate::snapshot::ProofError;
use crate::sparse::{AccountChange, Changes, Lanes, SlotWrite};
use crate::versions::Versions;
use alloy_primitives::{B256, U256};
use std::collections::BTreeMap;

/// Writes that are taken back at most for the proof at an older height. Taking back so many takes some
/// 0.1 s and 100 MB.
const WRITES_MAX: usize = if cfg!(test) { 64 } else { 100_000 };

/// Rows of the history that are read at most, those of earlier heights in the same files among them: some
/// 0.3 s.
const ROWS_MAX: usize = 2_000_000;

/// What one account was.
#[derive(Default)]
struct Earlier {
    /// `None` where it is not known yet; it always is in the end.
    account: Option<Option<Account>>,
    /// Whether it did not exist at the flushed height: then what it has now is all newer, and what it had
    /// before is all in the history.
    storage_wiped: bool,
    slots: BTreeMap<B256, U256>,
}

/// The writes that lead from the newest state back to that of a height.
pub(super) fn changes(
    since: &Since,
    height: u64,
    versions: &Versions,
) -> Result<Changes, ProofError> {
    let mut left = WRITES_MAX;
    for diff in &since.diffs {
        take(&mut left, diff.len())?;
    }
    let back = in_memory(since, versions);
    if since.from.height <= height {
        return Ok(back);
    }
    let mut earlier = from_memory(back);
    add_history(&mut earlier, &since.view, height, &mut left)?;
    Ok(to_changes(earlier))
}

/// The writes that lead from the newest state back to the oldest that `since` knows.
pub(super) fn in_memory(since: &Since, versions: &Versions) -> Changes {
    let mut later = StateDiff::default();
    since.diffs.iter().for_each(|diff| later.merge(diff));
    let back = versions.as_it_was(since.from.height, &later);
    Changes::of(&back, Lanes::Widest)
}

fn take(left: &mut usize, writes: usize) -> Result<(), ProofError> {
    let too_many = ProofError::TooManyWrites { most: WRITES_MAX };
    *left = left.checked_sub(writes).ok_or(too_many)?;
    Ok(())
}

fn from_memory(back: Changes) -> BTreeMap<B256, Earlier> {
    let entry = |change: AccountChange| {
        let slots = change.slots.iter().map(|slot| (slot.key, slot.value));
        let earlier = Earlier {
            account: Some(change.account),
            storage_wiped: change.account.is_none(),
            slots: slots.collect(),
        };
        (change.key, earlier)
    };
    back.into_accounts().into_iter().map(entry).collect()
}

/// Puts what the history knows over what memory knows, which is of a later height.
fn add_history(
    accounts: &mut BTreeMap<B256, Earlier>,
    view: &View,
    height: u64,
    left: &mut usize,
) -> Result<(), ProofError> {
    let mut last = None;
    let rows = view.history_rows(height).map_err(StoreError::from)?;
    let mut rows = rows.at_most(ROWS_MAX);
    while let Some((key, _, before)) = rows.next_row().map_err(StoreError::from)? {
        take(left, 1)?;
        let key = StateKey::parse(key).ok_or_else(|| bad_row("history key"))?;
        // Of several rows of one key the first is the oldest.
        if last.replace(key) == Some(key) {
            continue;
        }
        put(accounts, key, before)?;
    }
    if rows.is_cut() {
        return Err(ProofError::TooManyWrites { most: WRITES_MAX });
    }
    for (key, earlier) in accounts
        .iter_mut()
        .filter(|(_, earlier)| earlier.account.is_none())
    {
        let row = StateKey::Account(*key).with_bytes(|key| view.get(Family::State, key));
        let row = row.map_err(StoreError::from)?;
        let value = row.map(|row| decode_account(&row)).transpose()?;
        earlier.account = Some(value.map(|value| value.account));
    }
    Ok(())
}

fn put(
    accounts: &mut BTreeMap<B256, Earlier>,
    key: StateKey,
    before: &[u8],
) -> Result<(), StoreError> {
    let (StateKey::Account(account) | StateKey::Slot(account, _)) = key;
    let earlier = accounts.entry(account).or_default();
    match key {
        StateKey::Account(_) if before.is_empty() => earlier.account = Some(None),
        StateKey::Account(_) => earlier.account = Some(Some(decode_account(before)?.account)),
        StateKey::Slot(_, slot) => {
            let value = match before.is_empty() {
                true => U256::ZERO,
                false => decode_slot(before).ok_or_else(|| bad_row("slot"))?.1,
            };
            earlier.slots.insert(slot, value);
        }
    }
    Ok(())
}

fn to_changes(accounts: BTreeMap<B256, Earlier>) -> Changes {
    let change = |(key, earlier): (B256, Earlier)| {
        let account = earlier.account.flatten();
        let slots = earlier.slots.into_iter();
        let slots = slots.map(|(key, value)| SlotWrite { key, value });
        AccountChange {
            key,
            account,
            storage_wiped: earlier.storage_wiped || account.is_none(),
            slots: if account.is_some() {
                slots.collect()
            } else {
                Vec::new()
            },
        }
    };
    Changes::new(accounts.into_iter().map(change).collect())
}
