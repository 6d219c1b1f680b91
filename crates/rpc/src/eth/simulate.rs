//! `eth_simulateV1`: calls in blocks on top of a block, as if they had been ordered.
//!
//! ```text
//! payload ─check, fill gaps─▶ plans ─▶ Series: begin, call, call, … ─▶ header, hash ─▶ next block
//! ```
//! Numbers, times and fees default to those of the next blocks of this chain; without `validation` the base fee
//! is zero unless it is overridden. The headers have no state root: nobody computes the state that they would
//! lead to. A call without a gas limit has what is left of its block. Limits: [`SIMULATED_BLOCKS_MAX`] blocks,
//! those between two numbers included, [`SIMULATED_CALLS_MAX`] calls, `call_gas_max` gas in all, and the time
//! of a trace.

use crate::{
    args::Args,
    backend::Backend,
    config::{SIMULATED_BLOCKS_MAX, SIMULATED_CALLS_MAX},
    error::RpcError,
    eth::{
        block::{self, RpcBlock},
        call::{self, Scene},
        tag,
        transaction::RpcTransaction,
    },
    registry::Registry,
    retrace::limits,
};
use alloy_consensus::{
    Eip658Value, Header, ReceiptEnvelope, ReceiptWithBloom, Transaction as _, TxReceipt as _,
    TxType, transaction::Recovered,
};
use alloy_eips::{BlockId, Encodable2718};
use alloy_primitives::{B64, B256, Bloom, Bytes, Log, Signature, TxKind, U256};
use alloy_rpc_types_eth::{
    BlockOverrides, BlockTransactions, Header as RpcHeader, Log as RpcLog, TransactionRequest,
    Withdrawals,
    simulate::{SimBlock, SimCallResult, SimulateError, SimulatePayload, SimulatedBlock},
};
use executor::{
    BlockEnvironment, BrokenRule, CallOutcome, CallRequest, CallStatus, Overrides, Series,
    SeriesError, SeriesRules,
};
use pipeline::ExecutedRecord;
use primitives::{RecoveredTransaction, Transaction};
use state::ordered_root;

/// Seconds between two blocks, where a caller does not say.
const BLOCK_SECONDS: u64 = 1;

const NONCE_TOO_LOW: i32 = -38010;
const NONCE_TOO_HIGH: i32 = -38011;
const FEE_TOO_LOW: i32 = -38012;
const GAS_TOO_LOW: i32 = -38013;
const FUNDS: i32 = -38014;
const BLOCK_GAS: i32 = -38015;
const NUMBER_NOT_HIGHER: i32 = -38020;
const TIME_NOT_LATER: i32 = -38021;
const SENDER_HAS_CODE: i32 = -38024;
const INIT_CODE: i32 = -38025;
const TOO_MANY: i32 = -38026;
const INVALID: i32 = -32602;

pub(crate) fn register(methods: &mut Registry) {
    methods.code("eth_simulateV1", simulate);
}

fn refused(code: i32, message: impl Into<String>) -> RpcError {
    RpcError::Simulation {
        code,
        message: message.into(),
    }
}

/// A block to simulate.
struct Plan {
    environment: BlockEnvironment,
    overrides: Overrides,
    calls: Vec<TransactionRequest>,
}

fn simulate(backend: &Backend, args: &Args) -> Result<Vec<SimulatedBlock<RpcBlock>>, RpcError> {
    let (payload, id): (SimulatePayload, Option<BlockId>) = args.two()?;
    let base = tag::require_record(backend, id)?;
    let below = Scene {
        environment: backend.chain.environment(&base),
        ethereum: backend.chain.ethereum(&base.header),
        state: backend.chain.snapshot(base.height())?,
    };
    let wants = Wants {
        full: payload.return_full_transactions,
        validation: payload.validation,
    };
    let rules = SeriesRules {
        checks: payload.validation,
        transfers: payload.trace_transfers,
        limits: limits(backend, None)?,
    };
    let plans = plan(backend, &base, payload)?;
    let pretended = Overrides::default();
    let series = Series::open(&below.open(backend, &pretended), rules)?;
    let mut simulation = Simulation {
        backend,
        series,
        wants,
        gas_left: backend.config.call_gas_max,
        parent: base.header.clone(),
        parent_hash: base.hash,
    };
    plans
        .into_iter()
        .map(|plan| simulation.block(plan))
        .collect()
}

