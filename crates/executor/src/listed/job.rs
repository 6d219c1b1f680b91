//! One block that is executed by a list, as its workers share it.

use super::{
    finish::{self, Executed},
    fraud::{Falsehood, Field, ListFraud},
    index::Index,
    order::Order,
    spread::Spread,
    worker::Worker,
};
use crate::{
    executed::InclusionFault,
    fault::ExecutionFault,
    input::ExecutionInput,
    receipt::ReceiptDraft,
    report::{Probe, Span},
    transfer::Transfers,
};
use rayon::ThreadPool;
use state::{StateDiff, StateReader};
use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// A block and a list of it.
pub(super) struct Job<'a> {
    pub(super) input: &'a ExecutionInput<'a>,
    pub(super) state: &'a (dyn StateReader + Sync),
    pub(super) index: &'a Index<'a>,
    pub(super) transfers: Transfers<'a>,
    /// Place of the fee receiver in the list.
    pub(super) receiver: Option<usize>,
    pub(super) probe: &'a Probe<'a>,
    order: Order,
    /// What comes of each transaction; nothing for a plain transfer.
    drafts: Vec<OnceLock<ReceiptDraft>>,
    /// The first transaction about which the list is known to be false.
    first_false: AtomicUsize,
    has_failed: AtomicBool,
    shares: Mutex<Shares>,
}

/// What one worker has found.
#[derive(Default)]
pub(super) struct Share {
    pub(super) inclusion_faults: Vec<InclusionFault>,
    pub(super) fraud: Option<ListFraud>,
    pub(super) spans: Vec<Span>,
    pub(super) executions: usize,
    pub(super) accounts_read: Vec<bool>,
    pub(super) slots_read: Vec<bool>,
}

/// What all workers have found.
struct Shares {
    all: Share,
    fault: Option<ExecutionFault>,
}

/// How a block went.
pub(super) enum Outcome {
    /// As the list says.
    True(Executed),
    /// Otherwise.
    False(ListFraud),
}

impl<'a> Job<'a> {
    /// What was read before the first transaction comes as `opening`.
    pub(super) fn new(
        input: &'a ExecutionInput<'a>,
        state: &'a (dyn StateReader + Sync),
        index: &'a Index<'a>,
        probe: &'a Probe<'a>,
        opening: Share,
    ) -> Self {
        Self {
            input,
            state,
            index,
            transfers: Transfers::new(input),
            receiver: index.find(&input.environment.beneficiary),
            probe,
            order: Order::new(&index.lists.gas_used),
            drafts: input.transactions.iter().map(|_| OnceLock::new()).collect(),
            first_false: AtomicUsize::new(usize::MAX),
            has_failed: AtomicBool::new(false),
            shares: Mutex::new(Shares {
                all: opening,
                fault: None,
            }),
        }
    }

    /// Executes the block on all workers. The diff follows from the list alone, and is made beside.
    pub(super) fn execute(self, spread: Spread<'_>) -> Result<Outcome, ExecutionFault> {
        let diff = OnceLock::new();
        match spread.pool {
            Some(pool) => self.work_beside(pool, &diff),
            None if spread.workers > 1 => self.work_on_all(spread.workers, &diff),
            None => {
                self.work(0);
                self.make_diff(&diff);
            }
        }
        let shares = self.shares.into_inner();
        let Shares { all, fault } = shares.unwrap_or_else(PoisonError::into_inner);
        if let Some(fault) = fault {
            return Err(fault);
        }
        if let Some(fraud) = all.fraud.or_else(|| find_untouched(self.index, &all)) {
            return Ok(Outcome::False(fraud));
        }
        self.probe.add_spans(all.spans);
        Ok(Outcome::True(Executed {
            receipts: finish::receipts(self.input, self.index.lists, self.drafts, spread),
            diff: diff.into_inner().unwrap_or_default(),
            inclusion_faults: all.inclusion_faults,
            executions: all.executions,
        }))
    }

