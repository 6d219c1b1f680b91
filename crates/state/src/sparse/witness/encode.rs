//! From the full state to a witness.

use super::{ACCOUNT, BRANCH, EMPTY, EXTENSION, HAS_CODE, HAS_STORAGE, HASH, SLOT, VERSION};
use crate::sparse::arena::{Arena, NONE, Ptr};
use crate::sparse::changes::Changes;
use crate::sparse::check::prefix;
use crate::sparse::leaf::{Place, SLOT_VALUE_AT};
use crate::sparse::node::{KEY_NIBBLES, Kind, Reference, nibble_at};
use crate::sparse::read::InArena;
use crate::sparse::split::{Child, Split};
use crate::sparse::trie::{Missing, SparseTrie};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::Nibbles;
use std::collections::BTreeMap;

/// The accounts and slots that a block read or wrote, absent ones too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    accounts: Goals,
    storage: BTreeMap<B256, Goals>,
}

/// Keys, and how many of their nibbles to go down.
type Goals = BTreeMap<B256, usize>;

impl Touched {
    /// Notes an account.
    pub fn account(&mut self, address: &Address) {
        self.accounts.insert(keccak256(address), KEY_NIBBLES);
    }

    /// Notes a slot, and its account.
    pub fn slot(&mut self, address: &Address, slot: &U256) {
        self.slot_key(keccak256(address), keccak256(slot.to_be_bytes::<32>()));
    }

    /// Notes an account by its key.
    pub fn account_key(&mut self, key: B256) {
        self.accounts.insert(key, KEY_NIBBLES);
    }

    /// Notes a slot by its key, and its account.
    pub fn slot_key(&mut self, account: B256, key: B256) {
        self.account_key(account);
        let slots = self.storage.entry(account).or_default();
        slots.insert(key, KEY_NIBBLES);
    }

    /// Adds what computing the root after these changes needs.
    fn add_changes(&mut self, trie: &SparseTrie, changes: &Changes) {
        for change in changes.accounts() {
            self.account_key(change.key);
            let slots = change.slots.iter().filter(|_| !change.storage_wiped);
            slots.for_each(|slot| self.slot_key(change.key, slot.key));
        }
        for (account, needs) in trie.needs(changes) {
            let goals = match account {
                None => &mut self.accounts,
                Some(account) => self.storage.entry(account).or_default(),
            };
            for path in needs.siblings {
                let goal = goals.entry(first_key(&path)).or_default();
                *goal = path.len().max(*goal);
            }
        }
    }
}

