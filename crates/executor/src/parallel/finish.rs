//! From cells and drafts to a block's result, on all workers.

use super::{cells::Cells, turn::Turn};
use crate::{
    access::AccessLog,
    bloom::BloomHasher,
    executed::{ExecutedBlock, Writes},
    input::ExecutionInput,
    receipt::{Receipt, ReceiptDraft},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use rayon::prelude::*;
use state::{AccountDiff, StateDiff};
use std::collections::BTreeMap;

/// Locations that one worker looks through at least.
const PART_MIN: usize = 1_024;

/// Builds the result of a block whose transactions are all committed.
pub(crate) fn finish(
    input: &ExecutionInput<'_>,
    cells: &Cells<'_>,
    turn: Turn<'_>,
) -> ExecutedBlock {
    let Turn {
        log,
        receipts,
        drafts,
        inclusion_faults,
        ..
    } = turn;
    let codes = log.codes.iter();
    let codes: BTreeMap<B256, Bytes> = codes
        .map(|(hash, code)| (*hash, code.original_bytes()))
        .collect();
    let (receipts, (diff, touched)) = rayon::join(
        || finish_receipts(input, receipts, drafts),
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

/// The receipts of all transactions, the first of which are finished.
fn finish_receipts(
    input: &ExecutionInput<'_>,
    mut receipts: Vec<Receipt>,
    drafts: Vec<ReceiptDraft>,
) -> Vec<Receipt> {
    let gas_used = |receipt: &Receipt| receipt.envelope.cumulative_gas_used();
    let mut sum = receipts.last().map_or(0, gas_used);
    let left = input.transactions.get(receipts.len()..);
    let cumulative: Vec<u64> = drafts
        .iter()
        .map(|draft| {
            sum = sum.saturating_add(draft.gas_used);
            sum
        })
        .collect();
    let base_fee = input.environment.base_fee;
    let finished = drafts
        .into_par_iter()
        .with_min_len(512)
        .zip(cumulative)
        .zip(left.unwrap_or_default())
        .map_init(
            BloomHasher::default,
            |hasher, ((draft, gas), transaction)| draft.finish(transaction, base_fee, gas, hasher),
        );
    receipts.par_extend(finished);
    receipts
}

fn diff(cells: &Cells<'_>, codes: &BTreeMap<B256, Bytes>) -> StateDiff {
    let (accounts, slots) = rayon::join(|| changed_accounts(cells), || changed_slots(cells));
    // Looking at the cells again takes longer than building the map, so all workers do it.
    let accounts: Vec<_> = accounts
        .par_iter()
        .with_min_len(PART_MIN)
        .filter_map(|(address, place)| Some((*address, account_diff(cells, *place, &slots)?)))
        .collect();
    let accounts = accounts.into_iter().collect();
    let code = match codes.is_empty() {
        true => BTreeMap::new(),
        false => new_code(cells, &accounts, codes),
    };
    StateDiff { accounts, code }
}

/// The code of accounts that had other code before the block.
fn new_code(
    cells: &Cells<'_>,
    accounts: &BTreeMap<Address, AccountDiff>,
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

/// Accounts that transactions have changed, or of which they have changed a slot, by address, with
/// their places.
fn changed_accounts(cells: &Cells<'_>) -> Vec<(Address, usize)> {
    let mut changed: Vec<_> = (0..cells.accounts.len())
        .into_par_iter()
        .with_min_len(PART_MIN)
        .filter_map(|place| {
            let cell = cells.accounts.at(place)?;
            // An account is loaded before its slots, so none of them is without its account.
            (cell.marks.is_written() || cell.marks.has_written_slot())
                .then_some((cell.address, place))
        })
        .collect();
    changed.par_sort_unstable();
    changed
}

/// Slots that transactions have changed, by address and key, with their places.
fn changed_slots(cells: &Cells<'_>) -> Vec<(Address, U256, usize)> {
    let mut changed: Vec<_> = (0..cells.slots.len())
        .into_par_iter()
        .with_min_len(PART_MIN)
        .filter_map(|place| {
            let cell = cells.slots.at(place)?;
            let is_written = cell.marks.is_written();
            is_written.then_some((cell.address, cell.key, place))
        })
        .collect();
    changed.par_sort_unstable();
    changed
}

/// The slots of one account, out of all by address.
fn slots_of<'s>(
    slots: &'s [(Address, U256, usize)],
    address: &Address,
) -> &'s [(Address, U256, usize)] {
    let start = slots.partition_point(|(of, ..)| of < address);
    let (_, rest) = slots.split_at(start);
    let end = rest.partition_point(|(of, ..)| of == address);
    rest.split_at(end).0
}

/// How an account differs from what it was before the block.
fn account_diff(
    cells: &Cells<'_>,
    place: usize,
    slots: &[(Address, U256, usize)],
) -> Option<AccountDiff> {
    let cell = cells.accounts.at(place)?;
    let present = cell.present();
    let existed = cell.before.is_some();
    if present.account.is_none() {
        return existed.then(AccountDiff::default);
    }
    let own = match cell.marks.has_written_slot() {
        true => slots_of(slots, &cell.address),
        false => &[],
    };
    let storage: BTreeMap<U256, U256> = own
        .iter()
        .filter_map(|(_, key, place)| {
            let cell = cells.slots.at(*place)?;
            let value = cell.value(present.incarnation);
            let is_changed = match present.incarnation {
                0 => value != cell.before,
                _ => !value.is_zero(),
            };
            is_changed.then_some((*key, value))
        })
        .collect();
    let storage_wiped = present.incarnation > 0 && existed;
    let is_changed = present.account != cell.before || storage_wiped || !storage.is_empty();
    is_changed.then_some(AccountDiff {
        account: present.account,
        storage_wiped,
        storage,
    })
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
    let (accounts, slots) = rayon::join(
        || {
            let places = (0..cells.accounts.len()).into_par_iter();
            places
                .with_min_len(PART_MIN)
                .filter_map(|place| cells.accounts.at(place))
                .filter(|cell| cell.marks.is_touched())
                .map(|cell| (!cell.marks.is_written()).then_some(cell.address))
                .collect::<Vec<_>>()
        },
        || {
            let places = (0..cells.slots.len()).into_par_iter();
            places
                .with_min_len(PART_MIN)
                .filter_map(|place| cells.slots.at(place))
                .filter(|cell| cell.marks.is_touched())
                .map(|cell| (!cell.marks.is_written()).then_some((cell.address, cell.key)))
                .collect::<Vec<_>>()
        },
    );
    Touched {
        accounts: accounts.len(),
        slots: slots.len(),
        read_accounts: accounts.into_iter().flatten().collect(),
        read_slots: slots.into_iter().flatten().collect(),
    }
}
