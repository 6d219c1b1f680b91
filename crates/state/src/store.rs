//! The store: the newest states in memory, one of them on disk.
//!
//! ```text
//!            oldest …        flushed          …        newest
//!   versions   ◆  ◆  ◆  ◆  ◆    ◆    ◆       ◆       ◆ ◀─ reads    values by height
//!   trie                        │                    ◆ ◀─ proofs   the newest only
//!                               │       └──────┬─────┘
//!   file              accounts, storage, code, blocks: exactly the flushed height
//! ```
//!
//! - [`Store::commit`] makes the state of the next height, in memory.
//! - [`Store::seal`] attaches the block that the state belongs to, once its hash is known (the hash
//!   covers the root). Only then the next height can be committed.
//! - [`Store::flush`] writes all up to a height in one transaction: after a crash the file is at one
//!   flushed height, and executing the same blocks again gives the same roots.
//!
//! Invariants: `oldest ≤ flushed ≤ newest`; only the newest height may be unsealed; the file's rows
//! are the leaves of a trie with the stored root, checked whenever it is opened; the trie is at the
//! newest height, or about to be.
//!
//! One caller commits and seals, and one (perhaps another) flushes; readers of values wait for
//! neither, readers of proofs for the commit that is going on. The lock over the chain of heights is
//! never held across I/O or hashing. A failed write poisons the
//! store for further writes: nothing in the file is lost, and reads go on.
//!
//! Limits: every account and slot is in memory; `history_blocks` heights are kept below the newest,
//! and every unflushed one, so whoever flushes bounds those.

mod chain;
mod error;
mod open;
mod tables;

pub use error::{Corruption, StoreError, UnknownHeight};

use crate::diff::StateDiff;
use crate::disk::MemoryDisk;
use crate::genesis::GenesisState;
use crate::reader::ReadFault;
use crate::record::{BlockRecord, TransactionLocation};
use crate::root::StateRoot;
use crate::snapshot::{AccountProof, ProofError, Snapshot, StateAt};
use crate::sparse::witness::{Touched, Witness};
use crate::sparse::{Changes, Lanes, SparseTrie};
use crate::versions::Versions;
use alloy_primitives::{Address, B256, Bytes, U256};
use chain::Chain;
use redb::Database;
use std::collections::BTreeMap;
use std::fmt::{Debug, Formatter};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A handle on the store; a clone is the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Where the store keeps its file.
#[derive(Clone, Debug)]
pub enum Location {
    /// `state.redb` in this directory, which is created if missing, for this user only.
    Directory(PathBuf),
    /// A disk in memory.
    Memory(MemoryDisk),
}

/// The store's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// How many heights below the newest keep their state.
    pub history_blocks: u64,
    /// Bytes of the file cached in memory.
    pub cache_bytes: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            history_blocks: 256,
            cache_bytes: 64 << 20,
        }
    }
}

pub(crate) struct Inner {
    database: Database,
    history_blocks: u64,
    chain: RwLock<Chain>,
    pub(crate) versions: Versions,
    trie: RwLock<TrieAt>,
    /// Held by whoever proves an older height.
    proving: Mutex<()>,
    /// Held by whoever makes a new height or seals one.
    committing: Mutex<()>,
    /// Held by whoever writes the file.
    flushing: Mutex<()>,
}

/// The trie, and whose state it is.
pub(crate) struct TrieAt {
    pub(crate) height: u64,
    pub(crate) trie: SparseTrie,
}

/// Writes that are taken back at most for the proof at an older height. Commits wait for some 40 ms then,
/// and the copied part of the trie is some 10 MB.
const PROOF_WRITES_MAX: usize = if cfg!(test) { 64 } else { 10_000 };

const WHOLE: &str = "the whole state is in memory";

