//! The state of a block while several workers execute it.
//!
//! Every account and slot that anybody has asked for has a cell with its value before the block and
//! its value after the last committed transaction. Whoever holds the turn to commit is the only one
//! who writes. A version tells readers that nothing has changed without comparing values.
//!
//! A slot belongs to an *incarnation* of its account: when the account is destroyed or created anew,
//! the incarnation rises and all older slots read as zero.

use super::arena::{Arena, Keyed};
use crate::{fault::ExecutionFault, overlay::StartedAccount};
use alloy_primitives::{Address, B256, U256, map::B256Map};
use revm::bytecode::Bytecode;
use state::{Account, StateReader};
use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

/// Everything that the transactions of a block have asked for.
pub(crate) struct Cells<'a> {
    state: &'a (dyn StateReader + Sync),
    pub(crate) accounts: Arena<Address, AccountCell>,
    pub(crate) slots: Arena<(Address, U256), SlotCell>,
    has_created: AtomicBool,
    created: RwLock<B256Map<Bytecode>>,
}

/// Room for cells. Filling new memory takes longer than filling memory again.
pub(crate) struct CellMemory {
    accounts: Arena<Address, AccountCell>,
    slots: Arena<(Address, U256), SlotCell>,
}

/// Locations of a block for which memory is kept; what a larger one took is given back.
const LOCATIONS_KEPT_MAX: usize = 400_000;

impl CellMemory {
    /// Room for a block of so many transactions.
    pub(crate) fn new(transactions: usize) -> Self {
        let locations = transactions.saturating_mul(2);
        Self {
            accounts: Arena::with_capacity(locations),
            slots: Arena::with_capacity(locations),
        }
    }

    /// Whether it is worth keeping.
    pub(crate) fn is_moderate(&self) -> bool {
        let locations = self.accounts.room().saturating_add(self.slots.room());
        locations <= LOCATIONS_KEPT_MAX
    }
}

/// One account.
#[derive(Debug)]
pub(crate) struct AccountCell {
    pub(crate) address: Address,
    pub(crate) before: Option<Account>,
    version: AtomicU32,
    present: Mutex<Present>,
    pub(crate) marks: Marks,
}

/// An account's value after the last committed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) account: Option<Account>,
    pub(crate) incarnation: u32,
}

/// One slot.
#[derive(Debug)]
pub(crate) struct SlotCell {
    pub(crate) address: Address,
    pub(crate) key: U256,
    pub(crate) before: U256,
    /// Place of the last committed transaction that wrote it, counted from one.
    writer: AtomicU32,
    version: AtomicU32,
    present: Mutex<(U256, u32)>,
    pub(crate) marks: Marks,
}

/// Whether committed transactions have read or changed a location.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    touched: AtomicBool,
    written: AtomicBool,
    /// Of an account: whether one of its slots was written.
    slot_written: AtomicBool,
}

/// A value and the version it had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<T> {
    pub(crate) version: u32,
    pub(crate) value: T,
}

impl fmt::Debug for Cells<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cells")
            .field("accounts", &self.accounts.len())
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Cells<'a> {
    /// The cells of a block, in memory of earlier ones.
    pub(crate) fn new(state: &'a (dyn StateReader + Sync), memory: CellMemory) -> Self {
        let CellMemory { accounts, slots } = memory;
        Self {
            state,
            accounts,
            slots,
            has_created: AtomicBool::new(false),
            created: RwLock::default(),
        }
    }

    /// The memory, for another block.
    pub(crate) fn into_memory(self) -> CellMemory {
        let Self {
            mut accounts,
            mut slots,
            ..
        } = self;
        accounts.clear();
        slots.clear();
        CellMemory { accounts, slots }
    }

    /// Puts in what was read and written before.
    pub(crate) fn start(&self, started: &StartedAccount) -> Result<(), ExecutionFault> {
        let incarnation = u32::from(started.storage_wiped);
        let cell = AccountCell::new(started.address, started.before);
        let cell = self.accounts.get_or_insert(started.address, || Ok(cell))?;
        cell.marks.touch();
        let account = &cell.marks;
        if started.is_written || (started.storage_wiped && started.before.is_some()) {
            account.write();
        }
        if started.present != started.before || incarnation > 0 {
            cell.set(Present {
                account: started.present,
                incarnation,
            });
        }
        for (key, slot) in &started.slots {
            let cell = SlotCell::new(started.address, *key, slot.before);
            let place = (started.address, *key);
            let cell = self.slots.get_or_insert(place, || Ok(cell))?;
            cell.marks.touch();
            if slot.is_written {
                cell.marks.write();
                account.write_slot();
            }
            if slot.present != slot.before || incarnation > 0 {
                cell.set(slot.present, incarnation);
            }
        }
        Ok(())
    }

    pub(crate) fn account(&self, address: &Address) -> Result<&AccountCell, ExecutionFault> {
        self.accounts.get_or_insert(*address, || {
            Ok(AccountCell::new(*address, self.state.account(address)?))
        })
    }

    pub(crate) fn slot(&self, address: &Address, key: U256) -> Result<&SlotCell, ExecutionFault> {
        self.slots.get_or_insert((*address, key), || {
            let before = self.state.storage(address, &key)?;
            Ok(SlotCell::new(*address, key, before))
        })
    }

    /// Code that a transaction of this block has created.
    pub(crate) fn created_code(&self, code_hash: &B256) -> Option<Bytecode> {
        if !self.has_created.load(Ordering::Acquire) {
            return None;
        }
        let created = self.created.read().unwrap_or_else(PoisonError::into_inner);
        created.get(code_hash).cloned()
    }

    pub(crate) fn create_code(&self, code_hash: B256, code: Bytecode) {
        let created = self.created.write();
        let mut created = created.unwrap_or_else(PoisonError::into_inner);
        created.entry(code_hash).or_insert(code);
        self.has_created.store(true, Ordering::Release);
    }
}

