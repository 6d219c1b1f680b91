//! Any sequence of admissions, executions, drops and clock ticks keeps the pool's invariants.

mod steps;

use self::steps::{Step, step};
use crate::{
    admission::{AdmissionError, Admitted},
    config::{Config, STRIPES},
    event::{DropReason, Event},
    fixtures::{BASE_FEE, Rig, account, config, draft, sender},
    lane::Lane,
    lanes::LaneId,
    pool::Counts,
    selection::TransactionSource,
    short_id::short_id,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};
use primitives::RecoveredTransaction;
use proptest::prelude::*;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The plainest form of a transaction in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plain {
    transaction: RecoveredTransaction,
    pending: bool,
    arrival: u64,
    /// Stripe and lane, by which equal ranks are told apart.
    place: (usize, LaneId),
}

/// Pending before queued, price, maximum fee.
type PlainRank = (bool, Option<u128>, u128);

impl Plain {
    fn effective_tip(&self, base_fee: u64) -> Option<u128> {
        let above = self.transaction.max_fee_per_gas();
        let above = above.checked_sub(u128::from(base_fee))?;
        Some(above.min(self.transaction.priority_fee_or_price()))
    }

    fn rank(&self, base_fee: u64) -> PlainRank {
        let max_fee = self.transaction.max_fee_per_gas();
        let effective_tip = self.effective_tip(base_fee);
        (self.pending, effective_tip, max_fee)
    }
}

/// By sender and nonce.
type PlainPool = BTreeMap<Address, BTreeMap<u64, Plain>>;

/// The pool beside the plainest account of what must be in it.
struct Model {
    pool: Rig,
    /// What was admitted and neither dropped nor executed.
    held: BTreeSet<B256>,
    nonces: BTreeMap<Address, u64>,
    balances: BTreeMap<Address, u128>,
    base_fee: u64,
    now_ms: u64,
}

impl Model {
    fn new() -> Self {
        let config = Config {
            transactions_max: 14,
            pool_bytes_max: 2_000,
            sender_transactions_max: 6,
            nonce_gap_max: 6,
            lifetime_ms: 100,
            ..config()
        };
        Self {
            pool: Rig::new(config),
            held: BTreeSet::new(),
            nonces: BTreeMap::new(),
            balances: BTreeMap::new(),
            base_fee: BASE_FEE,
            now_ms: 0,
        }
    }

    fn nonce(&self, sender: &Address) -> u64 {
        self.nonces.get(sender).copied().unwrap_or_default()
    }

