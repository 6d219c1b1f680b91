//! A map that many threads fill and read, whose values never move.
//!
//! Keys are found in shards under a lock; values lie in chunks that only grow, so that a reference
//! to one lives as long as the map. Keys are whole: two locations are never taken for one because
//! their hashes are equal.

use crate::fault::ExecutionFault;
use alloy_primitives::map::DefaultHashBuilder;
use hashbrown::HashTable;
use std::{
    hash::{BuildHasher as _, Hash},
    marker::PhantomData,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

const SHARDS: usize = 64;
/// Bits of a hash that choose the shard.
const SHARD_BITS: u32 = SHARDS.ilog2();
/// Chunks of one size; the next as many are twice as large.
const CHUNKS_PER_SIZE: usize = 16;
/// So many sizes hold more than the memory of any machine.
const SIZES: usize = 32;
const FIRST_CHUNK_MIN: usize = 16;

type Chunk<V> = Box<[OnceLock<V>]>;
type Shard = Mutex<HashTable<Entry>>;

/// A value that knows its key.
pub(crate) trait Keyed<K> {
    /// Whether this is the key.
    fn has_key(&self, key: &K) -> bool;
}

/// Values by key.
pub(crate) struct Arena<K, V> {
    hasher: DefaultHashBuilder,
    shards: [Shard; SHARDS],
    chunks: Box<[OnceLock<Chunk<V>>]>,
    /// A power of two.
    first_chunk: usize,
    length: AtomicUsize,
    keys: PhantomData<K>,
}

/// Where the value of a key lies. Small, because the tables are what lookups miss in the cache.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Part of the key's hash: a hint, the value tells the whole key.
    hash: u32,
    place: u32,
}

impl Entry {
    /// By what the tables order entries.
    const fn table_hash(hash: u32) -> u64 {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        // Lossless.
        (hash as u64).wrapping_mul(SPREAD)
    }
}

/// Where a value lies.
struct Found {
    chunk: usize,
    offset: usize,
    /// Of the chunk.
    length: usize,
}

impl<K: Hash, V: Keyed<K>> Arena<K, V> {
    /// An empty map that expects `capacity` keys.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let each = capacity / SHARDS;
        let first_chunk = (capacity / CHUNKS_PER_SIZE).max(FIRST_CHUNK_MIN);
        Self {
            hasher: Default::default(),
            shards: std::array::from_fn(|_| Mutex::new(HashTable::with_capacity(each))),
            chunks: (0..SIZES.saturating_mul(CHUNKS_PER_SIZE))
                .map(|_| OnceLock::new())
                .collect(),
            first_chunk: first_chunk.next_power_of_two(),
            length: AtomicUsize::new(0),
            keys: PhantomData,
        }
    }

    /// The value of `key`, made by `make` if nobody has asked for it before. Two threads may make
    /// one at the same time; the first stays.
    pub(crate) fn get_or_insert(
        &self,
        key: K,
        make: impl FnOnce() -> Result<V, ExecutionFault>,
    ) -> Result<&V, ExecutionFault> {
        let (shard, hash) = self.find_shard(&key);
        if let Some(value) = self.find(&lock(shard), hash, &key) {
            return Ok(value);
        }
        // Reading a state may take long; the shard is not locked meanwhile.
        let value = make()?;
        let mut table = lock(shard);
        if let Some(value) = self.find(&table, hash, &key) {
            return Ok(value);
        }
        let place = self.length.fetch_add(1, Ordering::Relaxed);
        let cell = self.slot(place).ok_or_else(lost)?;
        let value = cell.get_or_init(|| value);
        let place = u32::try_from(place).map_err(|_| lost())?;
        let entry = Entry { hash, place };
        table.insert_unique(Entry::table_hash(hash), entry, |entry| {
            Entry::table_hash(entry.hash)
        });
        Ok(value)
    }

    /// Forgets all keys and values; their memory is kept.
    pub(crate) fn clear(&mut self) {
        for shard in &mut self.shards {
            let shard = shard.get_mut().unwrap_or_else(PoisonError::into_inner);
            shard.clear();
        }
        let mut left = self.len();
        for chunk in self.chunks.iter_mut().filter_map(OnceLock::get_mut) {
            for value in chunk.iter_mut().take(left) {
                value.take();
            }
            left = left.saturating_sub(chunk.len());
        }
        *self.length.get_mut() = 0;
    }

    /// For how many values there is memory.
    pub(crate) fn room(&self) -> usize {
        let chunks = self.chunks.iter().filter_map(OnceLock::get);
        chunks
            .map(|chunk| chunk.len())
            .fold(0, usize::saturating_add)
    }

    /// How many values there may be; some of the last may still be missing.
    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    /// The value at a place.
    pub(crate) fn at(&self, place: usize) -> Option<&V> {
        let found = self.locate(place)?;
        self.chunks
            .get(found.chunk)?
            .get()?
            .get(found.offset)?
            .get()
    }

    fn slot(&self, place: usize) -> Option<&OnceLock<V>> {
        let found = self.locate(place)?;
        let chunk = self.chunks.get(found.chunk)?;
        let new = || (0..found.length).map(|_| OnceLock::new()).collect();
        chunk.get_or_init(new).get(found.offset)
    }

    /// All lengths are powers of two, so that nothing is divided.
    fn locate(&self, place: usize) -> Option<Found> {
        let first_group = self.first_chunk.checked_mul(CHUNKS_PER_SIZE)?;
        let place = place.checked_add(first_group)?;
        let group = 1_usize.checked_shl(place.ilog2())?;
        let size = place.ilog2().checked_sub(first_group.ilog2())?;
        let length = self.first_chunk.checked_shl(size)?;
        let within = place.checked_sub(group)?;
        let chunk = usize::try_from(size).ok()?.checked_mul(CHUNKS_PER_SIZE)?;
        Some(Found {
            chunk: chunk.checked_add(within >> length.ilog2())?,
            offset: within & length.checked_sub(1)?,
            length,
        })
    }

    fn find_shard(&self, key: &K) -> (&Shard, u32) {
        let hash = self.hasher.hash_one(key);
        let [first, ..] = &self.shards;
        let index = usize::try_from(hash >> (u64::BITS - SHARD_BITS)).unwrap_or(0);
        let low = u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0);
        (self.shards.get(index).unwrap_or(first), low)
    }

    fn find(&self, table: &HashTable<Entry>, hash: u32, key: &K) -> Option<&V> {
        let entry = table.find(Entry::table_hash(hash), |entry| {
            entry.hash == hash && self.value(*entry).is_some_and(|value| value.has_key(key))
        });
        self.value(*entry?)
    }

    fn value(&self, entry: Entry) -> Option<&V> {
        self.at(usize::try_from(entry.place).ok()?)
    }
}

fn lock(shard: &Shard) -> MutexGuard<'_, HashTable<Entry>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lost() -> ExecutionFault {
    ExecutionFault::Machine("a location has no cell".to_owned())
}
