//! The state trie: accounts, and below each of them its storage.

use super::arena::{Arena, NONE, Ptr};
use super::changes::{AccountChange, Changes};
use super::check::{Found, Needs};
use super::keccak::Lanes;
use super::leaf::{AccountWrite, Place, SlotWrite, Stored};
use super::node::Kind;
use super::rehash::{Rehash, RootJob};
use super::split::{Split, Task, rehash_parts};
use crate::root::StateRoot;
use alloy_primitives::{B256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::collections::BTreeMap;

/// A storage trie above this has parts of its own, to be written by several threads.
const SMALL_STORAGE_BYTES_MAX: u32 = if cfg!(test) { 2 << 10 } else { 1 << 20 };
/// So many slots written at once make a storage trie one with parts of its own.
const SMALL_STORAGE_WRITES_MAX: usize = if cfg!(test) { 16 } else { 8192 };
/// Writes that a thread does at a time: enough to fill the lanes of the hash, few enough for their
/// nodes to stay in the second-level cache from the first visit to the last.
const TASK_WRITES_MAX: usize = 1024;
const TASK_WRITES_MIN: usize = if cfg!(test) { 2 } else { 128 };
/// Tasks per thread, so that threads finish together.
const TASKS_PER_THREAD: usize = 4;

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

    /// The root of the state with these accounts and slots alone.
    pub(crate) fn root_of(changes: &Changes) -> StateRoot {
        let mut trie = Self::new(Lanes::Widest);
        let root = trie.apply(changes, None);
        root.expect("nothing is missing of the empty state")
    }

    /// The root of the newest state.
    pub fn root(&self) -> StateRoot {
        StateRoot::computed(self.accounts.root())
    }

    /// Begins a new span of time: residency tells old writes from new ones by it.
    pub fn advance_epoch(&mut self) {
        self.epoch += 1;
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
            write_slots(&mut task, epoch, rehash)
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
            write_slots(&mut task, epoch, rehash)
        });
        split.finish();
        assert_eq!(split.root(), stored.root, "equal slots have equal roots");
        self.large.insert(*key, split);
    }
}

impl Split {
    /// What these writes need.
    fn needs<W: super::leaf::Write>(&self, mut writes: &[W]) -> Needs {
        let mut needs = Needs::default();
        let mut left: Vec<bool> = self.parts.iter().map(|part| part.root != NONE).collect();
        let mut emptied = false;
        while let [write, ..] = writes {
            let number = self.part_of(write.key());
            let count = writes.partition_point(|write| self.part_of(write.key()) == number);
            let part = &self.parts[number];
            let is_left = part
                .arena
                .check(part.root, self.depth(), &writes[..count], &mut needs);
            emptied |= left[number] && !is_left;
            left[number] = is_left;
            writes = &writes[count..];
        }
        if emptied && !self.is_whole() {
            add_lone(&left, &mut needs);
        }
        needs
    }
}

/// Adds the parts that are left alone below a first nibble, and the nibble that is left alone.
fn add_lone(left: &[bool], needs: &mut Needs) {
    let mut firsts = Vec::new();
    for (first, below) in (0_u8..).zip(left.chunks(16)) {
        let seconds: Vec<u8> = (0_u8..)
            .zip(below)
            .filter_map(|(second, is_left)| is_left.then_some(second))
            .collect();
        if let [second] = seconds[..] {
            needs.siblings.push(Nibbles::from_nibbles([first, second]));
        }
        if !seconds.is_empty() {
            firsts.push(first);
        }
    }
    if let [first] = firsts[..] {
        needs.siblings.push(Nibbles::from_nibbles([first]));
    }
}

/// How many writes one task should have.
fn task_size(writes: usize, pool: Option<&ThreadPool>) -> usize {
    let threads = pool.map_or(1, ThreadPool::current_num_threads);
    let size = match threads {
        1 => TASK_WRITES_MAX,
        threads => writes / (threads * TASKS_PER_THREAD),
    };
    size.clamp(TASK_WRITES_MIN, TASK_WRITES_MAX)
}

/// Does the tasks on the threads of the pool, or on this one.
fn run<T: Send, R: Send>(
    pool: Option<&ThreadPool>,
    tasks: Vec<T>,
    lanes: Lanes,
    work: impl Fn(T, &mut Rehash) -> R + Sync,
) -> Vec<R> {
    let many = tasks.len() > 1;
    match pool.filter(|_| many) {
        Some(pool) => pool.install(|| {
            let tasks = tasks.into_par_iter();
            tasks
                .map_init(|| Rehash::new(lanes), |rehash, task| work(task, rehash))
                .collect()
        }),
        None => {
            let mut rehash = Rehash::new(lanes);
            tasks
                .into_iter()
                .map(|task| work(task, &mut rehash))
                .collect()
        }
    }
}

/// Writes slots into the parts of one storage trie.
fn write_slots(task: &mut Task<'_, SlotWrite>, epoch: u32, rehash: &mut Rehash) {
    let mut changed = Vec::with_capacity(task.parts.len());
    for (number, writes) in task.by_part() {
        let part = &mut task.parts[number];
        part.arena.epoch = epoch;
        part.arena.warm(part.root, task.depth, writes);
        part.root = part
            .arena
            .apply(part.root, task.depth, writes)
            .node(part.root);
        changed.push(number);
    }
    rehash_parts(task.parts, &changed, task.depth, rehash);
    tidy(task.parts, &changed);
}

