//! What more cores would bring: the schedule that threads follow, in virtual time.
//!
//! ```text
//! measured costs, true dependencies ─▶ Schedule ◀─▶ virtual workers ─▶ Timeline, beside its bounds
//! ```
//! The schedule is the real one. Workers are numbers: a task takes as long as its transactions were
//! measured to take, nothing is executed. An execution ahead is kept if everything it depends on was
//! committed before it began; a real one may be luckier and read later. What hardware adds (caches,
//! memory, turbo) is not modelled, but for the lock around the schedule and the time it takes to wake
//! a sleeper.

#[cfg(test)]
mod tests;

use super::{Schedule, Task};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap},
    num::NonZeroUsize,
    ops::Range,
};

/// One transaction as it was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimulatedTransaction {
    /// What the schedule is told it costs, in units of gas.
    pub gas: u64,
    /// Executing it, or, of a plain transfer, finding its accounts.
    pub execution_ns: u64,
    /// Checking what it saw and committing it.
    pub commit_ns: u64,
    /// Earlier transactions whose writes it truly reads, by their places in the block. Those of a
    /// plain transfer do not matter: it is done at its turn, over whatever is there.
    pub depends_on: Vec<u32>,
    /// The last earlier one of which that was predicted.
    pub waits_for: Option<u32>,
    /// Whether it needs no virtual machine.
    pub is_transfer: bool,
}

/// The machine that is imagined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedMachine {
    /// Threads, each with a core of its own.
    pub workers: NonZeroUsize,
    /// For how long a worker that asks for something to do keeps all others from asking.
    pub ask_ns: u64,
    /// From when there is something to do until a worker that waits for it asks.
    pub wake_ns: u64,
}

/// What one worker did without pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedSpan {
    /// Who.
    pub worker: usize,
    /// Whether it held the turn.
    pub is_commit: bool,
    /// Places of the transactions.
    pub transactions: Range<usize>,
    /// From the beginning of the block.
    pub start_ns: u64,
    /// From the beginning of the block.
    pub end_ns: u64,
}

/// One block in virtual time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    /// How long the block took.
    pub makespan_ns: u64,
    /// How long it would take one core without any schedule.
    pub total_ns: u64,
    /// The longest chain of transactions of which each depends on the one before.
    pub critical_path_ns: u64,
    /// No schedule on so many workers is faster: the larger of the critical path and each worker's
    /// equal share of everything.
    pub bound_ns: u64,
    /// No schedule that commits one transaction after the other is faster, on any number of workers.
    pub in_order_bound_ns: u64,
    /// Executions ahead that could not be kept.
    pub reexecutions: usize,
    /// Executions at the turn of what had not been executed ahead.
    pub late: usize,
    /// How long the turn was held.
    pub turn_ns: u64,
    /// Everything that was done, by when it began.
    pub spans: Vec<SimulatedSpan>,
}

impl SimulatedTransaction {
    const fn total_ns(&self) -> u64 {
        self.execution_ns.saturating_add(self.commit_ns)
    }
}

impl SimulatedMachine {
    /// So many workers, which lose no time with each other.
    #[must_use]
    pub const fn ideal(workers: NonZeroUsize) -> Self {
        Self {
            workers,
            ask_ns: 0,
            wake_ns: 0,
        }
    }
}

impl Timeline {
    /// How much of the bound is reached, in thousandths.
    #[must_use]
    pub fn efficiency_permille(&self) -> u64 {
        let share = self.bound_ns.saturating_mul(1_000);
        share.checked_div(self.makespan_ns).unwrap_or(1_000)
    }

    /// How many times faster than one core without a schedule, in thousandths.
    #[must_use]
    pub fn speedup_permille(&self) -> u64 {
        let share = self.total_ns.saturating_mul(1_000);
        share.checked_div(self.makespan_ns).unwrap_or(1_000)
    }
}

/// Executes a block in virtual time. The same arguments give the same timeline.
#[must_use]
pub fn simulate(transactions: &[SimulatedTransaction], machine: &SimulatedMachine) -> Timeline {
    let mut simulation = Simulation::new(transactions, machine);
    simulation.run();
    let mut timeline = simulation.timeline;
    timeline
        .spans
        .sort_by_key(|span| (span.start_ns, span.worker));
    let totals = transactions.iter().map(SimulatedTransaction::total_ns);
    timeline.total_ns = totals.fold(0, u64::saturating_add);
    timeline.critical_path_ns = critical_path(transactions);
    let workers = u64::try_from(machine.workers.get()).unwrap_or(u64::MAX);
    let share = timeline.total_ns.checked_div(workers).unwrap_or(0);
    timeline.bound_ns = timeline.critical_path_ns.max(share);
    timeline.in_order_bound_ns = in_order_bound(transactions).max(timeline.bound_ns);
    timeline
}

fn critical_path(transactions: &[SimulatedTransaction]) -> u64 {
    let mut ends: Vec<u64> = Vec::with_capacity(transactions.len());
    for transaction in transactions {
        let earlier = transaction.depends_on.iter();
        let start = earlier.filter_map(|place| ends.get(to_index(*place))).max();
        let start = start.copied().unwrap_or(0);
        ends.push(start.saturating_add(transaction.total_ns()));
    }
    ends.into_iter().max().unwrap_or(0)
}

