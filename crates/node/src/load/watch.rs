//! Follows the chain block by block: a transaction is mined when a block that the node has executed holds it.
//!
//! ```text
//! clock runs ──▶ new height ─▶ hashes of its block ─▶ mined
//! afterwards ──▶ blocks that held ours ─▶ receipts ─▶ failed, or not mined after all
//! ```
//! Receipts are read after the clock has stopped: some nodes need seconds for those of one large block,
//! and that is not what is measured.

use super::{OnProgress, Progress, client::Client, error::LoadError, submit::Tally};
use alloy_primitives::{
    B256, U64,
    map::{B256Map, hash_map::Entry},
};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks for a new block.
const POLL: Duration = Duration::from_millis(20);
/// Receipts asked for in one batch.
const RECEIPTS_MAX: usize = 500;

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Awaited,
    InBlock,
    Succeeded,
    Failed,
}

/// What was found in blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) mined: usize,
    pub(super) failed: usize,
    pub(super) blocks: usize,
    /// When the last of them was seen.
    pub(super) last: Option<Instant>,
}

/// Looks for a set of transactions.
pub(super) struct Watch<'a> {
    seen_height: u64,
    fates: B256Map<Fate>,
    mined: usize,
    /// Blocks that held any of them, and when the last was seen.
    heights: Vec<u64>,
    last: Option<Instant>,
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
    pub(super) fn new(
        seen_height: u64,
        hashes: impl Iterator<Item = B256>,
        progress: OnProgress<'a>,
    ) -> Self {
        Self {
            seen_height,
            fates: hashes.map(|hash| (hash, Fate::Awaited)).collect(),
            mined: 0,
            heights: Vec::new(),
            last: None,
            progress,
        }
    }

    /// Follows until every transaction that was not refused is in a block, or the deadline.
    pub(super) async fn follow(
        &mut self,
        client: &Client,
        tally: &Tally,
        deadline: Instant,
    ) -> Result<(), LoadError> {
        while self.mined < tally.awaited() && Instant::now() < deadline {
            let height = client.block_number().await?;
            self.see_blocks(client, height, deadline).await?;
            self.tell("mined", self.mined);
            if self.mined < tally.awaited() {
                sleep(POLL).await;
            }
        }
        Ok(())
    }

    async fn see_blocks(
        &mut self,
        client: &Client,
        height: u64,
        deadline: Instant,
    ) -> Result<(), LoadError> {
        while self.seen_height < height && Instant::now() < deadline {
            // A node may name a height a moment before it can serve it.
            let Some(block) = block(client, self.seen_height + 1).await? else {
                break;
            };
            self.seen_height += 1;
            self.see(&block.transactions);
        }
        Ok(())
    }

    fn see(&mut self, hashes: &[B256]) {
        let mined = self.mined;
        for hash in hashes {
            if self.advance(*hash, Fate::Awaited, Fate::InBlock) {
                self.mined += 1;
            }
        }
        if self.mined > mined {
            self.heights.push(self.seen_height);
            self.last = Some(Instant::now());
        }
    }

    /// Whether the transaction is one of ours and had come just so far.
    fn advance(&mut self, hash: B256, from: Fate, to: Fate) -> bool {
        match self.fates.entry(hash) {
            Entry::Occupied(mut fate) if *fate.get() == from => {
                fate.insert(to);
                true
            }
            Entry::Occupied(_) | Entry::Vacant(_) => false,
        }
    }

    /// Reads the receipts of what is in blocks.
    pub(super) async fn check(&mut self, client: &Client) -> Result<Counted, LoadError> {
        let mut counted = Counted {
            blocks: self.heights.len(),
            last: self.last,
            ..Counted::default()
        };
        let mut has_block_receipts = true;
        for height in std::mem::take(&mut self.heights) {
            let receipts = match has_block_receipts {
                true => block_receipts(client, height).await?,
                false => None,
            };
            let receipts = match receipts {
                Some(receipts) => receipts,
                None => {
                    has_block_receipts = false;
                    self.single_receipts(client, height).await?
                }
            };
            self.count(&receipts, &mut counted);
            self.tell("receipts", counted.mined);
        }
        Ok(counted)
    }

    fn count(&mut self, receipts: &[Receipt], counted: &mut Counted) {
        for receipt in receipts {
            let is_failed = receipt.status == Some(U64::ZERO);
            let fate = if is_failed {
                Fate::Failed
            } else {
                Fate::Succeeded
            };
            if self.advance(receipt.transaction_hash, Fate::InBlock, fate) {
                counted.mined += 1;
                counted.failed += usize::from(is_failed);
            }
        }
    }

    /// The receipts of our transactions in a block, one call for each.
    async fn single_receipts(
        &self,
        client: &Client,
        height: u64,
    ) -> Result<Vec<Receipt>, LoadError> {
        let mut receipts = Vec::new();
        let block = block(client, height).await?;
        let hashes = block.map_or_else(Vec::new, |block| block.transactions);
        let hashes = hashes.into_iter();
        let ours: Vec<B256> = hashes
            .filter(|hash| self.fates.contains_key(hash))
            .collect();
        for hashes in ours.chunks(RECEIPTS_MAX) {
            let params = hashes.iter().map(|hash| json!([hash])).collect();
            let found = client.batch("eth_getTransactionReceipt", params).await?;
            receipts.extend(found.into_iter().flatten());
        }
        Ok(receipts)
    }

    fn tell(&self, step: &'static str, done: usize) {
        (self.progress)(Progress {
            step,
            done,
            total: self.fates.len(),
        });
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(transaction_hash: B256, status: u64) -> Receipt {
        Receipt {
            transaction_hash,
            status: Some(U64::from(status)),
        }
    }

    #[test]
    fn a_transaction_counts_once_and_only_if_it_is_ours() {
        let (ours, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let mut watch = Watch::new(0, [ours].into_iter(), &|_| {});
        watch.see(&[other]);
        assert_eq!((watch.mined, watch.last), (0, None));
        watch.see(&[ours, ours]);
        assert_eq!((watch.mined, watch.heights.len()), (1, 1));
        let mut counted = Counted::default();
        watch.count(
            &[receipt(other, 1), receipt(ours, 0), receipt(ours, 1)],
            &mut counted,
        );
        assert_eq!((counted.mined, counted.failed), (1, 1));
    }

    #[test]
    fn a_receipt_without_a_block_does_not_count() {
        let ours = B256::repeat_byte(1);
        let mut watch = Watch::new(0, [ours].into_iter(), &|_| {});
        let mut counted = Counted::default();
        watch.count(&[receipt(ours, 1)], &mut counted);
        assert_eq!(counted.mined, 0);
    }
}
