//! One worker: runs transactions ahead, and commits them when it holds the turn.

use super::{
    cells::AccountCell,
    chain::learn,
    forecast::KnownCall,
    reader::CellReader,
    run::{Outcome, Run, Runs},
    turn::Turn,
    worker::{Ahead, Parallel, Report, lock},
};
use crate::{
    bloom::BloomHasher,
    executed::InclusionFault,
    fault::ExecutionFault,
    machine::{BlockMachine, NotRun, Transacted, transaction_env},
    predict::{Observation, PredictedSlot, Predictor, TOUCHED_MAX, Wanted},
    receipt::ReceiptDraft,
    report::{Span, Tally, Timed},
    sequential::Charge,
    transfer::Transfer,
    view::Source,
};
use alloy_consensus::Transaction as _;
use primitives::RecoveredTransaction;
use std::{ops::Range, sync::PoisonError, time::Duration};

/// Transactions of a block whose blooms are made ahead, while a worker would wait for the turn. In a
/// larger block nobody waits, and they would only take memory.
const BLOOMS_AHEAD_MAX: usize = 2_000;

/// How a transaction was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Committed {
    /// As it was executed ahead, or as a plain transfer.
    AsItWas,
    /// After it was executed at its turn.
    AtItsTurn,
}

/// One worker with its machine.
pub(super) struct Hand<'p, 'a> {
    parallel: &'p Parallel<'a>,
    worker: usize,
    machine: BlockMachine<'a>,
    spans: Vec<Span>,
    /// Memory for what is executed at its turn.
    own: Run<'a>,
    over: Runs<'a>,
    hasher: BloomHasher,
    tally: Tally,
    predicted: Vec<PredictedSlot>,
}

impl<'p, 'a> Hand<'p, 'a> {
    pub(super) fn new(parallel: &'p Parallel<'a>, worker: usize) -> Self {
        let source = Source::Speculation(CellReader::new(parallel.cells));
        Self {
            parallel,
            worker,
            machine: BlockMachine::worker(parallel.input, parallel.state, source),
            spans: Vec::new(),
            own: Run::default(),
            over: Vec::new(),
            hasher: BloomHasher::default(),
            tally: Tally::default(),
            predicted: Vec::new(),
        }
    }

    /// Reports what the worker has counted.
    pub(super) fn finish(self) {
        self.parallel.probe.add_spans(self.spans);
        self.parallel.probe.add_tally(self.tally);
    }

    pub(super) fn speculate(&mut self, range: Range<usize>) -> Report {
        let parallel = self.parallel;
        let start = parallel.probe.now();
        let (spans, count) = (self.spans.len(), range.len());
        let ahead = parallel.ahead.get(range.clone()).into_iter().flatten();
        for (index, slot) in range.clone().zip(ahead) {
            *lock(slot) = self.look_ahead(index);
        }
        if let (Some(start), Some(end)) = (start, parallel.probe.now())
            && self.spans.len() == spans
        {
            // All of them plain transfers.
            let total = end.saturating_sub(start);
            self.tally.located.add(Timed { count, total });
        }
        Report::Speculated(range)
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
        let learns = call.is_some_and(|call| call.learns);
        let outcome = self.run(transaction, (true, learns), &mut run);
        self.note(index, start, false);
        if let (Some(call), Ok(())) = (call, &outcome)
            && (call.learns || parallel.probe.is_detailed())
        {
            self.study(transaction, call, &run);
        }
        if parallel.input.transactions.len() <= BLOOMS_AHEAD_MAX {
            run.draft.make_bloom(&mut self.hasher);
        }
        outcome.ok().map(|()| Ahead::Run(run))
    }

    fn find_accounts(&self, transfer: &Transfer) -> Result<[&'a AccountCell; 2], ExecutionFault> {
        let cells = self.parallel.cells;
        Ok([
            cells.account(&transfer.sender)?,
            cells.account(&transfer.recipient)?,
        ])
    }

