//! The rule, clause by clause. That it holds against execution is tested in the executor.

use super::{AccountView, CodeKind, InFlight, Unaffordable};
use crate::{RecoveredTransaction, Transaction, transaction::Envelope};
use alloy_consensus::{SignableTransaction, TxEip7702, TxLegacy};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, Signature, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use std::collections::BTreeMap;

const CHAIN_ID: u64 = 7;
const BASE_FEE: u64 = 10;
const RESERVE: u64 = 1_000_000;
const GAS: u64 = 21_000;
const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);

#[derive(Default)]
struct Chain(BTreeMap<Address, AccountView>);

impl Chain {
    fn with(mut self, address: Address, nonce: u64, balance: u64, code: CodeKind) -> Self {
        let balance = U256::from(balance);
        let view = AccountView {
            nonce,
            balance,
            code,
        };
        self.0.insert(address, view);
        self
    }

    fn view(&self, address: &Address) -> AccountView {
        self.0.get(address).copied().unwrap_or_default()
    }

    fn admit(
        &self,
        in_flight: &mut InFlight,
        transaction: &RecoveredTransaction,
    ) -> Result<(), Unaffordable> {
        let verdict: Result<_, ()> =
            in_flight.admit(transaction, BASE_FEE, |address| Ok(self.view(address)));
        verdict.unwrap()
    }
}

fn nothing_in_flight() -> InFlight {
    InFlight::new(U256::from(RESERVE), CHAIN_ID)
}

/// A transfer of a value at a price of one wei per gas above nothing.
fn transfer(sender: Address, nonce: u64, value: u64, price: u128) -> RecoveredTransaction {
    let transaction = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce,
        gas_price: price,
        gas_limit: GAS,
        to: TxKind::Call(BOB),
        value: U256::from(value),
        ..TxLegacy::default()
    };
    let signed = transaction.into_signed(Signature::test_signature());
    RecoveredTransaction::from_fixture(Envelope::Legacy(signed), sender)
}

fn delegating(
    sender: Address,
    nonce: u64,
    authorization_list: Vec<SignedAuthorization>,
) -> RecoveredTransaction {
    let transaction = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: GAS,
        max_fee_per_gas: u128::from(BASE_FEE),
        authorization_list,
        to: BOB,
        ..TxEip7702::default()
    };
    let signed = transaction.into_signed(Signature::test_signature());
    RecoveredTransaction::from_fixture(Envelope::Eip7702(signed), sender)
}

fn authorize(signer: &PrivateKeySigner, chain_id: u64, nonce: u64) -> SignedAuthorization {
    let authorization = Authorization {
        chain_id: U256::from(chain_id),
        address: BOB,
        nonce,
    };
    let signature = signer
        .sign_hash_sync(&authorization.signature_hash())
        .unwrap();
    authorization.into_signed(signature)
}

fn carol() -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&[7; 32]).unwrap()
}

#[test]
fn the_nonce_is_the_state_s_plus_what_is_in_flight() {
    let chain = Chain::default().with(ALICE, 5, 10_000_000, CodeKind::None);
    let mut in_flight = nothing_in_flight();
    let too_low = chain.admit(&mut in_flight, &transfer(ALICE, 4, 0, 10));
    let (expected, got) = (5, 4);
    assert_eq!(too_low, Err(Unaffordable::NonceTooLow { expected, got }));
    let gap = chain.admit(&mut in_flight, &transfer(ALICE, 6, 0, 10));
    assert_eq!(gap, Err(Unaffordable::NonceGap { expected, got: 6 }));
    for nonce in 5..8 {
        assert_eq!(
            chain.admit(&mut in_flight, &transfer(ALICE, nonce, 0, 10)),
            Ok(())
        );
    }
    assert_eq!(in_flight.budget(&ALICE, &chain.view(&ALICE)).nonce_next, 8);
}

#[test]
fn an_ordinary_account_may_commit_its_whole_balance_and_no_more() {
    let fee = GAS * 10;
    let chain = Chain::default().with(ALICE, 0, 3 * fee + 100, CodeKind::None);
    let mut in_flight = nothing_in_flight();
    assert_eq!(
        chain.admit(&mut in_flight, &transfer(ALICE, 0, 60, 10)),
        Ok(())
    );
    assert_eq!(
        chain.admit(&mut in_flight, &transfer(ALICE, 1, 40, 10)),
        Ok(())
    );
    let refused = chain.admit(&mut in_flight, &transfer(ALICE, 2, 1, 10));
    let needed = U256::from(fee + 1);
    let available = U256::from(fee);
    assert_eq!(
        refused,
        Err(Unaffordable::InsufficientFunds { needed, available })
    );
    assert_eq!(
        chain.admit(&mut in_flight, &transfer(ALICE, 2, 0, 10)),
        Ok(())
    );
    let budget = in_flight.budget(&ALICE, &chain.view(&ALICE));
    assert_eq!(budget.available_wei, U256::ZERO);
}

