//! A map that many threads fill and read, whose values never move.
//!
//! Keys are found in shards under a lock; values lie in chunks that only grow, so that a reference
//! to one lives as long as the map. Keys are whole: two locations are never taken for one because
//! their hashes are equal.

use crate::fault::ExecutionFault;
use alloy_primitives::map::{DefaultHashBuilder, HashMap};
use std::{
    hash::{BuildHasher as _, Hash},
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

const SHARDS: usize = 64;
/// Chunks of one size; the next as many are twice as large.
const CHUNKS_PER_SIZE: usize = 16;
/// So many sizes hold more than the memory of any machine.
const SIZES: usize = 32;
const FIRST_CHUNK_MIN: usize = 16;

type Chunk<V> = Box<[OnceLock<V>]>;
type Shard<K> = Mutex<HashMap<K, usize>>;

/// Values by key.
pub(crate) struct Arena<K, V> {
    hasher: DefaultHashBuilder,
    shards: [Shard<K>; SHARDS],
    chunks: Box<[OnceLock<Chunk<V>>]>,
    first_chunk: usize,
    length: AtomicUsize,
}

/// Where a value lies.
struct Found {
    chunk: usize,
    offset: usize,
    /// Of the chunk.
    length: usize,
}

impl<K: Hash + Eq + Copy, V> Arena<K, V> {
    /// An empty map that expects `capacity` keys.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let each = capacity / SHARDS;
        let shard = || Mutex::new(HashMap::with_capacity_and_hasher(each, Default::default()));
        Self {
            hasher: Default::default(),
            shards: std::array::from_fn(|_| shard()),
            chunks: (0..SIZES.saturating_mul(CHUNKS_PER_SIZE))
                .map(|_| OnceLock::new())
                .collect(),
            first_chunk: (capacity / CHUNKS_PER_SIZE).max(FIRST_CHUNK_MIN),
            length: AtomicUsize::new(0),
        }
    }

    /// The value of `key`, made by `make` if nobody has asked for it before. Two threads may make
    /// one at the same time; the first stays.
    pub(crate) fn get_or_insert(
        &self,
        key: K,
        make: impl FnOnce() -> Result<V, ExecutionFault>,
    ) -> Result<&V, ExecutionFault> {
        let found = self.shard(&key).get(&key).copied();
        if let Some(place) = found {
            return self.at(place).ok_or_else(lost);
        }
        // Reading a state may take long; the shard is not locked meanwhile.
        let value = make()?;
        let mut shard = self.shard(&key);
        if let Some(place) = shard.get(&key).copied() {
            return self.at(place).ok_or_else(lost);
        }
        let place = self.length.fetch_add(1, Ordering::Relaxed);
        let cell = self.slot(place).ok_or_else(lost)?;
        let value = cell.get_or_init(|| value);
        shard.insert(key, place);
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

    fn locate(&self, place: usize) -> Option<Found> {
        let first_group = self.first_chunk.checked_mul(CHUNKS_PER_SIZE)?;
        let size = place.checked_div(first_group)?.checked_add(1)?.ilog2();
        let scale = 1_usize.checked_shl(size)?;
        let length = self.first_chunk.checked_mul(scale)?;
        let before = first_group.checked_mul(scale.checked_sub(1)?)?;
        let within = place.checked_sub(before)?;
        let size = usize::try_from(size).ok()?;
        let chunk = size.checked_mul(CHUNKS_PER_SIZE)?;
        Some(Found {
            chunk: chunk.checked_add(within.checked_div(length)?)?,
            offset: within.checked_rem(length)?,
            length,
        })
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, usize>> {
        // The low bits choose the bucket within the shard's own map.
        let hash = self.hasher.hash_one(key) >> 48;
        let index = usize::try_from(hash).unwrap_or(0) % SHARDS;
        let [first, ..] = &self.shards;
        let shard = self.shards.get(index).unwrap_or(first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lost() -> ExecutionFault {
    ExecutionFault::Machine("a location has no cell".to_owned())
}
