//! A chain of many kinds of blocks, each checked without the store; and everything that may be wrong with one.

mod hostile;

use super::{Checked, Invalid, ShardRules, Verdict, check};
use crate::{
    Collation, Parent, Placement, seal,
    tests::world::{
        ACCOUNTS, DYING, ORACLE, SINK, Step, World, call, creation, delegate, method, sign, signer,
        stillborn, token_creation, transfer,
    },
};
use alloy_consensus::Header as EthereumHeader;
use alloy_primitives::{Address, B256, Bytes, U256};
use primitives::{
    Block, Transaction,
    shard::{Descriptor, RelayAnchor, ShardId},
};
use std::sync::atomic::AtomicBool;

const SHARD: ShardId = ShardId(3);

/// A candidate as a collator offers it, and what is known of it otherwise.
struct Offer {
    descriptor: Descriptor,
    collation: Collation,
    encoded: Bytes,
    /// As the store and the collator's own execution have it.
    head: EthereumHeader,
    step: Step,
}

fn rules(world: &World) -> ShardRules<'_> {
    ShardRules {
        shard: SHARD,
        chain: &world.chain,
        digest: world.rules_digest,
        genesis: world.rules_digest,
    }
}

fn placement(world: &World) -> Placement {
    Placement {
        shard: SHARD,
        anchor: RelayAnchor {
            height: 55,
            digest: B256::repeat_byte(5),
        },
        rules: world.rules_digest,
    }
}

/// Executes a block on the newest, and puts it forward before it is committed; then makes it the newest.
fn offer_block(world: &mut World, block: &Block) -> Offer {
    let asked = state::AskedHashes::new(world.store.snapshot(world.parent.0.number).unwrap());
    let step = world.execute(block, &asked);
    let (header, ordering) = world.parent.clone();
    let parent = Parent { header, ordering };
    let store = &world.store;
    let built = Collation::build(parent, block.clone(), &step.executed, asked.oldest(), store);
    let collation = built.unwrap();
    let seal = |root| seal(&step.environment, &step.executed, root, &step.block);
    world.advance(&step, seal);
    let head = world.parent.0.clone();
    let (descriptor, encoded) = collation.describe(&head, &placement(world)).unwrap();
    Offer {
        descriptor,
        collation,
        encoded,
        head,
        step,
    }
}

fn offer(world: &mut World, transactions: Vec<Transaction>) -> Offer {
    let block = world.block(transactions);
    offer_block(world, &block)
}

fn judge(world: &World, descriptor: &Descriptor, encoded: &Bytes) -> Result<Checked, Verdict> {
    check(descriptor, encoded, &rules(world), &AtomicBool::new(false))
}

/// Checks a candidate, which must be right in every respect.
fn assert_right(world: &World, offer: &Offer) -> Checked {
    let checked = judge(world, &offer.descriptor, &offer.encoded).expect("it is right");
    assert_eq!(checked.header, offer.head);
    assert_eq!(checked.hash, world.parent.0.hash_slow());
    assert_eq!(checked.header.receipts_root, offer.head.receipts_root);
    assert_eq!(checked.block, offer.step.block);
    let receipts = &offer.step.executed.receipts;
    let failed = receipts.iter().filter(|receipt| !receipt.is_success());
    assert_eq!(checked.failed, failed.count());
    let decoded = Collation::decode(&offer.encoded, &world.chain).unwrap();
    assert_eq!(decoded, offer.collation);
    checked
}

/// Blocks of every kind, one after the other; each is given the address that the token will have.
fn story() -> Vec<Vec<Transaction>> {
    let token = signer(0).address().create(0);
    let address = |account: u8| signer(account).address();
    let transfers = (1..ACCOUNTS).map(|from| sign(from, transfer(0, address(from - 1), 5)));
    let unknown = sign(1, transfer(1, Address::repeat_byte(0x77), 1));
    let mint = |nonce, to| {
        sign(
            0,
            call(nonce, token, 0, method("mint(address,uint256)", to, 50)),
        )
    };
    let send = |from, nonce, to, amount| {
        let input = method("transfer(address,uint256)", to, amount);
        sign(from, call(nonce, token, 0, input))
    };
    let ask = |nonce, distance: u64| {
        let input = Bytes::from(U256::from(distance).to_be_bytes_vec());
        sign(2, call(nonce, ORACLE, 0, input))
    };
    vec![
        Vec::new(),
        transfers.chain([unknown]).collect(),
        vec![sign(0, creation(0, token_creation()))],
        vec![
            mint(1, address(1)),
            mint(2, address(2)),
            mint(3, address(3)),
        ],
        // All that one has, so that a slot goes; more than another has, so that it fails.
        vec![
            send(1, 2, SINK, 50),
            send(2, 1, address(4), 51),
            send(3, 1, address(4), 7),
        ],
        vec![ask(2, 1), ask(3, 2), ask(4, 5)],
        vec![ask(5, 1)],
        vec![
            sign(4, call(1, DYING, 3, Bytes::new())),
            sign(4, creation(2, stillborn())),
            sign(
                4,
                creation(3, Bytes::from_static(&[0x5f, 0x5f, 0x5f, 0xf0, 0x00])),
            ),
        ],
        vec![
            delegate(5, 1, 6, ORACLE),
            sign(5, call(2, signer(6).address(), 9, Bytes::new())),
        ],
        vec![ask(6, 300), ask(7, 0)],
        vec![send(2, 8, address(4), 50), mint(4, SINK)],
    ]
}

