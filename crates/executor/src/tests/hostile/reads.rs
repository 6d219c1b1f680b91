//! States that cannot be read, now and then or ever: a fault, never a wrong result, never a hang.

use super::{agree, agree_on_fault, call, call_by, engines, place};
use crate::{
    CodeCache, ExecutedBlock, ExecutionFault, ExecutionInput, execute_sequential,
    tests::world::{ALICE, BOB, ETHER, SINK, World, increment, sent_by, transaction},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use primitives::RecoveredTransaction;
use state::{Account, ReadFault, StateReader, StoreError};
use std::{
    collections::BTreeSet,
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// What is read of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Read {
    Account(Address),
    Storage(Address, U256),
    Code(B256),
    Hash(u64),
}

/// A state that asks before each read whether it works.
pub(super) struct Watched<'s, S, F> {
    state: &'s S,
    reads: AtomicUsize,
    works: F,
}

impl<'s, S: StateReader, F: Fn(usize, Read) -> bool> Watched<'s, S, F> {
    /// Reads are numbered in the order in which they come.
    pub(super) fn new(state: &'s S, works: F) -> Self {
        Self {
            state,
            reads: AtomicUsize::new(0),
            works,
        }
    }

    fn ask(&self, read: Read) -> Result<(), ReadFault> {
        let number = self.reads.fetch_add(1, Ordering::Relaxed);
        match (self.works)(number, read) {
            true => Ok(()),
            false => {
                let broken = StoreError::Disk(io::Error::other("broken"));
                Err(ReadFault::Store(Box::new(broken)))
            }
        }
    }
}

impl<S: StateReader, F: Fn(usize, Read) -> bool> StateReader for Watched<'_, S, F> {
    fn account(&self, address: &Address) -> Result<Option<Account>, ReadFault> {
        self.ask(Read::Account(*address))?;
        self.state.account(address)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, ReadFault> {
        self.ask(Read::Storage(*address, *slot))?;
        self.state.storage(address, slot)
    }

    fn code(&self, code_hash: &B256) -> Result<Option<Bytes>, ReadFault> {
        self.ask(Read::Code(*code_hash))?;
        self.state.code(code_hash)
    }

    fn block_hash(&self, height: u64) -> Result<Option<B256>, ReadFault> {
        self.ask(Read::Hash(height))?;
        self.state.block_hash(height)
    }
}

/// Calls that read everything that can be read, transfers, creations, and an invalid transaction.
fn block() -> (World, Vec<RecoveredTransaction>) {
    // Keeps the hash of block number 5 in slot 0, and the size of the first contract in slot 1.
    let mut curious = vec![0x60, 0x05, 0x40, 0x5f, 0x55, 0x73];
    curious.extend_from_slice(place(0).as_slice());
    curious.extend_from_slice(&[0x3b, 0x60, 0x01, 0x55, 0x00]);
    let mut world = World::new()
        .with_balance(BOB, ETHER)
        .with_code(place(0), increment())
        .with_code(place(1), curious.into())
        .with_code(place(2), super::super::world::create());
    world.environment.height = 9;
    world.state.set_block_hash(5, B256::repeat_byte(5));
    world.state.set_storage(place(0), U256::ZERO, U256::from(7));
    let mut transactions = Vec::new();
    for nonce in 0..6 {
        transactions.push(call(3 * nonce, place(0), vec![]));
        transactions.push(call(3 * nonce + 1, place(1), vec![]));
        transactions.push(call(3 * nonce + 2, place(2), vec![]));
        let to = TxKind::Call([SINK, place(50 + nonce)][usize::try_from(nonce % 2).unwrap()]);
        let mut payment = transaction(to, 1, Bytes::new());
        payment.nonce = nonce;
        transactions.push(sent_by(BOB, payment));
    }
    transactions.push(call_by(place(90), 4, SINK, vec![1]));
    (world, transactions)
}

/// The fault of reading, or the result that was expected.
fn fails(
    result: Result<ExecutedBlock, ExecutionFault>,
    expected: &ExecutedBlock,
    name: &str,
) -> bool {
    match result {
        Ok(executed) => {
            assert_eq!(executed, *expected, "{name}");
            false
        }
        Err(ExecutionFault::Read(_)) => true,
        Err(fault) => panic!("{name}: {fault}"),
    }
}

/// Everything that executing in order reads, in order.
fn reads_of(input: &ExecutionInput<'_>, state: &impl StateReader) -> Vec<Read> {
    let reads = Mutex::new(Vec::new());
    let watched = Watched::new(state, |_, read| {
        reads.lock().unwrap().push(read);
        true
    });
    execute_sequential(input, &watched).unwrap();
    reads.into_inner().unwrap()
}