impl SparseTrie {
    /// What shows the touched keys, and is enough to compute the root after the changes.
    pub fn witness(
        &self,
        mut touched: Touched,
        changes: &Changes,
        codes: &[Bytes],
    ) -> Result<Bytes, Missing> {
        touched.add_changes(self, changes);
        let mut writer = Writer {
            trie: self,
            touched: &touched,
            account: None,
            out: vec![VERSION],
        };
        let goals: Vec<(B256, usize)> = touched
            .accounts
            .iter()
            .map(|(key, to)| (*key, *to))
            .collect();
        writer.split(&self.accounts, &goals)?;
        let mut out = writer.out;
        put_length(&mut out, codes.len());
        for code in codes {
            put_length(&mut out, code.len());
            out.extend_from_slice(code);
        }
        Ok(out.into())
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("codes are below 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
}

fn first_key(path: &Nibbles) -> B256 {
    let mut key = B256::ZERO;
    for (index, nibble) in path.iter().enumerate() {
        key[index / 2] |= nibble << (4 * (1 - index % 2));
    }
    key
}

/// The goals that go on below the node with this nibble at `depth`.
fn goals_below(goals: &[(B256, usize)], depth: usize, nibble: u8) -> &[(B256, usize)] {
    let start = goals.partition_point(|(key, _)| nibble_at(key, depth) < nibble);
    let count = goals[start..].partition_point(|(key, _)| nibble_at(key, depth) == nibble);
    &goals[start..start + count]
}

struct Writer<'a> {
    trie: &'a SparseTrie,
    touched: &'a Touched,
    /// Whose storage is being written.
    account: Option<B256>,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn split(&mut self, split: &Split, goals: &[(B256, usize)]) -> Result<(), Missing> {
        if split.is_whole() {
            let part = &split.parts[0];
            if part.root == NONE {
                self.out.push(EMPTY);
                return Ok(());
            }
            return self.node(&part.arena, part.root, 0, goals);
        }
        let present = |nibble: &u8| !matches!(split.child(*nibble), Child::Empty);
        let firsts: Vec<u8> = (0..16).filter(present).collect();
        match firsts[..] {
            [] => self.out.push(EMPTY),
            [first] => return self.first(split, first, 0, goals),
            _ => {
                self.branch_head(&firsts);
                for first in firsts {
                    let goals = goals_below(goals, 0, first);
                    match split.child_reference(first) {
                        Some(Reference::Hash(hash)) if goals.is_empty() => self.hash(&hash),
                        _ => self.first(split, first, 1, goals)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// The node below a first nibble, as it stands at this depth.
    fn first(
        &mut self,
        split: &Split,
        first: u8,
        depth: usize,
        goals: &[(B256, usize)],
    ) -> Result<(), Missing> {
        if let Child::Lone(second) = split.child(first) {
            return self.moved(split, [first, second], depth, goals);
        }
        let goals = goals_below(goals, 0, first);
        if depth == 0 {
            self.extension_head(&[first]);
        }
        let part = |second: u8| &split.parts[usize::from(first << 4 | second)];
        let seconds: Vec<u8> = (0..16)
            .filter(|second| part(*second).root != NONE)
            .collect();
        self.branch_head(&seconds);
        for second in seconds {
            let (part, goals) = (part(second), goals_below(goals, 1, second));
            match part.reference {
                Reference::Hash(hash) if goals.is_empty() => self.hash(&hash),
                _ => self.node(&part.arena, part.root, 2, goals)?,
            }
        }
        Ok(())
    }

    /// The root of a part that is alone below its first nibble.
    fn moved(
        &mut self,
        split: &Split,
        place: [u8; 2],
        depth: usize,
        goals: &[(B256, usize)],
    ) -> Result<(), Missing> {
        let part = &split.parts[usize::from(place[0] << 4 | place[1])];
        let below = goals_below(goals_below(goals, 0, place[0]), 1, place[1]);
        match part.arena.kind(part.root) {
            Kind::Account | Kind::Slot => self.node(&part.arena, part.root, depth, below),
            Kind::Branch => {
                self.extension_head(&place[depth..]);
                match part.reference {
                    Reference::Hash(hash) if below.is_empty() => {
                        self.hash(&hash);
                        Ok(())
                    }
                    _ => self.node(&part.arena, part.root, 2, below),
                }
            }
            Kind::Extension => {
                let path = part.arena.extension_path(part.root);
                let joined = [&place[depth..], path.nibbles()].concat();
                self.extension((&part.arena, part.root), &joined, 2, below)
            }
        }
    }

    fn node(
        &mut self,
        arena: &Arena,
        node: Ptr,
        depth: usize,
        goals: &[(B256, usize)],
    ) -> Result<(), Missing> {
        match arena.kind(node) {
            Kind::Branch => {
                let head = arena.branch(node);
                let nibbles: Vec<u8> = head.nibbles().collect();
                self.branch_head(&nibbles);
                for nibble in nibbles {
                    let child = arena.child(node, head, nibble);
                    let reference = arena.reference(node, head, nibble);
                    self.child(
                        arena,
                        (child, reference),
                        depth + 1,
                        goals_below(goals, depth, nibble),
                    )?;
                }
                Ok(())
            }
            Kind::Extension => {
                let path = arena.extension_path(node);
                self.extension((arena, node), path.nibbles(), depth, goals)
            }
            Kind::Slot => {
                self.key(SLOT, arena.key(node), depth);
                let value = &arena.leaf_block(node)[SLOT_VALUE_AT..];
                self.out
                    .push(u8::try_from(value.len()).expect("at most 32"));
                self.out.extend_from_slice(value);
                Ok(())
            }
            Kind::Account => self.account(arena, node, depth),
        }
    }

    /// An extension whose path is written as `shown`, at `depth`.
    fn extension(
        &mut self,
        (arena, node): InArena<'_>,
        shown: &[u8],
        depth: usize,
        goals: &[(B256, usize)],
    ) -> Result<(), Missing> {
        self.extension_head(shown);
        let (path, under) = (arena.extension_path(node), arena.extension(node));
        let mut below = goals;
        for (index, nibble) in path.nibbles().iter().enumerate() {
            below = goals_below(below, depth + index, *nibble);
        }
        let depth = depth + path.nibbles().len();
        self.child(arena, (under.child, under.reference), depth, below)
    }

    /// A child in full if a goal is at it or below, else its hash.
    fn child(
        &mut self,
        arena: &Arena,
        child: (Ptr, Reference),
        depth: usize,
        goals: &[(B256, usize)],
    ) -> Result<(), Missing> {
        let (node, reference) = child;
        match reference {
            Reference::Hash(hash) if goals.iter().all(|(_, to)| *to < depth) => self.hash(&hash),
            _ if node == NONE => {
                let (account, path) = (self.account, prefix(&goals[0].0, depth));
                return Err(Missing { account, path });
            }
            _ => self.node(arena, node, depth, goals)?,
        }
        Ok(())
    }

    fn account(&mut self, arena: &Arena, leaf: Ptr, depth: usize) -> Result<(), Missing> {
        let (account, stored) = (arena.account(leaf), arena.stored(leaf));
        let key = B256::from(*arena.key(leaf));
        self.key(ACCOUNT, &key, depth);
        let nonce = account.nonce.to_be_bytes();
        let nonce = &nonce[account.nonce.leading_zeros() as usize / 8..];
        let balance = account.balance.to_be_bytes_trimmed_vec();
        let has_storage = stored.place != Place::Empty;
        let flags = u8::from(account.has_code()) * HAS_CODE + u8::from(has_storage) * HAS_STORAGE;
        let lengths =
            [nonce.len(), balance.len()].map(|length| u8::try_from(length).expect("at most 32"));
        self.out
            .extend_from_slice(&[flags | lengths[0] << 4, lengths[1]]);
        self.out.extend_from_slice(nonce);
        self.out.extend_from_slice(&balance);
        if account.has_code() {
            self.out.extend_from_slice(account.code_hash.as_slice());
        }
        let goals: Vec<(B256, usize)> = match self.touched.storage.get(&key) {
            Some(goals) => goals.iter().map(|(key, to)| (*key, *to)).collect(),
            None => Vec::new(),
        };
        self.account = Some(key);
        match stored.place {
            Place::Empty => {}
            Place::Small(root) if !goals.is_empty() => self.node(arena, root, 0, &goals)?,
            Place::Large if !goals.is_empty() => self.split(&self.trie.large[&key], &goals)?,
            Place::Unresolved if !goals.is_empty() => {
                let (account, path) = (self.account, Nibbles::new());
                return Err(Missing { account, path });
            }
            Place::Small(_) | Place::Large | Place::Unresolved => self.hash(&stored.root),
        }
        self.account = None;
        Ok(())
    }

    fn hash(&mut self, hash: &[u8; 32]) {
        self.out.push(HASH);
        self.out.extend_from_slice(hash);
    }

    fn branch_head(&mut self, nibbles: &[u8]) {
        let children = nibbles.iter().fold(0u16, |bits, nibble| bits | 1 << nibble);
        self.out.push(BRANCH);
        self.out.extend_from_slice(&children.to_le_bytes());
    }

    fn extension_head(&mut self, path: &[u8]) {
        self.out.push(EXTENSION);
        self.out
            .push(u8::try_from(path.len()).expect("shorter than a key"));
        for pair in path.chunks(2) {
            self.out.push(pair[0] << 4 | pair.get(1).unwrap_or(&0));
        }
    }

    /// The rest of a key in whole bytes: the first one may repeat a nibble above.
    fn key(&mut self, tag: u8, key: &[u8; 32], depth: usize) {
        self.out.push(tag);
        self.out.extend_from_slice(&key[depth / 2..]);
    }
}