#[test]
fn every_block_of_a_chain_is_checked_without_its_store() {
    for workers in [1, 2] {
        let mut world = World::new(workers);
        let mut failed = 0;
        let mut logs = 0;
        for transactions in story() {
            let offer = offer(&mut world, transactions);
            let checked = assert_right(&world, &offer);
            failed += checked.failed;
            logs += checked.logs;
        }
        assert_eq!(failed, 1, "one sends more than it has");
        assert!(logs >= 7, "the token logs what it does: logs={logs}");
    }
}

#[test]
fn ancestors_reach_as_far_as_code_asks_and_no_further() {
    let mut world = World::new(1);
    let mut counts = Vec::new();
    for transactions in story() {
        counts.push(offer(&mut world, transactions).collation.ancestors.len());
    }
    // The block at 6 asks for 5, 4 and 1; the parent is 5, whose header names 4, and 4 and 3 and 2 lead to 1.
    assert_eq!(counts, [0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0]);
}

#[test]
fn a_block_hash_from_256_blocks_back_is_proved_by_headers() {
    let mut world = World::new(1);
    for _ in 0..260 {
        offer(&mut world, Vec::new());
    }
    let input = Bytes::from(U256::from(256).to_be_bytes_vec());
    let last = offer(&mut world, vec![sign(2, call(0, ORACLE, 0, input))]);
    assert_right(&world, &last);
    assert_eq!(last.collation.ancestors.len(), crate::ANCESTORS_MAX);
    let expected = world.ancestor(261 - 256).hash_slow();
    let oracle = &last.step.executed.diff.accounts[&ORACLE];
    assert_eq!(oracle.storage[&U256::ZERO], U256::from_be_bytes(expected.0));
}

#[test]
fn a_large_block_is_checked() {
    let mut world = World::new(2);
    let transactions = (0..2_000_u64).map(|index| {
        let from = u8::try_from(index % 8).unwrap();
        let to = Address::left_padding_from(&(index + 1_000).to_be_bytes());
        sign(from, transfer(index / 8, to, 1))
    });
    let transactions = transactions.collect();
    let offer = offer(&mut world, transactions);
    assert_right(&world, &offer);
    assert!(
        offer.encoded.len() < 1 << 20,
        "bytes={}",
        offer.encoded.len()
    );
}

#[test]
fn what_is_executed_side_by_side_is_checked_in_order() {
    let mut world = World::new(4);
    let token = signer(0).address().create(0);
    offer(&mut world, vec![sign(0, creation(0, token_creation()))]);
    let mint = |account: u8| {
        let input = method("mint(address,uint256)", signer(account).address(), 100);
        sign(account, call(u64::from(account == 0), token, 0, input))
    };
    offer(&mut world, (0..ACCOUNTS).map(mint).collect());
    // Some to strangers, some to and fro, some that run out of tokens on the way, and a look back.
    let transactions = (0..480_u64).map(|index| {
        let from = u8::try_from(index % 8).unwrap();
        let nonce = index / 8 + 1 + u64::from(from == 0);
        let to = match index % 3 {
            0 => Address::left_padding_from(&(index + 1_000).to_be_bytes()),
            _ => signer(from.wrapping_add(3) % 8).address(),
        };
        let input = method("transfer(address,uint256)", to, index % 40);
        match index % 50 {
            7 => {
                let distance = Bytes::from(U256::from(2).to_be_bytes_vec());
                sign(from, call(nonce, ORACLE, 0, distance))
            }
            _ => sign(from, call(nonce, token, 0, input)),
        }
    });
    let transactions = transactions.collect();
    let offer = offer(&mut world, transactions);
    assert_eq!(offer.step.executed.report.way, executor::Way::First);
    let checked = assert_right(&world, &offer);
    assert!(checked.failed > 0 && checked.failed < 480);
}

#[test]
fn a_collation_is_built_over_the_newest_state_only() {
    let mut world = World::new(1);
    let first = offer(&mut world, vec![sign(0, transfer(0, SINK, 1))]);
    let Collation { parent, block, .. } = first.collation;
    let built = Collation::build(parent, block, &first.step.executed, None, &world.store);
    assert!(
        matches!(
            built,
            Err(crate::BuildError::Store(state::StoreError::UnknownHeight(
                _
            )))
        ),
        "{built:?}"
    );
}

#[test]
fn whoever_cancels_gets_no_verdict() {
    let mut world = World::new(1);
    let offer = offer(&mut world, vec![sign(0, transfer(0, SINK, 1))]);
    let cancelled = AtomicBool::new(true);
    let verdict = check(
        &offer.descriptor,
        &offer.encoded,
        &rules(&world),
        &cancelled,
    );
    assert_eq!(verdict.unwrap_err(), Verdict::Cancelled);
}

fn invalid(verdict: Result<Checked, Verdict>) -> Invalid {
    match verdict {
        Err(Verdict::Invalid(invalid)) => invalid,
        Err(other) => panic!("no judgement: {other}"),
        Ok(checked) => panic!("found right: {}", checked.hash),
    }
}