impl Store {
    /// Opens the store, or creates it with the genesis state.
    pub fn open(
        location: Location,
        genesis: &GenesisState,
        config: StoreConfig,
    ) -> Result<Self, StoreError> {
        let opened = open::open(location, genesis, config.cache_bytes)?;
        let (height, root) = (opened.height, opened.trie.root());
        let inner = Inner {
            database: opened.database,
            history_blocks: config.history_blocks,
            chain: RwLock::new(Chain::new((StateAt { height, root }, opened.hash))),
            versions: opened.versions,
            trie: RwLock::new(TrieAt {
                height,
                trie: opened.trie,
            }),
            proving: Mutex::new(()),
            committing: Mutex::new(()),
            flushing: Mutex::new(()),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Makes the state of the next height, in memory.
    pub fn commit(&self, height: u64, diff: StateDiff) -> Result<StateRoot, StoreError> {
        let _committing = exclusive(&self.inner.committing);
        self.inner.chain().check_next(height)?;
        let changes = Changes::of(&diff, Lanes::Widest);
        self.inner.versions.insert(height, &diff);
        let mut at = self.inner.trie_mut();
        let root = at.trie.apply(&changes, None).expect(WHOLE);
        at.height = height;
        let state = StateAt { height, root };
        // While the trie is held, so that whoever finds it at a height finds the writes up to there.
        self.inner.chain_mut().push(state, Arc::new(diff));
        drop(at);
        self.forget();
        Ok(root)
    }

    /// Forgets the heights that the history does not reach to.
    fn forget(&self) {
        let history_blocks = self.inner.history_blocks;
        let next = || self.inner.chain_mut().trim(history_blocks);
        while let Some((oldest, diff)) = next() {
            self.inner.versions.forget(oldest, &diff);
        }
    }

    /// Attaches its block to the newest height.
    pub fn seal(&self, record: BlockRecord) -> Result<(), StoreError> {
        let _committing = exclusive(&self.inner.committing);
        let sealed = chain::Sealed::new(record);
        self.inner.chain_mut().seal(sealed)
    }

    /// Makes all up to `height` durable, in one transaction.
    pub fn flush(&self, height: u64) -> Result<(), StoreError> {
        let _flushing = exclusive(&self.inner.flushing);
        let Some(batch) = self.inner.chain().batch(height)? else {
            return Ok(());
        };
        if let Err(error) = tables::write(&self.inner.database, &batch) {
            self.inner.chain_mut().poison();
            return Err(StoreError::Disk(Box::new(error)));
        }
        let dropped = self.inner.chain_mut().flushed(height);
        drop(dropped);
        Ok(())
    }

    /// The height the file is at.
    pub fn flushed_height(&self) -> u64 {
        self.inner.chain().flushed_height()
    }

    /// The last committed height.
    pub fn newest_height(&self) -> u64 {
        self.inner.chain().newest_height()
    }

    /// The lowest height whose state can still be read.
    pub fn oldest_height(&self) -> u64 {
        self.inner.chain().oldest_height()
    }

    /// The state at a height, for reading.
    pub fn snapshot(&self, height: u64) -> Result<Snapshot, UnknownHeight> {
        let chain = self.inner.chain();
        let entry = chain.get(height).ok_or_else(|| UnknownHeight {
            asked: height,
            oldest: chain.oldest_height(),
            newest: chain.newest_height(),
        })?;
        Ok(Snapshot {
            inner: Arc::clone(&self.inner),
            state: Arc::clone(&entry.state),
            hash: entry.hash,
        })
    }

    /// The sealed block at a height.
    pub fn record(&self, height: u64) -> Result<Option<Arc<BlockRecord>>, StoreError> {
        let unflushed = self.inner.chain().record(height);
        if unflushed.is_some() {
            return Ok(unflushed);
        }
        let record = tables::record(&self.inner.database, height).map_err(Box::new)?;
        Ok(record.map(Arc::new))
    }

    /// The encoded access list of the block at a height; empty where there is none.
    pub fn access_list(&self, height: u64) -> Result<Bytes, StoreError> {
        let unflushed = self.inner.chain().record(height);
        match unflushed {
            Some(record) => Ok(record.access_list.clone()),
            None => Ok(tables::access_list(&self.inner.database, height).map_err(Box::new)?),
        }
    }

    /// The height of the block with this Ethereum header hash.
    pub fn height_of_block(&self, hash: &B256) -> Result<Option<u64>, StoreError> {
        let retained = self.inner.chain().height_of_block(hash);
        match retained {
            Some(height) => Ok(Some(height)),
            None => Ok(tables::height_of_block(&self.inner.database, hash).map_err(Box::new)?),
        }
    }

    /// The height and index of the transaction with this hash.
    pub fn transaction_location(
        &self,
        hash: &B256,
    ) -> Result<Option<TransactionLocation>, StoreError> {
        let unflushed = self.inner.chain().transaction_location(hash);
        match unflushed {
            Some(location) => Ok(Some(location)),
            None => Ok(tables::transaction_location(&self.inner.database, hash).map_err(Box::new)?),
        }
    }
}

impl Debug for Store {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let (flushed, newest) = (self.flushed_height(), self.newest_height());
        write!(f, "Store(flushed={flushed} newest={newest})")
    }
}

impl Inner {
    pub(crate) fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        // Memory first: what leaves it is in the file by then.
        let unflushed = self.chain().code(code_hash);
        match unflushed {
            Some(code) => Ok(Some(code)),
            None => Ok(tables::code(&self.database, code_hash).map_err(Box::new)?),
        }
    }

