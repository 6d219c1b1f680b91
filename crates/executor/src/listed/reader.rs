//! How the virtual machine reads by a list.

use super::index::{Index, Window};
use crate::{fault::ExecutionFault, overlay::Overlay};
use alloy_primitives::{Address, B256, U256, map::B256Map};
use revm::bytecode::Bytecode;
use state::Account;
use std::fmt;

/// Times that a worker runs code before it gets a copy of its own: workers that count references
/// to the same code wait for each other.
const USES_SHARED: u32 = 64;

/// Most locations of one transaction that are looked through instead of being looked up.
const LOADS_FEW: usize = 24;

/// One worker's way into the list.
pub(crate) struct ListReader<'a> {
    pub(super) index: &'a Index<'a>,
    /// Of the transaction that runs, in the list's counting.
    at: u32,
    /// The first location that the transaction has read and the list lacks.
    missing: Option<(Address, Option<U256>)>,
    /// What it has read.
    accounts: Vec<AccountLoad<'a>>,
    slots: Vec<SlotLoad>,
    /// Which of the accounts that are only read somebody has read.
    pub(super) accounts_read: Vec<bool>,
    /// Which of the slots that are only read somebody has read.
    pub(super) slots_read: Vec<bool>,
    codes: B256Map<Code>,
}

/// An account that a transaction has read.
#[derive(Clone, Copy)]
struct AccountLoad<'a> {
    address: Address,
    place: usize,
    window: Window<'a>,
}

/// A slot that a transaction has read.
#[derive(Clone, Copy)]
struct SlotLoad {
    account: usize,
    key: U256,
    place: usize,
}

struct Code {
    code: Bytecode,
    uses: u32,
}

impl fmt::Debug for ListReader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ListReader")
            .field("at", &self.at)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

impl<'a> ListReader<'a> {
    pub(super) fn new(index: &'a Index<'a>) -> Self {
        Self {
            index,
            at: 0,
            missing: None,
            accounts: Vec::new(),
            slots: Vec::new(),
            accounts_read: vec![false; index.lists.accounts.len()],
            slots_read: vec![false; index.lists.slots.len()],
            codes: B256Map::default(),
        }
    }

    /// The transaction with this index comes next.
    pub(super) fn begin(&mut self, at: u32) {
        self.at = at;
        self.missing = None;
        self.accounts.clear();
        self.slots.clear();
    }

    /// The first location that the transaction has read and the list lacks.
    pub(super) const fn missing(&self) -> Option<(Address, Option<U256>)> {
        self.missing
    }

    /// An account that the transaction reads, with its place; `None` if the list lacks it.
    pub(crate) fn account(&mut self, address: &Address) -> Option<(Option<Account>, usize)> {
        let (place, window) = self.load(address)?;
        Some((window.before, place))
    }

    /// An account that the transaction reads, and what it makes of it.
    pub(super) fn load(&mut self, address: &Address) -> Option<(usize, Window<'a>)> {
        let found = self.index.find(address);
        let window = found.and_then(|place| self.index.window(place, self.at));
        let Some((place, window)) = found.zip(window) else {
            self.missing.get_or_insert((*address, None));
            return None;
        };
        self.touch(place, &window);
        self.accounts.push(AccountLoad {
            address: *address,
            place,
            window,
        });
        Some((place, window))
    }

    /// An account that the transaction has read.
    pub(super) fn loaded(&self, address: &Address) -> Option<(usize, Window<'a>)> {
        if self.accounts.len() <= LOADS_FEW {
            let mut loads = self.accounts.iter();
            let load = loads.find(|load| load.address == *address)?;
            return Some((load.place, load.window));
        }
        let place = self.index.find(address)?;
        Some((place, self.index.window(place, self.at)?))
    }

    /// A slot that the transaction reads; `None` if the list lacks it.
    pub(crate) fn storage(
        &mut self,
        address: &Address,
        account: Option<usize>,
        key: U256,
    ) -> Option<U256> {
        let index = self.index;
        let account = account.or_else(|| index.find(address));
        let place = account.and_then(|account| index.find_slot(account, &key));
        let (Some(account), Some(place)) = (account, place) else {
            self.missing.get_or_insert((*address, Some(key)));
            return None;
        };
        if index.lists.values_of(place).is_empty()
            && let Some(read) = self.slots_read.get_mut(place)
        {
            *read = true;
        }
        self.slots.push(SlotLoad {
            account,
            key,
            place,
        });
        Some(index.slot(place, index.lists.wipes_of(account), self.at))
    }

    /// The place of a slot that the transaction writes.
    pub(super) fn find_slot(&self, account: usize, key: &U256) -> Option<usize> {
        let mut loads = self.slots.iter().take(LOADS_FEW);
        let load = loads.find(|load| load.key == *key && load.account == account);
        match load {
            Some(load) => Some(load.place),
            None => self.index.find_slot(account, key),
        }
    }

    /// Somebody reads an account.
    pub(super) fn touch(&mut self, place: usize, window: &Window<'_>) {
        // Who changes something has read it, and whoever reads a slot has read its account.
        if window.is_bare
            && let Some(read) = self.accounts_read.get_mut(place)
        {
            *read = true;
        }
    }

    /// Code, from the list or from the overlay.
    pub(crate) fn code(
        &mut self,
        hash: B256,
        overlay: &mut Overlay<'a>,
    ) -> Result<Bytecode, ExecutionFault> {
        if let Some(known) = self.codes.get_mut(&hash) {
            known.uses = known.uses.saturating_add(1);
            if known.uses == USES_SHARED {
                known.code = overlay.parse(known.code.original_bytes());
            }
            return Ok(known.code.clone());
        }
        let code = match self.index.code(&hash) {
            Some(bytes) => overlay.parse(bytes.clone()),
            None => overlay.code(hash)?,
        };
        let known = Code {
            code: code.clone(),
            uses: 0,
        };
        self.codes.insert(hash, known);
        Ok(code)
    }
}