impl Keyed<Address> for AccountCell {
    fn has_key(&self, key: &Address) -> bool {
        self.address == *key
    }
}

impl Keyed<(Address, U256)> for SlotCell {
    fn has_key(&self, (address, key): &(Address, U256)) -> bool {
        self.key == *key && self.address == *address
    }
}

impl AccountCell {
    fn new(address: Address, before: Option<Account>) -> Self {
        Self {
            address,
            before,
            version: AtomicU32::new(0),
            present: Mutex::new(Present {
                account: before,
                incarnation: 0,
            }),
            marks: Marks::default(),
        }
    }

    pub(crate) fn see(&self) -> Seen<Present> {
        let present = self.lock();
        Seen {
            version: self.version(),
            value: *present,
        }
    }

    pub(crate) fn present(&self) -> Present {
        *self.lock()
    }

    /// Only for whoever holds the turn.
    pub(crate) fn set(&self, value: Present) {
        let mut present = self.lock();
        *present = value;
        self.version
            .store(self.version().wrapping_add(1), Ordering::Release);
    }

    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SlotCell {
    fn new(address: Address, key: U256, before: U256) -> Self {
        Self {
            address,
            key,
            before,
            writer: AtomicU32::new(0),
            version: AtomicU32::new(0),
            present: Mutex::new((before, 0)),
            marks: Marks::default(),
        }
    }

    /// The value that the given incarnation of the account sees.
    pub(crate) fn see(&self, incarnation: u32) -> Seen<U256> {
        let present = self.lock();
        Seen {
            version: self.version(),
            value: value_of(*present, incarnation),
        }
    }

    pub(crate) fn value(&self, incarnation: u32) -> U256 {
        value_of(*self.lock(), incarnation)
    }

    /// Place of the last committed transaction that wrote it, counted from zero.
    pub(crate) fn writer(&self) -> Option<usize> {
        let place = self.writer.load(Ordering::Relaxed).checked_sub(1)?;
        usize::try_from(place).ok()
    }

    /// The present holder of the turn writes it as this transaction, counted from one.
    pub(crate) fn set_writer(&self, index: u32) {
        self.writer.store(index, Ordering::Relaxed);
    }

    /// Only for whoever holds the turn.
    pub(crate) fn set(&self, value: U256, incarnation: u32) {
        let mut present = self.lock();
        *present = (value, incarnation);
        self.version
            .store(self.version().wrapping_add(1), Ordering::Release);
    }

    pub(crate) fn version(&self) -> u32 {
        self.version.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, (U256, u32)> {
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn value_of((value, incarnation): (U256, u32), wanted: u32) -> U256 {
    if incarnation == wanted {
        value
    } else {
        U256::ZERO
    }
}

impl Marks {
    /// A committed transaction has read or changed this location.
    pub(crate) fn touch(&self) {
        // Most are touched often: a load keeps the line shared.
        if !self.touched.load(Ordering::Relaxed) {
            self.touched.store(true, Ordering::Relaxed);
        }
    }

    /// A committed transaction has changed this location.
    pub(crate) fn write(&self) {
        if !self.written.load(Ordering::Relaxed) {
            self.written.store(true, Ordering::Relaxed);
        }
    }

    /// A committed transaction has changed a slot of this account.
    pub(crate) fn write_slot(&self) {
        if !self.slot_written.load(Ordering::Relaxed) {
            self.slot_written.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn has_written_slot(&self) -> bool {
        self.slot_written.load(Ordering::Relaxed)
    }

    pub(crate) fn is_touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    pub(crate) fn is_written(&self) -> bool {
        self.written.load(Ordering::Relaxed)
    }
}
