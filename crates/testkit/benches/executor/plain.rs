//! The peer: the virtual machine's own loop over a block, as its examples have it.
//!
//! ```text
//! transaction ─▶ transact_commit ─▶ CacheDB over the state before the block ─▶ results, kept
//!                                                └─ with_result ─▶ receipts with blooms, state diff
//! ```
//! Nothing of ours runs here but the state in memory that all ways read. Analysed code is there from
//! the start, as it is for the others. Limits: no authorizations, and no contract is created or
//! destroyed; no benchmark block does either.

use alloy_consensus::{
    Eip658Value, Receipt as LogReceipt, ReceiptEnvelope, Transaction as _, TxReceipt as _, TxType,
};
use alloy_primitives::{Address, B256, Bloom, Bytes, U256, map::B256Map};
use executor::{BlockEnvironment, Receipt};
use primitives::RecoveredTransaction;
use revm::{
    Context, DatabaseRef, ExecuteCommitEvm as _, MainBuilder as _, MainContext as _,
    bytecode::Bytecode,
    context::{BlockEnv, CfgEnv, TxEnv, result::ExecutionResult},
    database::{CacheDB, DbAccount},
    primitives::hardfork::SpecId,
    state::AccountInfo,
};
use state::{Account, AccountDiff, MemoryState, StateDiff, StateReader as _};
use std::{collections::BTreeMap, convert::Infallible};
use testkit::blocks::GeneratedBlock;

const IN_MEMORY: &str = "a state in memory reads";

/// A block and its analysed code.
pub(crate) struct Plain<'b> {
    block: &'b GeneratedBlock,
    codes: &'b Codes,
}

/// The code of all accounts, analysed, by its hash.
pub(crate) type Codes = B256Map<Bytecode>;

/// What the loop leaves.
pub(crate) struct PlainRun<'b> {
    results: Vec<ExecutionResult>,
    writes: CacheDB<Reader<'b>>,
}

/// What a block needs besides.
#[derive(PartialEq, Eq)]
pub(crate) struct PlainResult {
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) logs_bloom: Bloom,
    pub(crate) diff: StateDiff,
}

/// The state before the block in the form that the peer reads.
struct Reader<'b> {
    state: &'b MemoryState,
    codes: &'b Codes,
}

impl<'b> Plain<'b> {
    pub(crate) const fn new(block: &'b GeneratedBlock, codes: &'b Codes) -> Self {
        Self { block, codes }
    }

    /// The loop alone.
    pub(crate) fn execute(&self) -> PlainRun<'b> {
        let GeneratedBlock {
            state,
            transactions,
            environment,
            chain,
            ..
        } = self.block;
        let codes = self.codes;
        let mut cfg = CfgEnv::new_with_spec(SpecId::OSAKA);
        cfg.chain_id = chain.chain_id;
        let mut machine = Context::mainnet()
            .with_db(CacheDB::new(Reader { state, codes }))
            .with_cfg(cfg)
            .with_block(block_env(environment))
            .build_mainnet();
        let results = transactions
            .iter()
            .map(|transaction| {
                let outcome = machine.transact_commit(transaction_env(transaction));
                outcome.expect("every transaction of a benchmark block is valid")
            })
            .collect();
        PlainRun {
            results,
            writes: machine.ctx.journaled_state.database,
        }
    }

    /// The loop, and what a block needs besides.
    pub(crate) fn execute_with_result(&self) -> PlainResult {
        let PlainRun { results, writes } = self.execute();
        let receipts = self.receipts(results);
        let blooms = receipts
            .iter()
            .map(|receipt| *receipt.envelope.logs_bloom());
        PlainResult {
            logs_bloom: blooms.fold(Bloom::ZERO, |all, bloom| all | bloom),
            receipts,
            diff: diff(&writes, &self.block.state),
        }
    }

    fn receipts(&self, results: Vec<ExecutionResult>) -> Vec<Receipt> {
        let base_fee = self.block.environment.base_fee;
        let mut cumulative_gas_used = 0;
        let pairs = self.block.transactions.iter().zip(results);
        pairs
            .map(|(transaction, result)| {
                let gas_used = result.tx_gas_used();
                cumulative_gas_used += gas_used;
                let receipt = LogReceipt {
                    status: Eip658Value::Eip658(result.is_success()),
                    cumulative_gas_used,
                    logs: result.into_logs(),
                };
                let kind = TxType::try_from(transaction.kind()).unwrap_or(TxType::Legacy);
                Receipt {
                    envelope: ReceiptEnvelope::from_typed(kind, receipt.into_with_bloom()),
                    gas_used,
                    effective_gas_price: transaction.effective_gas_price(Some(base_fee)),
                    contract_address: None,
                    output: Bytes::new(),
                }
            })
            .collect()
    }
}

