//! Follows the chain and counts receipts, block by block.
//!
//! A node that knows `eth_getBlockReceipts` is asked once for each block; any other is asked for the
//! block's hashes and then for the receipts of ours.

use super::{OnProgress, Progress, client::Client, error::LoadError, submit::Tally};
use alloy_primitives::{B256, U64, map::B256Set};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks for a new block.
const POLL: Duration = Duration::from_millis(20);
/// Receipts asked for in one batch.
const RECEIPTS_MAX: usize = 500;

/// What has receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) mined: usize,
    pub(super) failed: usize,
    pub(super) blocks: usize,
    /// When the last receipt was seen.
    pub(super) last: Option<Instant>,
}

/// Looks for receipts of a set of transactions.
pub(super) struct Watch<'a> {
    seen_height: u64,
    awaited: B256Set,
    counted: Counted,
    has_block_receipts: bool,
    progress: OnProgress<'a>,
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

impl<'a> Watch<'a> {
    pub(super) const fn new(seen_height: u64, awaited: B256Set, progress: OnProgress<'a>) -> Self {
        Self {
            seen_height,
            awaited,
            counted: Counted {
                mined: 0,
                failed: 0,
                blocks: 0,
                last: None,
            },
            has_block_receipts: true,
            progress,
        }
    }

    /// Follows until every transaction that was not refused has a receipt, or the deadline.
    pub(super) async fn follow(
        &mut self,
        client: &Client,
        tally: &Tally,
        deadline: Instant,
    ) -> Result<Counted, LoadError> {
        while self.counted.mined < tally.awaited() && Instant::now() < deadline {
            let height = client.block_number().await?;
            while self.seen_height < height && Instant::now() < deadline {
                // A node may name a height a moment before it can serve it.
                let Some(receipts) = self.receipts(client, self.seen_height + 1).await? else {
                    break;
                };
                self.count(&receipts);
                self.seen_height += 1;
            }
            (self.progress)(Progress {
                step: "mined",
                done: self.counted.mined,
                total: tally.transactions,
            });
            if self.counted.mined < tally.awaited() {
                sleep(POLL).await;
            }
        }
        Ok(self.counted)
    }

    fn count(&mut self, receipts: &[Receipt]) {
        let mined = self.counted.mined;
        for receipt in receipts {
            if !self.awaited.remove(&receipt.transaction_hash) {
                continue;
            }
            self.counted.mined += 1;
            self.counted.failed += usize::from(receipt.status == Some(U64::ZERO));
        }
        if self.counted.mined > mined {
            self.counted.blocks += 1;
            self.counted.last = Some(Instant::now());
        }
    }

    /// The receipts of a block, at least of our transactions; none if the node does not have it yet.
    async fn receipts(
        &mut self,
        client: &Client,
        height: u64,
    ) -> Result<Option<Vec<Receipt>>, LoadError> {
        let height = U64::from(height);
        if self.has_block_receipts {
            match client.call("eth_getBlockReceipts", json!([height])).await {
                Err(LoadError::Refused { .. }) => self.has_block_receipts = false,
                other => return other,
            }
        }
        let params = json!([height, false]);
        let block: Option<Block> = client.call("eth_getBlockByNumber", params).await?;
        let Some(block) = block else {
            return Ok(None);
        };
        let hashes = block.transactions.into_iter();
        let ours: Vec<B256> = hashes.filter(|hash| self.awaited.contains(hash)).collect();
        let mut receipts = Vec::with_capacity(ours.len());
        for hashes in ours.chunks(RECEIPTS_MAX) {
            let params = hashes.iter().map(|hash| json!([hash])).collect();
            let found = client.batch("eth_getTransactionReceipt", params).await?;
            receipts.extend(found.into_iter().flatten());
        }
        Ok((receipts.len() == ours.len()).then_some(receipts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_counts_once_and_only_if_it_is_ours() {
        let (ours, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let mut watch = Watch::new(0, [ours].into_iter().collect(), &|_| {});
        let receipt = |transaction_hash, status: u64| Receipt {
            transaction_hash,
            status: Some(U64::from(status)),
        };
        watch.count(&[receipt(other, 1)]);
        assert_eq!(watch.counted, Counted::default());
        watch.count(&[receipt(ours, 0), receipt(ours, 1)]);
        let counted = watch.counted;
        assert_eq!((counted.mined, counted.failed, counted.blocks), (1, 1, 1));
    }
}