#[test]
fn a_place_that_can_never_be_read_is_a_fault() {
    let (world, transactions) = block();
    let reads: BTreeSet<Read> = reads_of(&world.input(&transactions), &world.state)
        .into_iter()
        .collect();
    for kind in ["Account", "Storage", "Code", "Hash"] {
        let mut names = reads.iter().map(|read| format!("{read:?}"));
        assert!(
            names.any(|name| name.starts_with(kind)),
            "nothing reads {kind}"
        );
    }
    let engines = engines();
    for broken in &reads {
        let state = Watched::new(&world.state, |_, read| read != *broken);
        // An engine that knew the code already would not have to read it.
        let codes: Vec<_> = engines.iter().map(|_| CodeCache::default()).collect();
        let mut input = world.input(&transactions);
        assert!(execute_sequential(&input, &state).is_err(), "{broken:?}");
        for (engine, codes) in engines.iter().zip(&codes) {
            input.code_cache = Some(codes);
            let fault = engine.execute(&input, &state).unwrap_err();
            assert!(
                matches!(fault, ExecutionFault::Read(_)),
                "{engine:?} {broken:?}: {fault}"
            );
        }
    }
}

#[test]
fn a_state_that_breaks_for_ever_at_any_read_is_a_fault() {
    let (world, transactions) = block();
    let expected = agree(&world.input(&transactions), &world.state);
    let needed = reads_of(&world.input(&transactions), &world.state).len();
    for engine in engines() {
        let mut faults = 0;
        for good in 0..needed + 20 {
            let codes = CodeCache::default();
            let mut input = world.input(&transactions);
            input.code_cache = Some(&codes);
            let state = Watched::new(&world.state, |number, _| number < good);
            let name = format!("{engine:?} good={good}");
            faults += usize::from(fails(engine.execute(&input, &state), &expected, &name));
        }
        // Reading ahead takes no read away from those that are needed, but for code that several
        // workers may read at once.
        assert!(
            faults + 12 >= needed,
            "{engine:?} faults={faults} needed={needed}"
        );
    }
}

#[test]
fn a_read_that_fails_once_is_a_fault_or_is_made_again() {
    let (world, transactions) = block();
    let expected = agree(&world.input(&transactions), &world.state);
    let needed = reads_of(&world.input(&transactions), &world.state).len();
    for engine in engines() {
        let mut faults = 0;
        for broken in 0..needed + 20 {
            let codes = CodeCache::default();
            let mut input = world.input(&transactions);
            input.code_cache = Some(&codes);
            let state = Watched::new(&world.state, |number, _| number != broken);
            let name = format!("{engine:?} broken={broken}");
            faults += usize::from(fails(engine.execute(&input, &state), &expected, &name));
        }
        assert!(faults > 0, "{engine:?}");
    }
}

#[test]
fn code_that_the_state_lacks_is_a_fault_only_for_who_runs_it() {
    let mut world = World::new();
    let lost = Account {
        balance: U256::ONE,
        code_hash: B256::repeat_byte(0x1c),
        ..Account::default()
    };
    world.state.set_account(place(5), lost);
    let fault = agree_on_fault(
        &world.input(&[call(0, SINK, vec![1]), call(1, place(5), vec![])]),
        &world.state,
    );
    assert!(matches!(fault, ExecutionFault::CodeMissing(hash) if hash == lost.code_hash));
    // Calls the account unless slot 0 is set; sets it when it is given input.
    let mut code = vec![0x36, 0x60, 0x29, 0x57, 0x5f, 0x54, 0x60, 0x27, 0x57];
    code.extend_from_slice(&[0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x73]);
    code.extend_from_slice(place(5).as_slice());
    code.extend_from_slice(&[0x5a, 0xf1, 0x00, 0x00, 0x5b, 0x00]);
    assert_eq!(code.len(), 0x29);
    code.extend_from_slice(&[0x5b, 0x60, 0x01, 0x5f, 0x55, 0x00]);
    let world = world.with_code(place(6), code.into());
    let calls = |from: u64| (from..from + 12).map(|nonce| call(nonce, place(6), vec![]));
    let transactions: Vec<_> = [call(0, place(6), vec![1])]
        .into_iter()
        .chain(calls(1))
        .collect();
    let executed = world.agree(&transactions);
    assert!(executed.receipts.iter().all(crate::Receipt::is_success));
    let transactions: Vec<_> = calls(0).collect();
    agree_on_fault(&world.input(&transactions), &world.state);
    assert_eq!(world.account(ALICE).nonce, 0);
}

/// A state that breaks its word takes the process down; it does not leave it waiting.
#[test]
#[should_panic(expected = "as asked")]
fn a_panic_of_one_worker_is_everybody_s() {
    let (world, transactions) = block();
    let engine = engines().pop().unwrap();
    let reads = AtomicUsize::new(0);
    let state = Watched::new(&world.state, |_, _| {
        // Any of them: who reads what first is nobody's choice.
        assert!(reads.fetch_add(1, Ordering::Relaxed) < 20, "as asked");
        true
    });
    engine.execute(&world.input(&transactions), &state).unwrap();
}
