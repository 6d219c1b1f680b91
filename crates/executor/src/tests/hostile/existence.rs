//! Accounts that exist and are empty, and code that only looks like a delegation: what an old state
//! may hold and a new one may not.

use super::{World, agree, place};
use crate::{
    EthereumRules, ExecutionInput, Fork,
    tests::world::{ALICE, CHAIN_ID, PROPOSER, sent_by, transaction},
};
use alloy_consensus::{SignableTransaction as _, TxLegacy};
use alloy_primitives::{Bytes, Signature, TxKind, U256};
use primitives::{RecoveredTransaction, transaction::Envelope};
use state::Account;

/// The fee is what keeps an empty fee receiver, touched by the same transaction, from being removed.
#[test]
fn a_fee_receiver_that_exists_and_is_empty() {
    for has_storage in [false, true] {
        let mut world = World::new();
        world.state.set_account(PROPOSER, Account::default());
        if has_storage {
            world.state.set_storage(PROPOSER, U256::ONE, U256::from(7));
        }
        // One by the machine, one as a plain transfer.
        for data in [&[1][..], &[]] {
            let touch = transaction(TxKind::Call(PROPOSER), 0, Bytes::copy_from_slice(data));
            let transactions = [sent_by(ALICE, touch)];
            for fork in [None, Some(Fork::Paris), Some(Fork::Osaka)] {
                let executed = agree(&input(&world, fork, &transactions), &world.state);
                let receiver = &executed.diff.accounts[&PROPOSER];
                assert!(!receiver.storage_wiped, "{has_storage} {data:?} {fork:?}");
            }
        }
    }
}

/// Until London, anybody could create code that begins as a delegation does.
#[test]
fn code_that_looks_like_a_delegation_before_there_are_any() {
    let increment = [0x60, 0, 0x54, 0x60, 1, 1, 0x60, 0, 0x55, 0];
    let designator = [&[0xef, 0x01, 0x00], place(20).as_slice()].concat();
    let init = [
        &[0x76],
        designator.as_slice(),
        &[0x60, 0, 0x52, 0x60, 23, 0x60, 9, 0xf3],
    ]
    .concat();
    let mut world = World::new()
        .with_code(place(20), increment.into())
        .with_code(place(21), designator.into());
    world.environment.base_fee = 0;
    let old = TxKind::Call(place(21));
    let born = TxKind::Call(ALICE.create(1));
    let transactions = [
        legacy(0, old, &[1]),
        legacy(1, TxKind::Create, &init),
        legacy(2, born, &[1]),
        legacy(3, old, &[1]),
    ];
    for fork in [Fork::Istanbul, Fork::Berlin] {
        let executed = agree(&input(&world, Some(fork), &transactions), &world.state);
        let succeeded = executed.receipts.iter().map(crate::Receipt::is_success);
        // It is an invalid instruction, not a call of somebody's code.
        assert_eq!(succeeded.collect::<Vec<_>>(), [false, true, false, false]);
    }
}

fn legacy(nonce: u64, to: TxKind, data: &[u8]) -> RecoveredTransaction {
    let transaction = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce,
        gas_price: 5,
        gas_limit: 300_000,
        to,
        value: U256::ZERO,
        input: Bytes::copy_from_slice(data),
    };
    let signed = transaction.into_signed(Signature::test_signature());
    RecoveredTransaction::from_fixture(Envelope::Legacy(signed), ALICE)
}

fn input<'a>(
    world: &'a World,
    fork: Option<Fork>,
    transactions: &'a [RecoveredTransaction],
) -> ExecutionInput<'a> {
    let environment = world.environment.clone();
    let ethereum = fork.map(|fork| EthereumRules {
        fork,
        ..EthereumRules::default()
    });
    ExecutionInput {
        ethereum,
        ..ExecutionInput::new(&world.chain, environment, transactions, &[])
    }
}
