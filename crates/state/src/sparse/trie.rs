//! The state trie: accounts, and below each of them its storage.

use super::arena::NONE;
use super::changes::{AccountChange, Changes};
use super::check::{Found, Needs};
use super::keccak::Lanes;
use super::leaf::{AccountWrite, Place, Write};
use super::rehash::Rehash;
use super::split::{Split, Task};
use super::write::{run, shape_of, task_size, write_accounts, write_slots};
use crate::root::StateRoot;
use alloy_primitives::B256;
use alloy_trie::Nibbles;
use rayon::ThreadPool;
use std::collections::BTreeMap;

/// So many slots written at once make a storage trie one with parts of its own.
const SMALL_STORAGE_WRITES_MAX: usize = if cfg!(test) { 16 } else { 8192 };
/// A part of the trie that is known by its hash only, and that a read or write needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("unresolved trie node: account={account:?} path={path:?}")]
pub struct Missing {
    /// The account whose storage it is in; `None` in the trie of accounts.
    pub account: Option<B256>,
    /// The nibbles that the missing keys begin with.
    pub path: Nibbles,
}

/// The newest state, all of it or parts, changed in place.
#[derive(Debug)]
pub struct SparseTrie {
    pub(super) accounts: Split,
    /// Storage tries with parts of their own, by the key of their account.
    pub(super) large: BTreeMap<B256, Split>,
    pub(super) lanes: Lanes,
    pub(super) epoch: u32,
    /// Working memory of this thread.
    pub(super) rehash: Rehash,
}

impl SparseTrie {
    /// The empty state.
    pub fn new(lanes: Lanes) -> Self {
        Self::over(Split::wide(), lanes)
    }

    /// The state with these accounts and slots alone.
    pub(crate) fn of(changes: &Changes) -> Self {
        let mut trie = Self::new(Lanes::Widest);
        let root = trie.apply(changes, None);
        root.expect("nothing is missing of the empty state");
        trie
    }

    /// The root of an account's storage trie; `None` when there is no such account, or when it is not in
    /// memory.
    pub fn storage_root(&self, account: &B256) -> Option<B256> {
        match self.accounts.find(account) {
            (arena, Found::Leaf(leaf)) => Some(arena.stored(leaf).root),
            _ => None,
        }
    }

    /// The root of the newest state.
    pub fn root(&self) -> StateRoot {
        StateRoot::computed(self.accounts.root())
    }

    /// Begins a new span of time: residency tells old writes from new ones by it. Returns its number; there
    /// are 2^24 of them.
    pub fn advance_epoch(&mut self) -> u32 {
        self.epoch += 1;
        self.epoch
    }

    /// Applies a block's writes on the threads of `pool`, or on this one; the new root. On an error
    /// nothing has changed.
    pub fn apply(
        &mut self,
        changes: &Changes,
        pool: Option<&ThreadPool>,
    ) -> Result<StateRoot, Missing> {
        if self.is_partial()
            && let Some(first) = self.missing(changes).into_iter().next()
        {
            return Err(first);
        }
        self.apply_to_large(changes, pool);
        let (large, lanes, epoch) = (&self.large, self.lanes, self.epoch);
        let tasks = Task::divide(
            &mut self.accounts,
            changes.accounts(),
            task_size(changes.accounts().len(), pool),
        );
        let grown = run(pool, tasks, lanes, |mut task, rehash| {
            task.parts
                .iter_mut()
                .for_each(|part| part.arena.epoch = epoch);
            write_accounts(&mut task, large, rehash)
        });
        self.accounts.finish();
        for key in grown.into_iter().flatten() {
            self.enlarge(&key, pool);
        }
        Ok(self.root())
    }

