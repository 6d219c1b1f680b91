//! What an executed block says about time: what kept it from being faster, and what more cores would
//! bring.

use crate::{executed::ExecutedBlock, parallel::simulate::SimulatedTransaction};
use alloy_primitives::{Address, U256, map::HashMap};
use std::{collections::BTreeSet, time::Duration};

impl ExecutedBlock {
    /// The longest chain of transactions that write the same slots one after the other: no number of
    /// workers is faster. Zero without the times of a report.
    #[must_use]
    pub fn critical_path(&self) -> Duration {
        let took = self.durations();
        let mut ends = vec![Duration::ZERO; took.len()];
        let mut longest = Duration::ZERO;
        for ((place, earlier), took) in self.earlier_writers().into_iter().enumerate().zip(took) {
            let starts = earlier.iter().filter_map(|earlier| ends.get(*earlier));
            let start = starts.copied().max().unwrap_or_default();
            let end = start.saturating_add(took);
            longest = longest.max(end);
            if let Some(slot) = ends.get_mut(place) {
                *slot = end;
            }
        }
        longest
    }

    /// The transactions as they were measured, for [`simulate`](crate::simulate); without the times of
    /// a report they take no time, nor does what was not done: nobody commits in a block that was executed
    /// in order. A transaction depends on the last one before it that wrote a slot
    /// that it writes too, and had been expected to, unless it was executed again because of it.
    #[must_use]
    pub fn measured(&self) -> Vec<SimulatedTransaction> {
        let again: BTreeSet<usize> = self
            .report
            .conflicts
            .iter()
            .flat_map(|conflict| conflict.transactions.iter().copied())
            .collect();
        let commit_ns = self.report.committed.mean_ns();
        let located_ns = self.report.located.mean_ns();
        let ran = self.durations().into_iter().zip(&self.receipts);
        let ran = ran.zip(self.earlier_writers()).enumerate();
        ran.map(|(place, ((took, receipt), earlier))| {
            let is_transfer = took.is_zero();
            let depends_on: Vec<u32> = earlier
                .iter()
                .filter_map(|earlier| u32::try_from(*earlier).ok())
                .collect();
            SimulatedTransaction {
                gas: receipt.gas_used,
                execution_ns: match is_transfer {
                    true => located_ns,
                    false => u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
                },
                commit_ns,
                waits_for: depends_on
                    .iter()
                    .copied()
                    .max()
                    .filter(|_| !again.contains(&place)),
                depends_on,
                is_transfer,
            }
        })
        .collect()
    }

    /// How long each transaction took when it was last executed; zero for plain transfers.
    fn durations(&self) -> Vec<Duration> {
        let mut took = vec![Duration::ZERO; self.receipts.len()];
        for span in &self.report.spans {
            if let Some(took) = took.get_mut(span.transaction) {
                *took = span.end.saturating_sub(span.start);
            }
        }
        took
    }

    /// For each transaction, those that last wrote the slots that it writes.
    fn earlier_writers(&self) -> Vec<BTreeSet<usize>> {
        let mut earlier = vec![BTreeSet::new(); self.receipts.len()];
        let mut last: HashMap<(Address, U256), usize> = HashMap::default();
        let mut writes: Vec<_> = self.log.slots.iter().collect();
        writes.sort_by_key(|write| write.index);
        for write in writes {
            let index = usize::try_from(write.index).unwrap_or(usize::MAX);
            // What is written before the first transaction has no place.
            let Some(place) = index.checked_sub(1) else {
                continue;
            };
            let before = last.insert(write.place(), place);
            let before = before.filter(|before| *before != place);
            if let (Some(before), Some(earlier)) = (before, earlier.get_mut(place)) {
                earlier.insert(before);
            }
        }
        earlier
    }
}
