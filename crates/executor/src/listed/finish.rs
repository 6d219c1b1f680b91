//! From a list that is right to a block's result.

use super::{index::Index, spread::Spread};
use crate::{
    access::{AccessList, AccessLog, Lists, Part},
    bloom::BloomHasher,
    executed::{AccessSummary, ExecutedBlock, InclusionFault},
    input::ExecutionInput,
    receipt::{Receipt, ReceiptDraft},
    report::BlockReport,
};
use alloy_primitives::{B256, Bloom, Bytes, U256};
use primitives::RecoveredTransaction;
use rayon::prelude::*;
use state::{Account, AccountDiff, StateDiff};
use std::{collections::BTreeMap, sync::OnceLock};

/// Fewest receipts that are worth another worker's while.
const RECEIPTS_MIN: usize = 16;
/// Fewest blooms that are.
const BLOOMS_MIN: usize = 2_048;

/// What executing by a list gives.
pub(super) struct Executed {
    pub(super) receipts: Vec<Receipt>,
    pub(super) diff: StateDiff,
    pub(super) inclusion_faults: Vec<InclusionFault>,
    pub(super) executions: usize,
}

impl Executed {
    /// The block's result.
    pub(super) fn into_block(mut self, list: &AccessList, spread: Spread<'_>) -> ExecutedBlock {
        self.inclusion_faults
            .sort_unstable_by_key(|fault| fault.index);
        let lists = list.lists();
        let slots = self.diff.accounts.values().map(|diff| diff.storage.len());
        let access = AccessSummary {
            accounts_read: count(lists.accounts.len()),
            slots_read: count(lists.slots.len()),
            accounts_written: count(self.diff.accounts.len()),
            slots_written: count(slots.fold(0, usize::saturating_add)),
        };
        ExecutedBlock {
            logs_bloom: logs_bloom(&self.receipts, spread),
            receipts: self.receipts,
            diff: self.diff,
            gas_used: lists.gas_used.iter().copied().fold(0, u64::saturating_add),
            inclusion_faults: self.inclusion_faults,
            access,
            report: BlockReport {
                executions: self.executions,
                ..BlockReport::default()
            },
            log: AccessLog {
                listed: Some(list.clone()),
                ..AccessLog::default()
            },
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn logs_bloom(receipts: &[Receipt], spread: Spread<'_>) -> Bloom {
    let add = |mut sum: Bloom, receipt: &Receipt| {
        if !receipt.envelope.logs().is_empty() {
            sum.accrue_bloom(receipt.envelope.logs_bloom());
        }
        sum
    };
    if spread.workers > 1 {
        let all = receipts.par_iter().with_min_len(BLOOMS_MIN);
        return all
            .fold(|| Bloom::ZERO, add)
            .reduce(|| Bloom::ZERO, |left, right| left | right);
    }
    receipts.iter().fold(Bloom::ZERO, add)
}

/// The receipts; a transaction without a draft is a plain transfer.
pub(super) fn receipts(
    input: &ExecutionInput<'_>,
    lists: &Lists,
    drafts: Vec<OnceLock<ReceiptDraft>>,
    spread: Spread<'_>,
) -> Vec<Receipt> {
    let base_fee = input.environment.base_fee;
    let mut sum = 0_u64;
    let cumulative: Vec<u64> = lists
        .gas_used
        .iter()
        .map(|gas_used| {
            sum = sum.saturating_add(*gas_used);
            sum
        })
        .collect();
    let finish = |hasher: &mut BloomHasher,
                  (((draft, gas_used), sum), transaction): Finished<'_>| {
        let draft: Option<ReceiptDraft> = draft.into_inner();
        let draft = draft.unwrap_or_else(|| ReceiptDraft::succeeded(*gas_used));
        draft.finish(transaction, base_fee, *sum, hasher)
    };
    if spread.workers > 1 {
        let all = drafts.into_par_iter().with_min_len(RECEIPTS_MIN);
        let all = all.zip(&lists.gas_used).zip(&cumulative);
        return all
            .zip(input.transactions)
            .map_init(BloomHasher::default, finish)
            .collect();
    }
    let mut hasher = BloomHasher::default();
    let all = drafts.into_iter().zip(&lists.gas_used).zip(&cumulative);
    all.zip(input.transactions)
        .map(|one| finish(&mut hasher, one))
        .collect()
}

/// A draft, the gas of its transaction, that of the block up to and including it, the transaction.
type Finished<'f> = (
    ((OnceLock<ReceiptDraft>, &'f u64), &'f u64),
    &'f RecoveredTransaction,
);

/// Everything that differs from what it was before the block.
pub(super) fn diff(index: &Index<'_>) -> StateDiff {
    let lists = index.lists;
    let mut code = BTreeMap::new();
    let accounts = lists.parts().enumerate().filter_map(|(place, part)| {
        if part.is_unchanged() && part.slots.is_empty() {
            return None;
        }
        let diff = account_diff(index, place, &part)?;
        code.extend(new_code(index, place, diff.account.as_ref()));
        Some((part.address, diff))
    });
    StateDiff {
        accounts: accounts.collect(),
        code,
    }
}

fn account_diff(index: &Index<'_>, place: usize, part: &Part<'_>) -> Option<AccountDiff> {
    let before = index.account_before(place);
    let account = match part.is_unchanged() {
        true => before,
        false => index.account_after(place),
    };
    if account.is_none() {
        return before.is_some().then(AccountDiff::default);
    }
    let is_wiped = !part.wipes.is_empty();
    let changed = part.slots.iter().zip(part.first_slot..);
    let storage: BTreeMap<U256, U256> = changed
        .filter(|(_, place)| !index.lists.values_of(*place).is_empty())
        .map(|(slot, place)| (slot.key, index.slot(place, part.wipes, u32::MAX), place))
        .filter(|(_, value, place)| match is_wiped {
            true => !value.is_zero(),
            false => *value != index.slot_before(*place),
        })
        .map(|(key, value, _)| (key, value))
        .collect();
    let storage_wiped = is_wiped && before.is_some();
    let is_changed = before != account || storage_wiped || !storage.is_empty();
    is_changed.then_some(AccountDiff {
        account,
        storage_wiped,
        storage,
    })
}

/// The code of an account that had other code before the block.
fn new_code(index: &Index<'_>, place: usize, account: Option<&Account>) -> Option<(B256, Bytes)> {
    let hash = account.filter(|account| account.has_code())?.code_hash;
    let before = index.account_before(place);
    let is_new = before.is_none_or(|before| before.code_hash != hash);
    is_new.then(|| Some((hash, index.code(&hash)?.clone())))?
}
