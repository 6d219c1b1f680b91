//! Gossip of transactions: what one node admits reaches every leader to come.
//!
//! ```text
//! pool event (not from a peer) ─▶ batch ─▶ all peers
//! peer ─▶ decode ─▶ recover ─▶ admit
//! ```
//! A node sends on only what it admitted itself, so nothing circulates; what is still waiting
//! after a while is sent again, at most [`RETRIED_BYTES_MAX`] at a time in turn. Work for peers is bounded by the channel's rate limit and the
//! message size. A transaction the pool refuses is dropped without blame: pools may differ. Bytes
//! that are not transactions cost their sender the connection.

use crate::{application::unix_ms, network::TRANSACTIONS_BYTES_MAX};
use alloy_primitives::{B256, Bytes, map::B256HashSet};
use bytes::{Buf, BufMut, BytesMut};
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_runtime::{Clock, Handle, Spawner};
use mempool::{Event, Mempool};
use pipeline::Chain;
use primitives::{
    Transaction, TransactionError, crypto::PublicKey, recovery::SenderCache,
    transaction::Impersonation,
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::mpsc;

/// Transactions that wait to be sent; more are left to the retry.
const OUTGOING_MAX: usize = 65_536;
/// Own transactions that are sent again while they wait; the oldest are forgotten first.
const RETRIED_MAX: usize = 65_536;
/// Bytes sent again at a time.
const RETRIED_BYTES_MAX: usize = 1024 * 1024;
/// Hashes of received transactions remembered, so that they are not sent on.
const RECEIVED_MAX: usize = 65_536;
/// How often transactions that waited too long are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// Width of a length prefix in a message.
const LENGTH_BYTES: usize = 4;

/// Hashes in two generations; the older is dropped when the newer is full.
#[derive(Debug, Default)]
struct Received {
    young: B256HashSet,
    old: B256HashSet,
}

impl Received {
    fn insert(&mut self, hash: B256) {
        self.young.insert(hash);
        if self.young.len() >= RECEIVED_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
    }

    fn contains(&self, hash: &B256) -> bool {
        self.young.contains(hash) || self.old.contains(hash)
    }
}

/// Sends and receives transactions.
pub(crate) struct TransactionGossip<E, B> {
    pub(crate) runtime: E,
    pub(crate) chain: Chain,
    pub(crate) mempool: Mempool,
    pub(crate) senders: SenderCache,
    pub(crate) blocker: B,
    pub(crate) retry: Duration,
}

impl<E, B> TransactionGossip<E, B>
where
    E: Clock + Spawner,
    B: Blocker<PublicKey = PublicKey>,
{
    pub(crate) fn start(
        self,
        (sender, receiver): (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
    ) -> Handle<()> {
        let received = Arc::new(Mutex::new(Received::default()));
        let (outgoing, queue) = mpsc::channel(OUTGOING_MAX);
        let known = Arc::clone(&received);
        self.mempool
            .listen(Box::new(move |events| offer(events, &known, &outgoing)));
        let runtime = self.runtime.child("outgoing");
        let (mempool, retry) = (self.mempool.clone(), self.retry);
        runtime.spawn(move |runtime| forward(runtime, mempool, retry, queue, sender));
        let runtime = self.runtime.child("incoming");
        runtime
            .dedicated()
            .spawn(move |_| self.listen(received, receiver))
    }

    async fn listen(
        mut self,
        received: Arc<Mutex<Received>>,
        mut receiver: impl Receiver<PublicKey = PublicKey>,
    ) {
        let dev = self.chain.config().protocol.dev;
        while let Ok((peer, message)) = receiver.recv().await {
            let decoded = decode(message.into());
            let Ok(transactions) = decoded else {
                commonware_p2p::block!(self.blocker, peer, "malformed transactions");
                continue;
            };
            remember(&received, &transactions);
            let recovered = self
                .senders
                .recover_many(transactions, Impersonation::from(dev));
            self.admit(recovered.into_iter().filter_map(Result::ok).collect());
        }
    }

    fn admit(&self, transactions: Vec<primitives::RecoveredTransaction>) {
        let executed_height = self.chain.heads().executed_height;
        let now_ms = unix_ms(self.runtime.current());
        let Ok(state) = self.chain.snapshot(executed_height) else {
            return;
        };
        if let Err(fault) = self.mempool.admit_many(transactions, &state, now_ms) {
            tracing::error!(%fault, "the pool could not read the state");
        }
    }
}

fn remember(received: &Mutex<Received>, transactions: &[Transaction]) {
    let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
    for transaction in transactions {
        received.insert(transaction.hash());
    }
}

/// Queues what became pending here and did not come from a peer.
fn offer(events: &[Event], received: &Mutex<Received>, outgoing: &mpsc::Sender<Transaction>) {
    let received = received.lock().unwrap_or_else(PoisonError::into_inner);
    for event in events {
        let (Event::Pending(transaction) | Event::Queued(transaction)) = event else {
            continue;
        };
        if !received.contains(&transaction.hash())
            && outgoing
                .try_send(transaction.transaction().clone())
                .is_err()
        {
            // A client that sends faster than this node forwards sends again, or waits until this
            // node leads.
            tracing::debug!(hash = %transaction.hash(), "not forwarded: too many wait to be sent");
        }
    }
}

async fn forward<E: Clock>(
    runtime: E,
    mempool: Mempool,
    retry: Duration,
    mut queue: mpsc::Receiver<Transaction>,
    mut sender: impl Sender<PublicKey = PublicKey>,
) {
    let mut waiting: VecDeque<Transaction> = VecDeque::new();
    let mut retry_at = runtime.current() + retry;
    let mut expire_at = runtime.current() + EXPIRY_INTERVAL;
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            count = queue.recv_many(&mut batch, OUTGOING_MAX) => {
                if count == 0 {
                    return;
                }
                send(&mut sender, &batch);
                waiting.extend(batch.drain(..));
                waiting.drain(..waiting.len().saturating_sub(RETRIED_MAX));
            }
            () = runtime.sleep_until(retry_at) => {
                retry_at = runtime.current() + retry;
                if runtime.current() >= expire_at {
                    expire_at = runtime.current() + EXPIRY_INTERVAL;
                    mempool.expire(unix_ms(runtime.current()));
                }
                waiting.retain(|transaction| mempool.get(&transaction.hash()).is_some());
                send(&mut sender, &turn(&mut waiting));
            }
        }
    }
}

