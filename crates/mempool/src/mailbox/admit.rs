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

use super::{Mempool, Pool};
use crate::{
    admission::{AdmissionError, Admitted, CheckedTransaction},
    config::{ADMISSIONS_PER_LOCK, ROOM_ATTEMPTS, STANDINGS_PER_WALK, STRIPES, VICTIMS_MAX},
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
        let mut arrived = Vec::with_capacity(ready.len());
        for ((index, arrival), ready) in (0..).zip(first..).zip(ready) {
            match ready {
                Ok((transaction, account)) => arrived.push(Arrived {
                    index,
                    stripe: self.stripe_of(&transaction.transaction.sender()),
                    transaction,
                    account,
                    arrival,
                    now_ms,
                }),
                Err(error) => answers[index] = Some(Err(error)),
            }
        }
        let mut order: Vec<&Arrived> = arrived.iter().collect();
        order.sort_by_key(|arrived| arrived.stripe);
        for batch in order.chunk_by(|one, other| one.stripe == other.stripe) {
            self.admit_stripe(batch, &mut answers);
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
        mut arrived: &[&Arrived],
        answers: &mut [Option<Result<Admitted, AdmissionError>>],
    ) {
        while let Some(first) = arrived.first() {
            let stripe = first.stripe;
            let batch = &arrived[..arrived.len().min(ADMISSIONS_PER_LOCK)];
            let blocked = self.hold(stripe, |pool| self.admit_batch(pool, batch, answers));
            let done = match blocked {
                None => batch.len(),
                Some((at, step)) => {
                    answers[batch[at].index] = Some(self.admit_after(batch[at], step));
                    at + 1
                }
            };
            arrived = &arrived[done..];
        }
    }

    /// Admits one after the other; stops at one that needs room in other stripes.
    fn admit_batch(
        &self,
        pool: &mut Pool,
        batch: &[&Arrived],
        answers: &mut [Option<Result<Admitted, AdmissionError>>],
    ) -> Option<(usize, Step)> {
        for (at, arrived) in batch.iter().enumerate() {
            match self.admit_here(pool, arrived) {
                Step::Answered(answer) => answers[arrived.index] = Some(answer),
                step => return Some((at, step)),
            }
        }
        None
    }

    /// Makes room in other stripes and tries again, a few times.
    fn admit_after(&self, arrived: &Arrived, mut step: Step) -> Result<Admitted, AdmissionError> {
        for _ in 0..ROOM_ATTEMPTS {
            match step {
                Step::Answered(answer) => return answer,
                Step::Elsewhere(victim, newcomer) => {
                    self.hold(victim.stripe, |pool| pool.evict_worst_below(&newcomer));
                }
                Step::HoldAll => break,
            }
            step = self.hold(arrived.stripe, |pool| self.admit_here(pool, arrived));
        }
        match step {
            Step::Answered(answer) => answer,
            Step::Elsewhere(..) | Step::HoldAll => self.admit_holding_all(arrived),
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
            let here = pool.worst_tail(demand.lane);
            let elsewhere = self.shared.ledger.worst_beside(arrived.stripe);
            let Some(victim) = here.into_iter().chain(elsewhere).min() else {
                return Step::Answered(Err(AdmissionError::PoolFull));
            };
            if victim.rank >= demand.rank {
                return Step::Answered(Err(refusal(&victim.rank, &demand.rank)));
            }
            if !missing.less(victim.room()).is_none() {
                return Step::HoldAll;
            }
            if victim.stripe != arrived.stripe {
                return Step::Elsewhere(victim, demand.rank);
            }
            pool.evict(&victim);
            self.shared.ledger.settle(&pool.take_settlement());
        }
        Step::HoldAll
    }

    /// Admits under all locks: every tail that must leave ranks below the newcomer, or none leaves.
    fn admit_holding_all(&self, arrived: &Arrived) -> Result<Admitted, AdmissionError> {
        let stripe = arrived.stripe;
        let mut pools: Vec<_> = (0..STRIPES).map(|stripe| self.lock(stripe)).collect();
        let demand = pools[stripe].check(arrived)?;
        if let Err(missing) = self.shared.ledger.take(demand.room, demand.leaving) {
            let mut low = Vec::new();
            let victims = victims(&pools, stripe, &demand, (missing, &mut low));
            for tail in low {
                pools[tail.stripe].put_right(tail.lane);
            }
            for victim in victims? {
                pools[victim.stripe].evict(&victim);
            }
            for pool in &mut pools {
                self.shared.ledger.settle(&pool.take_settlement());
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
/// lane does not count. Of lanes that stand too low it looks at so many, and says which, so that the next newcomer
/// finds them where they belong.
fn victims(
    pools: &[MutexGuard<'_, Pool>],
    stripe: usize,
    demand: &Demand,
    (mut missing, low): (Room, &mut Vec<Tail>),
) -> Result<Vec<Tail>, AdmissionError> {
    let own = |pool: usize| demand.lane.filter(|_| pool == stripe);
    let standing = pools.iter().enumerate();
    let mut standing: Vec<_> = standing
        .map(|(index, pool)| pool.standing_tails(own(index)))
        .collect();
    let first = standing.iter_mut().filter_map(Iterator::next);
    // By the lowest that each can rank: a lane that stands too low comes again as its tail ranks.
    let mut next: BinaryHeap<_> = first
        .map(|(rank, tail)| Reverse((rank, tail, Place::Standing)))
        .collect();
    let mut victims = Vec::new();
    while !missing.is_none() {
        let Reverse((rank, tail, place)) = next.pop().ok_or(AdmissionError::PoolFull)?;
        if place == Place::Standing {
            if low.len() >= STANDINGS_PER_WALK {
                return Err(AdmissionError::PoolFull);
            }
            if rank < tail.rank {
                low.push(tail);
            }
            let following = standing[tail.stripe].next();
            next.extend(following.map(|(rank, tail)| Reverse((rank, tail, Place::Standing))));
            next.push(Reverse((tail.rank, tail, Place::Tail)));
            continue;
        }
        if rank >= demand.rank {
            return Err(refusal(&rank, &demand.rank));
        }
        if victims.len() >= VICTIMS_MAX {
            return Err(AdmissionError::PoolFull);
        }
        missing = missing.less(tail.room());
        let exposed = pools[tail.stripe].tail_below(&tail);
        next.extend(exposed.map(|tail| Reverse((tail.rank, tail, Place::Tail))));
        victims.push(tail);
    }
    Ok(victims)
}

/// How sure a rank is; the less sure comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The tail ranks here or higher.
    Standing,
    /// It ranks here.
    Tail,
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
