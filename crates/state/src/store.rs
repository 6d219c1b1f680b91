//! The store: the newest states in memory, one of them on disk, and what led to it.
//!
//! ```text
//!            oldest …          …        flushed        …        newest
//!   memory                     ◆  ◆  ◆    ◆     ◆      ◆      ◆ ◀─ reads    values by height
//!   trie                                  │                   ◆ ◀─ proofs   the newest only
//!                                         │     └──────┬──────┘
//!   files    ◆  ◆  ◆  ◆  ◆  ◆  ◆  ◆  ◆    ◆       commit, seal      accounts, storage, code, blocks:
//!            └────── history ────────┘                               exactly the flushed height; what
//!                                                                    was before each write
//! ```
//!
//! - [`Store::commit`] makes the state of the next height, in memory.
//! - [`Store::seal`] attaches the block that the state belongs to, once its hash is known (the hash
//!   covers the root). Only then the next height can be committed.
//! - [`Store::take_back`] undoes heights that are in memory only, for a chain that goes on from an earlier one.
//! - [`Store::flush`] writes all up to a height in one batch: after a crash the files are at one
//!   flushed height, and executing the same blocks again gives the same roots.
//!
//! Invariants: `oldest ≤ flushed ≤ newest`; only the newest height may be unsealed; the files' rows
//! are the leaves of a trie with the stored root, checked whenever it is opened; the trie is at the
//! newest height, or about to be; a part of it that is not in memory was not written since the flushed
//! height.
//!
//! One caller commits and seals, and one (perhaps another) flushes; readers of values wait for
//! neither, readers of proofs for the commit that is going on. The lock over the chain of heights is
//! never held across I/O or hashing. A failed write poisons the store for further writes: nothing in the
//! files is lost, and reads go on.
//!
//! Limits: every account and slot is in memory; so are `memory_blocks` heights below the newest, and
//! every unflushed one, so whoever flushes bounds those.

mod back;
mod batch;
mod chain;
mod config;
mod error;
pub(crate) mod files;
mod import;
mod marker;
mod open;
mod prove;
mod resident;
pub(crate) mod rows;
mod served;

pub use config::{Location, StoreConfig, StoreUsage};
pub use error::{Corruption, StoreError, UnknownHeight};
pub use import::{EmptyStore, Import, ImportState, ImportTarget};
pub use served::Served;

use crate::diff::StateDiff;
use crate::genesis::GenesisState;
use crate::reader::ReadFault;
use crate::record::{BlockReceipts, BlockRecord, TransactionLocation};
use crate::root::StateRoot;
use crate::runs::{Family, Runs, RunsError, View};
use crate::snapshot::{Snapshot, StateAt};
use crate::sparse::witness::Touched;
use crate::sparse::{Changes, Lanes, SparseTrie};
use crate::versions::Versions;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use chain::{Chain, StorageRoots};
use marker::Marker;
use rayon::{ThreadPool, ThreadPoolBuilder};
use resident::TrieAt;
use std::fmt::{Debug, Formatter};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A handle on the store; a clone is the same store.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    runs: Runs,
    config: StoreConfig,
    /// Hash of the block at height 0.
    genesis: B256,
    chain: RwLock<Chain>,
    pub(crate) versions: Versions,
    trie: RwLock<TrieAt>,
    served: RwLock<Option<Served>>,
    /// Threads that commit, if several do.
    pool: Option<ThreadPool>,
    /// Held by whoever proves an older height.
    proving: Mutex<()>,
    /// Held by whoever makes a new height or seals one.
    committing: Mutex<()>,
    /// Held by whoever writes the files.
    flushing: Mutex<()>,
}

