//! The workers of one block.

use super::{
    cells::{AccountCell, CellMemory, Cells},
    finish,
    forecast::{self, Forecast, KnownCall},
    hand::Hand,
    run::{Changed, Run, Runs},
    schedule::{Schedule, Task},
    turn::Turn,
};
use crate::{
    executed::ExecutedBlock, fault::ExecutionFault, input::ExecutionInput, predict::Predictor,
    report::Probe, sequential::Begun, transfer::Transfer,
};
use rayon::ThreadPool;
use state::StateReader;
use std::{
    ops::Range,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// Times an idle worker looks again before it goes to sleep.
const SPINS: u32 = 64;
/// Pauses between two looks.
const PAUSES: u32 = 64;

/// One block that several workers execute.
pub(crate) struct Parallel<'a> {
    pub(super) input: &'a ExecutionInput<'a>,
    pub(super) state: &'a (dyn StateReader + Sync),
    pub(super) cells: &'a Cells<'a>,
    pub(super) transfers: &'a [Option<Transfer>],
    pub(super) calls: &'a [Option<KnownCall>],
    pub(super) predictor: &'a RwLock<Predictor>,
    pub(super) agenda: Mutex<Agenda<'a>>,
    pub(super) idle: Condvar,
    pub(super) ahead: Vec<Mutex<Option<Ahead<'a>>>>,
    /// Runs that are over, for their memory.
    pub(super) spare: Mutex<Runs<'a>>,
    pub(super) turn: Mutex<Turn<'a>>,
    pub(super) probe: &'a Probe<'a>,
    pub(super) stopped: AtomicBool,
    pub(super) fault: Mutex<Option<ExecutionFault>>,
}

/// What a worker has done.
#[derive(Clone, Debug)]
pub(super) enum Report {
    Nothing,
    /// Executed these ahead.
    Speculated(Range<usize>),
    /// Committed everything before this.
    Committed(usize),
}

/// What workers share under one lock to find out what comes next.
pub(super) struct Agenda<'a> {
    pub(super) schedule: Schedule,
    pub(super) forecast: Forecast<'a>,
    /// Workers that sleep; waking nobody costs a system call too.
    pub(super) sleepers: usize,
}

impl Agenda<'_> {
    fn next_task(&mut self) -> Task {
        let forecast = &mut self.forecast;
        self.schedule
            .next_task(|index| forecast.earlier_writer(index))
    }
}

