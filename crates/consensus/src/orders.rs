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
use alloy_primitives::Bytes;
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
    gather(ledger.orders_height(), executed_height, |height| {
        let record = chain.record(height)?;
        let record = record.ok_or(OrdersFault::Missing(height))?;
        let logs = record.receipts.iter();
        Ok(orders_of(logs.flat_map(|receipt| receipt.envelope.logs())))
    })
}

/// The orders of the heights above one and up to another, as many whole heights of them as a block carries.
fn gather<E>(
    carried_height: u64,
    executed_height: u64,
    mut read: impl FnMut(u64) -> Result<Vec<Bytes>, E>,
) -> Result<CarriedOrders, E> {
    let mut due = CarriedOrders::default();
    for height in carried_height.saturating_add(1)..=executed_height {
        let orders = read(height)?;
        if due.list.len().saturating_add(orders.len()) > ORDERS_CARRIED_MAX {
            break;
        }
        due.list.extend(orders);
        if !due.list.is_empty() {
            due.height = height;
        }
    }
    Ok(due)
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

#[cfg(test)]
mod tests {
    use super::{check, gather};
    use crate::verify::Rejection;
    use alloy_primitives::{B256, Bytes};
    use primitives::{
        Block, Header,
        crypto::genesis_context,
        limits::ORDERS_CARRIED_MAX,
        shard::{CarriedOrders, NO_SHARDS, ShardId, ShardSection},
    };
    use proptest::prelude::*;
    use shards::{
        inclusion::{Inclusion, RelayPlace},
        ledger::{Ledger, LedgerRules, ShardOrder},
    };
    use std::convert::Infallible;

    /// Orders of every height: so many, each of a shard of its own.
    fn given(counts: &[usize]) -> Vec<Vec<Bytes>> {
        let mut shards = 1..;
        let orders = |count: &usize| -> Vec<Bytes> {
            let shards = shards.by_ref().take(*count);
            shards
                .map(|shard| ShardOrder::Pause(ShardId(shard)).to_bytes())
                .collect()
        };
        counts.iter().map(orders).collect()
    }

    fn due(given: &[Vec<Bytes>], ledger: &Ledger, executed_height: u64) -> CarriedOrders {
        let gathered = gather(ledger.orders_height(), executed_height, |height| {
            let index = usize::try_from(height - 1).unwrap();
            Ok::<_, Infallible>(given[index].clone())
        });
        gathered.unwrap()
    }

    fn ledger() -> Ledger {
        Ledger::genesis(LedgerRules::asynchronous(4), 0, []).unwrap()
    }

    fn place(ledger: &Ledger, executed_height: u64) -> RelayPlace {
        RelayPlace {
            height: ledger.height() + 1,
            parent_digest: B256::ZERO,
            timestamp_ms: ledger.timestamp_ms() + 1,
            executed_height,
        }
    }

    fn block(orders: CarriedOrders) -> Block {
        let header = Header {
            context: genesis_context(),
            height: 9,
            timestamp_ms: 0,
            proposer: alloy_primitives::Address::ZERO,
            base_fee: 0,
            gas_budget: 0,
            gas_limits_sum: 0,
            body_digest: B256::ZERO,
            shard_section_digest: NO_SHARDS,
            ledger_digest: B256::ZERO,
            executed: primitives::ExecutedRef::genesis(B256::ZERO),
        };
        let section = ShardSection {
            orders,
            ..ShardSection::default()
        };
        Block::with_section(header, Vec::new(), Vec::new(), section)
    }

    /// A leader that leaves one out, adds one, alters one or puts them in another order is refused.
    #[test]
    fn a_block_carries_what_is_due_and_nothing_else() {
        let given = given(&[2, 0, 3]);
        let due = due(&given, &ledger(), 3);
        assert_eq!(due.list.len(), 5);
        assert_eq!(check(&block(due.clone()), &due), Ok(()));
        let refused = |change: &dyn Fn(&mut CarriedOrders)| {
            let mut carried = due.clone();
            change(&mut carried);
            let rejection = Rejection::Orders {
                carried: carried.list.len(),
                due: 5,
            };
            assert_eq!(check(&block(carried), &due), Err(rejection));
        };
        refused(&|carried| drop(carried.list.pop()));
        refused(&|carried| drop(carried.list.remove(0)));
        refused(&|carried| carried.list.push(ShardOrder::Pause(ShardId(99)).to_bytes()));
        refused(&|carried| carried.list.swap(1, 2));
        refused(&|carried| carried.list[0] = ShardOrder::Retire(ShardId(1)).to_bytes());
        refused(&|carried| carried.height = 2);
        refused(&|carried| *carried = CarriedOrders::default());
        let none = CarriedOrders::default();
        assert!(check(&block(due), &none).is_err());
        assert_eq!(check(&block(none.clone()), &none), Ok(()));
    }

    proptest! {
        /// Whatever results headers refer to, and whoever leads: every order is carried once, in its order, a block
        /// never has too many, and who only follows comes to the ledger that leaders came to.
        #[test]
        fn every_order_once_in_its_order(
            counts in proptest::collection::vec(0_usize..=8, 1..40),
            steps in proptest::collection::vec(0_u64..6, 1..60),
        ) {
            let given = given(&counts);
            let last = u64::try_from(given.len()).unwrap();
            let (mut leader, mut executed_height) = (ledger(), 0);
            let mut carried: Vec<Bytes> = Vec::new();
            // Enough blocks at the end for what queues.
            let steps = steps.into_iter().chain(std::iter::repeat_n(6, 60));
            for step in steps {
                executed_height = (executed_height + step).min(last);
                let due = due(&given, &leader, executed_height);
                prop_assert!(due.list.len() <= ORDERS_CARRIED_MAX);
                let place = place(&leader, executed_height);
                let inclusion = Inclusion::default();
                let assembled = inclusion.assemble(&leader, place, &due).unwrap();
                let section = shards::ledger::CheckedSection::check(
                    assembled.section.clone(),
                    &leader,
                    &shards::ledger::Authority {
                        namespace: primitives::shard::ShardNamespace::new(&B256::ZERO),
                        validators: Vec::new(),
                    },
                    &mut rand::rng(),
                ).unwrap();
                let step = shards::ledger::RelayStep {
                    height: place.height,
                    parent_digest: place.parent_digest,
                    timestamp_ms: place.timestamp_ms,
                    executed_height,
                    section: &section,
                };
                let (follower, _) = leader.apply(&step).unwrap();
                prop_assert_eq!(&follower, &assembled.ledger);
                carried.extend(assembled.section.orders.list);
                leader = assembled.ledger;
            }
            prop_assert_eq!(leader.orders_height(), last);
            prop_assert_eq!(carried, given.concat());
        }
    }
}
