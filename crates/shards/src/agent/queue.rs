//! Which candidate is examined next, and which one nobody wants to know about any more.
//!
//! ```text
//! offers ──▶ queue ── of a shard no more than its part ──▶ worker ─▶ finding
//! pending ─▶            cancelled ◀─┬─ neither offered nor pending any more
//!                                   └─ offered, with a worker for long, and what is pending waits for one
//! ```
//! Who owns a shard decides how long its blocks take, up to what the ledger allows, and who collates one how many of
//! them there are. So a shard has a part of the workers, by its cores, and an offer that takes long gives its worker up
//! to what is pending: others do not wait for them. Within a shard, who has fewest candidates with the workers comes
//! next.
//!
//! Limits: as many workers as the configuration says; a shard has one at least.

use super::duties::{Duties, Effect, Job};
use primitives::{
    crypto::PublicKey,
    shard::{CandidateId, ShardId},
};
use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

/// After how long with a worker an offer gives it up to what is pending, in milliseconds: longer than a full block of
/// ordinary transactions takes.
const LONG_MS: u64 = 1_000;

/// A candidate that is with a worker.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    shard: ShardId,
    collator: PublicKey,
    /// When it began, it was not pending.
    is_offer: bool,
    since_ms: u64,
    cancelled: Arc<AtomicBool>,
}

impl Duties {
    /// Puts a candidate in line to be checked and cut, once its collation is there.
    pub(crate) fn enqueue(&mut self, id: CandidateId, urgent: bool) {
        let ready = self
            .shelf
            .get(&id)
            .is_some_and(|entry| entry.collation.is_some() && entry.retry_ms <= self.now_ms);
        if !ready || self.working.contains_key(&id) || self.queue.contains(&id) {
            return;
        }
        if urgent {
            self.queue.push_front(id);
        } else {
            self.queue.push_back(id);
        }
    }

    /// Gives workers what there is room for, and takes back what nobody wants to know.
    pub(crate) fn examine(&mut self) {
        for (id, check) in &self.working {
            if !self.is_wanted(id) {
                check.cancelled.store(true, Relaxed);
            }
        }
        let mut queue = mem::take(&mut self.queue);
        queue.retain(|id| self.is_wanted(id) && self.has_collation(id));
        self.queue = queue;
        while let Some(index) = self.next_check() {
            let Some(id) = self.queue.remove(index) else {
                return;
            };
            self.start_check(id);
        }
        self.make_way();
    }

    /// Takes the worker that an offer has had longest, if that is long, for what is pending and waits for one.
    fn make_way(&self) {
        let mut queue = self.queue.iter();
        let waits = queue.any(|id| self.pending_coding(id).is_some() && self.may_have_worker(id));
        let is_full = self.working.len() >= self.config.workers;
        let makes_way = |check: &Check| check.cancelled.load(Relaxed);
        if !waits || !is_full || self.working.values().any(makes_way) {
            return;
        }
        let offers = self.working.values().filter(|check| check.is_offer);
        let longest = offers.min_by_key(|check| check.since_ms);
        let took_ms = |check: &&Check| self.now_ms.saturating_sub(check.since_ms);
        if let Some(check) = longest.filter(|check| took_ms(check) >= LONG_MS) {
            check.cancelled.store(true, Relaxed);
        }
    }

    /// Whether a candidate's shard has fewer workers than its part.
    fn may_have_worker(&self, id: &CandidateId) -> bool {
        let Some(entry) = self.shelf.get(id) else {
            return false;
        };
        let descriptor = &entry.descriptor;
        let (of_shard, _) = self.working_for(descriptor.shard, &descriptor.collator);
        of_shard < self.workers_of(descriptor.shard)
    }

    /// Whether a candidate is put forward here or pending.
    fn is_wanted(&self, id: &CandidateId) -> bool {
        self.offers.has(id) || self.pending_coding(id).is_some()
    }

    fn has_collation(&self, id: &CandidateId) -> bool {
        let entry = self.shelf.get(id);
        entry.is_some_and(|entry| entry.collation.is_some())
    }

    /// The place in the queue of the candidate that is next; none while no worker is free for any.
    fn next_check(&self) -> Option<usize> {
        let workers = self.config.workers;
        if self.working.len() >= workers {
            return None;
        }
        // With a single worker, what is pending comes first.
        let queue = self.queue.iter().enumerate();
        let possible = queue.filter(|(_, id)| self.may_have_worker(id));
        let possible = possible.filter_map(|(index, id)| {
            let descriptor = &self.shelf.get(id)?.descriptor;
            let (of_shard, of_collator) = self.working_for(descriptor.shard, &descriptor.collator);
            let is_last = workers == 1 && self.pending_coding(id).is_none();
            Some((is_last, of_shard, of_collator, index))
        });
        possible.min().map(|(_, _, _, index)| index)
    }

    /// Candidates of a shard that are with workers, and those of one of its collators.
    fn working_for(&self, shard: ShardId, collator: &PublicKey) -> (usize, usize) {
        let of_shard = self.working.values().filter(|check| check.shard == shard);
        let of_collator = of_shard.clone().filter(|check| check.collator == *collator);
        (of_shard.count(), of_collator.count())
    }

    /// The workers that a shard may have: its part by its cores.
    fn workers_of(&self, shard: ShardId) -> usize {
        let ledger = self.ledger();
        let owned = ledger.cores().iter().flatten().count();
        let part = self.config.workers.saturating_mul(ledger.cores_of(shard));
        let part = part.checked_add(owned.saturating_sub(1));
        part.and_then(|part| part.checked_div(owned))
            .unwrap_or_default()
            .max(1)
    }

    fn start_check(&mut self, id: CandidateId) {
        let Some(entry) = self.shelf.get(&id) else {
            return;
        };
        let Some(collation) = entry.collation.clone() else {
            return;
        };
        let (descriptor, known) = (Box::new(entry.descriptor.clone()), entry.finding);
        let (validators, epoch) = self.is_cut_for(&id);
        let check = Check {
            shard: descriptor.shard,
            collator: descriptor.collator.clone(),
            is_offer: self.pending_coding(&id).is_none(),
            since_ms: self.now_ms,
            cancelled: Arc::default(),
        };
        let job = Job::Examine {
            id,
            descriptor,
            collation,
            known,
            validators,
            epoch,
            cancelled: Arc::clone(&check.cancelled),
        };
        self.working.insert(id, check);
        self.effects.push(Effect::Work(job));
    }

    /// How many validators a candidate is cut for, and of which epoch: those of its envelope while it is pending.
    fn is_cut_for(&self, id: &CandidateId) -> (u16, u64) {
        let ledger = self.ledger();
        let pending = self.pending_coding(id);
        let now = (ledger.rules().validators, ledger.epoch());
        pending.map_or(now, |coding| (coding.total, coding.epoch))
    }
}
