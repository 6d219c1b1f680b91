//! Gossip of transactions: what one node admits reaches every leader to come.
//!
//! ```text
//! pool event (not from a peer) ─▶ bundle, with the senders' keys that are known ─▶ all peers
//! peer ─▶ bundle ─▶ decode ─▶ recover, by the keys where that is faster ─▶ admit
//!                     └ malformed       └ a key is not the sender's: the peer is banned
//! ```
//! A node sends on only what it admitted itself, so nothing circulates; what is still waiting
//! after a while is sent again, at most [`RETRIED_BYTES_MAX`] at a time in turn. Work for a peer is bounded by
//! [`RECEIVED_BYTES_PER_SECOND`]: what it sends beyond is dropped unread. A transaction the pool refuses is dropped
//! without blame: pools may differ. Bytes that are not transactions cost their sender the connection, and so do
//! a transaction that nobody signed and a false key, which no honest node sends: it recovered the keys itself. What
//! the transactions are and who sent them is the same whatever the keys are.

use crate::{allowance::Allowances, application::unix_ms, network::TRANSACTIONS_BYTES_MAX};
use alloy_primitives::{B256, Bytes, map::B256HashSet};
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_runtime::{
    Clock, Handle, Metrics, Spawner,
    telemetry::metrics::{Counter, Gauge, MetricsExt as _},
};
use mempool::{Event, Mempool};
use pipeline::Chain;
use primitives::{
    Bundle, BundleBuilder, BundleError, RecoveredTransaction, Transaction, TransactionError,
    crypto::PublicKey, recovery::Keys, recovery::SenderCache, signature::SenderKey,
    transaction::Impersonation,
};
use rand::{SeedableRng, rngs::StdRng};
use rand_core::CryptoRng;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::sync::mpsc;

