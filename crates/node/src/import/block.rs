//! One block of another chain: executed, compared with its header, in the form in which blocks are kept.
//!
//! ```text
//! header ─ follows its parent? ─▶ execute ─▶ gas, bloom, receipts, requests as the header says?
//!                                        └▶ commit ─▶ state root as the header says? ─▶ record
//! ```
//! The record's ordering block is one that nobody ordered: it says of the block what its header says.

use super::{error::BlockProblem, file::FileBlock, geth::ImportGenesis};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, proofs};
use alloy_eips::{
    eip1559::BaseFeeParams, eip2718::Encodable2718 as _, eip4895::Withdrawal,
    eip6110::DEPOSIT_REQUEST_TYPE,
};
use alloy_primitives::{Address, B64, B256, Bytes, Log, U256, b256};
use commonware_cryptography::{Hasher as _, Sha256};
use executor::{
    EthereumBlock, EthereumRules, ExecutedBlock, ExecutionFault, ExecutionInput, execute_ethereum,
};
use pipeline::{ExecutedRecord, environment_under};
use primitives::{
    Block, ExecutedRef, RecoveredTransaction, Transaction, crypto::genesis_context, shard,
    transaction::Impersonation,
};
use state::Snapshot;
use std::fmt::Display;

/// The first topic of the deposit contract's event.
const DEPOSIT_EVENT: B256 =
    b256!("649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5");
/// Where the parts of a deposit lie in the event's bytes: where each begins, and how long it is.
const DEPOSIT_PARTS: [(usize, usize); 5] = [(192, 48), (288, 32), (352, 8), (416, 96), (544, 8)];
/// Length of the event's bytes.
const DEPOSIT_BYTES: usize = 576;

/// Why a block was not taken.
pub(super) enum NotTaken {
    /// It is false.
    Problem(BlockProblem),
    /// This node cannot go on.
    Fault(ExecutionFault),
}

impl From<BlockProblem> for NotTaken {
    fn from(problem: BlockProblem) -> Self {
        Self::Problem(problem)
    }
}

/// An executed block whose state is not computed yet.
pub(super) struct Ran {
    pub(super) executed: ExecutedBlock,
    transactions: Vec<RecoveredTransaction>,
    block: FileBlock,
}

/// Executes a block over the state of its parent and compares all that needs no state root.
pub(super) fn run(
    genesis: &ImportGenesis,
    parent: &Header,
    block: FileBlock,
    state: &Snapshot,
) -> Result<Ran, NotTaken> {
    let header = &block.header;
    check_place(header, parent)?;
    let transactions = recover(&block)?;
    let rules = EthereumRules {
        fork: genesis.fork,
        difficulty: U256::ZERO,
        excess_blob_gas: header.excess_blob_gas.unwrap_or_default(),
    };
    let environment = environment_under(header);
    let input = ExecutionInput::ethereum(&genesis.chain, environment, &transactions, rules);
    let ran = execute_ethereum(&input, state, withdrawals_of(&block)).map_err(NotTaken::Fault)?;
    if let Some(fault) = ran.executed.inclusion_faults.first() {
        return Err(BlockProblem::Inclusion(fault.clone()).into());
    }
    check_result(header, &block, &transactions, &ran.executed)?;
    if header.requests_hash.is_some() {
        let requests = requests_hash(genesis.deposit_contract, &ran)?;
        differs(
            "requestsHash",
            &header.requests_hash.unwrap_or_default(),
            &requests,
        )?;
    }
    Ok(Ran {
        executed: ran.executed,
        transactions,
        block,
    })
}

impl Ran {
    /// The block as it is kept, if the state after it is the one that its header says.
    pub(super) fn into_record(self, state_root: B256) -> Result<ExecutedRecord, BlockProblem> {
        let header = self.block.header;
        differs("stateRoot", &header.state_root, &state_root)?;
        let transactions = self.transactions.iter();
        let transactions = transactions.map(|recovered| recovered.transaction().clone());
        Ok(ExecutedRecord {
            hash: header.hash_slow(),
            block: ordered(&header, transactions.collect()),
            header,
            transactions: self.transactions.into(),
            receipts: self.executed.receipts,
            withdrawals: self.block.body.withdrawals.unwrap_or_default(),
        })
    }
}

/// The ordering block that stands for one that was ordered elsewhere.
pub(super) fn ordered(header: &Header, transactions: Vec<Transaction>) -> Block {
    let stand_in = primitives::Header {
        context: genesis_context(),
        height: header.number,
        timestamp_ms: header.timestamp.saturating_mul(1_000),
        proposer: header.beneficiary,
        base_fee: header.base_fee_per_gas.unwrap_or_default(),
        gas_budget: header.gas_limit,
        gas_limits_sum: 0,
        body_digest: B256::ZERO,
        shard_section_digest: shard::NO_SHARDS,
        ledger_digest: B256::ZERO,
        executed: ExecutedRef::genesis(header.parent_hash),
    };
    Block::new(stand_in, transactions, Vec::new())
}

