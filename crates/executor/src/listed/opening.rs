//! What a block does before its first transaction, beside what the list says of it.

use super::{
    effects::judge,
    fraud::{Falsehood, Field, ListFraud},
    index::{Index, around},
    job::Share,
};
use crate::{
    access::{Change, Lists, Part},
    fault::ExecutionFault,
    input::ExecutionInput,
    machine::BlockMachine,
    overlay::StartedAccount,
    system,
};
use alloy_primitives::{Address, B256, U256};
use state::StateReader;

/// An opening that was executed.
pub(super) struct Opening {
    /// What it changed.
    changed: Lists,
    /// What it read, by address and key; an account comes before its slots.
    read: Vec<(Address, Option<U256>)>,
}

impl Opening {
    /// Executes an opening; nothing if no list can describe it.
    pub(super) fn execute(
        input: &ExecutionInput<'_>,
        state: &dyn StateReader,
    ) -> Result<Option<Self>, ExecutionFault> {
        // A machine for no transactions.
        let input = ExecutionInput {
            transactions: &[],
            ..input.clone()
        };
        let mut machine = BlockMachine::new(&input, state);
        system::open_block(&input, &mut machine)?;
        let parts = machine.into_overlay().into_parts();
        // Slots that were set before their account went, or without one.
        let is_strange = |account: &StartedAccount| {
            (account.storage_wiped || account.present.is_none()) && !account.slots.is_empty()
        };
        if parts.accounts.iter().any(is_strange) {
            return Ok(None);
        }
        let mut read = Vec::new();
        for account in &parts.accounts {
            read.push((account.address, None));
            let slots = account.slots.iter();
            read.extend(slots.map(|(key, ..)| (account.address, Some(*key))));
        }
        read.sort_unstable();
        Ok(Some(Self {
            changed: Lists::from_log(&parts.log, Vec::new()),
            read,
        }))
    }

    /// Compares the opening with a list; gives what was read.
    pub(super) fn compare(&self, index: &Index<'_>) -> Result<Share, Box<ListFraud>> {
        let mut share = Share {
            accounts_read: vec![false; index.lists.accounts.len()],
            slots_read: vec![false; index.lists.slots.len()],
            ..Share::default()
        };
        for (address, key) in &self.read {
            share
                .mark(index, address, key.as_ref())
                .ok_or_else(|| missing_location(*address, *key))?;
        }
        let mut matched = 0_u32;
        for part in self.changed.parts() {
            let found = self.compare_account(index, &part)?;
            matched = matched.saturating_add(found);
        }
        match matched == index.count(0) {
            true => Ok(share),
            false => Err(self.find_extra(index).into()),
        }
    }

    fn compare_account(&self, index: &Index<'_>, part: &Part<'_>) -> Result<u32, Box<ListFraud>> {
        let address = part.address;
        let missing = || missing_location(address, None);
        let account = index.find(&address).ok_or_else(missing)?;
        let listed = index.lists.part(account).ok_or_else(missing)?;
        let word = |hash: &B256| U256::from_be_bytes(hash.0);
        let compared = [
            (
                Field::Balance,
                first(part.balances, |balance| *balance),
                first(listed.balances, |balance| *balance),
            ),
            (
                Field::Nonce,
                first(part.nonces, |nonce| U256::from(*nonce)),
                first(listed.nonces, |nonce| U256::from(*nonce)),
            ),
            (
                Field::Code,
                first(part.codes, |code| word(&code.hash)),
                first(listed.codes, |code| word(&code.hash)),
            ),
            (
                Field::Wipe,
                first(part.wipes, |()| U256::ONE),
                first(listed.wipes, |()| U256::ONE),
            ),
        ];
        let mut matched = 0_u32;
        for (field, found, expected) in compared {
            if let Some(what) = judge(found.as_ref(), expected.as_ref()) {
                let fraud = ListFraud::new(0, what, field).at(address, None);
                return Err(fraud.values(expected, found).into());
            }
            matched = matched.saturating_add(u32::from(found.is_some()));
        }
        for (slot, place) in part.slots.iter().zip(part.first_slot..) {
            let found = first(self.changed.values_of(place), |value| *value);
            let place = index.find_slot(account, &slot.key);
            let expected = place
                .and_then(|place| index.slot_written(place, 0))
                .copied();
            if let Some(what) = judge(found.as_ref(), expected.as_ref()) {
                let fraud = ListFraud::new(0, what, Field::Slot).at(address, Some(slot.key));
                return Err(fraud.values(expected, found).into());
            }
            matched = matched.saturating_add(u32::from(found.is_some()));
        }
        Ok(matched)
    }

    /// The first change of the list that the opening does not make, if all it makes are listed.
    fn find_extra(&self, index: &Index<'_>) -> ListFraud {
        let fraud = |field| ListFraud::new(0, Falsehood::ExtraWrite, field);
        let found = index.lists.parts().find_map(|part| {
            let address = part.address;
            let made = self.changed.accounts.iter();
            let mut made = made.map(|account| account.address);
            let is_changed = made.any(|changed| changed == address);
            let fields = [
                (Field::Balance, has_first(part.balances)),
                (Field::Nonce, has_first(part.nonces)),
                (Field::Code, has_first(part.codes)),
                (Field::Wipe, has_first(part.wipes)),
            ];
            let mut fields = fields.into_iter();
            let account = fields.find(|(_, is_listed)| *is_listed && !is_changed);
            let account = account.map(|(field, _)| fraud(field).at(address, None));
            account.or_else(|| self.find_extra_value(index, &part))
        });
        found.unwrap_or_else(|| fraud(Field::Block))
    }

    /// A value that the list says a slot is given, and that it is not given.
    fn find_extra_value(&self, index: &Index<'_>, part: &Part<'_>) -> Option<ListFraud> {
        let mut slots = part.slots.iter().zip(part.first_slot..);
        slots.find_map(|(slot, place)| {
            let listed = index.slot_written(place, 0)?;
            let is_made = self.makes(&part.address, &slot.key);
            let fraud = ListFraud::new(0, Falsehood::ExtraWrite, Field::Slot);
            let fraud = fraud.at(part.address, Some(slot.key));
            (!is_made).then(|| fraud.values(Some(*listed), None))
        })
    }

    fn makes(&self, address: &Address, key: &U256) -> bool {
        let mut parts = self.changed.parts();
        let part = parts.find(|part| part.address == *address);
        part.is_some_and(|part| part.slots.iter().any(|slot| slot.key == *key))
    }
}

impl Share {
    fn mark(&mut self, index: &Index<'_>, address: &Address, key: Option<&U256>) -> Option<()> {
        let account = index.find(address)?;
        let read = match key {
            None => self.accounts_read.get_mut(account)?,
            Some(key) => self.slots_read.get_mut(index.find_slot(account, key)?)?,
        };
        *read = true;
        Some(())
    }
}

fn missing_location(address: Address, slot: Option<U256>) -> ListFraud {
    let field = match slot {
        Some(_) => Field::Slot,
        None => Field::Account,
    };
    ListFraud::new(0, Falsehood::MissingLocation, field).at(address, slot)
}

/// The value before the first transaction, if it is a change.
fn first<T>(changes: &[Change<T>], value: impl Fn(&T) -> U256) -> Option<U256> {
    let (_, change) = around(changes, 0);
    change.map(|change| value(&change.value))
}

fn has_first<T>(changes: &[Change<T>]) -> bool {
    around(changes, 0).1.is_some()
}
