//! Any sequence of admissions, executions, drops and clock ticks keeps the pool's invariants.

use super::{Counts, Executed, Pool};
use crate::{
    admission::{AdmissionError, Admitted, CheckedTransaction},
    config::Config,
    entry::Rank,
    event::{DropReason, Event},
    fixtures::{BASE_FEE, account, config, draft, sender},
    lane::Lane,
    selection::Best,
};
use alloy_primitives::{Address, B256, U512};
use primitives::RecoveredTransaction;
use proptest::prelude::*;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

#[derive(Clone, Debug)]
enum Step {
    Admit {
        index: u8,
        nonce: u64,
        fees: (u128, u128),
        value: u128,
        input: usize,
    },
    /// The first `count` pending ones of a sender, one of them possibly replaced by a stranger.
    Execute {
        index: u8,
        count: usize,
        strangers: u64,
        balance: u128,
    },
    SetNonce {
        index: u8,
        nonce: u64,
    },
    BaseFee(u64),
    Remove(usize),
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let fees = (8_u128..60, 0_u128..50).prop_map(|(max, tip)| (max, tip.min(max)));
    let input = prop_oneof![4 => Just(0_usize), 1 => 0..400_usize];
    let nonce = prop_oneof![3 => 0..4_u64, 2 => 0..12_u64];
    let admit = (0..5_u8, nonce, fees, 0..400_000_u128, input);
    let admit = admit.prop_map(|(index, nonce, fees, value, input)| Step::Admit {
        index,
        nonce,
        fees,
        value,
        input,
    });
    let execute = (0..5_u8, 0..4_usize, 0..2_u64, 0..40_000_000_u128);
    let execute = execute.prop_map(|(index, count, strangers, balance)| Step::Execute {
        index,
        count,
        strangers,
        balance,
    });
    prop_oneof![
        12 => admit,
        3 => execute,
        1 => (0..5_u8, 0..12_u64).prop_map(|(index, nonce)| Step::SetNonce { index, nonce }),
        1 => (7..40_u64).prop_map(Step::BaseFee),
        1 => (0..20_usize).prop_map(Step::Remove),
        1 => (0..60_u64).prop_map(Step::Tick),
    ]
}

