//! The `txpool` namespace: what waits, by sender and nonce.

use crate::{
    args::Args,
    backend::Backend,
    error::RpcError,
    eth::transaction::{RpcTransaction, format_waiting},
    registry::Registry,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U64};
use mempool::SenderContent;
use primitives::RecoveredTransaction;
use serde::Serialize;
use std::collections::BTreeMap;

pub(crate) fn register(methods: &mut Registry) {
    methods.quick("txpool_status", status);
    methods.heavy("txpool_content", content);
    methods.heavy("txpool_contentFrom", content_from);
    methods.heavy("txpool_inspect", inspect);
}

/// The executable ones, and those behind a nonce gap.
#[derive(Clone, Debug, Default, Serialize)]
struct Parts<T> {
    pending: T,
    queued: T,
}

/// Decimal nonces, in the order of their digits, as geth has them.
type ByNonce<T> = BTreeMap<String, T>;
type BySender<T> = BTreeMap<Address, ByNonce<T>>;

fn status(backend: &Backend, args: &Args) -> Result<Parts<U64>, RpcError> {
    args.none()?;
    let counts = backend.mempool.counts();
    Ok(Parts {
        pending: U64::from(counts.pending),
        queued: U64::from(counts.queued),
    })
}

fn content(backend: &Backend, args: &Args) -> Result<Parts<BySender<RpcTransaction>>, RpcError> {
    args.none()?;
    Ok(collect(backend.mempool.content(), format_waiting))
}

fn inspect(backend: &Backend, args: &Args) -> Result<Parts<BySender<String>>, RpcError> {
    args.none()?;
    Ok(collect(backend.mempool.content(), summary))
}

fn content_from(
    backend: &Backend,
    args: &Args,
) -> Result<Parts<ByNonce<RpcTransaction>>, RpcError> {
    let sender: Address = args.one()?;
    let Some(content) = backend.mempool.content_of(&sender) else {
        return Ok(Parts {
            pending: BTreeMap::new(),
            queued: BTreeMap::new(),
        });
    };
    Ok(Parts {
        pending: by_nonce(&content.pending, format_waiting),
        queued: by_nonce(&content.queued, format_waiting),
    })
}

fn collect<T>(
    senders: Vec<SenderContent>,
    format: fn(&RecoveredTransaction) -> T,
) -> Parts<BySender<T>> {
    let mut parts = Parts {
        pending: BySender::new(),
        queued: BySender::new(),
    };
    for content in senders {
        let sides = [
            (&mut parts.pending, content.pending),
            (&mut parts.queued, content.queued),
        ];
        for (part, transactions) in sides {
            if !transactions.is_empty() {
                part.insert(content.sender, by_nonce(&transactions, format));
            }
        }
    }
    parts
}

fn by_nonce<T>(
    transactions: &[RecoveredTransaction],
    format: fn(&RecoveredTransaction) -> T,
) -> ByNonce<T> {
    transactions
        .iter()
        .map(|tx| (tx.nonce().to_string(), format(tx)))
        .collect()
}

/// geth's one line for a transaction.
fn summary(tx: &RecoveredTransaction) -> String {
    let to = tx
        .to()
        .map_or_else(|| "contract creation".to_owned(), |to| to.to_string());
    let (value, gas, price) = (tx.value(), tx.gas_limit(), tx.max_fee_per_gas());
    format!("{to}: {value} wei + {gas} gas × {price} wei")
}
