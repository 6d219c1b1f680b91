//! What the pool costs: admission, selection, following a block, floods, memory.
//!
//! ```text
//! pool [TRANSACTIONS] [SENDERS]        one million of a hundred thousand senders unless said otherwise
//! ```
//! Prints microseconds per transaction, by the clock and of the calling threads' CPU, the longest
//! wait of somebody else for one sender's lock, and bytes of memory per transaction.

#![expect(clippy::print_stdout, reason = "a bench reports")]
#![expect(
    clippy::disallowed_methods,
    reason = "a bench measures time, outside every runtime"
)]

mod load;

use load::{BASE_FEE, Rich, chain, mix, sender, transfer};
use mempool::{Config, Mempool, TransactionSource, short_id};
use primitives::RecoveredTransaction;
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const BATCH: usize = 256;
const BLOCK: usize = 30_000;
/// Newcomers to the full pool.
const FLOOD: u64 = 100_000;
const PRIORITY_FEE_SPREAD: u64 = 2_000_000_000;

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let number = |index: usize, default: u64| {
        words
            .get(index)
            .map_or(default, |word| word.parse().expect("a number"))
    };
    let (transactions, senders) = (number(0, 1_000_000), number(1, 100_000));
    println!(
        "pool::load transactions={transactions} senders={senders} batch={BATCH} block={BLOCK}"
    );
    two_threads(transactions / 4, senders);
    let mut bench = Bench::new(transactions, senders);
    bench.fill();
    bench.select_and_execute(false);
    bench.select_and_execute(true);
    bench.look_up();
    bench.flood();
    bench.move_base_fee();
}

struct Bench {
    pool: Mempool,
    transactions: u64,
    senders: u64,
    state: Rich,
}

impl Bench {
    fn new(transactions: u64, senders: u64) -> Self {
        let config = Config {
            transactions_max: usize::try_from(transactions).expect("fits"),
            ..Config::new(chain())
        };
        Self {
            pool: Mempool::new(config, BASE_FEE),
            transactions,
            senders,
            state: Rich::default(),
        }
    }

    /// Admits everything in batches; the making of the transactions is not counted.
    fn fill(&self) {
        let before = resident_bytes();
        let watch = Watch::start(&self.pool, self.senders);
        let mut spent = Spent::default();
        for first in (0..self.transactions).step_by(BATCH) {
            let batch = (first..self.transactions).take(BATCH);
            let batch =
                batch.map(|n| transfer(n % self.senders, n / self.senders, 1, PRIORITY_FEE_SPREAD));
            let batch: Vec<_> = batch.collect();
            spent.measure(|| {
                let answers = self.pool.admit_many(batch, &self.state, 0);
                assert!(answers.expect("readable").iter().all(Result::is_ok));
            });
        }
        spent.report("admit/threads=1", self.transactions);
        watch.report("admit/threads=1");
        let bytes = resident_bytes().saturating_sub(before);
        let each = bytes / self.transactions;
        println!(
            "pool::memory bytes_per_transaction={each} all_mib={}",
            bytes >> 20
        );
    }

    /// Selects a block's worth, then follows the block.
    fn select_and_execute(&mut self, half_in_flight: bool) {
        let in_flight = (0..self.senders).filter(|_| half_in_flight).step_by(2);
        let in_flight = in_flight.map(|n| {
            let sender = sender(n);
            (
                sender,
                self.state.nonces.get(&sender).copied().unwrap_or_default() + 1,
            )
        });
        let in_flight = Arc::new(in_flight.collect());
        let mut first = Spent::default();
        let next = first.measure(|| self.pool.best(BASE_FEE, Arc::clone(&in_flight)).next());
        assert!(next.is_some());
        first.report(&format!("first/half_in_flight={half_in_flight}"), 1);
        let watch = Watch::start(&self.pool, self.senders);
        let mut spent = Spent::default();
        let block: Vec<RecoveredTransaction> =
            spent.measure(|| self.pool.best(BASE_FEE, in_flight).take(BLOCK).collect());
        assert_eq!(block.len(), BLOCK);
        let count = u64::try_from(BLOCK).expect("fits");
        spent.report(&format!("select/half_in_flight={half_in_flight}"), count);
        watch.report("select");
        if half_in_flight {
            return;
        }
        for transaction in &block {
            *self.state.nonces.entry(transaction.sender()).or_default() += 1;
        }
        let watch = Watch::start(&self.pool, self.senders);
        let mut spent = Spent::default();
        let followed = spent.measure(|| self.pool.on_executed(&block, &[], BASE_FEE, &self.state));
        followed.expect("readable");
        spent.report("on_executed", count);
        watch.report("on_executed");
    }

    fn look_up(&self) {
        let best = self.pool.best(BASE_FEE, Arc::default()).take(BLOCK);
        let ids: Vec<_> = best
            .map(|transaction| short_id(&transaction.hash()))
            .collect();
        let mut spent = Spent::default();
        let found = spent.measure(|| self.pool.find(&ids));
        assert_eq!(found.len(), BLOCK);
        spent.report("find", u64::try_from(BLOCK).expect("fits"));
    }

