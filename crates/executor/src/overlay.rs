//! A block's writes while its transactions run one after the other.
//!
//! ```text
//!              read ┌─────────┐ first read  ┌─────────────┐
//! one transaction ─▶│ Overlay │────────────▶│ StateReader │
//!                   │         │◀─ commit ── result of that transaction
//!                   └────┬────┘
//!                        └─ end of the block ─▶ StateDiff, AccessLog
//! ```
//! An [`Overlay`] holds every account and slot the block has read, with the value before the block
//! beside the present one; the diff is where they differ. Hash maps are never iterated in an order
//! that could reach a result: they are collected into ordered maps, or visited where order cannot
//! matter.

use crate::{
    access::{AccessLog, AccountWrite, SlotWrite},
    code::{CodeCache, parse_code, read_code},
    executed::Writes,
    fault::ExecutionFault,
};
use alloy_primitives::{
    Address, B256, Bytes, KECCAK256_EMPTY, U256, map::AddressMap, map::HashMap,
};
use revm::{
    bytecode::Bytecode,
    state::{Account as EvmAccount, EvmState},
};
use state::{Account, AccountDiff, StateDiff, StateReader};
use std::{collections::BTreeMap, fmt};

/// What a block has read and written so far.
pub(crate) struct Overlay<'a> {
    state: &'a dyn StateReader,
    code_cache: Option<&'a CodeCache>,
    /// Whether code can be a delegation at this fork.
    delegates: bool,
    /// Place of the transaction whose writes come next, counted from one; zero before the first.
    index: u32,
    log: AccessLog,
    /// Where each account lies in `accounts`.
    places: AddressMap<usize>,
    accounts: Vec<OverlayAccount>,
    code: HashMap<B256, Bytecode>,
    /// Hashes that the state does not know: the parent's, and those a call overrides.
    block_hashes: BTreeMap<u64, B256>,
}

impl fmt::Debug for Overlay<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Overlay")
            .field("index", &self.index)
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct OverlayAccount {
    address: Address,
    before: Option<Account>,
    present: Option<Account>,
    is_written: bool,
    /// Whether the storage of before the block is gone.
    storage_wiped: bool,
    storage: HashMap<U256, Slot>,
}

/// A slot that the block has read or written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    /// The value before the block.
    pub(crate) before: U256,
    pub(crate) present: U256,
    /// Whether it has changed, if only for a time.
    pub(crate) is_written: bool,
}

impl<'a> Overlay<'a> {
    /// An overlay that expects so many accounts.
    pub(crate) fn new(
        state: &'a dyn StateReader,
        code_cache: Option<&'a CodeCache>,
        capacity: usize,
    ) -> Self {
        Self {
            state,
            code_cache,
            delegates: true,
            index: 0,
            log: AccessLog::default(),
            places: AddressMap::with_capacity_and_hasher(capacity, Default::default()),
            accounts: Vec::with_capacity(capacity),
            code: HashMap::default(),
            block_hashes: BTreeMap::new(),
        }
    }

    /// The same at a fork that has delegations, or has not.
    pub(crate) const fn with_delegations(mut self, delegates: bool) -> Self {
        self.delegates = delegates;
        self
    }

    /// Analyses code as this fork understands it.
    pub(crate) fn parse(&self, code: Bytes) -> Bytecode {
        parse_code(code, self.delegates)
    }

