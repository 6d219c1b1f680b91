//! Whole blocks: fees, the charge floor, system calls, directives, diffs and headers.

use super::world::{
    ALICE, BASE_FEE, BOB, CONTRACT, ETHER, PROPOSER, SINK, World, create, destruct, increment,
    sent_by, transaction,
};
use crate::{
    Engine, EthereumRules, ExecutionInput, Fork, Roots, ethereum_header, execute_sequential,
};
use alloy_consensus::{
    SignableTransaction, TxLegacy,
    constants::{EMPTY_ROOT_HASH, EMPTY_WITHDRAWALS},
};
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
};
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use primitives::{Directive, RecoveredTransaction, transaction::Envelope};
use state::StateReader;
use std::num::NonZeroUsize;

fn call(nonce: u64, value: u64) -> RecoveredTransaction {
    let mut call = transaction(TxKind::Call(CONTRACT), value, Bytes::new());
    call.nonce = nonce;
    sent_by(ALICE, call)
}

#[test]
fn the_base_fee_is_burned_and_the_tip_goes_to_the_proposer() {
    let mut world = World::new();
    let to = TxKind::Call(SINK);
    let receipt = world.run_one(sent_by(ALICE, transaction(to, 5, Bytes::new())));
    assert_eq!(receipt.gas_used, 21_000);
    assert_eq!(receipt.effective_gas_price, u128::from(BASE_FEE + 2));
    let fee = 21_000 * (BASE_FEE + 2);
    assert_eq!(world.balance(ALICE), U256::from(10 * ETHER - fee - 5));
    assert_eq!(world.balance(PROPOSER), U256::from(21_000 * 2));
    assert_eq!(world.balance(SINK), U256::from(5));
}

#[test]
fn the_floor_charges_for_gas_that_was_only_reserved() {
    let mut world = World::new().with_code(CONTRACT, increment());
    world.chain.protocol.gas_charge_floor_permille = 500;
    let executed = world.run(&[call(0, 0), call(1, 0)]);
    let [first, second] = executed.receipts.as_slice() else {
        panic!("two receipts");
    };
    // Half of 200,000; the code itself used less.
    assert_eq!((first.gas_used, second.gas_used), (100_000, 100_000));
    assert_eq!(second.envelope.cumulative_gas_used(), 200_000);
    assert_eq!(executed.gas_used, 200_000);
    let fee = 200_000 * (BASE_FEE + 2);
    assert_eq!(world.balance(ALICE), U256::from(10 * ETHER - fee));
    assert_eq!(world.balance(PROPOSER), U256::from(200_000 * 2));
    assert_eq!(world.storage(CONTRACT, 0), U256::from(2));
}

#[test]
fn the_floor_leaves_alone_who_uses_more() {
    let mut world = World::new().with_code(CONTRACT, increment());
    let used = world.clone().run_one(call(0, 0)).gas_used;
    world.chain.protocol.gas_charge_floor_permille = 100;
    assert!(used > 20_000);
    assert_eq!(world.run_one(call(0, 0)).gas_used, used);
}

#[test]
fn workers_change_nothing() {
    let world = World::new().with_code(CONTRACT, increment());
    let transactions = [call(0, 1), call(1, 2), call(7, 0)];
    let environment = world.environment.clone();
    let input = ExecutionInput::new(&world.chain, environment, &transactions, &[]);
    let alone = execute_sequential(&input, &world.state).unwrap();
    for workers in 1..4 {
        let workers = NonZeroUsize::new(workers).unwrap();
        let engine = Engine::new(workers).unwrap().always_parallel();
        assert_eq!(engine.execute(&input, &world.state).unwrap(), alone);
    }
}

#[test]
fn the_diff_says_exactly_what_changed() {
    let mut world = World::new().with_code(CONTRACT, increment());
    let executed = world.run(&[call(0, 3)]);
    let touched: Vec<_> = executed.diff.accounts.keys().copied().collect();
    let mut expected = vec![ALICE, CONTRACT, PROPOSER];
    expected.sort_unstable();
    assert_eq!(touched, expected);
    let contract = &executed.diff.accounts[&CONTRACT];
    assert!(!contract.storage_wiped);
    assert_eq!(
        contract.storage.iter().collect::<Vec<_>>(),
        [(&U256::ZERO, &U256::ONE)]
    );
    assert!(executed.diff.code.is_empty());
    assert_eq!(executed.access.slots_read, 1);
    assert_eq!(executed.access.slots_written, 1);
    assert_eq!(executed.access.accounts_written, 3);
    let nothing = world.execute(&[], &[]);
    assert!(nothing.diff.accounts.is_empty());
    let roots = nothing.roots(&[]);
    assert_eq!(roots.receipts_root, EMPTY_ROOT_HASH);
    assert_eq!(roots.transactions_root, EMPTY_ROOT_HASH);
}