/// The next ones to send again; they go to the end of the line.
fn turn(waiting: &mut VecDeque<Transaction>) -> Vec<Transaction> {
    let mut bytes = 0_usize;
    let fits = |transaction: &&Transaction| {
        bytes = bytes.saturating_add(transaction.raw().len());
        bytes <= RETRIED_BYTES_MAX
    };
    let again: Vec<_> = waiting.iter().take_while(fits).cloned().collect();
    waiting.rotate_left(again.len());
    again
}

fn send(sender: &mut impl Sender<PublicKey = PublicKey>, transactions: &[Transaction]) {
    let mut message = BytesMut::new();
    for transaction in transactions {
        let raw = transaction.raw();
        if !message.is_empty() && message.len() + LENGTH_BYTES + raw.len() > TRANSACTIONS_BYTES_MAX
        {
            let _reached = sender.send(Recipients::All, message.split().freeze(), false);
        }
        message.put_u32(u32::try_from(raw.len()).expect("a decoded transaction is below 128 KiB"));
        message.put_slice(raw);
    }
    if !message.is_empty() {
        let _reached = sender.send(Recipients::All, message.freeze(), false);
    }
}

fn decode(mut message: bytes::Bytes) -> Result<Vec<Transaction>, TransactionError> {
    let truncated = || TransactionError::Malformed("message ends early".to_owned());
    let mut transactions = Vec::new();
    while message.has_remaining() {
        let length = message.try_get_u32().map_err(|_| truncated())?;
        let length = usize::try_from(length).map_err(|_| truncated())?;
        if length > message.remaining() {
            return Err(truncated());
        }
        // Copied: a part of the message would keep all of it in memory for as long as the pool
        // keeps one transaction.
        let raw = Bytes::copy_from_slice(&message[..length]);
        message.advance(length);
        transactions.push(Transaction::decode(raw)?);
    }
    Ok(transactions)
}

#[cfg(test)]
mod tests;
