//! The measured cases.

use super::{BATCH, Clock, Setting, Stream, account, measure, resident_bytes, sample, slot, token};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::Nibbles;
use rayon::ThreadPool;
use state::sparse::witness::{Touched, Witness};
use state::sparse::{AccountChange, Changes, Leaves, Missing, SlotWrite, SparseTrie};
use std::hint::black_box;

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

/// Proofs of accounts, one at a time, half of them absent.
pub(super) fn proofs(setting: Setting) {
    let (pool, mut stream) = (setting.pool(), Stream(4));
    let mut trie = SparseTrie::new(setting.lanes);
    let addresses: Vec<Address> = (0..setting.keys).map(address).collect();
    for addresses in addresses.chunks(1_000_000) {
        let changes = addresses.iter().map(|address| AccountChange {
            key: keccak256(address),
            ..account(stream.next(), &mut stream)
        });
        trie.apply(&Changes::new(changes.collect()), pool.as_ref())
            .expect("all is resolved");
    }
    let mut walls: Vec<f64> = (0..20_000)
        .map(|_| {
            let address = address(stream.next() % (2 * setting.keys));
            let clock = Clock::start();
            black_box(trie.proof(&address, &[])).expect("all is resolved");
            clock.stop().1 * 1e6
        })
        .collect();
    walls.sort_by(f64::total_cmp);
    println!(
        "trie::proof/keys={}: wall_us p50={:.1} p99={:.1} max={:.1} count={}",
        setting.keys,
        walls[walls.len() / 2],
        walls[walls.len() * 99 / 100],
        walls[walls.len() - 1],
        walls.len(),
    );
}

fn address(number: u64) -> Address {
    Address::from_slice(&Stream(number).word()[..20])
}

/// All slots in the order of their keys, as a flat table gives them, and the trie built from that.
fn build_in_order(setting: Setting, pool: Option<&ThreadPool>) -> (SparseTrie, Vec<SlotWrite>) {
    let mut stream = Stream(5);
    let mut slots: Vec<SlotWrite> = (0..setting.keys)
        .map(|number| slot(number, &mut stream))
        .collect();
    slots.sort_unstable_by_key(|slot| slot.key);
    let mut batches = slots.chunks(usize::try_from(BUILD_BATCH).expect("a count"));
    let trie = build("slots_in_order", setting, pool, |_| {
        token(batches.next().expect("one more").to_vec())
    });
    (trie, slots)
}

/// Updates to a trie of which a quarter may be in memory.
pub(super) fn residency(setting: Setting) {
    let pool = setting.pool();
    let (mut trie, mut slots) = build_in_order(setting, pool.as_ref());
    let mut stream = Stream(6);
    trie.advance_epoch();
    let full = trie.bytes();
    for round in 0..3 {
        let clock = Clock::start();
        let bytes = trie
            .shrink(full / 4, u32::MAX)
            .expect("a quarter is enough for the upper levels");
        let (shrink, _) = clock.stop();
        trie.advance_epoch();
        let numbers = sample(BATCH, setting.keys, &mut stream);
        let writes: Vec<SlotWrite> = numbers
            .into_iter()
            .map(|number| slot(number, &mut stream))
            .collect();
        let changes = token(writes.clone());
        let clock = Clock::start();
        let (mut ranges, mut rows) = (0, 0);
        loop {
            let missing = trie.missing(&changes);
            if missing.is_empty() {
                break;
            }
            for missing in missing {
                let leaves = range(&slots, &missing);
                ranges += 1;
                rows += leaves.len();
                trie.resolve(&missing, &Leaves::Slots(leaves))
                    .expect("these are the leaves");
            }
        }
        let (resolve, _) = clock.stop();
        let clock = Clock::start();
        trie.apply(&changes, pool.as_ref())
            .expect("all is resolved");
        let (apply, _) = clock.stop();
        println!(
            "trie::residency/keys={} round={round} share={:.3}: shrink_cpu_s={shrink:.3} ranges={ranges} rows={rows} resolve_cpu_s={resolve:.3} apply_cpu_s={apply:.3} writes={BATCH}",
            setting.keys,
            bytes as f64 / full as f64,
        );
        for write in writes {
            let at = slots
                .binary_search_by(|slot| slot.key.cmp(&write.key))
                .expect("it exists");
            slots[at] = write;
        }
    }
}

fn range(slots: &[SlotWrite], missing: &Missing) -> Vec<SlotWrite> {
    let mut low = B256::ZERO;
    for (index, nibble) in missing.path.iter().enumerate() {
        low[index / 2] |= nibble << (4 * (1 - index % 2));
    }
    let start = slots.partition_point(|slot| slot.key < low);
    let inside = |slot: &&SlotWrite| Nibbles::unpack(slot.key).starts_with(&missing.path);
    slots[start..].iter().take_while(inside).copied().collect()
}

/// Witnesses of blocks that update so many slots.
pub(super) fn witness(setting: Setting) {
    let pool = setting.pool();
    let (mut trie, _) = build_in_order(setting, pool.as_ref());
    let mut stream = Stream(7);
    for count in [1_000, 10_000, 50_000] {
        let numbers = sample(count, setting.keys, &mut stream);
        let changes = token(
            numbers
                .into_iter()
                .map(|number| slot(number, &mut stream))
                .collect(),
        );
        let clock = Clock::start();
        let bytes = trie
            .witness(Touched::default(), &changes, &[])
            .expect("all is resolved");
        let (encode, _) = clock.stop();
        let clock = Clock::start();
        let witness = Witness::decode(&bytes, *trie.root(), std::collections::BTreeMap::new());
        let mut witness = witness.expect("it is one");
        let (decode, _) = clock.stop();
        let clock = Clock::start();
        let root = witness.apply_changes(&changes, None).expect("all is there");
        let (apply, _) = clock.stop();
        let expected = trie
            .apply(&changes, pool.as_ref())
            .expect("all is resolved");
        assert_eq!(root, expected);
        println!(
            "trie::witness/keys={} touched={count}: bytes={} bytes_per_key={} encode_cpu_ms={:.2} decode_cpu_ms={:.2} apply_cpu_ms={:.2}",
            setting.keys,
            bytes.len(),
            bytes.len() / count,
            encode * 1e3,
            decode * 1e3,
            apply * 1e3,
        );
    }
}
