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
//! twice: once ahead, once at its turn. A transaction that is foreseen to wait for another one is
//! held until that one is committed, and then begun by whoever is idle, or executed at its turn.

pub(crate) mod simulate;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, ops::Range};

/// Work ahead of the turn that may be executed, in units of gas, for all workers and for each. What
/// is executed far ahead sees old values: where the turn is what everybody waits for, a longer window
/// fills up, and more and more of it has to be executed again at the turn.
const WINDOW_GAS_MIN: u64 = 2_200_000;
const WINDOW_GAS_EACH: u64 = 150_000;
/// However long they take, so many transactions for each worker fit.
const WINDOW_PLACES_EACH: u64 = 2;
/// The same in transactions: for each worker at least, and in all at most.
const WINDOW_EACH: usize = 3;
const WINDOW_MAX: usize = 512;
/// Work that is handed out at once, in units of gas: several transfers, or a few calls. The turn
/// waits for what somebody has begun.
const CHUNK_GAS: u64 = 100_000;
/// Most transactions of one chunk.
const CHUNK_MAX: usize = 32;
/// Commits after which another worker gets a chance to take the turn.
const TURN_MAX: usize = 64;
/// Work that nobody has looked at for which it is worth waking a worker, in units of gas.
const WAKE_GAS: u64 = 400_000;

/// What a worker does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Take the turn: commit these, in order, and say how far that went.
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
    /// It waits for this earlier one, after which others may begin it.
    Held(usize),
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
    committed: usize,
    /// Nothing from here on may be begun yet.
    horizon: usize,
    /// What counts of the predicted gas that is neither committed nor beyond the horizon.
    gas_in_window: u64,
    /// Predicted gas of what is not begun, but may be.
    gas_left: u64,
    /// Every transaction below has been begun or is held.
    next: usize,
    /// What the forecast said of `next`, if it has been asked.
    foreseen: Option<Option<usize>>,
    /// Transactions that wait, after whom they wait for.
    held: BTreeSet<(usize, usize)>,
    turn_taken: bool,
    workers: usize,
    /// Transactions ahead of the turn that may be executed at most.
    window: usize,
}

impl Schedule {
    /// The schedule, for so many workers, of transactions with these predicted costs, in units of
    /// gas; everything before `start` is committed already.
    pub(crate) fn new(gas: Vec<u64>, workers: usize, start: usize) -> Self {
        let mut schedule = Self {
            stages: vec![Stage::New; gas.len()],
            gas,
            committed: start,
            horizon: start,
            gas_in_window: 0,
            gas_left: 0,
            next: start,
            foreseen: None,
            held: BTreeSet::new(),
            turn_taken: false,
            workers,
            window: WINDOW_MAX,
        };
        schedule.move_horizon();
        schedule
    }

    /// The same, where at most so many transactions ahead of the turn may be executed.
    #[cfg(test)]
    fn with_window(mut self, window: usize) -> Self {
        self.window = window;
        self.horizon = self.committed;
        (self.gas_in_window, self.gas_left) = (0, 0);
        self.move_horizon();
        self
    }

    /// What an idle worker does. The forecast tells the last earlier transaction that one has to
    /// wait for; it is asked once for each transaction, in order.
    pub(crate) fn next_task(&mut self, forecast: impl FnMut(usize) -> Option<usize>) -> Task {
        if self.committed == self.stages.len() {
            return Task::Done;
        }
        if let Some(range) = self.take_turn() {
            return Task::Commit(range);
        }
        match self.begin(forecast) {
            Some(range) => Task::Speculate(range),
            None => Task::Wait,
        }
    }

    /// A worker has executed these ahead.
    pub(crate) fn speculated(&mut self, range: Range<usize>) {
        self.set(range, Stage::Ready);
    }

    /// The holder of the turn has committed everything before `end`, and gives the turn back.
    pub(crate) fn committed(&mut self, end: usize) {
        let done = self.gas.get(self.committed..end).unwrap_or_default();
        let done = done.iter().map(|gas| self.share(*gas));
        let done = done.fold(0, u64::saturating_add);
        self.gas_in_window = self.gas_in_window.saturating_sub(done);
        self.committed = end;
        self.turn_taken = false;
        self.move_horizon();
    }

    /// Whether there is enough to do for somebody else.
    pub(crate) fn has_more(&self) -> bool {
        let left = self.horizon.saturating_sub(self.next);
        let is_released = self
            .held
            .first()
            .is_some_and(|(earlier, _)| *earlier < self.committed);
        let is_last = self.horizon == self.stages.len() && left > 0;
        is_released || is_last || self.gas_left >= WAKE_GAS || self.can_take_turn()
    }

