//! How the virtual machine reads by a list.

use super::index::Index;
use crate::{code::parse_code, fault::ExecutionFault, overlay::Overlay};
use alloy_primitives::{Address, B256, U256, map::B256Map};
use revm::bytecode::Bytecode;
use state::Account;
use std::fmt;

/// Times that a worker runs code before it gets a copy of its own: workers that count references
/// to the same code wait for each other.
const USES_SHARED: u32 = 64;

/// One worker's way into the list.
pub(crate) struct ListReader<'a> {
    pub(super) index: &'a Index<'a>,
    /// Of the transaction that runs, in the list's counting.
    at: u32,
    /// The first location that the transaction has read and the list lacks.
    missing: Option<(Address, Option<U256>)>,
    /// Which of the accounts that are only read somebody has read.
    pub(super) accounts_read: Vec<bool>,
    /// Which of the slots that are only read somebody has read.
    pub(super) slots_read: Vec<bool>,
    codes: B256Map<Code>,
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
            accounts_read: vec![false; index.lists.accounts.len()],
            slots_read: vec![false; index.lists.slots.len()],
            codes: B256Map::default(),
        }
    }

    /// The transaction with this index comes next.
    pub(super) const fn begin(&mut self, at: u32) {
        self.at = at;
        self.missing = None;
    }

    pub(super) const fn missing(&self) -> Option<(Address, Option<U256>)> {
        self.missing
    }

    /// The place of an account that the transaction reads.
    pub(super) fn find(&mut self, address: &Address) -> Option<usize> {
        let place = self.index.find(address);
        match place {
            Some(place) => self.touch(place),
            None => self.miss(*address, None),
        }
        place
    }

    /// An account that the transaction reads, with its place; `None` if the list lacks it.
    pub(crate) fn account(&mut self, address: &Address) -> Option<(Option<Account>, usize)> {
        let place = self.find(address)?;
        let window = self.index.window(place, self.at)?;
        Some((window.before, place))
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
            self.miss(*address, Some(key));
            return None;
        };
        if index.lists.values_of(place).is_empty()
            && let Some(read) = self.slots_read.get_mut(place)
        {
            *read = true;
        }
        let part = index.lists.part(account)?;
        Some(index.slot(place, &part, self.at))
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
                known.code = parse_code(known.code.original_bytes());
            }
            return Ok(known.code.clone());
        }
        let code = match self.index.code(&hash) {
            Some(bytes) => parse_code(bytes.clone()),
            None => overlay.code(hash)?,
        };
        let known = Code {
            code: code.clone(),
            uses: 0,
        };
        self.codes.insert(hash, known);
        Ok(code)
    }

    /// The transaction reads the account at a place.
    pub(super) fn touch(&mut self, place: usize) {
        let part = self.index.lists.part(place);
        // Who changes something has read it, and whoever reads a slot has read its account.
        let is_read = part.is_some_and(|part| part.is_unchanged() && part.slots.is_empty());
        if let (true, Some(read)) = (is_read, self.accounts_read.get_mut(place)) {
            *read = true;
        }
    }

    fn miss(&mut self, address: Address, slot: Option<U256>) {
        self.missing.get_or_insert((address, slot));
    }
}
