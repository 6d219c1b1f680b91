//! What this chain adds for accounts with an EIP-7702 delegation.

use super::world::{
    ALICE, BASE_FEE, BOB, CHAIN_ID, CONTRACT, ETHER, SINK, World, authorize, authorizing, create,
    delegation_to, destruct, drain, forward, forward_input, increment, sent_by, signer, spend,
    transaction,
};
use alloy_consensus::{SignableTransaction, TxEip7702};
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256};
use primitives::{RecoveredTransaction, transaction::Envelope};

/// Bob's account runs the contract's code.
fn delegated(code: Bytes, balance: u64) -> World {
    World::new()
        .with_code(CONTRACT, code)
        .with_code(BOB, delegation_to(CONTRACT))
        .with_balance(BOB, balance)
}

fn spend_input(value: u64) -> Bytes {
    U256::from(value).to_be_bytes_vec().into()
}

#[test]
fn nobody_takes_the_reserve_of_a_delegated_account() {
    let mut world = delegated(drain(), 5 * ETHER);
    let receipt = world.run_one(sent_by(
        ALICE,
        transaction(TxKind::Call(BOB), 0, Bytes::new()),
    ));
    assert!(!receipt.is_success());
    assert!(receipt.gas_used > 21_000);
    assert_eq!(world.balance(BOB), U256::from(5 * ETHER));
    assert_eq!(world.balance(SINK), U256::ZERO);
    assert_eq!(world.account(ALICE).nonce, 1);
    let fee = U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
    assert_eq!(world.balance(ALICE), U256::from(10 * ETHER) - fee);
}

#[test]
fn what_is_above_the_reserve_can_be_spent() {
    let mut world = delegated(spend(), 5 * ETHER);
    let all_but_reserve = transaction(TxKind::Call(BOB), 0, spend_input(4 * ETHER));
    assert!(world.run_one(sent_by(ALICE, all_but_reserve)).is_success());
    assert_eq!(world.balance(BOB), U256::from(ETHER));
    let mut one_wei = transaction(TxKind::Call(BOB), 0, spend_input(1));
    one_wei.nonce = 1;
    assert!(!world.run_one(sent_by(ALICE, one_wei)).is_success());
    assert_eq!(world.balance(SINK), U256::from(4 * ETHER));
}

#[test]
fn an_account_with_less_than_the_reserve_keeps_all_it_has() {
    let mut world = delegated(spend(), ETHER / 2);
    let one_wei = transaction(TxKind::Call(BOB), 0, spend_input(1));
    assert!(!world.run_one(sent_by(ALICE, one_wei)).is_success());
    let top_up = |nonce| {
        let mut call = transaction(TxKind::Call(BOB), ETHER, spend_input(ETHER / 2));
        call.nonce = nonce;
        sent_by(ALICE, call)
    };
    // What comes in within the transaction may go out again.
    assert!(world.run_one(top_up(1)).is_success());
    assert_eq!(world.balance(BOB), U256::from(ETHER));
}

#[test]
fn money_through_another_contract_is_protected_too() {
    let caller = Address::repeat_byte(0xcc);
    let mut world = delegated(drain(), 5 * ETHER).with_code(caller, forward());
    let input = forward_input(BOB, U256::ZERO);
    let receipt = world.run_one(sent_by(ALICE, transaction(TxKind::Call(caller), 0, input)));
    assert!(!receipt.is_success());
    assert_eq!(world.balance(BOB), U256::from(5 * ETHER));
}

#[test]
fn self_destruction_does_not_get_around_the_reserve() {
    let mut world = delegated(destruct(), 5 * ETHER);
    let receipt = world.run_one(sent_by(
        ALICE,
        transaction(TxKind::Call(BOB), 0, Bytes::new()),
    ));
    assert!(!receipt.is_success());
    assert_eq!(world.balance(BOB), U256::from(5 * ETHER));
    assert!(world.is_delegated(BOB));
}

#[test]
fn a_delegated_sender_pays_its_fee_out_of_the_reserve() {
    let mut world = delegated(increment(), ETHER);
    let to = TxKind::Call(SINK);
    let receipt = world.run_one(sent_by(BOB, transaction(to, 0, Bytes::new())));
    assert!(receipt.is_success());
    let fee = U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
    assert_eq!(world.balance(BOB), U256::from(ETHER) - fee);
    // A value would have to come from above the reserve.
    let mut value = transaction(to, 1, Bytes::new());
    value.nonce = 1;
    let receipt = world.run_one(sent_by(BOB, value));
    assert!(!receipt.is_success());
    assert_eq!(world.account(BOB).nonce, 2);
    assert_eq!(world.balance(SINK), U256::ZERO);
}

#[test]
fn a_delegated_sender_without_its_value_fails_and_pays_gas() {
    let mut world = delegated(increment(), ETHER);
    let value = transaction(TxKind::Call(SINK), 2 * ETHER, Bytes::new());
    let receipt = world.run_one(sent_by(BOB, value));
    assert!(!receipt.is_success());
    assert_eq!(receipt.gas_used, 21_000);
    assert_eq!(world.account(BOB).nonce, 1);
    let mut creation = transaction(TxKind::Create, 2 * ETHER, Bytes::new());
    creation.nonce = 1;
    assert!(!world.run_one(sent_by(BOB, creation)).is_success());
    assert_eq!(world.account(BOB).nonce, 2);
}

