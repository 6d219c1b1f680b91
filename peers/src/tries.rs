//! The tries that are measured: ours in memory, ethrex-trie in memory, nomt on disk.

use crate::clock::{Clock, Cost};
use crate::writes::Write;
use alloy_primitives::{B256, U256};
use alloy_rlp::Encodable;
use ethrex_crypto::NativeCrypto;
use ethrex_trie::Trie;
use nomt::hasher::Blake3Hasher;
use nomt::{KeyReadWrite, Options, SessionParams};
use rayon::{ThreadPool, ThreadPoolBuilder};
use state::Account;
use state::sparse::{AccountChange, Changes, Lanes, SlotWrite, SparseTrie};
use std::fs;
use std::path::{Path, PathBuf};

/// A trie that writes go to.
pub(crate) trait Peer {
    /// What is measured of it.
    fn names(&self) -> Vec<String>;
    /// Writes a batch, by key: what that took by name, and the root of Ethereum's state if it computes it.
    fn apply(&mut self, writes: &[Write]) -> (Vec<Cost>, Option<B256>);
}

/// Our trie: the storage of one account.
pub(crate) struct Headway {
    trie: SparseTrie,
    pool: Option<ThreadPool>,
    name: String,
}

/// The trie of ethrex, in memory.
pub(crate) struct Ethrex(Trie);

/// The binary trie of nomt, on disk.
pub(crate) struct Nomt {
    database: nomt::Nomt<Blake3Hasher>,
    folder: PathBuf,
    threads: usize,
}

impl Headway {
    /// One thread with all lanes of the processor, one with one lane, and several threads.
    pub(crate) fn ways(threads: usize) -> [Self; 3] {
        [
            (1, Lanes::Widest),
            (1, Lanes::One),
            (threads, Lanes::Widest),
        ]
        .map(|(threads, lanes)| {
            let pool = ThreadPoolBuilder::new().num_threads(threads);
            let hash = match lanes {
                Lanes::Widest => "vector lanes",
                Lanes::One => "one lane",
            };
            Self {
                trie: SparseTrie::new(lanes),
                pool: (threads > 1).then(|| pool.build().expect("threads start")),
                name: format!("headway, {}, {hash}", count(threads)),
            }
        })
    }
}

impl Peer for Headway {
    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn apply(&mut self, writes: &[Write]) -> (Vec<Cost>, Option<B256>) {
        let writes = writes.iter().map(|(key, value)| SlotWrite {
            key: *key,
            value: *value,
        });
        let changes = Changes::new(vec![AccountChange {
            key: B256::ZERO,
            account: Some(Account::default()),
            storage_wiped: false,
            slots: writes.collect(),
        }]);
        let clock = Clock::start();
        let root = self.trie.apply(&changes, self.pool.as_ref());
        let cost = clock.stop();
        (vec![cost], Some(*root.expect("all is in memory")))
    }
}

impl Ethrex {
    pub(crate) fn new() -> Self {
        Self(Trie::new_temp())
    }
}

impl Peer for Ethrex {
    fn names(&self) -> Vec<String> {
        vec!["ethrex-trie, 1 thread".to_owned()]
    }

    /// Its cheapest way to a root: nothing is encoded for a database.
    fn apply(&mut self, writes: &[Write]) -> (Vec<Cost>, Option<B256>) {
        let writes: Vec<_> = writes
            .iter()
            .map(|(key, value)| (key.to_vec(), alloy_rlp::encode(value)))
            .collect();
        let clock = Clock::start();
        for (key, value) in writes {
            self.0.insert(key, value).expect("all is in memory");
        }
        let root = self.0.hash_no_commit(&NativeCrypto);
        let cost = clock.stop();
        (vec![cost], Some(state_root(root.0.into())))
    }
}

/// The root of the state of which the account with the zero key alone has this storage.
fn state_root(storage_root: B256) -> B256 {
    let account = Account::default();
    let fields: [&dyn Encodable; 4] = [
        &account.nonce,
        &U256::ZERO,
        &storage_root,
        &account.code_hash,
    ];
    let mut leaf = Vec::new();
    alloy_rlp::encode_list::<&dyn Encodable, dyn Encodable>(&fields, &mut leaf);
    let mut trie = Trie::new_temp();
    let inserted = trie.insert(B256::ZERO.to_vec(), leaf);
    inserted.expect("all is in memory");
    trie.hash_no_commit(&NativeCrypto).0.into()
}

impl Nomt {
    /// An empty one in a new folder.
    pub(crate) fn create(parent: &Path, keys: u64, cache_mib: usize, threads: usize) -> Self {
        let folder = parent.join(format!("nomt-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for nomt");
        let mut options = Options::new();
        options.path(&folder);
        options.bitbox_seed([7; 16]);
        // More than it needs: a tenth of a page for each key.
        let pages = u32::try_from(keys / 10).expect("fewer than 40 billion keys");
        options.hashtable_buckets(pages.max(64_000));
        options.page_cache_size(cache_mib);
        options.leaf_cache_size(cache_mib);
        options.commit_concurrency(threads);
        Self {
            database: nomt::Nomt::open(options).expect("nomt opens"),
            folder,
            threads,
        }
    }
}

impl Drop for Nomt {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{}: {error}", self.folder.display());
        }
    }
}

impl Peer for Nomt {
    fn names(&self) -> Vec<String> {
        let threads = count(self.threads);
        ["to the root", "to the root and to disk"]
            .map(|what| format!("nomt, {threads}, {what}"))
            .into()
    }

    /// With its own hash, BLAKE3; its root is none of Ethereum's.
    fn apply(&mut self, writes: &[Write]) -> (Vec<Cost>, Option<B256>) {
        let writes: Vec<_> = writes
            .iter()
            .map(|(key, value)| (key.0, KeyReadWrite::Write(Some(alloy_rlp::encode(value)))))
            .collect();
        let clock = Clock::start();
        let session = self.database.begin_session(SessionParams::default());
        let finished = session.finish(writes).expect("nomt computes the root");
        let to_root = clock.stop();
        finished.commit(&self.database).expect("nomt writes");
        (vec![to_root, clock.stop()], None)
    }
}

fn count(threads: usize) -> String {
    match threads {
        1 => "1 thread".to_owned(),
        threads => format!("{threads} threads"),
    }
}