    /// Fills the pool, then sends what is better than everything and what is worse.
    fn flood(&self) {
        let room = usize::try_from(self.transactions).expect("fits") - self.pool.counts().total();
        let room = u64::try_from(room).expect("fits");
        let strangers = |from: u64, count: u64, least: u64| {
            let numbers = (from..from + count).map(|n| n + self.senders);
            numbers
                .map(move |n| transfer(n, 0, least, 1_000))
                .collect::<Vec<_>>()
        };
        self.send(&strangers(0, room, PRIORITY_FEE_SPREAD));
        assert_eq!(
            self.pool.counts().total(),
            usize::try_from(self.transactions).expect("fits")
        );
        let better = strangers(room, FLOOD, PRIORITY_FEE_SPREAD / 2);
        let watch = Watch::start(&self.pool, self.senders);
        let (spent, taken) = self.send(&better);
        spent.report("flood/kind=better", FLOOD);
        println!("pool::flood/kind=better taken={taken} of={FLOOD}");
        let worse = strangers(room + FLOOD, FLOOD, 0);
        let (spent, taken) = self.send(&worse);
        spent.report("flood/kind=worse", FLOOD);
        println!("pool::flood/kind=worse taken={taken} of={FLOOD}");
        watch.report("flood");
    }

    fn send(&self, transactions: &[RecoveredTransaction]) -> (Spent, usize) {
        let mut spent = Spent::default();
        let mut taken = 0;
        for batch in transactions.chunks(BATCH) {
            let batch = batch.to_vec();
            let answers = spent.measure(|| self.pool.admit_many(batch, &self.state, 0));
            let answers = answers.expect("readable");
            taken += answers.iter().filter(|answer| answer.is_ok()).count();
        }
        (spent, taken)
    }

    fn move_base_fee(&self) {
        for base_fee in [BASE_FEE / 8 * 9, BASE_FEE * 2, BASE_FEE] {
            let watch = Watch::start(&self.pool, self.senders);
            let mut spent = Spent::default();
            let followed = spent.measure(|| self.pool.on_executed(&[], &[], base_fee, &self.state));
            followed.expect("readable");
            spent.report(&format!("base_fee/gwei={}", base_fee / 1_000_000), 1);
            watch.report("base_fee");
        }
        let watch = Watch::start(&self.pool, self.senders);
        let mut spent = Spent::default();
        spent.measure(|| self.pool.expire(1));
        spent.report("expire/expired=0", 1);
        watch.report("expire");
        let mut spent = Spent::default();
        spent.measure(|| self.pool.clear());
        spent.report("clear", self.transactions);
    }
}

/// Two callers at once, each with half of the senders.
fn two_threads(transactions: u64, senders: u64) {
    let pool = Mempool::new(Config::new(chain()), BASE_FEE);
    let state = Rich::default();
    let half = |thread: u64| {
        let numbers = (0..transactions).filter(|n| (n % senders) % 2 == thread);
        let made = numbers.map(|n| transfer(n % senders, n / senders, 1, PRIORITY_FEE_SPREAD));
        made.collect::<Vec<_>>()
    };
    let loads = [half(0), half(1)];
    let begin = Instant::now();
    let send = |load: &[RecoveredTransaction]| {
        for batch in load.chunks(BATCH) {
            let answers = pool.admit_many(batch.to_vec(), &state, 0);
            assert!(answers.expect("readable").iter().all(Result::is_ok));
        }
    };
    std::thread::scope(|scope| {
        let send = &send;
        for load in &loads {
            scope.spawn(move || send(load));
        }
    });
    let us = begin.elapsed().as_secs_f64() * 1e6;
    let each = us / transactions as f64;
    println!("pool::admit/threads=2 us_per_transaction={each:.3}");
}

/// Time by the clock and of this thread.
#[derive(Default)]
struct Spent {
    clock: Duration,
    cpu_ns: u64,
}

impl Spent {
    fn measure<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let (begin, cpu) = (Instant::now(), cpu_ns());
        let result = work();
        self.cpu_ns += cpu_ns() - cpu;
        self.clock += begin.elapsed();
        result
    }

    fn report(&self, operation: &str, count: u64) {
        let clock = self.clock.as_secs_f64() * 1e6 / count as f64;
        let cpu = self.cpu_ns as f64 / 1e3 / count as f64;
        println!("pool::{operation} us={clock:.3} cpu_us={cpu:.3} count={count}");
    }
}

/// Somebody who asks for one sender after another meanwhile.
struct Watch {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<Vec<u64>>,
}

impl Watch {
    fn start(pool: &Mempool, senders: u64) -> Self {
        let (stop, asked) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (stopped, count, pool) = (Arc::clone(&stop), Arc::clone(&asked), pool.clone());
        let thread = std::thread::spawn(move || {
            let mut waits = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let sender = sender(mix(count.fetch_add(1, Ordering::Relaxed)) % senders);
                let begin = Instant::now();
                let _nonce = pool.pending_nonce(&sender);
                waits.push(u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX));
                std::thread::sleep(Duration::from_micros(20));
            }
            waits.sort_unstable();
            waits
        });
        Self {
            stop,
            asked,
            thread,
        }
    }

    fn report(self, operation: &str) {
        self.stop.store(true, Ordering::Relaxed);
        let waits = self.thread.join().expect("it only asks");
        let at = |part: usize| {
            waits
                .get(waits.len() * part / 1_000)
                .map_or(0, |wait| wait / 1_000)
        };
        let longest = waits.last().map_or(0, |wait| wait / 1_000);
        let asked = self.asked.load(Ordering::Relaxed);
        println!(
            "pool::wait/operation={operation} asked={asked} p99_us={} p999_us={} longest_us={longest}",
            at(990),
            at(999)
        );
    }
}

/// CPU time of this thread.
fn cpu_ns() -> u64 {
    let schedule = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = schedule.split_whitespace().next();
    first.expect("three numbers").parse().expect("a number")
}

fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("Linux");
    let resident = pages.split_whitespace().nth(1).expect("seven numbers");
    resident.parse::<u64>().expect("a number") * 4_096
}
