//! What state sync costs: making the manifest of a state, serving its chunks, checking them.
//!
//! ```text
//! sync LEAVES [SLOTS_PER_CONTRACT]        one account in eleven is a contract; two more hold an eighth each
//! ```
//!
//! Prints CPU seconds and nanoseconds per leaf.

#![expect(clippy::print_stdout, reason = "a bench reports")]

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use state::sparse::{AccountChange, Changes, Lanes, SlotWrite, SparseTrie};
use state::sync::{AccountLeaf, CHUNK_BYTES_MAX, LeafScan, Manifest, ScanError, SlotLeaf};
use state::{Account, ReadFault};
use std::fs;

/// All leaves in order.
struct Leaves {
    accounts: Vec<(AccountLeaf, usize, usize)>,
    slots: Vec<SlotLeaf>,
}

impl LeafScan for Leaves {
    fn accounts(&self, from: &B256) -> impl Iterator<Item = Result<AccountLeaf, ReadFault>> {
        let first = self.accounts.partition_point(|(leaf, ..)| leaf.key < *from);
        self.accounts[first..].iter().map(|(leaf, ..)| Ok(*leaf))
    }

    fn slots(
        &self,
        account: &B256,
        from: &B256,
    ) -> impl Iterator<Item = Result<SlotLeaf, ReadFault>> {
        let found = self
            .accounts
            .binary_search_by(|(leaf, ..)| leaf.key.cmp(account));
        let (_, start, end) = self.accounts[found.expect("an account of the state")];
        let slots = &self.slots[start..end];
        let first = slots.partition_point(|leaf| leaf.key < *from);
        slots[first..].iter().map(|leaf| Ok(*leaf))
    }

    fn code(&self, _: &B256) -> Result<Option<Bytes>, ReadFault> {
        Ok(None)
    }
}

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
    let leaves = make(number(0, 200_000), number(1, 10));
    let count = leaves.accounts.len() + leaves.slots.len();
    let root = root_of(&leaves);
    println!("sync::leaves={count} accounts={}", leaves.accounts.len());
    let begin = cpu_ns();
    let scanned = Manifest::scan(&leaves, root, CHUNK_BYTES_MAX);
    report("scan", count, begin);
    let manifest = scanned.expect("the leaves of the state");
    println!(
        "sync::manifest bytes={} chunks={} open_accounts={} chunk_bytes={}",
        manifest.bytes().len(),
        manifest.chunks().len(),
        manifest.accounts().len(),
        manifest.chunk_bytes()
    );
    let begin = cpu_ns();
    let decoded = Manifest::decode(manifest.bytes().clone(), root, manifest.digest());
    report("decode", count, begin);
    let manifest = decoded.expect("an honest manifest");
    let begin = cpu_ns();
    let chunks = (0..manifest.chunks().len()).map(|number| manifest.serve(&leaves, number));
    let chunks: Vec<Bytes> = chunks.collect::<Result<_, _>>().expect("the same leaves");
    report("serve", count, begin);
    let begin = cpu_ns();
    for (number, bytes) in chunks.iter().enumerate() {
        let checked = manifest.check(number, bytes);
        assert!(checked.is_ok_and(|chunk| chunk.accounts().next().is_some()));
    }
    report("check", count, begin);
}

fn report(operation: &str, leaves: usize, begin_ns: u64) {
    let took = cpu_ns() - begin_ns;
    let seconds = took as f64 / 1e9;
    let per_leaf = took as f64 / leaves as f64;
    println!("sync::{operation} cpu_s={seconds:.3} ns_per_leaf={per_leaf:.0}");
}

/// Half of the leaves are accounts and slots of small contracts; two large ones hold the rest.
fn make(leaves: u64, per_contract: u64) -> Leaves {
    let mut made = Leaves {
        accounts: Vec::new(),
        slots: Vec::new(),
    };
    let small = leaves * 3 / 4;
    let mut total = 0;
    let mut number = 0u64;
    let mut owned = Vec::new();
    while total < small {
        let slots = if number.is_multiple_of(11) {
            per_contract
        } else {
            0
        };
        owned.push((account(number), slots));
        total += 1 + slots;
        number += 1;
    }
    owned.extend((0..2).map(|large| (account(number + large), leaves / 8)));
    owned.sort_unstable_by_key(|(leaf, _)| leaf.key);
    for (mut leaf, count) in owned {
        let start = made.slots.len();
        made.slots
            .extend((0..count).map(|slot| self::slot(&leaf.key, slot)));
        made.slots[start..].sort_unstable_by_key(|leaf| leaf.key);
        if count > 0 {
            leaf.storage_root = storage_root(&leaf, &made.slots[start..]);
        }
        made.accounts.push((leaf, start, made.slots.len()));
    }
    made
}

fn account(number: u64) -> AccountLeaf {
    let address = Address::from_slice(&keccak256(number.to_be_bytes())[12..]);
    AccountLeaf {
        key: keccak256(address),
        address,
        account: Account {
            nonce: number % 1000,
            balance: U256::from(number) * U256::from(10u64.pow(15)),
            code_hash: KECCAK_EMPTY,
        },
        storage_root: EMPTY_ROOT_HASH,
    }
}

fn slot(account: &B256, number: u64) -> SlotLeaf {
    let slot = U256::from_be_bytes(account.0) ^ U256::from(number);
    SlotLeaf {
        key: keccak256(slot.to_be_bytes::<32>()),
        slot,
        value: U256::from(number + 1) * U256::from(10u64.pow(15)),
    }
}

fn change(leaf: &AccountLeaf, slots: &[SlotLeaf]) -> AccountChange {
    let slots = slots.iter().map(|leaf| SlotWrite {
        key: leaf.key,
        value: leaf.value,
    });
    AccountChange {
        key: leaf.key,
        account: Some(leaf.account),
        storage_wiped: false,
        slots: slots.collect(),
    }
}

fn storage_root(leaf: &AccountLeaf, slots: &[SlotLeaf]) -> B256 {
    let mut trie = SparseTrie::new(Lanes::Widest);
    let applied = trie.apply(&Changes::new(vec![change(leaf, slots)]), None);
    applied.expect("nothing is missing of the empty state");
    let proof = trie.proof(&leaf.address, &[]);
    proof.expect("the whole state is in memory").storage_root
}

/// The root of all leaves, as a scan for another root finds it.
fn root_of(leaves: &Leaves) -> B256 {
    match Manifest::scan(leaves, B256::ZERO, CHUNK_BYTES_MAX) {
        Err(ScanError::Root { computed, .. }) => computed,
        other => panic!("{other:?}"),
    }
}

/// CPU time of this process.
fn cpu_ns() -> u64 {
    let schedule = fs::read_to_string("/proc/self/schedstat").expect("Linux");
    let first = schedule.split_whitespace().next();
    first.expect("three numbers").parse().expect("a number")
}
