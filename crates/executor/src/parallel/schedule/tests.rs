//! The schedule, driven by workers that finish in whatever order a seed says, or in every order.
//!
//! ```text
//! choice ─▶ Model: an idle worker asks │ a busy one finishes │ a sleeping one is woken ─▶ Schedule
//!                        └ after every step: one turn, in order, once each, nobody forgotten
//! ```

mod exhaustive;
mod random;

use super::{Schedule, Task};
use std::{collections::BTreeSet, ops::Range};

/// What a worker does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Worker {
    /// Is about to ask for something to do.
    Awake,
    /// Was told to wait, and waits to be woken.
    Asleep,
    Commits(Range<usize>),
    Speculates(Range<usize>),
    /// Was told that everything is done.
    Gone,
}

/// One thing that can happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A worker that is awake asks.
    Ask(usize),
    /// A worker finishes; of what it was to commit, the number says how much more than one it did.
    Finish(usize, u64),
}

/// A schedule and its workers, with what must hold of them. Threads do the same in `worker.rs`.
#[derive(Clone, Debug)]
struct Model {
    schedule: Schedule,
    waits_for: Vec<Option<u32>>,
    workers: Vec<Worker>,
    committed: usize,
    /// Times each transaction was executed ahead.
    ahead: Vec<u8>,
    /// Transactions executed ahead whose execution is over.
    executed: BTreeSet<usize>,
}

impl Model {
    fn new(gas: Vec<u64>, waits_for: Vec<Option<u32>>, workers: usize) -> Self {
        Self {
            ahead: vec![0; gas.len()],
            schedule: Schedule::new(gas, workers, 0),
            waits_for,
            workers: vec![Worker::Awake; workers],
            committed: 0,
            executed: BTreeSet::new(),
        }
    }

    /// Every step but how far a commit goes: that is chosen by the caller.
    fn steps(&self) -> Vec<Step> {
        let workers = self.workers.iter().enumerate();
        workers
            .filter_map(|(index, worker)| match worker {
                Worker::Awake => Some(Step::Ask(index)),
                Worker::Commits(_) | Worker::Speculates(_) => Some(Step::Finish(index, 0)),
                Worker::Asleep | Worker::Gone => None,
            })
            .collect()
    }

    /// How many ways the worker has to finish.
    fn endings(&self, worker: usize) -> usize {
        match &self.workers[worker] {
            Worker::Commits(range) => range.len(),
            _ => 0,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Ask(worker) => self.ask(worker),
            Step::Finish(worker, kept) => self.finish(worker, kept),
        }
        self.check();
    }

    fn ask(&mut self, worker: usize) {
        let waits_for = &self.waits_for;
        let forecast =
            |index: usize| waits_for[index].map(|earlier| usize::try_from(earlier).unwrap());
        self.workers[worker] = match self.schedule.next_task(forecast) {
            Task::Commit(range) => {
                self.check_commit(&range);
                Worker::Commits(range)
            }
            Task::Speculate(range) => {
                self.check_speculation(&range);
                Worker::Speculates(range)
            }
            Task::Wait => Worker::Asleep,
            Task::Done => {
                assert_eq!(self.committed, self.ahead.len(), "done too early");
                self.wake(usize::MAX);
                Worker::Gone
            }
        };
        let has_task = !matches!(self.workers[worker], Worker::Asleep | Worker::Gone);
        if has_task && self.schedule.has_more() {
            self.wake(1);
        }
    }

    fn finish(&mut self, worker: usize, kept: u64) {
        let done = std::mem::replace(&mut self.workers[worker], Worker::Awake);
        match done {
            Worker::Commits(range) => {
                // Whoever executes one at its turn gives the turn back early.
                let more = usize::try_from(kept).unwrap() % range.len();
                self.committed = range.start + 1 + more;
                self.schedule.committed(self.committed);
            }
            Worker::Speculates(range) => {
                self.executed.extend(range.clone());
                self.schedule.speculated(range);
            }
            other => panic!("worker {worker} has nothing to finish: {other:?}"),
        }
    }

    fn wake(&mut self, most: usize) {
        let workers = self.workers.iter_mut();
        let sleepers = workers.filter(|worker| **worker == Worker::Asleep);
        sleepers
            .take(most)
            .for_each(|worker| *worker = Worker::Awake);
    }

    fn check_commit(&self, range: &Range<usize>) {
        assert_eq!(range.start, self.committed, "out of order");
        assert!(range.end > range.start && range.end <= self.ahead.len());
        for worker in &self.workers {
            match worker {
                Worker::Commits(other) => panic!("two turns: {other:?} and {range:?}"),
                Worker::Speculates(other) => assert!(
                    other.end <= range.start || range.end <= other.start,
                    "{range:?} is committed while {other:?} is executed"
                ),
                Worker::Awake | Worker::Asleep | Worker::Gone => {}
            }
        }
    }

    fn check_speculation(&mut self, range: &Range<usize>) {
        assert!(range.end > range.start && range.end <= self.ahead.len());
        assert!(range.start >= self.committed, "too late: {range:?}");
        for worker in &self.workers {
            if let Worker::Commits(turn) = worker {
                assert!(
                    range.start >= turn.end,
                    "{range:?} is being committed: {turn:?}"
                );
            }
        }
        for index in range.clone() {
            self.ahead[index] += 1;
            assert_eq!(self.ahead[index], 1, "executed ahead twice: {index}");
            let earlier = self.waits_for[index];
            let earlier = earlier.map(|earlier| usize::try_from(earlier).unwrap());
            let is_early = earlier.is_some_and(|earlier| earlier >= self.committed);
            assert!(!is_early, "{index} does not wait for {earlier:?}");
        }
    }

    /// Nobody is left asleep: there is somebody awake, or at work, who will look what there is to do.
    fn check(&self) {
        let is_active = |worker: &Worker| !matches!(worker, Worker::Asleep | Worker::Gone);
        let somebody_sleeps = self.workers.contains(&Worker::Asleep);
        assert!(
            !somebody_sleeps || self.workers.iter().any(is_active),
            "everybody sleeps: {:?}",
            self.schedule
        );
    }

    fn is_over(&self) -> bool {
        self.workers.iter().all(|worker| *worker == Worker::Gone)
    }
}
