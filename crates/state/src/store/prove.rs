//! Proofs at any height, and witnesses of the newest one.
//!
//! The trie is at the newest height. For an older one, the part of it that has changed since is copied, and the
//! writes are taken back in the copy. What that costs is bounded, and one such proof is made at a time: commits
//! wait while the part is copied.

use super::error::{StoreError, UnknownHeight};
use super::{Inner, back};
use crate::diff::StateDiff;
use crate::snapshot::{AccountProof, ProofError, StateAt};
use crate::sparse::witness::{Touched, Witness};
use crate::sparse::{Changes, Lanes, Missing, SparseTrie};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::collections::BTreeMap;

/// Times that a proof at an older height begins again because a commit came in between.
const PROOF_TURNS: usize = 8;
/// Parts of the trie that are brought back at most at once for such a proof: commits wait meanwhile.
const PROOF_PARTS_MAX: usize = 1_000;

impl Inner {
    /// Proofs over the state at a height. For an older one than the trie's, the part of the trie that
    /// has changed since is taken back in a copy. One of those at a time, because commits wait while
    /// the part is copied.
    pub(crate) fn proof(
        &self,
        state: &StateAt,
        address: &Address,
        slots: &[B256],
    ) -> Result<AccountProof, ProofError> {
        if let Some(proof) = self.read_trie(state.height, |trie| trie.proof(address, slots))? {
            return Ok(proof);
        }
        let _proving = self.proving.try_lock().map_err(|_| ProofError::Busy)?;
        let mut touched = Touched::default();
        touched.account(address);
        for slot in slots {
            touched.slot(address, &U256::from_be_bytes(slot.0));
        }
        for _ in 0..PROOF_TURNS {
            let since = self.chain().since(state.height);
            let back = back::changes(&since, state.height, &self.versions)?;
            self.resolve(since.newest, &back)?;
            let part = self.read_trie(since.newest, |trie| {
                Ok((trie.witness(touched.clone(), &back, &[])?, trie.root()))
            })?;
            // Otherwise a commit came in between.
            let Some((part, root)) = part else { continue };
            let mut part = Witness::decode(&part, *root, BTreeMap::new())?;
            let older = part.apply_changes(&back, None)?;
            if older != state.root {
                return Err(ProofError::Root {
                    expected: *state.root,
                    computed: *older,
                });
            }
            return Ok(part.proof(address, slots)?);
        }
        Err(ProofError::Busy)
    }

    /// A witness of the state at a height, which must be the trie's.
    pub(super) fn witness(
        &self,
        height: u64,
        touched: &Touched,
        diff: &StateDiff,
        codes: &[Bytes],
    ) -> Result<Bytes, StoreError> {
        let changes = Changes::of(diff, Lanes::Widest);
        let witness = |trie: &SparseTrie| trie.witness(touched.clone(), &changes, codes);
        let newest_only = || {
            let newest = self.trie_at().height;
            UnknownHeight {
                asked: height,
                oldest: newest,
                newest,
            }
        };
        let witness = self.read_trie(height, witness)?;
        Ok(witness.ok_or_else(newest_only)?)
    }

    /// Brings back the parts of the trie that these writes need, not too many of them.
    fn resolve(&self, height: u64, changes: &Changes) -> Result<(), ProofError> {
        for _ in 0..PROOF_TURNS {
            let at = self.trie_at();
            let missing = at.trie.missing(changes);
            if missing.is_empty() || at.height != height {
                return Ok(());
            }
            drop(at);
            if missing.len() > PROOF_PARTS_MAX {
                return Err(ProofError::TooManyParts {
                    most: PROOF_PARTS_MAX,
                });
            }
            let mut at = self.trie_mut();
            let ((), view) = self.look(|_| ());
            at.resolve(&missing, &view)?;
        }
        Ok(())
    }

    /// Reads the trie if it is at this height, after bringing back the parts that it takes.
    fn read_trie<T>(
        &self,
        height: u64,
        read: impl Fn(&SparseTrie) -> Result<T, Missing>,
    ) -> Result<Option<T>, StoreError> {
        let at = self.trie_at();
        if at.height != height {
            return Ok(None);
        }
        if let Ok(found) = read(&at.trie) {
            return Ok(Some(found));
        }
        drop(at);
        let mut at = self.trie_mut();
        let ((), view) = self.look(|_| ());
        match at.height == height {
            true => at.read(&view, read).map(Some),
            false => Ok(None),
        }
    }
}
