//! The static checks of `primitives` against the machine's own.

use super::world::{
    ALICE, BASE_FEE, BOB, CHAIN_ID, World, authorize, authorizing, sent_by, signer, transaction,
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip4844, TxEip7702};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use primitives::{
    RecoveredTransaction,
    static_check::{StaticError, check_static, floor_gas, intrinsic_gas},
    transaction::Envelope,
};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

fn check(transaction: &RecoveredTransaction) -> Result<(), StaticError> {
    check_static(transaction, &World::new().chain, BASE_FEE)
}

fn random_transaction(random: &mut StdRng) -> TxEip1559 {
    let mut input = vec![0; random.random_range(0..3_000)];
    random.fill_bytes(&mut input);
    let zeros = random.random_range(0..=input.len());
    input[..zeros].fill(0);
    let to = match random.random_bool(0.3) {
        true => TxKind::Create,
        false => TxKind::Call(BOB),
    };
    let items = (0..random.random_range(0..3)).map(|index| AccessListItem {
        address: signer(index).address(),
        storage_keys: vec![B256::ZERO; random.random_range(0..4)],
    });
    let access_list = AccessList(items.collect());
    TxEip1559 {
        access_list,
        ..transaction(to, 0, input.into())
    }
}

/// With exactly the gas that our formula asks for a transaction runs; with one less it does not.
#[test]
fn intrinsic_gas_is_the_machine_s() {
    let mut random = StdRng::seed_from_u64(1);
    let world = World::new();
    for _ in 0..200 {
        let transaction = random_transaction(&mut random);
        assert_boundary(&world, |gas_limit| {
            let mut transaction = transaction.clone();
            transaction.gas_limit = gas_limit;
            sent_by(ALICE, transaction)
        });
    }
    for count in 1..4 {
        let tuples = vec![authorize(&signer(1), 0, BOB, 0); count];
        assert_boundary(&world, |gas_limit| {
            let transaction = TxEip7702 {
                chain_id: CHAIN_ID,
                gas_limit,
                max_fee_per_gas: u128::from(BASE_FEE),
                to: BOB,
                authorization_list: tuples.clone(),
                ..TxEip7702::default()
            };
            let signed = transaction.into_signed(Signature::test_signature());
            RecoveredTransaction::from_fixture(Envelope::Eip7702(signed), ALICE)
        });
    }
}

fn assert_boundary(world: &World, with_gas: impl Fn(u64) -> RecoveredTransaction) {
    let any = with_gas(1_000_000);
    let needed = intrinsic_gas(&any).max(floor_gas(&any));
    let enough = with_gas(needed);
    assert_eq!(check(&enough), Ok(()));
    assert_eq!(world.execute(&[enough], &[]).inclusion_faults, Vec::new());
    let too_little = with_gas(needed - 1);
    assert!(matches!(
        check(&too_little),
        Err(StaticError::IntrinsicGas { .. })
    ));
    assert_eq!(world.execute(&[too_little], &[]).inclusion_faults.len(), 1);
}

/// Whatever the static checks refuse, the machine refuses too, and the reverse.
#[test]
fn every_static_error_is_a_fault_of_the_machine() {
    type Change = fn(&mut TxEip1559);
    type Expected = fn(&StaticError) -> bool;
    let changes: [(Change, Expected); 7] = [
        (
            |transaction| transaction.chain_id = 1,
            |error| matches!(error, StaticError::ChainId { got: 1, .. }),
        ),
        (
            |transaction| transaction.nonce = u64::MAX,
            |error| matches!(error, StaticError::NonceMax),
        ),
        (
            |transaction| transaction.gas_limit = (1 << 24) + 1,
            |error| matches!(error, StaticError::GasLimit { .. }),
        ),
        (
            |transaction| {
                transaction.gas_limit = 10_000_000;
                transaction.to = TxKind::Create;
                transaction.input = vec![0; 49_153].into();
            },
            |error| matches!(error, StaticError::InitcodeSize { .. }),
        ),
        (
            |transaction| transaction.max_fee_per_gas = u128::from(BASE_FEE) - 1,
            |error| matches!(error, StaticError::FeeTooLow { .. }),
        ),
        (
            |transaction| transaction.max_priority_fee_per_gas = u128::from(BASE_FEE) + 3,
            |error| matches!(error, StaticError::PriorityFeeAboveFee { .. }),
        ),
        (
            |transaction| transaction.max_fee_per_gas = u128::MAX,
            |error| matches!(error, StaticError::CostOverflow),
        ),
    ];
    let world = World::new();
    for (change, expected) in changes {
        let mut wrong = transaction(TxKind::Call(BOB), 0, Bytes::new());
        change(&mut wrong);
        let wrong = sent_by(ALICE, wrong);
        let error = check(&wrong).unwrap_err();
        assert!(expected(&error), "{error}");
        assert_eq!(world.execute(&[wrong], &[]).inclusion_faults.len(), 1);
    }
}

#[test]
fn values_that_overflow_with_the_fee_are_refused() {
    let mut wrong = transaction(TxKind::Call(BOB), 0, Bytes::new());
    wrong.value = U256::MAX;
    assert_eq!(
        check(&sent_by(ALICE, wrong)),
        Err(StaticError::CostOverflow)
    );
}

#[test]
fn type_4_needs_an_authorization_and_type_3_is_not_taken() {
    assert_eq!(
        check(&authorizing(ALICE, 0, BOB, Vec::new())),
        Err(StaticError::NoAuthorizations)
    );
    let blob = TxEip4844 {
        chain_id: CHAIN_ID,
        gas_limit: 21_000,
        max_fee_per_gas: u128::from(BASE_FEE),
        blob_versioned_hashes: vec![B256::ZERO],
        ..TxEip4844::default()
    };
    let signed = blob.into_signed(Signature::test_signature());
    let blob = RecoveredTransaction::from_fixture(Envelope::Eip4844(signed), ALICE);
    assert_eq!(check(&blob), Err(StaticError::UnsupportedType { kind: 3 }));
}
