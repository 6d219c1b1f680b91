//! What has become of every transaction: the one place where they are counted, each once.
//!
//! ```text
//!            ┌─────▶ Abandoned (its connection ended first)
//! Unsent ────┼─▶ Sent ─▶ Accepted ──┐
//!   │        │     └───▶ Refused ───┼─▶ InBlock ─▶ Succeeded | Failed
//!   └─▶ Behind (a refused nonce) ───┘
//! ```
//! Whatever the answer was, a block that holds a transaction has the last word, and its receipt the very
//! last. *Open* ones may still get into a block by themselves; a run waits for those only. Times are
//! microseconds since the start of the run. A record takes 40 bytes, its place in the map by hash about 60.

use super::{plan::Plan, refusal::Refusals};
use alloy_primitives::{B256, map::B256Map};

/// The time of what has not happened.
const NEVER: u64 = u64::MAX;

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Unsent,
    Sent,
    Accepted,
    Refused,
    Behind,
    Abandoned,
    InBlock,
    Succeeded,
    Failed,
}

/// Which connection sends what, and to which endpoint: a sender's transactions all go one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lanes {
    pub(super) plan: Plan,
    pub(super) connections: usize,
    pub(super) endpoints: usize,
}

/// One transaction's times and fate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) fate: Fate,
    due_us: u64,
    accepted_us: u64,
    included_us: u64,
    pub(super) height: u64,
}

/// All transactions of a run.
#[derive(Debug)]
pub(super) struct Fates {
    pub(super) lanes: Lanes,
    records: Vec<Record>,
    indices: B256Map<u32>,
    /// Open transactions of each endpoint.
    open: Vec<usize>,
    pub(super) refusals: Refusals,
    /// Transactions the nodes were asked to take.
    pub(super) sent: usize,
    /// Times that a transaction was sent again.
    pub(super) resent: usize,
    /// Those in a block.
    pub(super) included: usize,
    pub(super) last_answer_us: Option<u64>,
    pub(super) last_included_us: Option<u64>,
}

impl Lanes {
    pub(super) fn new(plan: Plan, connections: usize, endpoints: usize) -> Self {
        Self {
            plan,
            connections: connections.max(endpoints).min(plan.senders).max(1),
            endpoints,
        }
    }

    pub(super) const fn connection(&self, index: usize) -> usize {
        self.plan.sender_of(index) % self.connections
    }

    pub(super) const fn endpoint_of_connection(&self, connection: usize) -> usize {
        connection % self.endpoints
    }

    pub(super) const fn endpoint(&self, index: usize) -> usize {
        self.endpoint_of_connection(self.connection(index))
    }

    /// The transactions of a connection, in the order in which they are due.
    pub(super) fn queue(&self, connection: usize) -> impl Iterator<Item = usize> {
        (0..self.plan.transactions).filter(move |index| self.connection(*index) == connection)
    }
}

impl Record {
    const NEW: Self = Self {
        fate: Fate::Unsent,
        due_us: NEVER,
        accepted_us: NEVER,
        included_us: NEVER,
        height: 0,
    };

    pub(super) fn due_us(&self) -> Option<u64> {
        happened(self.due_us)
    }

    pub(super) fn accepted_us(&self) -> Option<u64> {
        happened(self.accepted_us)
    }

    pub(super) fn included_us(&self) -> Option<u64> {
        happened(self.included_us)
    }
}