    /// The parts that these writes need and that are known by their hash only. When they are resolved
    /// there may be more below.
    pub fn missing(&self, changes: &Changes) -> Vec<Missing> {
        let needs = self.needs(changes);
        let mut missing: Vec<Missing> = needs
            .into_iter()
            .flat_map(|(account, needs)| {
                let paths = needs.unresolved.into_iter();
                paths.map(move |path| Missing { account, path })
            })
            .collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Bytes of nodes in memory.
    pub fn live_bytes(&self) -> usize {
        let splits = self.large.values().chain([&self.accounts]);
        let parts = splits.flat_map(|split| &split.parts);
        parts.map(|part| part.arena.live_bytes()).sum()
    }

    pub(super) fn over(accounts: Split, lanes: Lanes) -> Self {
        Self {
            accounts,
            large: BTreeMap::new(),
            lanes,
            epoch: 0,
            rehash: Rehash::new(lanes),
        }
    }

    /// What these writes need, in the trie of accounts and in those of storage.
    pub(super) fn needs(&self, changes: &Changes) -> Vec<(Option<B256>, Needs)> {
        let changes = changes.accounts();
        let writes: Vec<AccountWrite> = changes.iter().map(shape_of).collect();
        let mut all = vec![(None, self.accounts.needs(&writes))];
        for change in changes {
            if change.slots.is_empty() || change.storage_wiped {
                continue;
            }
            let part = &self.accounts.parts[self.accounts.part_of(&change.key)];
            let mut needs = Needs::default();
            let Found::Leaf(leaf) = part
                .arena
                .find(part.root, self.accounts.depth(), &change.key)
            else {
                continue;
            };
            match part.arena.stored(leaf).place {
                Place::Empty => continue,
                Place::Unresolved => needs.unresolved.push(Nibbles::new()),
                Place::Small(root) => {
                    part.arena.check(root, 0, &change.slots, &mut needs);
                }
                Place::Large => needs = self.large[&change.key].needs(&change.slots),
            }
            all.push((Some(change.key), needs));
        }
        all
    }

    pub(super) fn is_partial(&self) -> bool {
        let splits = self.large.values().chain([&self.accounts]);
        let mut parts = splits.flat_map(|split| &split.parts);
        parts.any(|part| part.arena.partial)
    }

    /// Writes the storage tries that have parts of their own.
    fn apply_to_large(&mut self, changes: &Changes, pool: Option<&ThreadPool>) {
        for change in changes.accounts() {
            if change.storage_wiped || change.account.is_none() {
                self.large.remove(&change.key);
            }
            if change.slots.len() > SMALL_STORAGE_WRITES_MAX
                && !self.large.contains_key(&change.key)
            {
                self.make_large(change, pool);
            }
        }
        let (lanes, epoch) = (self.lanes, self.epoch);
        let mut tasks = Vec::new();
        let total = changes
            .accounts()
            .iter()
            .map(|change| change.slots.len())
            .sum();
        let size = task_size(total, pool);
        for (key, split) in &mut self.large {
            let changes = changes.accounts();
            if let Ok(index) = changes.binary_search_by(|change| change.key.cmp(key)) {
                tasks.extend(Task::divide(split, &changes[index].slots, size));
            }
        }
        run(pool, tasks, lanes, |mut task, rehash| {
            write_slots(&mut task, epoch, rehash);
        });
        for (key, split) in &mut self.large {
            let changes = changes.accounts();
            if changes
                .binary_search_by(|change| change.key.cmp(key))
                .is_ok()
            {
                split.finish();
            }
        }
    }

    /// Gives the storage of an account parts of its own before many slots are written to it.
    fn make_large(&mut self, change: &AccountChange, pool: Option<&ThreadPool>) {
        let number = self.accounts.part_of(&change.key);
        let part = &self.accounts.parts[number];
        let found = part
            .arena
            .find(part.root, self.accounts.depth(), &change.key);
        let small = match found {
            Found::Leaf(leaf) if !change.storage_wiped => part.arena.stored(leaf).small_root(),
            _ => None,
        };
        match small {
            Some(_) => self.enlarge(&change.key, pool),
            None => drop(self.large.insert(change.key, Split::wide())),
        }
    }

    /// Moves the storage of an account into parts of its own. Leaves it where it is when some of it is
    /// unresolved.
    fn enlarge(&mut self, key: &B256, pool: Option<&ThreadPool>) {
        let (number, depth) = (self.accounts.part_of(key), self.accounts.depth());
        let part = &mut self.accounts.parts[number];
        let Found::Leaf(leaf) = part.arena.find(part.root, depth, key) else {
            return;
        };
        let stored = part.arena.stored(leaf);
        let mut slots = Vec::new();
        let Some(root) = stored.small_root() else {
            return;
        };
        if !part.arena.collect_slots(root, &mut slots) {
            return;
        }
        part.arena.free_subtrie(root);
        part.arena.set_place(leaf, Place::Large);
        let (mut split, epoch) = (Split::wide(), self.epoch);
        let tasks = Task::divide(&mut split, &slots, task_size(slots.len(), pool));
        run(pool, tasks, self.lanes, |mut task, rehash| {
            write_slots(&mut task, epoch, rehash);
        });
        split.finish();
        assert_eq!(split.root(), stored.root, "equal slots have equal roots");
        self.large.insert(*key, split);
    }
}

impl Split {
    /// What these writes need.
    fn needs<W: Write>(&self, mut writes: &[W]) -> Needs {
        let mut needs = Needs::default();
        let mut left: Vec<bool> = self.parts.iter().map(|part| part.root != NONE).collect();
        let mut touched = vec![false; left.len()];
        while let [write, ..] = writes {
            let number = self.part_of(write.key());
            let count = writes.partition_point(|write| self.part_of(write.key()) == number);
            let (part, depth) = (&self.parts[number], self.depth());
            left[number] = part
                .arena
                .check(part.root, depth, &writes[..count], &mut needs);
            touched[number] = true;
            writes = &writes[count..];
        }
        if !self.is_whole() {
            needs.siblings.extend(lone_above(&left, &touched));
        }
        needs
    }
}

/// The nodes above the parts of a split trie, or their roots, that are left alone untouched where others
/// were written: in a trie that is whole they take their parent's place.
fn lone_above(left: &[bool], touched: &[bool]) -> Vec<Nibbles> {
    let mut lone = Vec::new();
    let mut firsts = Vec::new();
    for first in 0u8..16 {
        let parts = usize::from(first) * 16..usize::from(first) * 16 + 16;
        let mut seconds = (0u8..16).zip(parts.clone()).filter(|(_, part)| left[*part]);
        let only = (seconds.next(), seconds.next());
        let any_touched = touched[parts].contains(&true);
        if let (Some((second, part)), None) = only
            && any_touched
            && !touched[part]
        {
            lone.push(Nibbles::from_nibbles([first, second]));
        }
        if only.0.is_some() {
            firsts.push((first, any_touched));
        }
    }
    if let [(first, false)] = firsts[..] {
        lone.push(Nibbles::from_nibbles([first]));
    }
    lone
}