/// The blocks in order, with empty ones where numbers were left out.
fn plan(
    backend: &Backend,
    base: &ExecutedRecord,
    payload: SimulatePayload,
) -> Result<Vec<Plan>, RpcError> {
    let blocks = payload.block_state_calls;
    check_size(&blocks)?;
    let next = backend.chain.next_environment(base, backend.now_ms());
    let mut last = BlockEnvironment {
        height: base.header.number,
        timestamp: base.header.timestamp,
        base_fee: match payload.validation {
            true => next.base_fee,
            false => 0,
        },
        ..next
    };
    let mut plans = Vec::new();
    for SimBlock {
        block_overrides,
        state_overrides,
        calls,
    } in blocks
    {
        let block = block_overrides.unwrap_or_default();
        let height = number(&block)?.unwrap_or(last.height.saturating_add(1));
        if height <= last.height {
            return Err(refused(
                NUMBER_NOT_HIGHER,
                format!(
                    "block numbers must be in order: {height} <= {}",
                    last.height
                ),
            ));
        }
        if height.saturating_sub(base.header.number) > SIMULATED_BLOCKS_MAX {
            let text = format!("too many blocks: at most {SIMULATED_BLOCKS_MAX} above the base");
            return Err(refused(TOO_MANY, text));
        }
        while last.height.saturating_add(1) < height {
            last = following(&last);
            plans.push(Plan {
                environment: last.clone(),
                overrides: Overrides::default(),
                calls: Vec::new(),
            });
        }
        let earlier = last.timestamp;
        let overrides = call::overrides(state_overrides, Some(block))?;
        let environment = overrides.block.applied_to(&following(&last));
        if environment.timestamp < earlier {
            let text = format!(
                "block timestamps must be in order: {} < {earlier}",
                environment.timestamp
            );
            return Err(refused(TIME_NOT_LATER, text));
        }
        // What one block overrides of its fee receiver, gas limit and fee is not the next one's.
        last = BlockEnvironment {
            height: environment.height,
            timestamp: environment.timestamp,
            ..last
        };
        plans.push(Plan {
            environment,
            overrides,
            calls,
        });
    }
    Ok(plans)
}

fn check_size(blocks: &[SimBlock]) -> Result<(), RpcError> {
    if blocks.is_empty() {
        return Err(refused(INVALID, "empty input"));
    }
    let calls: usize = blocks.iter().map(|block| block.calls.len()).sum();
    if calls > SIMULATED_CALLS_MAX {
        let text = format!("too many calls: {calls}, at most {SIMULATED_CALLS_MAX}");
        return Err(refused(TOO_MANY, text));
    }
    Ok(())
}

fn following(last: &BlockEnvironment) -> BlockEnvironment {
    BlockEnvironment {
        height: last.height.saturating_add(1),
        timestamp: last.timestamp.saturating_add(BLOCK_SECONDS),
        ..last.clone()
    }
}

fn number(block: &BlockOverrides) -> Result<Option<u64>, RpcError> {
    let too_large = || refused(INVALID, "block number is too large");
    let number = block.number.map(u64::try_from).transpose();
    number.map_err(|_| too_large())
}

/// What a caller wants of every block.
#[derive(Clone, Copy)]
struct Wants {
    full: bool,
    validation: bool,
}

struct Simulation<'a> {
    backend: &'a Backend,
    series: Series<'a>,
    wants: Wants,
    /// Of all calls together.
    gas_left: u64,
    parent: Header,
    parent_hash: B256,
}

/// A call that ran, as the transaction that it would have been.
struct Ran {
    transaction: RecoveredTransaction,
    outcome: CallOutcome,
    receipt: ReceiptEnvelope,
}

