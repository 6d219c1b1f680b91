//! What of executed blocks can be read: by height, by hash, by transaction.
//!
//! ```text
//!  genesis │ pruned: before a state that came from peers │ first_height … latest │ not executed yet
//!   here   │                 an error                    │         here          │       none
//! ```
//! What this node computed after it diverged is never served.

use crate::{
    Chain, ChainError, ExecutedRecord, RecordError,
    chain::{Located, lock},
};
use alloy_consensus::Header;
use alloy_primitives::{B256, Log};
use alloy_rlp::Decodable as _;
use executor::Receipt;
use state::{Location, Served};
use std::sync::Arc;

/// The logs of an executed block.
#[derive(Clone, Debug)]
pub struct BlockLogs {
    /// Hash of its header.
    pub hash: B256,
    /// Its header.
    pub header: Header,
    /// Each transaction's hash and logs; empty if the header was not wanted.
    pub transactions: Vec<(B256, Vec<Log>)>,
}

impl Chain {
    /// The durable state that is offered to nodes that have none, if there is one.
    #[must_use]
    pub fn served(&self) -> Option<Served> {
        self.shared.store.served()
    }

    /// Makes what may be durable durable, and an empty location a store of its own with it.
    ///
    /// # Errors
    /// When the store fails, or the location holds something.
    pub fn copy_store(&self, location: Location) -> Result<(), ChainError> {
        let store = &self.shared.store;
        store.flush(self.heads().verified_height)?;
        Ok(store.copy_to(location)?)
    }

    /// The newest durable state.
    #[must_use]
    pub fn durable_state(&self) -> Served {
        self.shared.store.durable_state()
    }

    /// The executed block at a height; none above `latest`.
    ///
    /// # Errors
    /// When the store fails or is damaged, below this node's history, and for what this node computed
    /// after it diverged.
    pub fn record(&self, height: u64) -> Result<Option<Arc<ExecutedRecord>>, ChainError> {
        self.check_not_diverged(height)?;
        self.check_not_pruned(height)?;
        self.own_record(height)
    }

    /// The Ethereum header at a height, without its block; none above `latest`.
    ///
    /// # Errors
    /// As for [`Chain::record`].
    pub fn header(&self, height: u64) -> Result<Option<Header>, ChainError> {
        self.check_not_diverged(height)?;
        self.check_not_pruned(height)?;
        if height > self.heads().executed_height {
            return Ok(None);
        }
        if height == 0 {
            return Ok(Some(self.shared.genesis.header.clone()));
        }
        let Some(stored) = self.shared.store.header(height)? else {
            return Ok(None);
        };
        let header = Header::decode(&mut stored.as_ref());
        let part = "header";
        Ok(Some(header.map_err(|_| RecordError { height, part })?))
    }

    /// The logs of the executed block at a height, without the rest of it, if `is_wanted` says so of its header;
    /// none above `latest`.
    ///
    /// # Errors
    /// As for [`Chain::record`].
    pub fn logs(
        &self,
        height: u64,
        is_wanted: impl FnOnce(&Header) -> bool,
    ) -> Result<Option<BlockLogs>, ChainError> {
        self.check_not_diverged(height)?;
        self.check_not_pruned(height)?;
        if height == 0 || height > self.heads().executed_height {
            return Ok(None);
        }
        let Some(stored) = self.shared.store.receipts(height)? else {
            return Ok(None);
        };
        let damaged = |part| RecordError { height, part };
        let header = Header::decode(&mut stored.header.as_ref()).map_err(|_| damaged("header"))?;
        let logs = match is_wanted(&header) && !stored.receipts.is_empty() {
            true => Receipt::decode_logs(&stored.receipts).map_err(|_| damaged("receipts"))?,
            false => Vec::new(),
        };
        Ok(Some(BlockLogs {
            hash: stored.hash,
            header,
            transactions: stored.transaction_hashes.into_iter().zip(logs).collect(),
        }))
    }

    /// The decoded block at a height, if it is among the newest.
    #[must_use]
    pub fn recent(&self, height: u64) -> Option<Arc<ExecutedRecord>> {
        lock(&self.shared.recent).get(&height).map(Arc::clone)
    }

    pub(crate) fn check_not_pruned(&self, height: u64) -> Result<(), ChainError> {
        let first = self.shared.first_height;
        match height {
            1.. if height < first => Err(ChainError::Pruned { height, first }),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_not_diverged(&self, height: u64) -> Result<(), ChainError> {
        match self.diverged() {
            Some(report) if height > report.last_equal_height => {
                Err(ChainError::Diverged(Box::new(report)))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn own_record(
        &self,
        height: u64,
    ) -> Result<Option<Arc<ExecutedRecord>>, ChainError> {
        if height > self.heads().executed_height {
            return Ok(None);
        }
        if height == 0 {
            return Ok(Some(Arc::clone(&self.shared.genesis)));
        }
        if let Some(record) = lock(&self.shared.recent).get(&height) {
            return Ok(Some(Arc::clone(record)));
        }
        match self.shared.store.record(height)? {
            Some(stored) => {
                let record = ExecutedRecord::from_stored(&stored, &self.shared.limits)?;
                Ok(Some(Arc::new(record)))
            }
            None => Ok(None),
        }
    }

    /// `latest`: the newest executed block.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn latest(&self) -> Result<Arc<ExecutedRecord>, ChainError> {
        let height = self.heads().executed_height;
        self.check_not_diverged(height)?;
        self.own_record(height)?
            .ok_or(ChainError::Record(RecordError {
                height,
                part: "record",
            }))
    }

    /// Height of the executed block with this hash.
    ///
    /// # Errors
    /// When the store fails.
    pub fn height_of_block(&self, hash: &B256) -> Result<Option<u64>, ChainError> {
        if *hash == self.shared.genesis.hash {
            return Ok(Some(0));
        }
        Ok(self.shared.store.height_of_block(hash)?)
    }

    /// The executed block that holds a transaction, and the transaction's index in it; none below this
    /// node's history.
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub fn transaction(&self, hash: &B256) -> Result<Option<Located>, ChainError> {
        let Some((height, index)) = self.shared.store.transaction_location(hash)? else {
            return Ok(None);
        };
        if height < self.shared.first_height {
            return Ok(None);
        }
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        Ok(self.record(height)?.map(|record| (record, index)))
    }
}
