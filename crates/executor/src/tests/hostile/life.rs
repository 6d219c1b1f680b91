//! Accounts that are destroyed, made again, or change their code within one block.

use super::{call, call_by, place};
use crate::{
    Fork,
    tests::world::{
        ALICE, BOB, CHAIN_ID, ETHER, World, authorize, authorizing, increment, sent_by, signer,
        transaction,
    },
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use primitives::RecoveredTransaction;

const ROUNDS: u64 = 6;

/// Counts in slot 0; destroys itself when it is given input.
const MORTAL: [u8; 15] = [
    0x36, 0x60, 0x0c, 0x57, 0x5f, 0x54, 0x60, 0x01, 0x01, 0x5f, 0x55, 0x00, 0x5b, 0x33, 0xff,
];

fn initcode() -> Vec<u8> {
    [
        &[0x6e][..],
        &MORTAL,
        &[0x5f, 0x52, 0x60, 0x0f, 0x60, 0x11, 0xf3],
    ]
    .concat()
}

/// Creates [`MORTAL`] with `CREATE2`; then calls it with its own input's size of bytes.
fn factory(then: &[u8]) -> Bytes {
    let create = [0x5f, 0x52, 0x5f, 0x60, 0x17, 0x60, 0x09, 0x5f, 0xf5];
    [&[0x76][..], &initcode(), &create, then].concat().into()
}

/// Calls what was created with one byte, which destroys it, and creates it again.
fn destroy_and_repeat() -> Vec<u8> {
    let destroy = [0x5f, 0x5f, 0x60, 0x01, 0x5f, 0x5f, 0x85, 0x5a, 0xf1, 0x00];
    destroy.to_vec()
}

fn child(factory: Address) -> Address {
    factory.create2_from_code(B256::ZERO, initcode())
}

/// Creation, two calls, destruction, one call, over and over.
fn lives(factory: Address) -> Vec<RecoveredTransaction> {
    let mut transactions = Vec::new();
    for _ in 0..ROUNDS {
        for (to, input) in [
            (factory, vec![]),
            (child(factory), vec![]),
            (child(factory), vec![]),
            (child(factory), vec![1]),
            (child(factory), vec![]),
        ] {
            let nonce = u64::try_from(transactions.len()).unwrap();
            transactions.push(call(nonce, to, input));
        }
    }
    transactions
}

#[test]
fn what_is_destroyed_is_made_again_with_empty_storage() {
    let world = World::new().with_code(place(0), factory(&[0x00]));
    let mut transactions = lives(place(0));
    // The last life goes on.
    transactions.truncate(transactions.len() - 2);
    let executed = world.agree_as(Fork::Shanghai, &transactions);
    let last = &executed.diff.accounts[&child(place(0))];
    assert_eq!(last.storage[&U256::ZERO], U256::from(2));
    transactions.truncate(transactions.len() - 3);
    let executed = world.agree_as(Fork::Shanghai, &transactions);
    assert!(!executed.diff.accounts.contains_key(&child(place(0))));
}

#[test]
fn since_cancun_it_lives_on() {
    let world = World::new().with_code(place(0), factory(&[0x00]));
    for executed in [
        world.agree_as(Fork::Cancun, &lives(place(0))),
        world.agree(&lives(place(0))),
    ] {
        let counted = executed.diff.accounts[&child(place(0))].storage[&U256::ZERO];
        assert_eq!(counted, U256::from(3 * ROUNDS));
    }
}

#[test]
fn one_that_was_there_before_the_block_is_destroyed_and_made_again() {
    let mut world = World::new().with_code(place(0), factory(&[0x00]));
    let rules = crate::EthereumRules {
        fork: Fork::Shanghai,
        ..crate::EthereumRules::default()
    };
    let before = [call(0, place(0), vec![]), call(1, child(place(0)), vec![])];
    let environment = world.environment.clone();
    let input = crate::ExecutionInput::ethereum(&world.chain, environment, &before, rules);
    let executed = crate::execute_sequential(&input, &world.state).unwrap();
    world.state.apply(&executed.diff);
    assert_eq!(world.storage(child(place(0)), 0), U256::ONE);
    let after = [
        call(2, child(place(0)), vec![1]),
        call(3, child(place(0)), vec![]),
        call(4, place(0), vec![]),
        call(5, child(place(0)), vec![]),
    ];
    let executed = world.agree_as(Fork::Shanghai, &after);
    let child = &executed.diff.accounts[&child(place(0))];
    assert!(child.storage_wiped);
    assert_eq!(child.storage[&U256::ZERO], U256::ONE);
}

#[test]
fn what_dies_in_its_first_transaction_is_gone_under_every_rule() {
    let world = World::new()
        .with_code(place(0), factory(&destroy_and_repeat()))
        .with_balance(child(place(0)), 1_000);
    let transactions: Vec<_> = (0..6).map(|nonce| call(nonce, place(0), vec![])).collect();
    for fork in [Fork::Shanghai, Fork::Cancun, Fork::Osaka] {
        let executed = world.agree_as(fork, &transactions);
        assert!(executed.diff.accounts[&child(place(0))].account.is_none());
        let factory = &executed.diff.accounts[&place(0)];
        assert_eq!(factory.account.unwrap().balance, U256::from(1_000));
    }
}

#[test]
fn two_factories_and_payments_to_what_is_not_there_yet() {
    let world = World::new()
        .with_balance(BOB, 10 * ETHER)
        .with_code(place(0), factory(&[0x00]))
        .with_code(place(1), factory(&destroy_and_repeat()));
    let mut transactions = Vec::new();
    for nonce in 0..20 {
        let factory = place(nonce % 2);
        let mut payment = transaction(TxKind::Call(child(factory)), 3, Bytes::new());
        payment.nonce = nonce;
        transactions.push(sent_by(BOB, payment));
        let to = [factory, child(factory)][usize::try_from(nonce / 2 % 2).unwrap()];
        transactions.push(call(
            nonce,
            to,
            vec![0; usize::try_from(nonce / 4 % 2).unwrap()],
        ));
    }
    for fork in [Fork::Shanghai, Fork::Cancun] {
        world.agree_as(fork, &transactions);
    }
    world.agree(&transactions);
}

#[test]
fn delegations_that_change_within_the_block() {
    let keys: Vec<_> = (0..3).map(signer).collect();
    // Adds two instead of one.
    let twice = Bytes::from_static(&[0x5f, 0x54, 0x60, 0x02, 0x01, 0x5f, 0x55, 0x00]);
    let mut world = World::new()
        .with_balance(BOB, 10 * ETHER)
        .with_code(place(1), increment())
        .with_code(place(2), twice);
    for key in &keys {
        world = world.with_balance(key.address(), 5 * ETHER);
    }
    let mut transactions = Vec::new();
    for round in 0..30_u64 {
        let key = &keys[usize::try_from(round % 3).unwrap()];
        let target = [place(1), place(2), Address::ZERO][usize::try_from(round / 3 % 3).unwrap()];
        let authorization = authorize(key, CHAIN_ID, target, round / 3);
        transactions.push(authorizing(ALICE, round, place(9), vec![authorization]));
        for nonce in [2 * round, 2 * round + 1] {
            transactions.push(call_by(BOB, nonce, key.address(), Bytes::new()));
        }
    }
    let executed = world.agree(&transactions);
    assert_eq!(executed.inclusion_faults, Vec::new());
    for key in &keys {
        // Ten rounds each: four times one, three times two, twice each.
        let counted = executed.diff.accounts[&key.address()].storage[&U256::ZERO];
        assert_eq!(counted, U256::from(2 * (4 + 2 * 3)));
    }
}

#[test]
fn a_sender_that_is_delegated_behind_its_own_transactions() {
    let key = signer(0);
    let world = World::new()
        .with_balance(key.address(), 5 * ETHER)
        .with_code(place(1), increment());
    let by_key = |nonce, to| call_by(key.address(), nonce, to, Bytes::new());
    let mut wrong = transaction(TxKind::Call(BOB), 1, Bytes::new());
    wrong.nonce = 1;
    let transactions = [
        by_key(0, BOB),
        // Uses nonce 1, so that the next transaction of the key is out of order.
        authorizing(ALICE, 0, BOB, vec![authorize(&key, CHAIN_ID, place(1), 1)]),
        sent_by(key.address(), wrong),
        by_key(2, key.address()),
        call(1, key.address(), Bytes::new()),
        authorizing(
            ALICE,
            2,
            BOB,
            vec![authorize(&key, CHAIN_ID, Address::ZERO, 3)],
        ),
        by_key(4, key.address()),
    ];
    let executed = world.agree(&transactions);
    let faults: Vec<_> = executed
        .inclusion_faults
        .iter()
        .map(|fault| fault.index)
        .collect();
    assert_eq!(faults, [2]);
    let counted = &executed.diff.accounts[&key.address()].storage;
    assert_eq!(counted[&U256::ZERO], U256::from(2));
}
