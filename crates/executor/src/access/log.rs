//! Writes in the order in which they were committed.
//!
//! Cheap to append to while a block executes; an access list is made of it afterwards, by whoever
//! needs one. A block that was executed by a list keeps the list instead.

use super::list::AccessList;
use alloy_primitives::{Address, B256, U256};
use revm::bytecode::Bytecode;
use state::Account;

/// Everything a block touched.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccessLog {
    pub(crate) accounts: Vec<AccountWrite>,
    pub(crate) slots: Vec<SlotWrite>,
    /// Code that accounts were given, in the order of the writes.
    pub(crate) codes: Vec<(B256, Bytecode)>,
    /// Accounts that were loaded and never changed, in no order.
    pub(crate) read_accounts: Vec<Address>,
    /// Slots that were loaded and never changed, in no order.
    pub(crate) read_slots: Vec<(Address, U256)>,
    /// The list by which the block was executed; then all else is empty.
    pub(crate) listed: Option<AccessList>,
}

/// One transaction changed one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountWrite {
    /// Place of the transaction, counted from one; zero for what comes before the first.
    pub(crate) index: u32,
    pub(crate) address: Address,
    pub(crate) before: Option<Account>,
    pub(crate) after: Option<Account>,
    /// Whether the storage of before the transaction is gone.
    pub(crate) wiped: bool,
}

impl SlotWrite {
    /// Where it was written.
    pub(crate) const fn place(&self) -> (Address, U256) {
        (self.address, self.slot)
    }
}

/// One transaction changed one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotWrite {
    /// Place of the transaction, counted from one; zero for what comes before the first.
    pub(crate) index: u32,
    pub(crate) address: Address,
    pub(crate) slot: U256,
    pub(crate) value: U256,
}
