//! Numbers at the end of their range, and blocks with nothing in them.

use super::{agree, call, call_by, place};
use crate::{
    Fork,
    tests::world::{
        ALICE, BASE_FEE, BOB, CHAIN_ID, ETHER, PROPOSER, SINK, World, authorize, authorizing,
        create, destruct, forward, forward_input, sent_by, signer, transaction,
    },
};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use primitives::RecoveredTransaction;

fn pay(sender: Address, nonce: u64, to: Address, value: U256) -> RecoveredTransaction {
    let mut payment = transaction(TxKind::Call(to), 0, Bytes::new());
    payment.nonce = nonce;
    payment.value = value;
    sent_by(sender, payment)
}

/// The same, for which the machine is needed.
fn pay_by_machine(sender: Address, nonce: u64, to: Address, value: U256) -> RecoveredTransaction {
    let mut payment = transaction(TxKind::Call(to), 0, vec![1].into());
    payment.nonce = nonce;
    payment.value = value;
    sent_by(sender, payment)
}

#[test]
fn an_empty_block() {
    let world = World::new();
    assert!(world.agree(&[]).receipts.is_empty());
    for fork in [Fork::Frontier, Fork::Paris, Fork::Osaka] {
        assert!(world.agree_as(fork, &[]).diff.accounts.is_empty());
    }
}

#[test]
fn a_block_of_nothing_but_invalid_transactions() {
    let world = World::new();
    let mut transactions: Vec<_> = (0..50)
        .map(|nonce| call(nonce + 1, SINK, vec![1]))
        .collect();
    transactions.extend((0..50).map(|index| call_by(place(index), 0, SINK, vec![1])));
    transactions.extend((0..50).map(|index| pay(place(index), index, SINK, U256::ONE)));
    let executed = world.agree_as(Fork::Osaka, &transactions);
    assert_eq!(executed.inclusion_faults.len(), 150);
    assert!(executed.diff.accounts.is_empty());
    let executed = world.agree(&transactions);
    assert_eq!(executed.receipts.len(), 150);
    assert!(executed.inclusion_faults.len() >= 149);
}

#[test]
fn a_gas_limit_of_zero() {
    let mut world = World::new();
    world.environment.gas_limit = 0;
    let mut nothing = transaction(TxKind::Call(SINK), 1, Bytes::new());
    nothing.gas_limit = 0;
    let nothing = sent_by(BOB, nothing);
    let transactions = [
        call(0, SINK, vec![1]),
        pay(ALICE, 1, SINK, U256::ONE),
        nothing,
    ];
    assert_eq!(world.agree(&transactions).inclusion_faults.len(), 3);
    assert_eq!(
        world
            .agree_as(Fork::Osaka, &transactions)
            .inclusion_faults
            .len(),
        3
    );
    world.environment.gas_limit = u64::MAX;
    assert_eq!(world.agree(&transactions).inclusion_faults.len(), 1);
}

#[test]
fn the_last_nonces() {
    let key = signer(4);
    let world = World::new()
        .with_balance(BOB, ETHER)
        .with_nonce(BOB, u64::MAX - 1)
        .with_balance(SINK, ETHER)
        .with_nonce(SINK, u64::MAX)
        .with_balance(key.address(), ETHER)
        .with_nonce(key.address(), u64::MAX)
        .with_code(place(0), create())
        .with_nonce(place(0), u64::MAX)
        .with_code(place(1), create())
        .with_nonce(place(1), u64::MAX - 1);
    let mut made = transaction(TxKind::Create, 0, Bytes::new());
    made.nonce = u64::MAX - 1;
    let transactions = [
        call(0, place(0), vec![]),
        call(1, place(1), vec![]),
        call(2, place(1), vec![]),
        authorizing(
            ALICE,
            3,
            SINK,
            vec![authorize(&key, CHAIN_ID, place(0), u64::MAX)],
        ),
        pay(BOB, u64::MAX - 1, place(8), U256::ONE),
        pay(BOB, u64::MAX, place(8), U256::ONE),
        pay_by_machine(BOB, u64::MAX, place(8), U256::ONE),
        pay(SINK, u64::MAX, place(8), U256::ONE),
        sent_by(key.address(), made.clone()),
        sent_by(BOB, made),
    ];
    world.agree_as(Fork::Osaka, &transactions);
    world.agree(&transactions);
    let world = world.with_nonce(BOB, u64::MAX - 1);
    world.agree(&transactions[9..]);
}

#[test]
fn a_credit_that_does_not_fit_fails() {
    let world = World::new()
        .with_wei(SINK, U256::MAX)
        .with_wei(BOB, U256::MAX - U256::from(10))
        .with_balance(place(0), 1_000)
        .with_code(place(0), forward());
    let mut transactions = vec![
        pay(ALICE, 0, SINK, U256::ONE),
        pay_by_machine(ALICE, 1, SINK, U256::ONE),
        pay(ALICE, 2, SINK, U256::ZERO),
    ];
    for (nonce, value) in (3..).zip([5, 5, 5, 1, 0]) {
        transactions.push(pay(ALICE, nonce, BOB, U256::from(value)));
    }
    transactions.push(call(8, place(0), forward_input(BOB, U256::from(11))));
    transactions.push(pay(BOB, 0, ALICE, U256::MAX / U256::from(2)));
    transactions.push(call(9, place(0), forward_input(BOB, U256::from(11))));
    let executed = world.agree(&transactions);
    let failed: Vec<_> = (0..)
        .zip(&executed.receipts)
        .filter(|(_, r)| !r.is_success())
        .collect();
    let failed: Vec<i32> = failed.into_iter().map(|(index, _)| index).collect();
    assert_eq!(failed, [0, 1, 5, 6]);
}