    /// The writes that come next are those of the transaction at this place, counted from zero.
    pub(crate) fn begin(&mut self, place: usize) {
        self.index = u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1);
    }

    /// Makes a block hash known that the state does not hold.
    pub(crate) fn set_block_hash(&mut self, height: u64, hash: B256) {
        self.block_hashes.insert(height, hash);
    }

    /// The account as it is now.
    pub(crate) fn account(&mut self, address: &Address) -> Result<Option<Account>, ExecutionFault> {
        Ok(self.load(address)?.present)
    }

    /// Changes an account outside of any transaction, creating it if it does not exist.
    pub(crate) fn edit(
        &mut self,
        address: &Address,
        change: impl FnOnce(&mut Account),
    ) -> Result<(), ExecutionFault> {
        let index = self.index;
        let entry = self.load(address)?;
        let before = entry.present;
        let mut account = before.unwrap_or_default();
        change(&mut account);
        entry.present = Some(account).filter(|account| !account.is_empty());
        let wiped = entry.present.is_none();
        if wiped {
            entry.wipe();
        }
        let after = entry.present;
        let is_written = before != after;
        entry.is_written |= is_written;
        if is_written {
            self.log.accounts.push(AccountWrite {
                index,
                address: *address,
                before,
                after,
                wiped: wiped && before.is_some(),
            });
        }
        Ok(())
    }

    /// Gives an account code outside of any transaction.
    pub(crate) fn set_code(
        &mut self,
        address: &Address,
        code: Bytes,
    ) -> Result<(), ExecutionFault> {
        let bytecode = self.parse(code);
        let code_hash = if bytecode.is_empty() {
            KECCAK256_EMPTY
        } else {
            bytecode.hash_slow()
        };
        self.log.codes.push((code_hash, bytecode.clone()));
        self.code.insert(code_hash, bytecode);
        self.edit(address, |account| account.code_hash = code_hash)
    }

    /// Sets a slot outside of any transaction.
    pub(crate) fn set_storage(
        &mut self,
        address: &Address,
        slot: U256,
        value: U256,
    ) -> Result<(), ExecutionFault> {
        let before = self.storage(address, slot)?;
        let index = self.index;
        let entry = self.load(address)?;
        let present = entry.storage.entry(slot).or_default();
        present.present = value;
        present.is_written |= before != value;
        if before != value {
            let address = *address;
            self.log.slots.push(SlotWrite {
                index,
                address,
                slot,
                value,
            });
        }
        Ok(())
    }

    /// Empties the storage of an account outside of any transaction.
    pub(crate) fn wipe_storage(&mut self, address: &Address) -> Result<(), ExecutionFault> {
        let entry = self.load(address)?;
        entry.wipe();
        Ok(())
    }

    /// Keeps the writes of one transaction. Accounts are independent of each other, so the order
    /// in which the map yields them cannot matter.
    pub(crate) fn commit(&mut self, changes: &EvmState) -> Result<(), ExecutionFault> {
        changes
            .iter()
            .filter(|(_, account)| account.is_touched())
            .try_for_each(|(address, account)| self.commit_account(*address, account))
    }

    fn commit_account(
        &mut self,
        address: Address,
        account: &EvmAccount,
    ) -> Result<(), ExecutionFault> {
        let index = self.index;
        let place = self.place(&address)?;
        let entry = self.accounts.get_mut(place).ok_or_else(lost)?;
        let before = entry.present;
        let is_dead = account.is_selfdestructed() || (account.is_empty() && !account.is_created());
        let wiped = is_dead || account.is_created();
        if wiped {
            entry.wipe();
        }
        let after = (!is_dead).then_some(Account {
            nonce: account.info.nonce,
            balance: account.info.balance,
            code_hash: account.info.code_hash,
        });
        entry.present = after;
        let wiped = wiped && before.is_some();
        if before != after || wiped {
            entry.is_written = true;
            self.log.accounts.push(AccountWrite {
                index,
                address,
                before,
                after,
                wiped,
            });
        }
        let Some(after) = after else {
            return Ok(());
        };
        let slots = &mut self.log.slots;
        account
            .storage
            .iter()
            .filter(|(_, slot)| slot.is_changed())
            .for_each(|(key, slot)| {
                let entry = entry.storage.entry(*key).or_default();
                let value = slot.present_value;
                entry.present = value;
                entry.is_written = true;
                slots.push(SlotWrite {
                    index,
                    address,
                    slot: *key,
                    value,
                });
            });
        let had = before.map(|before| before.code_hash);
        if let (true, Some(code)) = (had != Some(after.code_hash), &account.info.code)
            && after.has_code()
        {
            self.log.codes.push((after.code_hash, code.clone()));
            self.code
                .entry(after.code_hash)
                .or_insert_with(|| code.clone());
        }
        Ok(())
    }

    /// The difference between the state before the block and now.
    pub(crate) fn into_writes(self) -> Writes {
        let mut log = self.log;
        let accounts_read = self.accounts.len();
        let slots = self.accounts.iter().map(|account| account.storage.len());
        let slots_read = slots.fold(0, usize::saturating_add);
        for account in &self.accounts {
            if !account.is_written {
                log.read_accounts.push(account.address);
            }
            let unwritten = account.storage.iter().filter(|(_, slot)| !slot.is_written);
            log.read_slots
                .extend(unwritten.map(|(slot, _)| (account.address, *slot)));
        }
        let code = self
            .accounts
            .iter()
            .filter_map(OverlayAccount::new_code_hash)
            .filter_map(|hash| Some((hash, self.code.get(&hash)?.original_bytes())))
            .collect();
        let mut order: Vec<(Address, usize)> = self
            .accounts
            .iter()
            .enumerate()
            .map(|(place, account)| (account.address, place))
            .collect();
        // Sorting the small before the large is built moves each large one once.
        order.sort_unstable();
        let accounts = order
            .into_iter()
            .filter_map(|(address, place)| Some((address, self.accounts.get(place)?.diff()?)))
            .collect();
        Writes {
            diff: StateDiff { accounts, code },
            log,
            accounts_read,
            slots_read,
        }
    }

    /// Every account with its value now, and what has been written: where the next transaction starts.
    pub(crate) fn into_parts(self) -> OverlayParts {
        let accounts = self.accounts.into_iter();
        OverlayParts {
            accounts: accounts
                .map(|account| StartedAccount {
                    address: account.address,
                    before: account.before,
                    present: account.present,
                    is_written: account.is_written,
                    storage_wiped: account.storage_wiped,
                    slots: account.storage.into_iter().collect(),
                })
                .collect(),
            log: self.log,
        }
    }

    pub(crate) fn code(&mut self, code_hash: B256) -> Result<Bytecode, ExecutionFault> {
        if let Some(code) = self.code.get(&code_hash) {
            return Ok(code.clone());
        }
        let code = match self.code_cache {
            Some(cache) => cache.get(code_hash, self.state, self.delegates)?,
            None => read_code(code_hash, self.state, self.delegates)?,
        };
        self.code.insert(code_hash, code.clone());
        Ok(code)
    }

    pub(crate) fn storage(
        &mut self,
        address: &Address,
        slot: U256,
    ) -> Result<U256, ExecutionFault> {
        let state = self.state;
        let entry = self.load(address)?;
        if let Some(slot) = entry.storage.get(&slot) {
            return Ok(slot.present);
        }
        let value = if entry.storage_wiped || entry.before.is_none() {
            U256::ZERO
        } else {
            state.storage(address, &slot)?
        };
        entry.storage.insert(
            slot,
            Slot {
                before: value,
                present: value,
                is_written: false,
            },
        );
        Ok(value)
    }

    pub(crate) fn block_hash(&self, height: u64) -> Result<B256, ExecutionFault> {
        match self.block_hashes.get(&height) {
            Some(hash) => Ok(*hash),
            None => Ok(self.state.block_hash(height)?.unwrap_or_default()),
        }
    }

    fn load(&mut self, address: &Address) -> Result<&mut OverlayAccount, ExecutionFault> {
        let place = self.place(address)?;
        self.accounts.get_mut(place).ok_or_else(lost)
    }

    fn place(&mut self, address: &Address) -> Result<usize, ExecutionFault> {
        use alloy_primitives::map::Entry;
        match self.places.entry(*address) {
            Entry::Occupied(entry) => Ok(*entry.get()),
            Entry::Vacant(entry) => {
                let before = self.state.account(address)?;
                let place = *entry.insert(self.accounts.len());
                self.accounts.push(OverlayAccount {
                    address: *address,
                    before,
                    present: before,
                    is_written: false,
                    storage_wiped: false,
                    storage: HashMap::default(),
                });
                Ok(place)
            }
        }
    }
}

