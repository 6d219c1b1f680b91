//! The workers of one block.

use super::{
    cells::{AccountCell, CellMemory, Cells},
    finish,
    forecast::{self, Forecast, KnownCall},
    reader::CellReader,
    run::{Changed, Outcome, Run},
    schedule::{Schedule, Task},
    turn::Turn,
};
use crate::{
    bloom::BloomHasher,
    executed::{ExecutedBlock, InclusionFault},
    fault::ExecutionFault,
    input::ExecutionInput,
    machine::{BlockMachine, NotRun, Transacted, transaction_env},
    overlay::OverlayParts,
    predict::{Observation, Predictor, selector},
    receipt::ReceiptDraft,
    report::{Probe, Span},
    sequential::Charge,
    transfer::Transfer,
    view::Source,
};
use alloy_consensus::Transaction as _;
use primitives::RecoveredTransaction;
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
/// Touched slots of one transaction that are learned from.
const TOUCHED_MAX: usize = 64;
/// Pauses between two looks.
const PAUSES: u32 = 64;

/// One block that several workers execute.
pub(crate) struct Parallel<'a> {
    input: &'a ExecutionInput<'a>,
    state: &'a (dyn StateReader + Sync),
    cells: &'a Cells<'a>,
    transfers: Vec<Option<Transfer>>,
    calls: &'a [Option<KnownCall>],
    predictor: &'a RwLock<Predictor>,
    agenda: Mutex<Agenda<'a>>,
    idle: Condvar,
    ahead: Vec<Mutex<Option<Ahead<'a>>>>,
    /// Runs that are over, for their memory.
    spare: Mutex<Vec<Box<Run<'a>>>>,
    turn: Mutex<Turn<'a>>,
    probe: &'a Probe<'a>,
    stopped: AtomicBool,
    fault: Mutex<Option<ExecutionFault>>,
}

/// What workers share under one lock to find out what comes next.
struct Agenda<'a> {
    schedule: Schedule,
    forecast: Forecast<'a>,
    /// Workers that sleep; waking nobody costs a system call too.
    sleepers: usize,
}

impl Agenda<'_> {
    fn next_task(&mut self) -> Task {
        for index in self.schedule.unforeseen() {
            self.schedule.foresee(self.forecast.earlier_writer(index));
        }
        self.schedule.next_task()
    }
}