    /// Place of the first transaction about which the list is known to be false.
    pub(super) fn first_false(&self) -> usize {
        self.first_false.load(Ordering::Relaxed)
    }

    /// The list is false about the transaction at a place: what comes later is of no interest.
    pub(super) fn stop_at(&self, place: usize) {
        self.first_false.fetch_min(place, Ordering::Relaxed);
    }

    /// Keeps what came of a transaction.
    pub(super) fn keep(&self, place: usize, draft: ReceiptDraft) {
        if let Some(slot) = self.drafts.get(place) {
            slot.get_or_init(|| draft);
        }
    }

    /// Gas that the transaction at a place uses, as the list says.
    pub(super) fn gas_used(&self, place: usize) -> u64 {
        let gas_used = self.index.lists.gas_used.get(place);
        gas_used.copied().unwrap_or_default()
    }

    fn work_beside(&self, pool: &ThreadPool, diff: &OnceLock<StateDiff>) {
        pool.in_place_scope(|scope| {
            for worker in 1..pool.current_num_threads() {
                scope.spawn(move |_| self.work(worker));
            }
            self.work(0);
            self.make_diff(diff);
        });
    }

    fn work_on_all(&self, workers: usize, diff: &OnceLock<StateDiff>) {
        rayon::scope(|scope| {
            scope.spawn(move |_| self.make_diff(diff));
            for worker in 0..workers {
                scope.spawn(move |_| self.work(worker));
            }
        });
    }

    fn make_diff(&self, diff: &OnceLock<StateDiff>) {
        diff.get_or_init(|| finish::diff(self.index));
    }

    fn work(&self, worker: usize) {
        let Some(first) = self.order.next() else {
            return;
        };
        let mut hand = Worker::new(self, worker);
        let mut next = Some(first);
        let mut result = Ok(());
        while let (Some(places), Ok(()), false) = (next, &result, self.has_failed()) {
            result = hand.execute(places);
            next = self.order.next();
        }
        if result.is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.all.add(hand.into_share());
        shares.fault = shares.fault.take().or(result.err());
    }

    fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Keeps the first fraud in the order of the block.
    pub(super) fn note_fraud(&mut self, fraud: ListFraud) {
        if self.fraud.is_none_or(|first| fraud.index < first.index) {
            self.fraud = Some(fraud);
        }
    }

    fn add(&mut self, other: Self) {
        self.inclusion_faults.extend(other.inclusion_faults);
        self.spans.extend(other.spans);
        self.executions = self.executions.saturating_add(other.executions);
        other
            .fraud
            .into_iter()
            .for_each(|fraud| self.note_fraud(fraud));
        add_all(&mut self.accounts_read, other.accounts_read);
        add_all(&mut self.slots_read, other.slots_read);
    }
}

fn add_all(all: &mut Vec<bool>, other: Vec<bool>) {
    if all.is_empty() {
        *all = other;
        return;
    }
    for (all, other) in all.iter_mut().zip(other) {
        *all |= other;
    }
}

/// The first location of the list that nobody has read.
fn find_untouched(index: &Index<'_>, all: &Share) -> Option<ListFraud> {
    let lists = index.lists;
    let at = u32::try_from(lists.gas_used.len()).unwrap_or(u32::MAX);
    let extra = |field| ListFraud::new(at.saturating_add(1), Falsehood::ExtraLocation, field);
    lists.parts().enumerate().find_map(|(place, part)| {
        if part.is_unchanged() && part.slots.is_empty() {
            let is_read = all.accounts_read.get(place).copied().unwrap_or(false);
            return (!is_read).then(|| extra(Field::Account).at(part.address, None));
        }
        let mut slots = part.slots.iter().zip(part.first_slot..);
        slots.find_map(|(slot, place)| {
            let is_read = all.slots_read.get(place).copied().unwrap_or(false);
            let is_extra = !is_read && lists.values_of(place).is_empty();
            is_extra.then(|| extra(Field::Slot).at(part.address, Some(slot.key)))
        })
    })
}