#[test]
fn values_that_return_to_what_they_were_are_no_writes() {
    // Adds the value of the call to slot 0, which is read before.
    let code = Bytes::from_static(&[0x34, 0x5f, 0x54, 0x18, 0x5f, 0x55, 0x00]);
    let mut world = World::new().with_code(CONTRACT, code);
    let executed = world.run(&[call(0, 6), call(1, 6)]);
    assert_eq!(world.storage(CONTRACT, 0), U256::ZERO);
    assert!(executed.diff.accounts[&CONTRACT].storage.is_empty());
}

#[test]
fn a_contract_that_dies_as_it_is_born_leaves_nothing() {
    let mut world = World::new();
    let executed = world.run(&[sent_by(ALICE, transaction(TxKind::Create, 9, destruct()))]);
    let born = executed.receipts[0].contract_address.unwrap();
    assert!(executed.receipts[0].is_success());
    assert!(!executed.diff.accounts.contains_key(&born));
    assert!(executed.diff.code.is_empty());
    assert_eq!(world.balance(SINK), U256::from(9));
    // Later it keeps its code (EIP-6780).
    let mut world = World::new().with_code(CONTRACT, destruct());
    let executed = world.run(&[call(0, 9)]);
    assert!(executed.receipts[0].is_success());
    assert!(world.account(CONTRACT).has_code());
    assert_eq!(world.balance(SINK), U256::from(9));
}

#[test]
fn a_contract_over_an_account_with_money_keeps_the_money() {
    let born = ALICE.create(0);
    let mut world = World::new().with_balance(born, 11);
    // Returns one zero byte as code.
    let init = Bytes::from_static(&[0x60, 0x01, 0x5f, 0xf3]);
    let executed = world.run(&[sent_by(ALICE, transaction(TxKind::Create, 4, init))]);
    assert_eq!(world.balance(born), U256::from(15));
    let code_hash = world.account(born).code_hash;
    assert_eq!(executed.diff.code[&code_hash], Bytes::from_static(&[0]));
    assert_eq!(world.state.code(&code_hash).unwrap().unwrap().len(), 1);
}

#[test]
fn empty_accounts_that_are_touched_go() {
    let mut world = World::new();
    world.state.set_account(SINK, state::Account::default());
    let executed = world.run(&[sent_by(
        ALICE,
        transaction(TxKind::Call(SINK), 0, Bytes::new()),
    )]);
    assert_eq!(executed.diff.accounts[&SINK].account, None);
    assert_eq!(world.state.account(&SINK).unwrap(), None);
}

#[test]
fn the_parent_hash_is_recorded_where_the_contract_is() {
    let mut world = World::new()
        .with_code(HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone())
        .with_code(BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone());
    world.environment.height = 9;
    world.run(&[]);
    let recorded = world.storage(HISTORY_STORAGE_ADDRESS, 8);
    assert_eq!(B256::from(recorded), B256::repeat_byte(4));
    let slot = 1_700_000_000 % 8_191;
    assert_eq!(world.storage(BEACON_ROOTS_ADDRESS, slot), U256::ZERO);
    world.environment.parent_beacon_root = B256::repeat_byte(8);
    world.run(&[]);
    let root = world.storage(BEACON_ROOTS_ADDRESS, slot + 8_191);
    assert_eq!(B256::from(root), B256::repeat_byte(8));
}

#[test]
fn blockhash_knows_the_parent_and_the_state_knows_the_rest() {
    // Stores the hashes of its parent, its grandparent and itself.
    let code = Bytes::from_static(&[
        0x60, 0x01, 0x43, 0x03, 0x40, 0x5f, 0x55, 0x60, 0x02, 0x43, 0x03, 0x40, 0x60, 0x01, 0x55,
        0x43, 0x40, 0x60, 0x02, 0x55, 0x00,
    ]);
    let mut world = World::new().with_code(CONTRACT, code);
    world.environment.height = 20;
    world.state.set_block_hash(18, B256::repeat_byte(18));
    world.run_one(call(0, 0));
    assert_eq!(B256::from(world.storage(CONTRACT, 0)), B256::repeat_byte(4));
    assert_eq!(
        B256::from(world.storage(CONTRACT, 1)),
        B256::repeat_byte(18)
    );
    assert_eq!(world.storage(CONTRACT, 2), U256::ZERO);
}

