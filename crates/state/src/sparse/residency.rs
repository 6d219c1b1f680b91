//! Which parts of the trie are in memory.
//!
//! ```text
//!   shrink(limit) ─▶ cold subtries ─▶ their hashes      oldest epoch first, a bounded unit at a time
//!   missing(changes) ─▶ ranges ─▶ resolve(leaves)       rebuilt, and must have the hash they left
//! ```
//!
//! A unit is small, so that bringing one back costs the reading of few leaves; larger ones go only when
//! the limit can't be met otherwise. Writes are what keeps a subtrie: reads change nothing.

use super::arena::{Arena, NONE, Ptr};
use super::check::{Found, Hook};
use super::leaf::{AccountWrite, Place, SlotWrite, Stored, Write};
use super::node::{Kind, Reference};
use super::rehash::{Rehash, RootJob};
use super::split::{PARTS, Part, Split};
use super::trie::{Missing, SparseTrie};
use super::update::shared_with;
use crate::reader::Account;
use alloy_primitives::{B256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The largest subtrie that is dropped as one while others of its kind are left.
const UNIT_BYTES_MAX: usize = if cfg!(test) { 256 } else { 4 << 10 };

/// An account as a flat table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// Keccak of the address.
    pub key: B256,
    /// The account.
    pub account: Account,
    /// Root of its storage trie.
    pub storage_root: B256,
}

/// All leaves of a range, by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Of the trie of accounts.
    Accounts(Vec<AccountRow>),
    /// Of a storage trie.
    Slots(Vec<SlotWrite>),
}

/// Memory can't be brought below a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the trie can't shrink to limit_bytes={limit_bytes}: its upper levels take floor_bytes={floor_bytes}"
)]
pub struct LimitTooLow {
    /// What was asked for.
    pub limit_bytes: usize,
    /// What is left when everything that can be dropped is.
    pub floor_bytes: usize,
}

/// Leaves that are not what was dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// They do not have the hash of the range; or are out of order, outside it or of the wrong kind.
    #[error("leaves do not have the hash of their range: {0}")]
    Mismatch(Missing),
    /// The range is in memory, or unknown.
    #[error("nothing to resolve: {0}")]
    NotMissing(Missing),
}

/// Where to look for a path.
struct Search<'a> {
    part: &'a mut Part,
    root: Ptr,
    depth: usize,
    /// Whose storage it is in, when that has no parts of its own.
    account: Option<Ptr>,
}

impl SparseTrie {
    /// Bytes that the trie holds.
    pub fn bytes(&self) -> usize {
        let splits = self.large.values().chain([&self.accounts]);
        splits.map(Split::held_bytes).sum()
    }

    /// Drops what was not written for longest, and not after `epoch`, until at most `limit_bytes` are held.
    /// Returns how many bytes are held after it.
    pub fn shrink(&mut self, limit_bytes: usize, epoch: u32) -> Result<usize, LimitTooLow> {
        for unit in [UNIT_BYTES_MAX, usize::MAX] {
            let bytes = self.bytes();
            if bytes <= limit_bytes {
                return Ok(bytes);
            }
            let splits = self.large.values_mut().chain([&mut self.accounts]);
            for part in splits.flat_map(|split| &mut split.parts) {
                let held = part.arena.held_bytes();
                // Each part gives its share; a little more, for what growing arenas reserve.
                let keep = (held as u128 * limit_bytes as u128 / bytes.max(1) as u128) * 7 / 8;
                let keep = usize::try_from(keep).unwrap_or(usize::MAX);
                part.shrink(Cold { epoch, keep, unit });
            }
            self.forget_unheld();
        }
        match self.bytes() {
            bytes if bytes <= limit_bytes => Ok(bytes),
            floor_bytes => Err(LimitTooLow {
                limit_bytes,
                floor_bytes,
            }),
        }
    }

