//! Where the transactions of a compact block come from.

use mempool::{Found, Mempool, ShortId};
use primitives::{RecoveredTransaction, recovery::SenderCache};

/// Finds transactions by short ids: the pool, or in tests a table.
pub(crate) trait BodySource: Send + 'static {
    /// One answer for each short id, in their order.
    fn find(&self, ids: &[ShortId]) -> Vec<Found>;

    /// Hears which transactions a rebuilt block took from here.
    fn took(&self, transactions: &[RecoveredTransaction]);
}

/// The pool. What it finds is about to be voted on, so its senders are remembered anew: recovering
/// the block then costs lookups only, however long its transactions have waited.
#[derive(Clone, Debug)]
pub(crate) struct PoolSource {
    pub(crate) mempool: Mempool,
    pub(crate) senders: SenderCache,
}

impl BodySource for PoolSource {
    fn find(&self, ids: &[ShortId]) -> Vec<Found> {
        self.mempool.find(ids)
    }

    fn took(&self, transactions: &[RecoveredTransaction]) {
        self.senders.renew(transactions);
    }
}
