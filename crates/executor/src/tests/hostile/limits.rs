//! Code that runs into every limit of the virtual machine, side by side in one block.

use super::{call, place};
use crate::{
    Fork,
    tests::world::{ALICE, ETHER, World, increment, sent_by, transaction},
};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use primitives::RecoveredTransaction;

/// What code does, the code, and whether calling it succeeds.
type Program = (&'static str, Vec<u8>, bool);

fn programs() -> Vec<Program> {
    let far = [&[0x5f, 0x7f][..], &[0xff; 32], &[0x52]].concat();
    vec![
        (
            "a word of memory at the end of the address space",
            far,
            false,
        ),
        (
            "a megabyte of memory",
            vec![0x5f, 0x62, 0x10, 0, 0, 0x52],
            true,
        ),
        (
            "memory beyond what gas buys",
            vec![0x5f, 0x63, 0x7f, 0, 0, 0, 0x52],
            false,
        ),
        (
            "a copy of 4 GiB",
            vec![0x63, 0xff, 0xff, 0xff, 0xff, 0x5f, 0x5f, 0x37],
            false,
        ),
        (
            "a stack of more than 1024",
            vec![0x5b, 0x5f, 0x5f, 0x56],
            false,
        ),
        ("an empty stack", vec![0x01], false),
        ("no instruction", vec![0xfe], false),
        ("a jump to nowhere", vec![0x60, 0x05, 0x56], false),
        (
            "a jump into a push",
            vec![0x60, 0x04, 0x56, 0x60, 0x5b],
            false,
        ),
        ("a loop without end", vec![0x5b, 0x5f, 0x56], false),
        ("a call of itself until gas is gone", recurse(), true),
        (
            "a revert of much",
            vec![0x62, 0x01, 0, 0, 0x5f, 0xfd],
            false,
        ),
        (
            "more return data than there is",
            vec![0x60, 0x01, 0x5f, 0x5f, 0x3e],
            false,
        ),
        ("a log of much", vec![0x62, 0x01, 0, 0, 0x5f, 0xa0], true),
        ("a truncated push", vec![0x7f, 0x01], true),
    ]
}

/// Calls itself with all gas, then counts in slot 0.
fn recurse() -> Vec<u8> {
    vec![
        0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x30, 0x5a, 0xf1, // CALL(GAS, ADDRESS)
        0x5f, 0x54, 0x01, 0x5f, 0x55, 0x00, // slot 0 += result
    ]
}

fn costly(nonce: u64, to: TxKind, input: impl Into<Bytes>) -> RecoveredTransaction {
    let mut costly = transaction(to, 0, input.into());
    costly.nonce = nonce;
    costly.gas_limit = 16_000_000;
    sent_by(ALICE, costly)
}

fn rich() -> World {
    let mut world = World::new().with_balance(ALICE, 15 * ETHER);
    world.environment.gas_limit = 1_000_000_000_000_000;
    world
}

#[test]
fn code_at_the_limits_of_the_machine() {
    let mut world = rich();
    let mut transactions = Vec::new();
    let programs = programs();
    for (index, (_, code, _)) in (0..).zip(&programs) {
        world = world.with_code(place(index), code.clone().into());
        transactions.push(costly(index, TxKind::Call(place(index)), Bytes::new()));
    }
    let executed = world.agree(&transactions);
    assert_eq!(executed.inclusion_faults, Vec::new());
    for ((name, _, succeeds), receipt) in programs.iter().zip(&executed.receipts) {
        assert_eq!(receipt.is_success(), *succeeds, "{name}");
    }
}

#[test]
fn more_than_a_thousand_frames() {
    let world = rich().with_code(place(0), recurse().into());
    let mut deep = transaction(TxKind::Call(place(0)), 0, Bytes::new());
    deep.gas_limit = 10_000_000_000_000;
    let deep = |nonce| {
        let mut deep = deep.clone();
        deep.nonce = nonce;
        sent_by(ALICE, deep)
    };
    let executed = world.agree_as(Fork::Cancun, &[deep(0), deep(1), deep(2)]);
    assert!(executed.receipts.iter().all(crate::Receipt::is_success));
    let slots = &executed.diff.accounts[&place(0)].storage;
    // The last frame cannot call another; all before it count that they could.
    assert_eq!(slots[&U256::ZERO], U256::from(3 * 1_024));
}

#[test]
fn calldata_of_128_kib() {
    // Keeps the hash of its input in slot 0.
    let code = vec![0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0x20, 0x5f, 0x55, 0x00];
    let world = rich().with_code(place(0), code.into());
    let input = |byte| vec![byte; 128 * 1_024];
    let executed = world.agree(&[
        costly(0, TxKind::Call(place(0)), input(1)),
        costly(1, TxKind::Call(place(0)), input(0)),
        costly(2, TxKind::Call(place(1)), input(3)),
        call(3, place(0), input(4)),
    ]);
    assert_eq!(executed.inclusion_faults.len(), 1);
    assert_eq!(executed.inclusion_faults[0].index, 3);
    assert_eq!(executed.diff.accounts[&place(0)].storage.len(), 1);
}

#[test]
fn creations_at_the_limits() {
    let returning = |length: u16| {
        let [high, low] = length.to_be_bytes();
        vec![0x61, high, low, 0x5f, 0xf3]
    };
    let creations = [
        (vec![0; 49_152], true, true),
        (vec![0; 49_153], false, false),
        (returning(24_576), true, true),
        (returning(24_577), true, false),
        // Code that begins with 0xef.
        (
            vec![0x60, 0xef, 0x5f, 0x53, 0x60, 0x01, 0x5f, 0xf3],
            true,
            false,
        ),
        (vec![0xfe], true, false),
        (vec![0x5f, 0x5f, 0xfd], true, false),
        (vec![0x30, 0xff], true, true),
        (Vec::new(), true, true),
    ];
    // On this chain, what should not have been ordered uses its nonce too.
    let transactions: Vec<_> = (0..)
        .zip(&creations)
        .map(|(nonce, (code, ..))| costly(nonce, TxKind::Create, code.clone()))
        .collect();
    let executed = rich().agree(&transactions);
    for ((index, receipt), (_, is_valid, succeeds)) in
        executed.receipts.iter().enumerate().zip(&creations)
    {
        assert_eq!(receipt.is_success(), *succeeds, "creation={index}");
        let faults = &executed.inclusion_faults;
        assert_eq!(
            faults.iter().all(|fault| fault.index != index),
            *is_valid,
            "{index}"
        );
    }
}

#[test]
fn precompiles_that_fail() {
    let addresses = (1..=0x11).chain([0x100]).map(|number: u16| {
        let mut address = Address::ZERO;
        address[18..].copy_from_slice(&number.to_be_bytes());
        address
    });
    let inputs = [
        vec![],
        vec![1],
        vec![0xff; 96],
        vec![0; 128],
        vec![0xff; 384],
        vec![2; 213],
    ];
    let mut transactions = Vec::new();
    for address in addresses {
        for input in &inputs {
            for gas_limit in [40_000, 900_000] {
                let mut call = transaction(TxKind::Call(address), 1, input.clone().into());
                call.nonce = u64::try_from(transactions.len()).unwrap();
                call.gas_limit = gas_limit;
                transactions.push(sent_by(ALICE, call));
            }
        }
    }
    let executed = rich().agree(&transactions);
    assert_eq!(executed.inclusion_faults, Vec::new());
    let failed = executed
        .receipts
        .iter()
        .filter(|receipt| !receipt.is_success());
    let failed = failed.count();
    assert!(failed > 50 && failed < transactions.len() - 50, "{failed}");
}

#[test]
fn gas_that_ends_at_every_step() {
    let mut world = World::new().with_code(place(0), increment());
    world.state.set_storage(place(0), U256::ZERO, U256::ONE);
    let transactions: Vec<_> = (0..400)
        .map(|nonce| {
            let mut call = transaction(TxKind::Call(place(0)), 0, Bytes::new());
            call.nonce = nonce;
            call.gas_limit = 20_990 + nonce * 40;
            sent_by(ALICE, call)
        })
        .collect();
    let executed = world.agree(&transactions);
    let succeeded = executed
        .receipts
        .iter()
        .filter(|receipt| receipt.is_success());
    let succeeded = succeeded.count();
    assert!(succeeded > 100 && succeeded < 390, "{succeeded}");
    let counted = executed.diff.accounts[&place(0)].storage[&U256::ZERO];
    assert_eq!(counted, U256::from(succeeded + 1));
}