    fn balance(&self, sender: &Address) -> u128 {
        self.balances.get(sender).copied().unwrap_or(20_000_000)
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Admit {
                index,
                nonce,
                fees,
                value,
                input,
            } => {
                let mut draft = draft(index, nonce, 0).fees(fees.0, fees.1).value(value);
                if input > 0 {
                    draft = draft.input(input);
                    draft.fields.gas_limit = 100_000;
                }
                self.admit(&draft.recovered());
            }
            Step::Execute {
                index,
                count,
                strangers,
                balance,
            } => self.execute(sender(index), count, strangers, balance),
            Step::SetNonce { index, nonce } => {
                self.nonces.insert(sender(index), nonce);
                self.executed(sender(index), &[]);
            }
            Step::BaseFee(base_fee) => {
                self.base_fee = base_fee;
                self.executed(sender(0), &[]);
            }
            Step::Remove(index) => {
                if let Some(hash) = self.held.iter().nth(index).copied() {
                    assert!(self.pool.remove(&hash).is_some());
                }
            }
            Step::Tick(elapsed_ms) => {
                self.now_ms += elapsed_ms;
                self.pool.expire(self.now_ms);
            }
            Step::RemoveSender(index) => {
                self.pool.remove_sender(&sender(index));
                assert_eq!(self.pool.content_of(&sender(index)), None);
            }
        }
    }

    fn admit(&mut self, transaction: &RecoveredTransaction) {
        let sender = transaction.sender();
        let view = account(self.nonce(&sender), self.balance(&sender));
        let before = self.plain();
        let admission = self.pool.admit_at(transaction.clone(), view, self.now_ms);
        let events = self.pool.take_events();
        match &admission {
            Ok(admitted) => {
                self.held.insert(admitted.hash);
                self.check_evictions(transaction, admitted, &before, &events);
            }
            Err(error) => {
                assert!(events.is_empty(), "a refusal changes nothing");
                assert_eq!(self.plain(), before);
                self.check_refusal(transaction, error, &before);
            }
        }
        self.hear(events);
    }

    /// Who left a full pool are the worst tails, one after the other, and no more than needed.
    fn check_evictions(
        &self,
        transaction: &RecoveredTransaction,
        admitted: &Admitted,
        before: &PlainPool,
        events: &[Event],
    ) {
        let after = self.plain();
        let newcomer = &after[&transaction.sender()][&transaction.nonce()];
        assert_eq!(newcomer.pending, admitted.pending);
        let evicted = events.iter().filter_map(|event| match event {
            Event::Dropped {
                hash,
                reason: DropReason::Evicted,
            } => Some(*hash),
            _ => None,
        });
        let (victims, rank) = self.victims(before, transaction);
        let expected: BTreeSet<_> = victims
            .iter()
            .map(|plain| plain.transaction.hash())
            .collect();
        assert_eq!(evicted.collect::<BTreeSet<_>>(), expected);
        for victim in victims {
            let own = victim.transaction.sender() == transaction.sender();
            assert!(own || victim.rank(self.base_fee) < rank);
        }
    }

    /// An underpriced one is refused only because one that would have to leave ranks above it.
    fn check_refusal(
        &self,
        transaction: &RecoveredTransaction,
        error: &AdmissionError,
        before: &PlainPool,
    ) {
        match error {
            AdmissionError::Underpriced | AdmissionError::PoolFull => {
                let (victims, rank) = self.victims(before, transaction);
                let refuses = |plain: &Plain| plain.rank(self.base_fee) >= rank;
                assert!(victims.is_empty() || victims.iter().any(refuses));
            }
            AdmissionError::AccountLimitExceeded { max } => {
                assert_eq!(before[&transaction.sender()].len(), *max);
            }
            _ => {}
        }
    }

    /// Who would have to leave for a newcomer, and the newcomer's rank.
    fn victims(
        &self,
        before: &PlainPool,
        newcomer: &RecoveredTransaction,
    ) -> (Vec<Plain>, PlainRank) {
        let mut lanes = before.clone();
        let mut own = lanes.remove(&newcomer.sender()).unwrap_or_default();
        let next = own
            .iter()
            .filter(|(_, plain)| plain.pending)
            .map(|(nonce, _)| nonce + 1);
        let next = next.max().unwrap_or_else(|| self.nonce(&newcomer.sender()));
        let rank = Plain {
            transaction: newcomer.clone(),
            pending: newcomer.nonce() <= next,
            arrival: 0,
            place: (0, LaneId::MIN),
        };
        let rank = rank.rank(self.base_fee);
        let mut victims = Vec::new();
        let replaced = own.remove(&newcomer.nonce()).is_some();
        if !replaced && own.len() >= self.pool.config.sender_transactions_max {
            victims.extend(own.pop_last().map(|(_, plain)| plain));
        }
        loop {
            let kept: Vec<_> = lanes
                .values()
                .chain([&own])
                .flat_map(BTreeMap::values)
                .collect();
            let bytes: usize = kept.iter().map(|plain| plain.transaction.raw().len()).sum();
            let bytes = bytes + newcomer.raw().len();
            let config = &self.pool.config;
            if kept.len() < config.transactions_max && bytes <= config.pool_bytes_max {
                return (victims, rank);
            }
            let tails = lanes
                .iter()
                .filter_map(|(sender, lane)| Some((*sender, lane.values().last()?)));
            let worst = tails.min_by_key(|(_, plain)| (plain.rank(self.base_fee), plain.place));
            let Some((sender, _)) = worst else {
                return (victims, rank);
            };
            let victim = lanes.get_mut(&sender).and_then(BTreeMap::pop_last);
            victims.extend(victim.map(|(_, plain)| plain));
        }
    }

    fn execute(&mut self, sender: Address, count: usize, strangers: u64, balance: u128) {
        let content = self.pool.content_of(&sender);
        let mut block = content.map(|content| content.pending).unwrap_or_default();
        block.truncate(count);
        let moved = u64::try_from(block.len()).expect("few") + strangers;
        *self.nonces.entry(sender).or_default() += moved;
        self.balances.insert(sender, balance);
        self.executed(sender, &block);
        for transaction in block {
            self.held.remove(&transaction.hash());
        }
    }

    fn executed(&mut self, sender: Address, block: &[RecoveredTransaction]) {
        let view = account(self.nonce(&sender), self.balance(&sender));
        self.pool.follow(block, &[(sender, view)], self.base_fee);
    }

    fn hear(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Dropped { hash, .. } => assert!(self.held.remove(&hash)),
                Event::Pending(transaction) | Event::Queued(transaction) => {
                    assert!(self.held.contains(&transaction.hash()));
                }
            }
        }
    }

    fn plain(&self) -> PlainPool {
        let mut plain = PlainPool::new();
        for stripe in 0..STRIPES {
            let pool = self.pool.lock(stripe);
            for (id, lane) in pool.lanes().starting_at(0) {
                check_lane(lane);
                assert_eq!(self.pool.mempool.stripe_of(&lane.sender()), stripe);
                let entries = lane.pending().chain(lane.queued()).map(|entry| Plain {
                    transaction: entry.transaction.clone(),
                    pending: lane.is_pending(entry.nonce),
                    arrival: entry.arrival,
                    place: (stripe, id),
                });
                let entries = entries.map(|plain| (plain.transaction.nonce(), plain));
                plain.insert(lane.sender(), entries.collect());
            }
        }
        plain
    }

    fn check(&mut self) {
        let events = self.pool.take_events();
        self.hear(events);
        let plain = self.plain();
        let all: Vec<_> = plain.values().flat_map(BTreeMap::values).collect();
        let hashes: BTreeSet<_> = all.iter().map(|plain| plain.transaction.hash()).collect();
        assert_eq!(hashes, self.held, "nothing is lost or appears unnamed");
        let mut counts = Counts::default();
        for plain in &all {
            counts.pending += usize::from(plain.pending);
            counts.queued += usize::from(!plain.pending);
            counts.bytes += plain.transaction.raw().len();
            let pooled = self.pool.get(&plain.transaction.hash()).expect("there");
            assert_eq!(
                (&pooled.transaction, pooled.pending),
                (&plain.transaction, plain.pending)
            );
        }
        assert_eq!(self.pool.counts(), counts);
        assert!(counts.total() <= self.pool.config.transactions_max);
        assert!(counts.bytes <= self.pool.config.pool_bytes_max);
        self.check_indexes(&plain, counts);
        self.check_selections(&plain);
    }

    /// What is kept beside the lanes says what the lanes say.
    fn check_indexes(&self, plain: &PlainPool, counts: Counts) {
        let shared = &self.pool.mempool.shared;
        assert_eq!(shared.index.len(), counts.total());
        let ids: Vec<_> = self.held.iter().map(short_id).collect();
        assert_eq!(self.pool.find(&ids).len(), counts.total());
        let used = shared.ledger.used();
        assert_eq!(
            (used.transactions, used.bytes),
            (counts.total(), counts.bytes)
        );
        let mut worst = BTreeMap::new();
        for stripe in 0..STRIPES {
            let mut pool = self.pool.lock(stripe);
            let standing: Vec<_> = pool.standing_tails(None).collect();
            assert!(standing.is_sorted_by_key(|(rank, _)| *rank));
            assert!(standing.iter().all(|(rank, tail)| *rank <= tail.rank));
            let lanes = plain
                .iter()
                .filter(|(sender, _)| self.pool.mempool.stripe_of(sender) == stripe);
            let tails = lanes.filter_map(|(_, lane)| lane.values().last());
            let tails: Vec<_> = tails
                .map(|plain| (plain.rank(self.base_fee), plain))
                .collect();
            assert_eq!(standing.len(), tails.len());
            let expected = tails
                .iter()
                .min_by_key(|(rank, plain)| (*rank, plain.place));
            let expected = expected.map(|(_, plain)| plain.transaction.hash());
            let tail = pool.worst_tail(None);
            assert_eq!(tail.map(|tail| pool.tail_hash(&tail)), expected);
            worst.extend(tail.map(|tail| (stripe, tail)));
        }
        let told = shared
            .ledger
            .worst()
            .into_iter()
            .map(|tail| (tail.stripe, tail));
        assert_eq!(told.collect::<BTreeMap<_, _>>(), worst);
    }

    /// At the pool's base fee and at others, with and without senders in flight.
    fn check_selections(&self, plain: &PlainPool) {
        for (base_fee, ahead) in [(self.base_fee, 0), (self.base_fee + 5, 1), (9, 2), (31, 0)] {
            let in_flight = plain
                .iter()
                .filter(|(sender, _)| ahead > 0 && sender[0] % 2 == 0);
            let in_flight = in_flight.map(|(sender, _)| (*sender, self.nonce(sender) + ahead));
            self.check_selection(plain, base_fee, in_flight.collect());
        }
    }

    /// The selection equals choosing the best head over all lanes, again and again.
    fn check_selection(&self, plain: &PlainPool, base_fee: u64, in_flight: BTreeMap<Address, u64>) {
        let mut next: BTreeMap<_, _> = plain
            .keys()
            .map(|sender| (*sender, self.nonce(sender)))
            .collect();
        next.extend(in_flight.clone());
        let in_flight = Arc::new(in_flight.into_iter().collect());
        let mut best = self.pool.best(base_fee, in_flight);
        loop {
            let heads = next.iter().filter_map(|(sender, nonce)| {
                let plain = plain.get(sender)?.get(nonce)?;
                Some((
                    plain.effective_tip(base_fee)?,
                    Reverse(plain.arrival),
                    plain,
                ))
            });
            let expected =
                heads.max_by_key(|(effective_tip, arrival, _)| (*effective_tip, *arrival));
            let expected = expected.map(|(_, _, plain)| &plain.transaction);
            assert_eq!(best.next().as_ref(), expected);
            let Some(transaction) = expected else { break };
            next.insert(transaction.sender(), transaction.nonce() + 1);
        }
    }
}

