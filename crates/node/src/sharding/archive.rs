//! The relay blocks on this node's disk, for collators that lack blocks of their shards.
//!
//! Nothing can be read before consensus has opened its files; until then, whoever asks waits.

use consensus::Order;
use shards::arrears::{Arrears, FinalCandidate, RelayGap, Trail};
use std::sync::Arc;
use tokio::sync::SetOnce;

/// Relay blocks after which a search says how far it is.
const SAYS_BLOCKS: u64 = 10_000;

/// Finalized relay blocks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RelayArchive {
    order: Arc<SetOnce<Order>>,
}

impl RelayArchive {
    pub(crate) fn new() -> Self {
        Self {
            order: Arc::default(),
        }
    }

    /// It can be read from now on.
    pub(crate) fn open(&self, order: Order) {
        // An error means that it could be before.
        drop(self.order.set(order));
    }

    /// The final candidates that a collator lacks, by number.
    pub(crate) async fn name(&self, arrears: &Arrears) -> Result<Vec<FinalCandidate>, RelayGap> {
        let mut height = arrears.height;
        let gap = |height| RelayGap { height };
        let order = self.order.wait().await;
        let mut trail = Trail::new(arrears);
        while !trail.is_over() {
            if height.is_multiple_of(SAYS_BLOCKS) {
                tracing::info!(shard = %arrears.shard, height, from = arrears.height, "searches the relay blocks");
            }
            let block = order.block(height).await.ok_or(gap(height))?;
            trail.pass(&block.section().backed);
            height = height.checked_sub(1).ok_or(gap(height))?;
        }
        Ok(trail.named())
    }
}
