//! The thread that notes which transactions addresses and topics are in, once their blocks are durable.
//!
//! ```text
//!   flusher ─▶ durable height ─▶ blocks since the last batch ─▶ postings
//! ```
//! It follows and never holds anybody up: what is not indexed yet, a reader looks for in the blocks. After a
//! restart, and where the index is new, it goes on from its own last height. A failed write ends it, not the
//! node: the state does not depend on it.

use crate::{Chain, ChainError, ExecutedRecord};
use alloy_consensus::Transaction as _;
use commonware_runtime::{Clock, Spawner};
use state::{PostingKey, Postings, PostingsBatch, PostingsError, SPAN_MAX};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// A batch ends once it has so many postings, some 40 bytes each while it is made.
const BATCH_POSTINGS_MAX: usize = 1 << 20;
/// Batches that are not full come no faster.
const INTERVAL: Duration = Duration::from_secs(1);

/// Why it ended.
#[derive(Debug, thiserror::Error)]
enum IndexFault {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Postings(#[from] PostingsError),
}

/// Starts it; it ends with the flusher.
pub(crate) fn start<E: Clock + Spawner>(
    runtime: E,
    chain: Chain,
    postings: Arc<Postings>,
    flushed: watch::Receiver<u64>,
) {
    let thread = Thread {
        chain,
        postings,
        flushed,
    };
    let _ends_with_the_flusher = runtime.dedicated().spawn(|runtime| thread.run(runtime));
}

struct Thread {
    chain: Chain,
    postings: Arc<Postings>,
    flushed: watch::Receiver<u64>,
}

impl Thread {
    async fn run(mut self, clock: impl Clock) {
        loop {
            match self.append() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(fault) => {
                    tracing::error!(%fault, "no more blocks are indexed");
                    return;
                }
            }
            clock.sleep(INTERVAL).await;
            if self.flushed.changed().await.is_err() {
                return;
            }
        }
    }

    /// Adds the next durable blocks; whether there may be more.
    fn append(&self) -> Result<bool, IndexFault> {
        let durable = self.chain.shared.store.flushed_height();
        let next = self.postings.next_height();
        let mut batch = PostingsBatch::default();
        let mut last = None;
        for height in (next..=durable).take(usize::try_from(SPAN_MAX).unwrap_or(usize::MAX)) {
            let Some(record) = self.chain.record(height)? else {
                break;
            };
            add(&mut batch, &record);
            last = Some(height);
            if batch.len() >= BATCH_POSTINGS_MAX {
                break;
            }
        }
        let Some(last) = last else {
            return Ok(false);
        };
        self.postings.append(batch, last)?;
        Ok(last < durable)
    }
}

/// What one block adds.
fn add(batch: &mut PostingsBatch, record: &ExecutedRecord) {
    let height = record.height();
    let executed = record.transactions.iter().zip(&record.receipts);
    for ((transaction, receipt), index) in executed.zip(0_u32..) {
        let mut add = |key| batch.add(key, (height, index));
        add(PostingKey::Account(transaction.sender()));
        let other = transaction.to().or(receipt.contract_address);
        other
            .into_iter()
            .for_each(|other| add(PostingKey::Account(other)));
        for log in receipt.envelope.logs() {
            add(PostingKey::Emitter(log.address));
            for (topic, position) in log.topics().iter().zip(0..) {
                add(PostingKey::Topic(position, *topic));
            }
        }
    }
}
