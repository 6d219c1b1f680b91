//! Reads and proofs.

use super::arena::{Arena, NONE, Ptr};
use super::check::{Found, prefix};
use super::leaf::Place;
use super::node::{Kind, Reference, nibble_at};
use super::split::{Child, Split};
use super::trie::{Missing, SparseTrie};
use crate::reader::Account;
use crate::snapshot::{AccountProof, StorageProof};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;

/// A leaf and the arena it is in.
pub(super) type InArena<'a> = (&'a Arena, Ptr);

impl SparseTrie {
    /// The account at an address.
    pub fn account(&self, address: &Address) -> Result<Option<Account>, Missing> {
        let key = keccak256(address);
        let leaf = self.account_leaf(&key)?;
        Ok(leaf.map(|(arena, leaf)| arena.account(leaf)))
    }

    /// The value of a slot; zero when it was never written.
    pub fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Missing> {
        let key = keccak256(address);
        self.slot(&key, &keccak256(slot.to_be_bytes::<32>()))
    }

    /// An account and slots of it with proofs against the root.
    pub fn proof(&self, address: &Address, slots: &[B256]) -> Result<AccountProof, Missing> {
        let key = keccak256(address);
        let leaf = self.account_leaf(&key)?;
        let stored = leaf.map(|(arena, leaf)| arena.stored(leaf));
        let storage = slots.iter().map(|slot| {
            let slot_key = keccak256(slot);
            Ok(StorageProof {
                key: U256::from_be_bytes(slot.0),
                value: self.slot(&key, &slot_key)?,
                proof: self.storage_proof(&key, &slot_key)?,
            })
        });
        Ok(AccountProof {
            account: leaf.map(|(arena, leaf)| arena.account(leaf)),
            storage_root: stored.map_or(EMPTY_ROOT_HASH, |stored| stored.root),
            proof: self.account_proof(&key)?,
            storage: storage.collect::<Result<_, Missing>>()?,
        })
    }

    /// The proof of an account, or of its absence, by its key.
    pub fn account_proof(&self, key: &B256) -> Result<Vec<Bytes>, Missing> {
        let missing = |path| Missing {
            account: None,
            path,
        };
        self.accounts.proof(key).map_err(missing)
    }

    /// The proof of a slot, or of its absence, by its key and that of its account: against the root of
    /// the account's storage.
    pub fn storage_proof(&self, account: &B256, key: &B256) -> Result<Vec<Bytes>, Missing> {
        let Some((arena, leaf)) = self.account_leaf(account)? else {
            return Ok(Vec::new());
        };
        let mut proof = Vec::new();
        let walked = match arena.stored(leaf).place {
            Place::Empty => Ok(()),
            Place::Unresolved => Err(prefix(key, 0)),
            Place::Small(root) => arena.prove(root, 0, key, &mut proof),
            Place::Large => self.large[account].proof(key).map(|nodes| proof = nodes),
        };
        let account = Some(*account);
        walked.map_err(|path| Missing { account, path })?;
        Ok(proof)
    }

    pub(super) fn account_leaf(&self, key: &B256) -> Result<Option<InArena<'_>>, Missing> {
        match self.accounts.find(key) {
            (arena, Found::Leaf(leaf)) => Ok(Some((arena, leaf))),
            (_, Found::Absent) => Ok(None),
            (_, Found::Unresolved(depth)) => Err(Missing {
                account: None,
                path: prefix(key, depth),
            }),
        }
    }

    pub(super) fn slot(&self, account: &B256, key: &B256) -> Result<U256, Missing> {
        let Some((arena, leaf)) = self.account_leaf(account)? else {
            return Ok(U256::ZERO);
        };
        let (arena, found) = match arena.stored(leaf).place {
            Place::Empty => return Ok(U256::ZERO),
            Place::Unresolved => (arena, Found::Unresolved(0)),
            Place::Small(root) => (arena, arena.find(root, 0, key)),
            Place::Large => self.large[account].find(key),
        };
        match found {
            Found::Leaf(leaf) => Ok(arena.slot_value(leaf)),
            Found::Absent => Ok(U256::ZERO),
            Found::Unresolved(depth) => Err(Missing {
                account: Some(*account),
                path: prefix(key, depth),
            }),
        }
    }
}