    pub(super) fn commit(&mut self, range: Range<usize>) -> Report {
        let parallel = self.parallel;
        let mut turn = lock(&parallel.turn);
        let began = parallel.probe.now();
        let (start, spans) = (range.start, self.spans.len());
        let mut end = start;
        for index in range {
            end = index.saturating_add(1);
            match self.commit_one(index, &mut turn) {
                Ok(Committed::AsItWas) => {}
                // It took long, and others may wait for it.
                Ok(Committed::AtItsTurn) => break,
                Err(fault) => {
                    parallel.stop(fault);
                    return Report::Nothing;
                }
            }
        }
        self.note_commits(end.saturating_sub(start), began, spans);
        drop(turn);
        lock(&parallel.spare).append(&mut self.over);
        Report::Committed(end)
    }

    fn commit_one(
        &mut self,
        index: usize,
        turn: &mut Turn<'a>,
    ) -> Result<Committed, ExecutionFault> {
        let parallel = self.parallel;
        if parallel.input.is_cancelled() {
            return Err(ExecutionFault::Cancelled);
        }
        let ahead = parallel.ahead.get(index).and_then(|slot| lock(slot).take());
        let transfer = parallel.transfers.get(index).and_then(Option::as_ref);
        let mut again = false;
        match (ahead, transfer) {
            (Some(Ahead::Run(mut run)), _) => {
                let conflict = run.find_conflict();
                match conflict {
                    Some(changed) => parallel.note_conflict(index, changed),
                    None => turn.commit(&mut run)?,
                }
                self.over.push(run);
                if conflict.is_none() {
                    return Ok(Committed::AsItWas);
                }
                again = true;
            }
            (Some(Ahead::Transfer(accounts)), Some(transfer)) => {
                if turn.commit_transfer(transfer, accounts)? {
                    return Ok(Committed::AsItWas);
                }
            }
            (None, Some(transfer)) => {
                if turn.commit_transfer(transfer, self.find_accounts(transfer)?)? {
                    return Ok(Committed::AsItWas);
                }
            }
            (_, None) => {}
        }
        self.run_at_turn(index, turn, again)?;
        Ok(Committed::AtItsTurn)
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

    /// Compares what a transaction has touched with what was predicted, and tells the predictor.
    /// Whether it is committed like this does not matter.
    fn study(&mut self, transaction: &RecoveredTransaction, call: KnownCall, run: &Run<'_>) {
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
        if self.parallel.probe.is_detailed() {
            self.predicted.clear();
            let predictor = self.parallel.predictor.read();
            predictor.unwrap_or_else(PoisonError::into_inner).predict(
                transaction,
                call.code_hash,
                Wanted::All,
                &mut self.predicted,
            );
            let score = Predictor::score(&self.predicted, &touched);
            self.tally.predictions.add(score);
        }
        if !call.learns {
            return;
        }
        let observation = Observation {
            transaction,
            code_hash: call.code_hash,
            touched: &touched,
            preimages: &self.machine.view().notes.preimages,
        };
        learn(self.parallel.predictor, &observation, run.draft.gas_used);
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
        self.tally.executions = self.tally.executions.saturating_add(1);
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

    /// Counts what was committed since `began`; what has been executed has its spans from `spans` on.
    fn note_commits(&mut self, count: usize, began: Option<Duration>, spans: usize) {
        let Some((began, end)) = began.zip(self.parallel.probe.now()) else {
            return;
        };
        let executed = self.spans.get(spans..).unwrap_or_default().iter();
        let executed = executed.map(|span| span.end.saturating_sub(span.start));
        let executed = executed.fold(Duration::ZERO, Duration::saturating_add);
        let total = end.saturating_sub(began).saturating_sub(executed);
        self.tally.committed.add(Timed { count, total });
    }

    fn note(&mut self, index: usize, start: Option<Duration>, again: bool) {
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