    /// Drops the subtrie at a path, if there is a node and it has a hash. Whether it did.
    pub fn drop_subtrie(&mut self, account: Option<&B256>, path: &Nibbles) -> bool {
        let Some(search) = self.subtrie(account, path) else {
            return false;
        };
        let (part, hook) = search.hook(path);
        let dropped = hook.is_some_and(|hook| part.arena.unhook(hook));
        if dropped && (account.is_none() || path.is_empty()) {
            self.forget_unheld();
        }
        dropped
    }

    /// Rebuilds a dropped range from all of its leaves. On an error the range stays as it was.
    pub fn resolve(&mut self, missing: &Missing, leaves: &Leaves) -> Result<(), ResolveError> {
        let mut rehash = std::mem::replace(&mut self.rehash, Rehash::idle());
        let resolved = self.resolve_with(missing, leaves, &mut rehash);
        self.rehash = rehash;
        resolved
    }

    fn resolve_with(
        &mut self,
        missing: &Missing,
        leaves: &Leaves,
        rehash: &mut Rehash,
    ) -> Result<(), ResolveError> {
        let not_missing = || ResolveError::NotMissing(missing.clone());
        let found = self.subtrie(missing.account.as_ref(), &missing.path);
        let (part, hook) = found.ok_or_else(not_missing)?.hook(&missing.path);
        let hook = hook.filter(|hook| part.arena.hooked(*hook).0 == NONE);
        let hook = hook.ok_or_else(not_missing)?;
        let rebuilt = match (leaves, missing.account) {
            (Leaves::Accounts(rows), None) => {
                let writes: Vec<AccountWrite> = rows.iter().map(AccountRow::write).collect();
                part.rebuild(hook, &missing.path, &writes, rehash)
            }
            (Leaves::Slots(slots), Some(_)) => part.rebuild(hook, &missing.path, slots, rehash),
            (Leaves::Accounts(_) | Leaves::Slots(_), _) => false,
        };
        match rebuilt {
            true => Ok(()),
            false => Err(ResolveError::Mismatch(missing.clone())),
        }
    }

    /// The part and root below which a path is; for small storage also the account's leaf.
    fn subtrie(&mut self, account: Option<&B256>, path: &Nibbles) -> Option<Search<'_>> {
        let Some(key) = account else {
            return self.accounts.part_at(path);
        };
        let number = self.accounts.part_of(key);
        let (arena, leaf) = self.account_leaf(key).ok()??;
        let root = match arena.stored(leaf).place {
            Place::Empty => return None,
            Place::Large if !path.is_empty() => return self.large.get_mut(key)?.part_at(path),
            Place::Large | Place::Unresolved => NONE,
            Place::Small(root) => root,
        };
        Some(Search {
            part: &mut self.accounts.parts[number],
            root,
            depth: 0,
            account: Some(leaf),
        })
    }

    /// Drops the large storage tries whose accounts were dropped.
    fn forget_unheld(&mut self) {
        let accounts = &self.accounts;
        self.large.retain(|key, _| match accounts.find(key) {
            (arena, Found::Leaf(leaf)) => arena.stored(leaf).place == Place::Large,
            _ => false,
        });
    }
}

impl<'a> Search<'a> {
    /// Where the node with this path hangs, in memory or not.
    fn hook(self, path: &Nibbles) -> (&'a mut Part, Option<Hook>) {
        let hook = match path.is_empty() {
            true => self.account.map(Hook::Account),
            false => self.part.arena.hook(self.root, self.depth, path),
        };
        (self.part, hook)
    }
}

impl AccountRow {
    pub(super) fn write(&self) -> AccountWrite {
        let empty = self.storage_root == EMPTY_ROOT_HASH;
        let stored = Stored {
            place: if empty {
                Place::Empty
            } else {
                Place::Unresolved
            },
            bytes: 0,
            root: self.storage_root,
        };
        AccountWrite {
            key: self.key,
            value: Some((self.account, stored)),
        }
    }
}

impl Split {
    fn held_bytes(&self) -> usize {
        let parts = self.parts.iter();
        size_of::<Part>() * PARTS + parts.map(|part| part.arena.held_bytes()).sum::<usize>()
    }

