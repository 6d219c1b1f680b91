//! Unlocked accounts and sending from them.

use super::{Dev, Watch, require};
use crate::{
    args::Args,
    backend::{Backend, run},
    config::SENT_WAIT_MS,
    error::RpcError,
    eth::{
        block::to_json,
        call, fee, submit,
        transaction::{RpcTransaction, format_waiting},
    },
    registry::Registry,
};
use alloy_consensus::{SignableTransaction, TypedTransaction};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer::SignerSync;
use executor::Overrides;
use jsonrpsee::types::Params;
use pipeline::ExecutedRecord;
use primitives::{RecoveredTransaction, Transaction, transaction::Impersonation};
use serde::Serialize;
use serde_json::Value;
use std::sync::{Arc, PoisonError};

pub(crate) fn register_everywhere(methods: &mut Registry) {
    methods.quick("eth_accounts", accounts);
    methods.code("eth_fillTransaction", fill);
}

pub(crate) fn register(methods: &mut Registry) {
    methods.waiting("eth_sendTransaction", send);
    methods.heavy("eth_signTransaction", sign);
}

/// None outside of dev: a node holds no users' keys.
fn accounts(backend: &Backend, args: &Args) -> Result<Vec<Address>, RpcError> {
    args.none()?;
    let signers = backend.dev.iter().flat_map(|dev| dev.signers.iter());
    Ok(signers.map(|signer| signer.address()).collect())
}

/// Sends, and where blocks follow transactions at once, waits for the block: callers of development chains
/// read what they changed without waiting for a receipt.
async fn send(backend: Arc<Backend>, params: Params<'static>) -> Result<B256, RpcError> {
    let request: TransactionRequest = Args::parse(&params)?.one()?;
    if follows_at_once(&backend)? {
        // Only tests of contracts send so, and they count blocks.
        require(&backend)?.control().drive()?;
    }
    let watch = Watch::start(&backend);
    let hash = run(Arc::clone(&backend), move |backend| {
        send_now(backend, request)
    })
    .await?;
    let is_ready = backend
        .mempool
        .get(&hash)
        .is_none_or(|pooled| pooled.pending);
    if follows_at_once(&backend)? && is_ready {
        let holds =
            |record: &ExecutedRecord| record.transactions.iter().any(|tx| tx.hash() == hash);
        // Too late is not too bad: the transaction is in the pool.
        if let Ok(record) = watch.until(&backend, SENT_WAIT_MS, holds).await {
            run(backend, move |backend| {
                require_success(backend, &record, &hash)
            })
            .await?;
        }
    }
    Ok(hash)
}

