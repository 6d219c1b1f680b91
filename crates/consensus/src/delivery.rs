//! From marshal's in-order delivery to the pipeline.
//!
//! Recovery of senders that are not known here (after a restart, while catching up) takes time, so
//! it happens on a thread of its own and not in marshal's.

use crate::{ancestry::RecentBlocks, application::unix_ms, engine::Runtime, ledgers::Follower};
use commonware_actor::Feedback;
use commonware_consensus::{
    Reporter,
    marshal::{Update, core::Mailbox as MarshalMailbox, standard::Standard},
    types::Height,
};
use commonware_cryptography::Digested;
use commonware_runtime::{Clock, Handle};
use commonware_utils::acknowledgement::Exact;
use mempool::Mempool;
use pipeline::{Observer, Pipeline};
use primitives::{
    Anchor, Block, ChainConfig, Directive, FinalizedBlock, base_fee::next_base_fee, crypto::Scheme,
};
use state::Store;
use tokio::sync::mpsc;

type Delivered = (Digested<Block>, Exact);

/// Takes marshal's updates.
#[derive(Clone)]
pub(crate) struct DeliveryReporter {
    delivered: mpsc::Sender<Delivered>,
}

impl Reporter for DeliveryReporter {
    type Activity = Update<Block>;

    fn report(&mut self, update: Update<Block>) -> Feedback {
        match update {
            Update::Tip(..) => Feedback::Ok,
            Update::Block(block, acknowledgement) => {
                // As long as marshal may have unacknowledged blocks, so never full.
                match self.delivered.try_send((block, acknowledgement)) {
                    Ok(()) => Feedback::Ok,
                    Err(_) => Feedback::Closed,
                }
            }
        }
    }
}

/// What delivery works with.
pub(crate) struct Delivery {
    pub(crate) pipeline: Pipeline,
    pub(crate) recent: RecentBlocks,
    /// Serves the blocks that were acknowledged and have to be executed again.
    pub(crate) archive: MarshalMailbox<Scheme, Standard<Block>>,
    /// Where this node began, if not at genesis: the blocks up to its finalized one are in there.
    pub(crate) anchor: Option<Anchor>,
    /// Height up to which consensus has delivered before this start.
    pub(crate) processed_height: u64,
    pub(crate) pending_max: usize,
}

/// What follows the shard ledger, on a chain that has one.
pub(crate) type LedgerFollower<E> = Option<Follower<E>>;

/// A reporter for marshal and the thread behind it.
pub(crate) fn start<E: Runtime>(
    runtime: E,
    delivery: Delivery,
    mut follower: LedgerFollower<E>,
) -> (DeliveryReporter, Handle<()>) {
    let (delivered, mut queue) = mpsc::channel::<Delivered>(delivery.pending_max);
    let handle = runtime.dedicated().spawn(move |runtime| async move {
        if !delivery.follow_again(&mut follower).await || !delivery.replay(&runtime).await {
            return;
        }
        let Delivery {
            pipeline, recent, ..
        } = delivery;
        while let Some((block, acknowledgement)) = queue.recv().await {
            if !follow(&mut follower, block.inner()).await {
                return;
            }
            let Some(finalized) = recover(&recent, block.inner()) else {
                return;
            };
            pipeline.room().await;
            pipeline.finalized(finalized, acknowledgement, unix_ms(runtime.current()));
            recent.prune(pipeline.chain().heads().verified_height);
        }
    });
    (DeliveryReporter { delivered }, handle)
}

async fn follow<E: Runtime>(follower: &mut LedgerFollower<E>, block: &Block) -> bool {
    match follower {
        Some(follower) => follower.follow(block).await,
        None => true,
    }
}

impl Delivery {
    /// Brings the shard ledger to where delivery stood before this start; false when that cannot be.
    async fn follow_again<E: Runtime>(&self, follower: &mut LedgerFollower<E>) -> bool {
        let Some(follower) = follower else {
            return true;
        };
        for height in follower.height().max(1)..=self.processed_height {
            let Some(block) = self.block(height).await else {
                tracing::error!(
                    height,
                    "the archive lacks a block that the shard ledger follows"
                );
                return false;
            };
            if !follower.follow(&block).await {
                return false;
            }
        }
        follower.ready();
        true
    }

    /// Executes again what was delivered before and is not durable; false when that cannot be.
    async fn replay(&self, clock: &impl Clock) -> bool {
        let durable_height = self.pipeline.chain().heads().executed_height;
        let anchored_height = self.anchor.as_ref().map_or(0, |anchor| {
            // Marshal delivers the newest one itself.
            anchor.finalized().header().height.saturating_sub(1)
        });
        let last = self.processed_height.max(anchored_height);
        for height in durable_height.saturating_add(1)..=last {
            let Some(block) = self.block(height).await else {
                tracing::error!(
                    height,
                    "the archive lacks a block that has to be executed again"
                );
                return false;
            };
            let Some(finalized) = recover(&self.recent, &block) else {
                return false;
            };
            self.pipeline.room().await;
            self.pipeline.replayed(finalized, unix_ms(clock.current()));
        }
        true
    }

    async fn block(&self, height: u64) -> Option<Block> {
        let mut anchored = self.anchor.iter().flat_map(Anchor::order);
        if let Some(block) = anchored.find(|block| block.header().height == height) {
            return Some(block.clone());
        }
        let archived = self.archive.get_block(Height::new(height)).await?;
        Some(archived.inner().clone())
    }
}

fn recover(recent: &RecentBlocks, block: &Block) -> Option<FinalizedBlock> {
    match recent.recover(block) {
        Ok(recovered) => Some(FinalizedBlock::delivered(recovered)),
        Err(error) => {
            tracing::error!(%error, "a finalized block holds a bad signature: more than f validators are faulty");
            None
        }
    }
}

/// Keeps a pool in step with execution: hand it to the pipeline.
#[must_use]
pub fn mempool_observer(mempool: Mempool, store: Store, chain: ChainConfig) -> Observer {
    Box::new(move |record| {
        let base_fee_next = next_base_fee(record.block.header(), &chain);
        let touched: Vec<_> = record
            .block
            .directives()
            .iter()
            .map(Directive::address)
            .collect();
        let snapshot = match store.snapshot(record.height()) {
            Ok(snapshot) => snapshot,
            Err(unknown) => {
                tracing::error!(%unknown, "the pool could not follow a block");
                return;
            }
        };
        let followed =
            mempool.on_executed(&record.transactions, &touched, base_fee_next, &snapshot);
        if let Err(fault) = followed {
            tracing::error!(%fault, "the pool could not follow a block");
        }
    })
}
