//! When a leader builds: at once, or when to look again.
//!
//! ```text
//! told by a development chain's control ─▶ asked for, held, driven
//! otherwise                              ─▶ a transaction, a result to carry, the heartbeat; not before the block time
//! ```

use super::{Ordering, unix_ms};
use crate::{orders, propose, verify};
use alloy_primitives::B256;
use commonware_runtime::Clock;
use pipeline::Pace;
use primitives::{Header, RecoveredBlock, base_fee::next_base_fee, limits};
use shards::inclusion::RelayPlace;
use std::{
    sync::{PoisonError, atomic::Ordering::Relaxed},
    time::{Duration, SystemTime},
};

/// How long before its view ends a leader of a development chain begins no block any more.
const VIEW_END: Duration = Duration::from_millis(100);
/// How long a leader waits that nobody asks for a block; it is woken when somebody does.
pub(super) const IDLE: Duration = Duration::from_secs(3_600);

/// Why a leader builds now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Something is there to order, or the heartbeat is due.
    Now,
    /// Nothing yet; look again at this time.
    At(u64),
}

impl Ordering {
    pub(super) fn occasion(
        &self,
        runtime: &impl Clock,
        parent: &Header,
        in_flight: &[RecoveredBlock],
    ) -> Occasion {
        let control = self.shared.parts.control.as_ref();
        let pace = control.map(|control| control.pace(unix_ms(runtime.current())));
        let now_ms = self.now_ms(runtime);
        let after = |wait_ms: Option<u64>| {
            let idle_ms = u64::try_from(IDLE.as_millis()).unwrap_or(u64::MAX);
            Occasion::At(now_ms.saturating_add(wait_ms.unwrap_or(idle_ms)))
        };
        let protocol = &self.chain().config().protocol;
        match pace {
            Some(Pace::Now) => return Occasion::Now,
            Some(Pace::Asked(wait_ms)) => return after(wait_ms),
            Some(Pace::Driven(wait_ms)) => {
                let is_due = self.has_transactions(parent, in_flight);
                return if is_due {
                    Occasion::Now
                } else {
                    after(wait_ms)
                };
            }
            Some(Pace::Free) | None => {}
        }
        let heartbeat_ms = parent.timestamp_ms.saturating_add(protocol.heartbeat_ms);
        let earliest_ms = parent.timestamp_ms.saturating_add(protocol.block_time_ms);
        if now_ms >= heartbeat_ms.max(earliest_ms) {
            return Occasion::Now;
        }
        // Not asked before its time: the pool changes all the while, and asking it is work.
        if now_ms < earliest_ms {
            return Occasion::At(earliest_ms);
        }
        if self.has_work(parent, in_flight) {
            Occasion::Now
        } else {
            Occasion::At(heartbeat_ms.max(earliest_ms))
        }
    }

    /// A transaction waits, or a result of a non-empty block waits to be carried.
    fn has_work(&self, parent: &Header, in_flight: &[RecoveredBlock]) -> bool {
        let certified = self.newest_result(parent).height;
        let settles = |block: &RecoveredBlock| {
            block.header().height <= certified && !block.block().is_empty()
        };
        in_flight.iter().any(settles)
            || self.has_transactions(parent, in_flight)
            || self.has_section(parent)
    }

    /// There is something to say about shards.
    fn has_section(&self, parent: &Header) -> bool {
        let Some(ledgers) = self.ledgers() else {
            return false;
        };
        let digest = parent.digest();
        let place = RelayPlace {
            height: parent.height.saturating_add(1),
            parent_digest: B256::from_slice(digest.as_ref()),
            timestamp_ms: parent.timestamp_ms.saturating_add(1),
            executed_height: self.newest_result(parent).height,
        };
        let Some(ledger) = ledgers.known(parent.height, digest) else {
            return false;
        };
        let Ok(orders) = orders::due(self.chain(), &ledger, place.executed_height) else {
            return false;
        };
        let assembled = ledgers.inclusion().assemble(&ledger, place, &orders);
        assembled.is_some_and(|assembled| !assembled.section.is_empty())
    }

    /// A transaction waits that may be ordered.
    fn has_transactions(&self, parent: &Header, in_flight: &[RecoveredBlock]) -> bool {
        let certified = self.newest_result(parent).height;
        // What is settled by the time of the block is not in flight then.
        let settled = in_flight.partition_point(|block| block.header().height <= certified);
        let in_flight = in_flight.get(settled..).unwrap_or_default();
        let budget = verify::gas_budget(in_flight, self.chain().config());
        let pool = (self.shared.pool_changes.load(Relaxed), certified);
        if budget < limits::TRANSACTION_GAS_MIN
            || *self
                .shared
                .barren
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                == Some(pool)
        {
            return false;
        }
        let control = self.shared.parts.control.as_ref();
        let told = control.and_then(|control| control.settings().next_base_fee);
        let base_fee = told.unwrap_or_else(|| next_base_fee(parent, self.chain().config()));
        propose::best(&self.shared.parts.mempool, base_fee, in_flight)
            .next()
            .is_some()
    }
}

/// Whether a leader that began to wait then is about to lose its view.
pub(super) fn is_late(now: SystemTime, began: SystemTime, leader_timeout: Duration) -> bool {
    let waited = now.duration_since(began).unwrap_or_default();
    waited.saturating_add(VIEW_END) >= leader_timeout && waited < leader_timeout.saturating_mul(2)
}