impl PlainRun<'_> {
    /// Gas of all transactions.
    pub(crate) fn gas_used(&self) -> u64 {
        self.results.iter().map(ExecutionResult::tx_gas_used).sum()
    }
}

/// Analyses the code of all accounts.
pub(crate) fn analyse(state: &MemoryState) -> Codes {
    let hashes = state.iter().map(|(_, account, _)| account.code_hash);
    hashes
        .map(|hash| {
            let code = state.code(&hash).expect(IN_MEMORY).unwrap_or_default();
            (hash, Bytecode::new_raw(code))
        })
        .collect()
}

fn block_env(environment: &BlockEnvironment) -> BlockEnv {
    BlockEnv {
        number: U256::from(environment.height),
        beneficiary: environment.beneficiary,
        timestamp: U256::from(environment.timestamp),
        gas_limit: environment.gas_limit,
        basefee: environment.base_fee,
        prevrandao: Some(environment.prevrandao),
        ..BlockEnv::default()
    }
}

fn transaction_env(transaction: &RecoveredTransaction) -> TxEnv {
    TxEnv {
        tx_type: transaction.kind(),
        caller: transaction.sender(),
        gas_limit: transaction.gas_limit(),
        gas_price: transaction.max_fee_per_gas(),
        kind: alloy_consensus::Transaction::kind(transaction.envelope()),
        value: transaction.value(),
        data: transaction.input().clone(),
        nonce: transaction.nonce(),
        chain_id: transaction.chain_id(),
        access_list: transaction.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: transaction.max_priority_fee_per_gas(),
        ..TxEnv::default()
    }
}

/// What differs from the state before the block.
fn diff(writes: &CacheDB<Reader<'_>>, state: &MemoryState) -> StateDiff {
    let accounts = writes.cache.accounts.iter();
    StateDiff {
        accounts: accounts
            .filter_map(|(address, account)| {
                account_diff(address, account, state).map(|diff| (*address, diff))
            })
            .collect(),
        code: BTreeMap::new(),
    }
}

fn account_diff(
    address: &Address,
    written: &DbAccount,
    state: &MemoryState,
) -> Option<AccountDiff> {
    let account = written.info().map(|info| Account {
        nonce: info.nonce,
        balance: info.balance,
        code_hash: info.code_hash,
    });
    let account = account.filter(|account| !account.is_empty());
    let storage: BTreeMap<U256, U256> = written
        .storage
        .iter()
        .filter(|(slot, value)| state.storage(address, slot).expect(IN_MEMORY) != **value)
        .map(|(slot, value)| (*slot, *value))
        .collect();
    let is_changed = !storage.is_empty() || state.account(address).expect(IN_MEMORY) != account;
    is_changed.then_some(AccountDiff {
        account,
        storage_wiped: false,
        storage,
    })
}

impl DatabaseRef for Reader<'_> {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        let account = self.state.account(&address).expect(IN_MEMORY);
        Ok(account.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            account_id: None,
            code: None,
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.codes.get(&code_hash).cloned().unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Infallible> {
        Ok(self.state.storage(&address, &slot).expect(IN_MEMORY))
    }

    fn block_hash_ref(&self, height: u64) -> Result<B256, Infallible> {
        let hash = self.state.block_hash(height).expect(IN_MEMORY);
        Ok(hash.unwrap_or_default())
    }
}