impl Simulation<'_> {
    fn block(&mut self, plan: Plan) -> Result<SimulatedBlock<RpcBlock>, RpcError> {
        let environment = BlockEnvironment {
            parent_hash: self.parent_hash,
            ..plan.environment
        };
        self.series.begin(&environment, &plan.overrides)?;
        let mut gas_used: u64 = 0;
        let mut ran = Vec::with_capacity(plan.calls.len());
        for request in plan.calls {
            let left = environment.gas_limit.saturating_sub(gas_used);
            let call = self.call(request, &environment, left)?;
            gas_used = gas_used.saturating_add(call.outcome.gas_used);
            ran.push(call.finish(gas_used));
        }
        let header = header(&self.parent, &environment, &ran);
        let hash = header.hash_slow();
        self.series.end(environment.height, hash);
        let block = self.format(&header, hash, &ran);
        let calls = results(&header, hash, &ran);
        (self.parent, self.parent_hash) = (header, hash);
        Ok(SimulatedBlock {
            inner: block,
            calls,
        })
    }

    fn call(
        &mut self,
        mut request: TransactionRequest,
        environment: &BlockEnvironment,
        left: u64,
    ) -> Result<Called, RpcError> {
        let from = request.from.unwrap_or_default();
        if request.nonce.is_none() {
            request.nonce = Some(self.series.nonce(&from)?);
        }
        if request.gas.is_some_and(|gas| gas > left) {
            let asked = request.gas.unwrap_or_default();
            let text = format!("block gas limit reached: {asked} asked for, {left} left");
            return Err(refused(BLOCK_GAS, text));
        }
        let gas = request.gas.unwrap_or(left).min(self.gas_left);
        request.gas = Some(gas);
        if request.gas_price.is_none() {
            // Who checks fees and says none pays the base fee and nothing else.
            let fee = match self.wants.validation {
                true => u128::from(environment.base_fee),
                false => 0,
            };
            let tip = *request.max_priority_fee_per_gas.get_or_insert(0);
            request
                .max_fee_per_gas
                .get_or_insert(fee.saturating_add(tip));
        }
        let call: CallRequest = call::to_request(self.backend, request.clone())?;
        let transaction = self.transaction(request)?;
        let outcome = self.series.call(&call, gas)?;
        self.gas_left = self.gas_left.saturating_sub(outcome.gas_used);
        Ok(Called {
            transaction,
            outcome,
        })
    }

    /// The transaction that a call would have been, unsigned.
    fn transaction(
        &self,
        mut request: TransactionRequest,
    ) -> Result<RecoveredTransaction, RpcError> {
        let from = request.from.unwrap_or_default();
        request.normalize_input();
        request.chain_id = Some(self.backend.chain.config().chain_id);
        request.to = Some(request.to.unwrap_or(TxKind::Create));
        request.value = Some(request.value.unwrap_or_default());
        let unsigned = request
            .build_consensus_tx()
            .map_err(|error| RpcError::ArgumentsConflict(error.error))?;
        let nobody = Signature::new(U256::ZERO, U256::ZERO, false);
        let raw = unsigned.into_envelope(nobody).encoded_2718();
        Ok(RecoveredTransaction::trusted(
            Transaction::decode(raw)?,
            from,
        ))
    }

    fn format(&self, header: &Header, hash: B256, ran: &[Ran]) -> RpcBlock {
        let transactions: Vec<_> = ran.iter().map(|ran| ran.transaction.clone()).collect();
        let size = block::size(header, &transactions, &Withdrawals::default());
        let transactions = match self.wants.full {
            false => BlockTransactions::Hashes(transactions.iter().map(|tx| tx.hash()).collect()),
            true => {
                let places = transactions.iter().enumerate();
                let full = places.map(|(place, tx)| full(header, hash, place, tx));
                BlockTransactions::Full(full.collect())
            }
        };
        RpcBlock {
            header: RpcHeader {
                hash,
                inner: header.clone(),
                total_difficulty: None,
                size: Some(U256::from(size)),
            },
            uncles: Vec::new(),
            transactions,
            withdrawals: Some(Withdrawals::default()),
        }
    }
}

/// A call that ran, before its place in the block's gas is known.
struct Called {
    transaction: RecoveredTransaction,
    outcome: CallOutcome,
}

impl Called {
    fn finish(self, cumulative_gas_used: u64) -> Ran {
        let receipt = alloy_consensus::Receipt {
            status: Eip658Value::Eip658(self.outcome.status == CallStatus::Success),
            cumulative_gas_used,
            logs: self.outcome.logs.clone(),
        };
        let logs_bloom = receipt.bloom();
        let kind = TxType::try_from(self.transaction.kind()).unwrap_or(TxType::Legacy);
        let receipt = ReceiptWithBloom {
            receipt,
            logs_bloom,
        };
        Ran {
            receipt: ReceiptEnvelope::from_typed(kind, receipt),
            transaction: self.transaction,
            outcome: self.outcome,
        }
    }
}

