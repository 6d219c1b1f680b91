//! Which transaction waits for which, where, and the longest chain of them.
//!
//! ```text
//! slot   changed by 3, 7, 9   ─▶  3 ◀─ 7 ◀─ 9          edges lead from who waits to whom for, and name the place
//! code   changed by 4, called by 6, 8   ─▶  4 ◀─ 6, 4 ◀─ 8
//! ```
//! Limits: an edge for each change that a list holds, and for each call of an account whose code changes.

use crate::{
    access::{Lists, Part, to_usize},
    parallel::simulate::SimulatedTransaction,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U256};
use primitives::RecoveredTransaction;
use std::{cmp::Reverse, collections::BTreeMap};

/// Gas of a transaction that only moves ether.
const TRANSFER_GAS: u64 = 21_000;

/// A transaction waits for an earlier one at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    later: usize,
    earlier: usize,
    place: usize,
}

/// Where transactions can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) address: Address,
    pub(super) spot: Spot,
}

/// Which part of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// A slot, and its place in the list.
    Slot(U256, usize),
    /// The code, and the account's place in the list.
    Code(usize),
}

/// A place and how many wait there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heat {
    pub(super) place: Place,
    pub(super) waiting_count: usize,
    pub(super) waiting_gas: u64,
    pub(super) critical_count: usize,
    pub(super) critical_gas: u64,
}

/// The chain with most gas.
#[derive(Debug, Default)]
pub(super) struct Path {
    pub(super) gas: u64,
    pub(super) transactions: Vec<usize>,
    /// Transactions of the chain with most transactions.
    pub(super) count_max: usize,
}

/// Who waits for whom in a block.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) gas: Vec<u64>,
    is_transfer: Vec<bool>,
    places: Vec<Place>,
    /// By the later transaction.
    edges: Vec<Edge>,
}

/// Transactions by whom they call.
type Calls = BTreeMap<Address, Vec<usize>>;

impl Graph {
    pub(super) fn new(lists: &Lists, transactions: &[RecoveredTransaction]) -> Self {
        let gas: Vec<u64> = lists.gas_used.clone();
        let calls = match lists.codes.is_empty() {
            true => Calls::new(),
            false => calls(transactions),
        };
        let is_transfer = transactions.iter().zip(&gas);
        let mut graph = Self {
            is_transfer: is_transfer
                .map(|(transaction, gas)| transaction.input().is_empty() && *gas == TRANSFER_GAS)
                .collect(),
            gas,
            places: Vec::new(),
            edges: Vec::new(),
        };
        for (account, part) in lists.parts().enumerate() {
            graph.add_slots(lists, &part);
            graph.add_code(account, &part, &calls);
        }
        graph.edges.sort_unstable();
        graph
    }

    fn add_slots(&mut self, lists: &Lists, part: &Part<'_>) {
        for (offset, slot) in part.slots.iter().enumerate() {
            let listed = part.first_slot.saturating_add(offset);
            let writers = lists.values_of(listed).iter();
            let writers = writers.filter_map(|change| place_in_block(change.index));
            let place = self.places.len();
            let before = self.edges.len();
            let mut earlier = None;
            for later in writers {
                if let Some(earlier) = earlier {
                    self.add(later, earlier, place);
                }
                earlier = Some(later);
            }
            if self.edges.len() > before {
                self.places.push(Place {
                    address: part.address,
                    spot: Spot::Slot(slot.key, listed),
                });
            }
        }
    }

    fn add_code(&mut self, account: usize, part: &Part<'_>, calls: &Calls) {
        let Some(callers) = calls.get(&part.address) else {
            return;
        };
        let place = self.places.len();
        let before = self.edges.len();
        for later in callers {
            let writers = part.codes.iter();
            let writers = writers.filter_map(|change| place_in_block(change.index));
            if let Some(earlier) = writers.take_while(|earlier| earlier < later).last() {
                self.add(*later, earlier, place);
            }
        }
        if self.edges.len() > before {
            self.places.push(Place {
                address: part.address,
                spot: Spot::Code(account),
            });
        }
    }

    /// Only what leads backwards within the block: a list from a damaged store must not lead elsewhere.
    fn add(&mut self, later: usize, earlier: usize, place: usize) {
        if earlier < later && later < self.gas.len() {
            self.edges.push(Edge {
                later,
                earlier,
                place,
            });
        }
    }

    /// How many transactions wait for another, and their gas.
    pub(super) fn waiting(&self) -> (usize, u64) {
        let groups = self.edges.chunk_by(|one, next| one.later == next.later);
        groups.fold((0, 0), |(count, gas), group| {
            let own = group.first().map_or(0, |edge| self.gas_of(edge.later));
            (
                usize::saturating_add(count, 1),
                u64::saturating_add(gas, own),
            )
        })
    }