#[test]
fn directives_are_for_development_chains() {
    let mut world = World::new();
    let directives = [
        Directive::SetBalance(BOB, U256::from(77)),
        Directive::SetNonce(BOB, 5),
        Directive::SetCode(CONTRACT, increment()),
        Directive::SetStorage(CONTRACT, U256::ZERO, U256::from(40)),
    ];
    let ignored = world.execute(&[], &directives);
    assert!(ignored.diff.accounts.is_empty());
    world.chain.protocol.dev = true;
    let executed = world.execute(&[call(0, 0)], &directives);
    world.state.apply(&executed.diff);
    assert_eq!(world.balance(BOB), U256::from(77));
    assert_eq!(world.account(BOB).nonce, 5);
    assert_eq!(world.storage(CONTRACT, 0), U256::from(41));
    // Bytes that only look like a delegation are code like any other.
    let odd = Directive::SetCode(SINK, Bytes::from_static(&[0xef, 0x01, 0x00, 0x01]));
    world.state.apply(&world.execute(&[], &[odd]).diff);
    assert!(world.account(SINK).has_code());
    let cleared = Directive::SetCode(SINK, Bytes::new());
    world.state.apply(&world.execute(&[], &[cleared]).diff);
    assert_eq!(world.state.account(&SINK).unwrap(), None);
}

#[test]
fn impersonated_contracts_send_on_development_chains() {
    let impersonated = |nonce| {
        let transaction = TxLegacy {
            nonce,
            gas_price: 2_000,
            gas_limit: 21_000,
            to: TxKind::Call(SINK),
            value: U256::ONE,
            ..TxLegacy::default()
        };
        let r = U256::from_be_bytes(CONTRACT.into_word().0);
        let signed = transaction.into_signed(Signature::new(r, U256::ZERO, false));
        RecoveredTransaction::from_fixture(Envelope::Legacy(signed), CONTRACT)
    };
    let mut world = World::new()
        .with_code(CONTRACT, create())
        .with_balance(CONTRACT, ETHER);
    assert_eq!(
        world
            .execute(&[impersonated(0)], &[])
            .inclusion_faults
            .len(),
        1
    );
    world.chain.protocol.dev = true;
    assert!(world.run_one(impersonated(0)).is_success());
    assert_eq!(world.balance(SINK), U256::ONE);
}

#[test]
fn the_header_is_a_post_merge_one() {
    let mut world = World::new().with_code(CONTRACT, increment());
    let environment = world.environment.clone();
    let executed = world.run(&[call(0, 0)]);
    let digest = B256::repeat_byte(0xd1);
    let root = *world.state.root();
    let roots = Roots {
        state_root: root,
        block: executed.roots(&[]),
    };
    let header = ethereum_header(&environment, &executed, roots, digest);
    assert_eq!(header.number, 1);
    assert_eq!(header.gas_used, executed.gas_used);
    assert_eq!(header.extra_data.as_ref(), digest.as_slice());
    assert_eq!(header.state_root, root);
    assert_eq!(header.withdrawals_root, Some(EMPTY_WITHDRAWALS));
    assert!(!header.logs_bloom.is_zero());
    assert!(header.difficulty.is_zero() && header.nonce.is_zero());
    assert_ne!(header.receipts_root, EMPTY_ROOT_HASH);
    assert_ne!(header.hash_slow(), world.environment.parent_hash);
}

#[test]
fn ethereum_s_rules_know_no_faults_and_no_floor() {
    let mut world = World::new().with_code(CONTRACT, increment());
    world.chain.protocol.gas_charge_floor_permille = 1_000;
    let transactions = [call(3, 0), call(0, 0)];
    let rules = EthereumRules {
        fork: Fork::Cancun,
        ..EthereumRules::default()
    };
    let environment = world.environment.clone();
    let input = ExecutionInput::ethereum(&world.chain, environment, &transactions, rules);
    let executed = execute_sequential(&input, &world.state).unwrap();
    assert_eq!(executed.inclusion_faults.len(), 1);
    assert_eq!(executed.receipts[0].gas_used, 0);
    assert!(executed.receipts[1].gas_used < 50_000);
}
