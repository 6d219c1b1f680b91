//! Follows the chain of one endpoint: a transaction is included when a block that the node has executed
//! holds it.
//!
//! ```text
//! clock runs ──▶ new height ─▶ hashes of its block ─▶ Fates::include
//! afterwards ──▶ blocks that held ours ─▶ receipts ─▶ Fates::conclude
//! ```
//! Receipts are read after the clock has stopped: some nodes need seconds for those of one large block,
//! and that is not what is measured. A node is asked for its height every [`POLL`], so a time of inclusion is
//! later than the fact by up to that much and the reading of the block.

use super::{
    OnProgress, Progress,
    client::{CALLS_MAX, Client},
    error::LoadError,
    send::{Endpoint, Run},
    stages::Stages,
};
use alloy_primitives::{B256, U64};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks for a new block.
const POLL: Duration = Duration::from_millis(20);
/// Between two looks at a node that does not answer.
const TROUBLED_POLL: Duration = Duration::from_millis(200);

/// Looks for this run's transactions.
#[derive(Debug)]
pub(super) struct Watch {
    /// Which endpoint.
    number: usize,
    seen_height: u64,
    /// Blocks that held any of them.
    pub(super) heights: Vec<u64>,
    /// When blocks reached their stages; none where nobody says so.
    pub(super) stages: Option<Stages>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    transaction_hash: B256,
    status: Option<U64>,
}

#[derive(Debug, Deserialize)]
struct Block {
    transactions: Vec<B256>,
}

impl Watch {
    pub(super) const fn new(number: usize, seen_height: u64, stages: Option<Stages>) -> Self {
        Self {
            number,
            seen_height,
            heights: Vec::new(),
            stages,
        }
    }

    /// The clock starts, at this time of this machine.
    pub(super) const fn start(&mut self, unix_ms: u64) {
        if let Some(stages) = &mut self.stages {
            stages.start(unix_ms);
        }
    }

    /// Follows until nothing is open any more, the node is lost, or the deadline.
    pub(super) async fn follow(
        &mut self,
        endpoint: &Endpoint,
        run: &Run<'_>,
        progress: OnProgress<'_>,
    ) {
        let number = self.number;
        let is_open = || run.fates.borrow().open(number) > 0;
        while is_open() && Instant::now() < run.deadline && !endpoint.is_lost() {
            let pause = match self.look(endpoint, run).await {
                Ok(()) => {
                    endpoint.answered();
                    POLL
                }
                Err(error) => {
                    endpoint.failed(&error);
                    TROUBLED_POLL
                }
            };
            tell(run, progress);
            if is_open() {
                sleep(pause).await;
            }
        }
        if let Some(stages) = self.stages.as_mut().filter(|_| !endpoint.is_lost()) {
            stages.finish(&endpoint.client, run.deadline).await;
        }
    }

    async fn look(&mut self, endpoint: &Endpoint, run: &Run<'_>) -> Result<(), LoadError> {
        let client = &endpoint.client;
        let height = client.block_number().await?;
        while self.seen_height < height && Instant::now() < run.deadline {
            // A node may name a height a moment before it can serve it.
            let Some(block) = block(client, self.seen_height + 1).await? else {
                break;
            };
            self.seen_height += 1;
            self.see(&block.transactions, run);
        }
        match &mut self.stages {
            Some(stages) => stages.look(client).await,
            None => Ok(()),
        }
    }

    fn see(&mut self, hashes: &[B256], run: &Run<'_>) {
        let now_us = run.now_us();
        let mut fates = run.fates.borrow_mut();
        let mut is_ours = false;
        for hash in hashes {
            // A block is the witness for what was sent through the same endpoint only.
            let endpoint = fates.index(hash).map(|index| fates.lanes.endpoint(index));
            if endpoint == Some(self.number) {
                is_ours |= fates.include(hash, self.seen_height, now_us);
            }
        }
        if is_ours {
            self.heights.push(self.seen_height);
            if let Some(stages) = &mut self.stages {
                stages.expect(self.seen_height, now_us);
            }
        }
    }

