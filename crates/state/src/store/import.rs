//! Filling a store with a state that comes in chunks, from peers or from a file.
//!
//! ```text
//!   begin ─▶ chunks, codes, in any order, each durable ─▶ finish: a store at the target's height
//!     └─ a death at any time: open again, and go on with what is missing
//! ```
//!
//! Until it is finished the store does not open. Whoever fills it has checked what comes; opening checks the
//! whole against the root once more.

use super::batch;
use super::error::StoreError;
use super::files::bad_row;
use super::marker::Marker;
use super::open;
use super::rows::{self, AccountValue, StateKey};
use super::{Location, files};
use crate::record::BlockRecord;
use crate::runs::{Batch, Family, Heights, Rows, RowsError, Runs, RunsError, View};
use crate::sync::{AccountLeaf, CheckedChunk, Manifest};
use alloy_primitives::{B256, Bytes, keccak256};
use std::collections::{BTreeMap, BTreeSet};

/// Which state is being put into a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportTarget {
    /// The height.
    pub height: u64,
    /// The root of the state.
    pub root: B256,
    /// The hash of the block at the height.
    pub hash: B256,
}

/// A store that is being filled.
#[derive(Debug)]
pub struct Import {
    runs: Runs,
    genesis: B256,
    target: ImportTarget,
    manifest: Bytes,
    evidence: Bytes,
    chunks: BTreeSet<usize>,
}

/// What is at a location.
#[derive(Debug)]
pub enum ImportState {
    /// Nothing, or the genesis alone, which is removed.
    Empty(EmptyStore),
    /// A store that was begun to be filled.
    Begun(Import),
    /// A store that opens, above the genesis.
    Complete,
}

/// A store of nothing, not even a genesis.
#[derive(Debug)]
pub struct EmptyStore {
    runs: Runs,
    genesis: B256,
}

impl ImportState {
    /// Looks what is at a location, for the chain with this genesis block.
    ///
    /// # Errors
    /// When there is something of another chain, or damaged, or in use.
    pub fn open(location: Location, genesis: B256) -> Result<Self, StoreError> {
        let (runs, view) = open::runs(location.clone())?;
        if view.marker().is_empty() {
            return Ok(Self::Empty(EmptyStore { runs, genesis }));
        }
        let marker = Marker::decode(view.marker())?;
        marker.require(genesis)?;
        if !marker.is_importing && marker.height > 0 {
            return Ok(Self::Complete);
        }
        if !marker.is_importing {
            // The genesis, which whoever opens a store puts there, is as good as nothing.
            drop((runs, view));
            let (runs, _) = open::erase(location)?;
            return Ok(Self::Empty(EmptyStore { runs, genesis }));
        }
        let whole = |kind| files::import_part(&view, kind)?.ok_or_else(|| bad_row("import"));
        Ok(Self::Begun(Import {
            genesis,
            target: ImportTarget {
                height: marker.height,
                root: marker.root,
                hash: marker.hash,
            },
            manifest: whole(rows::IMPORT_MANIFEST)?,
            evidence: whole(rows::IMPORT_EVIDENCE)?,
            chunks: chunks_done(&view)?,
            runs,
        }))
    }
}

fn chunks_done(view: &View) -> Result<BTreeSet<usize>, StoreError> {
    let (first, end) = rows::IMPORT_CHUNKS;
    let mut done = BTreeSet::new();
    for row in view.range(Family::Index, first, Some(end)) {
        let (key, _) = row?;
        let number = key.get(1..).and_then(|number| number.try_into().ok());
        let number = number.map(u64::from_be_bytes);
        let number = number.and_then(|number| usize::try_from(number).ok());
        done.insert(number.ok_or_else(|| bad_row("import"))?);
    }
    Ok(done)
}

impl EmptyStore {
    /// Begins to fill it. `evidence` is kept for whoever goes on after a death.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(
        self,
        target: ImportTarget,
        manifest: &Manifest,
        evidence: Bytes,
    ) -> Result<Import, StoreError> {
        let import = Import {
            runs: self.runs,
            genesis: self.genesis,
            target,
            manifest: manifest.bytes().clone(),
            evidence,
            chunks: BTreeSet::new(),
        };
        let mut batch = import.batch(true);
        let index = batch.rows(Family::Index);
        let parts = [
            (rows::IMPORT_MANIFEST, &import.manifest),
            (rows::IMPORT_EVIDENCE, &import.evidence),
        ];
        for (kind, bytes) in parts {
            index.put(&[kind], bytes).map_err(RunsError::from)?;
        }
        import.runs.commit(&batch)?;
        Ok(import)
    }
}

