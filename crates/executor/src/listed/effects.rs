//! What one transaction did, beside what the list says that it does.
//!
//! A fragment of the list is true if every change of the transaction is in it with its value, and
//! there are as many. Only when that fails is it looked for what is false, in the order of the list,
//! so that the answer does not depend on who looks.

use super::{
    fraud::{Falsehood, Field, ListFraud},
    index::{Index, Window},
    reader::ListReader,
};
use crate::access::Part;
use alloy_primitives::{Address, B256, U256};
use revm::state::{Account as EvmAccount, EvmState};
use state::Account;
use std::collections::BTreeSet;

/// What one transaction did; used again for the next.
#[derive(Debug, Default)]
pub(super) struct Effects<'a> {
    accounts: Vec<Effect<'a>>,
    slots: Vec<SlotEffect>,
}

/// What became of one account.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect<'a> {
    /// Its place in the list.
    pub(super) place: usize,
    pub(super) window: Window<'a>,
    pub(super) after: Option<Account>,
    /// Whether the storage of before the transaction is gone.
    pub(super) wiped: bool,
}

#[derive(Clone, Copy, Debug)]
struct SlotEffect {
    /// Place of its account.
    account: usize,
    /// Its own, if the list has it.
    place: Option<usize>,
    key: U256,
    value: U256,
}

/// The account that gets the priority fees, and what it gets of one transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reward<'a> {
    pub(super) address: Address,
    /// The account before it is paid.
    pub(super) receiver: Effect<'a>,
    /// In wei.
    pub(super) tip: U256,
}

impl<'a> Effect<'a> {
    /// An account that nobody has changed yet.
    pub(super) const fn new((place, window): (usize, Window<'a>)) -> Self {
        Self {
            place,
            window,
            after: window.before,
            wiped: false,
        }
    }

    /// Changes the account; an empty one is none, and loses its storage.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Account)) {
        let before = self.after;
        let mut account = before.unwrap_or_default();
        change(&mut account);
        self.after = Some(account).filter(|account| !account.is_empty());
        self.wiped |= self.after.is_none() && before.is_some();
    }

    /// The account as the virtual machine leaves it.
    fn settle(&mut self, account: &EvmAccount, tip: U256) {
        let mut after = Account {
            nonce: account.info.nonce,
            balance: account.info.balance,
            code_hash: account.info.code_hash,
        };
        credit(&mut after, tip);
        let is_created = account.is_created();
        let is_dead = account.is_selfdestructed() || (after.is_empty() && !is_created);
        self.after = (!is_dead).then_some(after);
        self.wiped = (is_dead || is_created) && self.window.before.is_some();
    }
}

impl<'a> Effects<'a> {
    /// Forgets the last transaction.
    pub(super) fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
    }

    pub(super) fn push(&mut self, effect: Effect<'a>) {
        self.accounts.push(effect);
    }

    /// Adds what the virtual machine did, whose every account is in the list, and the fee.
    pub(super) fn take(
        &mut self,
        reader: &ListReader<'a>,
        changes: &EvmState,
        reward: &Reward<'a>,
    ) {
        let mut is_paid = false;
        changes.iter().for_each(|(address, account)| {
            let is_receiver = *address == reward.address;
            is_paid |= is_receiver;
            if !is_receiver && !account.is_touched() {
                return;
            }
            let Some(loaded) = reader.loaded(address) else {
                return;
            };
            let mut effect = Effect::new(loaded);
            effect.settle(account, if is_receiver { reward.tip } else { U256::ZERO });
            self.accounts.push(effect);
            if effect.after.is_some() {
                self.take_slots(reader, effect.place, account);
            }
        });
        if !is_paid {
            let mut effect = reward.receiver;
            effect.edit(|account| credit(account, reward.tip));
            self.accounts.push(effect);
        }
    }

    fn take_slots(&mut self, reader: &ListReader<'a>, account: usize, changed: &EvmAccount) {
        let slots = changed.storage.iter().filter(|(_, slot)| slot.is_changed());
        self.slots.extend(slots.map(|(key, slot)| SlotEffect {
            account,
            place: reader.find_slot(account, key),
            key: *key,
            value: slot.present_value,
        }));
    }

    /// Whether the list says exactly this of the transaction with an index.
    pub(super) fn are_listed(&self, index: &Index<'a>, at: u32) -> bool {
        let mut matched = 0_u32;
        for effect in &self.accounts {
            match effect.count_listed() {
                Some(count) => matched = matched.saturating_add(count),
                None => return false,
            }
        }
        for slot in &self.slots {
            if slot.listed(index, at) != Some(&slot.value) {
                return false;
            }
            matched = matched.saturating_add(1);
        }
        matched == index.count(at)
    }

    /// The first thing that the list does not say of the transaction with an index, or says in vain.
    pub(super) fn find_fraud(&mut self, index: &Index<'a>, at: u32) -> Option<ListFraud> {
        self.accounts.sort_unstable_by_key(|effect| effect.place);
        self.slots
            .sort_unstable_by_key(|slot| (slot.account, slot.key));
        let account = self.accounts.iter().find_map(|effect| {
            let address = index.lists.accounts.get(effect.place)?.address;
            let fraud = effect.find_fraud(at)?.at(address, None);
            Some((effect.place, fraud))
        });
        let slot = self.slots.iter().find_map(|slot| {
            let address = index.lists.accounts.get(slot.account)?.address;
            let fraud = slot.find_fraud(index, at)?.at(address, Some(slot.key));
            Some((slot.account, fraud))
        });
        match (account, slot) {
            (Some((account, fraud)), Some((of, _))) if account <= of => Some(fraud),
            (_, Some((_, fraud))) | (Some((_, fraud)), None) => Some(fraud),
            (None, None) => self.find_extra(index, at),
        }
    }

    /// The first change of the list that the transaction does not make, if all it makes are listed.
    fn find_extra(&self, index: &Index<'a>, at: u32) -> Option<ListFraud> {
        let changed: BTreeSet<usize> = self.accounts.iter().map(|effect| effect.place).collect();
        let made: BTreeSet<usize> = self.slots.iter().filter_map(|slot| slot.place).collect();
        index.lists.parts().enumerate().find_map(|(place, part)| {
            let window = index
                .window(place, at)
                .filter(|_| !changed.contains(&place));
            let account = window.and_then(|window| {
                let untouched = Effect::new((place, window));
                Some(untouched.find_fraud(at)?.at(part.address, None))
            });
            account.or_else(|| find_extra_value(index, &part, &made, at))
        })
    }
}

