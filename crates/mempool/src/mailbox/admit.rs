//! Admission of a batch: checks and reads first, then stripe by stripe, room from wherever it is.
//!
//! ```text
//!                        ┌ room ──────────────────────────────────▶ lane
//! batch ─▶ by stripe ─▶ check ─ full ─ worst tail of this stripe ─▶ leaves ─▶ lane
//!                        │         ├── of another ─ let go, evict there ─▶ check again
//!                        │         └── one is not enough ─ hold all ─▶ all leave or none
//!                        └ refused: nothing has changed
//! ```
//! A full pool gives up the worst-ranked tails of all for a newcomer that ranks above every one of
//! them, at most [`VICTIMS_MAX`]. While callers race for the same room a tail may leave for a
//! newcomer that is then refused for another reason; without a race it can't.

use super::{Mempool, Pool, stripe_of};
use crate::{
    admission::{AdmissionError, Admitted, CheckedTransaction},
    config::{ADMISSIONS_PER_LOCK, ROOM_ATTEMPTS, STRIPES, VICTIMS_MAX},
    entry::Rank,
    pool::{Arrived, Demand},
    room::{Room, Tail},
};
use alloy_primitives::{Address, map::AddressMap};
use primitives::{RecoveredTransaction, affordability::AccountView};
use state::{ReadFault, StateReader, account_view};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, hash_map},
    sync::{MutexGuard, atomic::Ordering},
};

/// One answer for each transaction of a batch, in its order.
pub type Admissions = Vec<Result<Admitted, AdmissionError>>;

type Ready = Result<(CheckedTransaction, AccountView), AdmissionError>;

/// How far an admission came under one lock.
#[derive(Debug)]
enum Step {
    Answered(Result<Admitted, AdmissionError>),
    /// This tail, in another stripe, leaves first.
    Elsewhere(Tail, Rank),
    /// One tail is not enough, or others are too quick.
    HoldAll,
}

impl Mempool {
    /// Takes recovered transactions in, given the newest executed state.
    ///
    /// # Errors
    /// Our own storage failed; nothing was taken in.
    pub fn admit_many(
        &self,
        transactions: Vec<RecoveredTransaction>,
        state: &impl StateReader,
        now_ms: u64,
    ) -> Result<Admissions, ReadFault> {
        let mut accounts = Accounts::default();
        let mut ready = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let sender = transaction.sender();
            let checked = CheckedTransaction::check(transaction, &self.shared.config);
            ready.push(match checked {
                Ok(checked) => Ok((checked, accounts.read(state, sender)?)),
                Err(error) => Err(error),
            });
        }
        Ok(self.admit_ready(ready, now_ms))
    }

    /// Takes checked transactions in, each with its sender's account.
    pub(crate) fn admit_checked(
        &self,
        checked: Vec<(CheckedTransaction, AccountView)>,
        now_ms: u64,
    ) -> Admissions {
        self.admit_ready(checked.into_iter().map(Ok).collect(), now_ms)
    }

    fn admit_ready(&self, ready: Vec<Ready>, now_ms: u64) -> Admissions {
        let count = u64::try_from(ready.len()).expect("a length fits");
        let first = self.shared.arrivals.fetch_add(count, Ordering::Relaxed);
        let mut answers: Vec<Option<Result<Admitted, AdmissionError>>> = Vec::new();
        answers.resize_with(ready.len(), || None);
        let mut stripes: Vec<Vec<Arrived>> = Vec::new();
        stripes.resize_with(STRIPES, Vec::new);
        for ((index, arrival), ready) in (0..).zip(first..).zip(ready) {
            match ready {
                Ok((transaction, account)) => {
                    let sender = transaction.transaction.sender();
                    stripes[stripe_of(&sender)].push(Arrived {
                        index,
                        transaction,
                        account,
                        arrival,
                        now_ms,
                    });
                }
                Err(error) => answers[index] = Some(Err(error)),
            }
        }
        for (stripe, arrived) in stripes.iter().enumerate() {
            self.admit_stripe(stripe, arrived, &mut answers);
            self.tell_many();
        }
        self.tell();
        let answers = answers.into_iter();
        answers
            .map(|answer| answer.expect("each is refused or in a stripe"))
            .collect()
    }

    fn admit_stripe(
        &self,
        stripe: usize,
        mut arrived: &[Arrived],
        answers: &mut [Option<Result<Admitted, AdmissionError>>],
    ) {
        while !arrived.is_empty() {
            let batch = &arrived[..arrived.len().min(ADMISSIONS_PER_LOCK)];
            let mut done = 0;
            let blocked = self.hold(stripe, |pool| {
                for arrived in batch {
                    done += 1;
                    match self.admit_here(pool, arrived) {
                        Step::Answered(answer) => answers[arrived.index] = Some(answer),
                        blocked => return Some((arrived, blocked)),
                    }
                }
                None
            });
            if let Some((arrived, step)) = blocked {
                answers[arrived.index] = Some(self.admit_after(stripe, arrived, step));
            }
            arrived = &arrived[done..];
        }
    }

    /// Makes room in other stripes and tries again, a few times.
    fn admit_after(
        &self,
        stripe: usize,
        arrived: &Arrived,
        mut step: Step,
    ) -> Result<Admitted, AdmissionError> {
        for _ in 0..ROOM_ATTEMPTS {
            match step {
                Step::Answered(answer) => return answer,
                Step::Elsewhere(victim, newcomer) => self.hold(victim.stripe, |pool| {
                    // Another may have come to be the worst since, or the room been made.
                    let worst = pool.worst_tails(None).next();
                    if let Some(worst) = worst.filter(|worst| worst.rank < newcomer) {
                        pool.evict(&worst);
                    }
                }),
                Step::HoldAll => break,
            }
            step = self.hold(stripe, |pool| self.admit_here(pool, arrived));
        }
        match step {
            Step::Answered(answer) => answer,
            Step::Elsewhere(..) | Step::HoldAll => self.admit_holding_all(stripe, arrived),
        }
    }

    /// Admits under the lock of its stripe alone, if that is enough.
    fn admit_here(&self, pool: &mut Pool, arrived: &Arrived) -> Step {
        let demand = match pool.check(arrived) {
            Ok(demand) => demand,
            Err(error) => return Step::Answered(Err(error)),
        };
        for _ in 0..ROOM_ATTEMPTS {
            let missing = match self.shared.ledger.take(demand.room, demand.leaving) {
                Ok(()) => return Step::Answered(Ok(pool.place(arrived, &demand))),
                Err(missing) => missing,
            };
            let stripe = stripe_of(&arrived.sender());
            let here = pool.worst_tails(demand.lane).next();
            let elsewhere = self.shared.ledger.worst_beside(stripe);
            let Some(victim) = here.into_iter().chain(elsewhere).min() else {
                return Step::Answered(Err(AdmissionError::PoolFull));
            };
            if victim.rank >= demand.rank {
                return Step::Answered(Err(refusal(&victim.rank, &demand.rank)));
            }
            if !missing.less(victim.room()).is_none() {
                return Step::HoldAll;
            }
            if victim.stripe != stripe {
                return Step::Elsewhere(victim, demand.rank);
            }
            pool.evict(&victim);
            if let Some((freed, old, new)) = pool.take_settlement() {
                self.shared.ledger.settle(freed, old, new);
            }
        }
        Step::HoldAll
    }

    /// Admits under all locks: every tail that must leave ranks below the newcomer, or none leaves.
    fn admit_holding_all(
        &self,
        stripe: usize,
        arrived: &Arrived,
    ) -> Result<Admitted, AdmissionError> {
        let mut pools: Vec<_> = (0..STRIPES).map(|stripe| self.lock(stripe)).collect();
        let demand = pools[stripe].check(arrived)?;
        if let Err(missing) = self.shared.ledger.take(demand.room, demand.leaving) {
            for victim in victims(&pools, stripe, &demand, missing)? {
                pools[victim.stripe].evict(&victim);
            }
            for pool in &mut pools {
                if let Some((freed, old, new)) = pool.take_settlement() {
                    self.shared.ledger.settle(freed, old, new);
                }
            }
            let taken = self.shared.ledger.take(demand.room, demand.leaving);
            taken.map_err(|_| AdmissionError::PoolFull)?;
        }
        let admitted = pools[stripe].place(arrived, &demand);
        let gone: Vec<_> = pools.iter_mut().map(|pool| self.settle(pool)).collect();
        drop(pools);
        drop(gone);
        Ok(admitted)
    }
}

