//! Every account and slot in memory, with the values it had at the heights that are kept.
//!
//! ```text
//!             oldest                     newest
//!   account     ◆ 3 ─────── ◆ 5 ─────────────▶      one value per height that wrote it
//!   slot        ◆ 3 ───────────── ◆ 6 ───────▶
//!                               ▲
//!                   read at a height: the last value at or below it
//! ```
//!
//! One map for accounts and one for slots, each in shards under a lock of their own, so that many
//! threads read while one writes the next height. Most keys have one value, which needs no list.
//!
//! When an account's storage goes while it has slots, the height is noted beside the maps: values of
//! older heights are not the account's any more. That is rare since EIP-6780.
//!
//! Invariant: what is answered for a height never changes as long as the height is kept. Limit: the
//! whole state is in memory, about 160 bytes per account and 130 per slot.

use crate::diff::{AccountDiff, StateDiff};
use crate::reader::Account;
use alloy_primitives::map::{AddressMap, DefaultHashBuilder, HashMap};
use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const SHARDS: usize = 256;
/// The bits of a hash that choose the shard; a map uses the lowest and the highest seven.
const SHARD_SHIFT: u32 = 40;

/// The whole state at each height that is kept.
pub(crate) struct Versions {
    accounts: Shards<Address, Owner>,
    slots: Shards<(Address, U256), History<U256>>,
    /// Whether `wiped` has any entry.
    has_wiped: AtomicBool,
    /// The heights at which accounts lost their storage, oldest first.
    wiped: RwLock<AddressMap<Vec<u64>>>,
}

/// Accounts with their slots, none of them zero.
pub(crate) type AllAccounts = BTreeMap<Address, (Account, BTreeMap<U256, U256>)>;

/// An account.
#[derive(Debug)]
struct Owner {
    values: History<Option<Account>>,
    /// How many slots of it are in the map, zero or not.
    slots: u64,
}

/// A value and the height that wrote it, or several of them, oldest first.
#[derive(Debug)]
enum History<T> {
    One(u64, T),
    Many(Vec<(u64, T)>),
}

impl Versions {
    /// No account at all.
    pub(crate) fn new() -> Self {
        Self {
            accounts: Shards::new(),
            slots: Shards::new(),
            has_wiped: AtomicBool::new(false),
            wiped: RwLock::default(),
        }
    }

    /// The account at a height that is kept.
    pub(crate) fn account(&self, height: u64, address: &Address) -> Option<Account> {
        let accounts = self.accounts.read(address);
        *accounts.get(address)?.values.at(height)?
    }

    /// The slot at a height that is kept; zero when there is none.
    pub(crate) fn storage(&self, height: u64, address: &Address, slot: &U256) -> U256 {
        // First, because what was wiped is removed before it is forgotten that it was.
        let wiped = self.wiped_at(height, address);
        let key = (*address, *slot);
        let slots = self.slots.read(&key);
        match slots.get(&key).and_then(|slot| slot.last(height)) {
            Some((written, value)) if wiped.is_none_or(|wiped| written >= wiped) => *value,
            _ => U256::ZERO,
        }
    }

    /// Whether the account has slots at any height that is kept.
    pub(crate) fn has_slots(&self, address: &Address) -> bool {
        let accounts = self.accounts.read(address);
        accounts.get(address).is_some_and(|owner| owner.slots > 0)
    }

    /// Adds an account with its slots, none of them zero, to a state that lacks it.
    pub(crate) fn load(
        &self,
        height: u64,
        address: Address,
        account: Account,
        slots: &[(U256, U256)],
    ) {
        for (slot, value) in slots {
            let key = (address, *slot);
            let mut map = self.slots.write(&key);
            map.insert(key, History::One(height, *value));
        }
        let owner = Owner {
            values: History::One(height, Some(account)),
            slots: slots.len() as u64,
        };
        self.accounts.write(&address).insert(address, owner);
    }

