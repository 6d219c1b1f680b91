//! Blocks whose witnesses are longer than a collation may be.

use super::{A, SETTLE_MAX, load, network, settle, transfers};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256};
use std::{ops::Range, time::Duration};
use testkit::{
    cluster::{Cluster, ClusterConfig, simulate},
    workload::call_once,
};

/// Contracts with as much code as there may be: half of these fit into a collation, all of them do not.
const CONTRACTS: u16 = 180;
const HALF: u16 = CONTRACTS / 2;
/// So many that even a part of them does not.
const MANY: u16 = 500;
const CODE_BYTES: usize = 24_576;

const WHILE: Duration = Duration::from_secs(4);
const CALL_GAS: u64 = 1_500_000;
/// That wait beside the calls.
const TRANSFERS: usize = 3;

fn contract(index: u16) -> Address {
    Address::ZERO.create(index.into())
}

fn account(code: Vec<u8>) -> GenesisAccount {
    GenesisAccount::default()
        .with_nonce(Some(1))
        .with_code(Some(code.into()))
}

/// Code that asks how long the code of each of these contracts is, so that a witness has it.
fn visitor(of: Range<u16>) -> Vec<u8> {
    const PUSH20: u8 = 0x73;
    const EXTCODESIZE: u8 = 0x3b;
    const POP: u8 = 0x50;
    let visit = |index| {
        [
            &[PUSH20][..],
            contract(index).as_slice(),
            &[EXTCODESIZE, POP],
        ]
        .concat()
    };
    of.flat_map(visit).collect()
}

/// Visits the first contracts, the others, or all.
const VISITORS: [(Address, Range<u16>); 3] = [
    (Address::repeat_byte(0xd1), 0..HALF),
    (Address::repeat_byte(0xd2), HALF..CONTRACTS),
    (Address::repeat_byte(0xd3), 0..CONTRACTS),
];

/// Does nothing but remember the first time; then visits many.
const SWITCH: Address = Address::repeat_byte(0xd4);

fn switch() -> Vec<u8> {
    const PUSH1: u8 = 0x60;
    const SLOAD: u8 = 0x54;
    const SSTORE: u8 = 0x55;
    const JUMPI: u8 = 0x57;
    const JUMPDEST: u8 = 0x5b;
    const STOP: u8 = 0x00;
    let remembers = [
        PUSH1, 0, SLOAD, PUSH1, 12, JUMPI, PUSH1, 1, PUSH1, 0, SSTORE, STOP,
    ];
    [&remembers[..], &[JUMPDEST], &visitor(0..MANY)].concat()
}

fn config(seed: u64) -> ClusterConfig {
    let mut config = network(seed);
    let contracts = (0..MANY).map(|index| {
        let [high, low] = index.to_be_bytes();
        let mut code = vec![low; CODE_BYTES];
        // Code that begins with some other bytes is of another kind.
        (code[0], code[1]) = (0, high);
        (contract(index), account(code))
    });
    config.accounts.extend(contracts);
    let visitors = VISITORS.into_iter();
    config
        .accounts
        .extend(visitors.map(|(address, of)| (address, account(visitor(of)))));
    config.accounts.insert(SWITCH, account(switch()));
    config
}

/// The number of the block that a transaction is in, on one collator.
fn block_of(cluster: &Cluster, collator: usize, hash: &B256) -> Option<u64> {
    let location = cluster.shard_chain(collator, A).transaction(hash);
    let location = location.expect("a simulated disk reads");
    location.map(|(record, _)| record.height())
}

fn dropped(cluster: &Cluster, hash: &B256) -> bool {
    cluster
        .collators(A)
        .any(|collator| cluster.shard_mempool(collator, A).get(hash).is_none())
}

fn run(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        let calls = [0_u8, 1, 2].map(|caller| {
            let (visitor, _) = &VISITORS[usize::from(caller)];
            call_once(&cluster, A, caller, *visitor, CALL_GAS)
        });
        let [first, second, both] = &calls;
        cluster
            .until(
                "what no collation holds is dropped",
                SETTLE_MAX,
                |cluster| dropped(cluster, both),
            )
            .await;
        load(&cluster, &mut transfers, WHILE).await;
        // Each takes more than the part that heavy ones have in most blocks.
        cluster
            .until("the others are in blocks", SETTLE_MAX, |cluster| {
                let mut collators = cluster.collators(A);
                collators.all(|one| {
                    [first, second]
                        .iter()
                        .all(|hash| block_of(cluster, one, hash).is_some())
                })
            })
            .await;
        settle(&cluster, &transfers).await;
        assert!(dropped(&cluster, both));
        for collator in cluster.collators(A) {
            let [first, second] =
                [first, second].map(|hash| block_of(&cluster, collator, hash).expect("executed"));
            assert_ne!(first, second, "no collation holds both");
            assert_eq!(block_of(&cluster, collator, both), None);
        }
    })
}

#[test]
fn what_no_collation_holds_is_dropped_and_the_shard_goes_on() {
    run(1);
}

/// What touches much only in its block costs nobody else a place.
fn switched(seed: u64) -> String {
    simulate(config(seed), |mut cluster| async move {
        cluster.start_all().await;
        let mut transfers = transfers();
        for one in &mut transfers {
            one.submit(&cluster, TRANSFERS);
        }
        let calls = [0_u8, 1].map(|caller| call_once(&cluster, A, caller, SWITCH, CALL_GAS));
        let is_in = |cluster: &Cluster, hash| {
            let mut collators = cluster.collators(A);
            collators.all(|one| block_of(cluster, one, hash).is_some())
        };
        cluster
            .until("one call remembers", SETTLE_MAX, |cluster| {
                calls.iter().any(|hash| is_in(cluster, hash))
            })
            .await;
        // Nobody sends it again.
        let sent = transfers[0].sent();
        cluster
            .until("all transfers are in blocks", SETTLE_MAX, |cluster| {
                sent.iter().all(|hash| is_in(cluster, hash))
            })
            .await;
        let second = calls.iter().find(|hash| !is_in(&cluster, hash));
        let second = second.expect("no collation holds what it touches");
        assert!(dropped(&cluster, second));
        settle(&cluster, &transfers).await;
    })
}

#[test]
fn what_touches_much_only_in_its_block_costs_nobody_else_a_place() {
    switched(1);
}
