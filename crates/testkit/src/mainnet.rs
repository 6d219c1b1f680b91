//! Real Ethereum blocks with the state they touch: do we get the receipts that everybody got?
//!
//! A file holds one block as `eth_getBlockByNumber` gives it, and every account and slot that the
//! block touches. The state root cannot be checked over such a part of the state; gas, bloom and,
//! since Byzantium, the receipts root can.

use alloy_primitives::{Address, B256, Bloom, Bytes, U64, U256};
use executor::{BlockEnvironment, EthereumRules, ExecutedBlock, ExecutionInput, Fork};
use primitives::{ChainConfig, RecoveredTransaction, chain::Protocol, transaction::Envelope};
use serde::Deserialize;
use state::{Account, MemoryState};
use std::{collections::BTreeMap, fs, path::Path};

/// A block that can be executed and compared.
#[derive(Debug)]
pub struct MainnetBlock {
    environment: BlockEnvironment,
    rules: EthereumRules,
    transactions: Vec<RecoveredTransaction>,
    state: MemoryState,
    expected: Expected,
}

/// What mainnet agreed on.
#[derive(Clone, Copy, Debug)]
struct Expected {
    gas_used: u64,
    logs_bloom: Bloom,
    receipts_root: B256,
    transactions_root: B256,
}

/// The code that the blocks run, by its hash.
pub type Codes = BTreeMap<B256, Bytes>;

#[derive(Deserialize)]
struct File {
    block: BlockJson,
    pre_state: BTreeMap<Address, AccountJson>,
    block_hashes: BTreeMap<String, B256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockJson {
    number: U64,
    timestamp: U64,
    parent_hash: B256,
    miner: Address,
    gas_limit: U64,
    gas_used: U64,
    logs_bloom: Bloom,
    receipts_root: B256,
    transactions_root: B256,
    mix_hash: B256,
    difficulty: U256,
    base_fee_per_gas: Option<U64>,
    excess_blob_gas: Option<U64>,
    parent_beacon_block_root: Option<B256>,
    transactions: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Sender {
    from: Address,
    hash: B256,
}

#[derive(Deserialize)]
struct AccountJson {
    balance: U256,
    nonce: u64,
    code_hash: Option<B256>,
    #[serde(default)]
    storage: BTreeMap<U256, U256>,
}

/// Reads the code file of the set.
///
/// # Panics
/// When it has another form.
#[must_use]
pub fn read_codes(path: &Path) -> Codes {
    let text = fs::read_to_string(path).expect("the set has a code file");
    serde_json::from_str(&text).expect("the code file maps hashes to bytes")
}

impl MainnetBlock {
    /// Reads one block of the set.
    ///
    /// # Panics
    /// When the file has another form, or a transaction is not the one it names.
    #[must_use]
    pub fn read(path: &Path, codes: &Codes) -> Self {
        let text = fs::read_to_string(path).expect("the set's blocks are readable");
        let file: File = serde_json::from_str(&text).expect("the set's blocks have this form");
        let block = &file.block;
        let (height, timestamp) = (block.number.to(), block.timestamp.to());
        Self {
            environment: BlockEnvironment {
                height,
                timestamp,
                beneficiary: block.miner,
                gas_limit: block.gas_limit.to(),
                base_fee: block.base_fee_per_gas.unwrap_or_default().to(),
                prevrandao: block.mix_hash,
                parent_hash: block.parent_hash,
                parent_beacon_root: block.parent_beacon_block_root.unwrap_or_default(),
            },
            rules: EthereumRules {
                fork: Fork::of_mainnet(height, timestamp),
                difficulty: block.difficulty,
                excess_blob_gas: block.excess_blob_gas.unwrap_or_default().to(),
            },
            transactions: block.transactions.iter().map(read_transaction).collect(),
            expected: Expected {
                gas_used: block.gas_used.to(),
                logs_bloom: block.logs_bloom,
                receipts_root: block.receipts_root,
                transactions_root: block.transactions_root,
            },
            state: read_state(&file, codes),
        }
    }

    /// Height of the block.
    #[must_use]
    pub const fn height(&self) -> u64 {
        self.environment.height
    }

    /// Its transactions.
    #[must_use]
    pub fn transactions(&self) -> &[RecoveredTransaction] {
        &self.transactions
    }

    /// What it touches.
    #[must_use]
    pub const fn state(&self) -> &MemoryState {
        &self.state
    }

    /// What to execute over [`Self::state`].
    #[must_use]
    pub fn input<'a>(&'a self, chain: &'a ChainConfig) -> ExecutionInput<'a> {
        let environment = self.environment.clone();
        ExecutionInput::ethereum(chain, environment, &self.transactions, self.rules)
    }

    /// Every difference between our result and mainnet's.
    #[must_use]
    pub fn differences(&self, executed: &ExecutedBlock) -> Vec<String> {
        let expected = &self.expected;
        let mut found: Vec<String> = executed
            .inclusion_faults
            .iter()
            .map(ToString::to_string)
            .collect();
        let mut compare = |what: &str, same: bool| {
            if !same {
                found.push(format!("{what} differs: height={}", self.height()));
            }
        };
        compare("gas used", executed.gas_used == expected.gas_used);
        compare("logs bloom", executed.logs_bloom == expected.logs_bloom);
        compare(
            "transactions root",
            executed.transactions_root == expected.transactions_root,
        );
        // Receipts named the state root of each transaction before Byzantium.
        if self.rules.fork >= Fork::Byzantium {
            compare(
                "receipts root",
                executed.receipts_root == expected.receipts_root,
            );
        }
        found
    }
}

/// Ethereum mainnet.
#[must_use]
pub fn chain() -> ChainConfig {
    ChainConfig {
        chain_id: 1,
        gas_limit: u64::MAX,
        protocol: Protocol::default(),
    }
}

fn read_transaction(json: &serde_json::Value) -> RecoveredTransaction {
    let envelope: Envelope =
        serde_json::from_value(json.clone()).expect("the set's transactions have this form");
    let Sender { from, hash } =
        serde_json::from_value(json.clone()).expect("the set's transactions name their sender");
    let transaction = RecoveredTransaction::from_fixture(envelope, from);
    assert_eq!(transaction.hash(), hash, "the envelope encodes as it did");
    transaction
}

fn read_state(file: &File, codes: &Codes) -> MemoryState {
    let mut state = MemoryState::default();
    for (address, account) in &file.pre_state {
        let balance = account.balance;
        let nonce = account.nonce;
        let bare = Account {
            nonce,
            balance,
            ..Account::default()
        };
        state.set_account(*address, bare);
        if let Some(code) = account.code_hash.and_then(|hash| codes.get(&hash)) {
            state.set_code(*address, code.clone());
        }
        for (slot, value) in &account.storage {
            state.set_storage(*address, *slot, *value);
        }
    }
    for (height, hash) in &file.block_hashes {
        let height = height.parse().expect("the set's heights are decimal");
        state.set_block_hash(height, *hash);
    }
    state
}