/// The pool beside the plainest account of what must be in it.
struct Model {
    pool: Pool,
    /// What was admitted and neither dropped nor executed.
    held: BTreeSet<B256>,
    nonces: BTreeMap<Address, u64>,
    balances: BTreeMap<Address, u128>,
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
            pool: Pool::new(config, BASE_FEE),
            held: BTreeSet::new(),
            nonces: BTreeMap::new(),
            balances: BTreeMap::new(),
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
                self.admit(draft.recovered());
            }
            Step::Execute {
                index,
                count,
                strangers,
                balance,
            } => self.execute(sender(index), count, strangers, balance),
            Step::SetNonce { index, nonce } => {
                self.nonces.insert(sender(index), nonce);
                self.executed(sender(index), &[], self.pool.base_fee);
            }
            Step::BaseFee(base_fee) => self.executed(sender(0), &[], base_fee),
            Step::Remove(index) => {
                if let Some(hash) = self.held.iter().nth(index).copied() {
                    assert!(self.pool.remove(&hash).is_some());
                }
            }
            Step::Tick(elapsed_ms) => {
                self.now_ms += elapsed_ms;
                self.pool.expire(self.now_ms);
            }
        }
    }

    fn admit(&mut self, transaction: RecoveredTransaction) {
        let sender = transaction.sender();
        let view = account(self.nonce(&sender), self.balance(&sender));
        let before = self.ranks();
        let checked = CheckedTransaction::check(transaction, &self.pool.config).expect("legal");
        let admission = self.pool.admit(checked, view, self.now_ms);
        match &admission {
            Ok(admitted) => {
                self.held.insert(admitted.hash);
                self.check_evictions(admitted, &before);
            }
            Err(_) => assert!(self.pool.events.is_empty(), "a refusal changes nothing"),
        }
        self.check_refusal(sender, &admission);
    }

    /// An underpriced one is refused only because the pool is full.
    fn check_refusal(&self, sender: Address, admission: &Result<Admitted, AdmissionError>) {
        let config = &self.pool.config;
        let counts = self.pool.counts();
        match admission {
            Err(AdmissionError::Underpriced | AdmissionError::PoolFull) => assert!(
                counts.total() == config.transactions_max
                    || counts.bytes + 600 > config.pool_bytes_max
            ),
            Err(AdmissionError::AccountLimitExceeded { max }) => {
                assert_eq!(self.pool.lanes[&sender].entries().len(), *max);
            }
            _ => {}
        }
    }

    /// Who was evicted for a newcomer ranked below it and had nothing above it left in its lane.
    fn check_evictions(&self, admitted: &Admitted, before: &BTreeMap<B256, Rank>) {
        let newcomer = self.ranks()[&admitted.hash];
        for event in &self.pool.events {
            let Event::Dropped { hash, reason } = event else {
                continue;
            };
            if *reason != DropReason::Evicted {
                continue;
            }
            let victim = before[hash];
            let left = self.pool.lanes.get(&victim.sender);
            let tail = left.and_then(|lane| lane.tail()).map(|tail| tail.nonce);
            assert!(tail.is_none_or(|tail| tail < victim.nonce));
            if victim.sender == newcomer.sender {
                assert!(victim.nonce > newcomer.nonce);
            } else {
                assert!(victim < newcomer);
            }
        }
    }

    fn ranks(&self) -> BTreeMap<B256, Rank> {
        let lanes = self.pool.lanes.values();
        let ranks = lanes.flat_map(|lane| {
            let entries = lane.entries().values();
            entries.map(|entry| (entry.hash(), lane.rank(entry, self.pool.base_fee)))
        });
        ranks.collect()
    }

    fn execute(&mut self, sender: Address, count: usize, strangers: u64, balance: u128) {
        let content = self.pool.content_of(&sender);
        let mut block = content.map(|content| content.pending).unwrap_or_default();
        block.truncate(count);
        let moved = u64::try_from(block.len()).expect("few") + strangers;
        *self.nonces.entry(sender).or_default() += moved;
        self.balances.insert(sender, balance);
        self.executed(sender, &block, self.pool.base_fee);
        for transaction in block {
            self.held.remove(&transaction.hash());
        }
    }

    fn executed(&mut self, sender: Address, block: &[RecoveredTransaction], base_fee_next: u64) {
        let view = account(self.nonce(&sender), self.balance(&sender));
        self.pool.on_executed(&Executed {
            transactions: block,
            accounts: &[(sender, view)],
            base_fee_next,
        });
    }

    fn check(&mut self) {
        for event in self.pool.take_events() {
            match event {
                Event::Dropped { hash, .. } => assert!(self.held.remove(&hash)),
                Event::Pending(transaction) | Event::Queued(transaction) => {
                    assert!(self.held.contains(&transaction.hash()));
                }
            }
        }
        let pool = &self.pool;
        let mut counts = Counts::default();
        let mut tails = BTreeSet::new();
        let mut hashes = BTreeSet::new();
        for lane in pool.lanes.values() {
            check_lane(lane);
            counts.pending += lane.pending_len();
            counts.queued += lane.entries().range(lane.pending_end()..).count();
            tails.extend(lane.tail_rank(pool.base_fee));
            for entry in lane.entries().values() {
                counts.bytes += entry.size();
                hashes.insert(entry.hash());
                assert_eq!(pool.by_hash[&entry.hash()], (lane.sender(), entry.nonce));
            }
        }
        assert_eq!(pool.counts(), counts);
        assert_eq!(pool.tails.ranks(), &tails);
        assert_eq!(hashes, self.held, "nothing is lost or appears unnamed");
        assert_eq!(pool.by_hash.len(), hashes.len());
        assert!(counts.total() <= pool.config.transactions_max);
        assert!(counts.bytes <= pool.config.pool_bytes_max);
        check_selection(pool);
    }
}

fn check_lane(lane: &Lane) {
    let nonces: Vec<_> = lane.entries().keys().copied().collect();
    assert!(!nonces.is_empty());
    assert!(nonces[0] >= lane.account().nonce);
    let pending = lane.account().nonce..lane.pending_end();
    assert!(pending.clone().all(|nonce| nonces.contains(&nonce)));
    assert!(!nonces.contains(&lane.pending_end()));
    let costs = lane.entries().range(pending).map(|(_, entry)| entry.cost);
    let cost = costs.fold(U512::ZERO, |sum, cost| sum + U512::from(cost));
    assert_eq!(lane.pending_cost(), cost);
}

/// The selection equals choosing the best head over all lanes, again and again.
fn check_selection(pool: &Pool) {
    let mut next: BTreeMap<_, _> = pool
        .lanes
        .values()
        .map(|lane| (lane.sender(), lane.account().nonce))
        .collect();
    let mut best = Best::new(pool.lanes(), pool.base_fee, &|_| None);
    loop {
        let heads = next.iter().filter_map(|(sender, nonce)| {
            let entry = pool.lanes[sender].entries().get(nonce)?;
            let effective_tip = entry.fees.effective_tip(pool.base_fee)?;
            Some((effective_tip, Reverse(entry.arrival), entry))
        });
        let expected = heads.max_by_key(|(tip, arrival, _)| (*tip, *arrival));
        let expected = expected.map(|(_, _, entry)| entry);
        let selected = best.next();
        assert_eq!(selected.as_ref(), expected.map(|entry| &entry.transaction));
        let Some(entry) = expected else { break };
        next.insert(entry.sender(), entry.nonce + 1);
    }
}

proptest! {
    #[test]
    fn any_sequence_keeps_the_invariants(steps in prop::collection::vec(step(), 1..120)) {
        let mut model = Model::new();
        for step in steps {
            model.run(step);
            model.check();
        }
    }
}
