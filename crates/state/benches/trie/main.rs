//! What the sparse trie costs: build, update, insert, delete, proofs, residency, witnesses.
//!
//! ```text
//! trie CASE KEYS [WORKERS] [wide|one]     CASE: slots accounts proofs residency witness
//! ```
//!
//! Prints one line per measurement: median and minimum of CPU seconds and of wall seconds.

#![expect(clippy::print_stdout, reason = "a bench reports")]

use alloy_primitives::{B256, U256};
use rayon::{ThreadPool, ThreadPoolBuilder};
use state::Account;
use state::sparse::{AccountChange, Changes, Lanes, SlotWrite, SparseTrie};
use std::fs;
use std::time::Instant;

mod cases;

/// Writes of one measured batch.
const BATCH: usize = 200_000;
const ROUNDS: usize = 7;

/// What to measure.
#[derive(Clone, Copy, Debug)]
struct Setting {
    keys: u64,
    workers: usize,
    lanes: Lanes,
}

fn main() {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"));
    let case = words.next().unwrap_or_else(|| "slots".to_owned());
    let keys = words
        .next()
        .map_or(100_000, |word| word.parse().expect("a number of keys"));
    let workers = words
        .next()
        .map_or(1, |word| word.parse().expect("a number of workers"));
    let lanes = match words.next().as_deref() {
        Some("one") => Lanes::One,
        _ => Lanes::Widest,
    };
    let setting = Setting {
        keys,
        workers,
        lanes,
    };
    match case.as_str() {
        "slots" => cases::slots(setting),
        "accounts" => cases::accounts(setting),
        "tokens" => cases::tokens(setting),
        "proofs" => cases::proofs(setting),
        "residency" => cases::residency(setting),
        "witness" => cases::witness(setting),
        other => panic!("no case {other}"),
    }
}

impl Setting {
    fn pool(self) -> Option<ThreadPool> {
        let pool = ThreadPoolBuilder::new().num_threads(self.workers);
        (self.workers > 1).then(|| pool.build().expect("threads start"))
    }
}

/// A stream of numbers that is the same in every run.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    fn word(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes());
        }
        bytes
    }
}

/// The hashed key of a number: uniform, as the keys of a state are.
fn key(number: u64) -> B256 {
    Stream(number.wrapping_mul(0xd134_2543_de82_ef95))
        .word()
        .into()
}

fn slot(number: u64, stream: &mut Stream) -> SlotWrite {
    SlotWrite {
        key: key(number),
        value: U256::from_be_bytes(stream.word()),
    }
}

fn account(number: u64, stream: &mut Stream) -> AccountChange {
    AccountChange {
        key: key(number),
        account: Some(Account {
            nonce: stream.next() % 1000,
            balance: U256::from(stream.next()),
            ..Account::default()
        }),
        storage_wiped: false,
        slots: Vec::new(),
    }
}

/// Distinct numbers below a bound.
fn sample(count: usize, bound: u64, stream: &mut Stream) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count * 11 / 10)
        .map(|_| stream.next() % bound)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.truncate(count);
    numbers
}

/// The storage writes of one account with 200 bytes of its own.
fn token(slots: Vec<SlotWrite>) -> Changes {
    Changes::new(vec![AccountChange {
        key: key(u64::MAX),
        account: Some(Account::default()),
        storage_wiped: false,
        slots,
    }])
}

/// CPU seconds of this process, its threads included, and wall seconds.
struct Clock {
    cpu: f64,
    wall: Instant,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
    fn start() -> Self {
        Self {
            cpu: cpu_seconds(),
            wall: Instant::now(),
        }
    }

    fn stop(&self) -> (f64, f64) {
        (cpu_seconds() - self.cpu, self.wall.elapsed().as_secs_f64())
    }
}

/// From the scheduler, which counts nanoseconds, thread by thread.
fn cpu_seconds() -> f64 {
    let threads = fs::read_dir("/proc/self/task").expect("Linux");
    let nanoseconds = threads.map(|thread| {
        let path = thread.expect("a thread").path().join("schedstat");
        let line = fs::read_to_string(path).unwrap_or_default();
        let first = line
            .split(' ')
            .next()
            .and_then(|word| word.parse::<f64>().ok());
        first.unwrap_or_default()
    });
    nanoseconds.sum::<f64>() / 1e9
}

fn resident_bytes() -> f64 {
    let line = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = line
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse::<f64>().ok());
    pages.expect("pages") * 4096.0
}

/// Prints the median and the least of several measurements.
fn report(name: &str, mut costs: Vec<(f64, f64)>) {
    let rounds = costs.len();
    costs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (cpu, least) = (costs[rounds / 2].0, costs[0].0);
    costs.sort_by(|one, other| one.1.total_cmp(&other.1));
    let (wall, shortest) = (costs[rounds / 2].1, costs[0].1);
    println!(
        "{name}: cpu_s median={cpu:.3} min={least:.3} wall_s median={wall:.3} min={shortest:.3} rounds={rounds}"
    );
}

/// Applies batches and reports what they cost.
fn measure(
    name: &str,
    trie: &mut SparseTrie,
    pool: Option<&ThreadPool>,
    mut batch: impl FnMut() -> Changes,
) {
    let costs = (0..ROUNDS).map(|_| {
        let changes = batch();
        let clock = Clock::start();
        trie.apply(&changes, pool).expect("all is resolved");
        clock.stop()
    });
    report(name, costs.collect());
}