/// Every transaction is committed after the one before, and after its own execution, which begins
/// once what it depends on is committed.
fn in_order_bound(transactions: &[SimulatedTransaction]) -> u64 {
    let mut ends: Vec<u64> = Vec::with_capacity(transactions.len());
    for transaction in transactions {
        let earlier = transaction.depends_on.iter();
        let start = earlier
            .filter(|_| !transaction.is_transfer)
            .filter_map(|place| ends.get(to_index(*place)))
            .max();
        let executed = start.map_or(transaction.execution_ns, |start| {
            start.saturating_add(transaction.execution_ns)
        });
        let before = ends.last().copied().unwrap_or(0);
        ends.push(executed.max(before).saturating_add(transaction.commit_ns));
    }
    ends.last().copied().unwrap_or(0)
}

/// What a worker finishes next, and when.
type Event = Reverse<(u64, usize)>;

struct Simulation<'t> {
    transactions: &'t [SimulatedTransaction],
    schedule: Schedule,
    machine: SimulatedMachine,
    /// What each worker is doing.
    tasks: Vec<Option<Task>>,
    /// When each is done with it, and asks.
    events: BinaryHeap<Event>,
    asleep: BTreeSet<usize>,
    /// When the schedule can be asked again.
    free_at: u64,
    /// When each transaction began to be executed ahead.
    begun: Vec<Option<u64>>,
    /// When each was committed.
    committed: Vec<u64>,
    timeline: Timeline,
}

impl<'t> Simulation<'t> {
    fn new(transactions: &'t [SimulatedTransaction], machine: &SimulatedMachine) -> Self {
        let gas = transactions.iter().map(|transaction| transaction.gas);
        let workers = machine.workers.get();
        Self {
            transactions,
            schedule: Schedule::new(gas.collect(), workers, 0),
            machine: *machine,
            tasks: vec![None; workers],
            events: (0..workers).map(|worker| Reverse((0, worker))).collect(),
            asleep: BTreeSet::new(),
            free_at: 0,
            begun: vec![None; transactions.len()],
            committed: Vec::with_capacity(transactions.len()),
            timeline: Timeline::default(),
        }
    }

    fn run(&mut self) {
        while let Some(Reverse((now, worker))) = self.events.pop() {
            let task = self.tasks.get_mut(worker).and_then(Option::take);
            if let Some(task) = task {
                self.finish(task, now);
            }
            self.ask(worker, now);
        }
    }

    fn finish(&mut self, task: Task, now: u64) {
        let (Task::Speculate(range) | Task::Commit(range)) = &task else {
            return;
        };
        if matches!(task, Task::Speculate(_)) {
            self.schedule.speculated(range.clone());
        } else {
            self.schedule.committed(self.committed.len());
        }
        for sleeper in std::mem::take(&mut self.asleep) {
            self.wake(sleeper, now);
        }
    }

    fn wake(&mut self, sleeper: usize, now: u64) {
        let then = now.saturating_add(self.machine.wake_ns);
        self.events.push(Reverse((then, sleeper)));
    }

    fn ask(&mut self, worker: usize, now: u64) {
        let start = now.max(self.free_at).saturating_add(self.machine.ask_ns);
        self.free_at = start;
        let transactions = self.transactions;
        let task = self.schedule.next_task(|index| {
            let earlier = transactions.get(index)?.waits_for?;
            Some(to_index(earlier))
        });
        let (range, end, is_commit) = match &task {
            Task::Speculate(range) => (range.clone(), self.speculate(range, start), false),
            Task::Commit(range) => {
                let end = self.commit(range, start);
                (range.start..self.committed.len(), end, true)
            }
            Task::Wait => {
                self.asleep.insert(worker);
                return;
            }
            Task::Done => return,
        };
        let timeline = &mut self.timeline;
        timeline.makespan_ns = timeline.makespan_ns.max(end);
        timeline.spans.push(SimulatedSpan {
            worker,
            is_commit,
            transactions: range,
            start_ns: start,
            end_ns: end,
        });
        if let Some(slot) = self.tasks.get_mut(worker) {
            *slot = Some(task);
        }
        self.events.push(Reverse((end, worker)));
    }

    /// When the execution of these is over.
    fn speculate(&mut self, range: &Range<usize>, start: u64) -> u64 {
        let mut now = start;
        let transactions = self.transactions.get(range.clone()).unwrap_or_default();
        let begun = self.begun.get_mut(range.clone()).unwrap_or_default();
        for (transaction, begun) in transactions.iter().zip(begun) {
            *begun = Some(now);
            now = now.saturating_add(transaction.execution_ns);
        }
        now
    }

    /// When these are committed. Others see each as soon as it is.
    fn commit(&mut self, range: &Range<usize>, start: u64) -> u64 {
        let mut now = start;
        let transactions = self.transactions.get(range.clone()).unwrap_or_default();
        for (index, transaction) in range.clone().zip(transactions) {
            let begun = self.begun.get(index).copied().flatten();
            let kept = begun.map(|begun| self.is_kept(transaction, begun));
            if kept != Some(true) {
                now = now.saturating_add(transaction.execution_ns);
            }
            now = now.saturating_add(transaction.commit_ns);
            self.committed.push(now);
            match kept {
                None => self.timeline.late = self.timeline.late.saturating_add(1),
                Some(_) if transaction.is_transfer => {}
                Some(_) => {}
            }
            if kept == Some(false) {
                self.timeline.reexecutions = self.timeline.reexecutions.saturating_add(1);
            }
            if kept != Some(true) {
                break;
            }
        }
        let held = now.saturating_sub(start);
        self.timeline.turn_ns = self.timeline.turn_ns.saturating_add(held);
        now
    }

    fn is_kept(&self, transaction: &SimulatedTransaction, begun: u64) -> bool {
        let mut earlier = transaction.depends_on.iter();
        transaction.is_transfer
            || earlier.all(|place| {
                let committed = self.committed.get(to_index(*place));
                committed.is_some_and(|committed| *committed <= begun)
            })
    }
}

fn to_index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
