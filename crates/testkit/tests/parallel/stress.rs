//! More workers than cores, on states that answer when they like, so that every run is another
//! interleaving.

use super::assert_alike;
use alloy_primitives::{Address, B256, Bytes, U256};
use executor::{Engine, execute_sequential};
use state::{Account, MemoryState, ReadFault, StateReader};
use std::{
    hint,
    num::NonZeroUsize,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};
use testkit::blocks::{benchmark, random_block};

const WORKERS: usize = 8;
/// Random blocks of every run, and how often each; the slow profile does more.
const SEEDS: u64 = 400;
const SEEDS_SLOW: u64 = 6_000;
const TIMES: u64 = 3;
/// Most times that a read spins.
const SPINS_MAX: u64 = 2_000;
/// One read of so many lets another thread go first.
const YIELD_EVERY: u64 = 3;

/// A state that takes its time.
struct Moody<'s> {
    state: &'s MemoryState,
    mood: AtomicU64,
}

impl<'s> Moody<'s> {
    const fn new(state: &'s MemoryState, mood: u64) -> Self {
        Self {
            state,
            mood: AtomicU64::new(mood),
        }
    }

    /// What comes of it is different for every thread and every run.
    fn dawdle(&self) {
        let before = self.mood.load(Ordering::Relaxed);
        let mood = before
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.mood.store(mood, Ordering::Relaxed);
        let mood = mood >> 33;
        match mood % YIELD_EVERY {
            0 => thread::yield_now(),
            1 => (0..mood % SPINS_MAX).for_each(|_| hint::spin_loop()),
            _ => {}
        }
    }
}

impl StateReader for Moody<'_> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        self.dawdle();
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        self.dawdle();
        self.state.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        self.dawdle();
        self.state.code(code_hash)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        self.dawdle();
        self.state.block_hash(height)
    }
}

#[test]
fn random_blocks_on_more_workers_than_cores() {
    stress(0..SEEDS);
}

#[test]
fn many_random_blocks_on_more_workers_than_cores_slow() {
    stress(SEEDS..SEEDS_SLOW);
}

fn engine() -> Engine {
    let workers = NonZeroUsize::new(WORKERS).unwrap();
    Engine::new(workers).unwrap().always_parallel()
}

fn stress(seeds: std::ops::Range<u64>) {
    let engine = engine();
    for seed in seeds {
        let block = random_block(seed);
        let expected = execute_sequential(&block.input(), &block.state).unwrap();
        for time in 0..TIMES {
            let state = Moody::new(&block.state, seed.wrapping_mul(TIMES) + time);
            let executed = engine.execute(&block.input(), &state).unwrap();
            assert_alike(seed, &block, &executed, &expected);
        }
    }
}

/// Two threads that use one engine do not disturb each other.
#[test]
fn two_blocks_at_once_on_one_engine() {
    let engine = engine();
    thread::scope(|scope| {
        for parity in 0..2 {
            let engine = &engine;
            scope.spawn(move || compare_seeds(engine, (parity..200).step_by(2)));
        }
    });
}

fn compare_seeds(engine: &Engine, seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        let block = random_block(seed);
        let expected = execute_sequential(&block.input(), &block.state).unwrap();
        let executed = engine.execute(&block.input(), &block.state).unwrap();
        assert_alike(seed, &block, &executed, &expected);
    }
}

#[test]
fn benchmark_blocks_on_more_workers_than_cores() {
    let engine = engine();
    for (seed, (name, make)) in (0..).zip(benchmark::BLOCKS) {
        let block = make(150);
        let expected = execute_sequential(&block.input(), &block.state).unwrap();
        for time in 0..TIMES {
            let state = Moody::new(&block.state, seed * TIMES + time);
            let executed = engine.execute(&block.input(), &state).unwrap();
            assert!(executed == expected, "{name} time={time}");
        }
    }
}