    /// The part whose root is above a path.
    fn part_at(&mut self, path: &Nibbles) -> Option<Search<'_>> {
        let depth = self.depth();
        let number = match depth {
            0 => 0,
            _ => usize::from(path.get(0)? << 4 | path.get(1)?),
        };
        let part = &mut self.parts[number];
        let root = part.root;
        (path.len() > depth && root != NONE).then_some(Search {
            part,
            root,
            depth,
            account: None,
        })
    }
}

impl Part {
    /// Drops cold subtries, the coldest first.
    fn shrink(&mut self, cold: Cold) {
        let live = self.arena.live_bytes();
        if self.root == NONE || live <= cold.keep {
            return;
        }
        let mut by_epoch = BTreeMap::new();
        self.arena
            .survey(self.root, self.arena.epoch, &mut by_epoch);
        let mut sum = 0;
        let enough = by_epoch.iter().find(|(_, bytes)| {
            sum += **bytes;
            sum >= live - cold.keep
        });
        let epoch = enough.map_or(u32::MAX, |(epoch, _)| *epoch);
        let epoch = epoch.min(cold.epoch);
        self.arena.drop_below(self.root, Cold { epoch, ..cold });
        self.root = self.arena.compact(self.root);
    }

    /// Hangs the trie of these leaves where its hash hangs. Whether it has that hash.
    fn rebuild<W: Write>(
        &mut self,
        hook: Hook,
        path: &Nibbles,
        writes: &[W],
        rehash: &mut Rehash,
    ) -> bool {
        let path: Vec<u8> = path.iter().collect();
        let sorted = writes.windows(2).all(|pair| pair[0].key() < pair[1].key());
        let inside = |write: &W| shared_with(write.key(), 0, &path) == path.len();
        let present = |write: &W| !write.is_delete();
        if writes.is_empty()
            || !sorted
            || !writes.iter().all(|write| inside(write) && present(write))
        {
            return false;
        }
        let node = self.arena.build(writes, path.len(), NONE);
        let root = RootJob {
            arena: 0,
            node,
            depth: u8::try_from(path.len()).expect("shorter than a key"),
        };
        let reference = rehash.run(std::slice::from_mut(self), [root].iter())[0];
        let hash = match reference {
            Reference::Hash(hash) => hash.into(),
            _ => keccak256(self.arena.encoding(node, path.len())),
        };
        if self.arena.hash_at(hook) == Some(hash) {
            self.arena.hang(hook, node);
            return true;
        }
        self.arena.free_subtrie(node);
        false
    }
}

/// What to drop.
#[derive(Clone, Copy)]
struct Cold {
    /// Written no later than this.
    epoch: u32,
    /// Until so many bytes are live.
    keep: usize,
    /// At most so many bytes at once.
    unit: usize,
}

impl Arena {
    /// Adds up the bytes of nodes by when they were written; a leaf counts with its parent.
    fn survey(&self, node: Ptr, epoch: u32, by_epoch: &mut BTreeMap<u32, usize>) {
        if node == NONE {
            return;
        }
        let epoch = self.node_epoch(node).unwrap_or(epoch);
        *by_epoch.entry(epoch).or_default() += self.size(node);
        self.for_children(node, |_, child| self.survey(child, epoch, by_epoch));
    }

    /// Drops cold subtries below a node that stays. Returns the bytes below the node and whether all
    /// of it is cold: then it is for the caller to drop.
    fn drop_cold(&mut self, node: Ptr, cold: Cold) -> (usize, bool) {
        let (bytes, is_cold, units) = self.units_below(node, cold);
        if is_cold && bytes <= cold.unit {
            return (bytes, true);
        }
        self.drop_units(units, cold);
        (bytes, is_cold)
    }

    /// The same for a root, which stays whatever is below it.
    fn drop_below(&mut self, root: Ptr, cold: Cold) {
        let (_, _, units) = self.units_below(root, cold);
        self.drop_units(units, cold);
    }