/// Writes accounts and their small storage tries. Returns the accounts whose storage is small no more.
fn write_accounts(
    task: &mut Task<'_, AccountChange>,
    large: &BTreeMap<B256, Split>,
    rehash: &mut Rehash,
) -> Vec<B256> {
    let by_part = task.by_part();
    let mut writes = Vec::with_capacity(task.writes.len());
    let (mut storages, mut owners) = (Vec::new(), Vec::new());
    for (number, changes) in &by_part {
        let part = &mut task.parts[*number];
        part.arena.warm(part.root, task.depth, changes);
        for change in *changes {
            let (value, written) =
                write_storage(&mut part.arena, part.root, task.depth, change, large);
            if let Some(node) = written {
                storages.push(RootJob {
                    arena: *number,
                    node,
                    depth: 0,
                });
                owners.push(writes.len());
            }
            writes.push(AccountWrite {
                key: change.key,
                value,
            });
        }
    }
    let references = rehash.run(task.parts, storages.iter());
    let mut grown = Vec::new();
    for ((storage, owner), reference) in storages.iter().zip(owners).zip(references) {
        let write = &mut writes[owner];
        let Some((_, stored)) = &mut write.value else {
            continue;
        };
        let arena = &task.parts[storage.arena].arena;
        stored.root = match reference {
            super::node::Reference::Hash(hash) => hash.into(),
            _ => keccak256(arena.encoding(storage.node, 0)),
        };
        if stored.bytes > SMALL_STORAGE_BYTES_MAX {
            grown.push(write.key);
        }
    }
    let mut rest = &writes[..];
    for (number, changes) in &by_part {
        let part = &mut task.parts[*number];
        let (mine, after) = rest.split_at(changes.len());
        part.root = part
            .arena
            .apply(part.root, task.depth, mine)
            .node(part.root);
        rest = after;
    }
    let changed: Vec<usize> = by_part.iter().map(|(number, _)| *number).collect();
    rehash_parts(task.parts, &changed, task.depth, rehash);
    tidy(task.parts, &changed);
    grown
}

/// The account's new value, for which its storage is written; and the root node of a small storage
/// trie whose hash is to be computed.
fn write_storage(
    arena: &mut Arena,
    root: Ptr,
    depth: usize,
    change: &AccountChange,
    large: &BTreeMap<B256, Split>,
) -> (Option<(crate::reader::Account, Stored)>, Option<Ptr>) {
    let mut stored = Stored::EMPTY;
    if root != NONE
        && let Found::Leaf(leaf) = arena.find(root, depth, &change.key)
    {
        stored = arena.stored(leaf);
    }
    if change.storage_wiped || change.account.is_none() {
        if let Some(root) = stored.small_root() {
            arena.free_subtrie(root);
        }
        stored = Stored::EMPTY;
    }
    let Some(account) = change.account else {
        return (None, None);
    };
    if change.slots.is_empty() {
        return (Some((account, stored)), None);
    }
    if let Some(split) = large.get(&change.key) {
        let root = split.root();
        let place = if root == EMPTY_ROOT_HASH {
            Place::Empty
        } else {
            Place::Large
        };
        return (
            Some((
                account,
                Stored {
                    place,
                    bytes: 0,
                    root,
                },
            )),
            None,
        );
    }
    let (before, live) = (stored.small_root().unwrap_or(NONE), arena.live_bytes());
    let after = arena.apply(before, 0, &change.slots).node(before);
    let bytes = (stored.bytes as usize + arena.live_bytes()).saturating_sub(live);
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    if after == NONE {
        return (Some((account, Stored::EMPTY)), None);
    }
    let place = Place::Small(after);
    (
        Some((
            account,
            Stored {
                place,
                bytes,
                ..stored
            },
        )),
        Some(after),
    )
}

/// The writes as the trie of accounts sees them: only who is deleted matters for what they need.
fn shape_of(change: &AccountChange) -> AccountWrite {
    AccountWrite {
        key: change.key,
        value: change.account.map(|account| (account, Stored::EMPTY)),
    }
}

fn tidy(parts: &mut [super::split::Part], changed: &[usize]) {
    for number in changed {
        let part = &mut parts[*number];
        if part.arena.is_wasteful() {
            part.root = part.arena.compact(part.root);
        }
    }
}

impl Arena {
    /// Gives back a subtrie with the small storage tries in it.
    pub(super) fn free_subtrie(&mut self, node: Ptr) {
        if node == NONE {
            return;
        }
        match self.kind(node) {
            Kind::Branch => {
                let head = self.branch(node);
                for nibble in head.nibbles() {
                    self.free_subtrie(self.child(node, head, nibble));
                }
            }
            Kind::Extension => self.free_subtrie(self.extension(node).child),
            Kind::Account => {
                if let Some(root) = self.stored(node).small_root() {
                    self.free_subtrie(root);
                }
            }
            Kind::Slot => {}
        }
        self.free_node(node);
    }

    /// Appends the slots of a storage trie in order; whether all were resolved.
    pub(super) fn collect_slots(&self, node: Ptr, slots: &mut Vec<SlotWrite>) -> bool {
        if node == NONE {
            return false;
        }
        match self.kind(node) {
            Kind::Branch => {
                let head = self.branch(node);
                let mut nibbles = head.nibbles();
                nibbles.all(|nibble| self.collect_slots(self.child(node, head, nibble), slots))
            }
            Kind::Extension => self.collect_slots(self.extension(node).child, slots),
            Kind::Account | Kind::Slot => {
                slots.push(SlotWrite {
                    key: self.key(node).into(),
                    value: self.slot_value(node),
                });
                true
            }
        }
    }
}