fn lost() -> ExecutionFault {
    ExecutionFault::Machine("an account lost its place".to_owned())
}

/// An overlay taken apart.
pub(crate) struct OverlayParts {
    pub(crate) accounts: Vec<StartedAccount>,
    pub(crate) log: AccessLog,
}

/// An account as the next transaction finds it.
pub(crate) struct StartedAccount {
    pub(crate) address: Address,
    pub(crate) before: Option<Account>,
    pub(crate) present: Option<Account>,
    /// Whether it has changed, if only for a time.
    pub(crate) is_written: bool,
    pub(crate) storage_wiped: bool,
    pub(crate) slots: Vec<(U256, Slot)>,
}

impl OverlayAccount {
    /// Empties the storage; what was read of it stays known as read.
    fn wipe(&mut self) {
        self.storage_wiped = true;
        self.storage
            .values_mut()
            .for_each(|slot| slot.present = U256::ZERO);
    }

    /// The hash of code that the account has now and had not before the block.
    fn new_code_hash(&self) -> Option<B256> {
        let present = self.present.filter(Account::has_code)?.code_hash;
        let had = self.before.map(|before| before.code_hash);
        (had != Some(present)).then_some(present)
    }

    fn diff(&self) -> Option<AccountDiff> {
        let existed = self.before.is_some();
        if self.present.is_none() {
            return existed.then(AccountDiff::default);
        }
        let wiped = self.storage_wiped;
        let storage: BTreeMap<U256, U256> = self
            .storage
            .iter()
            .filter(|(_, slot)| match wiped {
                true => !slot.present.is_zero(),
                false => slot.present != slot.before,
            })
            .map(|(key, slot)| (*key, slot.present))
            .collect();
        let storage_wiped = wiped && existed;
        let is_changed = self.before != self.present || storage_wiped || !storage.is_empty();
        is_changed.then_some(AccountDiff {
            account: self.present,
            storage_wiped,
            storage,
        })
    }
}