    fn can_take_turn(&self) -> bool {
        let stage = self.stages.get(self.committed);
        !self.turn_taken && matches!(stage, Some(Stage::Ready | Stage::Held(_)))
    }

    /// What can be committed now; only the first may be one that is still held, so that the others
    /// behind it can be executed elsewhere meanwhile.
    fn take_turn(&mut self) -> Option<Range<usize>> {
        if self.turn_taken {
            return None;
        }
        let start = self.committed;
        let stages = self.stages.get(start..).unwrap_or_default().iter();
        let ready = stages
            .take(TURN_MAX)
            .enumerate()
            .take_while(|(distance, stage)| match stage {
                Stage::Ready => true,
                Stage::Held(_) => *distance == 0,
                Stage::New | Stage::Running => false,
            })
            .count();
        if ready == 0 {
            return None;
        }
        if let Some(Stage::Held(earlier)) = self.stages.get(start) {
            self.held.remove(&(*earlier, start));
            self.set(start..start.saturating_add(1), Stage::Ready);
        }
        self.turn_taken = true;
        Some(start..start.saturating_add(ready))
    }

    fn begin(&mut self, mut forecast: impl FnMut(usize) -> Option<usize>) -> Option<Range<usize>> {
        if let Some(index) = self.take_released() {
            let range = index..index.saturating_add(1);
            self.set(range.clone(), Stage::Running);
            return Some(range);
        }
        let end = self.horizon;
        while self.next < end && self.hold_next(&mut forecast) {}
        let start = self.next;
        let mut gas = 0_u64;
        while self.next < end && gas < CHUNK_GAS && self.next.saturating_sub(start) < CHUNK_MAX {
            if self.must_wait(&mut forecast).is_some() {
                break;
            }
            gas = gas.saturating_add(self.gas.get(self.next).copied().unwrap_or(0));
            self.advance();
        }
        let range = start..self.next;
        self.set(range.clone(), Stage::Running);
        (!range.is_empty()).then_some(range)
    }

    /// Holds the next transaction if it has to wait.
    fn hold_next(&mut self, forecast: impl FnMut(usize) -> Option<usize>) -> bool {
        let index = self.next;
        let earlier = self.must_wait(forecast);
        if let Some(earlier) = earlier {
            self.held.insert((earlier, index));
            self.set(index..index.saturating_add(1), Stage::Held(earlier));
            self.advance();
        }
        earlier.is_some()
    }

    /// For whom the next transaction has to wait.
    fn must_wait(&mut self, mut forecast: impl FnMut(usize) -> Option<usize>) -> Option<usize> {
        let index = self.next;
        let earlier = *self.foreseen.get_or_insert_with(|| forecast(index));
        earlier.filter(|earlier| *earlier >= self.committed)
    }

    fn advance(&mut self) {
        let gas = self.gas.get(self.next).copied().unwrap_or_default();
        self.gas_left = self.gas_left.saturating_sub(gas);
        self.next = self.next.saturating_add(1);
        self.foreseen = None;
    }

    fn window_gas(&self) -> u64 {
        let workers = u64::try_from(self.workers).unwrap_or(u64::MAX);
        WINDOW_GAS_EACH.saturating_mul(workers).max(WINDOW_GAS_MIN)
    }

    /// What a transaction counts for in the window: one that takes long leaves room for as many like
    /// it as keep all workers busy.
    fn share(&self, gas: u64) -> u64 {
        let workers = u64::try_from(self.workers).unwrap_or(u64::MAX);
        let places = workers.saturating_mul(WINDOW_PLACES_EACH);
        gas.min(self.window_gas().checked_div(places).unwrap_or(gas))
    }

    /// Lets more be begun, if there is room for it in the window.
    fn move_horizon(&mut self) {
        let gas_max = self.window_gas();
        let count_min = WINDOW_EACH.saturating_mul(self.workers);
        while let Some(gas) = self.gas.get(self.horizon).copied() {
            let count = self.horizon.saturating_sub(self.committed);
            let sum = self.gas_in_window.saturating_add(self.share(gas));
            if count >= self.window || (count >= count_min && sum > gas_max) {
                break;
            }
            self.gas_in_window = sum;
            self.gas_left = self.gas_left.saturating_add(gas);
            self.horizon = self.horizon.saturating_add(1);
        }
    }

    /// A held transaction whose wait is over.
    fn take_released(&mut self) -> Option<usize> {
        let (earlier, index) = *self.held.first()?;
        if earlier >= self.committed {
            return None;
        }
        self.held.pop_first();
        Some(index)
    }

    fn set(&mut self, range: Range<usize>, stage: Stage) {
        let stages = self.stages.get_mut(range).unwrap_or_default();
        stages.fill(stage);
    }
}
