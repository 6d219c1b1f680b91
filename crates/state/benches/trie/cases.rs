//! The measured cases.

use super::{
    BATCH, Clock, Setting, Stream, account, measure, report, resident_bytes, sample, slot, token,
};
use alloy_primitives::U256;
use rayon::ThreadPool;
use state::sparse::{AccountChange, Changes, SlotWrite, SparseTrie};

/// Keys of one batch while building.
const BUILD_BATCH: u64 = 1_000_000;

fn build(
    name: &str,
    setting: Setting,
    pool: Option<&ThreadPool>,
    mut batch: impl FnMut(std::ops::Range<u64>) -> Changes,
) -> SparseTrie {
    let before = resident_bytes();
    let mut trie = SparseTrie::new(setting.lanes);
    let (mut cpu, mut wall, mut next) = (0.0, 0.0, 0);
    while next < setting.keys {
        let end = setting.keys.min(next + BUILD_BATCH);
        let changes = batch(next..end);
        let clock = Clock::start();
        trie.apply(&changes, pool).expect("all is resolved");
        let cost = clock.stop();
        (cpu, wall, next) = (cpu + cost.0, wall + cost.1, end);
    }
    let keys = setting.keys as f64;
    println!(
        "trie::build_{name}/keys={keys} workers={}: cpu_us_per_key={:.3} wall_s={wall:.2} rss_bytes_per_key={:.1} live_bytes_per_key={:.1}",
        setting.workers,
        cpu * 1e6 / keys,
        (resident_bytes() - before) / keys,
        trie.live_bytes() as f64 / keys,
    );
    trie
}

pub(super) fn slots(setting: Setting) {
    let (pool, mut stream) = (setting.pool(), Stream(1));
    let pool = pool.as_ref();
    let mut trie = build("slots", setting, pool, |range| {
        token(range.map(|number| slot(number, &mut stream)).collect())
    });
    let label = format!(
        "keys={} workers={} lanes={:?}",
        setting.keys, setting.workers, setting.lanes
    );
    let count = BATCH.min(usize::try_from(setting.keys / 4).expect("a count"));
    measure(
        &format!("trie::update_slots/{label} writes={count}"),
        &mut trie,
        pool,
        || {
            let numbers = sample(count, setting.keys, &mut stream);
            token(
                numbers
                    .into_iter()
                    .map(|number| slot(number, &mut stream))
                    .collect(),
            )
        },
    );
    measure(
        &format!("trie::update_slots/{label} writes=2000"),
        &mut trie,
        pool,
        || {
            let numbers = sample(2000, setting.keys, &mut stream);
            token(
                numbers
                    .into_iter()
                    .map(|number| slot(number, &mut stream))
                    .collect(),
            )
        },
    );
    let mut next = setting.keys;
    measure(
        &format!("trie::insert_slots/{label} writes={count}"),
        &mut trie,
        pool,
        || {
            let numbers = next..next + count as u64;
            next = numbers.end;
            token(numbers.map(|number| slot(number, &mut stream)).collect())
        },
    );
    measure(
        &format!("trie::delete_slots/{label} writes={count}"),
        &mut trie,
        pool,
        || {
            let numbers = next - count as u64..next;
            next = numbers.start;
            let slots = numbers.map(|number| SlotWrite {
                value: U256::ZERO,
                ..slot(number, &mut stream)
            });
            token(slots.collect())
        },
    );
}

pub(super) fn accounts(setting: Setting) {
    let (pool, mut stream) = (setting.pool(), Stream(2));
    let pool = pool.as_ref();
    let mut trie = build("accounts", setting, pool, |range| {
        Changes::new(range.map(|number| account(number, &mut stream)).collect())
    });
    let label = format!(
        "keys={} workers={} lanes={:?}",
        setting.keys, setting.workers, setting.lanes
    );
    let count = BATCH.min(usize::try_from(setting.keys / 4).expect("a count"));
    measure(
        &format!("trie::update_accounts/{label} writes={count}"),
        &mut trie,
        pool,
        || {
            let numbers = sample(count, setting.keys, &mut stream);
            Changes::new(
                numbers
                    .into_iter()
                    .map(|number| account(number, &mut stream))
                    .collect(),
            )
        },
    );
}

/// A tenth of the accounts are contracts with ten slots each.
pub(super) fn tokens(setting: Setting) {
    let (pool, mut stream) = (setting.pool(), Stream(3));
    let pool = pool.as_ref();
    let contract = |number: u64, count: u64, stream: &mut Stream| {
        let first = stream.next() % (11 - count);
        let slots = (first..first + count)
            .map(|index| slot(number << 8 | index, stream))
            .collect();
        AccountChange {
            slots,
            ..account(number, stream)
        }
    };
    let mut trie = build("tokens", setting, pool, |range| {
        let contracts = range
            .map(|number| contract(number, if number % 10 == 0 { 10 } else { 0 }, &mut stream));
        Changes::new(contracts.collect())
    });
    let label = format!(
        "keys={} workers={} lanes={:?}",
        setting.keys, setting.workers, setting.lanes
    );
    let count = (BATCH / 2).min(usize::try_from(setting.keys / 40).expect("a count"));
    measure(
        &format!("trie::update_tokens/{label} contracts={count} slots=2"),
        &mut trie,
        pool,
        || {
            let numbers = sample(count, setting.keys / 10, &mut stream);
            let contracts = numbers
                .into_iter()
                .map(|number| contract(number * 10, 2, &mut stream));
            Changes::new(contracts.collect())
        },
    );
}

pub(super) fn proofs(setting: Setting) {
    report("trie::proofs", vec![(0.0, 0.0)]);
    let _unused = setting;
}

pub(super) fn residency(setting: Setting) {
    let _unused = setting;
}

pub(super) fn witness(setting: Setting) {
    let _unused = setting;
}
