//! Sending transactions.
//!
//! ```text
//! raw ─decode─▶ Transaction ─recover─▶ RecoveredTransaction ─▶ pool
//! ```
//! Decoding and recovering happen on a blocking thread, for a batch all at once (see `batch`).
//! `eth_sendRawTransactionSync` (EIP-7966) waits for the receipt: on this chain that is one round of
//! consensus and one execution.

use crate::{
    args::Args,
    backend::{Backend, run},
    config::{RECEIPT_WAIT_MS, RECEIPT_WAIT_MS_MAX},
    error::RpcError,
    eth::transaction::{self, RpcReceipt},
    registry::Registry,
    shard::ShardPlace,
};
use alloy_primitives::{B256, Bytes, U64};
use futures::future::{Either, select};
use jsonrpsee::types::Params;
use pipeline::ChainEvent;
use primitives::{
    RecoveredTransaction, Transaction, recovery::Keys, signature::SenderKey,
    transaction::Impersonation,
};
use state::Snapshot;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// The method whose batches are handled as one.
pub(crate) const SEND_RAW: &str = "eth_sendRawTransaction";

pub(crate) fn register(methods: &mut Registry) {
    methods.heavy(SEND_RAW, send_raw);
    methods.waiting("eth_sendRawTransactionSync", send_raw_sync);
}

fn send_raw(backend: &Backend, args: &Args) -> Result<B256, RpcError> {
    let transaction = recover(backend, args.one()?)?;
    admit(backend, transaction)
}

/// Decodes a transaction and recovers its sender.
///
/// An impersonated sender is not taken from raw bytes, not even on a development chain: whoever
/// impersonates says so by `eth_sendTransaction`.
pub(crate) fn recover(backend: &Backend, raw: Bytes) -> Result<RecoveredTransaction, RpcError> {
    Ok(backend
        .senders
        .recover(decode(raw)?, Impersonation::Refused)?)
}

/// Decodes a transaction that impersonates nobody.
pub(crate) fn decode(raw: Bytes) -> Result<Transaction, RpcError> {
    let transaction = Transaction::decode(raw)?;
    if transaction.impersonated_sender().is_some() {
        return Err(primitives::TransactionError::InvalidSignature.into());
    }
    Ok(transaction)
}

/// Hands one transaction to the pool.
pub(crate) fn admit(
    backend: &Backend,
    transaction: RecoveredTransaction,
) -> Result<B256, RpcError> {
    let state = state_for_sending(backend)?;
    let admissions = backend
        .mempool
        .admit_many(vec![transaction], &state, backend.now_ms())?;
    let [admission] = <[_; 1]>::try_from(admissions)
        .map_err(|_| RpcError::Internal("the pool gave no answer".to_owned()))?;
    Ok(admission?.hash)
}

/// The state that transactions are admitted over.
fn state_for_sending(backend: &Backend) -> Result<Snapshot, RpcError> {
    if backend.chain.is_imported() {
        return Err(RpcError::Imported);
    }
    if backend.shard.as_ref().is_some_and(ShardPlace::is_retired) {
        return Err(RpcError::ShardRetired);
    }
    backend.latest_state()
}

/// The hash of a transaction that is in the pool, or why it is not.
pub(crate) type Sent = Result<B256, RpcError>;

/// Sends the transactions of a batch, given the parameters of each call; one answer for each.
pub(crate) fn send_many(
    backend: &Backend,
    calls: &[Params<'static>],
) -> Result<Vec<Sent>, RpcError> {
    let decoded = calls.iter().map(|params| {
        let raw = Args::parse(params).and_then(|args| args.one());
        (raw.and_then(decode), None)
    });
    send_decoded(backend, decoded.collect())
}

/// A transaction, or why there is none, and what is said to be its sender's key.
pub(crate) type Received<'a> = (Result<Transaction, RpcError>, Option<&'a SenderKey>);

/// Recovers what could be decoded and hands it to the pool; one answer for each.
pub(crate) fn send_decoded(
    backend: &Backend,
    decoded: Vec<Received<'_>>,
) -> Result<Vec<Sent>, RpcError> {
    let state = state_for_sending(backend)?;
    let mut transactions = Vec::with_capacity(decoded.len());
    let mut answers: Vec<Sent> = Vec::with_capacity(decoded.len());
    for (transaction, key) in decoded {
        answers.push(transaction.map(|transaction| {
            let hash = transaction.hash();
            transactions.push((transaction, key));
            hash
        }));
    }
    // A false key is no reason to refuse a transaction: without any, it would have been taken.
    let senders = backend.senders.recover_hinted(
        transactions,
        Impersonation::Refused,
        Keys::Remembered,
        &mut backend.random(),
    );
    let senders = senders.recovered;
    let mut recovered = Vec::with_capacity(senders.len());
    let mut places = Vec::with_capacity(senders.len());
    let asked = answers
        .iter_mut()
        .enumerate()
        .filter(|(_, sent)| sent.is_ok());
    for ((place, answer), sender) in asked.zip(senders) {
        match sender {
            Ok(transaction) => {
                recovered.push(transaction);
                places.push(place);
            }
            Err(error) => *answer = Err(error.into()),
        }
    }
    let admissions = backend
        .mempool
        .admit_many(recovered, &state, backend.now_ms())?;
    for (place, admission) in places.into_iter().zip(admissions) {
        if let (Err(error), Some(answer)) = (admission, answers.get_mut(place)) {
            *answer = Err(error.into());
        }
    }
    Ok(answers)
}

async fn send_raw_sync(
    backend: Arc<Backend>,
    params: Params<'static>,
) -> Result<RpcReceipt, RpcError> {
    let (raw, timeout): (Bytes, Option<U64>) = Args::parse(&params)?.two()?;
    let timeout = timeout.map_or(RECEIPT_WAIT_MS, |timeout| timeout.to());
    let waited_ms = timeout.min(RECEIPT_WAIT_MS_MAX);
    // Subscribed before it is sent, so that its block can't slip by.
    let events = backend.chain.subscribe();
    let send = move |backend: &Arc<Backend>| admit(backend, recover(backend, raw)?);
    let hash = run(Arc::clone(&backend), send).await?;
    let receipt = pin!(wait_for_receipt(&backend, hash, events));
    let timer = (backend.clock.sleep)(Duration::from_millis(waited_ms));
    match select(receipt, timer).await {
        Either::Left((receipt, _)) => receipt,
        Either::Right(_) => Err(RpcError::ReceiptTimeout { hash, waited_ms }),
    }
}

async fn wait_for_receipt(
    backend: &Backend,
    hash: B256,
    mut events: Receiver<ChainEvent>,
) -> Result<RpcReceipt, RpcError> {
    loop {
        match events.recv().await {
            Ok(ChainEvent::Executed(_)) | Err(RecvError::Lagged(_)) => {}
            Ok(ChainEvent::Stage { .. }) => continue,
            Err(RecvError::Closed) => {
                return Err(RpcError::Internal("the chain stopped".to_owned()));
            }
        }
        if let Some((record, index)) = backend.chain.transaction(&hash)? {
            let absent = || RpcError::Internal(format!("no receipt: hash={hash}"));
            return transaction::receipt(&record, index).ok_or_else(absent);
        }
    }
}