impl Fates {
    /// Of transactions by their hashes, in the order of their indices.
    pub(super) fn new(lanes: Lanes, hashes: impl Iterator<Item = B256>) -> Self {
        let indices: B256Map<u32> = hashes.zip(0..).collect();
        let mut open = vec![0; lanes.endpoints];
        for index in 0..lanes.plan.transactions {
            if let Some(open) = open.get_mut(lanes.endpoint(index)) {
                *open += 1;
            }
        }
        Self {
            lanes,
            records: vec![Record::NEW; lanes.plan.transactions],
            indices,
            open,
            refusals: Refusals::default(),
            sent: 0,
            resent: 0,
            included: 0,
            last_answer_us: None,
            last_included_us: None,
        }
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(super) fn fate(&self, index: usize) -> Option<Fate> {
        self.records.get(index).map(|record| record.fate)
    }

    /// How many may still get into a block through an endpoint.
    pub(super) fn open(&self, endpoint: usize) -> usize {
        self.open.get(endpoint).copied().unwrap_or_default()
    }

    pub(super) fn count(&self, fate: Fate) -> usize {
        let records = self.records.iter();
        records.filter(|record| record.fate == fate).count()
    }

    /// It goes out now, though it was due before.
    pub(super) fn send(&mut self, index: usize, due_us: u64) {
        match self.records.get_mut(index) {
            Some(record) if record.due_us == NEVER => {
                record.due_us = due_us;
                self.sent += 1;
            }
            Some(_) => self.resent += 1,
            None => {}
        }
        self.advance(index, &[Fate::Unsent], Fate::Sent);
    }

    /// The node took it, or had it.
    pub(super) fn accept(&mut self, index: usize, now_us: u64) {
        if let Some(record) = self.records.get_mut(index) {
            record.accepted_us = record.accepted_us.min(now_us);
        }
        self.advance(index, &[Fate::Unsent, Fate::Sent], Fate::Accepted);
    }

    /// The node will not take it. With `blocks` set, neither what its sender sends afterwards.
    pub(super) fn refuse(&mut self, index: usize, blocks: bool) {
        let refused = self.advance(index, &[Fate::Unsent, Fate::Sent], Fate::Refused);
        if !(refused && blocks) {
            return;
        }
        let open = [Fate::Unsent, Fate::Sent, Fate::Accepted];
        let mut later = index + self.lanes.plan.senders;
        while later < self.records.len() {
            self.advance(later, &open, Fate::Behind);
            later += self.lanes.plan.senders;
        }
    }

    /// Nobody will send it any more.
    pub(super) fn abandon(&mut self, index: usize) {
        self.advance(index, &[Fate::Unsent], Fate::Abandoned);
    }

    /// A block holds it. Whether it is ours, and had not been seen in one.
    pub(super) fn include(&mut self, hash: &B256, height: u64, now_us: u64) -> bool {
        let Some(index) = self.index(hash) else {
            return false;
        };
        let before = [
            Fate::Unsent,
            Fate::Sent,
            Fate::Accepted,
            Fate::Refused,
            Fate::Behind,
            Fate::Abandoned,
        ];
        let is_new = self.advance(index, &before, Fate::InBlock);
        if let Some(record) = self.records.get_mut(index).filter(|_| is_new) {
            (record.included_us, record.height) = (now_us, height);
            self.included += 1;
            self.last_included_us = self.last_included_us.max(Some(now_us));
        }
        is_new
    }

    /// Its receipt was read.
    pub(super) fn conclude(&mut self, hash: &B256, failed: bool) {
        let fate = if failed {
            Fate::Failed
        } else {
            Fate::Succeeded
        };
        if let Some(index) = self.index(hash) {
            self.advance(index, &[Fate::InBlock], fate);
        }
    }

    /// Whether it is one of this run's.
    pub(super) fn index(&self, hash: &B256) -> Option<usize> {
        self.indices.get(hash).map(|index| *index as usize)
    }

    /// Whether it had come just so far.
    fn advance(&mut self, index: usize, from: &[Fate], to: Fate) -> bool {
        let endpoint = self.lanes.endpoint(index);
        let Some(record) = self.records.get_mut(index) else {
            return false;
        };
        if !from.contains(&record.fate) {
            return false;
        }
        let was_open = is_open(record.fate);
        record.fate = to;
        if let Some(open) = self.open.get_mut(endpoint) {
            *open -= usize::from(was_open && !is_open(to));
        }
        true
    }
}

const fn is_open(fate: Fate) -> bool {
    matches!(fate, Fate::Unsent | Fate::Sent | Fate::Accepted)
}

fn happened(time_us: u64) -> Option<u64> {
    (time_us != NEVER).then_some(time_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Workload;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const PLAN: Plan = Plan {
        workload: Workload::Transfers,
        transactions: 24,
        senders: 5,
        conflicts: None,
        recipients: None,
    };

    fn hash(index: usize) -> B256 {
        B256::left_padding_from(&[u8::try_from(index).unwrap() + 1])
    }

    fn fates() -> Fates {
        let lanes = Lanes::new(PLAN, 4, 2);
        Fates::new(lanes, (0..PLAN.transactions).map(hash))
    }

    #[test]
    fn a_sender_stays_on_one_connection_and_every_transaction_is_in_one_queue() {
        for (connections, endpoints) in [(1, 1), (4, 2), (64, 1), (1, 3), (3, 5)] {
            let lanes = Lanes::new(PLAN, connections, endpoints);
            assert!(lanes.connections <= PLAN.senders);
            let mut seen = BTreeSet::new();
            let queues = (0..lanes.connections).map(|number| (number, lanes.queue(number)));
            for (connection, index) in
                queues.flat_map(|(number, queue)| queue.map(move |index| (number, index)))
            {
                assert_eq!(lanes.connection(index), connection);
                assert_eq!(lanes.connection(PLAN.sender_of(index)), connection);
                assert!(seen.insert(index));
            }
            assert!((0..lanes.connections).all(|number| lanes.queue(number).is_sorted()));
            assert_eq!(seen.len(), PLAN.transactions);
            let endpoints_used: BTreeSet<usize> =
                (0..5).map(|index| lanes.endpoint(index)).collect();
            assert_eq!(endpoints_used.len(), endpoints.min(PLAN.senders));
        }
    }

    #[test]
    fn what_follows_a_refused_nonce_is_not_waited_for() {
        let mut fates = fates();
        fates.send(7, 0);
        fates.accept(12, 1);
        fates.refuse(7, true);
        assert_eq!(fates.fate(2), Some(Fate::Unsent), "before it");
        assert_eq!(fates.fate(7), Some(Fate::Refused));
        for later in [12, 17, 22] {
            assert_eq!(fates.fate(later), Some(Fate::Behind));
        }
        assert_eq!(fates.fate(8), Some(Fate::Unsent), "another sender's");
        assert_eq!(fates.open(0) + fates.open(1), PLAN.transactions - 4);
        assert!(fates.include(&hash(12), 3, 9), "a block has the last word");
        assert!(fates.include(&hash(7), 3, 9));
        assert!(!fates.include(&hash(7), 4, 10), "and says it once");
        assert_eq!(fates.included, 2);
        fates.refuse(8, false);
        assert_eq!(fates.fate(13), Some(Fate::Unsent));
    }

    proptest! {
        /// Whatever happens in whatever order: counts are those of a recount, and nothing counts twice.
        #[test]
        fn counts_add_up(events in prop::collection::vec((0_u8..8, 0_usize..26), 0..200)) {
            let mut fates = fates();
            let (mut sent, mut times_sent) = (BTreeSet::new(), 0);
            let (mut in_block, mut receipts) = (BTreeSet::new(), BTreeSet::new());
            for (time_us, (event, index)) in (0..).zip(events) {
                let is_one = index < PLAN.transactions;
                match event {
                    0 | 1 => {
                        fates.send(index, time_us);
                        times_sent += usize::from(is_one);
                        sent.extend(is_one.then_some(index));
                    }
                    2 => fates.accept(index, time_us),
                    3 => fates.refuse(index, time_us % 2 == 0),
                    4 => fates.abandon(index),
                    5 | 6 => {
                        let is_new = fates.include(&hash(index), 1, time_us);
                        prop_assert_eq!(is_new, is_one && in_block.insert(index));
                    }
                    _ => {
                        fates.conclude(&hash(index), index % 3 == 0);
                        if in_block.contains(&index) {
                            receipts.insert(index);
                        }
                    }
                }
                let open = |endpoint| (0..PLAN.transactions).filter(|index| {
                    let fate = fates.fate(*index).unwrap();
                    fates.lanes.endpoint(*index) == endpoint && is_open(fate)
                }).count();
                prop_assert_eq!([fates.open(0), fates.open(1)], [open(0), open(1)]);
            }
            prop_assert_eq!(fates.sent, sent.len());
            prop_assert_eq!(fates.sent + fates.resent, times_sent);
            prop_assert_eq!(fates.included, in_block.len());
            let failed = receipts.iter().filter(|index| *index % 3 == 0).count();
            prop_assert_eq!(fates.count(Fate::Failed), failed);
            prop_assert_eq!(fates.count(Fate::Succeeded), receipts.len() - failed);
        }
    }
}
