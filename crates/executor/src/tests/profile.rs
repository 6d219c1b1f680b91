//! What kept transactions from running at once: blocks of contracts that are written badly on purpose, and
//! lists made by hand.

use super::world::{ALICE, CONTRACT, ETHER, World, increment, sent_by, signer, transaction};
use crate::{
    AccessList, ExecutedBlock, PlaceKind, Profile, Writes,
    access::{Change, Lists},
};
use alloy_primitives::{Address, Bytes, TxKind, U256, hex, keccak256};
use primitives::RecoveredTransaction;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use std::num::NonZeroUsize;

const TOKEN: &str = include_str!("../../../../contracts/artifacts/Token.json");
const SHOP: Address = Address::repeat_byte(0x5b);

fn runtime(artifact: &str) -> Bytes {
    let (_, rest) = artifact.split_once("\"runtime\": \"").unwrap();
    let (code, _) = rest.split_once('"').unwrap();
    hex::decode(code).unwrap().into()
}

fn profile(executed: &ExecutedBlock, transactions: &[RecoveredTransaction]) -> Profile {
    Profile::new(&executed.access_list(), transactions, &executed.receipts)
}

/// A profile of a list alone.
fn of_list(lists: Lists) -> Profile {
    Profile::new(&AccessList::new(lists), &[], &[])
}

/// Slot `key` of the last account, written by these transactions.
fn write_slot(lists: &mut Lists, key: u64, writers: &[u32]) {
    lists.begin_slot(U256::from(key));
    let changes = writers.iter().map(|writer| Change {
        index: writer + 1,
        value: U256::from(writer % 7),
    });
    lists.values.extend(changes);
}

#[test]
fn a_counter_is_named_with_who_touches_it() {
    let world = World::new().with_code(CONTRACT, increment());
    let input = Bytes::from_static(&hex!("d09de08a"));
    let transactions: Vec<RecoveredTransaction> = (0..20)
        .map(|nonce| {
            let mut call = transaction(TxKind::Call(CONTRACT), 0, input.clone());
            call.nonce = nonce;
            sent_by(ALICE, call)
        })
        .collect();
    let executed = world.execute(&transactions, &[]);
    let profile = profile(&executed, &transactions);
    assert_eq!(profile.transaction_count, 20);
    assert_eq!(profile.gas, executed.gas_used);
    assert_eq!(profile.waiting_count, 19);
    assert_eq!(profile.critical_path.gas, executed.gas_used);
    assert_eq!(profile.critical_path.count_max, 20);
    assert_eq!(
        profile.critical_path.transactions,
        (0..20).collect::<Vec<_>>()
    );
    assert!(
        profile
            .speedups
            .iter()
            .all(|one| one.bound_permille == 1_000)
    );
    let [place] = profile.hot_places.as_slice() else {
        panic!("one place: {:?}", profile.hot_places);
    };
    assert_eq!((place.address, place.slot), (CONTRACT, Some(U256::ZERO)));
    assert_eq!(place.kind, PlaceKind::Counter);
    assert_eq!(place.writes, Writes::Step(U256::ONE));
    assert_eq!((place.waiting_count, place.critical_count), (19, 19));
    assert_eq!(place.transactions, (0..20).collect::<Vec<_>>());
    assert_eq!(place.spread, [1; 20]);
    let [function] = place.functions.as_slice() else {
        panic!("one function: {:?}", place.functions);
    };
    assert_eq!(function.to, Some(CONTRACT));
    assert_eq!(function.name().unwrap(), "0xd09de08a (increment)");
    assert_eq!(function.transaction_count, 20);
    let advice = profile.advice();
    assert!(
        advice[0].starts_with("19 of 20 transactions wait"),
        "{advice:?}"
    );
    let expected = format!(
        "19 of 20 transactions wait for slot 0x0 of {CONTRACT}: each call of 0xd09de08a (increment) adds 1 to it."
    );
    assert!(advice[1].starts_with(&expected), "{advice:?}");
    assert!(advice[2].contains("are of one sender"), "{advice:?}");
    assert_eq!(profile.nonce_chains[0].sender, ALICE);
    assert_eq!(profile.nonce_chains[0].transaction_count, 20);
}

#[test]
fn a_hot_balance_of_a_token_is_named_with_its_holder() {
    let mut world = World::new().with_code(CONTRACT, runtime(TOKEN));
    let selector = &keccak256("transfer(address,uint256)")[..4];
    let amount = U256::from(5).to_be_bytes::<32>();
    let input: Bytes = [selector, &SHOP.into_word().0, &amount].concat().into();
    let mut transactions = Vec::new();
    for index in 0..12 {
        let sender = signer(index).address();
        world = world.with_balance(sender, ETHER);
        let key = keccak256([sender.into_word().0, [0; 32]].concat());
        world
            .state
            .set_storage(CONTRACT, key.into(), U256::from(100));
        let call = transaction(TxKind::Call(CONTRACT), 0, input.clone());
        transactions.push(sent_by(sender, call));
    }
    let executed = world.execute(&transactions, &[]);
    assert!(executed.receipts.iter().all(crate::Receipt::is_success));
    let profile = profile(&executed, &transactions);
    let place = &profile.hot_places[0];
    assert_eq!(place.kind, PlaceKind::TokenBalance);
    assert_eq!(place.holder, Some(SHOP));
    assert_eq!(place.waiting_count, 11);
    let advice = profile.advice();
    let expected =
        format!("it is what {SHOP} has of that token, and each call of 0xa9059cbb (transfer)");
    assert!(advice[1].contains(&expected), "{advice:?}");
    assert_eq!(profile.nonce_chains, Vec::new());
}

