//! Who does what next, while several workers execute one block.
//!
//! ```text
//!   committed │ ready  running  ready  held  running │ not begun          window
//!  ───────────┼──────────────────────────────────────┼───────────────────────────▶ transactions
//!             └ the turn: its holder commits in order, and executes itself what is held, or what
//!               saw something that has changed
//! ```
//! A pure state machine: threads drive it under a lock, tests and the simulation of many cores drive
//! it in an order of their own. Every transaction is committed once, in order, and executed at most
//! twice: once ahead, once at its turn.

pub(crate) mod simulate;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, ops::Range};

/// Transactions ahead of the turn that may be executed; more would see older values.
const WINDOW: usize = 512;
/// Work that is handed out at once, in units of gas: several transfers, or one call. The turn waits
/// for what somebody has begun.
const CHUNK_GAS: u64 = 100_000;
/// Most transactions of one chunk.
const CHUNK_MAX: usize = 32;
/// Commits after which another worker gets a chance to take the turn.
const TURN_MAX: usize = 64;
/// Score at which executing ahead is given up for a while.
const CONFLICT_LIMIT: u32 = 96;
/// Added to the score for a conflict; each success takes one away.
const CONFLICT_COST: u32 = 3;
/// Transactions executed in order after giving up, the first time.
const SERIAL_FIRST: usize = 64;

/// What a worker does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Take the turn: commit these, in order, and say so.
    Commit(Range<usize>),
    /// Execute these ahead, and say so.
    Speculate(Range<usize>),
    /// Nothing to do until somebody else is done with something.
    Wait,
    /// Everything is committed.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has begun it.
    New,
    /// Somebody executes it ahead.
    Running,
    /// It was executed ahead, or is to be executed at its turn.
    Ready,
}

/// The schedule of one block.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    stages: Vec<Stage>,
    /// Predicted gas of each transaction.
    gas: Vec<u64>,
    /// For each transaction, the last earlier one whose writes it is predicted to read.
    waits_for: Vec<Option<u32>>,
    committed: usize,
    /// Every transaction below has been foreseen.
    foreseen: usize,
    /// Every transaction below has been begun or is held.
    next: usize,
    /// Transactions that wait, after whom they wait for.
    held: BTreeSet<(u32, usize)>,
    turn_taken: bool,
    window: usize,
    conflict_score: u32,
    serial_until: usize,
    serial_length: usize,
}

impl Schedule {
    /// The schedule of transactions with these predicted costs, in units of gas.
    pub(crate) fn new(gas: Vec<u64>, waits_for: Vec<Option<u32>>) -> Self {
        Self {
            stages: vec![Stage::New; gas.len()],
            gas,
            waits_for,
            committed: 0,
            foreseen: 0,
            next: 0,
            held: BTreeSet::new(),
            turn_taken: false,
            window: WINDOW,
            conflict_score: 0,
            serial_until: 0,
            serial_length: SERIAL_FIRST,
        }
    }

    /// What an idle worker does.
    pub(crate) fn next_task(&mut self) -> Task {
        if self.committed == self.stages.len() {
            return Task::Done;
        }
        if let Some(range) = self.take_turn() {
            return Task::Commit(range);
        }
        match self.begin() {
            Some(range) => Task::Speculate(range),
            None => Task::Wait,
        }
    }

    /// A worker has executed these ahead.
    pub(crate) fn speculated(&mut self, range: Range<usize>) {
        for stage in self.stages.get_mut(range).into_iter().flatten() {
            *stage = Stage::Ready;
        }
    }

    /// The holder of the turn has committed everything before `end`, and gives the turn back.
    pub(crate) fn committed(&mut self, end: usize) {
        self.committed = end;
        self.next = self.next.max(end);
        self.turn_taken = false;
    }

