//! Transactions that should not have been ordered: failed receipts, never an error.

use super::world::{
    ALICE, BASE_FEE, BOB, CONTRACT, ETHER, PROPOSER, SINK, World, increment, sent_by, transaction,
};
use alloy_primitives::{Bytes, TxKind, U256};
use primitives::RecoveredTransaction;

fn transfer(nonce: u64, value: u64) -> RecoveredTransaction {
    let mut transfer = transaction(TxKind::Call(SINK), value, Bytes::new());
    transfer.nonce = nonce;
    sent_by(ALICE, transfer)
}

#[test]
fn an_unpayable_transaction_takes_what_is_left_and_uses_its_nonce() {
    let price = BASE_FEE + 2;
    let mut world = World::new().with_balance(ALICE, 50_000 * price + 7);
    let executed = world.run(&[transfer(0, 0), transfer(1, 0)]);
    let [fault, second] = executed.inclusion_faults.as_slice() else {
        panic!("{:?}", executed.inclusion_faults);
    };
    assert!(fault.index == 0 && fault.reason.contains("lack of funds"));
    assert!(second.index == 1);
    assert_eq!(executed.gas_used, 50_000);
    let [first, second] = executed.receipts.as_slice() else {
        panic!("two receipts");
    };
    assert!(!first.is_success() && !second.is_success());
    assert_eq!((first.gas_used, second.gas_used), (50_000, 0));
    assert_eq!(world.balance(ALICE), U256::from(7));
    assert_eq!(world.account(ALICE).nonce, 2);
    assert_eq!(world.balance(PROPOSER), U256::from(50_000 * 2));
}

#[test]
fn a_wrong_nonce_is_charged_and_stays() {
    let mut world = World::new();
    let executed = world.run(&[transfer(5, ETHER), transfer(0, ETHER)]);
    assert_eq!(executed.inclusion_faults.len(), 1);
    assert!(executed.inclusion_faults[0].reason.contains("nonce"));
    assert_eq!(world.account(ALICE).nonce, 1);
    assert_eq!(world.balance(SINK), U256::from(ETHER));
    assert_eq!(executed.receipts[0].gas_used, 200_000);
    assert_eq!(executed.gas_used, 200_000 + 21_000);
}

#[test]
fn a_contract_that_sends_is_a_fault() {
    let mut world = World::new()
        .with_code(CONTRACT, increment())
        .with_balance(CONTRACT, ETHER);
    let executed = world.run(&[sent_by(
        CONTRACT,
        transaction(TxKind::Call(BOB), 1, Bytes::new()),
    )]);
    assert_eq!(executed.inclusion_faults.len(), 1);
    assert_eq!(world.balance(BOB), U256::ZERO);
}

#[test]
fn a_free_transaction_that_is_wrong_costs_nothing() {
    let mut world = World::new().with_balance(ALICE, 0);
    world.environment.base_fee = 0;
    let mut free = transaction(TxKind::Call(SINK), 1, Bytes::new());
    free.max_fee_per_gas = 0;
    free.max_priority_fee_per_gas = 0;
    let executed = world.run(&[sent_by(ALICE, free)]);
    assert_eq!(executed.inclusion_faults.len(), 1);
    assert_eq!(executed.gas_used, 200_000);
    assert_eq!(world.account(ALICE).nonce, 1);
}

#[test]
fn nothing_that_is_invalid_stops_a_block() {
    let mut world = World::new();
    let mut too_little_gas = transaction(TxKind::Call(SINK), 0, Bytes::new());
    too_little_gas.gas_limit = 20_000;
    let mut other_chain = transaction(TxKind::Call(SINK), 0, Bytes::new());
    other_chain.chain_id = 1;
    let mut no_base_fee = transaction(TxKind::Call(SINK), 0, Bytes::new());
    no_base_fee.max_fee_per_gas = 1;
    no_base_fee.max_priority_fee_per_gas = 0;
    let mut huge_fee = transaction(TxKind::Call(SINK), 0, Bytes::new());
    huge_fee.max_fee_per_gas = u128::MAX;
    let mut huge_code = transaction(TxKind::Create, 0, vec![0; 50_000].into());
    huge_code.gas_limit = 10_000_000;
    let mut huge_limit = transaction(TxKind::Call(SINK), 0, Bytes::new());
    huge_limit.gas_limit = (1 << 24) + 1;
    let last_nonce = u64::MAX;
    let mut last = transaction(TxKind::Call(SINK), 0, Bytes::new());
    last.nonce = last_nonce;
    let wrong = [
        too_little_gas,
        other_chain,
        no_base_fee,
        huge_fee,
        huge_code,
        huge_limit,
        last,
    ];
    let wrong = wrong.map(|transaction| sent_by(ALICE, transaction));
    let executed = world.run(&wrong);
    assert_eq!(executed.inclusion_faults.len(), wrong.len());
    assert_eq!(executed.receipts.len(), wrong.len());
    assert!(world.balance(ALICE) < U256::from(10 * ETHER));
}
