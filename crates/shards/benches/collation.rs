//! What collations cost: `cargo bench -p shards --bench collation`.
//!
//! ```text
//! collator   execute ─▶ build, encode        ─▶ cut
//! validator  restore ─▶ check: hash, decode, recover, witness, execute, root
//!                       beside executing the same block over the store
//! ```
//! One thread throughout, on a state of [`STRANGERS`] accounts. Each figure is the median of [`ROUNDS`].

#[expect(
    dead_code,
    clippy::unwrap_used,
    reason = "written for tests, which use more of it"
)]
#[path = "../src/tests/world.rs"]
mod world;

use alloy_consensus::TxEip1559;
use alloy_primitives::{B256, Bytes};
use executor::{BlockEnvironment, ExecutionInput, execute_sequential};
use primitives::{
    Transaction,
    recovery::SenderCache,
    shard::{RelayAnchor, ShardId},
    transaction::Impersonation,
};
use shards::{Collation, Parent, Placement, ShardRules, check, cut, restore, seal};
use state::sparse::witness::Witness;
use std::{collections::BTreeMap, hint::black_box, sync::atomic::AtomicBool};
use world::{
    ACCOUNTS, World, call, creation, method, sign, signer, stranger, token_creation, transfer,
};

const STRANGERS: u64 = 200_000;
const TRANSFERS: u64 = 4_000;
const CALLS: u64 = 1_000;
const ROUNDS: usize = 9;

fn main() {
    chunks();
    let transfers = |world: &mut World| {
        let before = world.block(Vec::new());
        step(world, &before);
        each(TRANSFERS, 0, |from, nonce, to| {
            sign(from, transfer(nonce, stranger(to), 1))
        })
    };
    checks("transfers", transfers);
    let tokens = |world: &mut World| {
        let token = signer(0).address().create(0);
        let mut first = vec![sign(0, creation(0, token_creation()))];
        for account in 1..ACCOUNTS {
            let input = method("mint(address,uint256)", signer(account).address(), 1 << 40);
            first.push(sign(account, call(0, token, 0, input)));
        }
        let first = world.block(first);
        step(world, &first);
        let holders = world.block(each(CALLS, 1, |from, nonce, to| {
            let input = method("mint(address,uint256)", stranger(to / 2), 1 << 20);
            sign(from, lean(call(nonce, token, 0, input)))
        }));
        step(world, &holders);
        let nonce = 1 + CALLS / u64::from(ACCOUNTS);
        each(CALLS, nonce, |from, nonce, to| {
            let input = method("transfer(address,uint256)", stranger(to), 1);
            sign(from, lean(call(nonce, token, 0, input)))
        })
    };
    checks("tokens", tokens);
}

/// With so low a gas limit that a block has room for [`CALLS`].
fn lean(call: TxEip1559) -> TxEip1559 {
    TxEip1559 {
        gas_limit: 90_000,
        ..call
    }
}

/// A block of as many transactions from each account.
fn each(count: u64, first: u64, make: impl Fn(u8, u64, u64) -> Transaction) -> Vec<Transaction> {
    let accounts = u64::from(ACCOUNTS);
    let transactions = (0..count).map(|index| {
        let from = u8::try_from(index % accounts).expect("an account");
        make(from, first + index / accounts, index * 7 % STRANGERS)
    });
    transactions.collect()
}

fn chunks() {
    for bytes in [100_000, 1_000_000, 4_000_000] {
        let collation: Vec<u8> = (0..bytes).map(|at: u32| at.to_le_bytes()[0]).collect();
        for validators in [4, 16, 64] {
            let (coding, chunks) = cut(&collation, validators, 0).expect("within limits");
            let cost = median_ms(|| cut(&collation, validators, 0).expect("within limits"));
            print(&format!("chunks::cut/bytes={bytes} n={validators}"), cost);
            let last = usize::from(validators - coding.minimum);
            // The chunks that hold none of the collation itself: the dearest to restore from.
            let some: Vec<_> = (0..validators).zip(&chunks).skip(last).collect();
            let cost = median_ms(|| {
                let checked = some
                    .iter()
                    .map(|(index, chunk)| chunk.check(&coding, *index).expect("a right chunk"));
                let checked: Vec<_> = checked.collect();
                restore(&coding, &checked).expect("enough chunks")
            });
            print(
                &format!("chunks::restore/bytes={bytes} n={validators}"),
                cost,
            );
        }
    }
}