/// Bob has too much to be sent anything when the second transaction is executed ahead, and enough
/// room when it is its turn.
#[test]
fn a_credit_fits_once_an_earlier_transaction_has_made_room() {
    let world = World::new()
        .with_wei(BOB, U256::MAX - U256::from(10))
        .with_nonce(BOB, 5)
        .with_balance(place(0), 1_000)
        .with_code(place(0), forward());
    let executed = world.agree(&[
        pay_by_machine(BOB, 5, SINK, U256::from(1_000)),
        call(0, place(0), forward_input(BOB, U256::from(50))),
    ]);
    let sender = &executed.diff.accounts[&place(0)];
    assert_eq!(sender.account.unwrap().balance, U256::from(950));
}

/// The other way round: the first transaction takes the room that the second saw; the account sends
/// on what it is given, so that its sum is the same either way.
#[test]
fn a_credit_that_would_be_sent_on_does_not_fit_any_more() {
    let pass_on = [
        &[0x5f, 0x5f, 0x5f, 0x5f, 0x34, 0x73],
        SINK.as_slice(),
        &[0x5a, 0xf1, 0x00],
    ];
    let heir = place(0);
    let destruct_to = [&[0x73], heir.as_slice(), &[0xff]];
    let world = World::new()
        .with_wei(place(0), U256::MAX - U256::from(100))
        .with_code(place(0), pass_on.concat().into())
        .with_balance(place(1), 1_000)
        .with_code(place(1), forward())
        .with_balance(place(2), 90)
        .with_code(place(2), destruct_to.concat().into());
    let executed = world.agree(&[
        call(0, place(2), vec![]),
        call(1, place(1), forward_input(place(0), U256::from(60))),
    ]);
    assert!(executed.receipts.iter().all(crate::Receipt::is_success));
    assert!(!executed.diff.accounts.contains_key(&SINK));
    // The machine does not give back what did not fit; all the wei there are would fit.
    let sender = executed.diff.accounts[&place(1)].account.unwrap();
    assert_eq!(sender.balance, U256::from(940));
}

#[test]
fn a_fee_receiver_that_has_everything() {
    for room in [0_u64, 1, 42_000, 60_000, 200_000, u64::MAX] {
        let world = World::new()
            .with_wei(PROPOSER, U256::MAX - U256::from(room))
            .with_balance(BOB, ETHER)
            .with_code(place(0), forward())
            .with_balance(place(0), ETHER);
        let mut transactions = Vec::new();
        for nonce in 0..4 {
            transactions.push(pay(BOB, nonce, SINK, U256::ONE));
            transactions.push(call(2 * nonce, SINK, vec![1]));
            let input = forward_input(PROPOSER, U256::from(30_000));
            transactions.push(call(2 * nonce + 1, place(0), input));
        }
        world.agree(&transactions);
        world.agree_as(Fork::Osaka, &transactions);
        let by_proposer = [
            call(0, SINK, vec![1]),
            pay(PROPOSER, 0, SINK, U256::MAX / U256::from(3)),
            pay_by_machine(PROPOSER, 1, SINK, U256::MAX / U256::from(3)),
            call(1, SINK, vec![1]),
            pay(PROPOSER, 2, SINK, U256::MAX / U256::from(3)),
        ];
        world.agree(&by_proposer);
    }
}

#[test]
fn prices_and_values_beyond_everything() {
    let world = World::new()
        .with_wei(ALICE, U256::MAX)
        .with_wei(BOB, U256::MAX - U256::from(1))
        .with_code(place(0), destruct())
        .with_wei(place(0), U256::MAX);
    let mut dear = transaction(TxKind::Call(SINK), 0, vec![1].into());
    dear.max_fee_per_gas = u128::MAX;
    dear.max_priority_fee_per_gas = u128::MAX;
    let mut dear_transfer = transaction(TxKind::Call(SINK), 1, Bytes::new());
    dear_transfer.max_fee_per_gas = u128::MAX;
    dear_transfer.nonce = 1;
    let mut dearest = dear.clone();
    dearest.value = U256::MAX;
    dearest.nonce = 2;
    let transactions = [
        sent_by(ALICE, dear),
        sent_by(ALICE, dear_transfer),
        sent_by(ALICE, dearest),
        pay(BOB, 0, SINK, U256::MAX),
        pay(BOB, 1, BOB, U256::MAX / U256::from(2)),
        call(3, place(0), vec![]),
        pay_by_machine(BOB, 2, place(0), U256::MAX / U256::from(2)),
        call(4, place(0), vec![]),
        call(5, place(0), vec![]),
    ];
    for fork in [Fork::Shanghai, Fork::Osaka] {
        world.agree_as(fork, &transactions);
    }
    world.agree(&transactions);
}

#[test]
fn fees_that_leave_nothing() {
    let price = BASE_FEE + 2;
    let world = World::new()
        .with_balance(ALICE, 200_000 * price + 5)
        .with_balance(BOB, 21_000 * price);
    let mut all = transaction(TxKind::Call(SINK), 0, Bytes::new());
    all.gas_limit = 21_000;
    let transactions = [
        sent_by(BOB, all.clone()),
        pay(ALICE, 0, SINK, U256::from(5)),
        pay(ALICE, 1, SINK, U256::ZERO),
        pay_by_machine(ALICE, 1, SINK, U256::ZERO),
        sent_by(BOB, all),
    ];
    for state in [&world.state, &world.clone().with_balance(SINK, 1).state] {
        agree(&world.input(&transactions), state);
    }
    world.agree_as(Fork::SpuriousDragon, &transactions);
}
