//! Running a transaction without sending it: calls, estimates, access lists.
//!
//! As in geth, a call runs on the state after the block it names and sees that block's number and
//! time; only `pending` sees the next block's. It has at most `call_gas_max` gas.

use crate::{
    args::Args,
    backend::{Backend, run_code},
    console,
    error::RpcError,
    eth::tag,
    registry::Registry,
};
use alloy_consensus::Transaction as _;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, Bytes, TxKind, U64, U256};
use alloy_rpc_types_eth::{
    AccessListResult, BlockOverrides, TransactionRequest,
    state::{AccountOverride, StateOverride},
};
use executor::{
    BlockEnvironment, CallError, CallOutcome, CallRequest, CallScene, CallStatus, EstimateError,
    EthereumRules, Overrides,
};
use jsonrpsee::types::Params;
use pipeline::ExecutedRecord;
use primitives::RecoveredTransaction;
use state::Snapshot;
use std::{collections::BTreeMap, sync::Arc};

pub(crate) fn register(methods: &mut Registry) {
    methods.waiting("eth_call", call);
    methods.code("eth_estimateGas", estimate_gas);
    methods.code("eth_createAccessList", create_access_list);
}

/// Where a call runs.
pub(crate) struct Scene {
    pub(crate) environment: BlockEnvironment,
    /// Ethereum's own rules, on a chain that came from elsewhere.
    pub(crate) ethereum: Option<EthereumRules>,
    pub(crate) state: Snapshot,
}

impl Scene {
    /// After a block.
    pub(crate) fn at(backend: &Backend, block: Option<BlockId>) -> Result<Self, RpcError> {
        let record = tag::require_record(backend, block)?;
        let state = backend.chain.snapshot(record.header.number)?;
        let environment = match block.unwrap_or_default() {
            BlockId::Number(BlockNumberOrTag::Pending) => {
                let time_ms = backend.next_block_ms(&record);
                backend.chain.next_environment(&record, time_ms)
            }
            BlockId::Number(_) | BlockId::Hash(_) => backend.chain.environment(&record),
        };
        Ok(Self {
            environment,
            ethereum: backend.chain.ethereum(&record.header),
            state,
        })
    }

    /// The executor's form of it.
    pub(crate) fn open<'a>(
        &'a self,
        backend: &'a Backend,
        overrides: &'a Overrides,
    ) -> CallScene<'a> {
        CallScene {
            environment: &self.environment,
            chain: backend.chain.config(),
            ethereum: self.ethereum,
            state: &self.state,
            overrides,
            code_cache: Some(backend.chain.code_cache()),
        }
    }

    fn call(
        &self,
        backend: &Backend,
        request: &CallRequest,
        overrides: &Overrides,
    ) -> Result<CallOutcome, RpcError> {
        Ok(executor::call(request, &self.open(backend, overrides))?)
    }
}

type CallArgs = (TransactionRequest, Option<BlockId>, Option<StateOverride>);

/// Runs it here if its contract is brief, else off the async workers.
async fn call(backend: Arc<Backend>, params: Params<'static>) -> Result<Bytes, RpcError> {
    let args = Args::parse(&params)?;
    args.at_most(4)?;
    let (request, block, state): CallArgs = (args.get(0)?, args.get(1)?, args.get(2)?);
    let is_plain = state.as_ref().is_none_or(StateOverride::is_empty);
    let overrides = overrides(state, args.get(3)?)?;
    let request = to_request(&backend, request)?;
    if is_plain
        && let Some(to) = &request.to
        && let Some(_here) = backend.brief.try_here(to)
    {
        return call_noting(&backend, &request, block, &overrides);
    }
    run_code(backend, move |backend| {
        call_noting(backend, &request, block, &overrides)
    })
    .await
}

/// Runs a call and notes what it used.
fn call_noting(
    backend: &Backend,
    request: &CallRequest,
    block: Option<BlockId>,
    overrides: &Overrides,
) -> Result<Bytes, RpcError> {
    let scene = Scene::at(backend, block)?;
    let outcome = scene.call(backend, request, overrides)?;
    console::tell_call(backend, &scene, (request, overrides), &outcome)?;
    if let Some(to) = request.to {
        backend.brief.used(to, outcome.gas_peak);
    }
    match outcome.status {
        CallStatus::Success => Ok(outcome.output),
        CallStatus::Reverted => Err(RpcError::Reverted(outcome.output)),
        CallStatus::Halted { reason } => Err(RpcError::CallFailed(reason)),
    }
}