    /// Reads the receipts of what is in blocks.
    pub(super) async fn conclude(
        &self,
        client: &Client,
        run: &Run<'_>,
        progress: OnProgress<'_>,
    ) -> Result<(), LoadError> {
        let mut has_block_receipts = true;
        for (done, height) in self.heights.iter().enumerate() {
            let receipts = match has_block_receipts {
                true => block_receipts(client, *height).await?,
                false => None,
            };
            let receipts = match receipts {
                Some(receipts) => receipts,
                None => {
                    has_block_receipts = false;
                    single_receipts(client, *height, run).await?
                }
            };
            let mut fates = run.fates.borrow_mut();
            for receipt in receipts {
                let failed = receipt.status == Some(U64::ZERO);
                fates.conclude(&receipt.transaction_hash, failed);
            }
            progress(Progress::of("receipts", done + 1, self.heights.len()));
        }
        Ok(())
    }
}

fn tell(run: &Run<'_>, progress: OnProgress<'_>) {
    let fates = run.fates.borrow();
    let (sent, included, all) = (fates.sent, fates.included, fates.lanes.plan.transactions);
    progress(match sent < all {
        true => Progress::of("sending", sent, all),
        false => Progress::of("waiting", included, all),
    });
}

async fn block(client: &Client, height: u64) -> Result<Option<Block>, LoadError> {
    let params = json!([U64::from(height), false]);
    client.call("eth_getBlockByNumber", params).await
}

/// All receipts of a block; none if the node does not know how to say them.
async fn block_receipts(client: &Client, height: u64) -> Result<Option<Vec<Receipt>>, LoadError> {
    let params = json!([U64::from(height)]);
    match client.call("eth_getBlockReceipts", params).await {
        Err(LoadError::Refused { .. }) => Ok(None),
        other => other,
    }
}

/// The receipts of our transactions in a block, one call for each.
async fn single_receipts(
    client: &Client,
    height: u64,
    run: &Run<'_>,
) -> Result<Vec<Receipt>, LoadError> {
    let mut receipts = Vec::new();
    let block = block(client, height).await?;
    let hashes = block.map_or_else(Vec::new, |block| block.transactions);
    let is_ours = |hash: &B256| run.fates.borrow().index(hash).is_some();
    let ours: Vec<B256> = hashes.into_iter().filter(is_ours).collect();
    for hashes in ours.chunks(CALLS_MAX) {
        let params = hashes.iter().map(|hash| json!([hash])).collect();
        let found = client.batch("eth_getTransactionReceipt", params).await?;
        receipts.extend(found.into_iter().flatten());
    }
    Ok(receipts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{
        Workload,
        fates::{Fates, Lanes},
        plan::Plan,
        schedule::Schedule,
        send::Lateness,
    };
    use std::cell::RefCell;

    #[test]
    fn a_node_is_the_witness_for_what_it_was_sent() {
        let plan = Plan {
            workload: Workload::Transfers,
            transactions: 4,
            senders: 2,
            conflicts: None,
            recipients: None,
        };
        let hashes = [1, 2, 3, 4].map(B256::repeat_byte);
        let fates = RefCell::new(Fates::new(Lanes::new(plan, 2, 2), hashes.into_iter()));
        let lateness = Lateness::default();
        let start = Instant::now();
        let run = Run {
            fates: &fates,
            signed: &[],
            keys: None,
            schedule: Schedule::new(None, Duration::ZERO),
            batch: 1,
            start,
            deadline: start,
            lateness: &lateness,
        };
        let mut watches = [0, 1].map(|number| Watch::new(number, 5, None));
        let [first, second] = &mut watches;
        first.see(&hashes, &run);
        assert_eq!((fates.borrow().open(0), fates.borrow().open(1)), (0, 2));
        assert_eq!(
            (first.heights.as_slice(), fates.borrow().included),
            ([5].as_slice(), 2)
        );
        first.see(&hashes, &run);
        assert_eq!(first.heights, [5], "none of them is new");
        second.see(&[B256::ZERO], &run);
        assert!(second.heights.is_empty(), "none of them is ours");
        second.see(&hashes, &run);
        assert_eq!((fates.borrow().open(1), fates.borrow().included), (0, 4));
    }
}
