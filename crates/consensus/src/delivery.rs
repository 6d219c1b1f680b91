//! From marshal's in-order delivery to the pipeline.
//!
//! Recovery of senders that are not known here (after a restart, while catching up) takes time, so
//! it happens on a thread of its own and not in marshal's.

use crate::{ancestry::RecentBlocks, application::unix_ms};
use commonware_actor::Feedback;
use commonware_consensus::{Reporter, marshal::Update};
use commonware_cryptography::Digested;
use commonware_runtime::{Clock, Handle, Spawner};
use commonware_utils::acknowledgement::Exact;
use mempool::Mempool;
use pipeline::{Observer, Pipeline};
use primitives::{Block, ChainConfig, Directive, FinalizedBlock, base_fee::next_base_fee};
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

/// A reporter for marshal and the thread behind it.
pub(crate) fn start<E: Clock + Spawner>(
    runtime: E,
    pipeline: Pipeline,
    recent: RecentBlocks,
    pending_max: usize,
) -> (DeliveryReporter, Handle<()>) {
    let (delivered, mut queue) = mpsc::channel::<Delivered>(pending_max);
    let handle = runtime.dedicated().spawn(move |runtime| async move {
        while let Some((block, acknowledgement)) = queue.recv().await {
            let recovered = match recent.recover(block.inner()) {
                Ok(recovered) => recovered,
                Err(error) => {
                    tracing::error!(%error, "a finalized block holds a bad signature: more than f validators are faulty");
                    return;
                }
            };
            let finalized = FinalizedBlock::delivered(recovered);
            pipeline.finalized(finalized, acknowledgement, unix_ms(runtime.current()));
            recent.prune(pipeline.chain().heads().verified_height);
        }
    });
    (DeliveryReporter { delivered }, handle)
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