fn estimate_gas(backend: &Backend, args: &Args) -> Result<U64, RpcError> {
    args.at_most(4)?;
    let (request, block, state): CallArgs = (args.get(0)?, args.get(1)?, args.get(2)?);
    let overrides = overrides(state, args.get(3)?)?;
    if backend.dev.is_some() {
        // Somebody develops here, and wants to hear what it says before it fails.
        let request = to_request(backend, request.clone())?;
        let scene = Scene::at(backend, block)?;
        if let Ok(outcome) = scene.call(backend, &request, &overrides) {
            console::tell_call(backend, &scene, (&request, &overrides), &outcome)?;
        }
    }
    Ok(U64::from(estimate(backend, request, block, &overrides)?))
}

/// Gas with which a transaction succeeds.
pub(crate) fn estimate(
    backend: &Backend,
    request: TransactionRequest,
    block: Option<BlockId>,
    overrides: &Overrides,
) -> Result<u64, RpcError> {
    let request = to_request(backend, request)?;
    // A development chain's next block may have a time that was set for it.
    let block = match &backend.dev {
        Some(_) => block.or(Some(BlockId::pending())),
        None => block,
    };
    let scene = Scene::at(backend, block)?;
    let scene = scene.open(backend, overrides);
    Ok(executor::estimate_gas(&request, &scene)?)
}

fn create_access_list(backend: &Backend, args: &Args) -> Result<AccessListResult, RpcError> {
    args.at_most(3)?;
    let (request, block, state): CallArgs = (args.get(0)?, args.get(1)?, args.get(2)?);
    let overrides = overrides(state, None)?;
    let mut request = to_request(backend, request)?;
    let scene = Scene::at(backend, block)?;
    let first = scene.call(backend, &request, &overrides)?;
    // The list makes the call itself cheaper, which is what the caller wants to know.
    request.access_list = Some(first.access_list.clone());
    let second = scene.call(backend, &request, &overrides)?;
    let error = match second.status {
        CallStatus::Success => None,
        CallStatus::Reverted => Some(RpcError::Reverted(second.output).to_string()),
        CallStatus::Halted { reason } => Some(reason),
    };
    Ok(AccessListResult {
        access_list: first.access_list,
        gas_used: U256::from(second.gas_used),
        error,
    })
}

/// A call of a contract as it is now, by nobody.
pub(crate) fn view(
    backend: &Backend,
    to: Address,
    input: Bytes,
    gas: u64,
) -> Result<CallOutcome, RpcError> {
    let request = CallRequest {
        to: Some(to),
        gas: Some(gas.min(backend.config.call_gas_max)),
        input,
        ..CallRequest::default()
    };
    Scene::at(backend, None)?.call(backend, &request, &Overrides::default())
}

/// The executor's form of a request, checked for what can't stand together.
pub(crate) fn to_request(
    backend: &Backend,
    request: TransactionRequest,
) -> Result<CallRequest, RpcError> {
    check(backend, &request)?;
    let max = backend.config.call_gas_max;
    Ok(CallRequest {
        from: request.from,
        to: request.to.as_ref().and_then(TxKind::to).copied(),
        gas: request.gas.map(|gas| gas.min(max)),
        gas_price: request.gas_price,
        max_fee_per_gas: request.max_fee_per_gas,
        max_priority_fee_per_gas: request.max_priority_fee_per_gas,
        value: request.value.unwrap_or_default(),
        input: request.input.input().cloned().unwrap_or_default(),
        nonce: request.nonce,
        access_list: request.access_list,
        authorizations: request.authorization_list.unwrap_or_default(),
    })
}

/// Why an executed transaction failed, as a call would tell it: run again, as if alone in its block.
pub(crate) fn failure(
    backend: &Backend,
    record: &ExecutedRecord,
    transaction: &RecoveredTransaction,
) -> Result<RpcError, RpcError> {
    let request = CallRequest {
        from: Some(transaction.sender()),
        to: transaction.to(),
        gas: Some(transaction.gas_limit().min(backend.config.call_gas_max)),
        value: transaction.value(),
        input: transaction.input().clone(),
        access_list: transaction.access_list().cloned(),
        ..CallRequest::default()
    };
    let scene = Scene {
        environment: backend.chain.environment(record),
        ethereum: backend.chain.ethereum(&record.header),
        state: backend.chain.snapshot(record.height().saturating_sub(1))?,
    };
    let outcome = scene.call(backend, &request, &Overrides::default())?;
    Ok(match outcome.status {
        CallStatus::Reverted => RpcError::Reverted(outcome.output),
        CallStatus::Halted { reason } => RpcError::CallFailed(reason),
        CallStatus::Success => RpcError::CallFailed("transaction failed".to_owned()),
    })
}