/// A value that the list says the transaction gives a slot of an account, and that it does not give:
/// it gives one to the slots at the places `made`.
fn find_extra_value(
    index: &Index<'_>,
    part: &Part<'_>,
    made: &BTreeSet<usize>,
    at: u32,
) -> Option<ListFraud> {
    let mut slots = part.slots.iter().zip(part.first_slot..);
    slots.find_map(|(slot, place)| {
        let value = index.slot_written(place, at)?;
        let fraud = ListFraud::new(at, Falsehood::ExtraWrite, Field::Slot);
        let fraud = fraud.values(Some(*value), None);
        (!made.contains(&place)).then(|| fraud.at(part.address, Some(slot.key)))
    })
}

impl Effect<'_> {
    /// How many changes the list has of the account, if it has all and no other.
    fn count_listed(&self) -> Option<u32> {
        let before = self.window.before.unwrap_or_default();
        let after = self.after.unwrap_or_default();
        if self.wiped != self.window.wiped {
            return None;
        }
        let counts = [
            count(&before.balance, &after.balance, self.window.balance)?,
            count(&before.nonce, &after.nonce, self.window.nonce)?,
            count(&before.code_hash, &after.code_hash, self.window.code_hash)?,
            u32::from(self.wiped),
        ];
        Some(counts.into_iter().fold(0, u32::saturating_add))
    }

    fn find_fraud(&self, at: u32) -> Option<ListFraud> {
        let before = self.window.before.unwrap_or_default();
        let after = self.after.unwrap_or_default();
        let word = |hash: &B256| U256::from_be_bytes(hash.0);
        let number = |wiped: bool| U256::from(u8::from(wiped));
        let compared = [
            (
                Field::Balance,
                [Some(before.balance), Some(after.balance)],
                self.window.balance.copied(),
            ),
            (
                Field::Nonce,
                [before.nonce, after.nonce].map(|nonce| Some(U256::from(nonce))),
                self.window.nonce.map(|nonce| U256::from(*nonce)),
            ),
            (
                Field::Code,
                [before.code_hash, after.code_hash].map(|hash| Some(word(&hash))),
                self.window.code_hash.map(word),
            ),
            (
                Field::Wipe,
                [Some(U256::ZERO), Some(number(self.wiped))],
                self.window.wiped.then_some(number(true)),
            ),
        ];
        compared
            .into_iter()
            .find_map(|(field, [before, after], listed)| {
                let changed = after.filter(|_| before != after);
                let what = judge(changed.as_ref(), listed.as_ref())?;
                Some(ListFraud::new(at, what, field).values(listed, changed))
            })
    }
}

impl SlotEffect {
    fn listed<'a>(&self, index: &Index<'a>, at: u32) -> Option<&'a U256> {
        index.slot_written(self.place?, at)
    }

    fn find_fraud(&self, index: &Index<'_>, at: u32) -> Option<ListFraud> {
        let listed = self.listed(index, at);
        let what = judge(Some(&self.value), listed)?;
        let fraud = ListFraud::new(at, what, Field::Slot);
        Some(fraud.values(listed.copied(), Some(self.value)))
    }
}

/// As on Ethereum, a sum that does not fit changes nothing.
pub(super) fn credit(account: &mut Account, tip: U256) {
    account.balance = account.balance.checked_add(tip).unwrap_or(account.balance);
}

/// What is false of one location.
pub(super) fn judge<T: PartialEq>(changed: Option<&T>, listed: Option<&T>) -> Option<Falsehood> {
    match (changed, listed) {
        (Some(changed), Some(listed)) if changed != listed => Some(Falsehood::WrongValue),
        (Some(_), None) => Some(Falsehood::MissingWrite),
        (None, Some(_)) => Some(Falsehood::ExtraWrite),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// How many changes the list has of a value, if it has that which there is.
fn count<T: PartialEq>(before: &T, after: &T, listed: Option<&T>) -> Option<u32> {
    match listed {
        None => (before == after).then_some(0),
        Some(listed) => (before != after && after == listed).then_some(1),
    }
}
