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
const FIRST_CHUNK: usize = 1_024;
/// Chunks double, so these hold more than four billion values.
const CHUNKS: usize = 23;

type Chunk<V> = Box<[OnceLock<V>]>;
type Shard<K> = Mutex<HashMap<K, usize>>;

/// Values by key.
pub(crate) struct Arena<K, V> {
    hasher: DefaultHashBuilder,
    shards: Box<[Shard<K>]>,
    chunks: [OnceLock<Chunk<V>>; CHUNKS],
    length: AtomicUsize,
}

impl<K: Hash + Eq + Copy, V> Arena<K, V> {
    /// An empty map that expects `capacity` keys.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let each = capacity / SHARDS;
        let shard = || Mutex::new(HashMap::with_capacity_and_hasher(each, Default::default()));
        Self {
            hasher: Default::default(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            chunks: [const { OnceLock::new() }; CHUNKS],
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

    /// How many values there may be; some of the last may still be missing.
    pub(crate) fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    /// The value at a place.
    pub(crate) fn at(&self, place: usize) -> Option<&V> {
        let (chunk, offset) = locate(place)?;
        self.chunks.get(chunk)?.get()?.get(offset)?.get()
    }

    fn slot(&self, place: usize) -> Option<&OnceLock<V>> {
        let (chunk, offset) = locate(place)?;
        let length = FIRST_CHUNK.checked_shl(u32::try_from(chunk).ok()?)?;
        let chunk = self.chunks.get(chunk)?;
        let chunk = chunk.get_or_init(|| (0..length).map(|_| OnceLock::new()).collect());
        chunk.get(offset)
    }

    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, usize>> {
        // The low bits choose the bucket within the shard's own map.
        let hash = self.hasher.hash_one(key) >> 48;
        let index = usize::try_from(hash).unwrap_or(0) % SHARDS;
        let shard = self.shards.get(index).unwrap_or(&self.shards[0]);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn locate(place: usize) -> Option<(usize, usize)> {
    let shifted = place.checked_add(FIRST_CHUNK)?;
    let power = shifted.ilog2();
    let chunk = power.checked_sub(FIRST_CHUNK.ilog2())?;
    let first = 1_usize.checked_shl(power)?;
    Some((usize::try_from(chunk).ok()?, shifted.checked_sub(first)?))
}

fn lost() -> ExecutionFault {
    ExecutionFault::Machine("a location has no cell".to_owned())
}
