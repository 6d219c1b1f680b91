//! A list made ready for reading: what the state says of every location, and where everything lies.
//!
//! ```text
//! location before transaction i  =  the last change with a lower index, else the state's value
//! ```
//! Nothing changes once it is made, so workers share it without a lock. The state is read in the
//! order of the list, once for each location, by all workers.

use super::{buckets::Buckets, spread::Spread};
use crate::{
    access::{Change, ListedSlot, Lists, to_usize},
    fault::ExecutionFault,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use state::{Account, ReadFault, StateReader};
use std::sync::{Mutex, PoisonError};

/// Slots of one account from which on they get buckets of their own.
const SLOTS_MANY: usize = 32;

/// A list over a state.
#[derive(Debug)]
pub(crate) struct Index<'a> {
    pub(super) lists: &'a Lists,
    accounts: Buckets,
    /// Of accounts with many slots, by the account's place.
    slots: Vec<(u32, Buckets)>,
    /// What the state says of each account.
    bases: Vec<Option<Account>>,
    /// What the state says of each slot.
    slot_bases: Vec<U256>,
    /// How many changes each transaction makes.
    counts: Vec<u32>,
    /// Places of the list's code changes, by hash.
    codes: Vec<(B256, usize)>,
}

/// An account around one transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(super) before: Option<Account>,
    /// What the transaction makes of it.
    pub(super) balance: Option<&'a U256>,
    pub(super) nonce: Option<&'a u64>,
    pub(super) code_hash: Option<&'a B256>,
    pub(super) wiped: bool,
    /// Whether the list has neither a change of the account nor a slot of it.
    pub(super) is_bare: bool,
}

impl<'a> Index<'a> {
    pub(super) fn new(
        lists: &'a Lists,
        state: &(dyn StateReader + Sync),
        spread: Spread<'_>,
    ) -> Result<Self, ExecutionFault> {
        let (bases, shape) = spread.join(
            || read_state(lists, state, spread),
            || {
                let prefixes = lists
                    .accounts
                    .iter()
                    .map(|account| prefix(&account.address));
                let accounts = Buckets::new(lists.accounts.len(), prefixes);
                (accounts, bucket_slots(lists), count_changes(lists))
            },
        );
        let (bases, slot_bases) = bases?;
        let (accounts, slots, counts) = shape;
        let codes = lists.codes.iter().enumerate();
        let mut codes: Vec<_> = codes
            .map(|(place, change)| (change.value.hash, place))
            .collect();
        codes.sort_unstable();
        Ok(Self {
            lists,
            accounts,
            slots,
            bases,
            slot_bases,
            counts,
            codes,
        })
    }

    /// The place of an account.
    pub(super) fn find(&self, address: &Address) -> Option<usize> {
        let range = self.accounts.range(prefix(address));
        let start = range.start;
        let bucket = self.lists.accounts.get(range)?;
        let found = bucket.binary_search_by(|account| account.address.cmp(address));
        start.checked_add(found.ok()?)
    }

    /// The place of a slot of the account at a place.
    pub(super) fn find_slot(&self, account: usize, key: &U256) -> Option<usize> {
        let (mut start, mut slots) = self.lists.slots_of(account)?;
        if slots.len() >= SLOTS_MANY
            && let Ok(found) = self
                .slots
                .binary_search_by(|(place, _)| to_usize(*place).cmp(&account))
        {
            let (_, buckets) = self.slots.get(found)?;
            let range = buckets.range(slot_prefix(key));
            start = start.checked_add(range.start)?;
            slots = slots.get(range)?;
        }
        let found = slots.binary_search_by(|slot| slot.key.cmp(key));
        start.checked_add(found.ok()?)
    }