fn differs(
    field: &'static str,
    said: &(impl Display + PartialEq),
    got: &(impl Display + PartialEq),
) -> Result<(), BlockProblem> {
    let (said, got) = (said.to_string(), got.to_string());
    match said == got {
        true => Ok(()),
        false => Err(BlockProblem::Differs { field, said, got }),
    }
}

/// What a header says before anything is executed.
fn check_place(header: &Header, parent: &Header) -> Result<(), BlockProblem> {
    differs("number", &header.number, &parent.number.saturating_add(1))?;
    differs("parentHash", &header.parent_hash, &parent.hash_slow())?;
    let fee = parent.next_block_base_fee(BaseFeeParams::ethereum());
    let said = header.base_fee_per_gas.unwrap_or_default();
    differs("baseFeePerGas", &said, &fee.unwrap_or_default())?;
    differs("difficulty", &header.difficulty, &U256::ZERO)?;
    differs("nonce", &header.nonce, &B64::ZERO)?;
    differs("sha3Uncles", &header.ommers_hash, &EMPTY_OMMER_ROOT_HASH)?;
    if header.timestamp <= parent.timestamp {
        let later = format!("later than {}", parent.timestamp);
        differs("timestamp", &header.timestamp.to_string(), &later)?;
    }
    Ok(())
}

fn recover(block: &FileBlock) -> Result<Vec<RecoveredTransaction>, BlockProblem> {
    let envelopes = block.body.transactions.iter().enumerate();
    let recovered = envelopes.map(|(index, envelope)| {
        let raw = Bytes::from(envelope.encoded_2718());
        let decoded = Transaction::decode(raw);
        let recovered = decoded.and_then(|decoded| decoded.recover(Impersonation::Refused));
        recovered.map_err(|error| BlockProblem::Transaction {
            index,
            problem: error.to_string(),
        })
    });
    recovered.collect()
}

fn check_result(
    header: &Header,
    block: &FileBlock,
    transactions: &[RecoveredTransaction],
    executed: &ExecutedBlock,
) -> Result<(), BlockProblem> {
    let roots = executed.roots(transactions);
    differs(
        "transactionsRoot",
        &header.transactions_root,
        &roots.transactions_root,
    )?;
    differs("gasUsed", &header.gas_used, &executed.gas_used)?;
    differs("receiptsRoot", &header.receipts_root, &roots.receipts_root)?;
    differs("logsBloom", &header.logs_bloom, &executed.logs_bloom)?;
    let root = proofs::calculate_withdrawals_root(withdrawals_of(block));
    differs(
        "withdrawalsRoot",
        &header.withdrawals_root.unwrap_or_default(),
        &root,
    )
}

fn withdrawals_of(block: &FileBlock) -> &[Withdrawal] {
    let withdrawals = block.body.withdrawals.as_ref();
    withdrawals.map_or(&[], |withdrawals| withdrawals.as_slice())
}

/// The hash over all that a block asks of the consensus layer (EIP-7685).
pub(super) fn requests_hash(
    deposit_contract: Address,
    ran: &EthereumBlock,
) -> Result<B256, BlockProblem> {
    let mut deposits = Vec::new();
    for (index, receipt) in ran.executed.receipts.iter().enumerate() {
        let logs = receipt.envelope.logs().iter();
        let own = logs.filter(|log| {
            log.address == deposit_contract && log.topics().first() == Some(&DEPOSIT_EVENT)
        });
        for log in own {
            deposits.extend(deposit(log).ok_or(BlockProblem::Deposit { index })?);
        }
    }
    let others = ran.requests.iter();
    let others = others.map(|(kind, asked)| (*kind, asked.as_ref()));
    let all = std::iter::once((DEPOSIT_REQUEST_TYPE, deposits.as_slice())).chain(others);
    let said = all.filter(|(_, asked)| !asked.is_empty());
    let digests: Vec<_> = said
        .map(|(kind, asked)| Sha256::hash(&[&[kind], asked]))
        .collect();
    let parts: Vec<&[u8]> = digests.iter().map(AsRef::as_ref).collect();
    Ok(B256::from_slice(Sha256::hash(&parts).as_ref()))
}

/// A deposit as it is asked for, out of the log that it left (EIP-6110).
fn deposit(log: &Log) -> Option<Vec<u8>> {
    let bytes = log.data.data.as_ref();
    if bytes.len() != DEPOSIT_BYTES {
        return None;
    }
    let mut asked = Vec::new();
    for (begin, length) in DEPOSIT_PARTS {
        let said = bytes.get(begin.checked_sub(32)?..begin)?;
        if U256::from_be_slice(said) != U256::from(length) {
            return None;
        }
        asked.extend_from_slice(bytes.get(begin..begin.checked_add(length)?)?);
    }
    Some(asked)
}