/// Executes a block of nothing special and makes it the newest.
fn step(world: &mut World, block: &primitives::Block) {
    let snapshot = world.store.snapshot(world.parent.0.number).expect("newest");
    let step = world.execute(block, &snapshot);
    let failed = step.executed.receipts.iter().filter(|it| !it.is_success());
    assert_eq!(failed.count(), 0);
    let seal = |root| seal(&step.environment, &step.executed, root, &step.block);
    world.advance(&step, seal);
}

fn checks(name: &str, prepare: impl FnOnce(&mut World) -> Vec<Transaction>) {
    let mut world = World::populated(1, "{}", STRANGERS);
    let transactions = prepare(&mut world);
    let block = world.block(transactions);
    let snapshot = world.store.snapshot(world.parent.0.number).expect("newest");
    let asked = state::AskedHashes::new(snapshot);
    let taken = world.execute(&block, &asked);
    let (header, ordering) = world.parent.clone();
    let parent = Parent { header, ordering };
    let build = || {
        let (parent, block) = (parent.clone(), block.clone());
        Collation::build(parent, block, &taken.executed, None, &world.store).expect("newest")
    };
    let collation = build();
    let diff = taken.executed.diff.clone();
    let mut after = witness(&collation);
    let root = after.apply(&diff, None).expect("no gap");
    let head = seal(&taken.environment, &taken.executed, *root, &taken.block);
    let placement = Placement {
        shard: ShardId(1),
        anchor: RelayAnchor {
            height: 1,
            digest: B256::ZERO,
        },
        rules: world.rules_digest,
    };
    let (descriptor, encoded) = collation
        .describe(&head, &placement)
        .expect("within limits");
    let rules = ShardRules {
        shard: placement.shard,
        chain: &world.chain,
        digest: placement.rules,
        genesis: placement.rules,
    };
    let per_transaction = |name: &str, cost: f64| {
        let count = f64::from(u32::try_from(block.transactions().len()).expect("few"));
        print(&format!("{name} us_per_transaction"), cost * 1e3 / count);
    };
    let environment = BlockEnvironment::of(block.header(), head.parent_hash, &world.chain);
    let input = ExecutionInput::new(&world.chain, environment, taken.block.transactions(), &[]);
    let recover = || {
        let block = block.recover(&SenderCache::default(), Impersonation::Refused);
        block.expect("signed")
    };
    per_transaction(&format!("collation::build/{name}"), median_ms(build));
    per_transaction(&format!("collation::recover/{name}"), median_ms(recover));
    per_transaction(
        &format!("collation::witness/{name}"),
        median_ms(|| witness(&collation)),
    );
    let over_store = || execute_sequential(&input, &asked).expect("readable");
    per_transaction(
        &format!("collation::execute/{name} over=store"),
        median_ms(over_store),
    );
    let shown = witness(&collation);
    let over_witness = || execute_sequential(&input, &shown).expect("no gap");
    per_transaction(
        &format!("collation::execute/{name} over=witness"),
        median_ms(over_witness),
    );
    let never = AtomicBool::new(false);
    let checked = || check(&descriptor, &encoded, &rules, &never).expect("right");
    per_transaction(&format!("collation::check/{name}"), median_ms(checked));
    print_bytes(name, &collation, &encoded);
}

fn witness(collation: &Collation) -> Witness {
    let root = collation.parent.header.state_root;
    Witness::decode(&collation.witness, root, BTreeMap::new()).expect("of the parent's root")
}

#[expect(clippy::disallowed_methods, reason = "a bench asks the clock")]
fn median_ms<T>(mut work: impl FnMut() -> T) -> f64 {
    let mut costs: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = std::time::Instant::now();
            black_box(work());
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    costs.sort_by(f64::total_cmp);
    costs[ROUNDS / 2]
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn print(name: &str, cost: f64) {
    println!("{name:<60} {cost:>10.2}");
}

#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn print_bytes(name: &str, collation: &Collation, encoded: &Bytes) {
    let (witness, all) = (collation.witness.len(), encoded.len());
    let count = collation.block.transactions().len();
    println!("collation::bytes/{name} transactions={count} witness={witness} all={all}");
}