    /// The account at a place before the transaction with an index, and what that makes of it.
    pub(super) fn window(&self, account: usize, index: u32) -> Option<Window<'a>> {
        let part = self.lists.part(account)?;
        let base = self.bases.get(account).copied()?;
        let (balance_before, balance) = around(part.balances, index);
        let (nonce_before, nonce) = around(part.nonces, index);
        let (code_before, code) = around(part.codes, index);
        let (wipe_before, wipe) = around(part.wipes, index);
        let is_base = balance_before.is_none()
            && nonce_before.is_none()
            && code_before.is_none()
            && wipe_before.is_none();
        let before = match is_base {
            true => base,
            false => {
                let base = base.unwrap_or_default();
                Some(Account {
                    nonce: nonce_before.map_or(base.nonce, |change| change.value),
                    balance: balance_before.map_or(base.balance, |change| change.value),
                    code_hash: code_before.map_or(base.code_hash, |change| change.value.hash),
                })
                .filter(|account| !account.is_empty())
            }
        };
        Some(Window {
            before,
            balance: balance.map(|change| &change.value),
            nonce: nonce.map(|change| &change.value),
            code_hash: code.map(|change| &change.value.hash),
            wiped: wipe.is_some(),
            is_bare: part.is_unchanged() && part.slots.is_empty(),
        })
    }

    /// The account at a place after the block.
    pub(super) fn account_after(&self, account: usize) -> Option<Account> {
        self.window(account, u32::MAX)?.before
    }

    /// The account at a place before the block.
    pub(super) fn account_before(&self, account: usize) -> Option<Account> {
        self.bases.get(account).copied().flatten()
    }

    /// The slot at a place before the block.
    pub(super) fn slot_before(&self, slot: usize) -> U256 {
        self.slot_bases.get(slot).copied().unwrap_or_default()
    }

    /// The slot at a place, of an account with these wipes, before the transaction with an index.
    pub(super) fn slot(&self, slot: usize, wipes: &[Change<()>], index: u32) -> U256 {
        let (before, _) = around(self.lists.values_of(slot), index);
        let (wipe, _) = around(wipes, index);
        match (before, wipe) {
            (Some(change), Some(wipe)) if change.index < wipe.index => U256::ZERO,
            (Some(change), _) => change.value,
            (None, Some(_)) => U256::ZERO,
            (None, None) => self.slot_before(slot),
        }
    }

    /// What the transaction with an index makes of the slot at a place.
    pub(super) fn slot_written(&self, slot: usize, index: u32) -> Option<&'a U256> {
        let (_, written) = around(self.lists.values_of(slot), index);
        written.map(|change| &change.value)
    }

    /// How many changes the transaction with an index makes.
    pub(super) fn count(&self, index: u32) -> u32 {
        self.counts
            .get(to_usize(index))
            .copied()
            .unwrap_or_default()
    }

    /// Code that somebody gets.
    pub(super) fn code(&self, hash: &B256) -> Option<&'a Bytes> {
        let found = self.codes.binary_search_by(|(code, _)| code.cmp(hash));
        let (_, place) = self.codes.get(found.ok()?)?;
        Some(&self.lists.codes.get(*place)?.value.bytes)
    }
}

/// The last change before an index, and the change at it.
type Around<'l, T> = (Option<&'l Change<T>>, Option<&'l Change<T>>);

/// Finds the last change before an index, and the change at it.
pub(super) fn around<T>(changes: &[Change<T>], index: u32) -> Around<'_, T> {
    let Some(first) = changes.first() else {
        return (None, None);
    };
    // Where every transaction makes a change, that of each lies as far behind the first as its index.
    let guess = to_usize(index.saturating_sub(first.index));
    let place = match changes.get(guess) {
        Some(change) if change.index == index => guess,
        _ => changes.partition_point(|change| change.index < index),
    };
    let before = place.checked_sub(1).and_then(|place| changes.get(place));
    let at = changes.get(place).filter(|change| change.index == index);
    (before, at)
}

/// Accounts and slots as they were before the block.
type Bases = (Vec<Option<Account>>, Vec<U256>);

/// What the state says of every account and slot.
fn read_state(
    lists: &Lists,
    state: &(dyn StateReader + Sync),
    spread: Spread<'_>,
) -> Result<Bases, ExecutionFault> {
    let fault = Mutex::new(None);
    let note = |error: ReadFault| {
        let mut fault = fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.get_or_insert(error);
    };
    let bases: Vec<Option<Account>> = spread.collect(&lists.accounts, |account| {
        let read = state.account(&account.address);
        read.unwrap_or_else(|error| {
            note(error);
            None
        })
    });
    let slots: Vec<U256> = spread.collect(&lists.slots, |slot| {
        let read = read_slot(lists, &bases, slot, state);
        read.unwrap_or_else(|error| {
            note(error);
            U256::ZERO
        })
    });
    match fault.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error.into()),
        None => Ok((bases, slots)),
    }
}

fn read_slot(
    lists: &Lists,
    bases: &[Option<Account>],
    slot: &ListedSlot,
    state: &dyn StateReader,
) -> Result<U256, ReadFault> {
    let place = to_usize(slot.account);
    match (lists.accounts.get(place), bases.get(place)) {
        (Some(account), Some(Some(_))) => state.storage(&account.address, &slot.key),
        _ => Ok(U256::ZERO),
    }
}

fn bucket_slots(lists: &Lists) -> Vec<(u32, Buckets)> {
    let accounts = lists
        .slots
        .chunk_by(|left, right| left.account == right.account);
    accounts
        .filter(|slots| slots.len() >= SLOTS_MANY)
        .filter_map(|slots| {
            let prefixes = slots.iter().map(|slot| slot_prefix(&slot.key));
            Some((slots.first()?.account, Buckets::new(slots.len(), prefixes)))
        })
        .collect()
}

fn count_changes(lists: &Lists) -> Vec<u32> {
    let mut counts = vec![0; lists.gas_used.len().saturating_add(1)];
    count(&mut counts, &lists.balances);
    count(&mut counts, &lists.nonces);
    count(&mut counts, &lists.codes);
    count(&mut counts, &lists.wipes);
    count(&mut counts, &lists.values);
    counts
}

fn count<T>(counts: &mut [u32], changes: &[Change<T>]) {
    for change in changes {
        if let Some(count) = counts.get_mut(to_usize(change.index)) {
            *count = count.saturating_add(1);
        }
    }
}

/// The first bits of an address.
fn prefix(address: &Address) -> u64 {
    let bytes = address.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(bytes)
}

/// The first bits of a key.
fn slot_prefix(key: &U256) -> u64 {
    let [.., highest] = key.into_limbs();
    highest
}
