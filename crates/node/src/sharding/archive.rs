//! The relay blocks on this node's disk, for collators that lack blocks of their shards.
//!
//! Nothing can be read before consensus has opened its files; until then, whoever asks waits.

use consensus::Order;
use shards::arrears::{Arrears, FinalCandidate, RelayGap, Trail};
use tokio::sync::watch;

/// Finalized relay blocks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RelayArchive {
    order: watch::Sender<Option<Order>>,
}

impl RelayArchive {
    pub(crate) fn new() -> Self {
        Self {
            order: watch::Sender::new(None),
        }
    }

    /// It can be read from now on.
    pub(crate) fn open(&self, order: Order) {
        self.order.send_replace(Some(order));
    }

    /// The final candidates that a collator lacks, by number.
    pub(crate) async fn name(&self, arrears: &Arrears) -> Result<Vec<FinalCandidate>, RelayGap> {
        let mut height = arrears.height;
        let gap = |height| RelayGap { height };
        let mut opened = self.order.subscribe();
        let order = opened.wait_for(Option::is_some).await;
        let order = order.ok().and_then(|order| order.clone());
        // None means that this node is going down.
        let order = order.ok_or(gap(height))?;
        let mut trail = Trail::new(arrears);
        while !trail.is_over() {
            let block = order.block(height).await.ok_or(gap(height))?;
            trail.pass(&block.section().backed);
            height = height.checked_sub(1).ok_or(gap(height))?;
        }
        Ok(trail.named())
    }
}