/// Refuses, with geth's words, what no transaction could be.
pub(crate) fn check(backend: &Backend, request: &TransactionRequest) -> Result<(), RpcError> {
    let conflict = |problem: String| Err(RpcError::ArgumentsConflict(problem));
    let own = backend.chain.config().chain_id;
    if let Some(chain_id) = request.chain_id.filter(|chain_id| *chain_id != own) {
        return conflict(format!(
            "chainId does not match node's (have={chain_id}, want={own})"
        ));
    }
    if request.has_eip4844_fields() {
        return conflict("transaction type not supported: blobs".to_owned());
    }
    if request.input.clone().try_into_unique_input().is_err() {
        return conflict(
            r#"both "data" and "input" are set and not equal. Please use "input" to pass transaction call data"#
                .to_owned(),
        );
    }
    Ok(())
}

/// What a call pretends of the state and the block.
pub(crate) fn overrides(
    state: Option<StateOverride>,
    block: Option<BlockOverrides>,
) -> Result<Overrides, RpcError> {
    let accounts = state.into_iter().flatten();
    let accounts = accounts.map(|(address, account)| Ok((address, account_override(account)?)));
    Ok(Overrides {
        state: accounts.collect::<Result<BTreeMap<_, _>, RpcError>>()?,
        block: block_overrides(block.unwrap_or_default())?,
    })
}

fn account_override(account: AccountOverride) -> Result<executor::AccountOverride, RpcError> {
    if account.state.is_some() && account.state_diff.is_some() {
        let problem = "an account has both 'state' and 'stateDiff'".to_owned();
        return Err(RpcError::ArgumentsConflict(problem));
    }
    if account.move_precompile_to.is_some() {
        let problem = "movePrecompileToAddress is not supported".to_owned();
        return Err(RpcError::ArgumentsConflict(problem));
    }
    let slots = |slots: alloy_primitives::map::B256HashMap<_>| {
        let slots = slots.into_iter();
        slots.map(
            |(slot, value): (alloy_primitives::B256, alloy_primitives::B256)| {
                (slot.into(), value.into())
            },
        )
    };
    Ok(executor::AccountOverride {
        balance: account.balance,
        nonce: account.nonce,
        code: account.code,
        state: account.state.map(|state| slots(state).collect()),
        state_diff: account
            .state_diff
            .map(|diff| slots(diff).collect())
            .unwrap_or_default(),
    })
}

fn block_overrides(block: BlockOverrides) -> Result<executor::BlockOverrides, RpcError> {
    let narrow = |value: Option<U256>, field| match value.map(u64::try_from) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(RpcError::ArgumentsConflict(format!(
            "block override {field} is too large"
        ))),
    };
    Ok(executor::BlockOverrides {
        height: narrow(block.number, "number")?,
        timestamp: block.time,
        beneficiary: block.coinbase,
        gas_limit: block.gas_limit,
        base_fee: narrow(block.base_fee, "baseFeePerGas")?,
        prevrandao: block.random,
        block_hashes: block.block_hash.unwrap_or_default(),
    })
}

impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Fault(fault) => Self::Internal(fault.to_string()),
            CallError::InsufficientFunds { .. }
            | CallError::GasTooLow { .. }
            | CallError::Invalid(_) => Self::CallFailed(error.to_string()),
        }
    }
}

impl From<EstimateError> for RpcError {
    fn from(error: EstimateError) -> Self {
        match error {
            EstimateError::Reverted { output } => Self::Reverted(output),
            EstimateError::Fault(fault) => Self::Internal(fault.to_string()),
            EstimateError::Halted { .. }
            | EstimateError::AllowanceExceeded { .. }
            | EstimateError::InsufficientFunds { .. }
            | EstimateError::Invalid(_) => Self::CallFailed(error.to_string()),
        }
    }
}
