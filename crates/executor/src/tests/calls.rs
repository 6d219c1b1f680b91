//! Calls that nobody signed.

use super::world::{
    ALICE, BASE_FEE, BOB, CHAIN_ID, CONTRACT, ETHER, SINK, World, authorize, create, delegation_to,
    drain, increment, revert, signer,
};
use crate::{
    AccountOverride, BlockOverrides, CallError, CallOutcome, CallRequest, CallStatus, Overrides,
    call,
};
use alloy_eips::eip2930::AccessListItem;
use alloy_primitives::{Address, B256, Bytes, U256};

fn to(address: Address) -> CallRequest {
    CallRequest {
        from: Some(ALICE),
        to: Some(address),
        ..CallRequest::default()
    }
}

fn ask(world: &World, request: &CallRequest) -> Result<CallOutcome, CallError> {
    ask_with(world, request, &Overrides::default())
}

fn ask_with(
    world: &World,
    request: &CallRequest,
    overrides: &Overrides,
) -> Result<CallOutcome, CallError> {
    call(request, &world.scene(overrides))
}

/// Returns one word, which `code` has put on the stack.
fn returning(code: &[u8]) -> Bytes {
    [code, &[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]]
        .concat()
        .into()
}

fn word(outcome: &CallOutcome) -> U256 {
    assert_eq!(outcome.status, CallStatus::Success);
    U256::from_be_slice(&outcome.output)
}

#[test]
fn a_call_answers_and_changes_nothing() {
    let world = World::new().with_code(CONTRACT, returning(&[0x5f, 0x54]));
    let mut world = world;
    world.state.set_storage(CONTRACT, U256::ZERO, U256::from(9));
    let outcome = ask(&world, &to(CONTRACT)).unwrap();
    assert_eq!(word(&outcome), U256::from(9));
    assert!(outcome.gas_used > 21_000 && outcome.gas_peak >= outcome.gas_used);
    let incremented = World::new().with_code(CONTRACT, increment());
    let outcome = ask(&incremented, &to(CONTRACT)).unwrap();
    assert_eq!(outcome.logs.len(), 1);
    assert_eq!(incremented.storage(CONTRACT, 0), U256::ZERO);
}

#[test]
fn the_gas_used_is_without_the_floor() {
    let mut world = World::new().with_code(CONTRACT, increment());
    world.chain.protocol.gas_charge_floor_permille = 1_000;
    assert!(ask(&world, &to(CONTRACT)).unwrap().gas_used < 60_000);
}

#[test]
fn reverts_and_halts_are_told_apart() {
    let world = World::new().with_code(CONTRACT, revert());
    let outcome = ask(&world, &to(CONTRACT)).unwrap();
    assert_eq!(outcome.status, CallStatus::Reverted);
    assert_eq!(U256::from_be_slice(&outcome.output), U256::from(42));
    let world = World::new().with_code(CONTRACT, Bytes::from_static(&[0xfe]));
    let outcome = ask(&world, &to(CONTRACT)).unwrap();
    let CallStatus::Halted { reason } = outcome.status else {
        panic!("an invalid opcode halts");
    };
    assert!(reason.contains("invalid"), "{reason}");
}

#[test]
fn anybody_may_ask_but_nobody_spends_what_he_has_not() {
    let world = World::new().with_code(CONTRACT, increment());
    let mut request = to(CONTRACT);
    request.from = Some(CONTRACT);
    request.nonce = Some(1_234);
    assert!(ask(&world, &request).is_ok());
    request.value = U256::ONE;
    assert!(matches!(
        ask(&world, &request),
        Err(CallError::InsufficientFunds { .. })
    ));
}

#[test]
fn a_price_is_held_to_the_base_fee_and_the_balance() {
    let mut world = World::new().with_code(CONTRACT, returning(&[0x3a]));
    let mut request = to(CONTRACT);
    assert_eq!(word(&ask(&world, &request).unwrap()), U256::ZERO);
    request.max_fee_per_gas = Some(u128::from(BASE_FEE) - 1);
    assert!(matches!(ask(&world, &request), Err(CallError::Invalid(_))));
    request.max_fee_per_gas = Some(u128::from(BASE_FEE) + 5);
    request.max_priority_fee_per_gas = Some(3);
    let price = word(&ask(&world, &request).unwrap());
    assert_eq!(price, U256::from(BASE_FEE + 3));
    request.gas = Some(1_000_000);
    world = world.with_balance(ALICE, 1_000_000 * BASE_FEE);
    assert!(matches!(
        ask(&world, &request),
        Err(CallError::InsufficientFunds { .. })
    ));
    // Without a limit it gets what it can pay for.
    request.gas = None;
    assert!(ask(&world, &request).is_ok());
    request.gas_price = Some(1);
    assert!(matches!(ask(&world, &request), Err(CallError::Invalid(_))));
}

#[test]
fn too_little_gas_is_an_error_of_its_own() {
    let mut request = to(CONTRACT);
    request.gas = Some(20_000);
    assert!(matches!(
        ask(&World::new(), &request),
        Err(CallError::GasTooLow {
            gas_limit: 20_000,
            needed: 21_000
        })
    ));
}

