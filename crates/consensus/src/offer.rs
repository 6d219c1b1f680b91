//! What this node can offer to one that begins without a history: an anchor at a height it has executed.

use commonware_consensus::{
    marshal::{core::Mailbox as MarshalMailbox, standard::Standard},
    types::Height,
};
use pipeline::{Chain, ChainError};
use primitives::{
    Block, ExecutionCertificate, ExecutionResult, Header,
    anchor::{AnchorParts, LAG_MAX, ORDER_BLOCKS_MAX, SyncAnchor, first_ancestor},
    crypto::{Finalization, Scheme},
};

/// Blocks above an anchor that are searched for a certificate.
const CARRIERS_MAX: u64 = 2 * LAG_MAX;

/// Reads what is finalized. Cheap to clone.
#[derive(Clone)]
pub struct Order {
    marshal: MarshalMailbox<Scheme, Standard<Block>>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order")
    }
}

impl Order {
    pub(crate) const fn new(marshal: MarshalMailbox<Scheme, Standard<Block>>) -> Self {
        Self { marshal }
    }

    /// The finalized block at a height, if it is here.
    pub async fn block(&self, height: u64) -> Option<Block> {
        let block = self.marshal.get_block(Height::new(height)).await?;
        Some(block.inner().clone())
    }

    /// The anchor at an executed height; none while this node lacks a part of the evidence: no later
    /// header carries a result yet, a block near it was finalized only through later ones, or the
    /// history here begins too near below.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn anchor(
        &self,
        chain: &Chain,
        height: u64,
    ) -> Result<Option<SyncAnchor>, ChainError> {
        let first = first_ancestor(height);
        // The genesis is always here, what follows it only where the history begins with it.
        let oldest = if chain.first_height() == 1 {
            0
        } else {
            chain.first_height()
        };
        if height == 0 || first < oldest {
            return Ok(None);
        }
        let Some(certificate) = certificate_above(chain, height)? else {
            return Ok(None);
        };
        let Some((order, finalization)) = self.order(height).await else {
            return Ok(None);
        };
        let mut headers = Vec::new();
        for ancestor in first..=certificate.result.height {
            match chain.header(ancestor)? {
                Some(header) => headers.push(header),
                None => return Ok(None),
            }
        }
        let parts = AnchorParts {
            height,
            certificate,
            headers,
            finalization,
        };
        Ok(Some(SyncAnchor::new(parts.into(), order)))
    }

    /// The anchor whose order ends with the block at an executed height, and whose state is the one that this
    /// block carries the result of; none if it carries none, or was not finalized by itself.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn anchor_ending(
        &self,
        chain: &Chain,
        height: u64,
    ) -> Result<Option<SyncAnchor>, ChainError> {
        let finalization = self.marshal.get_finalization(Height::new(height)).await;
        let certificate = chain.record(height)?;
        let certificate = certificate.and_then(|record| carried(record.block.header()));
        let (Some(finalization), Some(certificate)) = (finalization, certificate) else {
            return Ok(None);
        };
        let anchored = certificate.result.height;
        let (mut headers, mut order) = (Vec::new(), Vec::new());
        for ancestor in first_ancestor(anchored)..=anchored {
            headers.extend(chain.header(ancestor)?);
        }
        for ordered in anchored..=height {
            order.extend(chain.record(ordered)?.map(|record| record.block.clone()));
        }
        let parts = AnchorParts {
            height: anchored,
            certificate,
            headers,
            finalization,
        };
        Ok(Some(SyncAnchor::new(parts.into(), order)))
    }

    /// The blocks from a height up to the first that was finalized by itself.
    async fn order(&self, height: u64) -> Option<(Vec<Block>, Finalization)> {
        let mut order = Vec::new();
        for height in (height..).take(ORDER_BLOCKS_MAX) {
            order.push(self.block(height).await?);
            if let Some(finalization) = self.marshal.get_finalization(Height::new(height)).await {
                return Some((order, finalization));
            }
        }
        None
    }
}

/// The first certificate, in a header of a block above, of a result at or above a height.
fn certificate_above(
    chain: &Chain,
    height: u64,
) -> Result<Option<ExecutionCertificate>, ChainError> {
    let last = height.saturating_add(CARRIERS_MAX);
    let last = last.min(chain.heads().executed_height);
    for carrier in height.saturating_add(1)..=last {
        let Some(record) = chain.record(carrier)? else {
            return Ok(None);
        };
        let header = record.block.header();
        if header.executed.height >= height {
            return Ok(carried(header).filter(|certificate| {
                certificate.result.height <= height.saturating_add(LAG_MAX)
            }));
        }
    }
    Ok(None)
}

fn carried(header: &Header) -> Option<ExecutionCertificate> {
    let signatures = header.executed.certificate.clone()?;
    let result = ExecutionResult {
        height: header.executed.height,
        block_hash: header.executed.block_hash,
    };
    Some(ExecutionCertificate { result, signatures })
}