    pub(super) const fn place_count(&self) -> usize {
        self.places.len()
    }

    fn gas_of(&self, transaction: usize) -> u64 {
        self.gas.get(transaction).copied().unwrap_or(0)
    }

    /// The longest chain, in gas and in transactions.
    pub(super) fn path(&self) -> Path {
        let mut ends: Vec<u64> = self.gas.clone();
        let mut counts = vec![1_usize; ends.len()];
        let mut before: Vec<Option<usize>> = vec![None; ends.len()];
        for edge in &self.edges {
            let start = ends.get(edge.earlier).copied().unwrap_or(0);
            let end = start.saturating_add(self.gas_of(edge.later));
            let count = counts.get(edge.earlier).copied().unwrap_or(0);
            if let Some(own) = counts.get_mut(edge.later) {
                *own = (*own).max(count.saturating_add(1));
            }
            if let (Some(own), Some(before)) =
                (ends.get_mut(edge.later), before.get_mut(edge.later))
                && end > *own
            {
                *own = end;
                *before = Some(edge.earlier);
            }
        }
        let last = ends.iter().enumerate().max_by_key(|(_, end)| **end);
        let mut next = last.map(|(place, _)| place);
        let mut transactions = Vec::new();
        while let Some(place) = next {
            transactions.push(place);
            next = before.get(place).copied().flatten();
        }
        transactions.reverse();
        Path {
            gas: last.map_or(0, |(_, end)| *end),
            transactions,
            count_max: counts.into_iter().max().unwrap_or(0),
        }
    }

    /// The places with most gas waiting, most first.
    pub(super) fn hottest(&self, path: &Path, count_max: usize) -> Vec<Heat> {
        let mut heats: Vec<Heat> = self.places.iter().map(|place| Heat::cold(*place)).collect();
        let mut before: Vec<Option<usize>> = vec![None; self.gas.len()];
        for (earlier, later) in path
            .transactions
            .iter()
            .zip(path.transactions.iter().skip(1))
        {
            if let Some(before) = before.get_mut(*later) {
                *before = Some(*earlier);
            }
        }
        for edge in &self.edges {
            let Some(heat) = heats.get_mut(edge.place) else {
                continue;
            };
            let gas = self.gas_of(edge.later);
            heat.waiting_count = heat.waiting_count.saturating_add(1);
            heat.waiting_gas = heat.waiting_gas.saturating_add(gas);
            if before.get(edge.later).copied().flatten() == Some(edge.earlier) {
                heat.critical_count = heat.critical_count.saturating_add(1);
                heat.critical_gas = heat.critical_gas.saturating_add(gas);
            }
        }
        // Stable: places of the same heat stay by address and slot.
        heats.sort_by_key(|heat| Reverse((heat.waiting_gas, heat.critical_gas)));
        heats.truncate(count_max);
        heats
    }

    /// The transactions for the simulator, a unit of gas as a unit of time.
    pub(super) fn nodes(&self) -> Vec<SimulatedTransaction> {
        let mut nodes: Vec<SimulatedTransaction> = self
            .gas
            .iter()
            .enumerate()
            .map(|(place, gas)| SimulatedTransaction {
                gas: *gas,
                execution_ns: *gas,
                is_transfer: self.is_transfer.get(place) == Some(&true),
                ..SimulatedTransaction::default()
            })
            .collect();
        for edge in &self.edges {
            let earlier = u32::try_from(edge.earlier);
            if let (Some(node), Ok(earlier)) = (nodes.get_mut(edge.later), earlier)
                && node.depends_on.last() != Some(&earlier)
            {
                node.depends_on.push(earlier);
                // By earlier transaction, so that the last one comes last.
                node.waits_for = Some(earlier);
            }
        }
        nodes
    }
}

impl Heat {
    const fn cold(place: Place) -> Self {
        Self {
            place,
            waiting_count: 0,
            waiting_gas: 0,
            critical_count: 0,
            critical_gas: 0,
        }
    }
}

fn calls(transactions: &[RecoveredTransaction]) -> Calls {
    let mut calls = Calls::new();
    for (place, transaction) in transactions.iter().enumerate() {
        if let Some(to) = transaction.to() {
            calls.entry(to).or_default().push(place);
        }
    }
    calls
}

/// The transaction with an index of a list; none for what comes before the first.
pub(super) fn place_in_block(index: u32) -> Option<usize> {
    to_usize(index).checked_sub(1)
}
