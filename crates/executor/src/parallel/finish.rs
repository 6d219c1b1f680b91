//! From cells and drafts to a block's result, on all workers.

use super::{
    cells::{AccountCell, Cells, SlotCell},
    turn::Turn,
};
use crate::{
    bloom::BloomHasher,
    access::AccessLog,
    executed::{ExecutedBlock, Writes},
    input::ExecutionInput,
    receipt::Receipt,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use rayon::prelude::*;
use state::{AccountDiff, StateDiff};
use std::collections::BTreeMap;

/// Builds the result of a block whose transactions are all committed.
pub(crate) fn finish(
    input: &ExecutionInput<'_>,
    cells: &Cells<'_>,
    turn: Turn<'_>,
) -> ExecutedBlock {
    let Turn {
        log,
        drafts,
        inclusion_faults,
        ..
    } = turn;
    let codes = log.codes.iter();
    let codes: BTreeMap<B256, Bytes> = codes
        .map(|(hash, code)| (*hash, code.original_bytes()))
        .collect();
    let (receipts, (diff, touched)) = rayon::join(
        || finish_receipts(input, drafts),
        || rayon::join(|| diff(cells, &codes), || touched(cells)),
    );
    let writes = Writes {
        diff,
        accounts_read: touched.accounts,
        slots_read: touched.slots,
        log: AccessLog {
            read_accounts: touched.read_accounts,
            read_slots: touched.read_slots,
            ..log
        },
    };
    ExecutedBlock::new(receipts, inclusion_faults, writes)
}

fn finish_receipts(
    input: &ExecutionInput<'_>,
    drafts: Vec<crate::receipt::ReceiptDraft>,
) -> Vec<Receipt> {
    let mut sum = 0_u64;
    let cumulative: Vec<u64> = drafts
        .iter()
        .map(|draft| {
            sum = sum.saturating_add(draft.gas_used);
            sum
        })
        .collect();
    let base_fee = input.environment.base_fee;
    drafts
        .into_par_iter()
        .with_min_len(512)
        .zip(cumulative)
        .zip(input.transactions)
        .map_init(BloomHasher::default, |hasher, ((draft, gas), transaction)| {
            draft.finish(transaction, base_fee, gas, hasher)
        })
        .collect()
}

fn diff(cells: &Cells<'_>, codes: &BTreeMap<B256, Bytes>) -> StateDiff {
    let (mut accounts, slots) = rayon::join(|| changed_accounts(cells), || changed_slots(cells));
    let mut storage = group(slots);
    let mut extra = Vec::new();
    for (address, slots) in std::mem::take(&mut storage) {
        match accounts.binary_search_by_key(&address, |(address, _)| *address) {
            Ok(place) => {
                if let Some((_, diff)) = accounts.get_mut(place)
                    && diff.account.is_some()
                {
                    diff.storage = slots;
                }
            }
            Err(_) => extra.push((address, slots)),
        }
    }
    for (address, storage) in extra {
        let account = cells.account(&address).ok().map(AccountCell::present);
        if let Some(account) = account.and_then(|present| present.account) {
            let diff = AccountDiff {
                account: Some(account),
                storage_wiped: false,
                storage,
            };
            accounts.push((address, diff));
        }
    }
    let code = match codes.is_empty() {
        true => BTreeMap::new(),
        false => new_code(cells, &accounts, codes),
    };
    StateDiff {
        accounts: accounts.into_iter().collect(),
        code,
    }
}

/// The code of accounts that had other code before the block.
fn new_code(
    cells: &Cells<'_>,
    accounts: &[(Address, AccountDiff)],
    codes: &BTreeMap<B256, Bytes>,
) -> BTreeMap<B256, Bytes> {
    let changed = accounts.iter().filter_map(|(address, diff)| {
        let hash = diff.account?.code_hash;
        let before = cells.account(address).ok()?.before;
        let had = before.map(|account| account.code_hash);
        (had != Some(hash)).then_some(hash)
    });
    changed
        .filter_map(|hash| Some((hash, codes.get(&hash)?.clone())))
        .collect()
}

/// Accounts that differ from what they were before the block, by address.
fn changed_accounts(cells: &Cells<'_>) -> Vec<(Address, AccountDiff)> {
    let mut changed: Vec<_> = (0..cells.accounts.len())
        .into_par_iter()
        .with_min_len(256)
        .filter_map(|place| account_diff(cells.accounts.at(place)?))
        .collect();
    changed.par_sort_unstable_by_key(|(address, _)| *address);
    changed
}

fn account_diff(cell: &AccountCell) -> Option<(Address, AccountDiff)> {
    if !cell.marks.is_written() {
        return None;
    }
    let present = cell.present();
    let existed = cell.before.is_some();
    let storage_wiped = present.account.is_some() && present.incarnation > 0 && existed;
    (present.account != cell.before || storage_wiped).then(|| {
        let diff = AccountDiff {
            account: present.account,
            storage_wiped,
            storage: BTreeMap::new(),
        };
        (cell.address, diff)
    })
}

/// Slots that differ from what they were before the block, by address and key.
fn changed_slots(cells: &Cells<'_>) -> Vec<(Address, U256, U256)> {
    let mut changed: Vec<_> = (0..cells.slots.len())
        .into_par_iter()
        .with_min_len(256)
        .filter_map(|place| changed_slot(cells, cells.slots.at(place)?))
        .collect();
    changed.par_sort_unstable();
    changed
}

fn changed_slot(cells: &Cells<'_>, cell: &SlotCell) -> Option<(Address, U256, U256)> {
    if !cell.marks.is_written() {
        return None;
    }
    let account = cells.account(&cell.address).ok()?.present();
    let value = cell.value(account.incarnation);
    let is_changed = match account.incarnation {
        0 => value != cell.before,
        _ => !value.is_zero(),
    };
    is_changed.then_some((cell.address, cell.key, value))
}

fn group(slots: Vec<(Address, U256, U256)>) -> Vec<(Address, BTreeMap<U256, U256>)> {
    slots
        .chunk_by(|(left, ..), (right, ..)| left == right)
        .filter_map(|chunk| {
            let (address, ..) = chunk.first()?;
            let slots = chunk.iter().map(|(_, key, value)| (*key, *value));
            Some((*address, slots.collect()))
        })
        .collect()
}

/// What committed transactions have touched.
#[derive(Default)]
struct Touched {
    accounts: usize,
    slots: usize,
    /// Never changed.
    read_accounts: Vec<Address>,
    /// Never changed.
    read_slots: Vec<(Address, U256)>,
}

fn touched(cells: &Cells<'_>) -> Touched {
    let mut touched = Touched::default();
    let accounts = (0..cells.accounts.len()).filter_map(|place| cells.accounts.at(place));
    for cell in accounts.filter(|cell| cell.marks.is_touched()) {
        touched.accounts = touched.accounts.saturating_add(1);
        if !cell.marks.is_written() {
            touched.read_accounts.push(cell.address);
        }
    }
    let slots = (0..cells.slots.len()).filter_map(|place| cells.slots.at(place));
    for cell in slots.filter(|cell| cell.marks.is_touched()) {
        touched.slots = touched.slots.saturating_add(1);
        if !cell.marks.is_written() {
            touched.read_slots.push((cell.address, cell.key));
        }
    }
    touched
}
