//! Executing by a list: what comes before the first transaction, who gets the fee, and lists that are
//! false about it.

use super::world::{
    ALICE, BOB, CONTRACT, ETHER, PROPOSER, SINK, World, create, increment, sent_by, transaction,
};
use crate::{
    AccessList, Engine, ExecutedBlock, ExecutionInput, Falsehood, Field, ListFraud, Listed, Way,
    access::{Change, Lists},
    execute_sequential,
};
use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use primitives::{Directive, RecoveredTransaction};
use state::Account;
use std::num::NonZeroUsize;

fn call(sender: Address, nonce: u64, to: Address, value: u64) -> RecoveredTransaction {
    let mut call = transaction(TxKind::Call(to), value, Bytes::new());
    call.nonce = nonce;
    sent_by(sender, call)
}

fn engines() -> Vec<Engine> {
    let engine = |workers| Engine::new(NonZeroUsize::new(workers).unwrap()).unwrap();
    vec![engine(1), engine(2).always_parallel()]
}

/// Executes a block in order.
fn execute(
    world: &World,
    transactions: &[RecoveredTransaction],
    directives: &[Directive],
) -> ExecutedBlock {
    world.execute(transactions, directives)
}

/// Executes a block by a list, with every engine alike.
fn execute_by(
    world: &World,
    transactions: &[RecoveredTransaction],
    directives: &[Directive],
    list: &AccessList,
) -> Listed {
    let environment = world.environment.clone();
    let input = ExecutionInput::new(&world.chain, environment, transactions, directives);
    let expected = execute_sequential(&input, &world.state).unwrap();
    let mut all = engines().into_iter().map(|engine| {
        let listed = engine.execute_listed(&input, &world.state, list).unwrap();
        assert_eq!(listed.clone().into_executed(), expected);
        listed
    });
    let first = all.next().unwrap();
    assert!(all.all(|other| other == first));
    first
}

/// Executes a block by its own list, which must be found right.
fn execute_listed(
    world: &World,
    transactions: &[RecoveredTransaction],
    directives: &[Directive],
) -> ExecutedBlock {
    let list = execute(world, transactions, directives).access_list();
    let list = AccessList::decode(&list.encode()).unwrap();
    match execute_by(world, transactions, directives, &list) {
        Listed::Executed(executed) => executed,
        Listed::False { fraud, .. } => panic!("{fraud}"),
    }
}

/// Changes a block's list, and says what is found false in it.
fn find_fraud(
    world: &World,
    transactions: &[RecoveredTransaction],
    change: impl FnOnce(&mut Lists),
) -> ListFraud {
    let log = execute(world, transactions, &[]);
    let gas_used = log.receipts.iter().map(|receipt| receipt.gas_used);
    let mut lists = Lists::from_log(&log.log, gas_used.collect());
    change(&mut lists);
    match execute_by(world, transactions, &[], &AccessList::new(lists)) {
        Listed::Executed(_) => panic!("not found out"),
        Listed::False { fraud, .. } => fraud,
    }
}

fn with_system_calls() -> World {
    let mut world = World::new()
        .with_code(HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone())
        .with_code(BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone());
    world.environment.parent_beacon_root = B256::repeat_byte(7);
    world
}

fn with_directives() -> World {
    let mut world = World::new();
    world.chain.protocol.dev = true;
    world
}

#[test]
fn an_empty_block_changes_nothing() {
    let executed = execute_listed(&World::new(), &[], &[]);
    assert_eq!(executed.report.way, Way::Listed);
    let list = executed.access_list();
    // The contract of EIP-2935 is looked for.
    let accounts: Vec<_> = list.lists().parts().map(|part| part.address).collect();
    assert_eq!(accounts, [HISTORY_STORAGE_ADDRESS]);
    assert!(list.lists().parts().all(|part| part.is_unchanged()));
}

#[test]
fn system_calls_come_at_index_0() {
    let world = with_system_calls();
    let executed = execute_listed(&world, &[call(ALICE, 0, SINK, 5)], &[]);
    assert_eq!(executed.report.way, Way::Listed);
    let list = executed.access_list();
    let before = list.lists().values.iter().filter(|value| value.index == 0);
    assert_eq!(before.count(), 3);
    assert_eq!(list.gas_used(), [21_000]);
}

#[test]
fn a_false_opening_is_found_out() {
    let world = with_system_calls();
    let transactions = [call(ALICE, 0, SINK, 5)];
    let find = |change: fn(&mut Lists)| find_fraud(&world, &transactions, change);
    let wrong = find(|lists| lists.values[0].value = U256::from(1));
    assert_eq!((wrong.index, wrong.what), (0, Falsehood::WrongValue));
    assert_eq!(
        (wrong.field, wrong.expected),
        (Field::Slot, Some(U256::from(1)))
    );
    let missing = find(|lists| lists.values[0].index = 1);
    assert_eq!((missing.index, missing.what), (0, Falsehood::MissingWrite));
    let extra = find(|lists| {
        let place = lists.balances.iter().position(|change| change.index == 1);
        lists.balances[place.unwrap()].index = 0;
    });
    assert_eq!((extra.index, extra.what), (0, Falsehood::ExtraWrite));
    assert_eq!(extra.field, Field::Balance);
    let shown = extra.to_string();
    let start = "access list is false: index=0 what=extra_write field=balance address=0x";
    assert!(shown.starts_with(start), "{shown}");
}

