//! Receipts as the store keeps them.

use super::world::{
    ALICE, BOB, CONTRACT, World, authorizing, increment, revert, sent_by, transaction,
};
use crate::{Receipt, ReceiptDecodeError};
use alloy_consensus::{SignableTransaction, TxEip2930, TxLegacy};
use alloy_primitives::{Bytes, Signature, TxKind, U256};
use primitives::{RecoveredTransaction, transaction::Envelope};

fn receipts() -> Vec<Receipt> {
    let mut world = World::new()
        .with_code(CONTRACT, increment())
        .with_code(BOB, revert());
    let legacy = TxLegacy {
        nonce: 0,
        gas_price: 2_000,
        gas_limit: 100_000,
        to: TxKind::Call(CONTRACT),
        ..TxLegacy::default()
    };
    let listed = TxEip2930 {
        chain_id: super::world::CHAIN_ID,
        nonce: 1,
        gas_price: 2_000,
        gas_limit: 100_000,
        to: TxKind::Call(CONTRACT),
        ..TxEip2930::default()
    };
    let signature = Signature::test_signature();
    let mut reverted = transaction(TxKind::Call(BOB), 0, Bytes::new());
    reverted.nonce = 2;
    let mut creation = transaction(TxKind::Create, 0, Bytes::new());
    creation.nonce = 3;
    let executed = world.run(&[
        RecoveredTransaction::from_fixture(Envelope::Legacy(legacy.into_signed(signature)), ALICE),
        RecoveredTransaction::from_fixture(Envelope::Eip2930(listed.into_signed(signature)), ALICE),
        sent_by(ALICE, reverted),
        sent_by(ALICE, creation),
    ]);
    assert_eq!(executed.inclusion_faults, Vec::new());
    executed.receipts
}

#[test]
fn receipts_come_back_as_they_were_stored() {
    let receipts = receipts();
    let bytes = Receipt::encode_all(&receipts);
    assert_eq!(Receipt::decode_all(&bytes), Ok(receipts.clone()));
    let logs = receipts
        .iter()
        .map(|receipt| receipt.envelope.logs().to_vec());
    assert_eq!(Receipt::decode_logs(&bytes), Ok(logs.collect()));
    assert_eq!(Receipt::encode_all(&receipts), bytes);
    let nothing = Receipt::encode_all(&[]);
    assert_eq!(Receipt::decode_all(&nothing), Ok(Vec::new()));
}

#[test]
fn receipts_say_what_the_rpc_shows() {
    let receipts = receipts();
    let [legacy, listed, reverted, creation] = receipts.as_slice() else {
        panic!("four receipts");
    };
    assert!(legacy.is_success() && legacy.envelope.logs().len() == 1);
    assert_eq!(legacy.effective_gas_price, 2_000);
    assert_eq!(
        listed.envelope.cumulative_gas_used(),
        legacy.gas_used + listed.gas_used
    );
    assert!(!reverted.is_success());
    assert_eq!(U256::from_be_slice(&reverted.output), U256::from(42));
    assert_eq!(creation.contract_address, Some(ALICE.create(3)));
    assert_eq!(legacy.contract_address, None);
}

#[test]
fn damaged_receipts_are_refused() {
    let bytes = Receipt::encode_all(&receipts());
    for length in 0..bytes.len() {
        assert!(Receipt::decode_all(&bytes[..length]).is_err());
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(
        Receipt::decode_all(&longer),
        Err(ReceiptDecodeError::Malformed(_))
    ));
    for index in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x40;
        // Most give an error, some another receipt; none may panic.
        let reread = Receipt::decode_all(&damaged);
        assert!(reread.is_err() || Receipt::encode_all(&reread.unwrap()) == damaged);
    }
}

#[test]
fn a_long_revert_reason_is_cut() {
    // Reverts with 4,096 bytes of memory.
    let code = Bytes::from_static(&[0x61, 0x10, 0x00, 0x5f, 0xfd]);
    let mut world = World::new().with_code(CONTRACT, code);
    let call = transaction(TxKind::Call(CONTRACT), 0, Bytes::new());
    let receipt = world.run_one(sent_by(ALICE, call));
    assert_eq!(receipt.output.len(), crate::receipt::OUTPUT_BYTES_MAX);
}

#[test]
fn type_4_receipts_round_trip() {
    let mut world = World::new();
    let carol = super::world::signer(1);
    let tuple = super::world::authorize(&carol, 0, CONTRACT, 0);
    let receipt = world.run_one(authorizing(ALICE, 0, BOB, vec![tuple]));
    let bytes = Receipt::encode_all(std::slice::from_ref(&receipt));
    assert_eq!(Receipt::decode_all(&bytes), Ok(vec![receipt]));
}