    /// Adds the writes of the next height. For one caller at a time; nobody asks for the height yet.
    pub(crate) fn insert(&self, height: u64, diff: &StateDiff) {
        for (address, change) in &diff.accounts {
            self.insert_account(height, address, change);
        }
    }

    fn insert_account(&self, height: u64, address: &Address, change: &AccountDiff) {
        let new_slots = match change.account {
            Some(_) => self.insert_slots(height, address, change),
            None => 0,
        };
        let mut accounts = self.accounts.write(address);
        let had_slots = match accounts.get_mut(address) {
            Some(owner) => {
                owner.values.push(height, change.account);
                let had = owner.slots > 0;
                owner.slots += new_slots;
                had
            }
            None => {
                let owner = Owner {
                    values: History::One(height, change.account),
                    slots: new_slots,
                };
                accounts.insert(*address, owner);
                false
            }
        };
        drop(accounts);
        if change.drops_storage() && had_slots {
            let wiped = self.wiped.write();
            let mut wiped = wiped.unwrap_or_else(PoisonError::into_inner);
            wiped.entry(*address).or_default().push(height);
            self.has_wiped.store(true, Ordering::Release);
        }
    }

    /// Returns how many slots are new in the map.
    fn insert_slots(&self, height: u64, address: &Address, change: &AccountDiff) -> u64 {
        let mut new = 0;
        for (slot, value) in &change.storage {
            let key = (*address, *slot);
            let mut slots = self.slots.write(&key);
            match slots.get_mut(&key) {
                Some(history) => history.push(height, *value),
                // A slot that never was is zero already.
                None if value.is_zero() => {}
                None => {
                    slots.insert(key, History::One(height, *value));
                    new += 1;
                }
            }
        }
        new
    }

    /// Forgets what only heights below `oldest` need; `diff` is what `oldest` wrote.
    pub(crate) fn forget(&self, oldest: u64, diff: &StateDiff) {
        for (address, change) in &diff.accounts {
            let mut gone = 0;
            for slot in change.storage.keys() {
                gone += u64::from(self.forget_slot(oldest, (*address, *slot)));
            }
            if change.drops_storage() && self.has_wiped.load(Ordering::Acquire) {
                gone += self.forget_wiped(oldest, address);
            }
            self.forget_account(oldest, address, gone);
        }
    }

    /// Forgets what the newest height wrote; `diff` is that. For one caller at a time; nobody asks for the height
    /// any more.
    pub(crate) fn take_back(&self, newest: u64, diff: &StateDiff) {
        for (address, change) in &diff.accounts {
            let mut gone = 0;
            for slot in change.storage.keys() {
                gone += u64::from(self.take_slot_back(newest, (*address, *slot)));
            }
            if change.drops_storage() && self.has_wiped.load(Ordering::Acquire) {
                self.take_wipe_back(newest, address);
            }
            let mut accounts = self.accounts.write(address);
            let is_new = accounts.get_mut(address).is_some_and(|owner| {
                owner.slots -= gone;
                !owner.values.take_back(newest)
            });
            if is_new {
                accounts.remove(address);
            }
        }
    }

    /// Whether the slot is not in the map any more.
    fn take_slot_back(&self, newest: u64, key: (Address, U256)) -> bool {
        let mut slots = self.slots.write(&key);
        let history = slots.get_mut(&key);
        let is_new = history.is_some_and(|history| !history.take_back(newest));
        if is_new {
            slots.remove(&key);
        }
        is_new
    }

    fn take_wipe_back(&self, newest: u64, address: &Address) {
        let wiped = self.wiped.write();
        let mut wiped = wiped.unwrap_or_else(PoisonError::into_inner);
        let Some(heights) = wiped.get_mut(address) else {
            return;
        };
        heights.retain(|height| *height < newest);
        if heights.is_empty() {
            wiped.remove(address);
        }
        self.has_wiped.store(!wiped.is_empty(), Ordering::Release);
    }

