//! The state: how fast it takes what blocks write, and what that costs.
//!
//! ```text
//!   load N keys ─▶ single commits ─▶ a stream of blocks at a rate ─▶ proofs ─▶ open again
//!                   CPU, wall          kept, lag, bytes, memory       p99
//! ```
//! A quarter of the keys are accounts, the rest slots of a thousand contracts. The stream is an open
//! loop: blocks come at their rate, wait in a short queue, and hold the source up only when that is full.

mod keys;
mod report;
mod stream;

pub use report::{Lag, Sample, StateReport};

use crate::{bench::Usage, error::NodeError, replay::Clock};
use alloy_primitives::{B256, keccak256};
use keys::Keys;
use state::{BlockRecord, GenesisState, Location, StateDiff, Store, StoreConfig, StoreError};
use std::{num::NonZeroUsize, path::PathBuf, thread, time::Duration};

/// Updates of one commit that is timed.
const COMMIT_UPDATES: usize = 200_000;
/// Keys that are loaded by one block.
const LOAD_KEYS: u64 = 250_000;
/// Proofs that are timed.
const PROOFS: u64 = 2_000;
/// Merges of the files are over when so long takes less than a tenth of it in CPU.
const REST: Duration = Duration::from_millis(200);
/// Rests waited for at most before each commit.
const RESTS_MAX: usize = 300;

/// What to measure.
#[derive(Clone, Debug)]
pub struct StateBench {
    /// Keys in the state.
    pub keys: u64,
    /// Updates offered a second.
    pub rate: u64,
    /// How long they are offered.
    pub seconds: u64,
    /// Whether four of five updates go to a fifth of the keys.
    pub skewed: bool,
    /// Timed single commits.
    pub rounds: usize,
    /// Threads of a commit.
    pub workers: NonZeroUsize,
    /// Where the store is made; it must not exist.
    pub directory: PathBuf,
    /// Bytes of the trie in memory at most.
    pub trie_bytes_max: Option<usize>,
}

/// What is being done, for a progress bar.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What.
    pub step: &'static str,
    /// How much of it.
    pub done: u64,
    /// Of how much.
    pub total: u64,
}

/// Told about progress.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Sync);

/// A store that is being measured.
pub(crate) struct Subject<'a> {
    store: Store,
    keys: Keys,
    clock: &'a Clock,
}

impl StateBench {
    /// Measures.
    ///
    /// # Errors
    /// When the store fails.
    pub fn run(&self, clock: &Clock, progress: OnProgress<'_>) -> Result<StateReport, NodeError> {
        let store = self.open()?;
        let mut subject = Subject {
            store,
            keys: Keys::new(self.keys, self.skewed),
            clock,
        };
        let mut report = StateReport::new(self);
        subject.load(&mut report, progress)?;
        for round in 0..self.rounds {
            progress(at("commit", round as u64, self.rounds as u64));
            subject.time_commit(&mut report)?;
        }
        subject.stream(self, &mut report, progress)?;
        progress(at("proofs", 0, PROOFS));
        subject.time_proofs(&mut report)?;
        let Subject { store, .. } = subject;
        let height = store.newest_height();
        store.flush(height)?;
        drop(store);
        progress(at("open", 0, 1));
        let started = clock();
        let store = self.open()?;
        report.open_s = (clock() - started).as_secs_f64();
        report.rss_mb_opened = Usage::now().rss_bytes >> 20;
        report.height = store.newest_height();
        Ok(report)
    }

    fn open(&self) -> Result<Store, StoreError> {
        let config = StoreConfig {
            commit_workers: self.workers,
            trie_bytes_max: self.trie_bytes_max,
            // As much in memory as the lag of results needs.
            memory_blocks: 16,
            ..StoreConfig::default()
        };
        let location = Location::Directory(self.directory.clone());
        Store::open(location, &genesis(), config)
    }
}

impl Subject<'_> {
    fn load(
        &mut self,
        report: &mut StateReport,
        progress: OnProgress<'_>,
    ) -> Result<(), StoreError> {
        let (started, before) = ((self.clock)(), Usage::now());
        let total = self.keys.count();
        for first in (0..total).step_by(usize::try_from(LOAD_KEYS).unwrap_or(usize::MAX)) {
            progress(at("load", first, total));
            let diff = self.keys.range(first, total.min(first + LOAD_KEYS));
            let height = self.add(diff)?;
            self.store.flush(height)?;
        }
        report.load_s = ((self.clock)() - started).as_secs_f64();
        report.load_cpu_s = Usage::now().cpu_s - before.cpu_s;
        Ok(())
    }

    /// Waits until the merges that earlier flushes left behind are done, or a minute.
    fn rest(&self) {
        let is_busy = |_: &usize| {
            let before = Usage::now().cpu_s;
            thread::sleep(REST);
            Usage::now().cpu_s - before > REST.as_secs_f64() / 10.0
        };
        let _rests = (0..RESTS_MAX).take_while(is_busy).count();
    }

    /// One commit of so many updates, alone.
    fn time_commit(&mut self, report: &mut StateReport) -> Result<(), StoreError> {
        let diff = self.keys.updates(COMMIT_UPDATES);
        self.rest();
        let height = self.store.newest_height() + 1;
        let (started, before) = ((self.clock)(), Usage::now());
        let root = self.store.commit(height, diff)?;
        let elapsed = ((self.clock)() - started).as_secs_f64();
        report.commit(elapsed, Usage::now().cpu_s - before.cpu_s);
        self.store.seal(record(height, *root))?;
        self.store.flush(height)
    }

    fn time_proofs(&mut self, report: &mut StateReport) -> Result<(), NodeError> {
        let newest = self.store.snapshot(self.store.newest_height())?;
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..PROOFS {
            let (address, slot) = self.keys.storage_slot();
            let started = (self.clock)();
            let proof = newest.proof(&address, &[slot]);
            times.push((self.clock)() - started);
            proof.map_err(|problem| NodeError::Bench(problem.to_string()))?;
        }
        report.proofs(&times);
        Ok(())
    }

    fn add(&self, diff: StateDiff) -> Result<u64, StoreError> {
        let height = self.store.newest_height() + 1;
        let root = self.store.commit(height, diff)?;
        self.store.seal(record(height, *root))?;
        Ok(height)
    }
}

pub(crate) fn at(step: &'static str, done: u64, total: u64) -> Progress {
    Progress { step, done, total }
}

/// A block of nothing: the state is what is measured.
pub(crate) fn record(height: u64, root: B256) -> BlockRecord {
    BlockRecord {
        height,
        hash: keccak256([root.as_slice(), &height.to_be_bytes()].concat()),
        header: Default::default(),
        body: Default::default(),
        receipts: Default::default(),
        access_list: Default::default(),
        transaction_hashes: Vec::new(),
    }
}

fn genesis() -> GenesisState {
    GenesisState {
        hash: keccak256("headway bench state"),
        alloc: Default::default(),
        header: Default::default(),
        body: Default::default(),
    }
}
