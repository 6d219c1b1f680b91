//! Blocks, states and callers that want trouble: every way of executing gives the same result, or
//! the same fault, and comes to an end.
//!
//! ```text
//! block ─┬▶ in order, by the machine alone ──────────────┐
//!        └▶ engines of one and of four workers, twice ───┴▶ equal, to the last read
//! ```
//! Two calls that follow each other are executed ahead by one worker before either is committed, so
//! that what the second sees is out of date whenever the first changes it.

mod cancelled;
mod existence;
mod extremes;
mod life;
mod limits;
mod reads;

use super::world::{ALICE, World, sent_by, transaction};
use crate::{
    Engine, EthereumRules, ExecutedBlock, ExecutionFault, ExecutionInput, Fork, Receipt,
    execute_sequential,
};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use primitives::RecoveredTransaction;
use state::StateReader;
use std::num::NonZeroUsize;

/// One worker, and several.
const WORKERS: [usize; 2] = [1, 4];

fn engines() -> Vec<Engine> {
    let engine = |workers| {
        let workers = NonZeroUsize::new(workers).unwrap();
        Engine::new(workers).unwrap().always_parallel()
    };
    WORKERS.map(engine).into()
}

/// The result of a block on which all ways agree.
fn agree(input: &ExecutionInput<'_>, state: &(impl StateReader + Sync)) -> ExecutedBlock {
    let expected = execute_sequential(input, state).unwrap();
    for engine in engines() {
        // What an engine has learned changes nothing.
        for time in 0..3 {
            let executed = engine.execute(input, state).unwrap();
            assert_same(&executed, &expected, &format!("{engine:?} time={time}"));
            assert_eq!(executed.access_list(), expected.access_list(), "{engine:?}");
        }
    }
    expected
}

fn assert_same(executed: &ExecutedBlock, expected: &ExecutedBlock, name: &str) {
    assert_eq!(
        executed.inclusion_faults, expected.inclusion_faults,
        "{name}"
    );
    let receipts = executed.receipts.iter().zip(&expected.receipts);
    for (index, (left, right)) in receipts.enumerate() {
        let of = |receipt: &Receipt| (receipt.is_success(), receipt.gas_used);
        assert_eq!(of(left), of(right), "{name} transaction={index}");
        assert_eq!(left, right, "{name} transaction={index}");
    }
    assert_eq!(executed.diff, expected.diff, "{name}");
    assert_eq!(executed.access, expected.access, "{name}");
    assert_eq!(executed, expected, "{name}");
}

/// The fault of a block on which all ways agree.
fn agree_on_fault(input: &ExecutionInput<'_>, state: &(impl StateReader + Sync)) -> ExecutionFault {
    let expected = execute_sequential(input, state).unwrap_err();
    for engine in engines() {
        let fault = engine.execute(input, state).unwrap_err();
        assert_eq!(fault.to_string(), expected.to_string(), "{engine:?}");
    }
    expected
}

impl World {
    /// A block of this chain on which all ways agree.
    fn agree(&self, transactions: &[RecoveredTransaction]) -> ExecutedBlock {
        agree(&self.input(transactions), &self.state)
    }

    /// The same under Ethereum's rules.
    fn agree_as(&self, fork: Fork, transactions: &[RecoveredTransaction]) -> ExecutedBlock {
        let rules = EthereumRules {
            fork,
            ..EthereumRules::default()
        };
        let environment = self.environment.clone();
        let input = ExecutionInput::ethereum(&self.chain, environment, transactions, rules);
        agree(&input, &self.state)
    }

    fn input<'a>(&'a self, transactions: &'a [RecoveredTransaction]) -> ExecutionInput<'a> {
        ExecutionInput::new(&self.chain, self.environment.clone(), transactions, &[])
    }

    fn with_wei(mut self, address: Address, balance: U256) -> Self {
        let mut account = self.account(address);
        account.balance = balance;
        self.state.set_account(address, account);
        self
    }

    fn with_nonce(mut self, address: Address, nonce: u64) -> Self {
        let mut account = self.account(address);
        account.nonce = nonce;
        self.state.set_account(address, account);
        self
    }
}

/// A call by Alice.
fn call(nonce: u64, to: Address, input: impl Into<Bytes>) -> RecoveredTransaction {
    call_by(ALICE, nonce, to, input)
}

fn call_by(
    sender: Address,
    nonce: u64,
    to: Address,
    input: impl Into<Bytes>,
) -> RecoveredTransaction {
    let mut call = transaction(TxKind::Call(to), 0, input.into());
    call.nonce = nonce;
    sent_by(sender, call)
}

/// Addresses that no other test uses.
fn place(index: u64) -> Address {
    let mut address = Address::repeat_byte(0x77);
    address[12..].copy_from_slice(&index.to_be_bytes());
    address
}