/// A transaction that was looked at ahead of its turn.
enum Ahead<'a> {
    Run(Box<Run<'a>>),
    Transfer([&'a AccountCell; 2]),
}

/// What a worker found out about a transaction that was executed ahead.
struct Verdict {
    index: usize,
    kept: bool,
}

impl<'a> Parallel<'a> {
    /// Executes a block whose opening has been done on `pool`.
    pub(crate) fn execute(
        input: &ExecutionInput<'_>,
        state: &(dyn StateReader + Sync),
        opening: OverlayParts,
        plan: Plan,
        tools: &Tools<'_>,
    ) -> Result<ExecutedBlock, ExecutionFault> {
        let Tools { pool, probe, .. } = *tools;
        let memory = lock(&tools.memory).take();
        let cells = Cells::new(
            state,
            memory.unwrap_or_else(|| CellMemory::new(input.transactions.len())),
        );
        for account in &opening.accounts {
            cells.start(account)?;
        }
        for (hash, code) in &opening.log.codes {
            cells.create_code(*hash, code.clone());
        }
        let count = input.transactions.len();
        let parallel = Parallel {
            input,
            state,
            cells: &cells,
            transfers: plan.transfers,
            calls: &plan.calls,
            predictor: tools.predictor,
            agenda: Mutex::new(Agenda {
                schedule: Schedule::new(plan.gas, vec![None; count]),
                forecast: Forecast::new(tools.predictor, &plan.calls, input.transactions),
                sleepers: 0,
            }),
            idle: Condvar::new(),
            ahead: (0..count).map(|_| Mutex::new(None)).collect(),
            spare: Mutex::default(),
            turn: Mutex::new(Turn::new(input, &cells, opening.log)),
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
        *lock(&tools.memory) = Some(cells.into_memory()).filter(CellMemory::is_moderate);
        executed
    }

    fn work(&self, worker: usize) {
        let source = Source::Speculation(CellReader::new(self.cells));
        let mut hand = Hand {
            parallel: self,
            worker,
            machine: BlockMachine::worker(self.input, self.state, source),
            spans: Vec::new(),
            own: Run::default(),
            over: Vec::new(),
            hasher: BloomHasher::default(),
        };
        while let Some(task) = self.next_task() {
            match task {
                Task::Commit(range) => hand.commit(range),
                Task::Speculate(range) => hand.speculate(range),
                Task::Wait | Task::Done => break,
            }
        }
        self.probe.add_spans(hand.spans);
    }

    /// What to do next, after waiting for it; nothing once the block is done or has failed.
    fn next_task(&self) -> Option<Task> {
        let mut spins = 0;
        let mut agenda = lock(&self.agenda);
        loop {
            if self.stopped.load(Ordering::Acquire) {
                return None;
            }
            match agenda.next_task() {
                Task::Done => return None,
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
                task => return Some(task),
            }
        }
    }

    /// Tells the schedule what is done, and wakes who may now have something to do.
    fn report(&self, done: impl FnOnce(&mut Schedule)) {
        let mut agenda = lock(&self.agenda);
        done(&mut agenda.schedule);
        let sleepers = agenda.sleepers;
        drop(agenda);
        if sleepers > 0 {
            self.idle.notify_all();
        }
    }

    fn note_conflict(&self, index: usize, changed: Changed<'_>) {
        match changed {
            Changed::Account(cell) => self.probe.add_conflict(index, cell.address, None),
            Changed::Slot(cell) => {
                self.probe.add_conflict(index, cell.address, Some(cell.key));
                forecast::learn_conflict(
                    self.predictor,
                    &self.calls,
                    self.input.transactions,
                    (cell.address, cell.key),
                    [cell.writer(), Some(index)],
                );
            }
        }
    }

    fn stop(&self, fault: ExecutionFault) {
        lock(&self.fault).get_or_insert(fault);
        self.stopped.store(true, Ordering::Release);
        // Whoever is about to wait holds the lock, or sees the flag.
        drop(lock(&self.agenda));
        self.idle.notify_all();
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

/// One worker with its machine.
struct Hand<'p, 'a> {
    parallel: &'p Parallel<'a>,
    worker: usize,
    machine: BlockMachine<'a>,
    spans: Vec<Span>,
    /// Memory for what is executed at its turn.
    own: Run<'a>,
    over: Vec<Box<Run<'a>>>,
    hasher: BloomHasher,
}

impl<'a> Hand<'_, 'a> {
    fn speculate(&mut self, range: Range<usize>) {
        let parallel = self.parallel;
        let ahead = parallel.ahead.get(range.clone()).into_iter().flatten();
        for (index, slot) in range.clone().zip(ahead) {
            *lock(slot) = self.look_ahead(index);
        }
        parallel.report(|schedule| schedule.speculated(range));
    }

    /// Executes a transaction ahead. Nothing comes of it if it is invalid over what is committed
    /// now, or cannot be read: its turn will tell whether that is so.
    fn look_ahead(&mut self, index: usize) -> Option<Ahead<'a>> {
        let parallel = self.parallel;
        let transaction = parallel.input.transactions.get(index)?;
        if let Some(transfer) = parallel.transfers.get(index)? {
            return self.find_accounts(transfer).ok().map(Ahead::Transfer);
        }
        let start = parallel.probe.now();
        let mut run = lock(&parallel.spare).pop().unwrap_or_default();
        let call = parallel.calls.get(index).copied().flatten();
        let learns = call.filter(|call| call.learns);
        let outcome = self.run(transaction, (true, learns.is_some()), &mut run);
        self.note(index, start, false);
        if let (Some(call), Ok(())) = (learns, &outcome) {
            self.learn(transaction, call, &run);
        }
        run.draft.make_bloom(&mut self.hasher);
        outcome.ok().map(|()| Ahead::Run(run))
    }

    fn find_accounts(&self, transfer: &Transfer) -> Result<[&'a AccountCell; 2], ExecutionFault> {
        let cells = self.parallel.cells;
        Ok([
            cells.account(&transfer.sender)?,
            cells.account(&transfer.recipient)?,
        ])
    }

    fn commit(&mut self, range: Range<usize>) {
        let parallel = self.parallel;
        let mut turn = lock(&parallel.turn);
        let mut verdicts = Vec::new();
        for index in range.clone() {
            match self.commit_one(index, &mut turn) {
                Ok(verdict) => verdicts.extend(verdict),
                Err(fault) => return parallel.stop(fault),
            }
        }
        drop(turn);
        lock(&parallel.spare).append(&mut self.over);
        parallel.report(|schedule| {
            for verdict in verdicts {
                schedule.judged(verdict.index, verdict.kept);
            }
            schedule.committed(range.end);
        });
    }

    fn commit_one(
        &mut self,
        index: usize,
        turn: &mut Turn<'a>,
    ) -> Result<Option<Verdict>, ExecutionFault> {
        let parallel = self.parallel;
        if parallel.input.is_cancelled() {
            return Err(ExecutionFault::Cancelled);
        }
        let ahead = parallel.ahead.get(index).and_then(|slot| lock(slot).take());
        let judged = |kept| Some(Verdict { index, kept });
        let verdict = match ahead {
            Some(Ahead::Run(mut run)) => {
                let conflict = run.find_conflict();
                if let Some(changed) = conflict {
                    parallel.note_conflict(index, changed);
                } else {
                    turn.commit(&mut run)?;
                }
                self.over.push(run);
                if conflict.is_none() {
                    return Ok(judged(true));
                }
                judged(false)
            }
            Some(Ahead::Transfer(accounts)) => {
                let transfer = parallel.transfers.get(index).and_then(Option::as_ref);
                if let Some(transfer) = transfer
                    && turn.commit_transfer(transfer, accounts)?
                {
                    return Ok(None);
                }
                None
            }
            None => {
                if let Some(Some(transfer)) = parallel.transfers.get(index)
                    && turn.commit_transfer(transfer, self.find_accounts(transfer)?)?
                {
                    return Ok(None);
                }
                None
            }
        };
        let again = verdict.is_some();
        self.run_at_turn(index, turn, again)?;
        Ok(verdict)
    }

    fn run_at_turn(
        &mut self,
        index: usize,
        turn: &mut Turn<'a>,
        again: bool,
    ) -> Result<(), ExecutionFault> {
        let Some(transaction) = self.parallel.input.transactions.get(index) else {
            return Ok(());
        };
        let start = self.parallel.probe.now();
        let mut run = std::mem::take(&mut self.own);
        let outcome = self.run(transaction, (false, false), &mut run);
        self.note(index, start, again);
        let outcome = outcome.map(|()| turn.commit(&mut run));
        self.own = run;
        match outcome {
            Ok(committed) => committed,
            Err(NotRun::Fault(fault)) => Err(fault),
            Err(NotRun::Invalid(reason)) => {
                self.touch_loaded();
                let draft = self.charge_what_is_left(transaction, turn)?;
                turn.commit_invalid(InclusionFault::new(index, &reason), draft);
                Ok(())
            }
        }
    }

    /// Also what an invalid transaction was judged by counts as read.
    fn touch_loaded(&mut self) {
        if let Source::Speculation(reader) = &self.machine.view().source {
            let Run {
                accounts, slots, ..
            } = &reader.run;
            accounts.iter().for_each(|effect| effect.cell.marks.touch());
            slots.iter().for_each(|effect| effect.cell.marks.touch());
        }
    }

    fn charge_what_is_left(
        &self,
        transaction: &RecoveredTransaction,
        turn: &mut Turn<'a>,
    ) -> Result<ReceiptDraft, ExecutionFault> {
        if !self.machine.rules.charges_inclusion_faults() {
            return Ok(ReceiptDraft::failed(0));
        }
        let environment = &self.parallel.input.environment;
        let sender = transaction.sender();
        let account = self.parallel.cells.account(&sender)?.present().account;
        let charge = Charge::new(
            account.unwrap_or_default(),
            transaction,
            environment.base_fee,
        );
        turn.edit(&sender, |account| charge.take(account, transaction))?;
        turn.edit(&environment.beneficiary, |account| charge.give(account))?;
        Ok(ReceiptDraft::failed(charge.gas))
    }

    /// Tells the predictor what a transaction has touched. Whether it is committed like this does not
    /// matter.
    fn learn(&mut self, transaction: &RecoveredTransaction, call: KnownCall, run: &Run<'_>) {
        let touched: Vec<_> = run
            .slots
            .iter()
            .take(TOUCHED_MAX)
            .map(|effect| {
                (
                    effect.cell.address,
                    effect.cell.key,
                    effect.written.is_some(),
                )
            })
            .collect();
        let observation = Observation {
            transaction,
            code_hash: call.code_hash,
            touched: &touched,
            preimages: &self.machine.view().notes.preimages,
        };
        let predictor = self.parallel.predictor.write();
        let mut predictor = predictor.unwrap_or_else(PoisonError::into_inner);
        predictor.learn(&observation);
        predictor.learn_gas(call.code_hash, selector(transaction), run.draft.gas_used);
    }

    /// Runs a transaction over what is committed now.
    fn run(
        &mut self,
        transaction: &RecoveredTransaction,
        (is_ahead, learns): (bool, bool),
        run: &mut Run<'a>,
    ) -> Result<(), NotRun> {
        let view = self.machine.view();
        view.notes.clear();
        view.notes.learning = learns;
        if let Source::Speculation(reader) = &mut view.source {
            let sender = (transaction.sender(), transaction.nonce());
            reader.begin(is_ahead.then_some(sender));
        }
        self.machine.prepare(self.parallel.input, transaction);
        let Transacted { result, changes } = self.machine.transact(transaction_env(transaction))?;
        let ctx = &mut self.machine.machine.ctx;
        let view = &mut ctx.journaled_state.database;
        let Source::Speculation(reader) = &mut view.source else {
            return Err(NotRun::Fault(ExecutionFault::Machine(
                "a worker reads from elsewhere".to_owned(),
            )));
        };
        let outcome = Outcome {
            changes: &changes,
            notes: &view.notes,
            transaction: &ctx.tx,
            draft: ReceiptDraft::from(result),
        };
        let taken = run.take(reader, outcome);
        self.machine.recycle(changes);
        taken.map_err(NotRun::Fault)
    }

    fn note(&mut self, index: usize, start: Option<std::time::Duration>, again: bool) {
        if let (Some(start), Some(end)) = (start, self.parallel.probe.now()) {
            self.spans.push(Span {
                worker: self.worker,
                transaction: index,
                start,
                end,
                again,
            });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}