#[test]
fn the_new_one_counts_at_its_highest_fee_and_those_in_flight_at_their_price() {
    let chain = Chain::default().with(ALICE, 0, GAS * 30, CodeKind::None);
    let mut in_flight = nothing_in_flight();
    let transaction = delegating(ALICE, 0, Vec::new());
    let effective = GAS * BASE_FEE;
    assert_eq!(chain.admit(&mut in_flight, &transaction), Ok(()));
    let budget = in_flight.budget(&ALICE, &chain.view(&ALICE));
    assert_eq!(budget.available_wei, U256::from(GAS * 30 - effective));
    assert!(
        chain
            .admit(&mut in_flight, &transfer(ALICE, 1, 0, 21))
            .is_err()
    );
    assert_eq!(
        chain.admit(&mut in_flight, &transfer(ALICE, 1, 0, 20)),
        Ok(())
    );
}

#[test]
fn a_delegated_account_commits_gas_out_of_its_reserve() {
    let chain = Chain::default()
        .with(ALICE, 0, 100 * RESERVE, CodeKind::Delegated)
        .with(BOB, 0, GAS * 10, CodeKind::Delegated);
    let mut in_flight = nothing_in_flight();
    let price = u128::from(RESERVE / GAS);
    // The value is not counted: if others took the money, the transfer fails and pays its gas.
    let all_of_it = 100 * RESERVE;
    assert_eq!(
        chain.admit(&mut in_flight, &transfer(ALICE, 0, all_of_it, price)),
        Ok(())
    );
    assert!(matches!(
        chain.admit(&mut in_flight, &transfer(ALICE, 1, 0, 10)),
        Err(Unaffordable::ReserveExceeded { .. })
    ));
    assert_eq!(
        chain.admit(&mut in_flight, &transfer(BOB, 0, 0, 10)),
        Ok(())
    );
    let budget = in_flight.budget(&BOB, &chain.view(&BOB));
    assert!(budget.delegated && budget.available_wei.is_zero());
}

#[test]
fn contracts_do_not_send() {
    let chain = Chain::default().with(ALICE, 0, 10_000_000, CodeKind::Contract);
    let refused = chain.admit(&mut nothing_in_flight(), &transfer(ALICE, 0, 0, 10));
    assert_eq!(refused, Err(Unaffordable::SenderHasCode { sender: ALICE }));
    let impersonated = TxLegacy {
        chain_id: Some(CHAIN_ID),
        gas_price: 10,
        gas_limit: GAS,
        to: TxKind::Call(BOB),
        ..TxLegacy::default()
    };
    let r = U256::from_be_bytes(ALICE.into_word().0);
    let signed = impersonated.into_signed(Signature::new(r, U256::ZERO, false));
    let impersonated = RecoveredTransaction::from_fixture(Envelope::Legacy(signed), ALICE);
    assert_eq!(chain.admit(&mut nothing_in_flight(), &impersonated), Ok(()));
}

#[test]
fn an_authorization_in_flight_blocks_what_comes_after_it() {
    let carol = carol();
    let chain = Chain::default()
        .with(ALICE, 0, 10_000_000, CodeKind::None)
        .with(carol.address(), 3, 10_000_000, CodeKind::None);
    let mut in_flight = nothing_in_flight();
    let before = transfer(carol.address(), 3, 0, 10);
    assert_eq!(chain.admit(&mut in_flight, &before), Ok(()));
    let tuple = authorize(&carol, CHAIN_ID, 4);
    assert_eq!(
        chain.admit(&mut in_flight, &delegating(ALICE, 0, vec![tuple])),
        Ok(())
    );
    let sender = carol.address();
    assert_eq!(
        chain.admit(&mut in_flight, &transfer(sender, 4, 0, 10)),
        Err(Unaffordable::PendingAuthorization { sender })
    );
    let budget = in_flight.budget(&sender, &chain.view(&sender));
    assert!(budget.blocked_until_executed);
}