/// Transactions that wait to be sent; others have more only by the blocks that this node leads.
const OUTGOING_MAX: usize = 65_536;
/// Own transactions that are sent again while they wait; the oldest are forgotten first.
const RETRIED_MAX: usize = 65_536;
/// Bytes sent again at a time.
const RETRIED_BYTES_MAX: usize = 1024 * 1024;
/// Hashes of received transactions remembered, so that they are not sent on.
const RECEIVED_MAX: usize = 65_536;
/// Bytes of transactions a second that are read of one peer: some 250,000 transfers, more than one thread recovers.
const RECEIVED_BYTES_PER_SECOND: usize = 32 * 1024 * 1024;
/// How often transactions that waited too long are looked for.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);

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
    E: Clock + Spawner + CryptoRng + Metrics,
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
        let forward = Forward {
            checks: CheckGauges::new(&runtime),
            mempool: self.mempool.clone(),
            senders: self.senders.clone(),
            retry: self.retry,
        };
        runtime.spawn(move |runtime| forward.run(runtime, queue, sender));
        let runtime = self.runtime.child("incoming");
        let refused = runtime.counter(
            "refused_messages",
            "Messages that were not read: their peer sends too many transactions",
        );
        runtime
            .dedicated()
            .spawn(move |_| self.listen(received, receiver, refused))
    }

    async fn listen(
        mut self,
        received: Arc<Mutex<Received>>,
        mut receiver: impl Receiver<PublicKey = PublicKey>,
        refused: Counter,
    ) {
        let mut intake = Intake {
            senders: self.senders.clone(),
            blocker: self.blocker.clone(),
            impersonation: Impersonation::from(self.chain.config().protocol.dev),
            received,
            allowances: Allowances::new(RECEIVED_BYTES_PER_SECOND),
            // Drawn once, so that a seed replays on processors that need more randomness than others.
            random: StdRng::from_rng(&mut self.runtime),
        };
        while let Ok((peer, message)) = receiver.recv().await {
            let message = bytes::Bytes::from(message);
            if intake.admits(&peer, message.len(), self.runtime.current()) {
                self.admit(intake.take(peer, message));
            } else {
                refused.inc();
            }
        }
    }

    fn admit(&self, transactions: Vec<RecoveredTransaction>) {
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

/// Makes recovered transactions of what peers send.
struct Intake<B> {
    senders: SenderCache,
    blocker: B,
    impersonation: Impersonation,
    received: Arc<Mutex<Received>>,
    allowances: Allowances,
    random: StdRng,
}

impl<B: Blocker<PublicKey = PublicKey>> Intake<B> {
    /// Whether a message of so many bytes is to be read.
    fn admits(&mut self, peer: &PublicKey, bytes: usize, now: SystemTime) -> bool {
        self.allowances.spend(peer, bytes, now)
    }

    /// The transactions of a message that have a sender. Whoever sends what no honest node does is banned.
    fn take(&mut self, peer: PublicKey, message: bytes::Bytes) -> Vec<RecoveredTransaction> {
        let Ok(arrived) = Arrived::decode(message) else {
            commonware_p2p::block!(self.blocker, peer, "malformed transactions");
            return Vec::new();
        };
        remember(&self.received, &arrived.transactions);
        let recovery = self.senders.recover_hinted(
            arrived.hinted(),
            self.impersonation,
            Keys::Dropped,
            &mut self.random,
        );
        if recovery.has_false_hint {
            commonware_p2p::block!(self.blocker, peer, "false key of a sender");
        } else if recovery.recovered.iter().any(Result::is_err) {
            commonware_p2p::block!(self.blocker, peer, "a transaction that nobody signed");
        }
        // The transactions are what they are all the same.
        let recovered = recovery.recovered.into_iter();
        recovered.filter_map(Result::ok).collect()
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

/// Sends what the pool admitted here, and again what waits.
struct Forward {
    mempool: Mempool,
    senders: SenderCache,
    retry: Duration,
    checks: CheckGauges,
}

impl Forward {
    async fn run<E: Clock>(
        self,
        runtime: E,
        mut queue: mpsc::Receiver<Transaction>,
        mut sender: impl Sender<PublicKey = PublicKey>,
    ) {
        let mut waiting: VecDeque<Transaction> = VecDeque::new();
        let mut retry_at = runtime.current() + self.retry;
        let mut expire_at = runtime.current() + EXPIRY_INTERVAL;
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                count = queue.recv_many(&mut batch, OUTGOING_MAX) => {
                    if count == 0 {
                        return;
                    }
                    self.send(&mut sender, &batch);
                    waiting.extend(batch.drain(..));
                    waiting.drain(..waiting.len().saturating_sub(RETRIED_MAX));
                }
                () = runtime.sleep_until(retry_at) => {
                    retry_at = runtime.current() + self.retry;
                    if runtime.current() >= expire_at {
                        expire_at = runtime.current() + EXPIRY_INTERVAL;
                        self.mempool.expire(unix_ms(runtime.current()));
                    }
                    waiting.retain(|transaction| self.mempool.get(&transaction.hash()).is_some());
                    self.send(&mut sender, &turn(&mut waiting));
                    self.checks.set(&self.senders);
                }
            }
        }
    }

    fn send(&self, sender: &mut impl Sender<PublicKey = PublicKey>, transactions: &[Transaction]) {
        for message in bundles(transactions, &self.senders) {
            let _reached = sender.send(Recipients::All, message, false);
        }
    }
}

/// How the comparisons of own recoveries with the C library go, for Prometheus.
struct CheckGauges {
    equal: Gauge,
    different: Gauge,
}

impl CheckGauges {
    fn new(runtime: &impl Metrics) -> Self {
        Self {
            equal: runtime.gauge(
                "recoveries_equal",
                "Recovered signers that were compared with the C library's and are equal",
            ),
            different: runtime.gauge(
                "recoveries_different",
                "Batches of signers of which one was not the C library's; always 0",
            ),
        }
    }

    fn set(&self, senders: &SenderCache) {
        let checks = senders.checks();
        self.equal
            .set(i64::try_from(checks.equal).unwrap_or(i64::MAX));
        self.different
            .set(i64::try_from(checks.different).unwrap_or(i64::MAX));
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

/// The messages that carry transactions, in their order, with the keys that are known.
fn bundles(transactions: &[Transaction], senders: &SenderCache) -> Vec<bytes::Bytes> {
    let mut builder = BundleBuilder::new(TRANSACTIONS_BYTES_MAX);
    let mut messages = Vec::new();
    for transaction in transactions {
        let sender = senders.get(&transaction.hash());
        let key = sender.and_then(|sender| senders.key(&sender));
        if builder.push(transaction.raw(), key.as_ref()).is_err() {
            messages.push(builder.finish());
            builder
                .push(transaction.raw(), key.as_ref())
                .expect("an empty message has room for the largest transaction and its key");
        }
    }
    if builder.transactions() > 0 {
        messages.push(builder.finish());
    }
    messages
}

/// A message of a peer.
#[derive(Debug)]
struct Arrived {
    bundle: Bundle,
    transactions: Vec<Transaction>,
}

/// Why bytes are no message.
#[derive(Debug, thiserror::Error)]
enum MessageError {
    #[error("more than any node sends at once: bytes={0} max={TRANSACTIONS_BYTES_MAX}")]
    TooLarge(usize),
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
}

impl Arrived {
    fn decode(message: bytes::Bytes) -> Result<Self, MessageError> {
        if message.len() > TRANSACTIONS_BYTES_MAX {
            return Err(MessageError::TooLarge(message.len()));
        }
        let bundle = Bundle::decode(message)?;
        // Copied: a part of the message would keep all of it in memory for as long as the pool keeps one
        // transaction.
        let items = bundle.items().iter();
        let raw = items.map(|item| Bytes::copy_from_slice(&item.raw));
        let transactions = raw.map(Transaction::decode).collect::<Result<_, _>>()?;
        Ok(Self {
            bundle,
            transactions,
        })
    }

    /// The transactions, each with what is said to be its sender's key.
    fn hinted(&self) -> Vec<(Transaction, Option<&SenderKey>)> {
        let keys = self
            .bundle
            .items()
            .iter()
            .map(|item| self.bundle.key_of(item));
        self.transactions.iter().cloned().zip(keys).collect()
    }
}

#[cfg(test)]
mod tests;