#[test]
fn transfers_of_ether_wait_for_nobody() {
    let mut world = World::new();
    let mut transactions = Vec::new();
    for index in 0..10 {
        let sender = signer(index).address();
        world = world.with_balance(sender, ETHER);
        transactions.push(sent_by(
            sender,
            transaction(TxKind::Call(SHOP), 1, Bytes::new()),
        ));
    }
    let executed = world.execute(&transactions, &[]);
    let profile = profile(&executed, &transactions);
    assert_eq!(profile.waiting_count, 0);
    assert_eq!(profile.hot_places, Vec::new());
    assert_eq!(profile.critical_path.gas, 21_000);
    let bounds: Vec<u64> = profile
        .speedups
        .iter()
        .map(|one| one.bound_permille)
        .collect();
    assert_eq!(bounds, [2_000, 4_000, 8_000, 10_000, 10_000, 10_000]);
    assert_eq!(
        profile.advice(),
        ["No transaction waits for another: all 10 could run at once."]
    );
}

#[test]
fn an_empty_block_says_so() {
    let profile = of_list(Lists::default());
    assert_eq!(profile.advice(), ["The block is empty."]);
    assert_eq!(profile.critical_path.gas, 0);
}

#[test]
fn fresh_code_is_waited_for_by_those_who_call_it() {
    let call = |nonce| {
        let mut call = transaction(TxKind::Call(CONTRACT), 0, Bytes::new());
        call.nonce = nonce;
        sent_by(ALICE, call)
    };
    let transactions = [call(0), call(1), call(2)];
    let mut lists = Lists {
        gas_used: vec![30_000; 3],
        ..Lists::default()
    };
    lists.begin_account(CONTRACT);
    lists.codes.push(Change {
        index: 2,
        value: crate::access::Code {
            hash: keccak256([0]),
            bytes: Bytes::from_static(&[0]),
        },
    });
    let profile = Profile::new(&AccessList::new(lists), &transactions, &[]);
    assert_eq!((profile.waiting_count, profile.place_count), (1, 1));
    let place = &profile.hot_places[0];
    assert_eq!((place.kind, place.slot), (PlaceKind::Code, None));
    assert_eq!(profile.critical_path.transactions, [1, 2]);
}

#[test]
fn the_path_is_the_one_with_most_gas() {
    let mut lists = Lists {
        gas_used: vec![10, 10, 10, 500, 500, 10],
        ..Lists::default()
    };
    lists.begin_account(CONTRACT);
    write_slot(&mut lists, 1, &[0, 1, 2, 5]);
    write_slot(&mut lists, 2, &[3, 4]);
    write_slot(&mut lists, 3, &[4]);
    let profile = of_list(lists);
    assert_eq!(profile.critical_path.gas, 1_000);
    assert_eq!(profile.critical_path.transactions, [3, 4]);
    assert_eq!(profile.critical_path.count_max, 4);
    assert_eq!((profile.waiting_count, profile.place_count), (4, 2));
    // Most gas waiting first, not most transactions.
    let slots: Vec<U256> = profile
        .hot_places
        .iter()
        .filter_map(|place| place.slot)
        .collect();
    assert_eq!(slots, [U256::from(2), U256::from(1)]);
    assert_eq!(profile.hot_places[0].spread, [0, 0, 0, 1, 1, 0]);
    assert_eq!(profile.hot_places[0].critical_count, 1);
    assert_eq!(profile.hot_places[1].critical_count, 0);
}

#[test]
fn what_a_damaged_list_names_beyond_the_block_is_left_out() {
    let mut lists = Lists {
        gas_used: vec![10, 10],
        ..Lists::default()
    };
    lists.begin_account(CONTRACT);
    // Twice the same, backwards, and beyond.
    write_slot(&mut lists, 1, &[1, 1, 0, 900, 901]);
    assert_eq!(of_list(lists).waiting_count, 0);
}

#[test]
fn no_schedule_beats_the_bound() {
    let mut rng = StdRng::seed_from_u64(7);
    for _ in 0..50 {
        let mut lists = Lists {
            gas_used: (0..60).map(|_| rng.random_range(21_000..200_000)).collect(),
            ..Lists::default()
        };
        lists.begin_account(CONTRACT);
        for key in 0..rng.random_range(1..30) {
            let mut writers: Vec<u32> = (0..rng.random_range(1..20))
                .map(|_| rng.random_range(0..60))
                .collect();
            writers.sort_unstable();
            writers.dedup();
            write_slot(&mut lists, key, &writers);
        }
        let profile = of_list(lists);
        for bound in &profile.speedups {
            let workers = NonZeroUsize::new(bound.workers).unwrap();
            let schedule = profile.schedule(workers);
            assert_eq!(schedule.critical_path_ns, profile.critical_path.gas);
            assert_eq!(schedule.total_ns, profile.gas);
            assert!(
                schedule.speedup_permille() <= bound.bound_permille,
                "{bound:?} {}",
                schedule.speedup_permille()
            );
        }
    }
}
