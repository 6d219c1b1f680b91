//! What one thread does at a time: some parts of a trie and the writes to them.
//!
//! ```text
//!   slots:     warm ─▶ apply ─▶ rehash
//!   accounts:  warm ─▶ apply to their storage ─▶ rehash ─▶ apply to the accounts ─▶ rehash
//! ```
//!
//! Storage that lies with its account is hashed together for all accounts of the task.

use super::arena::{Arena, NONE, Ptr};
use super::changes::AccountChange;
use super::check::Found;
use super::keccak::Lanes;
use super::leaf::{AccountWrite, Place, SlotWrite, Stored, Write};
use super::node::{Kind, Reference};
use super::rehash::{Rehash, RootJob};
use super::split::{Part, Split, Task, rehash_parts};
use crate::reader::Account;
use alloy_primitives::{B256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use rayon::ThreadPool;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::collections::BTreeMap;

/// A storage trie above this has parts of its own, to be written by several threads.
const SMALL_STORAGE_BYTES_MAX: u32 = if cfg!(test) { 2 << 10 } else { 1 << 20 };
/// Writes that a thread does at a time: enough to fill the lanes of the hash, few enough for their
/// nodes to stay in the second-level cache from the first visit to the last.
const TASK_WRITES_MAX: usize = 1024;
const TASK_WRITES_MIN: usize = if cfg!(test) { 2 } else { 128 };
/// Tasks per thread, so that threads finish together.
const TASKS_PER_THREAD: usize = 4;

/// How many writes one task should have.
pub(super) fn task_size(writes: usize, pool: Option<&ThreadPool>) -> usize {
    let threads = pool.map_or(1, ThreadPool::current_num_threads);
    let size = match threads {
        1 => TASK_WRITES_MAX,
        threads => writes / (threads * TASKS_PER_THREAD),
    };
    size.clamp(TASK_WRITES_MIN, TASK_WRITES_MAX)
}

/// Does the tasks on the threads of the pool, or on this one.
pub(super) fn run<T: Send, R: Send>(
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
pub(super) fn write_slots<W: Write>(task: &mut Task<'_, W>, epoch: u32, rehash: &mut Rehash) {
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
pub(super) fn write_accounts(
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
            Reference::Hash(hash) => hash.into(),
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

/// An account's new value, and the root node of its storage when its hash is to be computed.
type Written = (Option<(Account, Stored)>, Option<Ptr>);

/// The account's new value, for which its storage is written; and the root node of a small storage
/// trie whose hash is to be computed.
fn write_storage(
    arena: &mut Arena,
    root: Ptr,
    depth: usize,
    change: &AccountChange,
    large: &BTreeMap<B256, Split>,
) -> Written {
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
pub(super) fn shape_of(change: &AccountChange) -> AccountWrite {
    AccountWrite {
        key: change.key,
        value: change.account.map(|account| (account, Stored::EMPTY)),
    }
}

fn tidy(parts: &mut [Part], changed: &[usize]) {
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