    pub(crate) fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        let retained = self.chain().get(height).and_then(|entry| entry.hash);
        match retained {
            Some(hash) => Ok(Some(hash)),
            None => Ok(tables::block_hash(&self.database, height).map_err(Box::new)?),
        }
    }

    /// Proofs over the state at a height. For an older one than the trie's, the part of the trie that
    /// has changed since is taken back in a copy. One of those at a time, because commits wait while
    /// the part is copied.
    pub(crate) fn proof(
        &self,
        state: &StateAt,
        address: &Address,
        slots: &[B256],
    ) -> Result<AccountProof, ProofError> {
        let at = self.trie_at();
        if at.height == state.height {
            return Ok(at.trie.proof(address, slots).expect(WHOLE));
        }
        drop(at);
        let _proving = exclusive(&self.proving);
        let mut touched = Touched::default();
        touched.account(address);
        for slot in slots {
            touched.slot(address, &U256::from_be_bytes(slot.0));
        }
        loop {
            let (newest, back) = self.back_to(state.height)?;
            let back = Changes::of(&back, Lanes::Widest);
            let at = self.trie_at();
            // A commit came in between.
            if at.height != newest {
                continue;
            }
            let root = *at.trie.root();
            let part = at.trie.witness(touched, &back, &[]).expect(WHOLE);
            drop(at);
            let mut part = Witness::decode(&part, root, BTreeMap::new())?;
            let older = part.apply_changes(&back, None)?;
            assert_eq!(
                older, state.root,
                "taken back, the writes lead to the older root"
            );
            return Ok(part.proof(address, slots)?);
        }
    }

    /// The newest height, and what takes its state back to an older one.
    fn back_to(&self, height: u64) -> Result<(u64, StateDiff), ProofError> {
        let (newest, diffs) = self.chain().diffs_above(height);
        let writes = diffs.iter().flat_map(|diff| diff.accounts.values());
        let writes: usize = writes.map(|change| 1 + change.storage.len()).sum();
        if writes > PROOF_WRITES_MAX {
            return Err(ProofError::TooManyWrites {
                writes,
                most: PROOF_WRITES_MAX,
            });
        }
        let mut since = StateDiff::default();
        diffs.iter().for_each(|diff| since.merge(diff));
        Ok((newest, self.versions.as_it_was(height, &since)))
    }

    fn trie_at(&self) -> RwLockReadGuard<'_, TrieAt> {
        let trie = self.trie.read();
        trie.expect("nothing panics while it writes the trie")
    }

    fn trie_mut(&self) -> RwLockWriteGuard<'_, TrieAt> {
        let trie = self.trie.write();
        trie.expect("nothing panics while it writes the trie")
    }

    fn chain(&self) -> RwLockReadGuard<'_, Chain> {
        let chain = self.chain.read();
        chain.expect("nothing panics while it writes the chain")
    }

    fn chain_mut(&self) -> RwLockWriteGuard<'_, Chain> {
        let chain = self.chain.write();
        chain.expect("nothing panics while it writes the chain")
    }
}

fn exclusive(turn: &Mutex<()>) -> MutexGuard<'_, ()> {
    turn.lock()
        .expect("a panic in a write would have stopped the node")
}

#[cfg(test)]
mod tests;
