//! Recovered blocks by digest, so that the blocks in flight are found without decoding them again.
//!
//! Holds what was proposed, verified or delivered here, down to the verified height; bounded by
//! [`BLOCKS_MAX`].

use commonware_consensus::{Block as _, marshal::ancestry::Ancestry};
use futures::StreamExt;
use primitives::{
    Block, RecoveredBlock, TransactionError, crypto::BlockDigest, recovery::SenderCache,
    transaction::Impersonation,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most blocks remembered.
const BLOCKS_MAX: usize = 4_096;

/// Why the blocks in flight could not be gathered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AncestryError {
    /// An ancestor is not to be had now; the request is over.
    #[error("ancestor not available")]
    Missing,
    /// An ancestor holds a transaction without a valid signature.
    #[error("ancestor is invalid: {0}")]
    Invalid(#[from] TransactionError),
}

#[derive(Debug, Default)]
struct Known {
    blocks: BTreeMap<BlockDigest, RecoveredBlock>,
    by_height: BTreeMap<u64, Vec<BlockDigest>>,
}

/// Recently seen blocks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RecentBlocks {
    known: Arc<Mutex<Known>>,
    senders: SenderCache,
    impersonation: Impersonation,
}

impl RecentBlocks {
    pub(crate) fn new(senders: SenderCache, impersonation: Impersonation) -> Self {
        Self {
            known: Arc::default(),
            senders,
            impersonation,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block with its senders, recovered at most once.
    pub(crate) fn recover(&self, block: &Block) -> Result<RecoveredBlock, TransactionError> {
        if let Some(known) = self.get(&block.digest()) {
            return Ok(known);
        }
        let recovered = block.recover(&self.senders, self.impersonation)?;
        self.insert(recovered.clone());
        Ok(recovered)
    }

    pub(crate) fn get(&self, digest: &BlockDigest) -> Option<RecoveredBlock> {
        self.lock().blocks.get(digest).cloned()
    }

    pub(crate) fn insert(&self, block: RecoveredBlock) {
        let mut known = self.lock();
        let digest = block.block().digest();
        known
            .by_height
            .entry(block.header().height)
            .or_default()
            .push(digest);
        known.blocks.insert(digest, block);
        while known.blocks.len() > BLOCKS_MAX {
            known.drop_lowest();
        }
    }

    /// Forgets everything below a height.
    pub(crate) fn prune(&self, height: u64) {
        let mut known = self.lock();
        while known
            .by_height
            .first_key_value()
            .is_some_and(|(lowest, _)| *lowest < height)
        {
            known.drop_lowest();
        }
    }

    /// The blocks above `height` up to and including `tip`, oldest first.
    ///
    /// `ancestry` starts at or below `tip` and is asked only for what is not remembered.
    pub(crate) async fn above(
        &self,
        height: u64,
        tip: &Block,
        mut ancestry: impl Ancestry<Block>,
    ) -> Result<Vec<RecoveredBlock>, AncestryError> {
        let mut blocks = Vec::new();
        if tip.header().height <= height {
            return Ok(blocks);
        }
        blocks.push(self.recover(tip)?);
        while let Some(newest) = blocks.last()
            && newest.header().height > height.saturating_add(1)
        {
            let parent = newest.block().parent();
            let block = match self.get(&parent) {
                Some(block) => block,
                None => self.recover(&fetch(&mut ancestry, &parent).await?)?,
            };
            blocks.push(block);
        }
        blocks.reverse();
        Ok(blocks)
    }
}

impl RecentBlocks {
    /// A block by its digest: remembered, or from the ancestry.
    pub(crate) async fn ancestor(
        &self,
        digest: &BlockDigest,
        ancestry: &mut impl Ancestry<Block>,
    ) -> Result<Block, AncestryError> {
        match self.get(digest) {
            Some(known) => Ok(known.block().clone()),
            None => fetch(ancestry, digest).await,
        }
    }
}

async fn fetch(
    ancestry: &mut impl Ancestry<Block>,
    digest: &BlockDigest,
) -> Result<Block, AncestryError> {
    while let Some(block) = ancestry.next().await {
        if block.inner().digest() == *digest {
            return Ok(block.inner().clone());
        }
    }
    Err(AncestryError::Missing)
}

impl Known {
    fn drop_lowest(&mut self) {
        let Some((_, digests)) = self.by_height.pop_first() else {
            return;
        };
        for digest in digests {
            self.blocks.remove(&digest);
        }
    }
}