#[test]
fn an_authorization_that_cannot_be_valid_blocks_nobody() {
    let carol = carol();
    let sender = carol.address();
    let chain = Chain::default()
        .with(ALICE, 0, 10_000_000, CodeKind::None)
        .with(sender, 3, 10_000_000, CodeKind::None);
    // Used before, too far ahead, and for another chain.
    for tuple in [
        authorize(&carol, CHAIN_ID, 2),
        authorize(&carol, CHAIN_ID, 4),
        authorize(&carol, CHAIN_ID + 1, 3),
    ] {
        let mut in_flight = nothing_in_flight();
        let carrier = delegating(ALICE, 0, vec![tuple]);
        assert_eq!(chain.admit(&mut in_flight, &carrier), Ok(()));
        assert!(
            !in_flight
                .budget(&sender, &chain.view(&sender))
                .blocked_until_executed
        );
    }
    let mut in_flight = nothing_in_flight();
    let anywhere = delegating(ALICE, 0, vec![authorize(&carol, 0, 3)]);
    assert_eq!(chain.admit(&mut in_flight, &anywhere), Ok(()));
    assert!(
        in_flight
            .budget(&sender, &chain.view(&sender))
            .blocked_until_executed
    );
}

#[test]
fn authorizations_of_one_account_chain_up() {
    let carol = carol();
    let sender = carol.address();
    let chain = Chain::default().with(ALICE, 0, 10_000_000, CodeKind::None);
    let mut in_flight = nothing_in_flight();
    let tuples = vec![authorize(&carol, 0, 0), authorize(&carol, 0, 1)];
    assert_eq!(
        chain.admit(&mut in_flight, &delegating(ALICE, 0, tuples)),
        Ok(())
    );
    assert_eq!(in_flight.commitment(&sender).authorizations, 2);
    let after = delegating(ALICE, 1, vec![authorize(&carol, 0, 3)]);
    assert_eq!(chain.admit(&mut in_flight, &after), Ok(()));
    assert_eq!(in_flight.commitment(&sender).authorizations, 2);
}

#[test]
fn a_sender_s_own_authorization_follows_its_own_nonce() {
    let carol = carol();
    let sender = carol.address();
    let chain = Chain::default().with(sender, 8, 10_000_000, CodeKind::None);
    let mut in_flight = nothing_in_flight();
    let own = delegating(sender, 8, vec![authorize(&carol, CHAIN_ID, 9)]);
    assert_eq!(chain.admit(&mut in_flight, &own), Ok(()));
    assert_eq!(
        chain.admit(&mut in_flight, &transfer(sender, 10, 0, 10)),
        Err(Unaffordable::PendingAuthorization { sender })
    );
}

#[test]
fn a_refusal_changes_nothing() {
    let carol = carol();
    let sender = carol.address();
    let chain = Chain::default().with(ALICE, 0, 1, CodeKind::None);
    let mut in_flight = nothing_in_flight();
    let unpaid = delegating(ALICE, 0, vec![authorize(&carol, 0, 0)]);
    assert!(chain.admit(&mut in_flight, &unpaid).is_err());
    assert!(in_flight.accounts.is_empty());
    let fault: Result<Result<(), Unaffordable>, &str> =
        in_flight.admit(&unpaid, BASE_FEE, |_| Err("no state"));
    assert_eq!(fault, Err("no state"));
    assert_eq!(in_flight.commitment(&sender).authorizations, 0);
}

#[test]
fn costs_that_overflow_are_refused() {
    let chain = Chain::default().with(ALICE, 0, 10_000_000, CodeKind::None);
    let transaction = transfer(ALICE, 0, 0, u128::MAX);
    assert!(matches!(
        chain.admit(&mut nothing_in_flight(), &transaction),
        Err(Unaffordable::InsufficientFunds { .. })
    ));
}

#[test]
fn a_delegation_is_a_prefix_and_an_address() {
    let designator = [&[0xef, 0x01, 0x00], BOB.as_slice()].concat();
    assert_eq!(CodeKind::of(&designator), CodeKind::Delegated);
    assert_eq!(CodeKind::of(&[]), CodeKind::None);
    assert_eq!(CodeKind::of(&designator[..22]), CodeKind::Contract);
    assert_eq!(CodeKind::of(&[0x60]), CodeKind::Contract);
}

#[test]
fn who_authorized_is_recovered_once_for_all_copies_of_a_transaction() {
    let carol = carol();
    let first = delegating(ALICE, 0, vec![authorize(&carol, CHAIN_ID, 0)]);
    let again = RecoveredTransaction::trusted(first.transaction().clone(), ALICE);
    assert_eq!(again.authorities(), [Some(carol.address())]);
    assert!(std::ptr::eq(first.authorities(), again.authorities()));
    let elsewhere = Transaction::decode(first.transaction().raw().clone()).unwrap();
    assert_eq!(elsewhere, *first.transaction());
    let elsewhere = RecoveredTransaction::trusted(elsewhere, ALICE);
    assert_eq!(elsewhere, first, "nothing but the encoding counts");
}