#[test]
fn a_fraud_names_the_place_and_both_values() {
    let world = World::new().with_code(CONTRACT, increment());
    let transactions = [call(ALICE, 0, CONTRACT, 0), call(ALICE, 1, CONTRACT, 0)];
    let find = |change: fn(&mut Lists)| find_fraud(&world, &transactions, change);
    let wrong = find(|lists| lists.values[0].value = U256::from(9));
    let expected = ListFraud {
        index: 1,
        what: Falsehood::WrongValue,
        field: Field::Slot,
        address: Some(CONTRACT),
        slot: Some(U256::ZERO),
        expected: Some(U256::from(9)),
        found: Some(U256::from(1)),
    };
    assert_eq!(wrong, expected);
    let gas = find(|lists| lists.gas_used[1] += 1);
    assert_eq!((gas.index, gas.what), (2, Falsehood::WrongGas));
    let wiped = find(|lists| {
        let value = ();
        lists.wipes.push(Change { index: 2, value });
    });
    // It is said of the last account.
    assert_eq!((wiped.index, wiped.field), (2, Field::Wipe));
    assert_eq!(wiped.what, Falsehood::ExtraWrite);
    let nobody = find(|lists| lists.begin_account(Address::repeat_byte(0xff)));
    assert_eq!((nobody.index, nobody.what), (3, Falsehood::ExtraLocation));
    let missing = find(|lists| lists.accounts.truncate(1));
    assert_eq!(
        (missing.index, missing.what),
        (1, Falsehood::MissingLocation)
    );
    let malformed = find(|lists| lists.gas_used.truncate(1));
    assert_eq!((malformed.index, malformed.what), (0, Falsehood::Malformed));
}

#[test]
fn the_fee_receiver_may_take_part() {
    let world = World::new()
        .with_balance(PROPOSER, 5 * ETHER)
        .with_code(CONTRACT, increment());
    let transactions = [
        call(PROPOSER, 0, BOB, 1),
        call(ALICE, 0, PROPOSER, 2),
        call(PROPOSER, 1, CONTRACT, 0),
        call(ALICE, 1, PROPOSER, 0),
        // Cannot be paid: what is left goes to the payer.
        call(PROPOSER, 2, SINK, 6 * ETHER),
        call(PROPOSER, 9, SINK, 1),
    ];
    let executed = execute_listed(&world, &transactions, &[]);
    assert_eq!(executed.inclusion_faults.len(), 2);
    assert_eq!(executed.report.executions, 3);
}

#[test]
fn directives_come_at_index_0() {
    let world = with_directives();
    let directives = [
        Directive::SetBalance(BOB, U256::from(5 * ETHER)),
        Directive::SetNonce(BOB, 3),
        Directive::SetCode(CONTRACT, increment()),
        Directive::SetStorage(CONTRACT, U256::ZERO, U256::from(40)),
        Directive::SetStorage(CONTRACT, U256::from(1), U256::from(1)),
        Directive::SetStorage(CONTRACT, U256::from(1), U256::ZERO),
        Directive::SetBalance(SINK, U256::ZERO),
    ];
    let transactions = [call(BOB, 3, CONTRACT, 0), call(ALICE, 0, CONTRACT, 0)];
    let executed = execute_listed(&world, &transactions, &directives);
    assert_eq!(executed.report.way, Way::Listed);
    let written = &executed.diff.accounts[&CONTRACT].storage;
    assert_eq!(written[&U256::ZERO], U256::from(42));
}

#[test]
fn slots_of_an_account_that_directives_remove_need_no_list() {
    let mut world = with_directives().with_balance(BOB, 1);
    world.state.set_storage(BOB, U256::ZERO, U256::from(7));
    let set = Directive::SetStorage(BOB, U256::from(1), U256::from(1));
    let remove = Directive::SetBalance(BOB, U256::ZERO);
    let again = Directive::SetBalance(BOB, U256::from(2));
    let transactions = [call(ALICE, 0, SINK, 1)];
    for directives in [
        vec![set.clone(), remove.clone()],
        vec![set.clone(), remove.clone(), again.clone()],
        vec![remove.clone(), again, set.clone()],
        vec![remove, set],
    ] {
        let list = execute(&world, &transactions, &directives).access_list();
        let listed = execute_by(&world, &transactions, &directives, &list);
        let Listed::Executed(executed) = listed else {
            panic!("{directives:?}");
        };
        assert_ne!(executed.report.way, Way::Listed);
    }
}

#[test]
fn an_empty_account_that_is_touched_goes() {
    let mut world = World::new().with_code(CONTRACT, create());
    world.state.set_account(BOB, Account::default());
    world.state.set_account(PROPOSER, Account::default());
    let mut free = transaction(TxKind::Call(BOB), 0, Bytes::new());
    free.max_priority_fee_per_gas = 0;
    let transactions = [sent_by(ALICE, free), call(ALICE, 1, CONTRACT, 0)];
    let list = execute(&world, &transactions, &[]).access_list();
    assert!(!list.lists().wipes.is_empty());
    let listed = execute_by(&world, &transactions, &[], &list);
    assert!(matches!(listed, Listed::Executed(_)));
}

#[test]
fn a_list_names_what_was_read_and_what_was_written() {
    let mut world = World::new().with_code(CONTRACT, increment());
    world.chain.protocol.dev = true;
    let directives = [Directive::SetStorage(
        CONTRACT,
        U256::from(9),
        U256::from(1),
    )];
    let executed = world.execute(&[call(ALICE, 0, CONTRACT, 0)], &directives);
    let list = executed.access_list();
    let slots: Vec<_> = list.slots().collect();
    assert_eq!(slots, [(CONTRACT, U256::ZERO), (CONTRACT, U256::from(9))]);
    let accounts: Vec<_> = list.accounts().collect();
    for touched in [ALICE, CONTRACT, PROPOSER] {
        assert!(accounts.contains(&touched), "{touched}");
    }
    assert!(accounts.is_sorted());
}