    /// The holder of the turn tells whether what was executed ahead could be kept.
    pub(crate) fn judged(&mut self, index: usize, kept: bool) {
        if kept {
            self.conflict_score = self.conflict_score.saturating_sub(1);
            return;
        }
        self.conflict_score = self.conflict_score.saturating_add(CONFLICT_COST);
        if self.conflict_score >= CONFLICT_LIMIT {
            self.conflict_score = CONFLICT_LIMIT / 2;
            self.serial_until = index.saturating_add(self.serial_length);
            self.serial_length = self.serial_length.saturating_mul(2);
        }
    }

    /// Transactions about to be begun of which nobody has said whether they have to wait.
    pub(crate) fn unforeseen(&self) -> Range<usize> {
        let end = self.next.saturating_add(CHUNK_MAX);
        self.foreseen..end.min(self.stages.len()).max(self.foreseen)
    }

    /// The last earlier transaction that the next unforeseen one is predicted to wait for.
    pub(crate) fn foresee(&mut self, earlier: Option<usize>) {
        if let Some(waits_for) = self.waits_for.get_mut(self.foreseen) {
            *waits_for = earlier.and_then(|earlier| u32::try_from(earlier).ok());
        }
        self.foreseen = self.foreseen.saturating_add(1);
    }

    fn take_turn(&mut self) -> Option<Range<usize>> {
        if self.turn_taken {
            return None;
        }
        let start = self.committed;
        let in_order = start < self.serial_until;
        let ready = self
            .stages
            .iter()
            .enumerate()
            .skip(start)
            .take(TURN_MAX)
            .take_while(|(index, stage)| match stage {
                Stage::Ready => true,
                Stage::Running => false,
                Stage::New => in_order && *index < self.serial_until || *index < self.next,
            })
            .count();
        if ready == 0 {
            return None;
        }
        let range = start..start.saturating_add(ready);
        for index in range.clone() {
            self.release(index);
        }
        for stage in self.stages.get_mut(range.clone()).into_iter().flatten() {
            // What was not executed ahead is executed at its turn, and by nobody else.
            *stage = Stage::Ready;
        }
        self.next = self.next.max(range.end);
        self.turn_taken = true;
        Some(range)
    }

    fn begin(&mut self) -> Option<Range<usize>> {
        if self.committed < self.serial_until {
            return None;
        }
        if let Some(index) = self.find_released() {
            self.release(index);
            return Some(self.run(index..index.saturating_add(1)));
        }
        let end = self.committed.saturating_add(self.window);
        let end = end.min(self.stages.len());
        while self.next < end && self.must_wait(self.next) {
            self.hold(self.next);
            self.next = self.next.saturating_add(1);
        }
        let start = self.next;
        let mut gas = 0_u64;
        while self.next < end
            && gas < CHUNK_GAS
            && self.next.saturating_sub(start) < CHUNK_MAX
            && !self.must_wait(self.next)
        {
            gas = gas.saturating_add(self.gas.get(self.next).copied().unwrap_or(0));
            self.next = self.next.saturating_add(1);
        }
        (start < self.next).then(|| self.run(start..self.next))
    }

    fn run(&mut self, range: Range<usize>) -> Range<usize> {
        for stage in self.stages.get_mut(range.clone()).into_iter().flatten() {
            *stage = Stage::Running;
        }
        range
    }

    fn must_wait(&self, index: usize) -> bool {
        let earlier = self.earlier(index);
        earlier.is_some_and(|earlier| to_index(earlier) >= self.committed)
    }

    fn earlier(&self, index: usize) -> Option<u32> {
        self.waits_for.get(index).copied().flatten()
    }

    fn hold(&mut self, index: usize) {
        if let Some(earlier) = self.earlier(index) {
            self.held.insert((earlier, index));
        }
    }

    fn release(&mut self, index: usize) {
        if let Some(earlier) = self.earlier(index) {
            self.held.remove(&(earlier, index));
        }
    }

    /// A held transaction whose wait is over.
    fn find_released(&self) -> Option<usize> {
        let (earlier, index) = *self.held.first()?;
        (to_index(earlier) < self.committed).then_some(index)
    }
}

fn to_index(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}