impl Split {
    /// Looks for a key.
    pub(super) fn find(&self, key: &B256) -> (&Arena, Found) {
        let part = &self.parts[self.part_of(key)];
        match part.root {
            NONE => (&part.arena, Found::Absent),
            root => (&part.arena, part.arena.find(root, self.depth(), key)),
        }
    }

    /// The encoded nodes from the root towards a key. A node below 32 bytes is already inside its
    /// parent and left out, except the root. Empty for the empty trie, as other clients answer.
    pub(super) fn proof(&self, key: &B256) -> Result<Vec<Bytes>, alloy_trie::Nibbles> {
        let mut nodes = Vec::new();
        if self.is_whole() {
            let part = &self.parts[0];
            part.arena.prove(part.root, 0, key, &mut nodes)?;
            return Ok(nodes);
        }
        let Some(root) = self.root_encoding() else {
            return Ok(nodes);
        };
        nodes.push(root.into());
        let (first, second) = (nibble_at(key, 0), nibble_at(key, 1));
        let alone = (0..16)
            .filter(|nibble| !matches!(self.child(*nibble), Child::Empty))
            .count()
            == 1;
        match self.child(first) {
            Child::Empty => return Ok(nodes),
            Child::Lone(_) | Child::Branch(_) => {}
        }
        let reference = self.child_reference(first);
        // A lone part that is alone in the trie is the root itself, and was pushed.
        let is_root = alone && matches!(self.child(first), Child::Lone(_));
        if matches!(reference, Some(Reference::Hash(_))) && !is_root {
            nodes.push(self.child_encoding(first).into());
        }
        let part = &self.parts[self.part_of(key)];
        match self.child(first) {
            Child::Lone(lone) if lone == second => {
                part.arena
                    .prove_moved(part.root, part.reference, key, &mut nodes)?;
            }
            Child::Branch(_) if part.root != NONE => {
                if matches!(part.reference, Reference::Hash(_)) {
                    nodes.push(part.arena.encoding(part.root, 2).into());
                }
                part.arena.prove_below(part.root, 2, key, &mut nodes)?;
            }
            Child::Lone(_) | Child::Branch(_) | Child::Empty => {}
        }
        Ok(nodes)
    }
}

impl Arena {
    /// The nodes from a root, which is pushed whatever its length, towards a key.
    fn prove(
        &self,
        root: Ptr,
        depth: usize,
        key: &B256,
        nodes: &mut Vec<Bytes>,
    ) -> Result<(), alloy_trie::Nibbles> {
        if root == NONE {
            return Ok(());
        }
        nodes.push(self.encoding(root, depth).into());
        self.prove_below(root, depth, key, nodes)
    }

    /// The nodes below the root of a part that moved up, which was pushed as it stands there: a branch
    /// stands below an extension there.
    fn prove_moved(
        &self,
        root: Ptr,
        reference: Reference,
        key: &B256,
        nodes: &mut Vec<Bytes>,
    ) -> Result<(), alloy_trie::Nibbles> {
        if self.kind(root) == Kind::Branch && matches!(reference, Reference::Hash(_)) {
            nodes.push(self.encoding(root, 2).into());
        }
        self.prove_below(root, 2, key, nodes)
    }

    /// The nodes below one that was pushed.
    fn prove_below(
        &self,
        node: Ptr,
        depth: usize,
        key: &B256,
        nodes: &mut Vec<Bytes>,
    ) -> Result<(), alloy_trie::Nibbles> {
        let (mut node, mut depth) = (node, depth);
        while let Some((hook, below)) = self.next(node, depth, key) {
            let (child, reference) = self.hooked(hook);
            if child == NONE {
                return Err(prefix(key, below));
            }
            if matches!(reference, Reference::Hash(_)) {
                nodes.push(self.encoding(child, below).into());
            }
            (node, depth) = (child, below);
        }
        Ok(())
    }
}
