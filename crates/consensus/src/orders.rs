//! Orders about shards: which of them a relay block has to carry.
//!
//! ```text
//!                ledger after the parent       result that the header names
//!                         │                             │
//!  relay heights ─────────┴── carried ┤├── due ─────────┴── in flight: not certified yet
//!                    orders_height    executed_height
//! ```
//! What is due follows from results that 2f+1 signed, so all who executed that far find the same. A leader refers
//! to no other result than it has itself, and a voter waits until it has it; who follows finalized blocks asks
//! nobody, because 2f+1 did. So a block carries exactly what is due or is invalid, and no order can be left out.
//!
//! Limits: [`ORDERS_CARRIED_MAX`] in a block, whole heights at a time; the rest is due in the next. The registry
//! gives half as many in one height, so they never queue for long.

use crate::verify::Rejection;
use pipeline::{Chain, ChainError};
use primitives::{
    Block,
    limits::ORDERS_CARRIED_MAX,
    shard::{CarriedOrders, registry::orders_of},
};
use shards::ledger::Ledger;

/// Why what is due can't be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrdersFault {
    /// The block can't be read.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The block is not there, though a result at its height or above is.
    #[error("an executed block is not there: height={0}")]
    Missing(u64),
}

/// What is due after a ledger in a block that refers to the result at a height, which this node has executed.
pub(crate) fn due(
    chain: &Chain,
    ledger: &Ledger,
    executed_height: u64,
) -> Result<CarriedOrders, OrdersFault> {
    let mut due = CarriedOrders::default();
    for height in ledger.orders_height().saturating_add(1)..=executed_height {
        let record = chain.record(height)?;
        let record = record.ok_or(OrdersFault::Missing(height))?;
        let logs = record.receipts.iter().flat_map(|receipt| receipt.envelope.logs());
        if !add(&mut due, height, orders_of(logs)) {
            break;
        }
    }
    Ok(due)
}

/// Whether the orders of the next height fit.
fn add(due: &mut CarriedOrders, height: u64, orders: Vec<alloy_primitives::Bytes>) -> bool {
    if due.list.len().saturating_add(orders.len()) > ORDERS_CARRIED_MAX {
        return false;
    }
    due.list.extend(orders);
    if !due.list.is_empty() {
        due.height = height;
    }
    true
}

/// Checks that a block carries what is due, all of it, in its order.
pub(crate) fn check(block: &Block, due: &CarriedOrders) -> Result<(), Rejection> {
    let carried = &block.section().orders;
    if carried == due {
        return Ok(());
    }
    Err(Rejection::Orders {
        carried: carried.list.len(),
        due: due.list.len(),
    })
}
