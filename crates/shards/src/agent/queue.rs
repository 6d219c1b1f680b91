//! Which candidate is examined next, and which one nobody wants to know about any more.
//!
//! ```text
//! offers ──▶ queue ─┬─ of an offer:     any worker but one ┐ of a shard no more than its part
//! pending ─▶        └─ of what is pending:      any worker ┴──────────▶ worker ─▶ finding
//!                              neither offered nor pending any more: cancelled ◀─┘
//! ```
//! Who owns a shard decides how long its blocks take, up to what the ledger allows, and who collates one how many of
//! them there are. So a shard has a part of the workers, by its cores, and what is pending has one that no offer
//! takes: others do not wait for them. Within a shard, who has fewest candidates with the workers comes next.
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

/// A candidate that is with a worker.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    shard: ShardId,
    collator: PublicKey,
    /// When it began, it was not pending.
    is_offer: bool,
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
        let offered = self.working.values().filter(|check| check.is_offer).count();
        // With a single worker, what is pending comes first instead.
        let free_for_offers = offered < workers.saturating_sub(1);
        let queue = self.queue.iter().enumerate();
        let possible = queue.filter_map(|(index, id)| {
            let descriptor = &self.shelf.get(id)?.descriptor;
            let is_offer = self.pending_coding(id).is_none();
            let (of_shard, of_collator) = self.working_for(descriptor.shard, &descriptor.collator);
            let may = of_shard < self.workers_of(descriptor.shard)
                && (!is_offer || free_for_offers || workers == 1);
            let is_last = workers == 1 && is_offer;
            may.then_some((is_last, of_shard, of_collator, index))
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