fn header(parent: &Header, environment: &BlockEnvironment, ran: &[Ran]) -> Header {
    let bloom = ran
        .iter()
        .fold(Bloom::ZERO, |bloom, ran| bloom | *ran.receipt.logs_bloom());
    let gas_used = ran.iter().map(|ran| ran.outcome.gas_used).sum();
    Header {
        parent_hash: environment.parent_hash,
        beneficiary: environment.beneficiary,
        state_root: B256::ZERO,
        transactions_root: ordered_root(ran, |ran, out| {
            out.extend_from_slice(ran.transaction.raw());
        }),
        receipts_root: ordered_root(ran, |ran, out| ran.receipt.encode_2718(out)),
        logs_bloom: bloom,
        number: environment.height,
        gas_limit: environment.gas_limit,
        gas_used,
        timestamp: environment.timestamp,
        extra_data: Bytes::new(),
        mix_hash: environment.prevrandao,
        nonce: B64::ZERO,
        base_fee_per_gas: Some(environment.base_fee),
        parent_beacon_block_root: Some(environment.parent_beacon_root),
        ..parent.clone()
    }
}

fn full(header: &Header, hash: B256, place: usize, tx: &RecoveredTransaction) -> RpcTransaction {
    RpcTransaction {
        inner: Recovered::new_unchecked(tx.envelope().clone(), tx.sender()),
        block_hash: Some(hash),
        block_number: Some(header.number),
        transaction_index: u64::try_from(place).ok(),
        effective_gas_price: Some(tx.effective_gas_price(header.base_fee_per_gas)),
        block_timestamp: Some(header.timestamp),
    }
}

fn results(header: &Header, hash: B256, ran: &[Ran]) -> Vec<SimCallResult> {
    let mut index = 0;
    let mut results = Vec::with_capacity(ran.len());
    for (place, ran) in ran.iter().enumerate() {
        let log = |log: &Log| {
            let log_index = index;
            index += 1;
            RpcLog {
                inner: log.clone(),
                block_hash: Some(hash),
                block_number: Some(header.number),
                block_timestamp: Some(header.timestamp),
                transaction_hash: Some(ran.transaction.hash()),
                transaction_index: u64::try_from(place).ok(),
                log_index: Some(log_index),
                removed: false,
            }
        };
        let logs = ran.outcome.logs.iter().map(log).collect();
        results.push(SimCallResult {
            return_data: ran.outcome.output.clone(),
            logs,
            gas_used: ran.outcome.gas_used,
            max_used_gas: Some(ran.outcome.gas_peak),
            status: ran.outcome.status == CallStatus::Success,
            error: failure(&ran.outcome),
        });
    }
    results
}

fn failure(outcome: &CallOutcome) -> Option<SimulateError> {
    match &outcome.status {
        CallStatus::Success => None,
        CallStatus::Reverted => Some(SimulateError {
            code: SimulateError::EXECUTION_REVERTED_CODE,
            message: RpcError::Reverted(outcome.output.clone()).to_string(),
            data: Some(outcome.output.clone()),
        }),
        CallStatus::Halted { reason } => Some(SimulateError {
            code: SimulateError::VM_EXECUTION_ERROR_CODE,
            message: reason.clone(),
            data: None,
        }),
    }
}

impl From<SeriesError> for RpcError {
    fn from(error: SeriesError) -> Self {
        let message = error.to_string();
        match error {
            SeriesError::Fault(fault) => Self::Internal(fault.to_string()),
            SeriesError::Excess(_) => Self::CallFailed(message),
            SeriesError::Invalid { rule, .. } => {
                let code = match rule {
                    BrokenRule::NonceTooLow => NONCE_TOO_LOW,
                    BrokenRule::NonceTooHigh => NONCE_TOO_HIGH,
                    BrokenRule::FeeTooLow => FEE_TOO_LOW,
                    BrokenRule::GasTooLow => GAS_TOO_LOW,
                    BrokenRule::Funds => FUNDS,
                    BrokenRule::BlockGas => BLOCK_GAS,
                    BrokenRule::SenderHasCode => SENDER_HAS_CODE,
                    BrokenRule::InitCodeTooLong => INIT_CODE,
                    BrokenRule::Other => INVALID,
                };
                refused(code, message)
            }
        }
    }
}