/// A transaction that was looked at ahead of its turn.
pub(super) enum Ahead<'a> {
    Run(Box<Run<'a>>),
    Transfer([&'a AccountCell; 2]),
}

impl<'a> Parallel<'a> {
    /// Executes what has not begun of a block.
    pub(crate) fn execute(
        input: &ExecutionInput<'_>,
        state: &(dyn StateReader + Sync),
        begun: Begun,
        (plan, forecast): (&Plan, Forecast<'_>),
        tools: &Tools<'_>,
    ) -> Result<ExecutedBlock, ExecutionFault> {
        let Tools { pool, probe, .. } = *tools;
        let memory = lock(tools.memory).take();
        let cells = Cells::new(
            state,
            memory.unwrap_or_else(|| CellMemory::new(input.transactions.len())),
        );
        for account in &begun.writes.accounts {
            cells.start(account)?;
        }
        for (hash, code) in &begun.writes.log.codes {
            cells.create_code(*hash, code.clone());
        }
        let count = input.transactions.len();
        let parallel = Parallel {
            input,
            state,
            cells: &cells,
            transfers: &plan.transfers,
            calls: &plan.calls,
            predictor: tools.predictor,
            agenda: Mutex::new(Agenda {
                schedule: Schedule::new(
                    plan.gas.clone(),
                    pool.current_num_threads(),
                    begun.receipts.len(),
                ),
                forecast,
                sleepers: 0,
            }),
            idle: Condvar::new(),
            ahead: (0..count).map(|_| Mutex::new(None)).collect(),
            spare: Mutex::default(),
            turn: Mutex::new(Turn::new(input, &cells, begun)),
            probe,
            stopped: AtomicBool::new(false),
            fault: Mutex::new(None),
        };
        // The calling thread is awake and has a core already.
        pool.in_place_scope(|scope| {
            for worker in 1..pool.current_num_threads() {
                let parallel = &parallel;
                scope.spawn(move |_| parallel.work(worker));
            }
            parallel.work(0);
        });
        let Parallel { turn, fault, .. } = parallel;
        let turn = into_inner(turn);
        let executed = match into_inner(fault) {
            Some(fault) => Err(fault),
            None => Ok(pool.install(|| finish::finish(input, &cells, turn))),
        };
        *lock(tools.memory) = Some(cells.into_memory()).filter(CellMemory::is_moderate);
        executed
    }

    fn work(&self, worker: usize) {
        let _guard = StopOnPanic(self);
        let mut hand = Hand::new(self, worker);
        let mut done = Report::Nothing;
        while let Some(task) = self.next_task(done) {
            done = match task {
                Task::Commit(range) => hand.commit(range),
                Task::Speculate(range) => hand.speculate(range),
                Task::Wait | Task::Done => break,
            };
        }
        hand.finish();
    }

    /// Takes in what a worker has done, and tells it what to do next, after waiting for it; nothing
    /// once the block is done or has failed. In one step, so that a chain of transactions that wait
    /// for each other stays with one worker.
    fn next_task(&self, done: Report) -> Option<Task> {
        let mut spins = 0;
        let mut agenda = lock(&self.agenda);
        match done {
            Report::Nothing => {}
            Report::Speculated(range) => agenda.schedule.speculated(range),
            Report::Committed(end) => agenda.schedule.committed(end),
        }
        loop {
            if self.stopped.load(Ordering::Acquire) {
                return None;
            }
            match agenda.next_task() {
                Task::Done => {
                    drop(agenda);
                    self.idle.notify_all();
                    return None;
                }
                Task::Wait if spins < SPINS => {
                    drop(agenda);
                    spins = spins.saturating_add(1);
                    (0..PAUSES).for_each(|_| std::hint::spin_loop());
                    agenda = lock(&self.agenda);
                }
                Task::Wait => {
                    agenda.sleepers = agenda.sleepers.saturating_add(1);
                    let woken = self.idle.wait(agenda);
                    agenda = woken.unwrap_or_else(PoisonError::into_inner);
                    agenda.sleepers = agenda.sleepers.saturating_sub(1);
                }
                task @ (Task::Commit(_) | Task::Speculate(_)) => {
                    self.wake_one(agenda);
                    return Some(task);
                }
            }
        }
    }

    /// Wakes somebody if there is enough to do; who wakes looks whether to wake more. It takes a
    /// system call, so it is not done for nothing.
    fn wake_one(&self, agenda: MutexGuard<'_, Agenda<'_>>) {
        let wakes = agenda.sleepers > 0 && agenda.schedule.has_more();
        drop(agenda);
        if wakes {
            self.idle.notify_one();
        }
    }

    pub(super) fn note_conflict(&self, index: usize, changed: Changed<'_>) {
        match changed {
            Changed::Account(cell) => self.probe.add_conflict(index, cell.address, None),
            Changed::Slot(cell) => {
                self.probe.add_conflict(index, cell.address, Some(cell.key));
                forecast::learn_conflict(
                    self.predictor,
                    self.calls,
                    self.input.transactions,
                    (cell.address, cell.key),
                    [cell.writer(), Some(index)],
                );
            }
        }
    }

    pub(super) fn stop(&self, fault: ExecutionFault) {
        lock(&self.fault).get_or_insert(fault);
        self.stop_all();
    }

    fn stop_all(&self) {
        self.stopped.store(true, Ordering::Release);
        // Whoever is about to wait holds the lock, or sees the flag.
        drop(lock(&self.agenda));
        self.idle.notify_all();
    }
}

/// Makes the other workers stop waiting for one that panics.
struct StopOnPanic<'p, 'a>(&'p Parallel<'a>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop_all();
        }
    }
}

/// What an engine lends to the execution of a block.
pub(crate) struct Tools<'t> {
    pub(crate) pool: &'t ThreadPool,
    pub(crate) probe: &'t Probe<'t>,
    pub(crate) memory: &'t Mutex<Option<CellMemory>>,
    pub(crate) predictor: &'t RwLock<Predictor>,
}

/// What is known of a block before it is executed.
pub(crate) struct Plan {
    pub(crate) transfers: Vec<Option<Transfer>>,
    /// Predicted gas of each transaction.
    pub(crate) gas: Vec<u64>,
    pub(crate) calls: Vec<Option<KnownCall>>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