impl Store {
    /// Opens the store, or creates it with the genesis state.
    pub fn open(
        location: Location,
        genesis: &GenesisState,
        config: StoreConfig,
    ) -> Result<Self, StoreError> {
        let pool = pool(config.commit_workers)?;
        let opened = open::open(location, genesis, config.trie_bytes_max)?;
        let (height, root) = (opened.marker.height, opened.trie.root());
        let state = StateAt { height, root };
        let is_offered = height.checked_rem(config.served_blocks) == Some(0);
        let served = Served::new(opened.view.clone(), opened.marker);
        let inner = Inner {
            runs: opened.runs,
            config,
            genesis: genesis.hash,
            chain: RwLock::new(Chain::new(state, opened.marker.hash, opened.view)),
            versions: opened.versions,
            trie: RwLock::new(TrieAt::new(height, opened.trie, config.trie_bytes_max)),
            served: RwLock::new(is_offered.then_some(served)),
            pool,
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
        let ((), view) = self.inner.look(|_| ());
        let mut at = self.inner.trie_mut();
        let root = at.apply(height, &changes, &view, self.inner.pool.as_ref())?;
        self.inner.versions.insert(height, &diff);
        let with_storage = diff.accounts.keys();
        let with_storage = with_storage.filter(|address| self.inner.versions.has_slots(address));
        let storage_roots = storage_roots(&at.trie, with_storage);
        let state = StateAt { height, root };
        // While the trie is held, so that whoever finds it at a height finds the writes up to there.
        self.inner.chain_mut().push(state, diff, storage_roots);
        // What has to stay until the next flush is over the limit until then.
        at.shrink(self.flushed_height()).ok();
        drop(at);
        self.forget();
        Ok(root)
    }

    /// Takes back every height above this one: the state is again what it was after it, and the next height can be
    /// another one than before. Whoever still reads a height that was taken back reads nothing in particular.
    ///
    /// # Errors
    /// [`StoreError::UnknownHeight`] for a height above the newest or below the flushed one, which is not left.
    pub fn take_back(&self, height: u64) -> Result<(), StoreError> {
        let _flushing = exclusive(&self.inner.flushing);
        let _committing = exclusive(&self.inner.committing);
        let (flushed, newest) = (self.flushed_height(), self.newest_height());
        if !(flushed..=newest).contains(&height) {
            return Err(StoreError::from(UnknownHeight {
                asked: height,
                oldest: flushed,
                newest,
            }));
        }
        let since = self.inner.chain().since(height);
        let back = back::in_memory(&since, &self.inner.versions);
        let mut at = self.inner.trie_mut();
        let pool = self.inner.pool.as_ref();
        let root = at.apply(height, &back, &since.view, pool)?;
        assert_eq!(root, since.from.root, "a state has one root");
        // While the trie is held, as in a commit.
        let taken = self.inner.chain_mut().take_back(height);
        for (newest, diff) in taken {
            self.inner.versions.take_back(newest, &diff);
        }
        Ok(())
    }

    /// Forgets the heights that are not kept in memory.
    fn forget(&self) {
        let memory_blocks = self.inner.config.memory_blocks;
        let next = || self.inner.chain_mut().trim(memory_blocks);
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

    /// Makes all up to `height` durable, in one batch; in two where a height that is offered lies between.
    pub fn flush(&self, height: u64) -> Result<(), StoreError> {
        let _flushing = exclusive(&self.inner.flushing);
        let every = self.inner.config.served_blocks;
        let served = height.checked_rem(every).map(|beyond| height - beyond);
        let served = served.filter(|served| *served > self.flushed_height());
        if let Some(served) = served {
            let offer = self.inner.flush(served)?;
            *self.inner.served_mut() = offer;
        }
        self.inner.flush(height)?;
        Ok(())
    }

    /// The state at the flushed height, unchanged for as long as somebody holds it.
    pub fn durable_state(&self) -> Served {
        let chain = self.inner.chain();
        let entry = chain.get(chain.flushed_height());
        let entry = entry.expect("the flushed height is in memory");
        let hash = entry.hash.unwrap_or_default();
        let marker = Marker::new(
            entry.state.height,
            entry.state.root,
            hash,
            self.inner.genesis,
        );
        Served::new(chain.view().clone(), marker)
    }

    /// The state that is offered to nodes that join. Until the first height comes that all nodes offer, it is
    /// the one that was durable when somebody asked first; `None` at genesis, and when none is offered.
    pub fn served(&self) -> Option<Served> {
        let served = self.inner.served.read();
        let served = served.expect("nothing panics while it writes it").clone();
        if served.is_some() || self.inner.config.served_blocks == 0 {
            return served;
        }
        let durable = self.durable_state();
        if durable.height() == 0 {
            return None;
        }
        Some(self.inner.served_mut().get_or_insert(durable).clone())
    }

    /// Makes an empty location a store of its own, with the blocks and the state that are in the files now.
    /// Both share the files they have in common where the file system can, so that neither time nor disk
    /// grows with the state.
    ///
    /// # Errors
    /// When the location holds something, or cannot be written.
    pub fn copy_to(&self, location: Location) -> Result<(), StoreError> {
        let (disk, _) = open::disk(location)?;
        if !disk.list()?.is_empty() {
            let error = std::io::ErrorKind::AlreadyExists.into();
            return Err(StoreError::Directory(error));
        }
        Ok(self.inner.runs.copy_to(&disk)?)
    }

    /// What the files take.
    pub fn usage(&self) -> StoreUsage {
        let ((), view) = self.inner.look(|_| ());
        StoreUsage {
            disk_bytes: view.disk_bytes(),
            index_bytes: view.memory_bytes(),
            files: Family::ALL.iter().map(|family| view.runs(*family)).sum(),
        }
    }

    /// The height the files are at.
    pub fn flushed_height(&self) -> u64 {
        self.inner.chain().flushed_height()
    }

    /// Accounts and slots written up to a height that are not in the files.
    pub fn unflushed_writes(&self, height: u64) -> usize {
        self.inner.chain().unflushed_writes(height)
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
    ///
    /// # Errors
    /// [`StoreError::UnknownHeight`] names the heights that are kept.
    pub fn snapshot(&self, height: u64) -> Result<Snapshot, StoreError> {
        let chain = self.inner.chain();
        if let Some(entry) = chain.get(height) {
            return Ok(Snapshot {
                inner: Arc::clone(&self.inner),
                state: Arc::clone(&entry.state),
                hash: entry.hash,
                files: None,
            });
        }
        let unknown = UnknownHeight {
            asked: height,
            oldest: chain.oldest_height(),
            newest: chain.newest_height(),
        };
        let view = chain.view().clone();
        drop(chain);
        if !(unknown.oldest..unknown.newest).contains(&height) {
            return Err(unknown.into());
        }
        let (hash, root) = files::hashes(&view, height)?.ok_or(unknown)?;
        let root = StateRoot::computed(root);
        Ok(Snapshot {
            inner: Arc::clone(&self.inner),
            state: Arc::new(StateAt { height, root }),
            hash: Some(hash),
            files: Some(view),
        })
    }

    /// What shows these keys of the newest state, and is enough to compute the root after a block that writes
    /// `diff` over it: for whoever executes that block without the store. To be taken before the block's own
    /// writes are committed.
    ///
    /// # Errors
    /// [`StoreError::UnknownHeight`] for every height but the newest.
    pub fn witness(
        &self,
        height: u64,
        touched: &Touched,
        diff: &StateDiff,
        codes: &[Bytes],
    ) -> Result<Bytes, StoreError> {
        self.inner.witness(height, touched, diff, codes)
    }

    /// The sealed block at a height.
    pub fn record(&self, height: u64) -> Result<Option<Arc<BlockRecord>>, StoreError> {
        let (unflushed, view) = self.inner.look(|chain| chain.record(height));
        match unflushed {
            Some(record) => Ok(Some(record)),
            None => Ok(files::record(&view, height)?.map(Arc::new)),
        }
    }

    /// What the logs of the sealed block at a height are told from.
    pub fn receipts(&self, height: u64) -> Result<Option<BlockReceipts>, StoreError> {
        let (unflushed, view) = self.inner.look(|chain| chain.record(height));
        match unflushed {
            Some(record) => Ok(Some(BlockReceipts::from(&*record))),
            None => files::receipts(&view, height),
        }
    }

    /// The encoded header of the block at a height.
    pub fn header(&self, height: u64) -> Result<Option<Bytes>, StoreError> {
        let (unflushed, view) = self.inner.look(|chain| chain.record(height));
        match unflushed {
            Some(record) => Ok(Some(record.header.clone())),
            None => files::header(&view, height),
        }
    }

    /// The encoded access list of the block at a height; empty where there is none.
    pub fn access_list(&self, height: u64) -> Result<Bytes, StoreError> {
        let (unflushed, view) = self.inner.look(|chain| chain.record(height));
        match unflushed {
            Some(record) => Ok(record.access_list.clone()),
            None => files::access_list(&view, height),
        }
    }

    /// The height of the block with this Ethereum header hash.
    pub fn height_of_block(&self, hash: &B256) -> Result<Option<u64>, StoreError> {
        let (retained, view) = self.inner.look(|chain| chain.height_of_block(hash));
        match retained {
            Some(height) => Ok(Some(height)),
            None => files::height_of_block(&view, hash),
        }
    }

    /// The height and index of the transaction with this hash.
    pub fn transaction_location(
        &self,
        hash: &B256,
    ) -> Result<Option<TransactionLocation>, StoreError> {
        let (unflushed, view) = self.inner.look(|chain| chain.transaction_location(hash));
        match unflushed {
            Some(location) => Ok(Some(location)),
            None => files::transaction_location(&view, hash),
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
    /// Writes what the files lack, up to a height, in one batch; the state that is in them then.
    fn flush(&self, height: u64) -> Result<Option<Served>, StoreError> {
        let Some(batch) = self.chain().batch(height)? else {
            return Ok(None);
        };
        let Some(last) = batch.blocks.last() else {
            return Ok(None);
        };
        let marker = Marker::new(height, last.root, last.record.hash, self.genesis);
        let written = batch::rows(&batch, &marker, &self.versions, self.config.history_blocks)
            .map_err(RunsError::from)
            .and_then(|rows| self.runs.commit(&rows));
        if let Err(error) = written {
            self.chain_mut().poison();
            return Err(error.into());
        }
        let view = self.runs.view();
        let dropped = self.chain_mut().flushed(height, view.clone());
        drop(dropped);
        Ok(Some(Served::new(view, marker)))
    }

    pub(crate) fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        let (unflushed, view) = self.look(|chain| chain.code(code_hash));
        match unflushed {
            Some(code) => Ok(Some(code)),
            None => Ok(files::code(&view, code_hash).map_err(Box::new)?),
        }
    }

    pub(crate) fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        let (retained, view) = self.look(|chain| chain.get(height).and_then(|entry| entry.hash));
        match retained {
            Some(hash) => Ok(Some(hash)),
            None => Ok(files::block_hash(&view, height).map_err(Box::new)?),
        }
    }

    /// What memory knows, and the files for what it does not.
    fn look<T>(&self, look: impl FnOnce(&Chain) -> T) -> (T, View) {
        let chain = self.chain();
        (look(&chain), chain.view().clone())
    }

    fn trie_at(&self) -> RwLockReadGuard<'_, TrieAt> {
        let trie = self.trie.read();
        trie.expect("nothing panics while it writes the trie")
    }

    fn trie_mut(&self) -> RwLockWriteGuard<'_, TrieAt> {
        let trie = self.trie.write();
        trie.expect("nothing panics while it writes the trie")
    }

    fn served_mut(&self) -> RwLockWriteGuard<'_, Option<Served>> {
        let served = self.served.write();
        served.expect("nothing panics while it writes it")
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

fn pool(workers: NonZeroUsize) -> Result<Option<ThreadPool>, StoreError> {
    if workers.get() == 1 {
        return Ok(None);
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(workers.get())
        .thread_name(|index| format!("commit-{index}"));
    pool.build()
        .map(Some)
        .map_err(|problem| StoreError::Workers {
            workers,
            problem: problem.to_string(),
        })
}

/// The roots of the storage of these accounts, where they have any.
fn storage_roots<'a>(
    trie: &SparseTrie,
    accounts: impl Iterator<Item = &'a Address>,
) -> StorageRoots {
    let with_root = |address: &Address| Some((*address, trie.storage_root(&keccak256(address))?));
    accounts.filter_map(with_root).collect()
}

fn exclusive(turn: &Mutex<()>) -> MutexGuard<'_, ()> {
    turn.lock()
        .expect("a panic in a write would have stopped the node")
}

#[cfg(test)]
mod tests;