impl Import {
    /// Forgets all that is here, at this location, so that another state can be put there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn abandon(self, location: Location) -> Result<EmptyStore, StoreError> {
        let genesis = self.genesis;
        // Nobody else may have the files open.
        drop(self);
        let (runs, _) = open::erase(location)?;
        Ok(EmptyStore { runs, genesis })
    }

    /// Which state it is filled with.
    pub fn target(&self) -> ImportTarget {
        self.target
    }

    /// The encoding of the manifest it was begun with.
    pub fn manifest(&self) -> &Bytes {
        &self.manifest
    }

    /// The evidence it was begun with.
    pub fn evidence(&self) -> &Bytes {
        &self.evidence
    }

    /// Numbers of the chunks that are durable.
    pub fn chunks(&self) -> &BTreeSet<usize> {
        &self.chunks
    }

    /// Hashes of the code that durable accounts have and that is not durable itself.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn missing_codes(&self) -> Result<BTreeSet<B256>, StoreError> {
        let view = self.runs.view();
        let (first, end) = rows::ACCOUNTS;
        let mut accounts = view.range(Family::State, first, Some(end));
        let mut missing = BTreeSet::new();
        while let Some((_, value)) = accounts.next_row()? {
            let account = files::decode_account(value)?.account;
            if account.has_code() && files::code(&view, &account.code_hash)?.is_none() {
                missing.insert(account.code_hash);
            }
        }
        Ok(missing)
    }

    /// Makes a chunk durable.
    ///
    /// # Errors
    /// When it cannot be written; then nothing more is.
    pub fn put_chunk(&mut self, chunk: &CheckedChunk) -> Result<(), StoreError> {
        let mut batch = self.batch(true);
        put_chunk(batch.rows(Family::State), chunk).map_err(RunsError::from)?;
        let key = rows::import_chunk_key(chunk.number());
        let done = batch.rows(Family::Index).put(&key, &[]);
        done.map_err(RunsError::from)?;
        self.runs.commit(&batch)?;
        self.chunks.insert(chunk.number());
        Ok(())
    }

    /// Makes codes durable.
    ///
    /// # Errors
    /// When they cannot be written; then nothing more is.
    pub fn put_codes(&self, codes: &[Bytes]) -> Result<(), StoreError> {
        let mut batch = self.batch(true);
        let mut hashed: Vec<(B256, &Bytes)> =
            codes.iter().map(|code| (keccak256(code), code)).collect();
        hashed.sort_unstable_by_key(|(hash, _)| *hash);
        hashed.dedup_by_key(|(hash, _)| *hash);
        let index = batch.rows(Family::Index);
        for (hash, code) in hashed {
            let put = index.put(&rows::code_key(&hash), code);
            put.map_err(RunsError::from)?;
        }
        Ok(self.runs.commit(&batch)?)
    }

    /// Makes it a store at the target's height, with the block there and the hashes of older ones.
    ///
    /// # Errors
    /// When a chunk is missing, or it cannot be written.
    pub fn finish(
        self,
        manifest: &Manifest,
        record: BlockRecord,
        ancestors: &[(u64, B256)],
    ) -> Result<(), StoreError> {
        if self.chunks.len() != manifest.chunks().len() {
            return Err(StoreError::Importing);
        }
        let ImportTarget { height, root, .. } = self.target;
        let mut batch = self.batch(false);
        batch.set_history(Heights {
            low: height,
            high: height,
        });
        self.put_rest(&mut batch, manifest)
            .and_then(|()| put_blocks(&mut batch, &record, ancestors, &root))
            .and_then(|()| self.delete_progress(batch.rows(Family::Index)))
            .map_err(RunsError::from)?;
        Ok(self.runs.commit(&batch)?)
    }

    /// Puts the accounts that are in no chunk.
    fn put_rest(&self, batch: &mut Batch, manifest: &Manifest) -> Result<(), RowsError> {
        let state = batch.rows(Family::State);
        let mut accounts = manifest.accounts().iter();
        accounts.try_for_each(|leaf| put_account(state, leaf))
    }

    fn delete_progress(&self, index: &mut Rows) -> Result<(), RowsError> {
        index.delete(&[rows::IMPORT_MANIFEST])?;
        index.delete(&[rows::IMPORT_EVIDENCE])?;
        let mut chunks = self.chunks.iter();
        chunks.try_for_each(|number| index.delete(&rows::import_chunk_key(*number)))
    }

    fn batch(&self, is_importing: bool) -> Batch {
        let marker = Marker {
            height: self.target.height,
            root: self.target.root,
            hash: self.target.hash,
            genesis: self.genesis,
            is_importing,
        };
        Batch::new(marker.encode())
    }
}

/// Puts the block at the target's height, and the hashes of older ones.
fn put_blocks(
    batch: &mut Batch,
    record: &BlockRecord,
    ancestors: &[(u64, B256)],
    root: &B256,
) -> Result<(), RowsError> {
    let blocks = batch.rows(Family::Blocks);
    let mut ancestors = ancestors.to_vec();
    ancestors.sort_unstable();
    for (height, hash) in ancestors {
        batch::put_hash(blocks, height, hash)?;
    }
    batch::put_record(blocks, record, root)?;
    batch::put_index(batch.rows(Family::Index), &[(record, &BTreeMap::new())])
}

fn put_chunk(state: &mut Rows, chunk: &CheckedChunk) -> Result<(), RowsError> {
    // Accounts come before slots.
    for account in chunk.accounts() {
        put_account(state, account.leaf)?;
    }
    for account in chunk.accounts() {
        for slot in account.slots {
            let mut value = Vec::new();
            rows::encode_slot(&slot.slot, &slot.value, &mut value);
            let key = StateKey::Slot(account.leaf.key, slot.key);
            key.with_bytes(|key| state.put(key, &value))?;
        }
    }
    Ok(())
}

fn put_account(state: &mut Rows, leaf: &AccountLeaf) -> Result<(), RowsError> {
    let mut value = Vec::new();
    let account = AccountValue {
        address: leaf.address,
        account: leaf.account,
        storage_root: leaf.storage_root,
    };
    account.encode(&mut value);
    StateKey::Account(leaf.key).with_bytes(|key| state.put(key, &value))
}