#[test]
fn a_creation_that_breaks_a_reserve_still_uses_its_nonce() {
    let mut world = delegated(drain(), 5 * ETHER);
    // Init code that calls Bob.
    let init = [
        &[0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x73],
        BOB.as_slice(),
        &[0x5a, 0xf1, 0x00],
    ]
    .concat();
    let receipt = world.run_one(sent_by(ALICE, transaction(TxKind::Create, 0, init.into())));
    assert!(!receipt.is_success());
    assert_eq!(world.account(ALICE).nonce, 1);
    assert_eq!(world.balance(BOB), U256::from(5 * ETHER));
    assert!(world.account(receipt.contract_address.unwrap()).is_empty());
}

#[test]
fn creations_fail_in_a_delegated_account() {
    let mut world = delegated(create(), 5 * ETHER);
    let call = |to, nonce| {
        let mut call = transaction(TxKind::Call(to), 0, Bytes::new());
        call.nonce = nonce;
        sent_by(ALICE, call)
    };
    assert!(world.run_one(call(BOB, 0)).is_success());
    assert_eq!(world.account(BOB).nonce, 0);
    // CREATE returned zero; the code added one.
    assert_eq!(world.storage(BOB, 0), U256::ONE);
    assert_eq!(world.storage(BOB, 1), U256::ONE);
    // The contract itself creates as ever.
    assert!(world.run_one(call(CONTRACT, 1)).is_success());
    assert_eq!(world.account(CONTRACT).nonce, 2);
    assert!(world.storage(CONTRACT, 0) > U256::ONE);
    assert!(world.storage(CONTRACT, 1) > U256::ONE);
    // So does a creation transaction of a delegated sender.
    let receipt = world.run_one(sent_by(BOB, transaction(TxKind::Create, 0, Bytes::new())));
    assert!(receipt.is_success());
    assert_eq!(world.account(BOB).nonce, 1);
}

#[test]
fn authorizations_stay_when_a_reserve_makes_the_transaction_revert() {
    let carol = signer(1);
    let mut world = World::new()
        .with_code(CONTRACT, drain())
        .with_balance(carol.address(), 5 * ETHER);
    let tuple = authorize(&carol, CHAIN_ID, CONTRACT, 0);
    // The account becomes delegated and is drained in one transaction.
    let receipt = world.run_one(authorizing(ALICE, 0, carol.address(), vec![tuple]));
    assert!(!receipt.is_success());
    assert!(world.is_delegated(carol.address()));
    assert_eq!(world.account(carol.address()).nonce, 1);
    assert_eq!(world.balance(carol.address()), U256::from(5 * ETHER));
}

#[test]
fn an_account_that_gives_up_its_delegation_is_protected_once_more() {
    let carol = signer(1);
    let mut world = World::new()
        .with_code(carol.address(), delegation_to(CONTRACT))
        .with_balance(carol.address(), 5 * ETHER);
    let tuple = authorize(&carol, 0, Address::ZERO, 1);
    let own = authorizing(carol.address(), 0, SINK, vec![tuple]);
    let receipt = world.run_one(own);
    assert!(receipt.is_success());
    assert!(!world.is_delegated(carol.address()));
    assert_eq!(world.account(carol.address()).nonce, 2);
    let mut all = transaction(TxKind::Call(SINK), 4 * ETHER + ETHER / 2, Bytes::new());
    all.nonce = 2;
    assert!(world.run_one(sent_by(carol.address(), all)).is_success());
}

#[test]
fn the_transaction_that_gives_up_a_delegation_still_keeps_the_reserve() {
    let carol = signer(1);
    let mut world = World::new()
        .with_code(CONTRACT, spend())
        .with_code(carol.address(), delegation_to(CONTRACT))
        .with_balance(carol.address(), 5 * ETHER);
    let tuple = authorize(&carol, 0, Address::ZERO, 1);
    let receipt = world.run_one(paying(carol.address(), 5 * ETHER - ETHER / 2, tuple));
    assert!(!receipt.is_success());
    assert!(!world.is_delegated(carol.address()));
    assert!(world.balance(SINK).is_zero());
}

/// Sends a value along with an authorization.
fn paying(sender: Address, value: u64, tuple: SignedAuthorization) -> RecoveredTransaction {
    let transaction = TxEip7702 {
        chain_id: CHAIN_ID,
        gas_limit: 300_000,
        max_fee_per_gas: u128::from(BASE_FEE),
        to: SINK,
        value: U256::from(value),
        authorization_list: vec![tuple],
        ..TxEip7702::default()
    };
    let signed = transaction.into_signed(Signature::test_signature());
    RecoveredTransaction::from_fixture(Envelope::Eip7702(signed), sender)
}

#[test]
fn an_ordinary_account_spends_all_it_has() {
    let mut world = World::new();
    let fee = 200_000 * (BASE_FEE + 2);
    let all = transaction(TxKind::Call(SINK), 10 * ETHER - fee, Bytes::new());
    assert!(world.run_one(sent_by(ALICE, all)).is_success());
}