/// Says why a transaction failed, as Hardhat's node does: its tests expect that from whoever sends.
fn require_success(
    backend: &Backend,
    record: &ExecutedRecord,
    hash: &B256,
) -> Result<(), RpcError> {
    let mut all = record.transactions.iter().zip(&record.receipts);
    match all.find(|(transaction, _)| transaction.hash() == *hash) {
        Some((transaction, receipt)) if !receipt.is_success() => {
            Err(call::failure(backend, record, transaction)?)
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether a block follows each transaction without waiting for anything.
fn follows_at_once(backend: &Backend) -> Result<bool, RpcError> {
    let control = require(backend)?.control();
    let is_paced = backend.chain.config().protocol.block_time_ms > 0;
    Ok(control.supported() && control.settings().automine && !is_paced)
}

fn send_now(backend: &Backend, request: TransactionRequest) -> Result<B256, RpcError> {
    let dev = require(backend)?;
    let sending = dev.sending.lock().unwrap_or_else(PoisonError::into_inner);
    let transaction = signed(backend, dev, request)?;
    let sent = submit::admit(backend, transaction);
    drop(sending);
    sent
}

/// A transaction and its bytes.
#[derive(Clone, Debug, Serialize)]
struct SignedTransaction {
    raw: Bytes,
    tx: RpcTransaction,
}

/// A transaction with everything but its signature, and the bytes to sign.
#[derive(Clone, Debug, Serialize)]
struct FilledTransaction {
    raw: Bytes,
    tx: Value,
}

/// Fills in what is left out and signs nothing: it needs no key, so every chain has it.
fn fill(backend: &Backend, args: &Args) -> Result<FilledTransaction, RpcError> {
    let request: TransactionRequest = args.one()?;
    let from = request.from.unwrap_or_default();
    let unsigned = complete(backend, from, request)?;
    let tx = to_json(&unsigned)?;
    Ok(FilledTransaction {
        raw: unsigned.encoded_for_signing().into(),
        tx,
    })
}

fn sign(backend: &Backend, args: &Args) -> Result<SignedTransaction, RpcError> {
    let request: TransactionRequest = args.one()?;
    let transaction = signed(backend, require(backend)?, request)?;
    Ok(SignedTransaction {
        raw: transaction.raw().clone(),
        tx: format_waiting(&transaction),
    })
}

/// The request, completed and signed by its sender's key or, if impersonated, by naming the sender.
fn signed(
    backend: &Backend,
    dev: &Dev,
    request: TransactionRequest,
) -> Result<RecoveredTransaction, RpcError> {
    let from = request.from.ok_or(RpcError::UnknownAccount)?;
    let impersonated = dev.impersonated().has(&from);
    if !impersonated && dev.signer(&from).is_none() {
        return Err(RpcError::UnknownAccount);
    }
    let unsigned = complete(backend, from, request)?;
    let signature = match dev.signer(&from) {
        Some(signer) => signer
            .sign_hash_sync(&unsigned.signature_hash())
            .map_err(|error| RpcError::Signing(error.to_string()))?,
        None => Signature::new(U256::from_be_bytes(from.into_word().0), U256::ZERO, false),
    };
    let transaction = Transaction::decode(unsigned.into_envelope(signature).encoded_2718())?;
    Ok(backend
        .senders
        .recover(transaction, Impersonation::Allowed)?)
}

/// Fills in what the caller left out: nonce, fees, gas, chain.
fn complete(
    backend: &Backend,
    from: Address,
    mut request: TransactionRequest,
) -> Result<TypedTransaction, RpcError> {
    call::check(backend, &request)?;
    request.normalize_input();
    request.chain_id = Some(backend.chain.config().chain_id);
    request.to = Some(request.to.unwrap_or(TxKind::Create));
    request.value = Some(request.value.unwrap_or_default());
    if request.nonce.is_none() {
        request.nonce = Some(backend.pending_nonce(&from)?);
    }
    complete_fees(backend, &mut request)?;
    if request.gas.is_none() {
        let gas = call::estimate(backend, request.clone(), None, &Overrides::default())?;
        request.gas = Some(gas);
    }
    request
        .build_consensus_tx()
        .map_err(|error| RpcError::ArgumentsConflict(error.error))
}

/// A legacy price is kept as it is; otherwise the fee cap leaves room for the base fee to double.
fn complete_fees(backend: &Backend, request: &mut TransactionRequest) -> Result<(), RpcError> {
    let has_dynamic =
        request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some();
    if request.gas_price.is_some() && has_dynamic {
        let problem = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
        return Err(RpcError::ArgumentsConflict(problem.to_owned()));
    }
    if request.gas_price.is_some() {
        return Ok(());
    }
    let (base_fee, suggested) = fee::suggested(backend)?;
    let base_fee = u128::from(base_fee);
    if matches!(request.transaction_type, Some(0 | 1)) && !has_dynamic {
        request.gas_price = Some(base_fee.saturating_add(suggested));
        return Ok(());
    }
    let cap = request.max_fee_per_gas.unwrap_or(u128::MAX);
    let priority_fee = request
        .max_priority_fee_per_gas
        .unwrap_or(suggested.min(cap));
    request.max_priority_fee_per_gas = Some(priority_fee);
    let room = base_fee.saturating_mul(2).saturating_add(priority_fee);
    request.max_fee_per_gas = Some(request.max_fee_per_gas.unwrap_or(room));
    Ok(())
}
