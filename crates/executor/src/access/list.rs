//! What a block reads and writes, with values, as EIP-7928 lists it.
//!
//! ```text
//! account ─┬─ balance, nonce, code, wipe:  (index, value), …
//!          └─ slot, …                   :  (index, value), …   none: the slot is only read
//! ```
//! Index 0 is what comes before the first transaction, index `i + 1` is transaction `i`. A value is
//! that after the transaction. Two things are ours: an account's *wipes*, where its storage was
//! emptied before the transaction's own writes to it, and the gas that each transaction used.
//!
//! Everything lies in a few arrays, accounts by address and slots by key, each naming the place
//! where its own begin; they end where those of the next one begin. So a list is built, searched and
//! dropped without an allocation for each account. Copies share the arrays.

use alloy_primitives::{Address, B256, Bytes, U256};
use std::sync::Arc;

/// Everything that a block reads and writes, with values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessList(Arc<Lists>);

impl AccessList {
    pub(crate) fn new(lists: Lists) -> Self {
        Self(Arc::new(lists))
    }

    pub(crate) fn lists(&self) -> &Lists {
        &self.0
    }

    /// The accounts that the block reads or writes, absent ones too, by address.
    pub fn accounts(&self) -> impl Iterator<Item = Address> + '_ {
        self.0.accounts.iter().map(|account| account.address)
    }

    /// The slots that it reads or writes, each with its account.
    pub fn slots(&self) -> impl Iterator<Item = (Address, U256)> + '_ {
        self.0.slots.iter().filter_map(|slot| {
            let account = self.0.accounts.get(to_usize(slot.account))?;
            Some((account.address, slot.key))
        })
    }

    /// Gas that each transaction of the block uses.
    #[must_use]
    pub fn gas_used(&self) -> &[u64] {
        &self.0.gas_used
    }
}

/// The arrays of a list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Lists {
    /// By address.
    pub(crate) accounts: Vec<ListedAccount>,
    pub(crate) balances: Vec<Change<U256>>,
    pub(crate) nonces: Vec<Change<u64>>,
    pub(crate) codes: Vec<Change<Code>>,
    pub(crate) wipes: Vec<Change<()>>,
    /// By account and key.
    pub(crate) slots: Vec<ListedSlot>,
    pub(crate) values: Vec<Change<U256>>,
    pub(crate) gas_used: Vec<u64>,
}

/// A location's value after one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change<T> {
    pub(crate) index: u32,
    pub(crate) value: T,
}

/// Code, and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) hash: B256,
    pub(crate) bytes: Bytes,
}

/// An account, and where its changes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListedAccount {
    pub(crate) address: Address,
    balances: u32,
    nonces: u32,
    codes: u32,
    wipes: u32,
    slots: u32,
}

/// A slot, and where its changes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListedSlot {
    pub(crate) key: U256,
    /// Place of its account.
    pub(crate) account: u32,
    values: u32,
}

/// What a list says of one account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'l> {
    pub(crate) address: Address,
    pub(crate) balances: &'l [Change<U256>],
    pub(crate) nonces: &'l [Change<u64>],
    pub(crate) codes: &'l [Change<Code>],
    pub(crate) wipes: &'l [Change<()>],
    /// Place of its first slot among all.
    pub(crate) first_slot: usize,
    pub(crate) slots: &'l [ListedSlot],
}

impl Lists {
    /// Adds an account, whose changes come next.
    pub(crate) fn begin_account(&mut self, address: Address) {
        self.accounts.push(ListedAccount {
            address,
            balances: place(&self.balances),
            nonces: place(&self.nonces),
            codes: place(&self.codes),
            wipes: place(&self.wipes),
            slots: place(&self.slots),
        });
    }

    /// Adds a slot to the last account; its changes come next.
    pub(crate) fn begin_slot(&mut self, key: U256) {
        self.slots.push(ListedSlot {
            key,
            account: place(&self.accounts).saturating_sub(1),
            values: place(&self.values),
        });
    }

    /// What is said of the account at a place.
    #[inline]
    pub(crate) fn part(&self, place: usize) -> Option<Part<'_>> {
        let account = self.accounts.get(place)?;
        let next = self.accounts.get(place.checked_add(1)?);
        Some(Part {
            address: account.address,
            balances: between(&self.balances, account.balances, next.map(|n| n.balances)),
            nonces: between(&self.nonces, account.nonces, next.map(|n| n.nonces)),
            codes: between(&self.codes, account.codes, next.map(|n| n.codes)),
            wipes: between(&self.wipes, account.wipes, next.map(|n| n.wipes)),
            first_slot: to_usize(account.slots),
            slots: between(&self.slots, account.slots, next.map(|n| n.slots)),
        })
    }

    /// The slots of the account at a place, and where the first lies.
    pub(crate) fn slots_of(&self, place: usize) -> Option<(usize, &[ListedSlot])> {
        let account = self.accounts.get(place)?;
        let next = self.accounts.get(place.checked_add(1)?);
        let slots = between(&self.slots, account.slots, next.map(|next| next.slots));
        Some((to_usize(account.slots), slots))
    }

    /// When the storage of the account at a place was emptied.
    pub(crate) fn wipes_of(&self, place: usize) -> &[Change<()>] {
        // Since Cancun there are hardly any in a whole block.
        if self.wipes.is_empty() {
            return &[];
        }
        self.part(place).map_or(&[], |part| part.wipes)
    }

    /// Every account in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        (0..self.accounts.len()).filter_map(|place| self.part(place))
    }

    /// The changes of the slot at a place.
    pub(crate) fn values_of(&self, place: usize) -> &[Change<U256>] {
        let Some(slot) = self.slots.get(place) else {
            return &[];
        };
        let next = self.slots.get(place.saturating_add(1));
        between(&self.values, slot.values, next.map(|next| next.values))
    }
}

impl Part<'_> {
    /// Whether the account itself is never changed.
    pub(crate) const fn is_unchanged(&self) -> bool {
        self.balances.is_empty()
            && self.nonces.is_empty()
            && self.codes.is_empty()
            && self.wipes.is_empty()
    }
}

fn place<T>(all: &[T]) -> u32 {
    u32::try_from(all.len()).unwrap_or(u32::MAX)
}

fn between<T>(all: &[T], from: u32, to: Option<u32>) -> &[T] {
    let to = to.map_or(all.len(), to_usize);
    all.get(to_usize(from)..to).unwrap_or_default()
}

pub(crate) fn to_usize(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