/// Chooses who makes room for the newcomer, the worst tail first, then the one below it; its own
/// lane does not count.
fn victims(
    pools: &[MutexGuard<'_, Pool>],
    stripe: usize,
    demand: &Demand,
    mut missing: Room,
) -> Result<Vec<Tail>, AdmissionError> {
    let own = |pool: usize| demand.lane.filter(|_| pool == stripe);
    let tails = pools.iter().enumerate();
    let mut tails: Vec<_> = tails
        .map(|(index, pool)| pool.worst_tails(own(index)))
        .collect();
    let first = tails.iter_mut().filter_map(Iterator::next);
    // Each with whether it was its lane's tail from the beginning.
    let mut next: BinaryHeap<_> = first.map(|tail| Reverse((tail, true))).collect();
    let mut victims = Vec::new();
    while !missing.is_none() {
        let Reverse((victim, was_tail)) = next.pop().ok_or(AdmissionError::PoolFull)?;
        if victim.rank >= demand.rank {
            return Err(refusal(&victim.rank, &demand.rank));
        }
        if victims.len() >= VICTIMS_MAX {
            return Err(AdmissionError::PoolFull);
        }
        missing = missing.less(victim.room());
        let exposed = pools[victim.stripe].tail_below(&victim);
        next.extend(exposed.map(|tail| Reverse((tail, false))));
        if was_tail {
            let tail = tails[victim.stripe].next();
            next.extend(tail.map(|tail| Reverse((tail, true))));
        }
        victims.push(victim);
    }
    Ok(victims)
}

fn refusal(victim: &Rank, newcomer: &Rank) -> AdmissionError {
    if victim.pending && !newcomer.pending {
        AdmissionError::PoolFull
    } else {
        AdmissionError::Underpriced
    }
}

/// Accounts of one batch, each read once.
#[derive(Default)]
struct Accounts {
    read: AddressMap<AccountView>,
}

impl Accounts {
    fn read(
        &mut self,
        state: &impl StateReader,
        sender: Address,
    ) -> Result<AccountView, ReadFault> {
        match self.read.entry(sender) {
            hash_map::Entry::Occupied(known) => Ok(*known.get()),
            hash_map::Entry::Vacant(vacant) => Ok(*vacant.insert(account_view(state, &sender)?)),
        }
    }
}