    fn forget_account(&self, oldest: u64, address: &Address, gone: u64) {
        let mut accounts = self.accounts.write(address);
        let Some(owner) = accounts.get_mut(address) else {
            return;
        };
        owner.slots -= gone;
        owner.values.forget(oldest);
        let is_dead = matches!(owner.values, History::One(_, None));
        if is_dead && owner.slots == 0 {
            accounts.remove(address);
        }
    }

    /// Whether the slot is not in the map any more.
    fn forget_slot(&self, oldest: u64, key: (Address, U256)) -> bool {
        let mut slots = self.slots.write(&key);
        let Some(history) = slots.get_mut(&key) else {
            return false;
        };
        history.forget(oldest);
        let is_zero = matches!(history, History::One(_, value) if value.is_zero());
        if is_zero {
            slots.remove(&key);
        }
        is_zero
    }

    /// Removes the slots that went with their account; returns how many.
    fn forget_wiped(&self, oldest: u64, address: &Address) -> u64 {
        let wiped = self.wiped.write();
        let mut wiped = wiped.unwrap_or_else(PoisonError::into_inner);
        let Some(heights) = wiped.get_mut(address) else {
            return 0;
        };
        let count = heights.partition_point(|height| *height <= oldest);
        let last = heights.drain(..count).next_back();
        if heights.is_empty() {
            wiped.remove(address);
        }
        let Some(last) = last else {
            return 0;
        };
        let mut gone = 0;
        for shard in &self.slots.shards {
            let shard = shard.write();
            let mut shard = shard.unwrap_or_else(PoisonError::into_inner);
            shard.retain(|(owner, _), history| {
                let is_dead = owner == address && !history.forget_below(last);
                gone += u64::from(is_dead);
                !is_dead
            });
        }
        self.has_wiped.store(!wiped.is_empty(), Ordering::Release);
        gone
    }

    /// The writes that lead from the state after `diff`, which is all that was written since, back to
    /// that of a height.
    pub(crate) fn as_it_was(&self, height: u64, diff: &StateDiff) -> StateDiff {
        let accounts = diff.accounts.iter().map(|(address, change)| {
            let account = self.account(height, address);
            let slots = change.storage.keys();
            let mut storage: BTreeMap<U256, U256> = slots
                .map(|slot| (*slot, self.storage(height, address, slot)))
                .collect();
            if account.is_some() && change.drops_storage() {
                storage.extend(self.slots_at(height, address));
            }
            let before = AccountDiff {
                account,
                storage_wiped: false,
                storage,
            };
            (*address, before)
        });
        StateDiff {
            accounts: accounts.collect(),
            code: BTreeMap::new(),
        }
    }

    /// All accounts at a height with their slots; none if there are more of both together than so many.
    pub(crate) fn all(&self, height: u64, entries_max: usize) -> Option<AllAccounts> {
        let mut found = AllAccounts::new();
        for shard in &self.accounts.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let accounts = shard.iter().filter_map(|(address, owner)| {
                let account = (*owner.values.at(height)?)?;
                Some((*address, (account, BTreeMap::new())))
            });
            found.extend(accounts);
            entries_max.checked_sub(found.len())?;
        }
        let mut left = entries_max.checked_sub(found.len())?;
        for (address, slot) in self.slot_keys() {
            let value = self.storage(height, &address, &slot);
            let account = found.get_mut(&address).filter(|_| !value.is_zero());
            if let Some((_, slots)) = account {
                left = left.checked_sub(1)?;
                slots.insert(slot, value);
            }
        }
        Some(found)
    }

    /// Every slot that is in memory, read in part after part of the map.
    fn slot_keys(&self) -> impl Iterator<Item = (Address, U256)> {
        self.slots.shards.iter().flat_map(|shard| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            shard.keys().copied().collect::<Vec<_>>()
        })
    }

    /// All slots of an account at a height. Looks at every slot of all accounts.
    pub(crate) fn slots_at(&self, height: u64, address: &Address) -> BTreeMap<U256, U256> {
        let mut found = BTreeMap::new();
        for shard in &self.slots.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let own = shard.keys().filter(|(owner, _)| owner == address);
            found.extend(own.map(|(_, slot)| (*slot, U256::ZERO)));
        }
        for (slot, value) in &mut found {
            *value = self.storage(height, address, slot);
        }
        found
    }

    /// The last height up to this one at which the account lost its storage.
    fn wiped_at(&self, height: u64, address: &Address) -> Option<u64> {
        if !self.has_wiped.load(Ordering::Acquire) {
            return None;
        }
        let wiped = self.wiped.read();
        let wiped = wiped.unwrap_or_else(PoisonError::into_inner);
        let heights = wiped.get(address)?;
        let count = heights.partition_point(|wiped| *wiped <= height);
        heights.get(count.checked_sub(1)?).copied()
    }
}

