//! From a log of writes to a list: what one transaction did to a location in several steps becomes one
//! change, and what ends where it began becomes none.

use super::{
    list::{AccessList, Change, Code, Lists},
    log::{AccessLog, AccountWrite, SlotWrite},
};
use crate::executed::ExecutedBlock;
use alloy_primitives::{Address, B256, U256};
use revm::bytecode::Bytecode;
use std::collections::BTreeMap;

impl ExecutedBlock {
    /// What the block read and wrote; the same list whichever way it was executed.
    #[must_use]
    pub fn access_list(&self) -> AccessList {
        if let Some(list) = &self.log.listed {
            return list.clone();
        }
        let gas_used = self.receipts.iter().map(|receipt| receipt.gas_used);
        AccessList::new(Lists::from_log(&self.log, gas_used.collect()))
    }
}

type Codes<'l> = BTreeMap<B256, &'l Bytecode>;

impl Lists {
    /// The list of what a log says.
    pub(crate) fn from_log(log: &AccessLog, gas_used: Vec<u64>) -> Self {
        let codes: Codes<'_> = log.codes.iter().map(|(hash, code)| (*hash, code)).collect();
        // Stable: the writes of one transaction stay in their order.
        let mut writes: Vec<&AccountWrite> = log.accounts.iter().collect();
        writes.sort_by_key(|write| (write.address, write.index));
        let mut writes = writes.as_slice();
        let mut slot_writes: Vec<&SlotWrite> = log.slots.iter().collect();
        slot_writes.sort_by_key(|write| (write.address, write.slot, write.index));
        let mut slot_writes = slot_writes.as_slice();
        let mut slot_reads = log.read_slots.clone();
        slot_reads.sort_unstable();
        let mut slot_reads = slot_reads.as_slice();
        let mut lists = Self {
            gas_used,
            ..Self::default()
        };
        for address in addresses(log) {
            lists.begin_account(address);
            let own = take(&mut writes, |write| write.address == address);
            for group in own.chunk_by(|left, right| left.index == right.index) {
                lists.push_write(group, &codes);
            }
            let written = take(&mut slot_writes, |write| write.address == address);
            let read = take(&mut slot_reads, |(of, _)| *of == address);
            lists.push_slots(written, read);
        }
        lists
    }

    /// Adds what one transaction did to the last account.
    fn push_write(&mut self, steps: &[&AccountWrite], codes: &Codes<'_>) {
        let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
            return;
        };
        let index = first.index;
        let before = first.before.unwrap_or_default();
        let after = last.after.unwrap_or_default();
        if before.balance != after.balance {
            let value = after.balance;
            self.balances.push(Change { index, value });
        }
        if before.nonce != after.nonce {
            let value = after.nonce;
            self.nonces.push(Change { index, value });
        }
        if before.code_hash != after.code_hash {
            let hash = after.code_hash;
            let code = codes.get(&hash);
            let bytes = code.map(|code| code.original_bytes()).unwrap_or_default();
            let value = Code { hash, bytes };
            self.codes.push(Change { index, value });
        }
        if steps.iter().any(|step| step.wiped) {
            self.wipes.push(Change { index, value: () });
        }
    }

    /// Adds the slots of the last account, both by key.
    fn push_slots(&mut self, written: &[&SlotWrite], mut read: &[(Address, U256)]) {
        for steps in written.chunk_by(|left, right| left.slot == right.slot) {
            let Some(first) = steps.first() else { continue };
            let key = first.slot;
            for (_, earlier) in take(&mut read, |(_, read)| *read < key) {
                self.begin_slot(*earlier);
            }
            // A slot that was set to what it had is in both.
            take(&mut read, |(_, read)| *read == key);
            self.begin_slot(key);
            for steps in steps.chunk_by(|left, right| left.index == right.index) {
                let last = steps.last().map(|last| Change {
                    index: last.index,
                    value: last.value,
                });
                self.values.extend(last);
            }
        }
        for (_, later) in read {
            self.begin_slot(*later);
        }
    }
}

/// Every account that a log names, by address.
fn addresses(log: &AccessLog) -> Vec<Address> {
    let written = log.accounts.iter().map(|write| write.address);
    let slots_written = log.slots.iter().map(|write| write.address);
    let slots_read = log.read_slots.iter().map(|(address, _)| *address);
    let read = log.read_accounts.iter().copied();
    let mut all: Vec<_> = written
        .chain(read)
        .chain(slots_written)
        .chain(slots_read)
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Takes from the front what fits.
fn take<'s, T>(all: &mut &'s [T], fits: impl Fn(&T) -> bool) -> &'s [T] {
    let length = all.iter().position(|one| !fits(one)).unwrap_or(all.len());
    let (taken, rest) = all.split_at(length);
    *all = rest;
    taken
}