    fn drop_units(&mut self, units: Vec<Hook>, cold: Cold) {
        for hook in units {
            if self.live_bytes() > cold.keep {
                self.unhook(hook);
            }
        }
    }

    /// Bytes from a node on, whether all of it is cold, and the cold units right below it.
    fn units_below(&mut self, node: Ptr, cold: Cold) -> (usize, bool, Vec<Hook>) {
        let mut bytes = self.size(node);
        let mut is_cold = self
            .node_epoch(node)
            .is_none_or(|epoch| epoch <= cold.epoch);
        let mut children = Vec::new();
        self.for_children(node, |hook, child| children.push((hook, child)));
        let mut units = Vec::new();
        for (hook, child) in children {
            let (below, child_is_cold) = self.drop_cold(child, cold);
            bytes += below;
            is_cold &= child_is_cold;
            if child_is_cold && self.node_epoch(child).is_some() && below <= cold.unit {
                units.push(hook);
            }
        }
        (bytes, is_cold, units)
    }

    fn node_epoch(&self, node: Ptr) -> Option<u32> {
        match self.kind(node) {
            Kind::Branch => Some(self.branch(node).epoch),
            Kind::Extension => Some(self.extension_epoch(node)),
            Kind::Account | Kind::Slot => None,
        }
    }

    /// The children in memory, small storage tries among them.
    fn for_children(&self, node: Ptr, mut each: impl FnMut(Hook, Ptr)) {
        match self.kind(node) {
            Kind::Branch => {
                let head = self.branch(node);
                let children = head
                    .nibbles()
                    .map(|nibble| (nibble, self.child(node, head, nibble)));
                let resolved = children.filter(|(_, child)| *child != NONE);
                resolved.for_each(|(nibble, child)| each(Hook::Branch(node, nibble), child));
            }
            Kind::Extension => {
                let child = self.extension(node).child;
                if child != NONE {
                    each(Hook::Extension(node), child);
                }
            }
            Kind::Account => {
                if let Some(root) = self.stored(node).small_root() {
                    each(Hook::Account(node), root);
                }
            }
            Kind::Slot => {}
        }
    }

    /// Where the node with this path hangs, in memory or not.
    fn hook(&self, root: Ptr, depth: usize, path: &Nibbles) -> Option<Hook> {
        let mut key = [0; 32];
        for (index, nibble) in path.iter().enumerate() {
            key[index / 2] |= nibble << (4 * (1 - index % 2));
        }
        let (mut node, mut depth) = (root, depth);
        while node != NONE {
            let (hook, below) = self.next(node, depth, &key)?;
            match below.cmp(&path.len()) {
                Ordering::Less => (node, depth) = (self.hooked(hook).0, below),
                Ordering::Equal => return Some(hook),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The hash that hangs at a hook; `None` when the node is embedded.
    fn hash_at(&self, hook: Hook) -> Option<B256> {
        match self.hooked(hook).1 {
            Reference::Hash(hash) => Some(hash.into()),
            Reference::Embedded(_) | Reference::Stale => None,
        }
    }

    fn hang(&mut self, hook: Hook, child: Ptr) {
        match hook {
            Hook::Branch(node, nibble) => {
                let head = self.branch(node);
                self.set_child(node, head, nibble, child);
            }
            Hook::Extension(node) => self.set_extension_child(node, child),
            Hook::Account(leaf) => {
                let place = if child == NONE {
                    Place::Unresolved
                } else {
                    Place::Small(child)
                };
                self.set_place(leaf, place);
            }
        }
    }

    /// Drops what hangs at a hook, if it has a hash. Whether it did.
    fn unhook(&mut self, hook: Hook) -> bool {
        let child = self.hooked(hook).0;
        let large = matches!(hook, Hook::Account(leaf) if self.stored(leaf).place == Place::Large);
        if self.hash_at(hook).is_none() || (child == NONE && !large) {
            return false;
        }
        self.free_subtrie(child);
        self.hang(hook, NONE);
        self.partial = true;
        true
    }
}