fn check_lane(lane: &Lane) {
    let entries = || lane.pending().chain(lane.queued());
    let nonces: Vec<_> = entries().map(|entry| entry.nonce).collect();
    assert!(!nonces.is_empty() && nonces.is_sorted());
    assert_eq!(nonces.len(), lane.len());
    assert!(nonces[0] >= lane.account().nonce);
    let pending = lane.account().nonce..lane.pending_end();
    assert_eq!(pending.clone().count(), lane.pending_len());
    assert!(pending.clone().all(|nonce| nonces.contains(&nonce)));
    assert!(!nonces.contains(&lane.pending_end()));
    assert!(
        nonces
            .iter()
            .all(|nonce| lane.get(*nonce).is_some_and(|entry| entry.nonce == *nonce))
    );
    let costs = entries().filter(|entry| pending.contains(&entry.nonce));
    let cost = costs.fold(U256::ZERO, |sum, entry| sum + U256::from(entry.cost));
    assert_eq!(lane.pending_cost(), cost);
    let backwards: Vec<_> = lane.backwards().map(|entry| entry.nonce).collect();
    assert!(backwards.iter().rev().eq(nonces.iter()));
    for (index, nonce) in nonces.iter().enumerate() {
        let below = index.checked_sub(1).map(|index| nonces[index]);
        assert_eq!(lane.below(*nonce).map(|entry| entry.nonce), below);
    }
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_invariants(steps in prop::collection::vec(step(), 1..80)) {
        let mut model = Model::new();
        for step in steps {
            model.run(step);
            model.check();
        }
    }
}
