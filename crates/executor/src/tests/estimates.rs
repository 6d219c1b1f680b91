//! Estimates are limits that work, and little more than what is needed.

use super::world::{
    ALICE, BASE_FEE, BOB, CONTRACT, ETHER, SINK, World, delegation_to, drain, increment, revert,
    sent_by, transaction,
};
use crate::{CallRequest, EstimateError, Overrides, estimate_gas};
use alloy_primitives::{Address, Bytes, TxKind, U256};

fn to(address: Address) -> CallRequest {
    CallRequest {
        from: Some(ALICE),
        to: Some(address),
        ..CallRequest::default()
    }
}

fn estimate(world: &World, request: &CallRequest) -> Result<u64, EstimateError> {
    estimate_gas(request, &world.scene(&Overrides::default()))
}

/// Whether the request works as a transaction with this limit.
fn works(world: &World, request: &CallRequest, gas_limit: u64) -> bool {
    let to = request.to.map_or(TxKind::Create, TxKind::Call);
    let mut transaction = transaction(to, 0, request.input.clone());
    transaction.gas_limit = gas_limit;
    transaction.value = request.value;
    let executed = world.execute(&[sent_by(ALICE, transaction)], &[]);
    executed.inclusion_faults.is_empty() && executed.receipts[0].is_success()
}

fn assert_tight(world: &World, request: &CallRequest) {
    let gas = estimate(world, request).unwrap();
    assert!(works(world, request, gas), "gas={gas}");
    assert!(!works(world, request, gas - gas / 50), "gas={gas}");
}

/// Passes all but 1/64 of its gas on to a contract that fills ten slots, and reverts if that fails.
fn nested() -> World {
    let filler: Vec<u8> = (1..11_u8)
        .flat_map(|slot| [0x60, 0x01, 0x60, slot, 0x55])
        .collect();
    let caller = [
        &[0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x73],
        BOB.as_slice(),
        // CALL, JUMPI to the end if it worked, else REVERT.
        &[0x5a, 0xf1, 0x60, 0x22, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00],
    ]
    .concat();
    World::new()
        .with_code(CONTRACT, caller.into())
        .with_code(BOB, filler.into())
}

#[test]
fn a_transfer_costs_what_it_always_costs() {
    let mut request = to(SINK);
    request.value = U256::from(5);
    assert_eq!(estimate(&World::new(), &request).unwrap(), 21_000);
}

#[test]
fn estimates_work_and_are_tight() {
    let world = World::new().with_code(CONTRACT, increment());
    assert_tight(&world, &to(CONTRACT));
    assert_tight(&nested(), &to(CONTRACT));
    let creation = CallRequest {
        from: Some(ALICE),
        input: vec![0; 1_000].into(),
        ..CallRequest::default()
    };
    assert_tight(&World::new(), &creation);
}

#[test]
fn the_floor_changes_the_charge_and_not_the_estimate() {
    let mut world = World::new().with_code(CONTRACT, increment());
    let plain = estimate(&world, &to(CONTRACT)).unwrap();
    world.chain.protocol.gas_charge_floor_permille = 1_000;
    assert_tight(&world, &to(CONTRACT));
    let floored = estimate(&world, &to(CONTRACT)).unwrap();
    // Everything is charged, so the search starts from other bounds; it ends at the same place.
    assert!(floored.abs_diff(plain) * 50 <= plain, "{floored} {plain}");
}

#[test]
fn refunds_are_not_counted_on() {
    // Clears slot 0: the refund comes back only after the gas was there.
    let mut world = World::new().with_code(CONTRACT, Bytes::from_static(&[0x5f, 0x5f, 0x55, 0x00]));
    world.state.set_storage(CONTRACT, U256::ZERO, U256::ONE);
    assert_tight(&world, &to(CONTRACT));
}

#[test]
fn a_revert_is_reported_with_its_reason() {
    let world = World::new().with_code(CONTRACT, revert());
    let Err(EstimateError::Reverted { output }) = estimate(&world, &to(CONTRACT)) else {
        panic!("it reverts");
    };
    assert_eq!(U256::from_be_slice(&output), U256::from(42));
}

#[test]
fn what_cannot_be_paid_is_no_estimate() {
    let world = World::new().with_code(CONTRACT, increment());
    let mut request = to(CONTRACT);
    request.value = U256::from(11 * ETHER);
    assert!(matches!(
        estimate(&world, &request),
        Err(EstimateError::InsufficientFunds { .. })
    ));
    let world = world.with_balance(ALICE, 30_000 * BASE_FEE);
    request.value = U256::ZERO;
    request.gas_price = Some(u128::from(BASE_FEE));
    assert!(matches!(
        estimate(&world, &request),
        Err(EstimateError::AllowanceExceeded { allowance: 30_000 })
    ));
    request.gas_price = None;
    request.gas = Some(25_000);
    assert!(matches!(
        estimate(&world, &request),
        Err(EstimateError::AllowanceExceeded { allowance: 25_000 })
    ));
}

#[test]
fn endless_code_exceeds_what_a_transaction_may_have() {
    let world = World::new().with_code(CONTRACT, Bytes::from_static(&[0x5b, 0x5f, 0x56]));
    assert!(matches!(
        estimate(&world, &to(CONTRACT)),
        Err(EstimateError::AllowanceExceeded {
            allowance: 16_777_216
        })
    ));
}

#[test]
fn a_broken_reserve_is_named() {
    let world = World::new()
        .with_code(CONTRACT, drain())
        .with_code(BOB, delegation_to(CONTRACT))
        .with_balance(BOB, 2 * ETHER);
    let Err(EstimateError::Halted { reason }) = estimate(&world, &to(BOB)) else {
        panic!("the reserve is protected");
    };
    assert!(reason.contains("reserve"), "{reason}");
}