impl<T: Copy + PartialEq> History<T> {
    /// The value at a height.
    fn at(&self, height: u64) -> Option<&T> {
        self.last(height).map(|(_, value)| value)
    }

    /// The last value up to a height, with the height that wrote it.
    fn last(&self, height: u64) -> Option<(u64, &T)> {
        match self {
            Self::One(written, value) => (*written <= height).then_some((*written, value)),
            Self::Many(values) => {
                let count = values.partition_point(|(written, _)| *written <= height);
                let (written, value) = values.get(count.checked_sub(1)?)?;
                Some((*written, value))
            }
        }
    }

    fn push(&mut self, height: u64, value: T) {
        match self {
            Self::One(written, old) => *self = Self::Many(vec![(*written, *old), (height, value)]),
            Self::Many(values) => values.push((height, value)),
        }
    }

    /// Keeps the value at `oldest` and all later ones.
    fn forget(&mut self, oldest: u64) {
        if let Self::Many(values) = self {
            let count = values.partition_point(|(written, _)| *written <= oldest);
            values.drain(..count.saturating_sub(1));
            self.shrink();
        }
    }

    /// Drops the value that a height wrote, which is the newest; says whether any is left.
    fn take_back(&mut self, newest: u64) -> bool {
        match self {
            Self::One(written, _) => *written < newest,
            Self::Many(values) => {
                values.retain(|(written, _)| *written < newest);
                let is_left = !values.is_empty();
                self.shrink();
                is_left
            }
        }
    }

    /// Drops the values of heights below this one; says whether any is left.
    fn forget_below(&mut self, height: u64) -> bool {
        match self {
            Self::One(written, _) => *written >= height,
            Self::Many(values) => {
                values.retain(|(written, _)| *written >= height);
                let is_left = !values.is_empty();
                self.shrink();
                is_left
            }
        }
    }

    fn shrink(&mut self) {
        if let Self::Many(values) = self
            && let [(written, value)] = values[..]
        {
            *self = Self::One(written, value);
        }
    }
}

/// A map in parts, each under a lock of its own.
struct Shards<K, V> {
    hasher: DefaultHashBuilder,
    shards: Box<[Shard<K, V>]>,
}

type Shard<K, V> = RwLock<HashMap<K, V>>;

impl<K: Hash + Eq, V> Shards<K, V> {
    fn new() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }

    fn read(&self, key: &K) -> RwLockReadGuard<'_, HashMap<K, V>> {
        let shard = self.shard(key).read();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, key: &K) -> RwLockWriteGuard<'_, HashMap<K, V>> {
        let shard = self.shard(key).write();
        shard.unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, key: &K) -> &Shard<K, V> {
        let hash = self.hasher.hash_one(key) >> SHARD_SHIFT;
        let index = usize::try_from(hash).unwrap_or(0) % SHARDS;
        &self.shards[index]
    }
}

#[cfg(test)]
mod tests;