#[test]
fn creations_tell_their_address_and_code() {
    let request = CallRequest {
        from: Some(ALICE),
        input: returning(&[0x60, 0x07]),
        ..CallRequest::default()
    };
    let outcome = ask(&World::new(), &request).unwrap();
    assert_eq!(outcome.created, Some(ALICE.create(0)));
    assert_eq!(word(&outcome), U256::from(7));
}

#[test]
fn the_access_list_holds_what_was_touched() {
    // SLOAD 5, BALANCE of Bob, BALANCE of a precompile and of the sender.
    let code = [
        &[0x60, 0x05, 0x54, 0x50, 0x73],
        BOB.as_slice(),
        &[0x31, 0x50, 0x60, 0x01, 0x31, 0x50, 0x33, 0x31, 0x00],
    ]
    .concat();
    let world = World::new().with_code(CONTRACT, code.into());
    let outcome = ask(&world, &to(CONTRACT)).unwrap();
    let mut expected = vec![
        AccessListItem {
            address: BOB,
            storage_keys: Vec::new(),
        },
        AccessListItem {
            address: CONTRACT,
            storage_keys: vec![B256::from(U256::from(5))],
        },
    ];
    expected.sort_unstable_by_key(|item| item.address);
    assert_eq!(outcome.access_list.0, expected);
    let mut request = to(CONTRACT);
    request.access_list = Some(outcome.access_list.clone());
    let again = ask(&world, &request).unwrap();
    assert_eq!(again.access_list, outcome.access_list);
}

#[test]
fn accounts_can_be_overridden() {
    let world = World::new().with_code(CONTRACT, returning(&[0x5f, 0x54]));
    let mut world = world;
    world.state.set_storage(CONTRACT, U256::ZERO, U256::from(9));
    world.state.set_storage(CONTRACT, U256::ONE, U256::from(10));
    let account = |account: AccountOverride| Overrides {
        state: [(CONTRACT, account)].into(),
        ..Overrides::default()
    };
    let diff = account(AccountOverride {
        state_diff: [(U256::ZERO, U256::from(5))].into(),
        ..AccountOverride::default()
    });
    let outcome = ask_with(&world, &to(CONTRACT), &diff).unwrap();
    assert_eq!(word(&outcome), U256::from(5));
    let whole = account(AccountOverride {
        state: Some([(U256::ONE, U256::from(5))].into()),
        ..AccountOverride::default()
    });
    let outcome = ask_with(&world, &to(CONTRACT), &whole).unwrap();
    assert_eq!(word(&outcome), U256::ZERO);
    let richer = account(AccountOverride {
        balance: Some(U256::from(3)),
        code: Some(returning(&[0x47])),
        nonce: Some(8),
        ..AccountOverride::default()
    });
    let outcome = ask_with(&world, &to(CONTRACT), &richer).unwrap();
    assert_eq!(word(&outcome), U256::from(3));
}

#[test]
fn the_block_can_be_overridden() {
    let overrides = Overrides {
        block: BlockOverrides {
            height: Some(500),
            timestamp: Some(600),
            beneficiary: Some(BOB),
            gas_limit: Some(700),
            base_fee: Some(800),
            prevrandao: Some(B256::repeat_byte(9)),
            block_hashes: [(499, B256::repeat_byte(7))].into(),
        },
        ..Overrides::default()
    };
    let answers: [(&[u8], U256); 7] = [
        (&[0x43], U256::from(500)),
        (&[0x42], U256::from(600)),
        (&[0x41], BOB.into_word().into()),
        (&[0x45], U256::from(700)),
        (&[0x48], U256::from(800)),
        (&[0x44], B256::repeat_byte(9).into()),
        (&[0x60, 0x01, 0x43, 0x03, 0x40], B256::repeat_byte(7).into()),
    ];
    for (code, expected) in answers {
        let world = World::new().with_code(CONTRACT, returning(code));
        let outcome = ask_with(&world, &to(CONTRACT), &overrides).unwrap();
        assert_eq!(word(&outcome), expected, "{code:?}");
    }
}

#[test]
fn calls_obey_the_rules_about_delegated_accounts() {
    let world = World::new()
        .with_code(CONTRACT, drain())
        .with_code(BOB, delegation_to(CONTRACT))
        .with_balance(BOB, 2 * ETHER);
    let outcome = ask(&world, &to(BOB)).unwrap();
    let CallStatus::Halted { reason } = outcome.status else {
        panic!("the reserve is protected");
    };
    assert!(reason.contains("reserve"), "{reason}");
    let world = world.with_code(CONTRACT, create());
    assert_eq!(ask(&world, &to(BOB)).unwrap().status, CallStatus::Success);
}

#[test]
fn authorizations_apply_within_a_call() {
    let carol = signer(1);
    let world = World::new().with_code(CONTRACT, returning(&[0x60, 0x63]));
    let mut request = to(carol.address());
    assert!(ask(&world, &request).unwrap().output.is_empty());
    request.authorizations = vec![authorize(&carol, CHAIN_ID, CONTRACT, 0)];
    let outcome = ask(&world, &request).unwrap();
    assert_eq!(word(&outcome), U256::from(0x63));
    assert!(!world.is_delegated(carol.address()));
    assert_eq!(world.balance(SINK), U256::ZERO);
}
