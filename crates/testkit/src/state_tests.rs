//! The `GeneralStateTests` of the Ethereum project: one transaction over a small state, and the
//! state root and logs that every client must reach, in whatever way it executes.

use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use executor::{
    BlockEnvironment, Engine, EthereumRules, ExecutedBlock, ExecutionInput, Fork,
    execute_sequential,
};
use primitives::{RecoveredTransaction, transaction::Envelope};
use serde::Deserialize;
use state::{Account, MemoryState};
use std::{collections::BTreeMap, fs, path::Path};

/// Tests that begin with an account that has storage but neither nonce nor code, and create a
/// contract over it. No chain since 2016 can get there; EIP-7610 says that the creation fails, our
/// machine that it starts with empty storage.
const UNREACHABLE: [&str; 5] = [
    "InitCollisionParis",
    "RevertInCreateInInitCreate2Paris",
    "RevertInCreateInInit_Paris",
    "create2collisionStorageParis",
    "dynamicAccountOverwriteEmpty_Paris",
];

/// What running some of the tests gave.
#[derive(Debug, Default)]
pub struct Report {
    /// Transactions compared.
    pub run: usize,
    /// Transactions of a fork that we do not have, or of a state that no chain reaches.
    pub skipped: usize,
    /// Every one that ended differently, with the reason.
    pub failures: Vec<String>,
    engines: Vec<Engine>,
}

#[derive(Deserialize)]
struct Test {
    env: Environment,
    pre: BTreeMap<Address, AccountJson>,
    post: BTreeMap<String, Vec<Case>>,
    transaction: Sender,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    current_base_fee: Option<U256>,
    current_coinbase: Address,
    current_difficulty: U256,
    current_excess_blob_gas: Option<U256>,
    current_gas_limit: U256,
    current_number: U256,
    current_random: Option<B256>,
    current_timestamp: U256,
}

#[derive(Deserialize)]
struct AccountJson {
    balance: U256,
    nonce: U256,
    code: Bytes,
    storage: BTreeMap<U256, U256>,
}

#[derive(Deserialize)]
struct Sender {
    sender: Address,
}

#[derive(Deserialize)]
struct Case {
    hash: B256,
    logs: B256,
    txbytes: Bytes,
    #[serde(rename = "expectException")]
    exception: Option<String>,
}

impl Report {
    /// Nothing run so far. What is executed in order will be executed by each engine as well.
    #[must_use]
    pub fn new(engines: Vec<Engine>) -> Self {
        Self {
            engines,
            ..Self::default()
        }
    }

    /// Runs every test of a file.
    ///
    /// # Panics
    /// When the file has another form.
    pub fn run_file(&mut self, path: &Path) {
        let text = fs::read_to_string(path).expect("the set's files are readable");
        let tests: BTreeMap<String, Test> =
            serde_json::from_str(&text).expect("the set's files have this form");
        for (name, test) in &tests {
            for (fork, cases) in &test.post {
                self.run_cases(name, test, fork, cases);
            }
        }
    }

    fn run_cases(&mut self, name: &str, test: &Test, fork: &str, cases: &[Case]) {
        let fork = Fork::from_test_name(fork).filter(|_| !UNREACHABLE.contains(&name));
        let Some(fork) = fork else {
            self.skipped += cases.len();
            return;
        };
        let before = test.state();
        for (index, case) in cases.iter().enumerate() {
            self.run += 1;
            if let Err(problem) = test.check(&before, fork, case, &self.engines) {
                let failure = format!("{name} fork={fork:?} case={index}: {problem}");
                self.failures.push(failure);
            }
        }
    }
}

impl Test {
    fn check(
        &self,
        before: &MemoryState,
        fork: Fork,
        case: &Case,
        engines: &[Engine],
    ) -> Result<(), String> {
        let executed = self.execute(before, fork, case, engines)?;
        let mut after = before.clone();
        let mut logs = Vec::new();
        let mut rejection = Some("it cannot be decoded".to_owned());
        if let Some(executed) = executed {
            after.apply(&executed.diff);
            for receipt in &executed.receipts {
                logs.extend_from_slice(receipt.envelope.logs());
            }
            let faults = executed.inclusion_faults.first();
            rejection = faults.map(|fault| fault.reason.clone());
        }
        match (&case.exception, rejection) {
            (Some(expected), None) => return Err(format!("not rejected: {expected}")),
            (None, Some(reason)) => return Err(format!("rejected: {reason}")),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if keccak256(alloy_rlp::encode(&logs)) != case.logs {
            return Err("logs differ".to_owned());
        }
        match *after.root() == case.hash {
            true => Ok(()),
            false => Err("state root differs".to_owned()),
        }
    }

    /// The block with this one transaction; `None` when its bytes are no transaction.
    fn execute(
        &self,
        before: &MemoryState,
        fork: Fork,
        case: &Case,
        engines: &[Engine],
    ) -> Result<Option<ExecutedBlock>, String> {
        let Ok(envelope) = Envelope::decode_2718_exact(&case.txbytes) else {
            return Ok(None);
        };
        let sender = self.transaction.sender;
        let transactions = [RecoveredTransaction::from_fixture(envelope, sender)];
        let rules = EthereumRules {
            fork,
            difficulty: self.env.current_difficulty,
            excess_blob_gas: self
                .env
                .current_excess_blob_gas
                .unwrap_or_default()
                .saturating_to(),
        };
        let chain = crate::mainnet::chain();
        let environment = self.env.block();
        let input = ExecutionInput::ethereum(&chain, environment, &transactions, rules);
        let executed = execute_sequential(&input, before).map_err(|fault| fault.to_string())?;
        for engine in engines {
            let other = engine.execute(&input, before);
            let other = other.map_err(|fault| format!("{engine:?}: {fault}"))?;
            if other != executed {
                return Err(format!("{engine:?} reaches another result"));
            }
        }
        Ok(Some(executed))
    }

    fn state(&self) -> MemoryState {
        let mut state = MemoryState::default();
        for (address, account) in &self.pre {
            let bare = Account {
                nonce: account.nonce.saturating_to(),
                balance: account.balance,
                ..Account::default()
            };
            state.set_account(*address, bare);
            if !account.code.is_empty() {
                state.set_code(*address, account.code.clone());
            }
            for (slot, value) in &account.storage {
                state.set_storage(*address, *slot, *value);
            }
        }
        let height: u64 = self.env.current_number.saturating_to();
        for height in height.saturating_sub(256)..height {
            state.set_block_hash(height, block_hash(height));
        }
        state
    }
}

impl Environment {
    fn block(&self) -> BlockEnvironment {
        let height: u64 = self.current_number.saturating_to();
        BlockEnvironment {
            height,
            timestamp: self.current_timestamp.saturating_to(),
            beneficiary: self.current_coinbase,
            gas_limit: self.current_gas_limit.saturating_to(),
            base_fee: self.current_base_fee.unwrap_or_default().saturating_to(),
            prevrandao: self.current_random.unwrap_or_default(),
            parent_hash: block_hash(height.saturating_sub(1)),
            parent_beacon_root: B256::ZERO,
        }
    }
}

/// The tests agree that a block's hash is the hash of its number in decimal.
fn block_hash(height: u64) -> B256 {
    keccak256(height.to_string())
}
