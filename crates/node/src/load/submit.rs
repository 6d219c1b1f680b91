//! Sends the requests, each connection its own one after another.

use super::{
    LoadOptions,
    client::{Client, parse_batch},
    error::LoadError,
    sign::Batch,
};
use serde::de::IgnoredAny;
use std::{
    cell::{Cell, RefCell},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// What was sent so far; read by whoever watches the chain.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) transactions: usize,
    pub(super) sent: Cell<usize>,
    pub(super) refused: Cell<usize>,
    pub(super) first_refusal: RefCell<Option<String>>,
    /// When the last request was answered.
    pub(super) last: Cell<Option<Instant>>,
}

/// When each batch is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    start: Instant,
    /// Between two batches of one connection.
    interval: Duration,
}

impl Tally {
    pub(super) const fn new(transactions: usize) -> Self {
        Self {
            transactions,
            sent: Cell::new(0),
            refused: Cell::new(0),
            first_refusal: RefCell::new(None),
            last: Cell::new(None),
        }
    }

    /// Transactions that may still get a receipt.
    pub(super) fn awaited(&self) -> usize {
        self.transactions.saturating_sub(self.refused.get())
    }
}

impl Pace {
    pub(super) fn new(options: &LoadOptions, start: Instant) -> Self {
        let connections = options.connections.min(options.senders);
        let per_round = options.batch.saturating_mul(connections);
        let interval = options.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs_f64(per_round as f64 / f64::from(rate.max(1)))
        });
        Self { start, interval }
    }

    fn due(&self, connection: usize, connections: usize, batch: usize) -> Instant {
        let turn = batch as f64 + connection as f64 / connections as f64;
        self.start + self.interval.mul_f64(turn)
    }
}

/// Sends every batch.
pub(super) async fn submit(
    client: &Client,
    queues: Vec<Vec<Batch>>,
    pace: Pace,
    tally: &Tally,
) -> Result<(), LoadError> {
    let connections = queues.len();
    let sends = queues
        .into_iter()
        .enumerate()
        .map(async |(connection, queue)| {
            for (index, batch) in queue.into_iter().enumerate() {
                sleep_until(pace.due(connection, connections, index)).await;
                send(client, batch, tally).await?;
            }
            Ok(())
        });
    futures::future::try_join_all(sends).await?;
    Ok(())
}

async fn send(client: &Client, batch: Batch, tally: &Tally) -> Result<(), LoadError> {
    let answer = client.post(batch.body).await?;
    let answers = parse_batch::<IgnoredAny>("eth_sendRawTransaction", &answer)?;
    let refusals: Vec<_> = answers
        .into_iter()
        .filter_map(|answer| answer.error)
        .collect();
    tally.sent.update(|sent| sent + batch.hashes.len());
    tally.refused.update(|refused| refused + refusals.len());
    tally.last.set(Some(Instant::now()));
    if let Some(refusal) = refusals.into_iter().next() {
        let mut first = tally.first_refusal.borrow_mut();
        first.get_or_insert(refusal.message);
    }
    Ok(())
}
